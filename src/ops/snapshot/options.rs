//! What to take a snapshot of, and how.

use crate::repo::entry::{EntryPath, Timestamp};
use crate::repo::segment::Compression;
use crate::source::files::stat::StampOptions;
use std::path::PathBuf;

/// What to take a snapshot of, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Absolute paths.
    pub roots: Vec<EntryPath>,
    /// The host that the snapshot shows.
    pub host: String,
    /// The user who takes it.
    pub user: String,
    /// Tags.
    pub tags: Vec<String>,
    /// The time that the snapshot shows, if not now.
    pub time: Option<Timestamp>,
    /// What to leave out, as patterns.
    pub excludes: Vec<String>,
    /// Stay on the roots' file systems.
    pub one_file_system: bool,
    /// Read every byte again.
    pub full: bool,
    /// Write nothing, say what would be written.
    pub dry_run: bool,
    /// Parts of a file's stamp that do not count.
    pub stamp: StampOptions,
    /// How segments are compressed.
    pub compression: Compression,
    /// Threads that read, hash, compress and seal; 0: as many as there are cores.
    pub threads: usize,
    /// Where the change cache is kept; `None`: nowhere, so that every file is read.
    pub cache: Option<PathBuf>,
    /// Device and inode of directories that are never entered: the repository's own.
    pub skip: Vec<(u64, u64)>,
}

impl Options {
    /// The paths as records have them.
    pub(super) fn root_bytes(&self) -> Vec<Vec<u8>> {
        self.roots.iter().map(EntryPath::to_bytes).collect()
    }

    /// How many threads to work with.
    pub(super) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            threads => threads,
        }
    }
}
