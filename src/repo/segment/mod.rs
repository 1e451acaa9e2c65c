//! Segments: up to about 1 MiB of chunks in the order they were read, compressed and sealed together; the unit of
//! compression, encryption and reading.
//!
//! Invariant: a sealed segment is bound to its repository, kind, length, codec, epoch and key, and not to its place, so
//! that it can be copied to another pack without keys. Ids are not bound: whoever takes a chunk out checks its id.

mod build;
mod compress;
mod decode;
mod row;

pub use build::{Base, SealedSegment, Sealing, SegmentBuilder};
pub use compress::{Compression, context_size, delta_context_size};
pub use decode::{DecodedSegment, open};
#[cfg(test)]
pub use row::tests::rows as rows_for_tests;
pub use row::{RowDecoder, RowEncoder, WrappedKey};

use super::id::{ChunkId, ChunkKind, DataKeyId, RepositoryId, WriterId};
use super::wire::{self, Encoder};
use crate::crypto::{self, aead::Suite, context, hash, secret::Secret};

/// Sealed segments are a multiple of this long.
pub const ALIGNMENT: usize = 64;
/// Bytes of chunks that a segment may hold; what claims more is refused before it is decompressed.
pub const MAX_BODY: usize = 32 << 20;
/// Bytes of a sealed segment at most: it is read whole, and whoever reads it has only somebody's word for its length.
pub const MAX_SEALED: u32 = 64 << 20;
/// Bytes of chunks at which a segment is full.
pub const TARGET: usize = 1 << 20;

const VERSION: u8 = 1;

/// How a segment's chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// Not at all.
    Stored = 0,
    /// One zstd frame.
    Zstd = 1,
    /// One zstd frame whose prefix is the base chunks, one after another.
    Delta = 2,
}

impl Codec {
    /// The codec with this number in the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Stored),
            1 => Some(Self::Zstd),
            2 => Some(Self::Delta),
            _ => None,
        }
    }
}

/// The session that first wrote a segment. Copies in other packs keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The writer.
    pub writer: WriterId,
    /// Its session.
    pub seq: u64,
}

/// All that tables and indexes say about one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentDescriptor {
    /// What its chunks hold.
    pub kind: ChunkKind,
    /// What it is sealed with.
    pub suite: Suite,
    /// How it is compressed.
    pub codec: Codec,
    /// The epoch of its key.
    pub epoch: u32,
    /// Where it starts in the pack's stored bytes.
    pub offset: u64,
    /// Bytes, sealed.
    pub length: u32,
    /// BLAKE3 of the sealed bytes.
    pub hash: [u8; 32],
    /// The data key that seals it; zero for skeletons, which the epoch's index key seals.
    pub key_id: DataKeyId,
    /// Who first wrote it.
    pub origin: Origin,
    /// Its chunks, in order.
    pub ids: Vec<ChunkId>,
    /// The chunks that make up the prefix of a delta, in order; empty for other codecs.
    pub bases: Vec<ChunkId>,
}

/// Why a segment cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The sealed bytes are not the ones that the table names, or the key is another.
    #[error("segment does not open: {0}")]
    Sealed(#[from] crypto::Error),
    /// What was sealed is not a segment.
    #[error("segment {0}")]
    Format(#[from] wire::Error),
    /// The compressed chunks do not decompress to what the segment says.
    #[error("segment does not decompress")]
    Codec,
    /// A chunk's bytes have another id than the table says.
    #[error("segment holds another chunk where {0} should be")]
    Id(ChunkId),
    /// A segment that was just sealed does not open to what went in: memory, processor or compressor are at fault.
    #[error("segment could not be read back after sealing; this machine's memory may be faulty")]
    ReadBack,
}

/// What the sealing of a segment covers besides its plaintext of `length` bytes, padding included.
struct Binding<'a> {
    suite: Suite,
    repository: &'a RepositoryId,
    kind: ChunkKind,
    codec: Codec,
    epoch: u32,
    key_id: &'a DataKeyId,
    length: usize,
}

impl Binding<'_> {
    fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.length).expect("segments are far below 4 GiB");
        let mut encoder = Encoder::new();
        encoder.u8(VERSION).u8(self.suite as u8).raw(&self.repository.0).u8(self.kind as u8);
        encoder.raw(&length.to_le_bytes()).u8(self.codec as u8).raw(&self.epoch.to_le_bytes()).raw(&self.key_id.0);
        encoder.into_bytes()
    }
}

/// The key that seals segments of `kind`: the data key as it is, or what is derived from the index key.
fn sealing_key(kind: ChunkKind, key: &Secret) -> Secret {
    match kind {
        ChunkKind::Skeleton => hash::derive_key(context::INDEX_SEAL, key),
        ChunkKind::Data | ChunkKind::Payload => key.clone(),
    }
}
