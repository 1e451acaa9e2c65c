//! A finished run: mapped, proven block by block, and asked where a chunk lies.
//!
//! Invariant: no byte is believed before its block was held against the run's own code for it, and the codes against a
//! footer that only holders of this repository's keys can make. A small run is proven whole when it is opened; of a large one
//! the tables are, and the rest when somebody first looks there.
//!
//! The file is private to its user, gets its name when it is complete, and is never written to again: whoever replaces it
//! puts another one in its place, which leaves ours mapped. So pages cannot vanish under the map; should the disk fail to read one, the
//! system ends the process, as it does for the program's own pages.

use super::format::{
    BLOCK, CODE, FOOTER, Fields, Footer, IndexRow, KeyRow, PackRow, RunKey, Section, SegmentRow, bucket, code,
    decode_origin, prefix, tag,
};
use super::{Damaged, Error};
use crate::crypto::aead::Suite;
use crate::crypto::hash;
use crate::crypto::secret::Secret;
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, IndexId};
use crate::repo::names::IndexClass;
use crate::repo::segment::{Codec, Origin, SegmentDescriptor};
use memmap2::Mmap;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs of no more bytes are proven whole when they are opened: some ten milliseconds.
pub(super) const PROVEN_AT_ONCE: u64 = 64 << 20;

/// Where the bytes are.
enum Bytes {
    Mapped(Mmap),
    Memory(Vec<u8>),
}

/// A run.
pub struct Run {
    bytes: Bytes,
    path: Option<PathBuf>,
    footer: Footer,
    starts: [u64; Section::ALL.len()],
    /// Where the codes start.
    codes: u64,
    key: Secret,
    /// A bit for each block that was proven.
    proven: Box<[AtomicU64]>,
}

/// Ids as they lie in a run.
pub type Ids<'a> = &'a [[u8; 32]];

/// Where a run has a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The row of its segment.
    pub segment: u32,
    /// Which chunk of it.
    pub position: u32,
    /// The row of the segment's pack.
    pub pack: u32,
}

impl Run {
    /// Opens a run.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened, [`Error::Damaged`] when it is not what was written, or another
    /// repository's.
    pub fn open(path: &Path, key: &RunKey) -> Result<Self, Error> {
        Self::open_proving(path, key, PROVEN_AT_ONCE)
    }

    /// As [`Self::open`]; up to so many bytes are proven at once.
    pub(super) fn open_proving(path: &Path, key: &RunKey, at_once: u64) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mapped = map(&file).map_err(Error::io("map", path))?;
        Ok(Self::prove(Bytes::Mapped(mapped), Some(path.to_owned()), key, at_once)?)
    }

    /// A run that was made in memory.
    pub fn in_memory(bytes: Vec<u8>, key: &RunKey) -> Result<Self, Damaged> {
        // Its blocks are proven as those of a file are, when they are first used: nothing else has to be told apart.
        Self::prove(Bytes::Memory(bytes), None, key, 0)
    }

    /// A run in a file that has no name any more.
    pub fn nameless(file: &File, key: &RunKey) -> Result<Self, Error> {
        let mapped = map(file).map_err(Error::io("map", Path::new("a temporary file")))?;
        Ok(Self::prove(Bytes::Mapped(mapped), None, key, 0)?)
    }

    fn prove(bytes: Bytes, path: Option<PathBuf>, key: &RunKey, at_once: u64) -> Result<Self, Damaged> {
        let damaged = || Damaged { path: path.clone() };
        let all = bytes.as_slice();
        let (rest, end) = all.split_at_checked(all.len().wrapping_sub(FOOTER)).ok_or_else(damaged)?;
        let footer = Footer::decode(end, key).ok_or_else(damaged)?;
        let (starts, codes) = footer.starts().ok_or_else(damaged)?;
        let found = usize::try_from(codes).ok().and_then(|codes| rest.get(codes..)).ok_or_else(damaged)?;
        let (blocks, secret) = (codes / BLOCK as u64, key.of_file(&footer.id, footer.class));
        if found.len() as u64 != blocks * CODE as u64 || hash::keyed(&secret, found) != footer.codes {
            return Err(damaged());
        }
        let words = usize::try_from(blocks.div_ceil(64)).map_err(|_| damaged())?;
        let proven = (0..words).map(|_| AtomicU64::new(0)).collect();
        let run = Self { bytes, path: path.clone(), footer, starts, codes, key: secret, proven };
        let at_first = [Section::Packs, Section::Origins, Section::Keys, Section::Indexes, Section::Replaced];
        for section in Section::ALL.into_iter().filter(|section| codes <= at_once || at_first.contains(section)) {
            run.rows(section, 0..run.count(section))?;
        }
        Ok(run)
    }

    /// Its name, if it has one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What its segments hold.
    pub const fn class(&self) -> IndexClass {
        self.footer.class
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    /// Rows of a section.
    pub fn count(&self, section: Section) -> u64 {
        self.footer.rows(section)
    }

    fn damaged(&self) -> Damaged {
        Damaged { path: self.path.clone() }
    }

    /// These rows of a section, proven.
    fn rows(&self, section: Section, rows: Range<u64>) -> Result<&[u8], Damaged> {
        let (row, start) = (section.row(), self.starts[section as usize]);
        if rows.start > rows.end || rows.end > self.count(section) {
            return Err(self.damaged());
        }
        let (from, to) = (start + rows.start * row, start + rows.end * row);
        if from == to {
            return Ok(&[]);
        }
        let block = BLOCK as u64;
        for number in from / block..to.div_ceil(block) {
            let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
            // Nothing is published by the bit: the bytes never change, and whoever sees it unset only proves them again.
            if self.proven[word].load(Ordering::Relaxed) & bit == 0 {
                self.prove_block(number)?;
                self.proven[word].fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(&self.bytes.as_slice()[from as usize..to as usize])
    }

    fn prove_block(&self, number: u64) -> Result<(), Damaged> {
        let all = self.bytes.as_slice();
        let (at, code_at) = (number as usize * BLOCK, self.codes as usize + number as usize * CODE);
        let known = &all[code_at..code_at + CODE];
        if code(&self.key, &all[at..at + BLOCK]) == known { Ok(()) } else { Err(self.damaged()) }
    }

    fn row(&self, section: Section, row: u64) -> Result<&[u8], Damaged> {
        self.rows(section, row..row.saturating_add(1))
    }

    /// Calls `each` for every place of a chunk, until that breaks off.
    ///
    /// # Errors
    /// When what has to be looked at is damaged.
    pub fn find(
        &self,
        kind: ChunkKind,
        id: &ChunkId,
        mut each: impl FnMut(Spot) -> ControlFlow<()>,
    ) -> Result<(), Damaged> {
        let (bits, prefix) = (self.footer.bits, prefix(id));
        let bucket = bucket(prefix, bits);
        let mut bounds = Fields(self.rows(Section::Directory, bucket..bucket + 2)?);
        let (first, end) = (bounds.u64(), bounds.u64());
        let tags = self.rows(Section::Tags, first..end)?.as_chunks::<2>().0;
        let wanted = tag(prefix, bits);
        let before = tags.partition_point(|tag| u16::from_le_bytes(*tag) < wanted);
        let same = tags[before..].iter().take_while(|tag| u16::from_le_bytes(**tag) == wanted).count();
        for row in first + before as u64..first + (before + same) as u64 {
            let mut spot = Fields(self.row(Section::Spots, row)?);
            let (segment, position) = (spot.u32(), spot.u32());
            let about = self.segment(segment)?;
            let found = self.row(Section::Ids, about.first.saturating_add(position.into()))?;
            if about.kind == kind as u8
                && found == id.0
                && each(Spot { segment, position, pack: about.pack }).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// A chunk by its place in the order of buckets and tags, and the two as one number.
    ///
    /// # Errors
    /// When what has to be looked at is damaged.
    pub fn in_order(&self, row: u64) -> Result<(Spot, SegmentRow, ChunkId, u64), Damaged> {
        let mut spot = Fields(self.row(Section::Spots, row)?);
        let (segment, position) = (spot.u32(), spot.u32());
        let about = self.segment(segment)?;
        let id = Fields(self.row(Section::Ids, about.first.saturating_add(position.into()))?).take();
        let id = ChunkId(id);
        Ok((Spot { segment, position, pack: about.pack }, about, id, prefix(&id) >> (48 - self.footer.bits)))
    }

    /// One row of the ids.
    pub fn id_at(&self, row: u64) -> Result<&[u8], Damaged> {
        self.row(Section::Ids, row)
    }

    /// A segment's row.
    pub fn segment(&self, number: u32) -> Result<SegmentRow, Damaged> {
        Ok(SegmentRow::decode(self.row(Section::Segments, number.into())?))
    }

    /// A segment's ids, and its bases.
    pub fn ids(&self, segment: &SegmentRow) -> Result<(Ids<'_>, Ids<'_>), Damaged> {
        let count = u64::from(segment.ids) + u64::from(segment.bases);
        let rows = self.rows(Section::Ids, segment.first..segment.first.saturating_add(count))?;
        Ok(rows.as_chunks::<32>().0.split_at(segment.ids as usize))
    }

    /// A segment's bases alone: its ids, which may be very many, are not looked at.
    pub fn bases(&self, segment: &SegmentRow) -> Result<&[[u8; 32]], Damaged> {
        let start = segment.first.saturating_add(segment.ids.into());
        Ok(self.rows(Section::Ids, start..start.saturating_add(segment.bases.into()))?.as_chunks::<32>().0)
    }

    /// All that a table would say of a segment.
    pub fn descriptor(&self, number: u32) -> Result<(u32, SegmentDescriptor), Damaged> {
        let row = self.segment(number)?;
        let (ids, bases) = self.ids(&row)?;
        let known = (ChunkKind::from_number(row.kind), Suite::try_from(row.suite).ok(), Codec::from_number(row.codec));
        let (Some(kind), Some(suite), Some(codec)) = known else { return Err(self.damaged()) };
        let origin = self.origin(self.pack(row.pack)?.origin)?;
        let list = |ids: Ids<'_>| ids.iter().map(|id| ChunkId(*id)).collect();
        let (ids, bases) = (list(ids), list(bases));
        let SegmentRow { epoch, offset, length, hash, key: key_id, pack, .. } = row;
        Ok((pack, SegmentDescriptor { kind, suite, codec, epoch, offset, length, hash, key_id, origin, ids, bases }))
    }

    /// A pack's row.
    pub fn pack(&self, number: u32) -> Result<PackRow, Damaged> {
        Ok(PackRow::decode(self.row(Section::Packs, number.into())?))
    }

    /// An origin.
    pub fn origin(&self, number: u32) -> Result<Origin, Damaged> {
        Ok(decode_origin(self.row(Section::Origins, number.into())?))
    }

    /// An index's row.
    pub fn index(&self, number: u64) -> Result<IndexRow, Damaged> {
        IndexRow::decode(self.row(Section::Indexes, number)?).ok_or_else(|| self.damaged())
    }

    /// What an index stands in for.
    pub fn replaced(&self, index: &IndexRow) -> Result<Vec<IndexId>, Damaged> {
        let rows = index.first_replaced..index.first_replaced.saturating_add(index.replaced);
        Ok(self.rows(Section::Replaced, rows)?.as_chunks::<32>().0.iter().map(|id| IndexId(*id)).collect())
    }

    /// A data key's row.
    pub fn key(&self, number: u64) -> Result<KeyRow, Damaged> {
        Ok(KeyRow::decode(self.row(Section::Keys, number)?))
    }

    /// The wrap that a row tells of.
    pub fn wrap(&self, row: &KeyRow) -> Result<&[u8], Damaged> {
        self.rows(Section::Wraps, row.at..row.at.saturating_add(row.length))
    }

    /// All wraps of a data key.
    pub fn wraps_of(&self, id: &DataKeyId) -> Result<Vec<Vec<u8>>, Damaged> {
        let (mut low, mut high) = (0, self.count(Section::Keys));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle)?.id < *id { low = middle + 1 } else { high = middle }
        }
        let mut wraps = Vec::new();
        for number in low..self.count(Section::Keys) {
            let row = self.key(number)?;
            if row.id != *id {
                break;
            }
            wraps.push(self.wrap(&row)?.to_vec());
        }
        Ok(wraps)
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(mapped) => mapped,
            Self::Memory(memory) => memory,
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({:?}, {} chunks)", self.footer.class, self.count(Section::Tags))
    }
}

fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: nobody changes or shortens the file while it is mapped. It is open to its owner alone (0600 in a folder of 0700), no
    // version of this program writes to one that has its name, and replacing or removing it leaves this one as it is.
    unsafe { Mmap::map(file) }
}
