//! What a restore is asked to do, and what it says that it did.

use super::overwrite::Overwrite;
use super::sweep::Delete;
use crate::ops::select::Select;

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Owners and groups by stored number, even where this machine knows the stored name.
    pub numeric_ids: bool,
    /// Write nothing, make nothing; tell what would be restored.
    pub dry_run: bool,
    /// Threads that write files; 0 for as many as there are cores, two at least.
    pub threads: usize,
    /// What to restore, by paths in the snapshot.
    pub select: Select,
    /// What becomes of things that exist.
    pub overwrite: Overwrite,
    /// Remove what the snapshot does not have; `None`: leave it alone.
    pub delete: Option<Delete>,
    /// Leading names to drop from what lands in the target; what has no more than these is not restored.
    pub strip: usize,
    /// Read every restored file again and compare it.
    pub verify: bool,
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Regular files in their place, further names of one inode included.
    pub files: u64,
    /// Directories, without the target itself.
    pub directories: u64,
    /// Symbolic links, pipes, sockets and devices.
    pub others: u64,
    /// Bytes of the regular files handled.
    pub bytes: u64,
    /// Entries among them in whose place something else, or an other version, stood.
    pub updated: u64,
    /// Regular files among them that had every byte already.
    pub unchanged: u64,
    /// Entries that were left as they stood, as asked.
    pub kept: u64,
    /// Things removed that the snapshot does not have.
    pub deleted: u64,
    /// Files that were read back and are as in the snapshot.
    pub verified: u64,
    /// Entries that are not in their place.
    pub skipped: u64,
    /// Things that could not be done or applied here: the restore is incomplete.
    pub problems: u64,
    /// Parts of the snapshot that cannot be read from the repository.
    pub damaged: u64,
    /// Of the problems, parts that lie in an archive tier.
    pub archived: u64,
    /// Entries that keep the running user as their owner, because only root may give files away.
    pub foreign_owners: u64,
}
