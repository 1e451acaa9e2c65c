//! Packs: many segments and their sealed, signed table, padded and with parity; the unit of storage and transfer.
//!
//! Invariant: a pack is named by the SHA-256 of its stored bytes, which always hold fresh randomness, so that no name
//! ever comes back. A table proves who wrote its rows, not that this pack holds what they say: that do the segments'
//! hashes, or an index, which names the pack.

mod build;
mod filling;
mod read;
mod table;

pub use build::{FinishedPack, PackBuilder, PackSealing};
pub use filling::{CATALOG, Filling, TOGETHER};
pub use read::{TableKeys, heal, is_intact, read_table, segment, table_of};
pub use table::Table;

use super::id::{PackId, WriterId};
use super::segment::SegmentDescriptor;
use super::{armour, wire};
use crate::{crypto, store};

/// Bytes that a full pack's segments and table stay just below, unless another size is asked for: as few requests as pay,
/// and little to send again when one fails.
pub const TARGET: usize = 32 << 20;

/// Bytes of a pack at most, with all parity: whoever heals one needs room for all of it. A longer object is none, and is not read.
pub const LONGEST: u64 = 1 << 30;

/// How large packs are made. One that holds a single segment may be longer, and the last of a session shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackSize(usize);

impl PackSize {
    /// In bytes: less would be mostly head, table and padding.
    pub const SMALLEST: u64 = 4 << 20;
    /// In bytes: two packs are in memory while they are made, and whoever heals one needs room for all of it.
    pub const LARGEST: u64 = 128 << 20;

    /// This many bytes, if packs may have that size.
    pub fn new(bytes: u64) -> Option<Self> {
        let allowed = (Self::SMALLEST..=Self::LARGEST).contains(&bytes);
        usize::try_from(bytes).ok().filter(|_| allowed).map(Self)
    }

    /// In bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl Default for PackSize {
    fn default() -> Self {
        Self(TARGET)
    }
}

/// What indexes say about one pack, or about those of its segments that they cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackSummary {
    /// Its name.
    pub id: PackId,
    /// Bytes stored.
    pub length: u64,
    /// MD5 of the stored bytes, where it was computed: for comparing with what a provider reports, without reading.
    pub md5: Option<[u8; 16]>,
    /// Its segments, in order of their offsets.
    pub rows: Vec<SegmentDescriptor>,
}

/// Why a pack cannot be read. The caller adds which one it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The armour is damaged, beyond repair, or that of something else.
    #[error("pack {0}")]
    Armour(#[from] armour::Error),
    /// The object is armoured, but is no pack or has another length than its head says.
    #[error("pack is not whole, or not a pack")]
    NotAPack,
    /// The trailer is damaged, or of an epoch whose index key is not at hand.
    #[error("pack's trailer opens under none of the index keys")]
    Trailer,
    /// The table is damaged, or signed by somebody else than it says.
    #[error("pack's table: {0}")]
    Crypto(#[from] crypto::Error),
    /// What the trailer or the table says makes no sense.
    #[error("pack's table {0}")]
    Format(#[from] wire::Error),
    /// The table's signer is nobody that the log certifies.
    #[error("pack's table is signed by the unknown writer {0}")]
    UnknownSigner(WriterId),
    /// The table claims segments of somebody else than its signer.
    #[error("pack's table is signed by writer {0} and speaks for another")]
    Foreign(WriterId),
    /// Healing gave bytes that are not the ones named.
    #[error("pack could not be healed to what its name promises")]
    Name,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
