//! Building a pack in one buffer: room for the head, segments as they come, then table, padding, trailer, parity, tail.

use super::table::{Seal, TRAILER_LEN};
use super::{PackSize, PackSummary};
use crate::crypto::aead::Suite;
use crate::crypto::hash;
use crate::crypto::secret::{Secret, random};
use crate::crypto::sign::SigningKey;
use crate::repo::armour::{self, FIXED_LEN, Layout, ObjectKind, Parity, SHARD_HASH_LEN, Scale};
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, PackId, RepositoryId, WriterId};
use crate::repo::segment::{SealedSegment, SegmentDescriptor};
use std::collections::BTreeMap;

/// Room in front of the data region: the longest head there is, 512 data shards with as many parity shards.
const ROOM: usize = FIXED_LEN + 1024 * SHARD_HASH_LEN;

/// Bytes of a table and a trailer around the rows, at most: seals, signer, signature, counts, one key, one origin.
const TABLE_FRAME: usize = 512;
/// Bytes of a row around its ids, with a key and an origin of its own, at most.
const ROW_FRAME: usize = 192;

/// What a pack is finished with.
#[derive(Debug, Clone)]
pub struct PackSealing {
    /// The repository's suite.
    pub suite: Suite,
    /// The repository.
    pub repository: RepositoryId,
    /// The current epoch.
    pub epoch: u32,
    /// Its index key.
    pub index_key: Secret,
    /// The installation that makes the pack.
    pub signer: WriterId,
    /// Its signing key.
    pub signing_key: SigningKey,
    /// The repository's parity.
    pub parity: Parity,
    /// Whether to compute the MD5 (about twice the time of the SHA-256), for stores whose provider reports one.
    pub md5: bool,
}

/// Collects sealed segments until they make a pack.
pub struct PackBuilder {
    /// The room, then the segments one after another.
    buffer: Vec<u8>,
    /// Offsets count from the end of the room.
    rows: Vec<SegmentDescriptor>,
    wraps: BTreeMap<DataKeyId, Vec<u8>>,
    /// Bytes that table and trailer will take, at most.
    table_len: usize,
    size: PackSize,
}

impl Default for PackBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PackBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::of_size(PackSize::default())
    }

    /// An empty one that is full at this size.
    pub fn of_size(size: PackSize) -> Self {
        // A full pack with a last segment, table, padding and default parity; untouched memory costs nothing.
        let buffer = Vec::with_capacity(ROOM + size.bytes() + size.bytes() / 8);
        Self { size, ..Self::with_buffer(buffer) }
    }

    /// This one, empty as it is, full at another size.
    pub const fn resized(mut self, size: PackSize) -> Self {
        self.size = size;
        self
    }

    /// An empty one that uses a buffer again: see [`FinishedPack::into_buffer`].
    pub fn with_buffer(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(ROOM, 0);
        Self { buffer, rows: Vec::new(), wraps: BTreeMap::new(), table_len: TABLE_FRAME, size: PackSize::default() }
    }

    /// Adds a segment. `wrap` is its data key, wrapped for readers; skeletons need none.
    pub fn push(&mut self, segment: SealedSegment, wrap: &[u8]) {
        let SealedSegment { mut descriptor, bytes } = segment;
        descriptor.offset = self.len() as u64;
        if descriptor.kind != ChunkKind::Skeleton {
            self.wraps.entry(descriptor.key_id).or_insert_with(|| wrap.to_vec());
            self.table_len += wrap.len();
        }
        self.table_len += ROW_FRAME + (descriptor.ids.len() + descriptor.bases.len()) * ChunkId::LEN;
        self.buffer.extend_from_slice(&bytes);
        self.rows.push(descriptor);
    }

    /// Bytes of the segments collected.
    pub const fn len(&self) -> usize {
        self.buffer.len() - ROOM
    }

    /// Bytes of the segments collected, and of what the table will say of them, at most.
    pub const fn weight(&self) -> usize {
        self.len() + self.table_len
    }

    /// Takes over what another has collected, behind its own.
    pub fn append(&mut self, other: Self) {
        let behind = self.len() as u64;
        self.buffer.extend_from_slice(&other.buffer[ROOM..]);
        self.rows.extend(other.rows.into_iter().map(|row| SegmentDescriptor { offset: row.offset + behind, ..row }));
        self.wraps.extend(other.wraps);
        self.table_len += other.table_len - TABLE_FRAME;
    }

    /// Whether no segment was collected.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it is time to [`Self::finish`]: another segment like the last would lead beyond the size. The default
    /// is a power of two, so that little padding is needed just below it.
    pub fn is_full(&self) -> bool {
        let next = self.rows.last().map_or(0, |row| row.length as usize + ROW_FRAME + row.ids.len() * ChunkId::LEN);
        self.len() + self.table_len + next > self.size.bytes()
    }

    /// The segments collected so far; their offsets are not final.
    pub fn rows(&self) -> &[SegmentDescriptor] {
        &self.rows
    }

    /// The bytes of one of them.
    #[cfg(test)]
    pub(super) fn bytes_of(&self, row: &SegmentDescriptor) -> &[u8] {
        &self.buffer[ROOM + row.offset as usize..][..row.length as usize]
    }

    /// Adds table, padding, trailer and parity, and names the result.
    pub fn finish(self, with: &PackSealing) -> FinishedPack {
        let Self { mut buffer, mut rows, wraps, .. } = self;
        let seal =
            Seal { suite: with.suite, repository: &with.repository, epoch: with.epoch, index_key: &with.index_key };
        let table = seal.table(with.signer, &with.signing_key, &rows, &wraps);
        let place = buffer.len() - ROOM..buffer.len() - ROOM + table.len();
        buffer.extend_from_slice(&table);

        let content = place.end + TRAILER_LEN;
        let layout = Layout::for_content(ObjectKind::Pack, Scale::Pack, with.parity, content);
        armour::pad(&mut buffer, ROOM + layout.data_len() - TRAILER_LEN, &random());
        buffer.extend_from_slice(&seal.trailer(&place));
        let start = armour::dress(&layout, &mut buffer, ROOM);

        rows.iter_mut().for_each(|row| row.offset += layout.head_len() as u64);
        let stored = &buffer[start..];
        let summary = PackSummary {
            id: PackId(hash::sha256(stored)),
            length: stored.len() as u64,
            md5: with.md5.then(|| hash::md5(stored)),
            rows,
        };
        FinishedPack { summary, wraps, buffer, start }
    }
}

impl std::fmt::Debug for PackBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackBuilder({} segments, {} bytes)", self.rows.len(), self.len())
    }
}

/// A pack, ready to be stored.
pub struct FinishedPack {
    /// What indexes will say about it.
    pub summary: PackSummary,
    /// The data keys that seal its segments, wrapped for readers.
    pub wraps: BTreeMap<DataKeyId, Vec<u8>>,
    buffer: Vec<u8>,
    start: usize,
}

impl FinishedPack {
    /// The bytes to store under [`PackSummary::id`].
    pub fn stored(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The buffer, for another [`PackBuilder`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl std::fmt::Debug for FinishedPack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FinishedPack({}, {} bytes)", self.summary.id, self.summary.length)
    }
}
