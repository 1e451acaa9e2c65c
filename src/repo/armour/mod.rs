//! Armour: what every stored object wears. Random padding hides lengths, Reed–Solomon parity heals bit rot without keys.
//!
//! Invariant: what stands in clear tells the kind of object and the padded length, nothing else; the armour proves
//! nothing by itself. Healed bytes are accepted only by a caller who checks the object's name or signature. Which bytes
//! are content and which padding, the content must say itself.

mod heal;
mod layout;
mod parity;

pub use heal::heal;
pub use layout::{FIXED_LEN, Layout, Parity, Scale};

use crate::crypto::{hash, secret::random};

/// Bytes of one shard's hash in the head and the tail: the start of its BLAKE3.
pub const SHARD_HASH_LEN: usize = 16;

/// What an object is; its number stands in the armour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ObjectKind {
    /// `config`.
    Config = 1,
    /// A wrapped bundle of keys.
    Slot = 2,
    /// Wraps of epoch keys and data keys for one principal.
    EpochKeys = 3,
    /// A session's opening.
    Open = 4,
    /// A session's heartbeat.
    Beat = 5,
    /// A session's end.
    End = 6,
    /// Copies of pack tables.
    Index = 7,
    /// What a checkpoint names.
    Census = 8,
    /// A reader's pin.
    Pin = 9,
    /// A wish for a hold.
    Hold = 10,
    /// An entry of the log.
    LogEntry = 11,
    /// A pack.
    Pack = 12,
}

impl ObjectKind {
    /// The kind with this number in the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Config,
            2 => Self::Slot,
            3 => Self::EpochKeys,
            4 => Self::Open,
            5 => Self::Beat,
            6 => Self::End,
            7 => Self::Index,
            8 => Self::Census,
            9 => Self::Pin,
            10 => Self::Hold,
            11 => Self::LogEntry,
            12 => Self::Pack,
            _ => return None,
        })
    }
}

/// Why stored bytes cannot be unwrapped or healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither head nor tail is that of an armoured object.
    #[error("is not an object of a boveda repository, or damaged at both ends")]
    NotArmoured,
    /// Written by a later version.
    #[error("needs a newer boveda (armour version {0}, object kind {1})")]
    Newer(u8, u8),
    /// Some part does not match its hash; healing may help.
    #[error("is damaged")]
    Damaged,
    /// Fewer intact shards than there were data shards.
    #[error("is damaged beyond its parity: {intact} of {needed} needed pieces are intact")]
    BeyondRepair {
        /// Shards that match their hash.
        intact: usize,
        /// Shards that healing needs.
        needed: usize,
    },
}

/// The stored bytes for `content`: head, content, random padding, parity, tail.
pub fn wrap(kind: ObjectKind, scale: Scale, content: Vec<u8>) -> Vec<u8> {
    wrap_seeded(kind, scale, content, &random())
}

/// As [`wrap`], with the padding drawn from `seed`.
fn wrap_seeded(kind: ObjectKind, scale: Scale, content: Vec<u8>, seed: &[u8; 32]) -> Vec<u8> {
    let layout = Layout::for_content(kind, scale, Parity::default(), content.len());
    let mut stored = Vec::with_capacity(layout.stored_len());
    stored.resize(layout.head_len(), 0);
    stored.extend_from_slice(&content);
    pad(&mut stored, layout.head_len() + layout.data_len(), seed);
    let start = dress(&layout, &mut stored, layout.head_len());
    debug_assert_eq!((start, stored.len()), (0, layout.stored_len()));
    stored
}

/// Appends random bytes until `buffer` has `length`.
pub(super) fn pad(buffer: &mut Vec<u8>, length: usize, seed: &[u8; 32]) {
    let from = buffer.len();
    buffer.resize(length, 0);
    blake3::Hasher::new_keyed(seed).finalize_xof().fill(&mut buffer[from..]);
}

/// Puts head, parity and tail around the data region, which is all of `buffer` after its first `room` bytes. Returns
/// where in `buffer` the stored bytes start.
///
/// # Panics
/// When the region's length is not the layout's, or the head does not fit into the room.
pub(super) fn dress(layout: &Layout, buffer: &mut Vec<u8>, room: usize) -> usize {
    assert_eq!(buffer.len() - room, layout.data_len(), "the data region is padded");
    let start = room - layout.head_len();
    buffer.reserve_exact(layout.parity_len() + layout.head_len());
    buffer.resize(buffer.len() + layout.parity_len(), 0);
    let (data, parity) = buffer[room..].split_at_mut(layout.data_len());
    parity::encode(layout, data, parity);
    let hashes: Vec<u8> = buffer[room..].chunks_exact(layout.shard_len()).flat_map(shard_hash).collect();
    let fixed = layout.encode();
    buffer[start..start + FIXED_LEN].copy_from_slice(&fixed);
    buffer[start + FIXED_LEN..room].copy_from_slice(&hashes);
    buffer.extend_from_slice(&hashes);
    buffer.extend_from_slice(&fixed);
    start
}

/// The content of intact stored bytes, with the padding behind it.
///
/// # Errors
/// [`Error::Damaged`] when anything at all differs from what was written, as far as the armour can tell: then [`heal()`].
/// [`Error::NotArmoured`] or [`Error::Newer`] when the head is not one that this version writes.
pub fn unwrap(stored: &[u8]) -> Result<Vec<u8>, Error> {
    let layout = check(stored)?;
    Ok(stored[layout.data_range()].to_vec())
}

/// Whether stored bytes are intact, as far as the armour can tell, and how they are laid out.
///
/// # Errors
/// As [`unwrap`].
pub fn check(stored: &[u8]) -> Result<Layout, Error> {
    let layout = Layout::from_head(stored)?;
    if layout.stored_len() != stored.len() {
        return Err(Error::Damaged);
    }
    let (head, rest) = stored.split_at(layout.head_len());
    let (shards, tail) = rest.split_at(layout.data_len() + layout.parity_len());
    let hashes = &head[FIXED_LEN..];
    let same_ends = tail.starts_with(hashes) && tail.ends_with(&head[..FIXED_LEN]);
    let mut pairs = shards.chunks_exact(layout.shard_len()).zip(hashes.chunks_exact(SHARD_HASH_LEN));
    let intact = same_ends && pairs.all(|(shard, expected)| shard_hash(shard) == expected);
    if intact { Ok(layout) } else { Err(Error::Damaged) }
}

/// What stands for a shard in head and tail.
fn shard_hash(shard: &[u8]) -> [u8; SHARD_HASH_LEN] {
    *hash::blake3(shard).first_chunk().expect("a hash is longer than its start")
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        let stored = wrap_seeded(ObjectKind::Beat, Scale::Small, b"a small object".to_vec(), &[7; 32]);
        let layout = Layout::from_head(&stored).unwrap();
        assert_eq!(stored[..layout.head_len()], golden::bytes("armour head"));
        assert_eq!(hash::sha256(&stored).as_slice(), golden::bytes("armour sha256"));
        assert!(unwrap(&stored).unwrap().starts_with(b"a small object"));
    }

    #[test]
    fn every_kind_has_its_number() {
        for number in 0..=u8::MAX {
            assert!(ObjectKind::from_number(number).is_none_or(|kind| kind as u8 == number));
        }
        assert_eq!((0..=u8::MAX).filter_map(ObjectKind::from_number).count(), 12);
    }

    #[test]
    fn padding_differs_every_time() {
        let wrapped = || wrap(ObjectKind::End, Scale::Small, vec![1; 100]);
        assert_ne!(wrapped(), wrapped());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn unwraps_what_was_wrapped(content in proptest::collection::vec(any::<u8>(), 0..40_000), pack: bool) {
            let scale = if pack { Scale::Pack } else { Scale::Small };
            let stored = wrap(ObjectKind::Index, scale, content.clone());
            let unwrapped = unwrap(&stored).unwrap();
            prop_assert_eq!(&unwrapped[..content.len()], &content[..]);
        }

        #[test]
        fn every_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0..8u8) {
            let mut stored = wrap(ObjectKind::Index, Scale::Small, vec![3; 3000]);
            let at = at.index(stored.len());
            stored[at] ^= 1 << bit;
            prop_assert!(unwrap(&stored).is_err());
        }

        #[test]
        fn any_bytes_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(unwrap(&bytes).is_err());
        }
    }
}
