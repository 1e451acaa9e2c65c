//! What all workers share while a run is in one session.

use super::tally::Tally;
use crate::event::Sink;
use crate::repo::catalog::{self, CatalogKeys, store_value};
use crate::repo::chunker::Chunker;
use crate::repo::chunks::{self, ChunkSink, ChunkSource};
use crate::repo::entry::Entry;
use crate::source::Problem;
use crate::source::files::attributes::Described;
use crate::source::pace::Pace;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by the workers.
pub(super) struct Stage<'a> {
    /// Cuts files.
    pub chunker: &'a Chunker,
    /// Cuts pages of long extent lists.
    pub catalog_keys: &'a CatalogKeys,
    /// Where pages and long attribute values go.
    pub pages: &'a dyn ChunkSink,
    /// What the run has come to.
    pub tally: &'a Tally<'a>,
    /// Whether the bytes of named pipes and block devices are read.
    pub read_special: bool,
    /// Reads what changed files held before, if new chunks may be deltas to that.
    pub earlier: Option<Arc<dyn ChunkSource>>,
    pace: Option<&'a Pace>,
    /// Where is told what happens, and asked whether to stop.
    pub events: &'a dyn Sink,
    /// Workers that may still cut large files into slabs.
    reading: AtomicUsize,
    /// Dropping the sender tells everybody that no more slabs will come.
    finished: (Mutex<Option<Sender<()>>>, Receiver<()>),
}

/// What can fail while an entry is read.
pub(super) enum Failure {
    /// The source's fault: it is reported, and the run goes on.
    Source(Problem),
    /// The repository's fault: the run ends.
    Sink(chunks::Error),
}

impl From<chunks::Error> for Failure {
    fn from(error: chunks::Error) -> Self {
        Self::Sink(error)
    }
}

impl From<catalog::Error> for Failure {
    fn from(error: catalog::Error) -> Self {
        Self::Sink(written(error))
    }
}

/// A catalog page or value that cannot be written fails for the reason that its chunk has; anything else is a fault of ours.
pub(super) fn written(error: catalog::Error) -> chunks::Error {
    match error {
        catalog::Error::Sink(error) => error,
        other => chunks::Error::Store(std::sync::Arc::new(other)),
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Source(problem)
    }
}

impl<'a> Stage<'a> {
    /// A stage for so many workers.
    pub fn new(
        workers: usize,
        chunker: &'a Chunker,
        catalog_keys: &'a CatalogKeys,
        pages: &'a dyn ChunkSink,
        tally: &'a Tally<'a>,
        events: &'a dyn Sink,
    ) -> Self {
        let (sender, receiver) = bounded(0);
        let (reading, finished) = (AtomicUsize::new(workers), (Mutex::new(Some(sender)), receiver));
        Self {
            chunker,
            catalog_keys,
            pages,
            tally,
            read_special: false,
            earlier: None,
            pace: None,
            events,
            reading,
            finished,
        }
    }

    /// The same, that reads named pipes and block devices if so wanted.
    pub fn read_special(mut self, wanted: bool) -> Self {
        self.read_special = wanted;
        self
    }

    /// The same, that lets new chunks be deltas to what `source` reads.
    pub fn deltas_to(mut self, source: Option<Arc<dyn ChunkSource>>) -> Self {
        self.earlier = source;
        self
    }

    /// The same, that keeps to a pace.
    pub fn at_pace(mut self, pace: &'a Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// One worker less that reads files. The channel returned disconnects when it was the last.
    pub fn retire(&self) -> &Receiver<()> {
        if self.reading.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.give_up();
        }
        &self.finished.1
    }

    /// No more slabs will come, or they are of no use: nobody waits for them any longer.
    pub fn give_up(&self) {
        self.finished.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether somebody has asked to stop.
    pub fn stopping(&self) -> bool {
        self.events.stopping()
    }

    /// Fails once somebody has asked to stop: between two files, and between two slabs of a large one. Waits while the pace is
    /// to pause.
    ///
    /// # Errors
    /// [`chunks::Error::Stopped`].
    pub fn go_on(&self) -> Result<(), chunks::Error> {
        let on = self.pace.map_or_else(|| !self.stopping(), |pace| pace.go_on(self.events));
        if on { Ok(()) } else { Err(chunks::Error::Stopped) }
    }

    /// How much of `room` may be read at a time.
    pub fn gulp(&self, room: usize) -> usize {
        self.pace.map_or(room, |pace| pace.gulp(room))
    }

    /// Waits until so many bytes, which were read just now, are within the pace.
    ///
    /// # Errors
    /// [`chunks::Error::Stopped`] when somebody asked to stop meanwhile.
    pub fn spend(&self, bytes: usize) -> Result<(), chunks::Error> {
        let on = self.pace.is_none_or(|pace| pace.spend(bytes, self.events));
        if on { Ok(()) } else { Err(chunks::Error::Stopped) }
    }

    /// The entry with its attribute values in their final place; what could not be read of it is reported.
    ///
    /// # Errors
    /// When a long value cannot be stored.
    pub fn described(&self, described: Described) -> Result<Entry, chunks::Error> {
        let mut entry = described.entry;
        described.problems.iter().for_each(|problem| self.tally.problem(problem));
        for (name, value) in described.xattrs {
            entry.xattrs.push((name, store_value(self.pages, &value).map_err(written)?));
        }
        Ok(entry)
    }
}
