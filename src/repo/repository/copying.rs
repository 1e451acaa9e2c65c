//! What another copy of a repository begins with, and what is taken from here for it: object by object, word for word (I14 in `FORMAT.md`).
//!
//! A copy has the same config, slots and keys, and a log of its own that begins with the same certificates. Everything here is put
//! only where nothing is, so that whoever died on the way is gone on from, and two who do it at once do no harm. The config comes
//! first: it says whose the place is.

use super::{Error, Repository, founding, objects, opening};
use crate::crypto::hash;
use crate::event::Silent;
use crate::repo::frame::{Cause, Frame};
use crate::repo::index_object::IndexBody;
use crate::repo::log::{Decision, Entry};
use crate::repo::names::{self, Copy, Name};
use crate::repo::session::IndexRef;
use crate::repo::wire::{self, Decoder};
use crate::store::{self, ErrorKind, Put, Store};
use std::collections::BTreeSet;

/// An index that was read here, to be put elsewhere.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its bytes, as they were written.
    pub stored: Vec<u8>,
    /// What it says.
    pub body: IndexBody,
}

impl Repository {
    /// Reads sessions and log again, until nothing was decided between two looks: only then whatever an entry that gives packs up relies
    /// on is seen too.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub fn refresh_settled(&mut self) -> Result<(), Error> {
        loop {
            let before = self.log.state.head();
            self.refresh()?;
            if self.log.state.head() == before {
                return Ok(());
            }
        }
    }

    /// An index, healed if need be, proven by its name.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn take_index(&self, index: &IndexRef) -> Result<Taken, Error> {
        let name = index.name();
        let fail = |source| Error::Body { object: name.to_string(), source };
        let missing = || fail(wire::Error::Invalid("it is missing"));
        let stored = objects::get(&*self.store, &name)?.ok_or_else(missing)?;
        let frame = Frame::read(&name, &stored)?;
        let stored = frame.healed().map_or_else(|| stored.clone(), <[u8]>::to_vec);
        if hash::sha256(&stored) != index.id.0 {
            return Err(fail(wire::Error::Invalid("its bytes are not what its name promises")));
        }
        let epoch = frame.epoch().ok_or_else(|| frame.fail(Cause::NotSealed))?;
        let plain = frame.unseal(&self.id(), &self.bundle.epoch(epoch)?.index)?;
        let mut decoder = Decoder::new(&plain);
        super::IndexSigner::decode(&mut decoder).map_err(fail)?;
        let body = IndexBody::decode(decoder.rest()).map_err(fail)?;
        Ok(Taken { stored, body })
    }

    /// Whether a place holds a copy of this repository, or nothing: then one can be begun there. Nothing is written.
    ///
    /// # Errors
    /// [`Error::OtherRepository`], [`Error::NotEmpty`], or the store's failure.
    pub fn is_copied_to(&self, store: &dyn Store) -> Result<bool, Error> {
        let place = store.place();
        match opening::read_config(store, &Silent) {
            Ok(config) if config == self.config => Ok(true),
            Ok(config) => Err(Error::OtherRepository { place, repository: config.repository }),
            Err(Error::NotFound { .. }) if self.holds_nothing(store)? => Ok(false),
            // Its log begins with an entry that names this very config.
            Err(Error::NotFound { .. } | Error::ConfigLost { .. }) if self.begins_as(store)? => Ok(true),
            Err(Error::NotFound { .. } | Error::ConfigLost { .. }) => {
                Err(Error::NotEmpty { place, what: "objects of a repository".to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    fn holds_nothing(&self, store: &dyn Store) -> Result<bool, Error> {
        match store.list("") {
            Ok(listed) => Ok(!listed.iter().any(|listed| Name::parse(&listed.name).is_some())),
            Err(error) if error.kind == ErrorKind::NoStore => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the log there begins as the one here.
    fn begins_as(&self, store: &dyn Store) -> Result<bool, Error> {
        Ok(same_entry(&*self.store, store, 0)?)
    }

    /// Puts what a copy of this repository begins with at another place, as far as it is not there: config, certificates, keys and
    /// slots. Returns the slots there that are not here (any more).
    ///
    /// # Errors
    /// As [`Self::is_copied_to`]; when a store fails. Then it can be done again.
    pub fn found_copy(&self, store: &dyn Store) -> Result<Vec<Name>, Error> {
        self.is_copied_to(store)?;
        self.put_config_to(store)?;
        self.put_certificates_to(store)?;
        put_missing(&*self.store, store, names::KEYS)?;
        // Last: a slot opens only what is there.
        put_missing(&*self.store, store, names::SLOTS)
    }

    fn put_config_to(&self, store: &dyn Store) -> Result<(), Error> {
        let accept = |frame: &Frame| frame.verify(&self.id(), &self.config.admin);
        for copy in Copy::BOTH {
            let name = Name::Config(copy);
            match store.length(&name.object()) {
                Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NoStore) => {}
                found => {
                    found?;
                    continue;
                }
            }
            // Both copies there are equal bytes, as they are here.
            let source = if founding::exists(store)? { store } else { &*self.store };
            let stored = sound(source, Name::Config, accept)?.ok_or_else(|| lost(&name))?;
            if store.put(&name.object(), &stored)? == Put::Exists {
                self.is_copied_to(store)?;
            }
        }
        Ok(())
    }

    /// The certificates that the log here begins with, as the beginning of the log there. Where that has gone on by itself, nothing.
    fn put_certificates_to(&self, store: &dyn Store) -> Result<(), Error> {
        let next = (0..).find_map(|n| match store.length(&Name::Log(n, Copy::First).object()) {
            Ok(_) => None,
            Err(error) if error.kind == ErrorKind::NotFound => Some(Ok(n)),
            Err(error) => Some(Err(error)),
        });
        let next: u64 = next.transpose()?.unwrap_or_default();
        if next > 0 && !same_entry(&*self.store, store, next - 1)? {
            return Ok(());
        }
        // Whoever put the last one may have died before its second copy.
        for position in next.saturating_sub(1).. {
            let name = |copy| Name::Log(position, copy);
            let Some(stored) = sound(&*self.store, name, |_| Ok(()))? else { return Ok(()) };
            let frame = Frame::read(&name(Copy::First), &stored)?;
            let certifies = match self.entry_of(&frame).map(|entry| entry.decision()) {
                Some(Ok(Decision::Cert(_))) => true,
                _ => position == 0,
            };
            if !certifies {
                return Ok(());
            }
            for copy in Copy::BOTH {
                if store.put(&name(copy).object(), &stored)? == Put::Exists
                    && !same_entry(&*self.store, store, position)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn entry_of(&self, frame: &Frame) -> Option<Entry> {
        let key = &self.bundle.epoch(frame.epoch()?).ok()?.index;
        Entry::decode(&frame.unseal(&self.id(), key).ok()?).ok()
    }
}

fn lost(name: &Name) -> Error {
    Error::Body { object: name.to_string(), source: wire::Error::Invalid("neither copy can be read") }
}

/// The stored bytes of an object that has two copies, as they were written: of the first that is good.
fn sound(
    store: &dyn Store,
    name: impl Fn(Copy) -> Name,
    accept: impl Fn(&Frame) -> Result<(), crate::repo::frame::Error>,
) -> Result<Option<Vec<u8>>, Error> {
    for copy in Copy::BOTH {
        let name = name(copy);
        let Some(stored) = objects::get(store, &name)? else { continue };
        if let Ok(frame) = Frame::read(&name, &stored)
            && accept(&frame).is_ok()
        {
            return Ok(Some(frame.healed().map_or_else(|| stored.clone(), <[u8]>::to_vec)));
        }
    }
    Ok(None)
}

/// Whether the entry of the log at this position is there in both stores, and the same.
fn same_entry(one: &dyn Store, other: &dyn Store, position: u64) -> Result<bool, store::Error> {
    let name = Name::Log(position, Copy::First);
    let digest = |store: &dyn Store| match objects::get(store, &name) {
        Ok(stored) => Ok(stored.and_then(|stored| Frame::read(&name, &stored).ok()).map(|frame| frame.digest())),
        Err(error) if error.kind == ErrorKind::NoStore => Ok(None),
        Err(error) => Err(error),
    };
    let (one, other) = (digest(one)?, digest(other)?);
    Ok(one.is_some() && one == other)
}

/// Puts what is below a folder here and not there. Returns what is there and not here.
fn put_missing(source: &dyn Store, store: &dyn Store, folder: &str) -> Result<Vec<Name>, Error> {
    let names = |store: &dyn Store| -> Result<BTreeSet<Name>, store::Error> {
        Ok(store.list(folder)?.iter().filter_map(|listed| Name::parse(&listed.name)).collect())
    };
    let (here, there) = (names(source)?, names(store)?);
    for name in here.difference(&there) {
        // Removed since it was listed.
        let Some(stored) = objects::get(source, name)? else { continue };
        store.put(&name.object(), &stored)?;
    }
    Ok(there.difference(&here).copied().collect())
}
