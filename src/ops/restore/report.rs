//! What a restore counts and tells while it runs. Shared by all threads; never fails.

use super::Summary;
use crate::event::{Event, Level, Progress, RestoreAction, Sink, Stage};
use crate::repo::chunks;
use crate::repo::entry::EntryPath;
use crate::store::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters and the sink they are shown on.
pub(super) struct Report<'a> {
    sink: &'a dyn Sink,
    entries_total: u64,
    bytes_total: u64,
    entries: AtomicU64,
    files: AtomicU64,
    directories: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    updated: AtomicU64,
    unchanged: AtomicU64,
    kept: AtomicU64,
    deleted: AtomicU64,
    verified: AtomicU64,
    skipped: AtomicU64,
    problems: AtomicU64,
    damaged: AtomicU64,
    archived: AtomicU64,
    foreign_owners: AtomicU64,
}

/// Whether a chunk that cannot be had is damage, and not a store that fails or a key that is missing.
pub(super) const fn is_damage(error: &chunks::Error) -> bool {
    matches!(error, chunks::Error::Unknown { .. } | chunks::Error::Damaged { .. })
}

/// Whether what cannot be had lies in an archive tier.
pub(super) fn is_archived(error: &(dyn std::error::Error + 'static)) -> bool {
    chunks::failure_of_store(error).is_some_and(|failure| failure.kind == ErrorKind::Archived)
}

/// Which counter an entry belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Done {
    /// A regular file.
    File(RestoreAction),
    /// A directory.
    Directory(RestoreAction),
    /// A symbolic link, pipe, socket or device.
    Other(RestoreAction),
}

impl<'a> Report<'a> {
    /// Starts counting towards `entries_total` and `bytes_total` (0 while unknown).
    pub(super) fn new(sink: &'a dyn Sink, entries_total: u64, bytes_total: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            sink,
            entries_total,
            bytes_total,
            entries: zero(),
            files: zero(),
            directories: zero(),
            others: zero(),
            bytes: zero(),
            updated: zero(),
            unchanged: zero(),
            kept: zero(),
            deleted: zero(),
            verified: zero(),
            skipped: zero(),
            problems: zero(),
            damaged: zero(),
            archived: zero(),
            foreign_owners: zero(),
        }
    }

    /// Whether somebody asked to stop.
    pub(super) fn stopping(&self) -> bool {
        self.sink.stopping()
    }

    /// Something about `path` could not be done; the run goes on.
    pub(super) fn problem(&self, path: &EntryPath, during: &'static str, error: impl ToString) {
        self.problems.fetch_add(1, Relaxed);
        self.sink.emit(Event::Problem { path: path.to_bytes(), during, error: error.to_string() });
    }

    /// Part of `path` cannot be read from the repository: because of `damage`, or because the store fails.
    pub(super) fn unreadable(&self, path: &EntryPath, during: &'static str, error: impl ToString, damage: bool) {
        if damage { &self.damaged } else { &self.problems }.fetch_add(1, Relaxed);
        self.sink.emit(Event::Problem { path: path.to_bytes(), during, error: error.to_string() });
    }

    /// What could not be read just now lies in an archive tier.
    pub(super) fn archived(&self) {
        self.archived.fetch_add(1, Relaxed);
    }

    /// The name service could not answer; numbers were used instead.
    pub(super) fn lookup_failed(&self, error: String) {
        self.problems.fetch_add(1, Relaxed);
        self.sink.emit(Event::Message(Level::Error, error));
    }

    /// Says once how many entries could not get their owner.
    pub(super) fn tell_foreign_owners(&self) {
        let count = self.foreign_owners.load(Relaxed);
        if count > 0 {
            let text =
                format!("{count} entries keep the running user as owner or group: only root can give files away");
            self.sink.emit(Event::Message(Level::Warning, text));
        }
    }

    /// An entry whose owner could not be set because this process is not root.
    pub(super) fn foreign_owner(&self) {
        self.foreign_owners.fetch_add(1, Relaxed);
    }

    /// An entry was passed over because something above it failed; that was reported there.
    pub(super) fn skipped(&self, size: u64) {
        self.skipped.fetch_add(1, Relaxed);
        self.entries.fetch_add(1, Relaxed);
        self.advance(size);
    }

    /// An entry is in its place (or would be).
    pub(super) fn done(&self, path: &EntryPath, what: Done, size: u64) {
        let action = match what {
            Done::File(action) | Done::Directory(action) | Done::Other(action) => action,
        };
        let file = matches!(what, Done::File(_));
        match (action, what) {
            (RestoreAction::Kept, _) => drop(self.kept.fetch_add(1, Relaxed)),
            (_, Done::File(_)) => drop(self.files.fetch_add(1, Relaxed)),
            (_, Done::Directory(_)) => drop(self.directories.fetch_add(1, Relaxed)),
            (_, Done::Other(_)) => drop(self.others.fetch_add(1, Relaxed)),
        }
        self.unchanged.fetch_add(u64::from(file && action == RestoreAction::Unchanged), Relaxed);
        self.updated.fetch_add(u64::from(action == RestoreAction::Updated), Relaxed);
        self.entries.fetch_add(1, Relaxed);
        self.sink.emit(Event::Restored { path: path.to_bytes(), action, size });
        self.advance(0);
    }

    /// Something that the snapshot does not have is gone from the target (or would be).
    pub(super) fn deleted(&self, path: &EntryPath, size: u64) {
        self.deleted.fetch_add(1, Relaxed);
        self.sink.emit(Event::Restored { path: path.to_bytes(), action: RestoreAction::Deleted, size });
    }

    /// Something stays in the target although the snapshot does not have it.
    pub(super) fn stays(&self, path: &EntryPath, reason: &str) {
        let text = format!("what {} holds stays: {reason}", path.to_bytes().escape_ascii());
        self.sink.emit(Event::Message(Level::Info, text));
    }

    /// A file was read back and is as in the snapshot.
    pub(super) fn verified(&self) {
        self.verified.fetch_add(1, Relaxed);
    }

    /// `bytes` of content are behind us.
    pub(super) fn advance(&self, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        self.sink.emit(Event::Progress(
            Stage::Restore,
            Progress {
                files: self.entries.load(Relaxed),
                files_total: self.entries_total,
                bytes,
                bytes_total: self.bytes_total,
                errors: self.problems.load(Relaxed) + self.damaged.load(Relaxed),
            },
        ));
    }

    /// The counts so far.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            files: self.files.load(Relaxed),
            directories: self.directories.load(Relaxed),
            others: self.others.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            updated: self.updated.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
            kept: self.kept.load(Relaxed),
            deleted: self.deleted.load(Relaxed),
            verified: self.verified.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            problems: self.problems.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            archived: self.archived.load(Relaxed),
            foreign_owners: self.foreign_owners.load(Relaxed),
        }
    }
}
