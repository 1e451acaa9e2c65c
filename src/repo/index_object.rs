//! The body of an index: copies of pack tables, so that a session's packs are found without reading them.
//!
//! Invariant: an index names each pack by its hash and is signed, in the frame around this body, by the installation
//! that wrote or copied the packs. It can be rebuilt from the packs; it never says what they do not.

use super::id::{ChunkKind, DataKeyId, IndexId, PackId};
use super::names::IndexClass;
use super::pack::{LONGEST, PackSummary};
use super::segment::{RowDecoder, RowEncoder, SegmentDescriptor, WrappedKey};
use super::wire::{Decoder, Encoder, Error, Extensions};
use std::collections::BTreeMap;

/// The extension that lists the indexes that one stands in for. Who does not know it only looks for them in vain.
const REPLACES: u64 = 2;

/// What an index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBody {
    /// Which segments it covers.
    pub class: IndexClass,
    /// The packs that hold such segments, with these segments only.
    pub packs: Vec<PackSummary>,
    /// The data keys that seal them, wrapped for readers.
    pub wraps: Vec<WrappedKey>,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl IndexBody {
    /// The index of one class over some packs; `wraps` may hold more keys than are needed; a key that it
    /// lacks gets an empty wrap. An index of no packs need not be written.
    pub fn new(class: IndexClass, packs: &[PackSummary], wraps: &BTreeMap<DataKeyId, Vec<u8>>) -> Self {
        let chosen = |pack: &PackSummary| {
            let of_class = |row: &&SegmentDescriptor| IndexClass::of(row.kind) == class;
            PackSummary { rows: pack.rows.iter().filter(of_class).cloned().collect(), ..pack.clone() }
        };
        let packs: Vec<_> = packs.iter().map(chosen).filter(|pack| !pack.rows.is_empty()).collect();
        let sealed = packs.iter().flat_map(|pack| &pack.rows).filter(|row| row.kind != ChunkKind::Skeleton);
        let wraps = sealed
            .map(|row| (row.key_id, wraps.get(&row.key_id).cloned().unwrap_or_default()))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .map(|(id, wrap)| WrappedKey { id, wrap })
            .collect();
        Self { class, packs, wraps, extensions: Extensions::default() }
    }

    /// Says that this index stands in for others, which are lost. Believed of a maintainer's or an admin's index alone.
    pub fn replace(&mut self, lost: &[IndexId]) {
        if !lost.is_empty() {
            self.extensions.set(REPLACES, lost.iter().flat_map(|id| id.0).collect());
        }
    }

    /// The indexes that this one stands in for.
    pub fn replaces(&self) -> impl Iterator<Item = IndexId> {
        let ids = self.extensions.get(REPLACES).unwrap_or_default();
        ids.as_chunks::<32>().0.iter().map(|id| IndexId(*id))
    }

    /// The bytes of the body.
    pub fn encode(&self) -> Vec<u8> {
        let ids = self.packs.iter().flat_map(|pack| &pack.rows).map(|row| row.ids.len() + 4).sum::<usize>();
        let mut encoder = Encoder::with_capacity(ids * 32 + 1024);
        let wraps = self.wraps.iter().map(|key| (key.id, key.wrap.clone())).collect();
        encoder.u8(self.class as u8);
        let shared = RowEncoder::new(&mut encoder, self.packs.iter().flat_map(|pack| &pack.rows), &wraps);
        encoder.list(&self.packs, |encoder, pack| {
            encoder.raw(&pack.id.0).uint(pack.length);
            encoder.option(pack.md5.as_ref(), |encoder, md5| _ = encoder.raw(md5));
            shared.rows(encoder, pack.rows.iter());
        });
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it does not decode, or holds segments of another class or outside their packs.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            let class = IndexClass::from_number(decoder.u8()?).ok_or(Error::Invalid("unknown class of index"))?;
            let shared = RowDecoder::new(decoder)?;
            let packs = decoder.list(|decoder| {
                let (id, length) = (PackId(decoder.array()?), decoder.uint()?);
                if length > LONGEST {
                    return Err(Error::Invalid("names a pack that is longer than any may be"));
                }
                let md5 = decoder.option(Decoder::array)?;
                let rows = shared.rows(decoder, length)?;
                let foreign = rows.iter().any(|row| IndexClass::of(row.kind) != class);
                if foreign {
                    Err(Error::Invalid("holds another class"))
                } else {
                    Ok(PackSummary { id, length, md5, rows })
                }
            })?;
            let extensions = Extensions::decode(decoder, &[])?;
            Ok(Self { class, packs, wraps: shared.into_wraps(), extensions })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::super::segment::rows_for_tests;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        let body = IndexBody::decode(&golden::bytes("index")).unwrap();
        assert_eq!(body.class, IndexClass::Data);
        assert_eq!((body.packs[0].id, body.packs[0].length), (PackId([0x10; 32]), 75_000));
        assert_eq!(body.packs[0].md5, Some([0x11; 16]));
        assert_eq!((body.packs[0].rows[0].offset, body.packs[0].rows[0].length), (128, 64));
        assert_eq!(body.wraps[0].wrap, [0x0f]);
        assert_eq!(body.encode(), golden::bytes("index"));
    }

    #[test]
    fn an_index_may_stand_in_for_others() {
        let mut body = IndexBody::new(IndexClass::Data, &[], &BTreeMap::new());
        assert_eq!(body.replaces().count(), 0);
        body.replace(&[IndexId([1; 32]), IndexId([2; 32])]);
        let decoded = IndexBody::decode(&body.encode()).unwrap();
        assert_eq!(decoded.replaces().collect::<Vec<_>>(), [IndexId([1; 32]), IndexId([2; 32])]);
    }

    fn packs() -> impl Strategy<Value = Vec<PackSummary>> {
        let pack = (any::<[u8; 32]>(), 100_000_000u64..200_000_000, any::<Option<[u8; 16]>>(), rows_for_tests(200));
        let pack = pack.prop_map(|(id, length, md5, rows)| PackSummary { id: PackId(id), length, md5, rows });
        proptest::collection::vec(pack, 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_two_classes_hold_every_row_once(packs in packs()) {
            let wraps: BTreeMap<_, _> = (0..9).map(|n| (DataKeyId([n; 32]), vec![n])).collect();
            let mut rows = Vec::new();
            for class in IndexClass::BOTH {
                let body = IndexBody::new(class, &packs, &wraps);
                prop_assert!(body.packs.iter().all(|pack| !pack.rows.is_empty()));
                let keys: Vec<_> = body.wraps.iter().map(|key| key.id).collect();
                let needs = |row: &&SegmentDescriptor| row.kind != ChunkKind::Skeleton && !keys.contains(&row.key_id);
                prop_assert_eq!(body.packs.iter().flat_map(|pack| &pack.rows).find(needs), None);
                let decoded = IndexBody::decode(&body.encode()).unwrap();
                prop_assert_eq!(&decoded, &body);
                let located = |pack: PackSummary| pack.rows.into_iter().map(move |row| (pack.id, row.offset, row.ids));
                rows.extend(decoded.packs.into_iter().flat_map(located));
            }
            let located = |pack: PackSummary| pack.rows.into_iter().map(move |row| (pack.id, row.offset, row.ids));
            let mut expected: Vec<_> = packs.into_iter().flat_map(located).collect();
            rows.sort();
            expected.sort();
            prop_assert_eq!(rows, expected);
        }

        #[test]
        fn any_bytes_are_an_index_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            at: prop::sample::Index,
            value: u8,
        ) {
            let _ = IndexBody::decode(&bytes);
            let mut changed = golden::bytes("index");
            let at = at.index(changed.len());
            changed[at] = value;
            let _ = IndexBody::decode(&changed);
            prop_assert!(IndexBody::decode(&changed[..at]).is_err());
        }
    }
}
