//! Makes a run: takes what indexes say as they are read, in any order, and sorts it with little memory.
//!
//! Ids and segments go straight to disk; of each chunk only sixteen bytes are sorted, in parts that fit into memory. Older
//! runs are taken in as they stand, so that each index object is fetched and decoded once.

use super::format::{
    Footer, IndexRow, KeyRow, PackRow, RunKey, Section, SegmentRow, SignerBytes, bits_for, bucket, encode_origin,
    prefix, tag,
};
use super::output::{Column, Output, Target};
use super::run::Run;
use super::spool::{Sorter, Spool};
use super::{Error, Judged, Standing};
use crate::crypto::hash;
use crate::crypto::secret::random;
use crate::repo::id::{ChunkId, DataKeyId, IndexId};
use crate::repo::names::IndexClass;
use crate::repo::pack::PackSummary;
use crate::repo::segment::{Origin, WrappedKey};
use crate::repo::session::IndexRef;
use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// An index object, read and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Which.
    pub index: IndexRef,
    /// Whose word it is, as the index itself says it, filled with zeros.
    pub signer: SignerBytes,
    /// The key that it is signed with.
    pub key: [u8; 32],
    /// The indexes that it stands in for.
    pub replaces: Vec<IndexId>,
}

/// A run that is being made. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct RunBuilder {
    key: RunKey,
    class: IndexClass,
    id: [u8; 32],
    place: Option<Temporary>,
    pub(super) output: Output,
    ids: Column,
    segments: Spool,
    packs: Spool,
    origins: Spool,
    wraps: Spool,
    indexes: Spool,
    replaced: Spool,
    keys: Vec<KeyRow>,
    /// Numbers of the origins there are.
    numbers: HashMap<Origin, u32>,
    /// Numbers of the indexes there are.
    covered: HashMap<IndexId, u32>,
    /// Hashes of the wraps there are.
    seen: HashSet<[u8; 32]>,
    sorter: Sorter,
}

/// A file with a name that only this builder knows.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing of that name; what cannot be removed now is removed as a left-over.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl RunBuilder {
    /// A run of one class in a folder that is there; in memory without one.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn new(folder: Option<&Path>, class: IndexClass, key: &RunKey) -> Result<Self, Error> {
        let id: [u8; 32] = random();
        let name: String = id[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let place = folder.map(|folder| folder.join(format!("chunks.new-{name}")));
        let target = match &place {
            None => Target::Memory(Vec::new()),
            Some(path) => {
                let mut options = OpenOptions::new();
                let file = options.read(true).write(true).create_new(true).mode(0o600).open(path);
                Target::File(file.map_err(Error::io("make", path))?)
            }
        };
        Ok(Self {
            key: key.clone(),
            class,
            id,
            place: place.map(Temporary),
            output: Output::new(target, key.of_file(&id, class)),
            ids: Column::new(0),
            segments: Spool::new(folder),
            packs: Spool::new(folder),
            origins: Spool::new(folder),
            wraps: Spool::new(folder),
            indexes: Spool::new(folder),
            replaced: Spool::new(folder),
            keys: Vec::new(),
            numbers: HashMap::new(),
            covered: HashMap::new(),
            seen: HashSet::new(),
            sorter: Sorter::new(folder),
        })
    }

    /// Chunks taken so far, one that has several places as often.
    pub const fn chunks(&self) -> u64 {
        self.sorter.count()
    }

    /// Index objects taken so far.
    pub const fn indexes(&self) -> u64 {
        self.indexes.length() / Section::Indexes.row()
    }

    /// Takes one index object.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn index(&mut self, covered: &Covered, packs: &[PackSummary], wraps: &[WrappedKey]) -> Result<(), Error> {
        self.try_index(covered, packs, wraps).map_err(|error| self.failed(error))
    }

    fn try_index(&mut self, covered: &Covered, packs: &[PackSummary], wraps: &[WrappedKey]) -> io::Result<()> {
        let number = self.covered(covered)?;
        for wrap in wraps {
            self.wrap(wrap.id, &wrap.wrap)?;
        }
        packs.iter().try_for_each(|pack| self.pack(number, pack))
    }

    /// Takes what still counts of another run.
    ///
    /// # Errors
    /// When it is damaged, or cannot be written.
    pub fn absorb(&mut self, run: &Run, judged: &Judged) -> Result<(), Error> {
        let mut numbers = Vec::new();
        for (number, counts) in (0..).zip(&judged.indexes) {
            let row = run.index(number)?;
            let IndexRow { index, signer, key, .. } = row;
            let covered = Covered { index, signer, key, replaces: run.replaced(&row)? };
            let taken = counts.then(|| self.covered(&covered)).transpose();
            numbers.push(taken.map_err(|error| self.failed(error))?);
        }
        for (number, _) in (0_u32..).zip(&judged.packs).filter(|(_, standing)| **standing != Standing::Masked) {
            let pack = run.pack(number)?;
            let Some(index) = numbers.get(pack.index as usize).copied().flatten() else { continue };
            let origin = run.origin(pack.origin)?;
            let segments = pack.first..pack.first.saturating_add(pack.segments);
            let own = self.pack_row(&origin, PackRow { index, ..pack }).map_err(|error| self.failed(error))?;
            for number in segments {
                let row = run.segment(number)?;
                let (ids, bases) = run.ids(&row)?;
                self.segment(SegmentRow { pack: own, ..row }, ids, bases).map_err(|error| self.failed(error))?;
            }
        }
        for number in 0..run.count(Section::Keys) {
            let row = run.key(number)?;
            self.wrap(row.id, run.wrap(&row)?).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// The number of an index, which may be known already.
    fn covered(&mut self, covered: &Covered) -> io::Result<u32> {
        let Covered { index, signer, key, replaces } = covered;
        if let Some(known) = self.covered.get(&index.id) {
            return Ok(*known);
        }
        let first_replaced = self.replaced.length() / Section::Replaced.row();
        let replaced = replaces.len() as u64;
        let number = number_of(self.indexes())?;
        let row = IndexRow { index: *index, signer: *signer, key: *key, first_replaced, replaced };
        self.indexes.push(&row.encode())?;
        replaces.iter().try_for_each(|id| self.replaced.push(&id.0))?;
        self.covered.insert(index.id, number);
        Ok(number)
    }

    /// Not by the key's id alone: somebody hostile may have put a wrap of nothing under it.
    fn wrap(&mut self, id: DataKeyId, wrap: &[u8]) -> io::Result<()> {
        if wrap.is_empty() || !self.seen.insert(hash::blake3(wrap)) {
            return Ok(());
        }
        self.keys.push(KeyRow { id, at: self.wraps.length(), length: wrap.len() as u64 });
        self.wraps.push(wrap)
    }

    /// One pack of an index: a row for each session that its segments are of.
    fn pack(&mut self, index: u32, pack: &PackSummary) -> io::Result<()> {
        let mut origins: Vec<Origin> = pack.rows.iter().map(|row| row.origin).collect();
        origins.sort_unstable();
        origins.dedup();
        for origin in origins {
            let rows = pack.rows.iter().filter(|row| row.origin == origin);
            let (first, segments) = (self.next_segment()?, number_of(rows.clone().count() as u64)?);
            let row = PackRow { id: pack.id, length: pack.length, first, segments, origin: 0, index };
            let own = self.pack_row(&origin, row)?;
            for row in rows {
                let count = |ids: &[ChunkId]| number_of(ids.len() as u64);
                let about = SegmentRow {
                    kind: row.kind as u8,
                    suite: row.suite as u8,
                    codec: row.codec as u8,
                    epoch: row.epoch,
                    offset: row.offset,
                    length: row.length,
                    pack: own,
                    first: 0,
                    ids: count(&row.ids)?,
                    bases: count(&row.bases)?,
                    hash: row.hash,
                    key: row.key_id,
                };
                let raw = |ids: &[ChunkId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
                self.segment(about, &raw(&row.ids), &raw(&row.bases))?;
            }
        }
        Ok(())
    }

    fn pack_row(&mut self, origin: &Origin, mut row: PackRow) -> io::Result<u32> {
        let next = number_of(self.numbers.len() as u64)?;
        row.origin = *self.numbers.entry(*origin).or_insert(next);
        if row.origin == next {
            self.origins.push(&encode_origin(origin))?;
        }
        row.first = self.next_segment()?;
        let number = number_of(self.packs.length() / Section::Packs.row())?;
        self.packs.push(&row.encode())?;
        Ok(number)
    }

    fn next_segment(&self) -> io::Result<u32> {
        number_of(self.segments.length() / Section::Segments.row())
    }

    fn segment(&mut self, mut row: SegmentRow, ids: &[[u8; 32]], bases: &[[u8; 32]]) -> io::Result<()> {
        let number = self.next_segment()?;
        row.first = self.ids.length() / Section::Ids.row();
        self.segments.push(&row.encode())?;
        self.ids.push(&mut self.output, ids.as_flattened())?;
        self.ids.push(&mut self.output, bases.as_flattened())?;
        for (position, id) in (0_u128..).zip(ids) {
            let sorted = u128::from(prefix(&ChunkId(*id))) << 64 | u128::from(number) << 32 | position;
            self.sorter.push(sorted)?;
        }
        Ok(())
    }

    /// Completes the run: under its real name, if it was begun in a folder and is to be `kept`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, kept: bool) -> Result<Run, Error> {
        let (key, class, id, place) = (self.key.clone(), self.class, self.id, self.place.take());
        let path = place.as_ref().map_or_else(|| PathBuf::from("memory"), |place| place.0.clone());
        let io = |action| Error::io(action, &path);
        let file = match self.write().map_err(io("write"))? {
            Target::Memory(bytes) => return Ok(Run::in_memory(bytes, &key)?),
            Target::File(file) => file,
        };
        let Some(place) = place.filter(|_| kept) else { return Run::nameless(&file, &key) };
        file.sync_data().map_err(io("sync"))?;
        let name: String = id[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = place.0.parent().unwrap_or_else(|| Path::new("."));
        let real = folder.join(super::folder::file_name(class, &name));
        std::fs::rename(&place.0, &real).map_err(io("rename"))?;
        Run::open(&real, &key)
    }

    fn write(mut self) -> io::Result<Target> {
        self.keys.sort_unstable();
        let mut lengths = [0; Section::ALL.len()];
        let (length, mut at) = self.ids.finish(&mut self.output)?;
        lengths[Section::Ids as usize] = length;
        let mut keys = Spool::new(None);
        self.keys.iter().try_for_each(|row| keys.push(&row.encode()))?;
        let spooled = [
            (Section::Segments, self.segments),
            (Section::Packs, self.packs),
            (Section::Origins, self.origins),
            (Section::Keys, keys),
            (Section::Wraps, self.wraps),
            (Section::Indexes, self.indexes),
            (Section::Replaced, self.replaced),
        ];
        for (section, spool) in spooled {
            (lengths[section as usize], at) = copy(spool, at, &mut self.output)?;
        }
        let bits = bits_for(self.sorter.count());
        let [directory, tags, spots] = sorted(self.sorter, bits, at, &mut self.output)?;
        lengths[Section::Directory as usize] = directory;
        lengths[Section::Tags as usize] = tags;
        lengths[Section::Spots as usize] = spots;
        let (id, class, key) = (self.id, self.class, self.key);
        self.output.finish(|codes| {
            let codes = hash::keyed(&key.of_file(&id, class), codes);
            Footer { class, id, bits, lengths, codes }.encode(&key)
        })
    }

    fn failed(&self, error: io::Error) -> Error {
        let path = self.place.as_ref().map_or(Path::new("memory"), |place| &place.0);
        Error::io("write", path)(error)
    }
}

/// Writes a spooled section at `at`; returns its length and where the next one starts.
fn copy(spool: Spool, at: u64, output: &mut Output) -> io::Result<(u64, u64)> {
    let mut column = Column::new(at);
    let mut reader = spool.into_reader()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return column.finish(output);
        }
        column.push(output, &buffer[..read])?;
    }
}

/// Writes directory, tags and spots from `at`; returns their lengths.
fn sorted(sorter: Sorter, bits: u32, at: u64, output: &mut Output) -> io::Result<[u64; 3]> {
    let (count, buckets) = (sorter.count(), 1_u64 << bits);
    let block = super::format::BLOCK as u64;
    let mut directory = Column::new(at);
    let tags_at = at + ((buckets + 1) * Section::Directory.row()).next_multiple_of(block);
    let mut tags = Column::new(tags_at);
    let mut spots = Column::new(tags_at + (count * Section::Tags.row()).next_multiple_of(block));
    let mut sorted = sorter.finish()?;
    let (mut open, mut row) = (0, 0_u64);
    while let Some(number) = sorted.next()? {
        let prefix = (number >> 64) as u64;
        while open <= bucket(prefix, bits) {
            directory.push(output, &row.to_le_bytes())?;
            open += 1;
        }
        tags.push(output, &tag(prefix, bits).to_le_bytes())?;
        let (segment, position) = ((number >> 32) as u32, number as u32);
        spots.push(output, &segment.to_le_bytes())?;
        spots.push(output, &position.to_le_bytes())?;
        row += 1;
    }
    while open <= buckets {
        directory.push(output, &row.to_le_bytes())?;
        open += 1;
    }
    // In the file's order, so that the last to grow is the last of the file.
    Ok([directory.finish(output)?.0, tags.finish(output)?.0, spots.finish(output)?.0])
}

fn number_of(count: u64) -> io::Result<u32> {
    u32::try_from(count).map_err(|_| io::Error::other("there is more than one run can number"))
}
