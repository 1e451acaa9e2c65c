//! What happened: events that verbs emit, and the sink that a face gives them. The library speaks, the face listens.

mod access;

pub use access::{Access, Operation};

use std::fmt;

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the curious.
    Debug,
    /// Worth a line.
    Info,
    /// Something is not as it should be; the run goes on.
    Warning,
    /// Part of the work failed; the run goes on and will not end with exit code 0.
    Error,
}

/// Which stage of a long verb the numbers belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading sources into the repository.
    Snapshot,
    /// Writing files back.
    Restore,
    /// Checking the repository.
    Verify,
    /// Finding out what is needed, and removing the rest: `files` are snapshots.
    Prune,
    /// Bringing packs to a copy of the repository: `files` are packs.
    Sync,
}

/// Numbers for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files done.
    pub files: u64,
    /// Files in all, 0 while unknown.
    pub files_total: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all, 0 while unknown.
    pub bytes_total: u64,
    /// Problems so far.
    pub errors: u64,
}

/// What became of one entry in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryStatus {
    /// Not in the parent.
    New,
    /// In the parent, with another stamp or content.
    Changed,
    /// As in the parent.
    Unchanged,
}

/// What a restore did with one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreAction {
    /// It was not there, and is now.
    Restored,
    /// Something was there, and is as in the snapshot now.
    Updated,
    /// It was there with the same content.
    Unchanged,
    /// What was there stays, as asked.
    Kept,
    /// The snapshot does not have it: it is gone.
    Deleted,
}

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Numbers moved. Sent often; sinks thin them out.
    Progress(Stage, Progress),
    /// One source entry was handled.
    Entry { path: Vec<u8>, status: EntryStatus, size: u64 },
    /// A rule left one source entry out, with all below it. Only sent to sinks that want all.
    Excluded { path: Vec<u8>, rule: String },
    /// One entry was restored (or would be).
    Restored { path: Vec<u8>, action: RestoreAction, size: u64 },
    /// One entry could not be read, restored in full, or has attributes that could not be applied.
    Problem { path: Vec<u8>, during: &'static str, error: String },
    /// Damage was found in the repository. `healed` when parity mended it.
    Damage { object: String, what: String, healed: bool },
    /// Somebody looked into a mounted snapshot, or was refused.
    Access(Access),
    /// Anything else that a person may want to read.
    Message(Level, String),
}

/// Where events go. Called from many threads; must be quick.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);

    /// Whether somebody asked to stop (Ctrl-C, SIGTERM). Long verbs look here between two pieces of work, leave the
    /// repository and the target as any interruption may leave them, and return their `Stopped` error. Once true, it
    /// stays true.
    fn stopping(&self) -> bool {
        false
    }

    /// Whether entries that did not change, and those that rules leave out, are of interest too. There are many of them.
    fn wants_all(&self) -> bool {
        false
    }
}

/// A sink that drops everything.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Sink for Silent {
    fn emit(&self, _: Event) {}
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
