//! Founding a repository: config, the admin's slot, the recovery slot, the first entry of the log.
//!
//! The config is put last: without it nothing is a repository, so a founding that died can simply be done again.

use super::{Error, objects, slots};
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::crypto::sign::SigningKey;
use crate::repo::config::Config;
use crate::repo::entry::Timestamp;
use crate::repo::frame::{self, Frame, Sealing};
use crate::repo::id::{RepositoryId, SlotId};
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::slot;
use crate::repo::log::{self, Appended, Author, Cert, Decision, State};
use crate::repo::names::{self, Copy, Name};
use crate::store::{Put, Store};

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
/// [`Error::Exists`] when there is a repository already; [`Error::NotEmpty`] when there are objects of one whose config is
/// gone. After any other error it can be tried again.
pub fn found(
    store: &dyn Store,
    suite: Suite,
    admin: &Credential,
    recovery: &Secret,
    label: &str,
) -> Result<Founded, Error> {
    clear_leftovers(store)?;
    let now = Timestamp::now().seconds;
    let seed = Secret::generate();
    let config = Config::new(suite, SigningKey::from_seed(&seed).public(), now);
    let bundle = Bundle::found(&config, seed)?;
    let slot = slots::put(store, slot::seal(&bundle, admin, now)?)?;
    let recovery = Credential::Recovery(recovery.clone());
    let recovery_slot = slots::put(store, slot::seal(&bundle, &recovery, now)?)?;
    certify_founder(store, &bundle, &config, label, now)?;
    put_config(store, &bundle, &config)?;
    Ok(Founded { repository: config.repository, slot, recovery_slot })
}

/// Removes what a founding left that died: it never had a config, so nobody can have stored anything.
fn clear_leftovers(store: &dyn Store) -> Result<(), Error> {
    let place = store.place();
    if objects::get(store, &Name::Config(Copy::First))?.is_some() {
        return Err(Error::Exists { place });
    }
    let mut leftovers = Vec::new();
    for listed in store.list("")? {
        match Name::parse(&listed.name) {
            Some(Name::Slot(..) | Name::Log(0, _) | Name::Config(Copy::Second)) => leftovers.push(listed.name),
            _ => return Err(Error::NotEmpty { place, what: listed.name.to_string() }),
        }
    }
    // Not left over at all, if somebody else came to the end while we listed.
    if objects::get(store, &Name::Config(Copy::First))?.is_some() {
        return Err(Error::Exists { place });
    }
    for name in leftovers {
        store.delete(&name)?;
    }
    Ok(())
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
    let log = log::Log { state, doubts: Vec::new(), notes: Vec::new() };
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

/// The spare copy first: the moment that the other stands, the repository does.
fn put_config(store: &dyn Store, bundle: &Bundle, config: &Config) -> Result<(), Error> {
    let key = bundle.admin_signing_key().ok_or(Error::Role { role: bundle.role(), action: "founding a repository" })?;
    let name = Name::Config(Copy::First);
    let written = frame::write(&config.repository, &name, &config.encode(), None, &key);
    for copy in [Copy::Second, Copy::First] {
        if store.put(&Name::Config(copy).object(), &written.stored)? == Put::Exists {
            let theirs = objects::get(store, &Name::Config(copy))?.and_then(|stored| Frame::read(&name, &stored).ok());
            if theirs.is_none_or(|frame| frame.digest() != written.digest) {
                return Err(Error::Exists { place: store.place() });
            }
        }
    }
    Ok(())
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
