//! The log as a repository reads it: from the newest checkpoint on where that can be, with the epochs that it hands out.

use super::{Error, objects};
use crate::crypto::hash;
use crate::crypto::hpke::SealingKey;
use crate::crypto::secret::Secret;
use crate::repo::census::Census;
use crate::repo::config::Config;
use crate::repo::frame::{Cause, Frame};
use crate::repo::id::CensusId;
use crate::repo::keys;
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::epoch::{EpochKeys, key_set, unwrap_epoch};
use crate::repo::log::{self, Head, Log, Source, State};
use crate::repo::names::{Copy, Name};
use crate::repo::wire;
use crate::store::Store;
use crate::store::overview::Overview;
use std::cell::RefCell;
use std::sync::Arc;

/// A reading of the log that has begun, with how far it went then.
pub(super) struct LogReading<'a> {
    store: &'a dyn Store,
    from: From<'a>,
    /// What was listed before.
    overview: Option<&'a Overview>,
    pin: Option<Head>,
}

/// How far the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// To its end, which is asked for by name (I9).
    End,
    /// As far as it was listed.
    Listed,
}

enum From<'a> {
    /// Nothing is known but what was listed.
    Listing(Source<'a>),
    /// It was read before.
    Earlier(&'a Log),
}

impl<'a> LogReading<'a> {
    /// Begins: behind `earlier`, if that verified, else with what `overview` shows. `pin` is the newest entry that this host remembers.
    pub fn begin(
        store: &'a dyn Store,
        (overview, extent): (&'a Overview, Extent),
        earlier: Option<&'a Log>,
        pin: Option<Head>,
    ) -> Result<Self, Error> {
        let from = match earlier.filter(|log| log.stopped().is_none()) {
            Some(log) => From::Earlier(log),
            None => {
                let source = Source::seen(store, overview).map_err(Error::Log)?;
                From::Listing(if extent == Extent::Listed { source.as_listed(pin) } else { source })
            }
        };
        Ok(Self { store, from, overview: Some(overview), pin })
    }

    /// The position behind the last one that was known when it began.
    pub fn seen(&self) -> u64 {
        match &self.from {
            From::Listing(source) => source.end(),
            From::Earlier(log) => log.end(),
        }
    }

    /// Reads to the end. The census is the newest checkpoint's, where that was read on the way.
    pub fn finish(self, config: &Config, bundle: &mut Bundle) -> Result<(Log, Option<Census>), Error> {
        let Self { store, from, overview, pin } = self;
        with_keys(store, bundle, |keys, known| match from {
            From::Earlier(earlier) => Ok((log::read_on(store, overview, earlier, keys)?, None)),
            From::Listing(source) => {
                if let Some(found) = since_checkpoint(store, &source, config, keys, known, pin) {
                    return Ok(found);
                }
                Ok((source.read_all(fresh(config), keys, pin)?, None))
            }
        })
    }

    /// All of it, from the first entry on.
    pub fn whole(store: &dyn Store, pin: Option<Head>, config: &Config, bundle: &mut Bundle) -> Result<Log, Error> {
        let source = Source::list(store).map_err(Error::Log)?;
        with_keys(store, bundle, |keys, _| Ok((source.read_all(fresh(config), keys, pin)?, None))).map(|(log, _)| log)
    }
}

/// Before the first entry.
fn fresh(config: &Config) -> State {
    State::new(config.repository, config.admin, config.hash())
}

type Reached = Result<(Log, Option<Census>), log::Error>;

/// Reads with the keys of a bundle; an epoch that it does not know yet comes from `keys/`.
fn with_keys(
    store: &dyn Store,
    bundle: &mut Bundle,
    read: impl FnOnce(&log::EpochKeys<'_>, &RefCell<&mut Bundle>) -> Reached,
) -> Result<(Log, Option<Census>), Error> {
    let learning = RefCell::new(bundle);
    let keys = |epoch: u32, read: Option<SealingKey>| -> Result<Secret, log::Cause> {
        let mut bundle = learning.borrow_mut();
        if let (true, Some(read)) = (bundle.epoch(epoch).is_err(), read) {
            learn_epoch(store, &mut bundle, epoch, read).map_err(|error| Arc::new(error) as log::Cause)?;
        }
        let keys = bundle.epoch(epoch).map_err(|error| Arc::new(error) as log::Cause)?;
        Ok(keys.index.clone())
    };
    let (log, census) = read(&keys, &learning)?;
    learn_current(store, learning.into_inner(), &log.state)?;
    Ok((log, census))
}

/// The log from the newest checkpoint on. Where anything is not as it should be there, reading all of it tells what.
fn since_checkpoint(
    store: &dyn Store,
    source: &Source<'_>,
    config: &Config,
    keys: &log::EpochKeys<'_>,
    bundle: &RefCell<&mut Bundle>,
    pin: Option<Head>,
) -> Option<(Log, Option<Census>)> {
    let known = |epoch: u32| bundle.borrow().epoch(epoch).ok().map(|keys| keys.index.clone());
    let newest = source.newest_checkpoint(&config.repository, &known, pin)?;
    let census = named_census(store, newest.census, &bundle.borrow()).ok()?;
    let log = source.read_since(&newest, &census, fresh(config), keys, pin).ok()??;
    let current = log.state.ledger().checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.census == newest.census);
    Some((log, current.then_some(census)))
}

/// The census that the newest CHECKPOINT names.
pub(super) fn read_census(store: &dyn Store, state: &State, bundle: &Bundle) -> Result<Option<Census>, Error> {
    let Some(checkpoint) = &state.ledger().checkpoint else { return Ok(None) };
    named_census(store, checkpoint.census, bundle).map(Some)
}

fn named_census(store: &dyn Store, id: CensusId, bundle: &Bundle) -> Result<Census, Error> {
    let mut failure = Error::CensusLost { object: Name::Census(id, Copy::First).to_string() };
    for copy in Copy::BOTH {
        let name = Name::Census(id, copy);
        let Some(stored) = objects::get(store, &name)? else { continue };
        match census_of(&name, &stored, id, bundle) {
            Ok(census) => return Ok(census),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

pub(super) fn census_of(name: &Name, stored: &[u8], id: CensusId, bundle: &Bundle) -> Result<Census, Error> {
    let invalid = |source| Error::Body { object: name.to_string(), source };
    let frame = Frame::read(name, stored)?;
    // The log is signed, and names the census by its bytes.
    if hash::sha256(frame.healed().unwrap_or(stored)) != id.0 {
        return Err(invalid(wire::Error::Invalid("its bytes are not what its name promises")));
    }
    let epoch = frame.epoch().ok_or_else(|| frame.fail(Cause::NotSealed))?;
    let plain = frame.unseal(&bundle.repository(), &bundle.epoch(epoch)?.index)?;
    Census::decode(&plain).map_err(invalid)
}

/// An epoch is in force from the entry that starts it, long before anything is sealed for it. Whoever was revoked gets no
/// keys of it, and is told so elsewhere.
fn learn_current(store: &dyn Store, bundle: &mut Bundle, state: &State) -> Result<(), Error> {
    if state.trust().active(&bundle.principal_id()).is_none() {
        return Ok(());
    }
    for (epoch, start) in state.trust().epochs() {
        if bundle.epoch(*epoch).is_err() {
            learn_epoch(store, bundle, *epoch, start.read)?;
        }
    }
    Ok(())
}

/// Takes the keys of an epoch that an admin left for this principal: those whose public read key the log names. Others may
/// lie beside them, drawn by an admin who came second.
fn learn_epoch(store: &dyn Store, bundle: &mut Bundle, epoch: u32, read: SealingKey) -> Result<(), Error> {
    let principal = bundle.principal_id();
    let published = Name::EpochKeys { epoch, principal };
    let mut failure = None;
    for name in [Name::EpochOffer { epoch, set: key_set(&read), principal }, published] {
        match objects::get(store, &name)?.map(|stored| open_keys(&name, &stored, bundle, read)) {
            Some(Ok(keys)) => return Ok(bundle.add_epoch(keys)?),
            Some(Err(error)) => failure = Some(error),
            None => {}
        }
    }
    // The store's own words for something that is not there.
    failure.map_or_else(|| store.get(&published.object()).map(drop).map_err(Error::from), Err)
}

fn open_keys(name: &Name, stored: &[u8], bundle: &Bundle, read: SealingKey) -> Result<EpochKeys, Error> {
    let frame = Frame::read(name, stored)?;
    frame.verify(&bundle.repository(), &bundle.admin_key())?;
    let keys = unwrap_epoch(frame.clear(), bundle)?;
    // A maintainer gets no read key; its keys are told apart by the name alone.
    match keys.read_public() {
        Some(found) if found != read => Err(keys::Error::EpochConflict(keys.epoch).into()),
        _ => Ok(keys),
    }
}
