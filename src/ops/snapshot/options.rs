//! What to take a snapshot of, and how.

use crate::repo::catalog::Tree;
use crate::repo::effort::Effort;
use crate::repo::entry::{EntryPath, Timestamp};
use crate::repo::id::SnapshotId;
use crate::repo::pack::PackSize;
use crate::source::files::rules::Rules;
use crate::source::files::stat::StampOptions;
use crate::source::files::walk;
use crate::source::mounts;
use crate::source::pace::Pacing;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What to take a snapshot of, and how.
#[derive(Debug, Clone, Default)]
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
    /// What to leave out.
    pub excludes: Rules,
    /// Stay on the roots' file systems.
    pub one_file_system: bool,
    /// Store what named pipes and block devices give to a reader, as files.
    pub read_special: bool,
    /// The snapshot to compare with and to take unchanged files from; `None`: the newest of the same host and paths.
    pub parent: Option<Parent>,
    /// Read every byte again.
    pub full: bool,
    /// Write nothing, say what would be written.
    pub dry_run: bool,
    /// Commit no snapshot when nothing at or below the paths changed since the last complete one.
    pub skip_if_unchanged: bool,
    /// Keep the times of last access.
    pub with_atime: bool,
    /// Parts of a file's stamp that do not count.
    pub stamp: StampOptions,
    /// How hard to compress.
    pub effort: Effort,
    /// Whether new chunks of large files may be stored as deltas to what the files held before.
    pub delta: Delta,
    /// How large packs are.
    pub pack_size: PackSize,
    /// When a long run leaves a partial snapshot behind.
    pub partial: PartialAfter,
    /// Threads that read, hash, compress and seal; 0: as many as there are cores.
    pub threads: usize,
    /// How fast files are read.
    pub pacing: Pacing,
    /// Where the change cache is kept; `None`: nowhere, so that every file is read.
    pub cache: Option<PathBuf>,
    /// Device and inode of directories that are never entered: the repository's own.
    pub skip: Vec<(u64, u64)>,
}

/// Whether new chunks of a large file may be stored as deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delta {
    /// Where that makes them half as large at most, and the keys at hand read what the file held before.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl FromStr for Delta {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err("it is auto or off"),
        }
    }
}

/// A snapshot that was chosen to be the parent.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Which one.
    pub id: SnapshotId,
    /// Its catalog, if the keys at hand read it: for a parent that this host has no change cache of.
    pub tree: Option<Tree>,
}

/// How much a run does before it leaves a partial snapshot behind and goes on: whatever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialAfter {
    /// Bytes of files that were read.
    pub bytes: u64,
    /// Time that passed.
    pub time: Duration,
    /// Chunks that the repository did not have: each is remembered until then.
    pub chunks: u64,
}

impl Default for PartialAfter {
    /// What takes an hour or so to do again is worth two small objects.
    fn default() -> Self {
        Self { bytes: 64 << 30, time: Duration::from_secs(3600), chunks: 3 << 17 }
    }
}

impl PartialAfter {
    /// From where on a run that is asked to stop leaves one behind: less is soon done again.
    pub(super) fn when_stopped(self) -> Self {
        Self { bytes: self.bytes / 64, time: self.time / 60, chunks: self.chunks / 64 }
    }
}

/// Threads that list directories before the walk comes to them, at most.
const AHEAD: usize = 4;

impl Options {
    /// What of them the walk goes by.
    pub fn walk(&self) -> walk::Options {
        walk::Options {
            roots: self.roots.clone(),
            rules: self.excludes.clone(),
            one_file_system: self.one_file_system,
            skip: self.skip.clone(),
            // Without the kernel's table there is nothing to go by.
            repositories: mounts::shown().unwrap_or_default().iter().map(|mount| mount.device).collect(),
            read_special: self.read_special,
            tell: false,
            towards: None,
            // One thread walks anyway.
            ahead: (self.threads() - 1).min(AHEAD),
        }
    }

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
