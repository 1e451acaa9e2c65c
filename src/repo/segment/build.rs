//! Collecting chunks, compressing and sealing them. Nothing leaves that was not opened again and compared: a bad
//! compressor or bad memory must never become a backup that cannot be read.

use super::compress::{Compression, compress, compress_delta, looks_random};
use super::{ALIGNMENT, Binding, Codec, Error, Origin, SegmentDescriptor, TARGET, open, sealing_key};
use crate::crypto::aead::{self, Suite};
use crate::crypto::{hash, secret::Secret};
use crate::repo::chunks::Bytes;
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, RepositoryId};
use crate::repo::wire::Encoder;
use zstd::zstd_safe::CCtx;

/// What a session seals its segments of one kind with.
#[derive(Debug, Clone)]
pub struct Sealing {
    /// The repository's suite.
    pub suite: Suite,
    /// The repository.
    pub repository: RepositoryId,
    /// The current epoch.
    pub epoch: u32,
    /// The session's data key; for skeletons the epoch's index key.
    pub key: Secret,
    /// The data key's id; ignored for skeletons.
    pub key_id: DataKeyId,
    /// The session.
    pub origin: Origin,
}

/// A chunk that a delta builds on; it lies in a segment that is no delta.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its id.
    pub id: ChunkId,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How many times smaller than without its bases a delta must be: whoever reads it reads them too.
const DELTA_GAIN: usize = 2;
/// What naming a base costs, in bytes: its id in the pack's table and in the index.
const BASE_COST: usize = 2 * ChunkId::LEN;

/// A segment, ready for a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSegment {
    /// What the table will say; its offset is set by the pack.
    pub descriptor: SegmentDescriptor,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

/// Collects chunks of one kind until they make a segment. Its buffers and its compressor are kept from one to the next.
pub struct SegmentBuilder {
    kind: ChunkKind,
    chunks: Vec<u8>,
    ids: Vec<ChunkId>,
    lengths: Vec<u32>,
    compressed: Vec<u8>,
    plain: Vec<u8>,
    context: CCtx<'static>,
}

impl SegmentBuilder {
    /// An empty one.
    pub fn new(kind: ChunkKind) -> Self {
        Self {
            kind,
            chunks: Vec::new(),
            ids: Vec::new(),
            lengths: Vec::new(),
            compressed: Vec::new(),
            plain: Vec::new(),
            context: CCtx::create(),
        }
    }

    /// Adds a chunk.
    ///
    /// # Panics
    /// When the chunk is longer than any chunker makes them.
    pub fn push(&mut self, id: ChunkId, bytes: &[u8]) {
        self.lengths.push(u32::try_from(bytes.len()).expect("chunks are far below 4 GiB"));
        self.ids.push(id);
        self.chunks.extend_from_slice(bytes);
    }

    /// The first of the chunks collected.
    pub fn first(&self) -> &[u8] {
        &self.chunks[..self.lengths.first().map_or(0, |&length| length as usize)]
    }

    /// The kind of its chunks.
    pub const fn kind(&self) -> ChunkKind {
        self.kind
    }

    /// Bytes of the chunks collected.
    pub const fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether no chunk was collected.
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether it is time to [`Self::finish`].
    pub const fn is_full(&self) -> bool {
        self.chunks.len() >= TARGET
    }

    /// Whether `length` more bytes would lead beyond the target: finishing first keeps segments even.
    pub const fn would_overflow(&self, length: usize) -> bool {
        !self.is_empty() && self.chunks.len() + length > TARGET + TARGET / 4
    }

    /// Compresses, seals, and checks what was collected; the builder is empty then.
    ///
    /// # Errors
    /// [`Error::ReadBack`] when the sealed bytes do not open to what went in.
    pub fn finish(&mut self, sealing: &Sealing, compression: Compression) -> Result<SealedSegment, Error> {
        let codec = self.compress(compression);
        self.close(codec, sealing, &[])
    }

    /// As [`Self::finish`], as what `bases`, one after another, need to become the chunks. `None`, with everything still in
    /// the builder, when that is not much smaller than without them.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_as_delta(
        &mut self,
        sealing: &Sealing,
        compression: Compression,
        bases: &[Base],
    ) -> Result<Option<SealedSegment>, Error> {
        let Compression::Level(level) = compression else { return Ok(None) };
        if bases.is_empty() || !self.delta_pays(level, bases) {
            return Ok(None);
        }
        self.close(Codec::Delta, sealing, bases).map(Some)
    }

    /// Makes the delta; whether it is worth it.
    fn delta_pays(&mut self, level: i32, bases: &[Base]) -> bool {
        let prefix = bases.iter().map(|base| &*base.bytes).collect::<Vec<&[u8]>>().concat();
        let (length, extra) = (self.chunks.len(), bases.len() * BASE_COST);
        let Some(most) = (length / DELTA_GAIN).checked_sub(extra) else { return false };
        if !compress_delta(level, &prefix, &self.chunks, most, &mut self.compressed) {
            return false;
        }
        let cost = (self.compressed.len() + extra) * DELTA_GAIN;
        // Hardly anything gets that small by itself.
        cost < length / 32 || {
            let alone =
                !looks_random(&self.chunks) && compress(&mut self.context, level, &self.chunks, &mut self.plain);
            cost <= if alone { self.plain.len() } else { length }
        }
    }

    /// Gives away what was collected, chunk by chunk; the builder is empty then.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn empty_into<E>(&mut self, mut take: impl FnMut(ChunkId, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = &self.chunks[..];
        for (id, length) in std::mem::take(&mut self.ids).into_iter().zip(self.lengths.drain(..)) {
            let (chunk, behind) = rest.split_at(length as usize);
            rest = behind;
            take(id, chunk)?;
        }
        self.chunks.clear();
        Ok(())
    }

    fn close(&mut self, codec: Codec, sealing: &Sealing, bases: &[Base]) -> Result<SealedSegment, Error> {
        let sealed = self.seal(codec, sealing, bases.iter().map(|base| base.id).collect());
        let read_back = self.read_back(&sealed, sealing, bases);
        self.chunks.clear();
        self.lengths.clear();
        if read_back { Ok(sealed) } else { Err(Error::ReadBack) }
    }

    fn compress(&mut self, compression: Compression) -> Codec {
        let Compression::Level(level) = compression else { return Codec::Stored };
        let pays =
            !looks_random(&self.chunks) && compress(&mut self.context, level, &self.chunks, &mut self.compressed);
        if pays { Codec::Zstd } else { Codec::Stored }
    }

    fn seal(&mut self, codec: Codec, sealing: &Sealing, bases: Vec<ChunkId>) -> SealedSegment {
        let body = if codec == Codec::Stored { &self.chunks } else { &self.compressed };
        let mut encoder = Encoder::new();
        encoder.list(&self.lengths, |encoder, &length| _ = encoder.uint(length.into())).uint(body.len() as u64);
        self.plain.clear();
        self.plain.extend_from_slice(&encoder.into_bytes());
        self.plain.extend_from_slice(body);
        let sealed_len = (self.plain.len() + aead::OVERHEAD).next_multiple_of(ALIGNMENT);
        self.plain.resize(sealed_len - aead::OVERHEAD, 0);
        let skeleton = self.kind == ChunkKind::Skeleton;
        let key_id = if skeleton { DataKeyId([0; 32]) } else { sealing.key_id };
        let Sealing { suite, ref repository, epoch, origin, .. } = *sealing;
        let binding =
            Binding { suite, repository, kind: self.kind, codec, epoch, key_id: &key_id, length: self.plain.len() };
        let bytes = aead::seal(suite, &sealing_key(self.kind, &sealing.key), &binding.encode(), &self.plain);
        let descriptor = SegmentDescriptor {
            kind: self.kind,
            suite,
            codec,
            epoch,
            offset: 0,
            length: u32::try_from(bytes.len()).expect("segments are far below 4 GiB"),
            hash: hash::blake3(&bytes),
            key_id,
            origin,
            ids: std::mem::take(&mut self.ids),
            bases,
        };
        SealedSegment { descriptor, bytes }
    }

    /// Whether the sealed bytes open to the chunks that were collected.
    fn read_back(&self, sealed: &SealedSegment, sealing: &Sealing, bases: &[Base]) -> bool {
        let bases: Vec<Bytes> = bases.iter().map(|base| base.bytes.clone()).collect();
        let bytes = sealed.bytes.clone();
        let Ok(opened) = open(&sealed.descriptor, &sealing.repository, &sealing.key, bytes, &bases) else {
            return false;
        };
        let mut rest = &self.chunks[..];
        self.lengths.iter().enumerate().all(|(index, &length)| {
            let (expected, behind) = rest.split_at(length as usize);
            rest = behind;
            *opened.chunk(index) == *expected
        })
    }
}

impl std::fmt::Debug for SegmentBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentBuilder({:?}, {} chunks, {} bytes)", self.kind, self.ids.len(), self.chunks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::RowEncoder;
    use super::*;
    use crate::repo::chunk_keys::ChunkKeys;
    use crate::repo::golden;
    use crate::repo::id::WriterId;
    use proptest::prelude::*;

    fn sealing(suite: Suite) -> Sealing {
        Sealing {
            suite,
            repository: RepositoryId([1; 32]),
            epoch: 2,
            key: Secret::new([3; 32]),
            key_id: DataKeyId([4; 32]),
            origin: Origin { writer: WriterId([5; 16]), seq: 6 },
        }
    }

    fn keys() -> ChunkKeys {
        ChunkKeys::derive(&Secret::new([7; 32]), &Secret::new([8; 32]))
    }

    fn sealed(kind: ChunkKind, sealing: &Sealing, chunks: &[Vec<u8>]) -> SealedSegment {
        let mut builder = SegmentBuilder::new(kind);
        chunks.iter().for_each(|chunk| builder.push(keys().id(kind, chunk), chunk));
        builder.finish(sealing, Compression::default()).unwrap()
    }

    #[test]
    fn golden() {
        let repository = RepositoryId([10; 32]);
        let key_id = DataKeyId([12; 32]);
        let mut row = SegmentDescriptor {
            kind: ChunkKind::Data,
            suite: Suite::XChaCha20Poly1305,
            codec: Codec::Stored,
            epoch: 1,
            offset: 128,
            length: 64,
            hash: [0; 32],
            key_id,
            origin: Origin { writer: WriterId([14; 16]), seq: 7 },
            ids: vec![ChunkId([1; 32]), ChunkId([2; 32])],
            bases: vec![],
        };
        let mut plain = b"\x02\x03\x03\x06onetwo".to_vec();
        plain.resize(64 - aead::OVERHEAD, 0);
        let binding = Binding {
            suite: row.suite,
            repository: &repository,
            kind: row.kind,
            codec: row.codec,
            epoch: 1,
            key_id: &key_id,
            length: plain.len(),
        };
        let key = Secret::new([11; 32]);
        let sealed = aead::seal_with_nonce(row.suite, &key, &[13; 24], &binding.encode(), &plain);
        assert_eq!(sealed, golden::bytes("segment"));
        row.hash = hash::blake3(&sealed);
        let opened = open(&row, &repository, &key, sealed, &[]).unwrap();
        assert_eq!([&*opened.chunk(0), &*opened.chunk(1)], [b"one", b"two"]);

        let mut encoder = Encoder::new();
        let rows = RowEncoder::new(&mut encoder, [&row].into_iter(), &[(key_id, vec![15])].into());
        rows.rows(&mut encoder, [&row].into_iter());
        assert_eq!(encoder.into_bytes(), golden::bytes("row"));
    }

    #[test]
    fn what_is_bound_is_checked() {
        let with = sealing(Suite::Aes256Gcm);
        let segment = sealed(ChunkKind::Data, &with, &[b"abc".to_vec()]);
        let row = &segment.descriptor;
        let opens =
            |row: &SegmentDescriptor, repository| open(row, &repository, &with.key, segment.bytes.clone(), &[]).is_ok();
        assert!(opens(row, with.repository));
        assert!(opens(&SegmentDescriptor { offset: 77, ..row.clone() }, with.repository), "the place is not bound");
        assert!(!opens(row, RepositoryId([2; 32])));
        for changed in [
            SegmentDescriptor { kind: ChunkKind::Payload, ..row.clone() },
            SegmentDescriptor { codec: Codec::Zstd, ..row.clone() },
            SegmentDescriptor { epoch: 3, ..row.clone() },
            SegmentDescriptor { suite: Suite::XChaCha20Poly1305, ..row.clone() },
            SegmentDescriptor { key_id: DataKeyId([0; 32]), ..row.clone() },
            SegmentDescriptor { ids: vec![], ..row.clone() },
        ] {
            assert!(!opens(&changed, with.repository), "{changed:?}");
        }
    }

    #[test]
    fn skeletons_are_sealed_under_the_index_key() {
        let with = sealing(Suite::XChaCha20Poly1305);
        let segment = sealed(ChunkKind::Skeleton, &with, &[b"page".to_vec()]);
        assert_eq!(segment.descriptor.key_id, DataKeyId([0; 32]));
        let opened = open(&segment.descriptor, &with.repository, &with.key, segment.bytes.clone(), &[]).unwrap();
        assert_eq!(opened.checked(&segment.descriptor, 0, &keys()).unwrap().to_vec(), b"page");
    }

    /// restic#4677: a compressor gave what does not decompress to what went in, and that was stored.
    #[test]
    fn what_a_compressor_spoiled_is_not_sealed() {
        let with = sealing(Suite::Aes256Gcm);
        let chunk = b"a chunk that compresses well, ".repeat(400);
        let noticed = (0..40).filter(|&at| {
            let mut builder = SegmentBuilder::new(ChunkKind::Data);
            builder.push(keys().id(ChunkKind::Data, &chunk), &chunk);
            assert_eq!(builder.compress(Compression::default()), Codec::Zstd);
            builder.compressed[at] ^= 0x10;
            // A bit that means nothing may turn: then what comes back is what went in.
            let Ok(segment) = builder.close(Codec::Zstd, &with, &[]) else { return true };
            let opened = open(&segment.descriptor, &with.repository, &with.key, segment.bytes, &[]).unwrap();
            assert!(opened.chunk(0).to_vec() == chunk, "byte {at}");
            false
        });
        assert!(noticed.count() > 20);
    }

    #[test]
    fn a_table_that_lies_about_ids_is_noticed() {
        let with = sealing(Suite::Aes256Gcm);
        let mut segment = sealed(ChunkKind::Data, &with, &[b"abc".to_vec(), b"def".to_vec()]);
        segment.descriptor.ids.swap(0, 1);
        let opened = open(&segment.descriptor, &with.repository, &with.key, segment.bytes.clone(), &[]).unwrap();
        assert_eq!(opened.verify(&segment.descriptor, &keys()), Err(Error::Id(segment.descriptor.ids[0])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn chunks_come_back(
            chunks in proptest::collection::vec(proptest::collection::vec(0u8..6, 0..3000), 0..8),
            random: bool,
            second in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let suite = if random { Suite::Aes256Gcm } else { Suite::XChaCha20Poly1305 };
            let with = sealing(suite);
            let mut builder = SegmentBuilder::new(ChunkKind::Data);
            for chunks in [chunks, vec![second]] {
                chunks.iter().for_each(|chunk| builder.push(keys().id(ChunkKind::Data, chunk), chunk));
                let segment = builder.finish(&with, Compression::Level(1)).unwrap();
                prop_assert_eq!(segment.bytes.len() % ALIGNMENT, 0);
                let opened = open(&segment.descriptor, &with.repository, &with.key, segment.bytes.clone(), &[]).unwrap();
                opened.verify(&segment.descriptor, &keys()).unwrap();
                let back: Vec<Vec<u8>> = (0..opened.len()).map(|index| opened.chunk(index).to_vec()).collect();
                prop_assert_eq!(back, chunks);
                prop_assert!(builder.is_empty());
            }
        }
    }
}
