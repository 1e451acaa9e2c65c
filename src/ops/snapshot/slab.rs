//! Large files: one worker reads and cuts, all of them hash, compress and seal.
//!
//! The cuts must be found from front to back, which is cheap; what is done with each chunk is dear and goes to whoever is
//! free. When nobody is, the reading worker does it itself, so no two workers can wait for each other.

use super::former::Following;
use super::stage::{Failure, Stage};
use super::trail::{Step, Trail};
use crate::repo::chunker::Chunker;
use crate::repo::chunks;
use crate::repo::entry::Extent;
use crate::repo::id::{ChunkId, ChunkKind};
use crate::repo::writer::Lane;
use crate::repo::writer::near::Near;
use crate::source::files::content::{Read, SourceFile};
use crossbeam_channel::{Receiver, Sender, TrySendError, select_biased, unbounded};
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Bytes that a worker reads at a time. Files up to this size stay with one worker.
pub(super) const SLAB: usize = 2 << 20;
/// Slabs of one file that may be under way.
pub(super) const AHEAD: u64 = 6;

/// Where the bytes of something large come from.
pub(super) trait Bytes {
    /// Reads on, as [`SourceFile::read`] does.
    ///
    /// # Errors
    /// When there is no reading on, or the run was asked to stop.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Read, Failure>;
}

impl Bytes for SourceFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Read, Failure> {
        Self::read(self, buffer).map_err(Failure::Source)
    }
}

/// Some chunks of a large file, cut and not yet stored.
pub(super) struct Slab {
    bytes: Vec<u8>,
    /// Where each chunk ends.
    ends: Vec<usize>,
    /// The ids of the first of them, if they are what they were before.
    expected: Vec<ChunkId>,
    number: u64,
    /// What the file held there before.
    near: Option<Near>,
    done: Sender<Stored>,
}

/// What became of a slab, and its buffer for the next one.
struct Stored {
    number: u64,
    extents: Result<Vec<Extent>, chunks::Error>,
    /// Not all was what it was before.
    astray: bool,
    /// How far off it stood before, if that was seen.
    drift: Option<i64>,
    buffer: Vec<u8>,
}

impl Slab {
    /// Stores the chunks and reports to the reading worker.
    ///
    /// # Errors
    /// When the repository does not take chunks any more; the reading worker learns it too.
    pub fn process(mut self, lane: &mut Lane, chunker: &Chunker) -> Result<(), chunks::Error> {
        let (ids, astray) = self.compare(lane, chunker);
        let stored = match &self.near {
            None => self.put(lane, ids).map(|ids| (ids, None)),
            Some(near) => lane.put_near(self.chunks(), near),
        };
        let result = stored.as_ref().map(|_| ()).map_err(Clone::clone);
        let stored = stored.map(|(ids, drift): (Vec<ChunkId>, _)| {
            let extent = |(id, chunk): (ChunkId, &[u8])| Extent::Chunk { id, length: chunk.len() as u32 };
            (ids.into_iter().zip(self.chunks()).map(extent).collect(), drift)
        });
        let (extents, drift) = match stored {
            Ok((extents, drift)) => (Ok(extents), drift),
            Err(error) => (Err(error), None),
        };
        // The reading worker may have given up on the file; then nobody needs the answer.
        let _ = self.done.send(Stored { number: self.number, extents, astray, drift, buffer: self.bytes });
        result
    }

    /// The ids of the first chunks, as far as they are what was expected; and whether something else came. From there on the
    /// slab is cut by its content then. That its end ends a chunk, wherever it lies, costs one chunk.
    fn compare(&mut self, lane: &Lane, chunker: &Chunker) -> (Vec<ChunkId>, bool) {
        let same = |(expected, chunk): &(ChunkId, &[u8])| lane.id(ChunkKind::Data, chunk) == *expected;
        let pairs = self.expected.iter().copied().zip(self.chunks());
        let ids: Vec<_> = pairs.take_while(same).map(|(id, _)| id).collect();
        let astray = ids.len() < self.expected.len();
        if astray {
            let end = self.ends[self.ends.len() - 1];
            self.ends.truncate(ids.len());
            let mut start = self.ends.last().map_or(0, |end| *end);
            while let Some(length) = chunker.next_cut(&self.bytes[start..end], true) {
                start += length;
                self.ends.push(start);
            }
        }
        (ids, astray)
    }

    /// Stores the chunks, of which the first have these ids.
    fn put(&self, lane: &mut Lane, mut ids: Vec<ChunkId>) -> Result<Vec<ChunkId>, chunks::Error> {
        for (at, chunk) in self.chunks().enumerate() {
            if at == ids.len() {
                ids.push(lane.id(ChunkKind::Data, chunk));
            }
            lane.put_as(ChunkKind::Data, ids[at], chunk)?;
        }
        Ok(ids)
    }

    fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Reads one large file slab by slab and gives its extents in order.
pub(super) struct SlabReader<'a> {
    stage: &'a Stage<'a>,
    slabs: &'a Receiver<Slab>,
    to_slabs: &'a Sender<Slab>,
    lane: &'a mut Lane,
    done: (Sender<Stored>, Receiver<Stored>),
    /// Slabs that came back before their turn.
    early: BTreeMap<u64, Vec<Extent>>,
    ready: VecDeque<Extent>,
    spare: Vec<Vec<u8>>,
    /// Read and not yet cut.
    carry: Vec<u8>,
    sent: u64,
    taken: u64,
    ended: bool,
    /// Bytes of the file that were sent, holes included.
    offset: u64,
    /// What the file held before.
    former: Option<Following>,
    /// Where it was cut before, as long as it is as it was.
    trail: Option<Trail>,
}

impl<'a> SlabReader<'a> {
    /// A reader for one file.
    pub fn new(
        stage: &'a Stage<'a>,
        slabs: &'a Receiver<Slab>,
        to_slabs: &'a Sender<Slab>,
        lane: &'a mut Lane,
    ) -> Self {
        Self {
            stage,
            slabs,
            to_slabs,
            lane,
            done: unbounded(),
            early: BTreeMap::new(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            carry: Vec::new(),
            sent: 0,
            taken: 0,
            ended: false,
            offset: 0,
            former: None,
            trail: None,
        }
    }

    /// The same, that lets new chunks be deltas to what the file held before.
    pub fn following(mut self, former: Option<Following>) -> Self {
        self.former = former;
        self
    }

    /// The same, of a file that is cut where it was cut before, as long as it holds the same.
    pub fn on_trail(mut self, trail: Option<Trail>) -> Self {
        self.trail = trail;
        self
    }

    /// The next extent, `None` at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or the repository takes no more.
    pub fn next(&mut self, file: &mut dyn Bytes) -> Result<Option<Extent>, Failure> {
        loop {
            if let Some(extent) = self.ready.pop_front() {
                return Ok(Some(extent));
            }
            if self.ended && self.taken == self.sent {
                return Ok(None);
            }
            self.stage.go_on().map_err(Failure::Sink)?;
            if !self.ended && self.sent - self.taken < AHEAD {
                self.read_slab(file)?;
                self.collect().map_err(Failure::Sink)?;
            } else {
                self.wait().map_err(Failure::Sink)?;
            }
            self.arrange();
        }
    }

    /// Reads up to the next slab's length, a hole, or the end, and sends off what was cut.
    fn read_slab(&mut self, file: &mut dyn Bytes) -> Result<(), Failure> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.append(&mut self.carry);
        let mut filled = buffer.len();
        buffer.resize(SLAB + self.stage.chunker.maximum(), 0);
        let mut hole = None;
        let mut at_end = false;
        while filled < buffer.len() && !at_end {
            let end = filled + self.stage.gulp(buffer.len() - filled);
            match file.read(&mut buffer[filled..end])? {
                Read::Data(count) => {
                    self.stage.spend(count).map_err(Failure::Sink)?;
                    filled += count;
                }
                Read::Hole(length) => (hole, at_end) = (Some(length), true),
                Read::End => (self.ended, at_end) = (true, true),
            }
        }
        let (ends, expected) = self.cut(&buffer[..filled], at_end);
        self.carry.extend_from_slice(&buffer[ends.last().map_or(0, |end| *end)..filled]);
        self.send(buffer, ends, expected).map_err(Failure::Sink)?;
        if let Some(length) = hole {
            self.trail.take_if(|trail| !trail.hole(length));
            // A hole takes its turn like a slab.
            self.early.insert(self.sent, vec![Extent::Hole { length }]);
            self.sent += 1;
            self.offset += length;
        }
        Ok(())
    }

    /// Where the chunks of `bytes` end, and the ids of those that were cut there before.
    fn cut(&mut self, bytes: &[u8], at_end: bool) -> (Vec<usize>, Vec<ChunkId>) {
        let (mut ends, mut expected, mut start) = (Vec::new(), Vec::new(), 0);
        while let Some(trail) = &mut self.trail {
            match trail.step(bytes.len() - start, at_end) {
                Step::Chunk(length, id) => {
                    start += length;
                    ends.push(start);
                    expected.push(id);
                }
                Step::More => return (ends, expected),
                // A hole, or the end, comes next anyway.
                Step::Lost if start == bytes.len() => return (ends, expected),
                Step::Lost => self.trail = None,
            }
        }
        while let Some(length) = self.stage.chunker.next_cut(&bytes[start..], at_end) {
            start += length;
            ends.push(start);
        }
        (ends, expected)
    }

    fn send(&mut self, bytes: Vec<u8>, ends: Vec<usize>, expected: Vec<ChunkId>) -> Result<(), chunks::Error> {
        let Some(&length) = ends.last() else {
            self.spare.push(bytes);
            return Ok(());
        };
        let near = self.former.as_mut().map(|former| former.near(self.sent, self.offset, length));
        let slab = Slab { bytes, ends, expected, number: self.sent, near, done: self.done.0.clone() };
        self.sent += 1;
        self.offset += length as u64;
        match self.to_slabs.try_send(slab) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(slab) | TrySendError::Disconnected(slab)) => {
                slab.process(self.lane, self.stage.chunker)
            }
        }
    }

    /// Waits for one of our slabs, doing anybody's meanwhile.
    fn wait(&mut self) -> Result<(), chunks::Error> {
        select_biased! {
            recv(self.done.1) -> stored => self.keep(stored.map_err(|_| chunks::Error::Stopped)?),
            recv(self.slabs) -> slab => {
                slab.map_err(|_| chunks::Error::Stopped)?.process(self.lane, self.stage.chunker)
            }
        }
    }

    fn collect(&mut self) -> Result<(), chunks::Error> {
        while let Ok(stored) = self.done.1.try_recv() {
            self.keep(stored)?;
        }
        Ok(())
    }

    fn keep(&mut self, stored: Stored) -> Result<(), chunks::Error> {
        self.spare.push(stored.buffer);
        if stored.astray {
            self.trail = None;
        }
        if let (Some(former), Some(drift)) = (&mut self.former, stored.drift) {
            former.learn(drift);
        }
        self.early.insert(stored.number, stored.extents?);
        Ok(())
    }

    fn arrange(&mut self) {
        while let Some(extents) = self.early.remove(&self.taken) {
            self.taken += 1;
            self.ready.extend(extents);
        }
    }
}
