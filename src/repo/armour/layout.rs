//! How an armoured object is laid out: how many shards of which length, and where everything lies.
//!
//! A layout follows from the content's length alone, and is written in full at both ends so that either end suffices.
//! A decoded layout never overflows arithmetic on 64-bit lengths; whether the bytes are there is the caller's question.

use super::{Error, ObjectKind, SHARD_HASH_LEN};
use crate::crypto::hash;
use std::ops::Range;

/// Bytes of the fixed part: the start of the head, the end of the tail.
pub const FIXED_LEN: usize = 32;
const MAGIC: [u8; 8] = *b"\x89BOVEDA\n";
const VERSION: u8 = 1;
/// Data shards at most: keeps the hash lists of a 32 MiB pack at 8 KiB each.
const MAX_DATA_SHARDS: usize = 512;
/// From this padded length on, small objects too have shards of a disk block, so that a lost block can be healed.
const BLOCK_SHARDS_FROM: usize = 16 * 1024;
const BLOCK: usize = 4096;

/// Whether an object is as large as packs are or as small as all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Shards of 4 KiB at least, padded in steps of 64 KiB at least.
    Pack,
    /// Shards of 256 bytes at least, padded in steps of 1 KiB at least, 4 KiB from 16 KiB on.
    Small,
}

impl Scale {
    /// The length that `length` is padded to.
    pub const fn padded(self, length: usize) -> usize {
        let length = padme(if length == 0 { 1 } else { length });
        match self {
            Self::Pack => length.next_multiple_of(64 * 1024),
            Self::Small if length < BLOCK_SHARDS_FROM => length.next_multiple_of(1024),
            Self::Small => length.next_multiple_of(BLOCK),
        }
    }

    const fn shard_len(self, padded: usize) -> usize {
        let small = matches!(self, Self::Small) && padded < BLOCK_SHARDS_FROM;
        let mut length = if small { 256 } else { BLOCK };
        while padded.div_ceil(length) > MAX_DATA_SHARDS {
            length *= 2;
        }
        length
    }
}

/// How much parity is added: one shard for so many data shards, two at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parity {
    /// Data shards per parity shard, 1 or more.
    pub data_per_parity: u16,
}

impl Default for Parity {
    fn default() -> Self {
        Self { data_per_parity: 32 }
    }
}

/// Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019):
/// lengths keep about log log of their bits, at most 12 % is added.
const fn padme(length: usize) -> usize {
    if length < 4 {
        return length;
    }
    let exponent = length.ilog2();
    let step = 1 << (exponent - (exponent.ilog2() + 1));
    length.next_multiple_of(step)
}

/// Where the parts of one object lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    kind: ObjectKind,
    data_shards: usize,
    parity_shards: usize,
    shard_len: usize,
}

impl Layout {
    /// The layout for content of `length` bytes.
    pub fn for_content(kind: ObjectKind, scale: Scale, parity: Parity, length: usize) -> Self {
        let padded = scale.padded(length);
        let shard_len = scale.shard_len(padded);
        let data_shards = padded.div_ceil(shard_len);
        let parity_shards = data_shards.div_ceil(usize::from(parity.data_per_parity.max(1))).max(2);
        Self { kind, data_shards, parity_shards, shard_len }
    }

    /// The layout that the first [`FIXED_LEN`] bytes of an object tell.
    ///
    /// # Errors
    /// [`Error::NotArmoured`] or [`Error::Newer`].
    pub fn from_head(stored: &[u8]) -> Result<Self, Error> {
        Self::decode(stored.first_chunk().ok_or(Error::NotArmoured)?)
    }

    /// The layout that the last [`FIXED_LEN`] bytes of an object tell.
    ///
    /// # Errors
    /// [`Error::NotArmoured`] or [`Error::Newer`].
    pub fn from_tail(stored: &[u8]) -> Result<Self, Error> {
        Self::decode(stored.last_chunk().ok_or(Error::NotArmoured)?)
    }

    fn decode(fixed: &[u8; FIXED_LEN]) -> Result<Self, Error> {
        if fixed[..8] != MAGIC || fixed[20..] != hash::blake3(&fixed[..20])[..12] {
            return Err(Error::NotArmoured);
        }
        let (version, number) = (fixed[8], fixed[9]);
        let kind = ObjectKind::from_number(number).filter(|_| version == VERSION);
        let kind = kind.ok_or(Error::Newer(version, number))?;
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([fixed[at], fixed[at + 1]]));
        let length = u32::from_le_bytes([fixed[14], fixed[15], fixed[16], fixed[17]]);
        let layout = Self {
            kind,
            data_shards: u16_at(10),
            parity_shards: u16_at(12),
            shard_len: usize::try_from(length).map_err(|_| Error::NotArmoured)?,
        };
        let sound = (1..=MAX_DATA_SHARDS).contains(&layout.data_shards)
            && (2..=layout.data_shards.max(2)).contains(&layout.parity_shards)
            && layout.shard_len > 0
            && layout.shard_len.is_multiple_of(64)
            && layout.shard_len.checked_mul(2 * MAX_DATA_SHARDS + 1).is_some()
            && fixed[18..20] == [0, 0];
        if sound { Ok(layout) } else { Err(Error::NotArmoured) }
    }

    pub(super) fn encode(&self) -> [u8; FIXED_LEN] {
        let mut fixed = [0; FIXED_LEN];
        let short = |count: usize| u16::try_from(count).expect("shards are counted in hundreds").to_le_bytes();
        let length = u32::try_from(self.shard_len).expect("objects are far below 2 TiB");
        fixed[..8].copy_from_slice(&MAGIC);
        fixed[8] = VERSION;
        fixed[9] = self.kind as u8;
        fixed[10..12].copy_from_slice(&short(self.data_shards));
        fixed[12..14].copy_from_slice(&short(self.parity_shards));
        fixed[14..18].copy_from_slice(&length.to_le_bytes());
        let check = hash::blake3(&fixed[..20]);
        fixed[20..].copy_from_slice(&check[..12]);
        fixed
    }

    /// What the object is.
    pub const fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// Shards that hold content and padding.
    pub const fn data_shards(&self) -> usize {
        self.data_shards
    }

    /// Shards that hold parity: as many may be lost.
    pub const fn parity_shards(&self) -> usize {
        self.parity_shards
    }

    /// Bytes of every shard.
    pub const fn shard_len(&self) -> usize {
        self.shard_len
    }

    /// Bytes of the head, and of the tail.
    pub const fn head_len(&self) -> usize {
        FIXED_LEN + (self.data_shards + self.parity_shards) * SHARD_HASH_LEN
    }

    /// Bytes of content and padding together.
    pub const fn data_len(&self) -> usize {
        self.data_shards * self.shard_len
    }

    /// Bytes of parity.
    pub const fn parity_len(&self) -> usize {
        self.parity_shards * self.shard_len
    }

    /// Where content and padding lie in the stored bytes.
    pub const fn data_range(&self) -> Range<usize> {
        self.head_len()..self.head_len() + self.data_len()
    }

    /// Bytes of the whole object.
    pub const fn stored_len(&self) -> usize {
        2 * self.head_len() + self.data_len() + self.parity_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padme_is_as_published() {
        for (length, padded) in [(1, 1), (8, 8), (9, 10), (100, 104), (1000, 1024), (1025, 1088), (1 << 20, 1 << 20)] {
            assert_eq!(padme(length), padded, "{length}");
        }
    }

    #[test]
    fn shards_cover_the_padded_length_exactly() {
        for scale in [Scale::Pack, Scale::Small] {
            for exponent in 0..34 {
                for length in [(1usize << exponent) - 1, 1 << exponent, (1 << exponent) + 1, 3 << exponent] {
                    let layout = Layout::for_content(ObjectKind::Pack, scale, Parity::default(), length);
                    assert_eq!(layout.data_len(), scale.padded(length), "{scale:?} {length}");
                    assert!(layout.data_len() >= length && layout.data_shards <= MAX_DATA_SHARDS);
                    assert!(layout.parity_shards >= 2 && layout.parity_shards * 32 >= layout.data_shards);
                    assert_eq!(Layout::decode(&layout.encode()), Ok(layout));
                }
            }
        }
    }

    #[test]
    fn later_versions_are_named_as_such() {
        let layout = Layout::for_content(ObjectKind::Pack, Scale::Pack, Parity::default(), 1);
        let rechecked = |at: usize, value: u8| {
            let mut fixed = layout.encode();
            fixed[at] = value;
            let check = hash::blake3(&fixed[..20]);
            fixed[20..].copy_from_slice(&check[..12]);
            Layout::decode(&fixed)
        };
        assert_eq!(rechecked(8, 2), Err(Error::Newer(2, 12)));
        assert_eq!(rechecked(9, 13), Err(Error::Newer(1, 13)));
        assert_eq!(rechecked(18, 1), Err(Error::NotArmoured));
        assert_eq!(rechecked(11, 0xff), Err(Error::NotArmoured));
    }
}
