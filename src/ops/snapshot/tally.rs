//! What a run has come to so far: shown as progress while it goes on.

use super::batch::FilledBatch;
use crate::event::{Event, Progress, Sink, Stage};
use crate::repo::entry::{Entry, EntryKind};
use crate::source::Problem;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts for all threads of a run, through all of its sessions.
pub(super) struct Tally<'a> {
    events: &'a dyn Sink,
    /// What the last snapshot of the same paths had: files and bytes.
    expected: (u64, u64),
    files: AtomicU64,
    bytes: AtomicU64,
    problems: AtomicU64,
}

impl<'a> Tally<'a> {
    /// Nothing yet; `expected` files and bytes are what it may come to, zeros when nobody knows.
    pub fn new(events: &'a dyn Sink, expected: (u64, u64)) -> Self {
        let [files, bytes, problems] = Default::default();
        Self { events, expected, files, bytes, problems }
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
            self.events.emit(Event::Progress(Stage::Snapshot, progress));
        }
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
