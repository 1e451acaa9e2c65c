//! The figures of a snapshot.

use super::batch::Finished;
use crate::event::EntryStatus;
use crate::repo::entry::{EntryKind, Timestamp};
use crate::repo::id::SnapshotId;

/// Entries by what they are and how they compare with the parent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Regular files that the parent did not have.
    pub files_new: u64,
    /// Regular files whose stamp changed.
    pub files_changed: u64,
    /// Regular files as in the parent.
    pub files_unmodified: u64,
    /// Directories that the parent did not have.
    pub dirs_new: u64,
    /// Directories whose stamp changed.
    pub dirs_changed: u64,
    /// Directories as in the parent.
    pub dirs_unmodified: u64,
    /// Everything else: links, pipes, sockets, devices.
    pub others: u64,
    /// Bytes of all regular files.
    pub bytes: u64,
}

impl Counts {
    /// Counts one entry.
    pub(super) fn add(&mut self, finished: &Finished) {
        let by_status = |counts: [&mut u64; 3]| match finished.status {
            EntryStatus::New => *counts[0] += 1,
            EntryStatus::Changed => *counts[1] += 1,
            EntryStatus::Unchanged => *counts[2] += 1,
        };
        match finished.entry.kind {
            EntryKind::File(_) => {
                self.bytes += finished.entry.size;
                by_status([&mut self.files_new, &mut self.files_changed, &mut self.files_unmodified]);
            }
            EntryKind::Directory => {
                by_status([&mut self.dirs_new, &mut self.dirs_changed, &mut self.dirs_unmodified]);
            }
            _ => self.others += 1,
        }
    }

    /// Regular files in all.
    pub const fn files(&self) -> u64 {
        self.files_new + self.files_changed + self.files_unmodified
    }
}

/// What a run of [`super::snapshot`] did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The new snapshot; `None` after a dry run, and when nothing had changed.
    pub snapshot: Option<SnapshotId>,
    /// The snapshot it was compared with.
    pub parent: Option<SnapshotId>,
    /// Entries seen.
    pub counts: Counts,
    /// Bytes of chunks that the repository did not have.
    pub bytes_added: u64,
    /// Bytes that the store got: compressed, sealed, padded, with parity.
    pub bytes_stored: u64,
    /// Chunks that the repository did not have.
    pub chunks_added: u64,
    /// Those of them that hold content of files, or long attribute values.
    pub data_chunks_added: u64,
    /// Packs written.
    pub packs: u64,
    /// The level of compression that was used on average; 0 when nothing became smaller.
    pub level: f64,
    /// Segments that were stored as deltas to what their files held before.
    pub deltas: u64,
    /// Partial snapshots that the run left on its way.
    pub partials: u64,
    /// Nothing had changed and nothing was committed, as was asked for.
    pub unchanged: bool,
    /// Entries that could not be read, or changed while they were read.
    pub problems: u64,
    /// Whether every byte of every file was read.
    pub full: bool,
    /// When it began.
    pub started: Timestamp,
    /// Seconds that it took.
    pub seconds: f64,
}
