//! Which chunk lies where: every place that the accepted indexes name, and which of them may be relied on.
//!
//! Readers ask for all places, good ones first. Writers ask only whether a *good* place exists: deduplicating against a
//! place that somebody hostile made up would lose data. The index is derived; the packs' own tables can always rebuild it.

use super::id::{ChunkId, ChunkKind, PackId};
use super::segment::SegmentDescriptor;
use std::collections::HashMap;
use std::sync::Arc;

/// A pack that some index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedPack {
    /// Its name.
    pub id: PackId,
    /// Its length in bytes.
    pub length: u64,
    /// Whether its chunks may be relied on by this writer: origin trusted, and neither condemned nor ever final.
    pub good: bool,
}

/// One place of one chunk.
#[derive(Debug, Clone)]
pub struct Place {
    /// The pack.
    pub pack: IndexedPack,
    /// The segment inside it, with what opening it needs.
    pub segment: Arc<SegmentDescriptor>,
    /// The segment's number in this index: what caches key decoded segments by.
    pub segment_number: u32,
    /// Which chunk of the segment.
    pub position: u32,
}

/// The place of a chunk as numbers: 8 bytes in the map instead of pointers.
#[derive(Debug, Clone, Copy)]
struct Spot {
    segment: u32,
    position: u32,
}

/// All places of all chunks, in memory.
#[derive(Debug, Default)]
pub struct ChunkIndex {
    packs: Vec<IndexedPack>,
    segments: Vec<(u32, Arc<SegmentDescriptor>)>,
    /// The best place of each chunk.
    first: HashMap<(ChunkKind, ChunkId), Spot>,
    /// Further places of the few chunks that have several.
    others: HashMap<(ChunkKind, ChunkId), Vec<Spot>>,
    /// Whether a pack that an index names is gone.
    gaps: bool,
}

impl ChunkIndex {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one pack's segments.
    pub fn add(&mut self, pack: IndexedPack, rows: impl IntoIterator<Item = SegmentDescriptor>) {
        let pack_number = number(self.packs.len());
        self.packs.push(pack);
        for row in rows {
            let segment = number(self.segments.len());
            let row = Arc::new(row);
            // Before its chunks: a table may name one of them twice, and the second time is compared with the first.
            self.segments.push((pack_number, Arc::clone(&row)));
            for (position, id) in row.ids.iter().enumerate() {
                self.add_spot((row.kind, *id), Spot { segment, position: number(position) }, pack.good);
            }
        }
    }

    fn add_spot(&mut self, key: (ChunkKind, ChunkId), mut spot: Spot, good: bool) {
        let Some(first) = self.first.get(&key).copied() else {
            self.first.insert(key, spot);
            return;
        };
        if good && !self.is_good(first) {
            self.first.insert(key, spot);
            spot = first;
        }
        self.others.entry(key).or_default().push(spot);
    }

    fn is_good(&self, spot: Spot) -> bool {
        self.pack_of(spot).good
    }

    fn pack_of(&self, spot: Spot) -> IndexedPack {
        self.packs[self.segments[spot.segment as usize].0 as usize]
    }

    /// Says that a pack which was added is not in the store.
    pub const fn mark_gap(&mut self) {
        self.gaps = true;
    }

    /// Whether every pack is there, as far as somebody looked: if not, what a snapshot holds may not be there either.
    pub const fn is_whole(&self) -> bool {
        !self.gaps
    }

    /// Whether a place of the chunk may be relied on.
    pub fn has_good(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        self.first.get(&(kind, *id)).is_some_and(|spot| self.is_good(*spot))
    }

    /// Whether any place of the chunk is known.
    pub fn has(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        self.first.contains_key(&(kind, *id))
    }

    /// The best place of a chunk.
    pub fn best_place(&self, kind: ChunkKind, id: &ChunkId) -> Option<Place> {
        self.first.get(&(kind, *id)).map(|spot| self.place(*spot))
    }

    /// Every place of a chunk, good ones first.
    pub fn places(&self, kind: ChunkKind, id: &ChunkId) -> Vec<Place> {
        let key = (kind, *id);
        let further = self.others.get(&key).map_or(&[][..], Vec::as_slice);
        let mut places: Vec<Place> =
            self.first.get(&key).into_iter().chain(further).map(|spot| self.place(*spot)).collect();
        places.sort_by_key(|place| !place.pack.good);
        places
    }

    fn place(&self, spot: Spot) -> Place {
        Place {
            pack: self.pack_of(spot),
            segment: Arc::clone(&self.segments[spot.segment as usize].1),
            segment_number: spot.segment,
            position: spot.position,
        }
    }

    /// Packs named so far.
    pub fn packs(&self) -> &[IndexedPack] {
        &self.packs
    }

    /// Segments named so far, each with its pack.
    pub fn segments(&self) -> impl Iterator<Item = (IndexedPack, &Arc<SegmentDescriptor>)> {
        self.segments.iter().map(|(pack, segment)| (self.packs[*pack as usize], segment))
    }

    /// Different chunks named so far.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether no chunk is named.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("an index in memory holds fewer than 2^32 of anything")
}
