//! Bringing forgotten snapshots back: all of which every chunk still lies somewhere that no prune has given up (I12).

use super::Error;
use super::freed::{Fault, skeleton};
use crate::event::Sink;
use crate::ops::host::Host;
use crate::repo::chunk_index::Place;
use crate::repo::chunks;
use crate::repo::id::{ChunkId, ChunkKind, PackId, SnapshotId};
use crate::repo::log::Part;
use crate::repo::names::IndexClass;
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{self, Forgotten, Repository, Snapshot};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What became of them.
#[derive(Debug, Clone, Default)]
pub struct Undone {
    /// Those that are back, oldest first.
    pub back: Vec<Snapshot>,
    /// Those of which something is gone: they stay forgotten.
    pub lost: Vec<Snapshot>,
}

/// Brings these back as far as all is there that they hold; those that are not forgotten are passed over.
///
/// # Errors
/// When the role does not maintain, or the store fails: then they are back as a whole or not at all.
pub fn undo(
    repository: &mut Repository,
    host: &Host,
    ids: &BTreeSet<SnapshotId>,
    events: &dyn Sink,
) -> Result<Undone, Error> {
    let role = repository.bundle().role();
    if !role.may_maintain() {
        return Err(repository::Error::Role { role, action: "bringing forgotten snapshots back" }.into());
    }
    loop {
        let forgotten = repository.forgotten().into_iter().filter(|one| ids.contains(&one.snapshot.id));
        let undone = divide(repository, host, forgotten, events)?;
        let back: Vec<SnapshotId> = undone.back.iter().map(|snapshot| snapshot.id).collect();
        if back.is_empty() || repository.unforget(back)? {
            return Ok(undone);
        }
    }
}

fn divide(
    repository: &Repository,
    host: &Host,
    forgotten: impl Iterator<Item = Forgotten>,
    events: &dyn Sink,
) -> Result<Undone, Error> {
    let reader = host.reader(repository, &IndexClass::BOTH, DEFAULT_CACHE)?;
    let mut check = Check { repository, reader, packs: repository.list_packs()?, whole: HashSet::new() };
    let mut undone = Undone::default();
    for Forgotten { snapshot, .. } in forgotten {
        if check.is_whole(snapshot.structure.root, events)? {
            undone.back.push(snapshot);
        } else {
            undone.lost.push(snapshot);
        }
    }
    Ok(undone)
}

struct Check<'a> {
    repository: &'a Repository,
    reader: Reader,
    packs: BTreeMap<PackId, u64>,
    /// Pages of which everything is there, with all below them.
    whole: HashSet<ChunkId>,
}

impl Check<'_> {
    fn is_whole(&mut self, root: ChunkId, events: &dyn Sink) -> Result<bool, Error> {
        let (mut seen, mut pending) = (HashSet::new(), vec![root]);
        while let Some(id) = pending.pop() {
            if self.whole.contains(&id) || !seen.insert(id) {
                continue;
            }
            if events.stopping() {
                return Err(repository::Error::from(chunks::Error::Stopped).into());
            }
            if !self.is_there(ChunkKind::Skeleton, &id) {
                return Ok(false);
            }
            let refers = match skeleton(&self.reader, &id) {
                Ok(refers) => refers,
                Err(Fault::Store(error)) => return Err(repository::Error::from(error).into()),
                Err(Fault::Damage(_)) => return Ok(false),
            };
            let data = refers.data.iter().all(|data| self.is_there(ChunkKind::Data, data));
            if !data || !self.is_there(ChunkKind::Payload, &refers.payload) {
                return Ok(false);
            }
            pending.extend(refers.children);
        }
        // The root was reached by nothing that is missing, and so was everything below it.
        self.whole.extend(seen);
        Ok(true)
    }

    /// Whether a chunk, with what it is made from, lies in packs that are there and of which nothing was given up.
    fn is_there(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        // A base is no delta itself.
        let plain = |base: &ChunkId| {
            let places = self.reader.index().places(ChunkKind::Data, base);
            places.iter().any(|place| place.segment.bases.is_empty() && self.lies(place))
        };
        let places = self.reader.index().places(kind, id);
        places.iter().any(|place| self.lies(place) && place.segment.bases.iter().all(plain))
    }

    fn lies(&self, place: &Place) -> bool {
        self.packs.get(&place.pack.id) == Some(&place.pack.length) && !self.was_final(place.pack.id)
    }

    fn was_final(&self, pack: PackId) -> bool {
        let parts = Part { pack, segment: None }..=Part { pack, segment: Some(u32::MAX) };
        self.repository.log().state.ledger().finals.range(parts).next().is_some()
    }
}
