//! What new snapshots need of packs that were given up at the copy.
//!
//! A copy that keeps snapshots for a shorter time has pruned packs that the source still relies on: the next snapshot there may use a
//! chunk of an old one. A pack that was ever FINAL does not come back under its name, so such chunks come in new packs.

use super::Summary;
use crate::event::Sink;
use crate::ops::forget::{Fault, skeleton};
use crate::ops::host::Host;
use crate::repo::chunk_index::{ChunkIndex, Place};
use crate::repo::chunks;
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, PackId, SnapshotId};
use crate::repo::names::{IndexClass, Name};
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{Error, Indexes, Repository, Wanted};
use crate::repo::segment::SegmentDescriptor;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What is to come in new packs.
#[derive(Debug, Default)]
pub struct Needed {
    /// Segments of packs of the source.
    pub wanted: Vec<Wanted>,
    /// The wraps of their data keys.
    pub wraps: HashMap<DataKeyId, Vec<u8>>,
    /// Snapshots that cannot come, and why.
    pub short: BTreeMap<SnapshotId, String>,
}

/// Walks the catalogs of these snapshots of the source. With `whole`, a snapshot that needs anything given up at the copy is short.
///
/// # Errors
/// When a store fails, or somebody asked to stop.
pub fn find(
    host: &Host,
    source: &Repository,
    copy: &Repository,
    ids: &BTreeSet<SnapshotId>,
    whole: bool,
    so_far: &Summary,
    events: &dyn Sink,
) -> Result<Needed, Error> {
    let reader = host.reader(source, &IndexClass::BOTH, DEFAULT_CACHE)?;
    let ledger = copy.log().state.ledger();
    let there = copy.list_packs()?.into_keys().filter(|id| !ledger.any_absent(id)).collect();
    let lost = so_far.lost.keys().filter_map(|name| match name {
        Name::Pack(id) => Some(*id),
        _ => None,
    });
    let own = Indexes::load(copy, &IndexClass::BOTH)?.chunks;
    let mut walk = Walk {
        source,
        reader: &reader,
        own,
        there,
        lost: lost.collect(),
        brought: HashMap::new(),
        rows: BTreeMap::new(),
    };
    let (mut needed, mut seen) = (Needed::default(), HashSet::new());
    for snapshot in source.snapshots().iter().filter(|snapshot| ids.contains(&snapshot.id)) {
        if whole {
            seen.clear();
        }
        let before = walk.rows.len();
        match walk.take(snapshot.structure.root, &mut seen, events)? {
            Some(why) => drop(needed.short.insert(snapshot.id, why)),
            None if whole && walk.rows.len() > before => {
                walk.rows.clear();
                walk.brought.clear();
                let why =
                    "it needs what was pruned at the copy; a sync with an admin's keys brings that back".to_owned();
                needed.short.insert(snapshot.id, why);
            }
            None => {}
        }
    }
    for (_, row) in walk.rows.values().flatten() {
        needed.wraps.entry(row.key_id).or_insert_with(|| source.wrap_of(reader.index(), &row.key_id));
    }
    let wanted = |(pack, rows): (PackId, BTreeMap<u64, Arc<SegmentDescriptor>>)| Wanted {
        pack,
        rows: rows.into_values().collect(),
    };
    needed.wanted = walk.rows.into_iter().map(wanted).collect();
    Ok(needed)
}

struct Walk<'a> {
    source: &'a Repository,
    reader: &'a Reader,
    /// What the copy's own indexes say.
    own: ChunkIndex,
    /// Packs at the copy that may be relied on.
    there: HashSet<PackId>,
    /// Packs that the source has lost.
    lost: HashSet<PackId>,
    /// Chunks that come in new packs; whether as they are.
    brought: HashMap<(ChunkKind, ChunkId), bool>,
    rows: BTreeMap<PackId, BTreeMap<u64, Arc<SegmentDescriptor>>>,
}

impl Walk<'_> {
    /// Walks one catalog. Returns why it cannot come, if it cannot.
    fn take(&mut self, root: ChunkId, seen: &mut HashSet<ChunkId>, events: &dyn Sink) -> Result<Option<String>, Error> {
        let mut pending = vec![root];
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            if events.stopping() {
                return Err(chunks::Error::Stopped.into());
            }
            let refers = match skeleton(self.reader, &id) {
                Ok(refers) => refers,
                Err(Fault::Store(error)) => return Err(error.into()),
                Err(Fault::Damage(why)) => {
                    // The page below may be all right elsewhere; another snapshot must not take it for seen.
                    seen.remove(&id);
                    return Ok(Some(format!("page {id} of its catalog cannot be read at the source: {why}")));
                }
            };
            let chunks = [(ChunkKind::Skeleton, id), (ChunkKind::Payload, refers.payload)];
            let data = refers.data.into_iter().map(|data| (ChunkKind::Data, data));
            for (kind, chunk) in chunks.into_iter().chain(data) {
                self.need(kind, chunk, false);
            }
            pending.extend(refers.children);
        }
        Ok(None)
    }

    /// Sees to it that a chunk is at the copy, `plain` where a delta is made from it. What the source has lost cannot be helped here.
    fn need(&mut self, kind: ChunkKind, id: ChunkId, plain: bool) {
        if self.brought.get(&(kind, id)).is_some_and(|as_it_is| *as_it_is || !plain) || self.is_there(kind, &id, plain)
        {
            return;
        }
        let ledger = self.source.log().state.ledger();
        let places = self.reader.index().places(kind, &id);
        let of_use = |place: &&Place| !self.lost.contains(&place.pack.id) && (!plain || place.segment.bases.is_empty());
        let found = places.iter().filter(of_use).min_by_key(|place| ledger.any_absent(&place.pack.id));
        let Some(place) = found else { return };
        let as_it_is = place.segment.bases.is_empty();
        for id in &place.segment.ids {
            let known = self.brought.entry((kind, *id)).or_default();
            *known |= as_it_is;
        }
        self.rows.entry(place.pack.id).or_default().insert(place.segment.offset, Arc::clone(&place.segment));
        for base in place.segment.bases.clone() {
            self.need(kind, base, true);
        }
    }

    fn is_there(&self, kind: ChunkKind, id: &ChunkId, plain: bool) -> bool {
        [self.reader.index(), &self.own].into_iter().any(|index: &ChunkIndex| {
            index.places(kind, id).iter().any(|place| {
                let based = || place.segment.bases.iter().all(|base| self.is_there(kind, base, true));
                let of_use = place.segment.bases.is_empty() || (!plain && based());
                self.there.contains(&place.pack.id) && of_use
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::Suite;
    use crate::crypto::secret::Secret;
    use crate::event::Silent;
    use crate::repo::chunk_index::IndexedPack;
    use crate::repo::id::WriterId;
    use crate::repo::keys::credential::Credential;
    use crate::repo::reader::KeyRing;
    use crate::repo::repository::found;
    use crate::repo::segment::{Codec, Origin};
    use crate::store::memory::MemoryStore;

    fn segment(ids: &[u8], bases: &[u8]) -> SegmentDescriptor {
        let list = |ids: &[u8]| ids.iter().map(|id| ChunkId([*id; 32])).collect();
        SegmentDescriptor {
            kind: ChunkKind::Data,
            suite: Suite::Aes256Gcm,
            codec: if bases.is_empty() { Codec::Zstd } else { Codec::Delta },
            epoch: 1,
            offset: 0,
            length: 64,
            hash: [0; 32],
            key_id: DataKeyId([0; 32]),
            origin: Origin { writer: WriterId([7; 16]), seq: 1 },
            ids: list(ids),
            bases: list(bases),
        }
    }

    /// What a delta builds on comes along as another chunk's neighbour, though it lies elsewhere too.
    #[test]
    fn a_base_that_comes_anyway_does_not_come_twice() {
        let (store, key) = (Arc::new(MemoryStore::new()), Credential::RawKey(Secret::generate()));
        found(&*store, Suite::Aes256Gcm, &key, &Secret::generate(), "admin").unwrap();
        let source = Repository::open(store.clone(), &key, |_| None, Arc::new(Silent)).unwrap();
        let mut index = ChunkIndex::new();
        for (pack, ids, bases) in [(1, &[1][..], &[][..]), (2, &[1, 2], &[]), (3, &[3], &[1])] {
            index.add(IndexedPack { id: PackId([pack; 32]), length: 1000, good: true }, [segment(ids, bases)]);
        }
        let (index, bundle) = (Arc::new(index), source.bundle());
        let ring = KeyRing::new(bundle.clone(), Arc::clone(&index));
        let keys = bundle.chunk_keys().unwrap();
        let reader = Reader::new(store, source.id(), keys, ring, index, 0, Arc::new(Silent));
        let brought = |chunks: &[u8]| {
            let (source, reader) = (&source, &reader);
            let (own, there, lost) = (ChunkIndex::new(), HashSet::new(), HashSet::new());
            let (brought, rows) = (HashMap::new(), BTreeMap::new());
            let mut walk = Walk { source, reader, own, there, lost, brought, rows };
            chunks.iter().for_each(|id| walk.need(ChunkKind::Data, ChunkId([*id; 32]), false));
            walk.rows.into_keys().map(|pack| pack.0[0]).collect::<Vec<_>>()
        };
        assert_eq!(brought(&[2, 3]), [2, 3]);
        assert_eq!(brought(&[3]), [1, 3], "the first place is as good as any");
        assert_eq!(brought(&[1, 2]), [1, 2]);
    }
}
