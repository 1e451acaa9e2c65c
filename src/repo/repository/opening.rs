//! Opening: config, slots, bundle, the log with the epochs that it hands out, the sessions.

use super::reading_log::{Extent, LogReading, read_census};
use super::{Error, Repository, complaints, founding, objects, slots, snapshots};
use crate::crypto::hash;
use crate::event::{Event, Sink};
use crate::repo::census::{Census, Listed};
use crate::repo::config::Config;
use crate::repo::frame::{Cause, Frame};
use crate::repo::id::{RepositoryId, SlotId, SnapshotId};
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::unlock::{Unlocked, unlock};
use crate::repo::log::{self, Head, Log};
use crate::repo::names::{Copy, Name, SessionName};
use crate::repo::session_view::{self, View};
use crate::store::overview::Overview;
use crate::store::{ErrorKind, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

impl Repository {
    /// Opens the repository in `store`. `pin` says what log entry this host saw last of a repository, if any.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; what opens or holds together otherwise.
    pub fn open(
        store: Arc<dyn Store>,
        credential: &Credential,
        pin: impl FnOnce(&RepositoryId) -> Option<Head>,
        events: Arc<dyn Sink>,
    ) -> Result<Self, Error> {
        Self::open_looked(&look(&store, &*events)?, credential, pin, events)
    }

    /// As [`Self::open`], where somebody looked.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_looked(
        looked: &Looked,
        credential: &Credential,
        pin: impl FnOnce(&RepositoryId) -> Option<Head>,
        events: Arc<dyn Sink>,
    ) -> Result<Self, Error> {
        let (store, config) = (&looked.store, looked.config.clone());
        // Somebody may have thought about the password for long.
        let overview = match looked.overview.taken().elapsed() < LOOK_AGAIN {
            true => looked.overview.clone(),
            false => Overview::take(&**store)?,
        };
        let (config, Unlocked { slot, bundle, .. }) = unlock_config(&**store, &overview, config, credential, &*events)?;
        Self::open_with((Arc::clone(store), overview, looked.extent), config, bundle, slot, pin, events)
    }

    pub(super) fn open_with(
        (store, overview, extent): (Arc<dyn Store>, Overview, Extent),
        config: Config,
        mut bundle: Bundle,
        slot: SlotId,
        pin: impl FnOnce(&RepositoryId) -> Option<Head>,
        events: Arc<dyn Sink>,
    ) -> Result<Self, Error> {
        let pin = pin(&config.repository);
        let Read { log, view, found, overview } = read(&*store, (overview, extent), &config, &mut bundle, pin, None)?;
        let bundle = Arc::new(bundle);
        let snapshots = snapshots::of(&view, &bundle, &log.state);
        complaints::report(&log, &view, &*events);
        let (runs, committed) = (None, Mutex::default());
        Ok(Self { store, config, bundle, slot, log, view, found, overview, snapshots, events, runs, committed })
    }

    /// Opens another copy of the same repository, with the keys at hand.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_copy(
        &self,
        store: Arc<dyn Store>,
        pin: impl FnOnce(&RepositoryId) -> Option<Head>,
        events: Arc<dyn Sink>,
    ) -> Result<Self, Error> {
        let overview = Overview::take(&*store)?;
        Self::open_with(
            (store, overview, Extent::End),
            self.config.clone(),
            (*self.bundle).clone(),
            self.slot,
            pin,
            events,
        )
    }

    /// The census that the newest CHECKPOINT names, as the log is by now.
    pub(super) fn census_now(&self) -> Result<Option<Census>, Error> {
        let mut bundle = (*self.bundle).clone();
        let log = self.log_now(&mut bundle)?;
        read_census(&*self.store, &log.state, &bundle)
    }

    fn log_now(&self, bundle: &mut Bundle) -> Result<Log, Error> {
        let reading =
            LogReading::begin(&*self.store, (&self.overview, Extent::End), Some(&self.log), self.log.state.head())?;
        Ok(reading.finish(&self.config, bundle)?.0)
    }

    /// The whole log, from its first entry on: opening begins with the newest checkpoint.
    ///
    /// # Errors
    /// When it cannot be read, or does not hold what this host remembers.
    pub fn whole_log(&self) -> Result<Log, Error> {
        let mut bundle = (*self.bundle).clone();
        LogReading::whole(&*self.store, self.log.state.head(), &self.config, &mut bundle)
    }

    /// Reads sessions and log again: new snapshots appear, forgotten ones are gone.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.refresh_seeing(&[])
    }

    /// As [`Self::refresh`], after what lies below these prefixes was listed: see [`Self::overview`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh_seeing(&mut self, prefixes: &[&'static str]) -> Result<(), Error> {
        let mut bundle = (*self.bundle).clone();
        let known = Some((&self.log, &self.found));
        let overview = Overview::take(&*self.store)?.seeing(&*self.store, prefixes)?;
        let head = self.log.state.head();
        let Read { log, view, found, overview } =
            read(&*self.store, (overview, Extent::End), &self.config, &mut bundle, head, known)?;
        (self.log, self.view, self.found, self.bundle) = (log, view, found, Arc::new(bundle));
        self.overview = overview;
        self.snapshots = snapshots::of(&self.view, &self.bundle, &self.log.state);
        Ok(())
    }

    /// Why the log, as it is by now, does not let the record of `session` count, though its put was won: a checkpoint that
    /// covers the session without its record (I10), or a REVOKE that does not name it.
    pub(super) fn is_void(&self, session: SessionName, record: &SnapshotId) -> Result<Option<&'static str>, Error> {
        let mut bundle = (*self.bundle).clone();
        let known = self.log.state.ledger().checkpoint_number();
        let log = self.log_now(&mut bundle)?;
        let me = log.state.trust().principal(&self.bundle.principal_id());
        let revoked = me.and_then(|principal| principal.revoked.as_ref());
        if revoked.is_some_and(|revoked| !revoked.accepted.contains(&(session.writer, *record))) {
            return Ok(Some("this principal was revoked before it committed"));
        }
        if log.state.ledger().checkpoint_number() == known {
            return Ok(None);
        }
        let census = read_census(&*self.store, &log.state, &bundle)?;
        let covered = census.is_some_and(|census| {
            let listed = |listed: &Listed| hash::sha256(&listed.record) == record.0;
            session.seq <= census.watermark(&session.writer) && !census.records.iter().any(listed)
        });
        Ok(covered.then_some("a checkpoint closed it before it committed"))
    }
}

/// Whether a census has passed over a session: what its objects say counts no more.
pub(super) fn covers(census: &Census, session: &SessionName) -> bool {
    session.seq <= census.watermark(&session.writer)
}

/// Opens a bundle and holds the config against it; where that fails, the config's other copy, if it says something else. The first may
/// be another repository's, put in its place.
fn unlock_config(
    store: &dyn Store,
    overview: &Overview,
    config: Config,
    credential: &Credential,
    events: &dyn Sink,
) -> Result<(Config, Unlocked), Error> {
    let try_with = |config: Config| {
        let unlocked = unlock_any(store, overview, &config.repository, credential, events)?;
        unlocked.bundle.check_config(&config)?;
        Ok::<_, Error>((config, unlocked))
    };
    let error = match try_with(config.clone()) {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    match read_spare_config(store)?.filter(|spare| *spare != config) {
        None => Err(error),
        Some(spare) => {
            let opened = try_with(spare).map_err(|_| error)?;
            let object = Name::Config(Copy::First).to_string();
            let what = "it is the config of another repository; its other copy is good".to_owned();
            events.emit(Event::Damage { object, what, healed: true });
            Ok(opened)
        }
    }
}

/// The second copy of the config, if it is a config at all.
fn read_spare_config(store: &dyn Store) -> Result<Option<Config>, Error> {
    let name = Name::Config(Copy::Second);
    let Some(stored) = objects::get(store, &name)? else { return Ok(None) };
    let frame = Frame::read(&name, &stored).ok();
    let decoded = frame.and_then(|frame| Some((Config::decode(frame.clear()).ok()?, frame)));
    Ok(decoded
        .filter(|(config, frame)| frame.verify(&config.repository, &config.admin).is_ok())
        .map(|(config, _)| config))
}

/// Opens a slot by its first copy that can be read; only where that fails, by a second copy that differs from its first.
fn unlock_any(
    store: &dyn Store,
    overview: &Overview,
    repository: &RepositoryId,
    credential: &Credential,
    events: &dyn Sink,
) -> Result<Unlocked, Error> {
    let error = match unlock(repository, &slots::seen(store, overview)?, credential) {
        Ok(unlocked) => return Ok(unlocked),
        Err(error) => error,
    };
    let spare = slots::differing(store)?;
    if spare.is_empty() {
        return Err(error.into());
    }
    let unlocked = unlock(repository, &spare, credential).map_err(|_| error)?;
    let object = Name::Slot(unlocked.slot, Copy::First).to_string();
    let what = "it is not what was stored; its other copy is good".to_owned();
    events.emit(Event::Damage { object, what, healed: true });
    Ok(unlocked)
}

/// How often log and sessions are read, at most, because others decided so much meanwhile.
const ATTEMPTS: u32 = 4;

/// Log and sessions, read in the order that the protocol asks for: what is listed first is judged by a log read later.
struct Read {
    log: Log,
    view: View,
    found: session_view::All,
    overview: Overview,
}

/// Reads what `overview` shows, on from `known`, if there is an earlier reading; else `pin` is the entry that this host remembers.
fn read(
    store: &dyn Store,
    (mut overview, extent): (Overview, Extent),
    config: &Config,
    bundle: &mut Bundle,
    pin: Option<Head>,
    known: Option<(&Log, &session_view::All)>,
) -> Result<Read, Error> {
    let mut attempts = 1..ATTEMPTS;
    let nothing = session_view::All::new();
    let mut earlier: Option<(Log, session_view::All)> = None;
    let (found, log, census) = loop {
        let known = earlier.as_ref().map(|(log, found)| (log, found)).or(known);
        let log = LogReading::begin(store, (&overview, extent), known.map(|(log, _)| log), pin)?;
        let found = session_view::read(store, &overview, known.map_or(&nothing, |(_, found)| found), |_| 0)?;
        let seen = log.seen();
        let (log, census) = log.finish(config, bundle)?;
        // What was decided after the sessions were listed may count on a session that is not among them: packs are gone, and their copies unheard of.
        if seen < log.end() && attempts.next().is_some() {
            earlier = Some((log, found));
            overview = overview.anew(store)?;
            continue;
        }
        let next = Name::Log(log.end(), Copy::First).object();
        match census.map_or_else(|| read_census(store, &log.state, bundle), |census| Ok(Some(census))) {
            Ok(census) => break (found, log, census),
            // Two checkpoints were made meanwhile, and what was the newest census is gone.
            Err(_) if store.length(&next).is_ok() && attempts.next().is_some() => {
                earlier = Some((log, found));
                overview = overview.anew(store)?;
            }
            Err(error) => return Err(error),
        }
    };
    let keys = |epoch: u32| match bundle.epoch(epoch) {
        Ok(keys) => Ok(keys.index.clone()),
        Err(error) => Err(Arc::new(error) as log::Cause),
    };
    check_standing(&log, bundle)?;
    let view = View::judge(&log.state, census.as_ref(), &found, &keys)?;
    Ok(Read { log, view, found, overview })
}

/// Only who is certified and was not revoked has any business here.
fn check_standing(log: &Log, bundle: &Bundle) -> Result<(), Error> {
    let state = &log.state;
    let principal = bundle.principal_id();
    if state.trust().active(&principal).is_some() {
        return Ok(());
    }
    let known = state.trust().principal(&principal).is_some();
    if let Some(doubt) = log.stopped().filter(|_| !known) {
        return Err(Error::Doubted(doubt.clone()));
    }
    if state.head().is_none() {
        return Err(Error::Unfounded);
    }
    let why = if known { "revoked: these keys no longer count" } else { "not certified in the log" };
    Err(Error::Principal { principal, why })
}

/// After so long what a look showed is not what one would see now.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A place where a repository is, as far as this can be told without keys.
#[derive(Clone)]
pub struct Looked {
    store: Arc<dyn Store>,
    config: Config,
    overview: Overview,
    extent: Extent,
}

impl Looked {
    /// The same for who decides nothing before [`Repository::refresh`], but what is entered at exactly the next position of the log: what
    /// was entered there since the look is not asked for.
    #[must_use]
    pub fn at_a_glance(self) -> Self {
        Self { extent: Extent::Listed, ..self }
    }

    /// The place.
    pub const fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

/// Looks whether a repository can be opened at that place as far as this can be told without keys: so that nobody is asked for a
/// password where there is none.
///
/// # Errors
/// [`Error::NotFound`], [`Error::ConfigLost`], or the store's failure.
pub fn look(store: &Arc<dyn Store>, events: &dyn Sink) -> Result<Looked, Error> {
    let place = || store.place();
    let overview = Overview::take(&**store).map_err(|error| match error.kind {
        ErrorKind::NoStore => Error::NotFound { place: place() },
        _ => error.into(),
    })?;
    let config = read_config(&**store, events)?;
    Ok(Looked { store: Arc::clone(store), config, overview, extent: Extent::End })
}

/// The config of a repository, whichever copy is good. It proves itself only against a bundle.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::ConfigLost`] when objects are there and no good config.
pub(super) fn read_config(store: &dyn Store, events: &dyn Sink) -> Result<Config, Error> {
    let accept = |frame: &Frame| {
        let config = Config::decode(frame.clear()).map_err(|error| frame.fail(Cause::Format(error)))?;
        frame.verify(&config.repository, &config.admin)
    };
    let place = store.place();
    match objects::either(store, Name::Config, accept, events) {
        Ok(Some(frame)) => {
            Config::decode(frame.clear()).map_err(|source| Error::Body { object: "config".to_owned(), source })
        }
        Ok(None) if founding::remains(store)? => Err(Error::ConfigLost { reason: "neither exists".to_owned() }),
        Ok(None) => Err(Error::NotFound { place }),
        Err(Error::Store(error)) if error.kind == ErrorKind::NoStore => Err(Error::NotFound { place }),
        Err(Error::Frame(error)) if founding::exists(store)? => Err(Error::ConfigLost { reason: error.to_string() }),
        Err(error) => Err(error),
    }
}
