//! Founding a repository: the admin's slot, the recovery slot, config, the first entry of the log.
//!
//! Whoever puts the config founds the repository, however many try at once: until then there are only slots of a name that
//! nobody else has, and nothing of anybody else's is touched. A founding that died before can be done again; one that
//! died after, before the log began, is finished by whoever opens the admin's slot. Nobody else can have stored anything.

use super::{Error, objects, opening, slots};
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::crypto::sign::SigningKey;
use crate::event::Silent;
use crate::repo::config::Config;
use crate::repo::entry::Timestamp;
use crate::repo::frame::{self, Frame, Sealing};
use crate::repo::id::{RepositoryId, SlotId};
use crate::repo::keys;
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::slot;
use crate::repo::keys::unlock::unlock;
use crate::repo::log::{self, Appended, Author, Cert, Decision, State};
use crate::repo::names::{self, Copy, Name};
use crate::store::{ObjectName, Put, Store};

/// What founding gives.
#[derive(Debug)]
pub struct Founded {
    /// The new repository.
    pub repository: RepositoryId,
    /// The admin's slot.
    pub slot: SlotId,
    /// The slot that the recovery key opens.
    pub recovery_slot: SlotId,
}

/// Founds a repository in an empty store. `admin` opens the admin's slot, `recovery` the recovery slot; `label` is how the
/// first admin is called.
///
/// # Errors
/// [`Error::Exists`] when there is a repository already, or somebody else founds one; [`Error::NotEmpty`] when there are
/// objects of one whose config is gone. After any other error it can be tried again.
pub fn found(
    store: &dyn Store,
    suite: Suite,
    admin: &Credential,
    recovery: &Secret,
    label: &str,
) -> Result<Founded, Error> {
    let recovery = Credential::Recovery(recovery.clone());
    let leftovers = match look_around(store)? {
        Around::Slots(leftovers) => leftovers,
        Around::Unfinished => return finish(store, admin, &recovery, label),
    };
    let now = Timestamp::now().seconds;
    let seed = Secret::generate();
    let config = Config::new(suite, SigningKey::from_seed(&seed).public(), now);
    let bundle = Bundle::found(&config, seed)?;
    let slot = slots::put(store, slot::seal(&bundle, admin, now)?)?;
    let recovery_slot = slots::put(store, slot::seal(&bundle, &recovery, now)?)?;
    if !put_config(store, &bundle, &config)? {
        for mine in [slot, recovery_slot] {
            slots::discard(store, mine)?;
        }
        return Err(Error::Exists { place: store.place() });
    }
    // Of foundings that can no longer come to their end.
    for name in leftovers {
        store.delete(&name)?;
    }
    certify_founder(store, &bundle, &config, label, now)?;
    Ok(Founded { repository: config.repository, slot, recovery_slot })
}

/// What is in a store where somebody wants to found a repository.
enum Around {
    /// Nothing but slots, if anything: of foundings that died, or are under way.
    Slots(Vec<ObjectName>),
    /// A config and slots: no log has begun, so nobody can have stored anything.
    Unfinished,
}

fn look_around(store: &dyn Store) -> Result<Around, Error> {
    let place = store.place();
    let (mut slots, mut config, mut other) = (Vec::new(), false, None);
    for listed in store.list("")? {
        match Name::parse(&listed.name) {
            Some(Name::Slot(..)) => slots.push(listed.name),
            Some(Name::Config(_)) => config = true,
            _ => other = Some(listed.name.to_string()),
        }
    }
    match (config, other) {
        (true, Some(_)) => Err(Error::Exists { place }),
        (true, None) => Ok(Around::Unfinished),
        // Founded while we listed.
        (false, Some(_)) if exists(store)? => Err(Error::Exists { place }),
        (false, Some(what)) => Err(Error::NotEmpty { place, what }),
        (false, None) => Ok(Around::Slots(slots)),
    }
}

/// Goes on where a founding died after its config was put: for whoever opens the admin's slot. To everybody else the
/// repository is there. The recovery key of the attempt that died was shown to nobody; a new one takes its place.
fn finish(store: &dyn Store, admin: &Credential, recovery: &Credential, label: &str) -> Result<Founded, Error> {
    let exists = || Error::Exists { place: store.place() };
    let config = opening::read_config(store, &Silent)?;
    let slots = slots::all(store)?;
    let opened = match unlock(&config.repository, &slots, admin) {
        Ok(opened) if opened.bundle.role().may_certify() => opened,
        Ok(_) | Err(keys::Error::NotOpened { .. }) => return Err(exists()),
        Err(error) => return Err(error.into()),
    };
    opened.bundle.check_config(&config)?;
    slots::complete(store, opened.slot)?;
    let now = Timestamp::now().seconds;
    let recovery_slot = slots::put(store, slot::seal(&opened.bundle, recovery, now)?)?;
    put_config(store, &opened.bundle, &config)?;
    if let Err(error) = certify_founder(store, &opened.bundle, &config, label, now) {
        if matches!(error, Error::Exists { .. }) {
            slots::discard(store, recovery_slot)?;
        }
        return Err(error);
    }
    for (id, _) in slots.into_iter().filter(|(id, _)| *id != opened.slot) {
        slots::discard(store, id)?;
    }
    Ok(Founded { repository: config.repository, slot: opened.slot, recovery_slot })
}

fn certify_founder(store: &dyn Store, bundle: &Bundle, config: &Config, label: &str, now: i64) -> Result<(), Error> {
    let principal = bundle.principal();
    let cert = Cert {
        signing: principal.signing_key().public(),
        sealing: principal.sealing_key(),
        role: bundle.role(),
        label: label.to_owned(),
        trusts: Vec::new(),
        may_attest: true,
    };
    let state = State::new(config.repository, config.admin, config.hash());
    let log = log::Log { state, doubts: Vec::new(), beyond: Vec::new(), notes: Vec::new() };
    let key = bundle.admin_signing_key().ok_or(Error::Role { role: bundle.role(), action: "founding a repository" })?;
    let author = Author { principal: bundle.principal_id(), key: &key };
    let keys = bundle.current();
    let sealing = Sealing { epoch: keys.epoch, suite: config.suite, index_key: &keys.index };
    match log::append(store, &log, (&Decision::Cert(cert), now), author, sealing)? {
        Appended::Done { second_copy: None, .. } => Ok(()),
        Appended::Done { second_copy: Some(error), .. } => Err(error.into()),
        Appended::Taken => Err(Error::Exists { place: store.place() }),
    }
}

/// Puts the config. The first copy is put once and never touched again: whose it is founds the repository. Returns whether
/// it is this one.
fn put_config(store: &dyn Store, bundle: &Bundle, config: &Config) -> Result<bool, Error> {
    let key = bundle.admin_signing_key().ok_or(Error::Role { role: bundle.role(), action: "founding a repository" })?;
    let name = Name::Config(Copy::First);
    let written = frame::write(&config.repository, &name, &config.encode(), None, &key);
    let mut stored = written.stored;
    for copy in Copy::BOTH {
        if store.put(&Name::Config(copy).object(), &stored)? == Put::Exists {
            // "Exists" can be our own put, repeated; or that of a founding that died, which was padded otherwise.
            let theirs = objects::get(store, &Name::Config(copy))?.unwrap_or_default();
            match Frame::read(&name, &theirs) {
                Ok(frame) if frame.digest() == written.digest => {
                    stored = frame.healed().map_or_else(|| theirs.clone(), <[u8]>::to_vec);
                }
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// Whether the store holds a repository at all, judged by the listing of its config.
///
/// # Errors
/// When the store fails.
pub(super) fn exists(store: &dyn Store) -> Result<bool, Error> {
    for copy in Copy::BOTH {
        if objects::get(store, &Name::Config(copy))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether other objects of a repository are there, when its config is not.
///
/// # Errors
/// When the store fails.
pub(super) fn remains(store: &dyn Store) -> Result<bool, Error> {
    for folder in [names::SESSIONS, names::PACKS, names::INDEXES] {
        if !store.list(folder)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
