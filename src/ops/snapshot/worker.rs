//! The workers of a snapshot: read what the planner says, cut it into chunks, and hand complete entries on.

use super::batch::{Batch, FilledBatch, Finished, Item};
use super::former::{Following, Former};
use super::retrace::Retrace;
use super::slab::{SLAB, Slab, SlabReader};
use super::special::SpecialBytes;
use super::stage::{Failure, Stage, written};
use super::trail::Trail;
use crate::event::EntryStatus;
use crate::repo::catalog::ExtentWriter;
use crate::repo::chunks;
use crate::repo::entry::{Content, Entry, EntryKind, Extent};
use crate::repo::id::ChunkKind;
use crate::repo::writer::Lane;
use crate::source::files::attributes::read_entry;
use crate::source::files::content::{Change, Read, SourceFile};
use crate::source::files::dir::DirHandle;
use crate::source::files::owners::Owners;
use crate::source::files::stat::{Kind, Stat};
use crate::source::files::walk::Child;
use crossbeam_channel::{Receiver, Sender, select_biased};

/// How often a file is read that changes meanwhile.
const ATTEMPTS: u32 = 2;

/// One worker.
pub(super) struct Worker<'a> {
    stage: &'a Stage<'a>,
    lane: Lane,
    owners: &'a Owners,
    slabs: &'a Receiver<Slab>,
    to_slabs: &'a Sender<Slab>,
    with_atime: bool,
    buffer: Vec<u8>,
}

impl<'a> Worker<'a> {
    /// A worker with a lane of its own.
    pub fn new(
        stage: &'a Stage<'a>,
        lane: Lane,
        owners: &'a Owners,
        slabs: &'a Receiver<Slab>,
        to_slabs: &'a Sender<Slab>,
    ) -> Self {
        Self { stage, lane, owners, slabs, to_slabs, with_atime: false, buffer: Vec::new() }
    }

    /// Keeps the times of last access, or not.
    pub fn with_atime(self, with_atime: bool) -> Self {
        Self { with_atime, ..self }
    }

    /// Works until the planner is done, somebody asks to stop, or something failed for good. Whatever was finished by then is
    /// on its way into packs when this returns without an error: true if that is not all, because somebody asked to stop.
    ///
    /// # Errors
    /// When the repository does not take chunks any more.
    pub fn run(mut self, batches: &Receiver<Batch>, filled: &Sender<FilledBatch>) -> Result<bool, chunks::Error> {
        let stage = self.stage;
        match self.work(batches, filled) {
            Err(chunks::Error::Stopped) if stage.stopping() => {
                stage.give_up();
                self.lane.flush().map(|()| true)
            }
            outcome => outcome.map(|()| false).inspect_err(|_| stage.give_up()),
        }
    }

    fn work(&mut self, batches: &Receiver<Batch>, filled: &Sender<FilledBatch>) -> Result<(), chunks::Error> {
        loop {
            select_biased! {
                recv(self.slabs) -> slab => match slab {
                    Ok(slab) => slab.process(&mut self.lane, self.stage.chunker)?,
                    Err(_) => return self.lane.flush(),
                },
                recv(batches) -> batch => match batch {
                    Ok(batch) => if filled.send(self.fill(batch)?).is_err() {
                        return Err(chunks::Error::Stopped);
                    },
                    // Others may still cut large files into slabs.
                    Err(_) => return self.help_others(),
                },
            }
        }
    }

    /// After the last batch: takes slabs until no worker is left who could make any.
    fn help_others(&mut self) -> Result<(), chunks::Error> {
        let done = self.stage.retire();
        loop {
            select_biased! {
                recv(self.slabs) -> slab => match slab {
                    Ok(slab) => slab.process(&mut self.lane, self.stage.chunker)?,
                    Err(_) => return self.lane.flush(),
                },
                recv(done) -> _ => return self.lane.flush(),
            }
        }
    }

    fn fill(&mut self, batch: Batch) -> Result<FilledBatch, chunks::Error> {
        let units = batch.items.len();
        let mut entries = Vec::with_capacity(units);
        for item in batch.items {
            self.stage.go_on()?;
            let finished = match item {
                Item::Known(finished) => Ok(finished),
                Item::Read { child, content, former, status } => {
                    self.read(&batch.handle, &child, content, former.as_ref(), status)
                }
            };
            match finished {
                Ok(finished) => {
                    self.stage.tally.count(&finished.entry);
                    entries.push(finished);
                }
                // Gone since it was listed: a snapshot of a moment later.
                Err(Failure::Source(problem)) if problem.vanished() => {}
                Err(Failure::Source(problem)) => self.stage.tally.problem(&problem),
                Err(Failure::Sink(error)) => return Err(error),
            }
        }
        Ok(FilledBatch { number: batch.number, directory: batch.directory, units, entries })
    }

    fn read(
        &mut self,
        dir: &DirHandle,
        child: &Child,
        content: Option<Content>,
        former: Option<&Former>,
        status: EntryStatus,
    ) -> Result<Finished, Failure> {
        let file = child.stat.kind == Kind::File;
        let reused = content.is_some();
        let (mut entry, stat) = match content {
            None if file => self.read_file(dir, child, former)?,
            None if self.stage.read_special && child.stat.kind.is_special() => self.read_special(dir, child)?,
            content => {
                let described = read_entry(dir, child, self.owners)?;
                let mut entry = self.stage.described(described)?;
                if let (EntryKind::File(_), Some(content)) = (&entry.kind, content) {
                    entry.kind = EntryKind::File(content);
                }
                (entry, child.stat)
            }
        };
        entry.accessed = self.with_atime.then_some(stat.accessed);
        Ok(Finished { name: child.name.clone(), entry, device: stat.dev, inode: stat.ino, status, reused })
    }

    /// Reads a file, once more if it changed meanwhile; if it does so again, the last reading stays and is reported.
    fn read_file(&mut self, dir: &DirHandle, child: &Child, former: Option<&Former>) -> Result<(Entry, Stat), Failure> {
        for attempt in 1.. {
            let mut file = SourceFile::open(dir, child)?;
            let described = file.describe(self.owners);
            let content = self.read_content(&mut file, former)?;
            let change = file.check_unchanged()?;
            if change == Change::Changed && attempt < ATTEMPTS {
                continue;
            }
            let mut entry = self.stage.described(described)?;
            entry.kind = EntryKind::File(content);
            entry.size = file.position();
            if change == Change::Changed {
                self.stage.tally.changed_while_read(dir.path_of(&child.name));
            }
            return Ok((entry, *file.stat()));
        }
        unreachable!("the last attempt returns")
    }

    /// Stores what a special file gives to its reader as a regular file.
    fn read_special(&mut self, dir: &DirHandle, child: &Child) -> Result<(Entry, Stat), Failure> {
        let mut bytes = SpecialBytes::open(dir, child, self.stage)?;
        let described = bytes.file.describe(self.owners);
        let mut extents = ExtentWriter::new(self.stage.pages, self.stage.catalog_keys);
        let mut reader = SlabReader::new(self.stage, self.slabs, self.to_slabs, &mut self.lane);
        while let Some(extent) = reader.next(&mut bytes)? {
            extents.push(extent)?;
        }
        let mut entry = self.stage.described(described)?;
        entry.kind = EntryKind::File(extents.finish()?);
        entry.size = bytes.file.position();
        Ok((entry, *bytes.file.stat()))
    }

    fn read_content(&mut self, file: &mut SourceFile<'_>, former: Option<&Former>) -> Result<Content, Failure> {
        let mut extents = ExtentWriter::new(self.stage.pages, self.stage.catalog_keys);
        if file.stat().size > SLAB as u64 {
            let (trail, following) = match (former, &self.stage.earlier) {
                (Some(former), Some(source)) if former.same => (Some(Trail::of(former, source)), None),
                (Some(former), Some(source)) => (None, Some(Following::new(former, source))),
                _ => (None, None),
            };
            let mut reader = SlabReader::new(self.stage, self.slabs, self.to_slabs, &mut self.lane)
                .on_trail(trail)
                .following(following);
            while let Some(extent) = reader.next(file)? {
                extents.push(extent)?;
            }
        } else {
            self.read_small(file, Retrace::of(former), &mut extents)?;
        }
        Ok(extents.finish()?)
    }

    /// A file that fits into the buffer: read in one go, or as long as its size is not known.
    fn read_small(
        &mut self,
        file: &mut SourceFile<'_>,
        mut trace: Retrace<'_>,
        extents: &mut ExtentWriter<'_>,
    ) -> Result<(), Failure> {
        self.buffer.resize(SLAB, 0);
        let mut filled = 0;
        loop {
            let end = filled + self.stage.gulp(self.buffer.len() - filled);
            match file.read(&mut self.buffer[filled..end])? {
                Read::Data(count) => {
                    self.stage.spend(count)?;
                    filled += count;
                    if filled == self.buffer.len() {
                        let cut = self.cut(filled, false, &mut trace, extents)?;
                        self.buffer.copy_within(cut..filled, 0);
                        filled -= cut;
                    }
                }
                Read::Hole(length) => {
                    self.cut(filled, true, &mut trace, extents)?;
                    filled = 0;
                    trace.hole(length);
                    extents.push(Extent::Hole { length })?;
                }
                Read::End => {
                    self.cut(filled, true, &mut trace, extents)?;
                    return Ok(());
                }
            }
        }
    }

    /// Cuts the first `filled` bytes of the buffer; returns how many the chunks took.
    fn cut(
        &mut self,
        filled: usize,
        at_end: bool,
        trace: &mut Retrace<'_>,
        extents: &mut ExtentWriter<'_>,
    ) -> Result<usize, chunks::Error> {
        let mut start = 0;
        loop {
            let id_of = |bytes: &[u8]| self.lane.id(ChunkKind::Data, bytes);
            let rest = &self.buffer[start..filled];
            let Some((length, id)) = trace.next_cut(self.stage.chunker, rest, at_end, id_of) else { return Ok(start) };
            self.lane.put_as(ChunkKind::Data, id, &rest[..length])?;
            extents.push(Extent::Chunk { id, length: length as u32 }).map_err(written)?;
            start += length;
        }
    }
}
