//! What all workers of one snapshot share.

use super::batch::FilledBatch;
use crate::event::{Event, Progress, Sink, Stage as Shown};
use crate::repo::catalog::{self, CatalogKeys, store_value};
use crate::repo::chunker::Chunker;
use crate::repo::chunks::{self, ChunkSink};
use crate::repo::entry::Entry;
use crate::repo::entry::EntryKind;
use crate::source::Problem;
use crate::source::files::attributes::Described;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Shared by the workers.
pub(super) struct Stage<'a> {
    /// Cuts files.
    pub chunker: &'a Chunker,
    /// Cuts pages of long extent lists.
    pub catalog_keys: &'a CatalogKeys,
    /// Where pages and long attribute values go.
    pub pages: &'a dyn ChunkSink,
    /// Whether the bytes of named pipes and block devices are read.
    pub read_special: bool,
    /// Where is told what happens, and asked whether to stop.
    pub events: &'a dyn Sink,
    /// What the last snapshot of the same paths had: files and bytes.
    expected: (u64, u64),
    files: AtomicU64,
    bytes: AtomicU64,
    problems: AtomicU64,
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
        events: &'a dyn Sink,
        expected: (u64, u64),
    ) -> Self {
        let (sender, receiver) = bounded(0);
        Self {
            chunker,
            catalog_keys,
            pages,
            read_special: false,
            events,
            expected,
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            problems: AtomicU64::new(0),
            reading: AtomicUsize::new(workers),
            finished: (Mutex::new(Some(sender)), receiver),
        }
    }

    /// The same, that reads named pipes and block devices if so wanted.
    pub fn read_special(mut self, wanted: bool) -> Self {
        self.read_special = wanted;
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

    /// Fails once somebody has asked to stop: between two files, and between two slabs of a large one.
    ///
    /// # Errors
    /// [`chunks::Error::Stopped`].
    pub fn go_on(&self) -> Result<(), chunks::Error> {
        if self.events.stopping() { Err(chunks::Error::Stopped) } else { Ok(()) }
    }

    /// Moves the progress on by a whole batch.
    pub fn count_all(&self, batch: &FilledBatch) {
        batch.entries.iter().for_each(|finished| self.count(&finished.entry));
    }

    /// Moves the progress on by a finished entry.
    pub fn count(&self, entry: &Entry) {
        if matches!(entry.kind, EntryKind::File(_)) {
            let files = self.files.fetch_add(1, Ordering::Relaxed) + 1;
            let bytes = self.bytes.fetch_add(entry.size, Ordering::Relaxed) + entry.size;
            let errors = self.problems.load(Ordering::Relaxed);
            let (files_total, bytes_total) = (self.expected.0.max(files), self.expected.1.max(bytes));
            let progress = match self.expected {
                (0, 0) => Progress { files, files_total: 0, bytes, bytes_total: 0, errors },
                _ => Progress { files, files_total, bytes, bytes_total, errors },
            };
            self.events.emit(Event::Progress(Shown::Snapshot, progress));
        }
    }

    /// The entry with its attribute values in their final place; what could not be read of it is reported.
    ///
    /// # Errors
    /// When a long value cannot be stored.
    pub fn described(&self, described: Described) -> Result<Entry, chunks::Error> {
        let mut entry = described.entry;
        described.problems.iter().for_each(|problem| self.problem(problem));
        for (name, value) in described.xattrs {
            entry.xattrs.push((name, store_value(self.pages, &value).map_err(written)?));
        }
        Ok(entry)
    }

    /// Reports something that could not be read.
    pub fn problem(&self, problem: &Problem) {
        self.report(problem.path.clone(), problem.during, problem.cause.to_string());
    }

    /// Reports a file that did not hold still.
    pub fn changed_while_read(&self, path: Vec<u8>) {
        self.report(
            path,
            "reading the file",
            "it changed while it was read, twice; stored as it was read last".to_owned(),
        );
    }

    fn report(&self, path: Vec<u8>, during: &'static str, error: String) {
        self.problems.fetch_add(1, Ordering::Relaxed);
        self.events.emit(Event::Problem { path, during, error });
    }

    /// Problems so far.
    pub fn problems(&self) -> u64 {
        self.problems.load(Ordering::Relaxed)
    }
}
