//! Places that no run holds: packs of a session that died, and what only the packs' own tables tell. In memory.

use super::IndexedPack;
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId};
use crate::repo::segment::{SegmentDescriptor, WrappedKey};
use std::collections::HashMap;
use std::sync::Arc;

/// The place of a chunk as numbers: 8 bytes in the map instead of pointers.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    pub segment: u32,
    pub position: u32,
}

/// The places.
#[derive(Debug, Default)]
pub struct Loose {
    pub packs: Vec<IndexedPack>,
    segments: Vec<(u32, Arc<SegmentDescriptor>)>,
    /// The best place of each chunk.
    first: HashMap<(ChunkKind, ChunkId), Spot>,
    /// Further places of the few chunks that have several.
    others: HashMap<(ChunkKind, ChunkId), Vec<Spot>>,
    wraps: HashMap<DataKeyId, Vec<Vec<u8>>>,
}

impl Loose {
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
        if good && !self.pack_of(first).good {
            self.first.insert(key, spot);
            spot = first;
        }
        self.others.entry(key).or_default().push(spot);
    }

    fn pack_of(&self, spot: Spot) -> IndexedPack {
        self.packs[self.segments[spot.segment as usize].0 as usize]
    }

    /// Whether a place of the chunk may be relied on, in a segment that `fits`.
    pub fn has_good(&self, kind: ChunkKind, id: &ChunkId, fits: impl Fn(&SegmentDescriptor) -> bool) -> bool {
        self.places(kind, id).any(|(pack, spot)| pack.good && fits(self.segment(spot.segment)))
    }

    /// Whether any place of the chunk is here.
    pub fn has(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        self.first.contains_key(&(kind, *id))
    }

    /// Every place of a chunk.
    pub fn places(&self, kind: ChunkKind, id: &ChunkId) -> impl Iterator<Item = (IndexedPack, Spot)> {
        let key = (kind, *id);
        let further = self.others.get(&key).map_or(&[][..], Vec::as_slice);
        self.first.get(&key).into_iter().chain(further).map(|spot| (self.pack_of(*spot), *spot))
    }

    /// The chunks of a kind, each once.
    pub fn ids(&self, kind: ChunkKind) -> impl Iterator<Item = ChunkId> {
        self.first.keys().filter(move |(found, _)| *found == kind).map(|(_, id)| *id)
    }

    /// A segment.
    pub fn segment(&self, number: u32) -> &Arc<SegmentDescriptor> {
        &self.segments[number as usize].1
    }

    /// Segments, each with its pack.
    pub fn segments(&self) -> impl Iterator<Item = (IndexedPack, &Arc<SegmentDescriptor>)> {
        self.segments.iter().map(|(pack, segment)| (self.packs[*pack as usize], segment))
    }

    /// Adds a data key as it is wrapped for readers.
    pub fn add_wrap(&mut self, wrap: &WrappedKey) {
        let same = self.wraps.entry(wrap.id).or_default();
        if !same.contains(&wrap.wrap) {
            same.push(wrap.wrap.clone());
        }
    }

    /// All wraps.
    pub fn wraps(&self) -> impl Iterator<Item = WrappedKey> {
        let of = |(id, wraps): (&DataKeyId, &Vec<Vec<u8>>)| {
            let id = *id;
            wraps.clone().into_iter().map(move |wrap| WrappedKey { id, wrap })
        };
        self.wraps.iter().flat_map(of)
    }

    /// The wraps of one data key.
    pub fn wraps_of(&self, id: &DataKeyId) -> &[Vec<u8>] {
        self.wraps.get(id).map_or(&[], Vec::as_slice)
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("an index in memory holds fewer than 2^32 of anything")
}
