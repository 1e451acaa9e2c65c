//! A repository that is followed: its snapshots now, and again whenever there are new ones. What a mount shows: all
//! complete ones, or those that the caller wants.
//!
//! Looking is cheap while nothing happens: two listings of names. Only when a session has ended or the log has grown is the
//! repository read again. Every snapshot keeps the number that this host gave it.
//!
//! What is shown is pinned, where these keys may write: a prune leaves it as it is, also once it is forgotten (I12 in `FORMAT.md`).

use super::host::Host;
use crate::crypto::hash;
use crate::event::{Event, Level};
use crate::mount::{Listing, MountedSnapshot, SnapshotList};
use crate::repo::entry::Timestamp;
use crate::repo::id::{PinId, SnapshotId};
use crate::repo::names::{IndexClass, Name};
use crate::repo::repository::{Error, Repository, Snapshot};
use crate::store::{ErrorKind, Store};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, mpsc};
use std::time::{Duration, Instant};

/// Whether a snapshot is to be shown.
pub type Wanted = Box<dyn Fn(&Snapshot) -> bool + Send + Sync>;

/// An open repository, followed.
pub struct Followed {
    host: Host,
    cache: usize,
    wanted: Wanted,
    now: Mutex<Now>,
}

struct Now {
    repository: Repository,
    mark: [u8; 32],
    listing: Listing,
    pins: Pins,
}

impl Followed {
    /// Follows a repository from its present state on; keeps about `cache` bytes of decoded segments.
    ///
    /// # Errors
    /// When the indexes cannot be read.
    pub fn new(host: Host, repository: Repository, cache: usize) -> Result<Self, Error> {
        Self::choosing(host, repository, cache, Box::new(Snapshot::is_complete))
    }

    /// The same; only the snapshots that are wanted, partial ones among them.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn choosing(host: Host, repository: Repository, cache: usize, wanted: Wanted) -> Result<Self, Error> {
        let mut repository = repository;
        // The mark comes first: what ends meanwhile is then seen by the next look.
        let mark = mark(&**repository.store())?;
        let mut pins = Pins::default();
        let renewed = pins.renew(&repository);
        // What was forgotten before the pin may be gone.
        let read = if renewed { repository.refresh() } else { Ok(()) };
        let listing = read.and_then(|()| listing(&host, &repository, cache, &wanted)).inspect_err(|_| {
            pins.outdated.extend(pins.held.take().map(|pin| pin.id));
            pins.release_outdated(&repository);
        })?;
        Ok(Self { host, cache, wanted, now: Mutex::new(Now { repository, mark, listing, pins }) })
    }

    fn look(&self, now: &mut Now) -> Result<(), Error> {
        let mark = mark(&**now.repository.store())?;
        if mark == now.mark && !now.pins.are_due(&now.repository) {
            return Ok(());
        }
        now.repository.refresh()?;
        if now.pins.are_due(&now.repository) && now.pins.renew(&now.repository) {
            now.repository.refresh()?;
        }
        self.host.remember(&now.repository);
        let shown = snapshots(&self.host, &now.repository, &self.wanted);
        // Sessions also end without a new snapshot, and then what is in memory stays good.
        if shown != now.listing.snapshots {
            now.listing = listing(&self.host, &now.repository, self.cache, &self.wanted)?;
        }
        now.mark = mark;
        // Only now is nothing shown any more that the pins before were for.
        now.pins.release_outdated(&now.repository);
        Ok(())
    }
}

/// How old a pin becomes before another one takes its place, in seconds: several of them fit into the days after which one counts no more.
/// By the clock that goes on while the machine sleeps.
const RENEWED: i64 = 24 * 3600;
/// How long after one could not be put it is tried again, in seconds.
const AGAIN: i64 = 60;
/// How long the end of a mount waits for the store to take its pins away; those that stay count no more after some days.
const FAREWELL: Duration = Duration::from_secs(3);

/// The pins that are held.
#[derive(Default)]
struct Pins {
    held: Option<Pin>,
    /// Those that were held before: what they were for may still be shown.
    outdated: Vec<PinId>,
    /// When one was tried to put last, in seconds since 1970.
    tried: i64,
    /// Nothing is shown any more.
    ended: bool,
}

struct Pin {
    id: PinId,
    since: i64,
    /// How many snapshots were forgotten when it was put.
    forgotten: usize,
}

impl Pins {
    /// Whether what the repository shows, as it was read, should be pinned anew.
    fn are_due(&self, repository: &Repository) -> bool {
        let now = Timestamp::now().seconds;
        let wanted = self.held.as_ref().is_none_or(|pin| {
            !(pin.since..pin.since.saturating_add(RENEWED)).contains(&now) || pin.forgotten != forgotten(repository)
        });
        wanted && !self.ended && !(self.tried..self.tried.saturating_add(AGAIN)).contains(&now)
    }

    /// Pins what the repository shows. Returns whether it could: whoever may not write shows it as long as it is there, and what was pinned
    /// before stays so.
    fn renew(&mut self, repository: &Repository) -> bool {
        let now = Timestamp::now().seconds;
        match repository.pin() {
            Ok(id) => {
                let pin = Pin { id, since: now, forgotten: forgotten(repository) };
                self.outdated.extend(self.held.replace(pin).map(|before| before.id));
                self.tried = 0;
                true
            }
            Err(error) => {
                let denied = matches!(&error, Error::Store(error) if error.kind == ErrorKind::Denied);
                // Said once, and tried all the same.
                let level = if denied || self.tried != 0 { Level::Debug } else { Level::Warning };
                let text = format!(
                    "what is forgotten and pruned from now on may vanish while it is read: no pin could be put: {error}"
                );
                repository.events().emit(Event::Message(level, text));
                self.tried = now;
                false
            }
        }
    }

    /// Takes away what was held before. One that stays costs space for some days, and nothing else: many readers may not delete.
    fn release_outdated(&mut self, repository: &Repository) {
        self.outdated.drain(..).for_each(|id| _ = repository.unpin(&id));
    }
}

fn forgotten(repository: &Repository) -> usize {
    repository.log().state.ledger().forgotten.len()
}

impl Followed {
    /// Takes the pins away: nothing is shown any more. Whoever still looks, on a thread of its own, pins nothing after this.
    pub fn end(&self) {
        let until = Instant::now() + FAREWELL;
        // A look that a store holds up holds up no end.
        while Instant::now() < until {
            match self.now.try_lock() {
                Ok(mut now) => return now.let_go(until),
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner().let_go(until),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let now = self.now.get_mut().unwrap_or_else(PoisonError::into_inner);
        now.let_go(Instant::now() + FAREWELL);
    }
}

impl Now {
    /// Takes the pins away, and waits for that no longer than `until`.
    fn let_go(&mut self, until: Instant) {
        let Pins { held, outdated, .. } = std::mem::replace(&mut self.pins, Pins { ended: true, ..Pins::default() });
        let ids = held.map(|pin| pin.id).into_iter().chain(outdated);
        let names: Vec<_> = ids.map(|id| Name::Pin(id).object()).collect();
        if names.is_empty() {
            return;
        }
        let store = Arc::clone(self.repository.store());
        let (done, finished) = mpsc::channel();
        let farewell = std::thread::Builder::new().spawn(move || {
            names.iter().for_each(|name| _ = store.delete(name));
            let _ = done.send(());
        });
        if farewell.is_ok() {
            let _ = finished.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
    }
}

impl SnapshotList for Followed {
    fn list(&self) -> Result<Listing, Box<dyn std::error::Error + Send + Sync>> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut now)?;
        Ok(now.listing.clone())
    }
}

/// Which sessions have ended, and how long the log is.
fn mark(store: &dyn Store) -> Result<[u8; 32], Error> {
    let mut names = Vec::new();
    for object in store.list("sess")?.into_iter().chain(store.list("log")?) {
        if matches!(Name::parse(&object.name), Some(Name::End(_) | Name::Log(..))) {
            names.extend_from_slice(object.name.as_str().as_bytes());
            names.push(b'\n');
        }
    }
    Ok(hash::blake3(&names))
}

fn listing(host: &Host, repository: &Repository, cache: usize, wanted: &Wanted) -> Result<Listing, Error> {
    let source = Arc::new(host.reader(repository, &IndexClass::BOTH, cache)?);
    Ok(Listing { snapshots: snapshots(host, repository, wanted), source })
}

fn snapshots(host: &Host, repository: &Repository, wanted: &Wanted) -> Vec<MountedSnapshot> {
    let shown: Vec<&Snapshot> = repository.snapshots().iter().filter(|snapshot| wanted(snapshot)).collect();
    let ids: Vec<SnapshotId> = shown.iter().map(|snapshot| snapshot.id).collect();
    let numbers = host.state().snapshot_numbers(&repository.id(), &ids, &**repository.events());
    let mounted = |(snapshot, number): (&Snapshot, u32)| MountedSnapshot {
        id: snapshot.id,
        number,
        time: snapshot.time(),
        host: snapshot.host().to_owned(),
        paths: snapshot.paths().to_vec(),
        tags: snapshot.tags.clone(),
        root: snapshot.structure.root,
        partial: !snapshot.is_complete(),
    };
    shown.into_iter().zip(numbers).map(mounted).collect()
}
