//! From sealed bytes back to chunks.
//!
//! Nothing is decompressed before it is authenticated, and never to more than the authenticated lengths say. Ids are
//! checked chunk by chunk by whoever takes them out: see [`DecodedSegment::checked`].

use super::compress::decompress;
use super::{ALIGNMENT, Binding, Codec, Error, MAX_BODY, SegmentDescriptor, sealing_key};
use crate::crypto::{aead, secret::Secret};
use crate::repo::chunk_keys::ChunkKeys;
use crate::repo::chunks::Bytes;
use crate::repo::id::RepositoryId;
use crate::repo::wire::{self, Decoder};
use std::ops::Range;
use std::sync::Arc;

/// An opened segment: its chunks, one after another in one shared buffer.
#[derive(Debug, Clone)]
pub struct DecodedSegment {
    buffer: Arc<Vec<u8>>,
    /// Where each chunk starts in the buffer, and where the last one ends.
    bounds: Vec<u32>,
}

impl DecodedSegment {
    /// How many chunks it holds.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it keeps in memory, for caches.
    pub fn weight(&self) -> usize {
        self.buffer.capacity() + self.bounds.capacity() * size_of::<u32>()
    }

    /// The chunk at `index`, its id unchecked.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn chunk(&self, index: usize) -> Bytes {
        Bytes::new(Arc::clone(&self.buffer), self.bounds[index] as usize, self.bounds[index + 1] as usize)
    }

    /// The chunk at `index` of the segment that `row` describes, after its id was checked.
    ///
    /// # Errors
    /// [`Error::Id`] when its bytes have another id.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn checked(&self, row: &SegmentDescriptor, index: usize, keys: &ChunkKeys) -> Result<Bytes, Error> {
        let chunk = self.chunk(index);
        if keys.id(row.kind, &chunk) == row.ids[index] { Ok(chunk) } else { Err(Error::Id(row.ids[index])) }
    }

    /// Checks the ids of all chunks.
    ///
    /// # Errors
    /// [`Error::Id`] with the first that differs.
    pub fn verify(&self, row: &SegmentDescriptor, keys: &ChunkKeys) -> Result<(), Error> {
        (0..self.len()).try_for_each(|index| self.checked(row, index, keys).map(drop))
    }
}

/// Opens the segment that `row` describes. `key` is its data key, or for skeletons the index key of its epoch; `bases`
/// are the chunks that `row.bases` names, in order.
///
/// # Errors
/// When anything does not authenticate, decode, or fit the row.
pub fn open(
    row: &SegmentDescriptor,
    repository: &RepositoryId,
    key: &Secret,
    mut sealed: Vec<u8>,
    bases: &[Bytes],
) -> Result<DecodedSegment, Error> {
    let length = sealed.len().saturating_sub(aead::OVERHEAD);
    let binding = Binding {
        suite: row.suite,
        repository,
        kind: row.kind,
        codec: row.codec,
        epoch: row.epoch,
        key_id: &row.key_id,
        length,
    };
    let plain = aead::open_in_place(row.suite, &sealing_key(row.kind, key), &binding.encode(), &mut sealed)?;
    let decoded = decode(row.codec, sealed, plain, bases)?;
    if decoded.len() == row.ids.len() && bases.len() == row.bases.len() {
        Ok(decoded)
    } else {
        Err(wire::Error::Invalid("its number of chunks is not the table's").into())
    }
}

/// Takes the plaintext of a segment apart, which is `plain` of `opened`.
fn decode(codec: Codec, opened: Vec<u8>, plain: Range<usize>, bases: &[Bytes]) -> Result<DecodedSegment, Error> {
    let mut decoder = Decoder::new(&opened[plain.clone()]);
    let lengths = decoder.list(Decoder::uint_as::<u32>)?;
    let total = lengths.iter().map(|&length| u64::from(length)).sum::<u64>();
    let total = usize::try_from(total).ok().filter(|&total| total <= MAX_BODY);
    let total = total.ok_or(wire::Error::Invalid("holds more than a segment may"))?;
    let body = decoder.bytes()?;
    if decoder.rest().len() >= ALIGNMENT || decoder.rest().iter().any(|&byte| byte != 0) {
        return Err(wire::Error::Invalid("its padding is not zero").into());
    }
    let (buffer, start) = match codec {
        Codec::Stored if body.len() == total => {
            let start = plain.end - decoder.rest().len() - total;
            (opened, start)
        }
        Codec::Stored => return Err(Error::Codec),
        Codec::Zstd => (decompress(body, &[], total).ok_or(Error::Codec)?, 0),
        Codec::Delta if bases.iter().map(|base| base.len()).sum::<usize>() > MAX_BODY => {
            return Err(wire::Error::Invalid("builds on more than a segment may").into());
        }
        Codec::Delta => {
            let prefix: Vec<u8> = bases.iter().flat_map(|base| base.iter().copied()).collect();
            (decompress(body, &prefix, total).ok_or(Error::Codec)?, 0)
        }
    };
    let mut end = u32::try_from(start).map_err(|_| wire::Error::Number)?;
    let mut bounds = Vec::with_capacity(lengths.len() + 1);
    bounds.push(end);
    for length in lengths {
        end += length;
        bounds.push(end);
    }
    Ok(DecodedSegment { buffer: Arc::new(buffer), bounds })
}

#[cfg(test)]
mod tests {
    use super::super::compress::compress_delta;
    use super::super::{Origin, TARGET};
    use super::*;
    use crate::crypto::aead::Suite;
    use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, WriterId};
    use crate::repo::wire::Encoder;
    use proptest::prelude::*;

    fn plaintext(lengths: &[u64], body: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.list(lengths, |encoder, &length| _ = encoder.uint(length)).bytes(body);
        encoder.into_bytes()
    }

    #[test]
    fn lengths_bound_what_is_decompressed() {
        let decode = |codec, plain: Vec<u8>, bases| {
            let all = 0..plain.len();
            decode(codec, plain, all, bases)
        };
        let bomb = zstd::bulk::compress(&vec![0; 4 * TARGET], 3).unwrap();
        assert!(decode(Codec::Zstd, plaintext(&[100], &bomb), &[]).is_err());
        assert!(decode(Codec::Zstd, plaintext(&[4 * TARGET as u64], &bomb), &[]).is_ok());
        for claimed in [MAX_BODY as u64 + 1, u64::from(u32::MAX), u64::MAX] {
            assert!(decode(Codec::Zstd, plaintext(&[claimed], &bomb), &[]).is_err());
        }
        assert!(decode(Codec::Zstd, plaintext(&[u64::from(u32::MAX); 9], &bomb), &[]).is_err());
        assert_eq!(decode(Codec::Stored, plaintext(&[3], b"four"), &[]).unwrap_err(), Error::Codec);
        let bases = vec![Bytes::from(vec![0; TARGET]); MAX_BODY / TARGET + 1];
        let refused = decode(Codec::Delta, plaintext(&[1], &[0]), &bases).unwrap_err();
        assert!(matches!(refused, Error::Format(_)), "{refused}");
    }

    #[test]
    fn a_delta_opens_with_its_bases() {
        let bases: Vec<Bytes> = [b"the first base, ".to_vec(), b"and the second".repeat(40)].map(Bytes::from).into();
        let chunks = [b"and the second".repeat(39), b"the first base".to_vec()];
        let (prefix, mut body) = (bases.iter().flat_map(|base| base.to_vec()).collect::<Vec<_>>(), Vec::new());
        assert!(compress_delta(3, &prefix, &chunks.concat(), 1000, &mut body));
        let mut plain = plaintext(&[chunks[0].len() as u64, chunks[1].len() as u64], &body);
        plain.resize((plain.len() + aead::OVERHEAD).next_multiple_of(ALIGNMENT) - aead::OVERHEAD, 0);
        let key = Secret::new([1; 32]);
        let row = SegmentDescriptor {
            kind: ChunkKind::Data,
            suite: Suite::Aes256Gcm,
            codec: Codec::Delta,
            epoch: 3,
            offset: 0,
            length: 0,
            hash: [0; 32],
            key_id: DataKeyId([5; 32]),
            origin: Origin { writer: WriterId([0; 16]), seq: 1 },
            ids: vec![ChunkId([1; 32]), ChunkId([2; 32])],
            bases: vec![ChunkId([3; 32]), ChunkId([4; 32])],
        };
        let repository = RepositoryId([6; 32]);
        let binding = Binding {
            suite: row.suite,
            repository: &repository,
            kind: row.kind,
            codec: row.codec,
            epoch: row.epoch,
            key_id: &row.key_id,
            length: plain.len(),
        };
        let sealed = aead::seal(row.suite, &key, &binding.encode(), &plain);
        let opened = open(&row, &repository, &key, sealed.clone(), &bases).unwrap();
        assert_eq!([opened.chunk(0).to_vec(), opened.chunk(1).to_vec()], chunks);
        assert!(open(&row, &repository, &key, sealed, &bases[..1]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_plaintext_is_chunks_or_an_error(plain in proptest::collection::vec(any::<u8>(), 0..300), number in 0u8..3) {
            let all = 0..plain.len();
            if let Ok(decoded) = decode(Codec::from_number(number).unwrap(), plain, all, &[]) {
                (0..decoded.len()).for_each(|index| drop(decoded.chunk(index)));
            }
        }
    }
}
