//! Archive tiers: which packs a restore needs, which of them cannot be read now, and asking the place for these.
//!
//! What a catalog's pages say is needed is found by reading them: where pages are archived themselves, what lies behind them is found once
//! they are back.

use super::prune::Packs;
use super::select::{Judge, Select};
use crate::event::{Event, Level, Sink};
use crate::repo::catalog::{Placed, Tree};
use crate::repo::chunk_index::{ChunkIndex, Place};
use crate::repo::chunks::failure_of_store;
use crate::repo::entry::{Entry, EntryPath, Extent};
use crate::repo::id::{ChunkId, ChunkKind, PackId};
use crate::repo::names::Name;
use crate::repo::segment::Codec;
use crate::store::archive::Thaw;
use crate::store::{Error, ErrorKind, ObjectName, Store};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests at once: each waits for an answer and hardly carries anything.
const AT_ONCE: usize = 8;
/// How often it is looked whether a pack can be read, at first; each time half as often.
const LOOK: Duration = Duration::from_secs(5);
/// … and no less often than that.
const LOOK_AT_LEAST: Duration = Duration::from_secs(5 * 60);

/// What a restore reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needed {
    /// Packs, and their bytes.
    pub packs: BTreeMap<PackId, u64>,
    /// Whether pages of the catalog are archived: what is behind them is not among the packs.
    pub hidden: bool,
}

/// What was found of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Packs that are needed.
    pub needed: Packs,
    /// Those of them that cannot be read now.
    pub archived: Packs,
    /// About how many hours it takes until the last of these can be, once they were asked for.
    pub hours: u32,
    /// Which they are.
    pub pending: Vec<PackId>,
}

/// The packs that hold what is selected of a snapshot below `selection`.
pub fn needed(tree: &Tree, index: &ChunkIndex, selection: &EntryPath, select: &Select, events: &dyn Sink) -> Needed {
    let mut needed = Needed::default();
    let mut judge = Judge::new(select);
    for item in tree.walk(selection) {
        if events.stopping() {
            break;
        }
        match item {
            Ok((path, entry)) if judge.selects(&path) => needed.content(tree, index, &entry),
            Ok(_) => {}
            Err(error) => needed.unreadable(&error),
        }
    }
    if needed.hidden {
        for pack in index.packs().filter(|pack| needed.packs.get(&pack.id) == Some(&0)).collect::<Vec<_>>() {
            needed.packs.insert(pack.id, pack.length);
        }
    }
    needed
}

impl Needed {
    fn content(&mut self, tree: &Tree, index: &ChunkIndex, entry: &Entry) {
        for placed in tree.extents(entry).into_iter().flatten() {
            match placed {
                Ok(Placed { extent: Extent::Chunk { id, .. }, .. }) => self.chunk(index, &id),
                Ok(_) => {}
                Err(error) => self.unreadable(&error),
            }
        }
    }

    /// The place that a reader asks first, and those of what it is a difference to.
    fn chunk(&mut self, index: &ChunkIndex, id: &ChunkId) {
        let Some(Place { pack, segment, .. }) = index.best_place(ChunkKind::Data, id) else { return };
        self.packs.insert(pack.id, pack.length);
        for base in &segment.bases {
            let places = index.places(segment.kind, base);
            if let Some(plain) = places.iter().find(|place| place.segment.codec != Codec::Delta) {
                self.packs.insert(plain.pack.id, plain.pack.length);
            }
        }
    }

    /// A page that is archived lies in a pack that is needed. All else that is wrong the restore itself will tell.
    fn unreadable(&mut self, error: &(dyn std::error::Error + 'static)) {
        if let Some(pack) = archived(error) {
            self.packs.entry(pack).or_insert(0);
            self.hidden = true;
        }
    }
}

/// The pack in an archive tier that an error comes from, if it does.
fn archived(error: &(dyn std::error::Error + 'static)) -> Option<PackId> {
    let failure = failure_of_store(error).filter(|failure| failure.kind == ErrorKind::Archived)?;
    match Name::parse(&ObjectName::new(&failure.object)?) {
        Some(Name::Pack(id)) => Some(id),
        _ => None,
    }
}

/// Looks which of these packs are archived, and asks for them if it is told how.
///
/// # Errors
/// When the store fails, or refuses.
pub fn look(store: &dyn Store, needed: &Needed, how: Option<&Thaw>, events: &dyn Sink) -> Result<Found, Error> {
    let packs: Vec<(PackId, u64)> = needed.packs.iter().map(|(id, length)| (*id, *length)).collect();
    let speed = how.map(|how| how.speed).unwrap_or_default();
    let mut found = Found::default();
    packs.iter().for_each(|(_, length)| found.needed.count(*length));
    let (found, next) = (Mutex::new(found), Mutex::new(packs.iter()));
    let work = || {
        loop {
            let Some((id, length)) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else { return Ok(()) };
            if events.stopping() {
                return Ok(());
            }
            let name = Name::Pack(*id).object();
            let tier = match how {
                Some(how) => store.thaw(&name, how),
                None => store.facts(&name).map(|facts| facts.archive),
            };
            match tier {
                Ok(None) => {}
                Ok(Some(tier)) => {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.archived.count(*length);
                    found.hours = found.hours.max(tier.hours(speed));
                    found.pending.push(*id);
                }
                // The restore itself will tell, and may find another place.
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(packs.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("looking does not panic"))
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Waits until all of these packs can be read. Returns whether they can: `false` when somebody asked to stop.
///
/// # Errors
/// When the store fails.
pub fn wait(store: &dyn Store, mut pending: Vec<PackId>, events: &dyn Sink) -> Result<bool, Error> {
    let mut pause = LOOK;
    // One after the other: most are back when the first is, and nobody is asked about the others meanwhile.
    while let Some(id) = pending.last() {
        if events.stopping() {
            return Ok(false);
        }
        let tier = store.facts(&Name::Pack(*id).object()).map(|facts| facts.archive);
        match tier {
            Ok(Some(_)) => {
                events.emit(Event::Message(Level::Debug, format!("{} packs are not back yet", pending.len())));
                if !sleep(pause, events) {
                    return Ok(false);
                }
                pause = (pause * 2).min(LOOK_AT_LEAST);
                continue;
            }
            Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
            Ok(None) | Err(_) => {}
        }
        pending.pop();
    }
    Ok(true)
}

/// Sleeps, unless somebody asks to stop meanwhile.
fn sleep(length: Duration, events: &dyn Sink) -> bool {
    let end = Instant::now() + length;
    while Instant::now() < end {
        if events.stopping() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(200).min(end.saturating_duration_since(Instant::now())));
    }
    true
}
