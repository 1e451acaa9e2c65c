//! Large files: one worker reads and cuts, all of them hash, compress and seal.
//!
//! The cuts must be found from front to back, which is cheap; what is done with each chunk is dear and goes to whoever is
//! free. When nobody is, the reading worker does it itself, so no two workers can wait for each other.

use super::former::Following;
use super::stage::{Failure, Stage};
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
    number: u64,
    /// What the file held there before.
    near: Option<Near>,
    done: Sender<Stored>,
}

/// What became of a slab, and its buffer for the next one.
struct Stored {
    number: u64,
    extents: Result<Vec<Extent>, chunks::Error>,
    /// How far off it stood before, if that was seen.
    drift: Option<i64>,
    buffer: Vec<u8>,
}

impl Slab {
    /// Stores the chunks and reports to the reading worker.
    ///
    /// # Errors
    /// When the repository does not take chunks any more; the reading worker learns it too.
    pub fn process(self, lane: &mut Lane) -> Result<(), chunks::Error> {
        let stored = match &self.near {
            None => self
                .chunks()
                .map(|chunk| lane.put(ChunkKind::Data, chunk))
                .collect::<Result<_, _>>()
                .map(|ids| (ids, None)),
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
        let _ = self.done.send(Stored { number: self.number, extents, drift, buffer: self.bytes });
        result
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
        }
    }

    /// The same, that lets new chunks be deltas to what the file held before.
    pub fn following(mut self, former: Option<Following>) -> Self {
        self.former = former;
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
        let mut ends = Vec::new();
        let mut start = 0;
        while let Some(length) = self.stage.chunker.next_cut(&buffer[start..filled], at_end) {
            start += length;
            ends.push(start);
        }
        self.carry.extend_from_slice(&buffer[start..filled]);
        self.send(buffer, ends).map_err(Failure::Sink)?;
        if let Some(length) = hole {
            // A hole takes its turn like a slab.
            self.early.insert(self.sent, vec![Extent::Hole { length }]);
            self.sent += 1;
            self.offset += length;
        }
        Ok(())
    }

    fn send(&mut self, bytes: Vec<u8>, ends: Vec<usize>) -> Result<(), chunks::Error> {
        let Some(&length) = ends.last() else {
            self.spare.push(bytes);
            return Ok(());
        };
        let near = self.former.as_mut().map(|former| former.near(self.sent, self.offset, length));
        let slab = Slab { bytes, ends, number: self.sent, near, done: self.done.0.clone() };
        self.sent += 1;
        self.offset += length as u64;
        match self.to_slabs.try_send(slab) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(slab) | TrySendError::Disconnected(slab)) => slab.process(self.lane),
        }
    }

    /// Waits for one of our slabs, doing anybody's meanwhile.
    fn wait(&mut self) -> Result<(), chunks::Error> {
        select_biased! {
            recv(self.done.1) -> stored => self.keep(stored.map_err(|_| chunks::Error::Stopped)?),
            recv(self.slabs) -> slab => slab.map_err(|_| chunks::Error::Stopped)?.process(self.lane),
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
