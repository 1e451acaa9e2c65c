//! Single objects by their names, decoded: for people who look inside.
//!
//! What an object says here is what it says, opened and nothing more: whether it counts is judged elsewhere.

use super::{Error, IndexSigner, Repository, objects, slots};
use crate::repo::census::Census;
use crate::repo::config::Config;
use crate::repo::frame::{Cause, Frame};
use crate::repo::id::PrincipalId;
use crate::repo::index_object::IndexBody;
use crate::repo::keys::role::Role;
use crate::repo::keys::slot::{Slot, SlotHeader};
use crate::repo::log::Entry;
use crate::repo::names::{Copy, Name};
use crate::repo::pack::Table;
use crate::repo::session::{Beat, End, Open};
use crate::repo::wire::{self, Decoder};

/// What an object holds. Of wrapped keys only what stands in clear.
#[derive(Debug)]
pub enum Content {
    /// What the repository is.
    Config(Config),
    /// The readable part of a slot.
    Slot(SlotHeader),
    /// Whose keys of an epoch.
    EpochKeys {
        /// Whose.
        principal: PrincipalId,
        /// For what role.
        role: Role,
        /// Of which epoch.
        epoch: u32,
        /// The number of the mechanism that seals them.
        mechanism: u16,
    },
    /// A session's opening.
    Open(Open),
    /// A heartbeat.
    Beat(Beat),
    /// A session's end.
    End(Box<End>),
    /// An index.
    Index(IndexSigner, IndexBody),
    /// A census.
    Census(Box<Census>),
    /// An entry of the log.
    Log(Entry),
    /// A pack's own table.
    Pack(Table),
}

impl Repository {
    /// Opens one object, through its parity if it is damaged.
    ///
    /// # Errors
    /// When it is not there, or is not what its name says; when the keys at hand do not open it.
    pub fn content(&self, name: &Name) -> Result<Content, Error> {
        let fail = |source| Error::Body { object: name.to_string(), source };
        Ok(match name {
            Name::Config(_) => Content::Config(Config::decode(self.frame(name)?.clear()).map_err(fail)?),
            Name::Slot(id, _) => {
                let found = slots::all(&*self.store)?.into_iter().find(|(found, _)| found == id);
                let bytes = found.map(|(_, bytes)| bytes).ok_or(Error::Slot { id: *id, why: "does not exist" })?;
                Content::Slot(Slot::decode(&bytes)?.header)
            }
            Name::EpochKeys { .. } | Name::EpochOffer { .. } => epoch_keys(self.frame(name)?.clear()).map_err(fail)?,
            Name::Open(_) => Content::Open(Open::decode(&self.plain(name)?).map_err(fail)?),
            Name::Beat(..) => Content::Beat(Beat::decode(&self.plain(name)?).map_err(fail)?),
            Name::End(_) => Content::End(Box::new(End::decode(&self.plain(name)?).map_err(fail)?)),
            Name::Index { .. } => {
                let plain = self.plain(name)?;
                let mut decoder = Decoder::new(&plain);
                let signer = IndexSigner::decode(&mut decoder).map_err(fail)?;
                Content::Index(signer, IndexBody::decode(decoder.rest()).map_err(fail)?)
            }
            Name::Census(..) => Content::Census(Box::new(Census::decode(&self.plain(name)?).map_err(fail)?)),
            Name::Log(..) => Content::Log(Entry::decode(&self.plain(name)?).map_err(fail)?),
            Name::Pack(id) => {
                let length = self.store.length(&name.object())?;
                Content::Pack(self.read_table(id, length)?)
            }
            Name::Pin(_) | Name::Hold { .. } => {
                return Err(fail(wire::Error::Invalid("is of a kind that this version does not read")));
            }
        })
    }

    /// The object's frame, or that of its other copy where this one is no good.
    fn frame(&self, name: &Name) -> Result<Frame, Error> {
        let second = match *name {
            Name::Config(Copy::First) => Some(Name::Config(Copy::Second)),
            Name::Log(position, Copy::First) => Some(Name::Log(position, Copy::Second)),
            Name::Census(id, Copy::First) => Some(Name::Census(id, Copy::Second)),
            _ => None,
        };
        self.one_frame(name).or_else(|error| second.map_or(Err(error), |second| self.one_frame(&second)))
    }

    fn one_frame(&self, name: &Name) -> Result<Frame, Error> {
        let frame = Frame::read(name, &self.store.get(&name.object())?)?;
        if frame.healed().is_some() {
            objects::report(name, "some of its bytes are damaged", &*self.events);
        }
        Ok(frame)
    }

    fn plain(&self, name: &Name) -> Result<Vec<u8>, Error> {
        let frame = self.frame(name)?;
        let epoch = frame.epoch().ok_or_else(|| frame.fail(Cause::NotSealed))?;
        Ok(frame.unseal(&self.id(), &self.bundle.epoch(epoch)?.index)?)
    }
}

/// The part of `keys/` that stands in clear.
fn epoch_keys(body: &[u8]) -> Result<Content, wire::Error> {
    let mut decoder = Decoder::new(body);
    let principal = PrincipalId(decoder.array()?);
    let role = Role::from_number(decoder.u8()?).ok_or(wire::Error::Invalid("an unknown role"))?;
    let epoch = decoder.uint_as()?;
    Ok(Content::EpochKeys { principal, role, epoch, mechanism: u16::from_le_bytes(decoder.array()?) })
}
