//! The byte form of segment descriptors, the same in pack tables and in indexes. Data keys (with their wraps) and
//! origins stand once in front; rows refer to them by position.

use super::{ALIGNMENT, Codec, MAX_SEALED, Origin, SegmentDescriptor};
use crate::crypto::aead::Suite;
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, WriterId};
use crate::repo::wire::{Decoder, Encoder, Error};
use std::collections::{BTreeMap, BTreeSet};

/// A data key's id, and the key as it is wrapped for readers: bytes that only the keys module understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The data key.
    pub id: DataKeyId,
    /// The wrap.
    pub wrap: Vec<u8>,
}

/// Encodes rows that share their data keys and origins.
pub struct RowEncoder {
    keys: BTreeMap<DataKeyId, usize>,
    origins: BTreeMap<Origin, usize>,
}

impl RowEncoder {
    /// Writes the shared lists for `rows`; of `wraps` only those that a row needs.
    pub fn new<'a>(
        encoder: &mut Encoder,
        rows: impl Iterator<Item = &'a SegmentDescriptor> + Clone,
        wraps: &BTreeMap<DataKeyId, Vec<u8>>,
    ) -> Self {
        let numbered = |ids: BTreeSet<DataKeyId>| ids.into_iter().enumerate().map(|(at, id)| (id, at + 1)).collect();
        let sealed = rows.clone().filter(|row| row.kind != ChunkKind::Skeleton);
        let keys: BTreeMap<_, _> = numbered(sealed.map(|row| row.key_id).collect());
        let origins: BTreeSet<Origin> = rows.map(|row| row.origin).collect();
        encoder.uint(keys.len() as u64);
        for id in keys.keys() {
            encoder.raw(&id.0).bytes(wraps.get(id).map_or(&[], Vec::as_slice));
        }
        encoder.uint(origins.len() as u64);
        for origin in &origins {
            encoder.raw(&origin.writer.0).uint(origin.seq);
        }
        Self { keys, origins: origins.into_iter().enumerate().map(|(at, origin)| (origin, at)).collect() }
    }

    /// Writes the rows of one pack, in order of their offsets.
    ///
    /// # Panics
    /// When a row was not among those that the encoder was made for, or rows overlap.
    pub fn rows<'a>(&self, encoder: &mut Encoder, rows: impl ExactSizeIterator<Item = &'a SegmentDescriptor>) {
        encoder.uint(rows.len() as u64);
        let mut end = 0;
        for row in rows {
            let gap = row.offset.checked_sub(end).expect("rows are in order");
            end = row.offset + u64::from(row.length);
            let key = if row.kind == ChunkKind::Skeleton { 0 } else { self.keys[&row.key_id] };
            encoder.u8(row.kind as u8).u8(row.suite as u8).u8(row.codec as u8).uint(row.epoch.into());
            encoder.uint(gap).uint(u64::from(row.length) / ALIGNMENT as u64).raw(&row.hash);
            encoder.uint(key as u64).uint(self.origins[&row.origin] as u64);
            encoder.list(&row.ids, |encoder, id| _ = encoder.raw(&id.0));
            encoder.list(&row.bases, |encoder, id| _ = encoder.raw(&id.0));
        }
    }
}

/// Decodes what [`RowEncoder`] wrote.
pub struct RowDecoder {
    keys: Vec<WrappedKey>,
    origins: Vec<Origin>,
}

impl RowDecoder {
    /// Reads the shared lists.
    ///
    /// # Errors
    /// When they do not decode.
    pub fn new(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let keys = decoder.list(|decoder| {
            Ok::<_, Error>(WrappedKey { id: DataKeyId(decoder.array()?), wrap: decoder.bytes()?.to_vec() })
        })?;
        let origins = decoder
            .list(|decoder| Ok::<_, Error>(Origin { writer: WriterId(decoder.array()?), seq: decoder.uint()? }))?;
        Ok(Self { keys, origins })
    }

    /// Reads the rows of one pack that may use the stored bytes before `limit`.
    ///
    /// # Errors
    /// When they do not decode or lie outside.
    pub fn rows(&self, decoder: &mut Decoder<'_>, limit: u64) -> Result<Vec<SegmentDescriptor>, Error> {
        let mut end = 0;
        decoder.list(|decoder| {
            let row = self.row(decoder, end)?;
            end = row.offset + u64::from(row.length);
            if end <= limit { Ok(row) } else { Err(Error::Invalid("a segment lies outside its pack")) }
        })
    }

    fn row(&self, decoder: &mut Decoder<'_>, end: u64) -> Result<SegmentDescriptor, Error> {
        let kind = ChunkKind::from_number(decoder.u8()?).ok_or(Error::Invalid("unknown kind of segment"))?;
        let suite = Suite::try_from(decoder.u8()?).map_err(|_| Error::Invalid("unknown cipher suite"))?;
        let codec = Codec::from_number(decoder.u8()?).ok_or(Error::Invalid("unknown codec"))?;
        let epoch = decoder.uint_as()?;
        let offset = end.checked_add(decoder.uint()?).filter(|&at| at <= i64::MAX as u64).ok_or(Error::Number)?;
        let length = decoder.uint_as::<u32>()?.checked_mul(ALIGNMENT as u32).filter(|&length| length <= MAX_SEALED);
        let length = length.ok_or(Error::Invalid("a segment is longer than any may be"))?;
        let hash = decoder.array()?;
        let key_id = match (kind, decoder.uint_as::<usize>()?) {
            (ChunkKind::Skeleton, 0) => DataKeyId([0; 32]),
            (ChunkKind::Data | ChunkKind::Payload, at @ 1..) => {
                self.keys.get(at - 1).ok_or(Error::Invalid("names a data key that is not listed"))?.id
            }
            _ => return Err(Error::Invalid("a segment has the wrong sort of key")),
        };
        let origin = self.origins.get(decoder.uint_as::<usize>()?);
        let origin = *origin.ok_or(Error::Invalid("names a session that is not listed"))?;
        let ids = decoder.list(|decoder| Ok::<_, Error>(ChunkId(decoder.array()?)))?;
        let bases = decoder.list(|decoder| Ok::<_, Error>(ChunkId(decoder.array()?)))?;
        if bases.is_empty() == (codec == Codec::Delta) {
            return Err(Error::Invalid("deltas have bases, and nothing else has"));
        }
        Ok(SegmentDescriptor { kind, suite, codec, epoch, offset, length, hash, key_id, origin, ids, bases })
    }

    /// The data keys listed, with their wraps.
    pub fn into_wraps(self) -> Vec<WrappedKey> {
        self.keys
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any rows of one pack, in order, the first not before `start`.
    pub fn rows(start: u64) -> impl Strategy<Value = Vec<SegmentDescriptor>> {
        let row = (1u8..4, 1u8..3, 0u8..3, any::<u32>(), 0u64..100, 0u32..50_000, any::<[u8; 32]>(), 0u8..3, 1usize..5);
        proptest::collection::vec(row, 0..12).prop_map(move |rows| {
            let mut end = start;
            let describe = |(kind, suite, codec, epoch, gap, length, hash, few, chunks)| {
                let kind = ChunkKind::from_number(kind).unwrap();
                let key = if kind == ChunkKind::Skeleton { 0 } else { few + 1 };
                let offset: u64 = end + gap;
                let length: u32 = length * 64;
                end = offset + u64::from(length);
                SegmentDescriptor {
                    kind,
                    suite: Suite::try_from(suite).unwrap(),
                    codec: Codec::from_number(codec).unwrap(),
                    epoch,
                    offset,
                    length,
                    hash,
                    key_id: DataKeyId([key; 32]),
                    origin: Origin { writer: WriterId([few; 16]), seq: u64::from(few) << 40 },
                    ids: (0..chunks as u8).map(|n| ChunkId([n ^ few; 32])).collect(),
                    bases: if codec == 2 { vec![ChunkId([9; 32]); chunks] } else { vec![] },
                }
            };
            rows.into_iter().map(describe).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rows_come_back(rows in rows(0)) {
            let wraps = BTreeMap::from([(DataKeyId([1; 32]), b"one".to_vec()), (DataKeyId([9; 32]), b"unused".to_vec())]);
            let mut encoder = Encoder::new();
            let shared = RowEncoder::new(&mut encoder, rows.iter(), &wraps);
            shared.rows(&mut encoder, rows.iter());
            let bytes = encoder.into_bytes();
            let end = rows.last().map_or(0, |row| row.offset + u64::from(row.length));
            let decode = |bytes: &[u8], limit| Decoder::whole(bytes, |decoder| {
                let shared = RowDecoder::new(decoder)?;
                let rows = shared.rows(decoder, limit)?;
                Ok::<_, Error>((rows, shared.into_wraps()))
            });
            let (back, listed) = decode(&bytes, end).unwrap();
            prop_assert_eq!(&back, &rows);
            prop_assert!(listed.iter().all(|key| key.id != DataKeyId([9; 32])));
            prop_assert!(rows.is_empty() || decode(&bytes, end - 1).is_err() || end == 0);
            prop_assert!(decode(&bytes[..bytes.len() - 1], end).is_err());
        }

        #[test]
        fn any_bytes_are_rows_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::new(&bytes);
            if let Ok(shared) = RowDecoder::new(&mut decoder) {
                let _ = shared.rows(&mut decoder, 1 << 40);
            }
        }
    }
}
