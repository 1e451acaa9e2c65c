//! Skeletons: the half of a page that holds its references, all that a maintainer needs in order to know what is alive.
//!
//! Not here: what the references mean; that stands in the payload.

use crate::repo::id::ChunkId;
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};
use std::collections::HashSet;

/// The version of both halves.
pub const VERSION: u8 = 1;
/// Inner pages have two children at least, so no tree is higher.
const MAX_LEVEL: u8 = 63;

/// What a tree is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// A catalog: entries by key.
    Entries = 1,
    /// A long file: extents by position.
    Extents = 2,
}

/// Which page this is; both halves start with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The kind of tree.
    pub family: Family,
    /// 0 for leaves, else one more than the children's.
    pub level: u8,
}

impl Head {
    /// Appends version, family and level.
    pub fn encode(self, encoder: &mut Encoder) {
        encoder.u8(VERSION).u8(self.family as u8).u8(self.level);
    }

    /// Reads version, family and level.
    ///
    /// # Errors
    /// When this version knows no such page.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        if decoder.u8()? != VERSION {
            return Err(Error::Invalid("unknown version of a catalog page"));
        }
        let family = match decoder.u8()? {
            1 => Family::Entries,
            2 => Family::Extents,
            _ => return Err(Error::Invalid("unknown kind of catalog page")),
        };
        let level = decoder.u8()?;
        if level > MAX_LEVEL {
            return Err(Error::Invalid("a catalog page on an impossible level"));
        }
        Ok(Self { family, level })
    }
}

/// What a skeleton refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    /// The payload that belongs to it.
    pub payload: ChunkId,
    /// Skeletons of the pages below: children of an inner page, extent trees of a leaf.
    pub children: Vec<ChunkId>,
    /// Data chunks: contents and long attribute values.
    pub data: Vec<ChunkId>,
}

/// The references of a skeleton, without its payload: all that marking and checking of structure need.
///
/// # Errors
/// When the bytes are no skeleton.
pub fn references(skeleton: &[u8]) -> Result<References, Error> {
    decode(skeleton).map(|(_, references)| references)
}

/// Encodes a skeleton.
pub fn encode(head: Head, references: &References) -> Vec<u8> {
    let ids = references.children.len() + references.data.len() + 1;
    let mut encoder = Encoder::with_capacity(ids * ChunkId::LEN + 16);
    head.encode(&mut encoder);
    encoder.raw(&references.payload.0);
    for list in [&references.children, &references.data] {
        encoder.list(list, |encoder, id| {
            encoder.raw(&id.0);
        });
    }
    Extensions::default().encode(&mut encoder);
    encoder.into_bytes()
}

/// Decodes a skeleton.
///
/// # Errors
/// When the bytes are no skeleton, or an id stands twice in one list.
pub fn decode(bytes: &[u8]) -> Result<(Head, References), Error> {
    Decoder::whole(bytes, |decoder| {
        let head = Head::decode(decoder)?;
        let payload = ChunkId(decoder.array()?);
        let children = ids(decoder)?;
        let data = ids(decoder)?;
        if head.level > 0 && !data.is_empty()
            || head.family == Family::Extents && head.level == 0 && !children.is_empty()
        {
            return Err(Error::Invalid("a catalog page with references that its kind has not"));
        }
        Extensions::decode(decoder, &[])?;
        Ok((head, References { payload, children, data }))
    })
}

fn ids(decoder: &mut Decoder<'_>) -> Result<Vec<ChunkId>, Error> {
    let ids = decoder.list(|decoder| decoder.array().map(ChunkId))?;
    let mut seen = HashSet::with_capacity(ids.len());
    if ids.iter().all(|id| seen.insert(id)) { Ok(ids) } else { Err(Error::Invalid("an id twice in a skeleton")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(byte: u8) -> ChunkId {
        ChunkId([byte; 32])
    }

    #[test]
    fn references_need_no_payload() {
        let given = References { payload: id(1), children: vec![id(2)], data: vec![id(3), id(4)] };
        let bytes = encode(Head { family: Family::Entries, level: 0 }, &given);
        assert_eq!(references(&bytes), Ok(given));
        for cut in 0..bytes.len() {
            assert!(references(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn impossible_skeletons_are_refused() {
        let with = |children: Vec<_>, data: Vec<_>| References { payload: id(1), children, data };
        for (family, level, refs) in [
            (Family::Entries, 64, with(vec![id(2)], vec![])),
            (Family::Entries, 1, with(vec![id(2)], vec![id(3)])),
            (Family::Extents, 1, with(vec![id(2)], vec![id(3)])),
            (Family::Extents, 0, with(vec![id(2)], vec![id(3)])),
            (Family::Entries, 0, with(vec![], vec![id(3), id(3)])),
        ] {
            assert!(references(&encode(Head { family, level }, &refs)).is_err(), "{family:?} {level} {refs:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
            if start && bytes.len() > 3 {
                bytes[..3].copy_from_slice(&[1, 1, 0]);
            }
            if let Ok((head, references)) = decode(&bytes) {
                prop_assert!(encode(head, &references).len() <= bytes.len());
            }
        }
    }
}
