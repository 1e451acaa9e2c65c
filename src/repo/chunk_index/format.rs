//! The bytes of a run: sections of fixed rows in whole blocks, a code for each block, and a footer that vouches for all.
//!
//! ```text
//! ids        the chunks of each segment in order, then its bases           32 bytes each
//! segments   what opening a segment needs                                 104
//! packs      a pack's segments of one origin that one index names          56
//! origins    the sessions that wrote segments                              24
//! keys       data keys, sorted by id: where their wraps are                48
//! wraps      data keys as they are wrapped for readers                     bytes
//! indexes    the index objects that the run covers                         120
//! replaced   the indexes that those stand in for                           32
//! directory  where in the two sections below each bucket of ids starts      8
//! tags       16 bits of every chunk's id, sorted within the bucket          2
//! spots      segment and position of the chunk with that tag                8
//! codes      the first half of each block's keyed BLAKE3                   16
//! footer     FOOTER bytes
//! ```
//!
//! A bucket is the first bits of an id, as many as leave about a hundred chunks in each; the tag is the sixteen bits after
//! them. All numbers are little-endian. This is a cache of one machine, not the repository's format: another version has
//! another name and is simply made anew.

use crate::crypto::hash;
use crate::crypto::secret::Secret;
use crate::repo::id::{ChunkId, DataKeyId, IndexId, PackId, RepositoryId, WriterId};
use crate::repo::names::IndexClass;
use crate::repo::segment::Origin;
use crate::repo::session::IndexRef;

/// First bytes of every footer; the last one is the version.
const MAGIC: [u8; 8] = *b"bvchunk\x01";
/// Sections start at multiples of this, and are checked in pieces of it: what the system reads at once anyway.
pub const BLOCK: usize = 4096;
/// Bytes of a block's code.
pub const CODE: usize = 16;
/// Chunks in a bucket are fewer than twice this many, on average.
const BUCKET: u64 = 64;
/// More bits than this no directory has.
const MAX_BITS: u32 = 40;
/// Bytes of the footer.
pub const FOOTER: usize = MAGIC.len() + 32 + 1 + 1 + 32 + 8 * SECTIONS + 32 + 32;
const SECTIONS: usize = 11;

/// A part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Section {
    Ids,
    Segments,
    Packs,
    Origins,
    Keys,
    Wraps,
    Indexes,
    Replaced,
    Directory,
    Tags,
    Spots,
}

impl Section {
    /// All of them, in the file's order.
    pub const ALL: [Self; SECTIONS] = [
        Self::Ids,
        Self::Segments,
        Self::Packs,
        Self::Origins,
        Self::Keys,
        Self::Wraps,
        Self::Indexes,
        Self::Replaced,
        Self::Directory,
        Self::Tags,
        Self::Spots,
    ];

    /// Bytes of one row.
    pub const fn row(self) -> u64 {
        match self {
            Self::Ids | Self::Replaced => 32,
            Self::Segments => 104,
            Self::Packs => 56,
            Self::Origins => 24,
            Self::Keys => 48,
            Self::Indexes => 120,
            Self::Directory | Self::Spots => 8,
            Self::Tags => 2,
            Self::Wraps => 1,
        }
    }
}

/// The key that proves runs of one repository, and that repository.
#[derive(Debug, Clone)]
pub struct RunKey {
    pub repository: RepositoryId,
    pub secret: Secret,
}

impl RunKey {
    /// The key of one file: nothing of another file, or of another class, passes for a part of it.
    pub fn of_file(&self, id: &[u8; 32], class: IndexClass) -> Secret {
        let bound = [&MAGIC[..], &[class as u8], id, &self.repository.0].concat();
        Secret::new(hash::keyed(&self.secret, &bound))
    }
}

/// A block's code.
pub fn code(key: &Secret, block: &[u8]) -> [u8; CODE] {
    *hash::keyed(key, block).first_chunk().expect("a hash is longer than its half")
}

/// The end of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    pub class: IndexClass,
    /// Drawn for this file.
    pub id: [u8; 32],
    /// Bits of an id that choose the bucket.
    pub bits: u32,
    /// Bytes of each section, without what fills its last block.
    pub lengths: [u64; SECTIONS],
    /// Keyed hash of all codes.
    pub codes: [u8; 32],
}

impl Footer {
    pub fn encode(&self, key: &RunKey) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&key.repository.0);
        bytes.push(self.class as u8);
        bytes.push(self.bits as u8);
        bytes.extend_from_slice(&self.id);
        self.lengths.iter().for_each(|length| bytes.extend_from_slice(&length.to_le_bytes()));
        bytes.extend_from_slice(&self.codes);
        let proof = hash::keyed(&key.of_file(&self.id, self.class), &bytes);
        bytes.extend_from_slice(&proof);
        bytes
    }

    /// `None` when it is no footer, or that of something else than a run of this repository.
    pub fn decode(bytes: &[u8], key: &RunKey) -> Option<Self> {
        let (said, proof) = bytes.split_last_chunk::<32>()?;
        let mut fields = Fields(said);
        if bytes.len() != FOOTER || fields.take() != MAGIC || RepositoryId(fields.take()) != key.repository {
            return None;
        }
        let [class, bits] = fields.take();
        let (class, bits) = (IndexClass::from_number(class)?, u32::from(bits));
        let id = fields.take();
        let lengths = std::array::from_fn(|_| fields.u64());
        let footer = Self { class, id, bits, lengths, codes: fields.take() };
        let sound = hash::keyed(&key.of_file(&id, class), said) == *proof && bits <= MAX_BITS;
        let whole = Section::ALL.iter().all(|section| lengths[*section as usize].is_multiple_of(section.row()));
        (sound && whole).then_some(footer)
    }

    /// Where each section starts; then where the blocks end.
    pub fn starts(&self) -> Option<([u64; SECTIONS], u64)> {
        let mut at = 0_u64;
        let mut starts = [0; SECTIONS];
        for (start, length) in starts.iter_mut().zip(&self.lengths) {
            *start = at;
            at = at.checked_add(length.checked_next_multiple_of(BLOCK as u64)?)?;
        }
        Some((starts, at))
    }

    /// Rows of a section.
    pub fn rows(&self, section: Section) -> u64 {
        self.lengths[section as usize] / section.row()
    }
}

/// Bits that choose the bucket, where there are so many chunks.
pub const fn bits_for(chunks: u64) -> u32 {
    match (chunks / BUCKET).checked_ilog2() {
        Some(bits) if bits < MAX_BITS => bits,
        Some(_) => MAX_BITS,
        None => 0,
    }
}

/// The first bytes of an id as a number: its bucket, its tag, and more. Ids are keyed hashes, and so evenly spread.
pub fn prefix(id: &ChunkId) -> u64 {
    u64::from_be_bytes(*id.0.first_chunk().expect("an id is longer than a number"))
}

/// A prefix's bucket.
pub const fn bucket(prefix: u64, bits: u32) -> u64 {
    if bits == 0 { 0 } else { prefix >> (64 - bits) }
}

/// A prefix's tag.
pub const fn tag(prefix: u64, bits: u32) -> u16 {
    ((prefix << bits) >> 48) as u16
}

/// Takes rows of known length apart.
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().expect("rows are as long as their fields");
        self.0 = rest;
        *first
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// A row of [`Section::Segments`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRow {
    pub kind: u8,
    pub suite: u8,
    pub codec: u8,
    pub epoch: u32,
    pub offset: u64,
    pub length: u32,
    /// Its row among the packs.
    pub pack: u32,
    /// Its first row among the ids.
    pub first: u64,
    pub ids: u32,
    pub bases: u32,
    pub hash: [u8; 32],
    pub key: DataKeyId,
}

impl SegmentRow {
    pub fn encode(&self) -> [u8; Section::Segments.row() as usize] {
        let mut row = Row::new();
        row.put(&[self.kind, self.suite, self.codec, 0]).put(&self.epoch.to_le_bytes());
        row.put(&self.offset.to_le_bytes()).put(&self.length.to_le_bytes()).put(&self.pack.to_le_bytes());
        row.put(&self.first.to_le_bytes()).put(&self.ids.to_le_bytes()).put(&self.bases.to_le_bytes());
        row.put(&self.hash).put(&self.key.0);
        row.bytes
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        let [kind, suite, codec, _] = fields.take();
        Self {
            kind,
            suite,
            codec,
            epoch: fields.u32(),
            offset: fields.u64(),
            length: fields.u32(),
            pack: fields.u32(),
            first: fields.u64(),
            ids: fields.u32(),
            bases: fields.u32(),
            hash: fields.take(),
            key: DataKeyId(fields.take()),
        }
    }
}

/// A row of [`Section::Packs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRow {
    pub id: PackId,
    pub length: u64,
    /// Its first row among the segments.
    pub first: u32,
    pub segments: u32,
    /// Its row among the origins: all these segments are of one session.
    pub origin: u32,
    /// Its row among the indexes: which one says so.
    pub index: u32,
}

impl PackRow {
    pub fn encode(&self) -> [u8; Section::Packs.row() as usize] {
        let mut row = Row::new();
        row.put(&self.id.0).put(&self.length.to_le_bytes()).put(&self.first.to_le_bytes());
        row.put(&self.segments.to_le_bytes()).put(&self.origin.to_le_bytes()).put(&self.index.to_le_bytes());
        row.bytes
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            id: PackId(fields.take()),
            length: fields.u64(),
            first: fields.u32(),
            segments: fields.u32(),
            origin: fields.u32(),
            index: fields.u32(),
        }
    }
}

/// A row of [`Section::Origins`].
pub fn encode_origin(origin: &Origin) -> [u8; Section::Origins.row() as usize] {
    let mut row = Row::new();
    row.put(&origin.writer.0).put(&origin.seq.to_le_bytes());
    row.bytes
}

pub fn decode_origin(bytes: &[u8]) -> Origin {
    let mut fields = Fields(bytes);
    Origin { writer: WriterId(fields.take()), seq: fields.u64() }
}

/// A row of [`Section::Keys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRow {
    pub id: DataKeyId,
    /// Where its wrap is among the wraps.
    pub at: u64,
    pub length: u64,
}

impl KeyRow {
    pub fn encode(&self) -> [u8; Section::Keys.row() as usize] {
        let mut row = Row::new();
        row.put(&self.id.0).put(&self.at.to_le_bytes()).put(&self.length.to_le_bytes());
        row.bytes
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self { id: DataKeyId(fields.take()), at: fields.u64(), length: fields.u64() }
    }
}

/// Whose word an index is, in the bytes of the index itself; filled with zeros. What they mean is for the caller.
pub type SignerBytes = [u8; 24];

/// A row of [`Section::Indexes`]: an index object that was read and verified once, and what it takes to judge it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRow {
    pub index: IndexRef,
    /// Who signed it, and under which key.
    pub signer: SignerBytes,
    pub key: [u8; 32],
    /// Its rows among the replaced.
    pub first_replaced: u64,
    pub replaced: u64,
}

impl IndexRow {
    pub fn encode(&self) -> [u8; Section::Indexes.row() as usize] {
        let mut row = Row::new();
        row.put(&self.index.id.0)
            .put(&self.index.checkpoint.to_le_bytes())
            .put(&u64::from(self.index.class as u8).to_le_bytes());
        row.put(&self.signer).put(&self.key);
        row.put(&self.first_replaced.to_le_bytes()).put(&self.replaced.to_le_bytes());
        row.bytes
    }

    /// `None` when the class makes no sense.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (id, checkpoint) = (IndexId(fields.take()), fields.u64());
        let class = IndexClass::from_number(u8::try_from(fields.u64()).ok()?)?;
        let index = IndexRef { checkpoint, class, id };
        let (signer, key) = (fields.take(), fields.take());
        Some(Self { index, signer, key, first_replaced: fields.u64(), replaced: fields.u64() })
    }
}

/// A row being written.
struct Row<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Row<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }

    fn put(&mut self, field: &[u8]) -> &mut Self {
        self.bytes[self.filled..self.filled + field.len()].copy_from_slice(field);
        self.filled += field.len();
        self
    }
}
