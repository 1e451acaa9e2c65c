//! Pins: what a reader shows stays, whoever forgets and prunes meanwhile (I12 in `FORMAT.md`).
//!
//! A pin names a position of the log. All that was not forgotten up to there stays, so that one small object pins any number of
//! snapshots; a pin that cannot be read pins everything.

use super::{Error, Repository, objects};
use crate::crypto::secret::random;
use crate::repo::entry::Timestamp;
use crate::repo::frame::{self, Frame};
use crate::repo::id::PinId;
use crate::repo::names::{HOLDS, Name, PINS};
use crate::repo::pin::Pin;
use crate::repo::wire::Extensions;

/// A pin that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundPin {
    /// Its name.
    pub id: PinId,
    /// Snapshots that are forgotten behind this position of the log stay: all of them, where nobody can tell.
    pub position: u64,
}

impl Repository {
    /// Puts a pin for the log as it was read. What is shown must be read after it: [`Self::refresh`].
    ///
    /// # Errors
    /// When the store takes none.
    pub fn pin(&self) -> Result<PinId, Error> {
        let id = PinId(random());
        let (name, key) = (Name::Pin(id), self.bundle.principal().signing_key());
        let pin = Pin {
            principal: self.bundle.principal_id(),
            position: self.log.state.head().map_or(0, |head| head.position),
            time: Timestamp::now().seconds,
            extensions: Extensions::default(),
        };
        let written = frame::write(&self.id(), &name, b"", Some((self.sealing(), &pin.encode()[..])), &key);
        // The name is fresh: "exists" can only be our own put, repeated.
        self.store.put(&name.object(), &written.stored)?;
        Ok(id)
    }

    /// Takes a pin away.
    ///
    /// # Errors
    /// When the store fails, or does not let a reader delete.
    pub fn unpin(&self, id: &PinId) -> Result<(), Error> {
        Ok(self.store.delete(&Name::Pin(*id).object())?)
    }

    /// The pins that were there when the sessions were listed, if [`Self::refresh_seeing`] was told to see [`PINS`]: before the log was read.
    /// Those of revoked principals do not count.
    ///
    /// # Errors
    /// When the store fails.
    pub fn pins(&self) -> Result<Vec<FoundPin>, Error> {
        let mut pins = Vec::new();
        for listed in self.overview.list(&*self.store, PINS)? {
            let Some(Name::Pin(id)) = Name::parse(&listed.name) else { continue };
            let name = Name::Pin(id);
            // One that is taken away meanwhile pins nothing.
            let Some(stored) = objects::get(&*self.store, &name)? else { continue };
            match self.proven(&name, &stored) {
                Some(pin) if self.log.state.trust().active(&pin.principal).is_none() => {}
                Some(pin) => pins.push(FoundPin { id, position: pin.position }),
                None => pins.push(FoundPin { id, position: 0 }),
            }
        }
        Ok(pins)
    }

    /// Whether a pin says what somebody signed who is known here: else it pins everything.
    pub fn is_pin(&self, name: &Name, stored: &[u8]) -> bool {
        self.proven(name, stored).is_some()
    }

    /// What a pin says, if its signer says so.
    fn proven(&self, name: &Name, stored: &[u8]) -> Option<Pin> {
        let frame = Frame::read(name, stored).ok()?;
        let plain = frame.unseal(&self.id(), &self.bundle.epoch(frame.epoch()?).ok()?.index).ok()?;
        let pin = Pin::decode(&plain).ok()?;
        let signer = self.log.state.trust().principal(&pin.principal)?.cert.signing;
        frame.verify(&self.id(), &signer).ok().map(|()| pin)
    }

    /// What others asked to be held when the sessions were listed, as with [`Self::pins`]: the names of these objects.
    ///
    /// # Errors
    /// When the store fails.
    pub fn asked_holds(&self) -> Result<Vec<Name>, Error> {
        Ok(self.overview.list(&*self.store, HOLDS)?.iter().filter_map(|listed| Name::parse(&listed.name)).collect())
    }
}
