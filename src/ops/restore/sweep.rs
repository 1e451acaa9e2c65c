//! Taking away what the target holds and the snapshot does not, folder by folder.
//!
//! Only in folders that the snapshot took in whole (at or below one of its paths), that are restored, and whose listing can be
//! read. What exclude patterns leave out stays: those of the restore, and those of the snapshot, which never saw it. No
//! symbolic link is followed, no other file system entered, and nothing that is to be kept (the repository itself).

use super::beneath::{self, Identity};
use super::context::Context;
use crate::ops::select::{Select, Verdict};
use crate::repo::catalog::Tree;
use crate::repo::entry::{EntryName, EntryPath};
use rustix::fs::{Dir, FileType, IFlags, Stat};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What may be taken away.
#[derive(Debug, Clone, Default)]
pub struct Delete {
    /// The paths that the snapshot was taken of.
    pub roots: Vec<EntryPath>,
    /// What the snapshot left out when it was taken.
    pub left_out: Select,
    /// It left out what lies in folders that hold a file of one of these names.
    pub markers: Vec<EntryName>,
    /// It left out regular files with more bytes than this.
    pub larger_than: Option<u64>,
    /// It left out what has the no-dump flag.
    pub nodump: bool,
    /// Device and inode of folders that stay with all that is in them.
    pub keep: Vec<(u64, u64)>,
}

/// What one restore takes away.
pub(super) struct Sweep<'a> {
    /// Tells what the snapshot has.
    pub(super) tree: &'a Tree,
    /// What is restored.
    pub(super) select: &'a Select,
    /// What may go.
    pub(super) delete: &'a Delete,
    /// The target's own device.
    pub(super) device: Option<u64>,
    /// Nothing is touched.
    pub(super) dry_run: bool,
}

/// Takes away what the directory `dir`, which stands for `path` of the snapshot, holds and the snapshot does not.
pub(super) fn sweep(context: &Context<'_>, dir: BorrowedFd<'_>, path: &EntryPath) {
    let Some(sweep) = &context.sweep else { return };
    let verdict = Both::judge(sweep, path);
    let covered = sweep.delete.roots.iter().any(|root| root.contains(path));
    if !covered || !verdict.goes() || context.report.stopping() {
        return;
    }
    // A snapshot holds what it did not enter as an empty folder: the repository, other file systems.
    match rustix::fs::fstat(dir) {
        Ok(stat) => {
            if let Some(reason) = sweep.spares(&stat).or_else(|| sweep.is_marked(dir)) {
                return context.report.stays(path, reason);
            }
        }
        Err(error) => return context.report.problem(path, "delete", error),
    }
    let names: Result<Vec<EntryName>, _> =
        sweep.tree.children(path, None).map(|child| child.map(|(_, name, _)| name)).collect();
    let Ok(names) = names else {
        let reason = "the snapshot's listing of this folder cannot be read, so nothing in it was deleted";
        return context.report.problem(path, "delete", reason);
    };
    match list(dir) {
        Ok(there) => {
            for name in there.iter().filter(|name| names.binary_search(name).is_err()) {
                remove(context, sweep, dir, path, name, verdict);
            }
        }
        Err(error) => context.report.problem(path, "delete", error),
    }
}

/// Takes the directory `name` away, in whose place something else is to be made; what must stay stays.
pub(super) fn clear(context: &Context<'_>, dir: BorrowedFd<'_>, parent: &EntryPath, name: &EntryName) {
    let Some(sweep) = &context.sweep else { return };
    if sweep.delete.roots.iter().any(|root| root.contains(&parent.join(name.clone()))) {
        remove(context, sweep, dir, parent, name, Both::judge(sweep, parent));
    }
}

impl Sweep<'_> {
    /// Why nothing in the directory that `stat` describes may go.
    fn spares(&self, stat: &Stat) -> Option<&'static str> {
        if self.device.is_none_or(|device| device != stat.st_dev) {
            Some("it is on another file system than the target")
        } else if self.delete.keep.contains(&(stat.st_dev, stat.st_ino)) {
            Some("the repository, or what boveda remembers, is there")
        } else {
            None
        }
    }
}

impl Sweep<'_> {
    /// Why nothing in a directory may go that the snapshot left out for a file in it.
    fn is_marked(&self, dir: BorrowedFd<'_>) -> Option<&'static str> {
        let marked = self.delete.markers.iter().any(|marker| beneath::stat(dir, marker).is_ok());
        marked.then_some("a file in it kept it out of the snapshot")
    }

    /// Whether the snapshot would have left `name` out for its size or its flag.
    fn never_saw(&self, dir: BorrowedFd<'_>, name: &EntryName, stat: &Stat) -> bool {
        let kind = beneath::file_type(stat);
        let large = |limit| kind == FileType::RegularFile && stat.st_size as u64 > limit;
        let flagged = || {
            matches!(kind, FileType::RegularFile | FileType::Directory)
                && beneath::open_to_read(dir, name).is_ok_and(|handle| {
                    rustix::fs::ioctl_getflags(&handle).is_ok_and(|flags| flags.contains(IFlags::NODUMP))
                })
        };
        self.delete.larger_than.is_some_and(large) || self.delete.nodump && flagged()
    }
}

/// Verdicts by the restore's patterns, and by the snapshot's.
#[derive(Clone, Copy)]
struct Both {
    restore: Verdict,
    snapshot: Verdict,
}

impl Both {
    fn judge(sweep: &Sweep<'_>, path: &EntryPath) -> Self {
        Self { restore: sweep.select.judge(path), snapshot: sweep.delete.left_out.judge(path) }
    }

    fn below(self, sweep: &Sweep<'_>, dir: &EntryPath, name: &EntryName) -> Self {
        Self {
            restore: sweep.select.below(self.restore, dir, name),
            snapshot: sweep.delete.left_out.below(self.snapshot, dir, name),
        }
    }

    const fn goes(self) -> bool {
        self.restore.selected() && !self.snapshot.excluded()
    }
}

/// Removes `name` and all below it; returns whether it is gone, or would be.
fn remove(
    context: &Context<'_>,
    sweep: &Sweep<'_>,
    dir: BorrowedFd<'_>,
    parent: &EntryPath,
    name: &EntryName,
    above: Both,
) -> bool {
    let verdict = above.below(sweep, parent, name);
    if !verdict.goes() || context.report.stopping() {
        return false;
    }
    let path = parent.join(name.clone());
    let removed = beneath::stat(dir, name).and_then(|stat| {
        if sweep.never_saw(dir, name, &stat) {
            return Ok((false, stat));
        }
        let emptied = beneath::file_type(&stat) != FileType::Directory
            || empty(context, sweep, dir, name, &path, &stat, verdict)?;
        if emptied && !sweep.dry_run {
            beneath::remove(dir, name)?;
        }
        Ok((emptied, stat))
    });
    match removed {
        Ok((gone, stat)) => {
            if gone {
                let size = if beneath::file_type(&stat) == FileType::RegularFile { stat.st_size as u64 } else { 0 };
                context.report.deleted(&path, size);
            }
            gone
        }
        Err(error) => {
            context.report.problem(&path, "delete", error);
            false
        }
    }
}

/// Empties the directory `name`; returns whether nothing is left in it.
fn empty(
    context: &Context<'_>,
    sweep: &Sweep<'_>,
    dir: BorrowedFd<'_>,
    name: &EntryName,
    path: &EntryPath,
    stat: &Stat,
    verdict: Both,
) -> io::Result<bool> {
    if let Some(reason) = sweep.spares(stat) {
        context.report.stays(path, reason);
        return Ok(false);
    }
    let handle = if sweep.dry_run { beneath::open_directory(dir, name)? } else { super::folder::open_own(dir, name)? };
    if Identity::from(&rustix::fs::fstat(&handle)?) != Identity::from(stat) {
        return Err(io::Error::other("it was replaced by something else during the restore"));
    }
    if let Some(reason) = sweep.is_marked(handle.as_fd()) {
        context.report.stays(path, reason);
        return Ok(false);
    }
    let mut all = true;
    for child in list(handle.as_fd())? {
        all &= remove(context, sweep, handle.as_fd(), path, &child, verdict);
    }
    Ok(all)
}

/// The names in a directory, sorted.
fn list(dir: BorrowedFd<'_>) -> io::Result<Vec<EntryName>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        // Only `.` and `..` are no names.
        names.extend(EntryName::new(entry?.file_name().to_bytes()));
    }
    names.sort();
    Ok(names)
}
