//! Applying an entry's attributes to what was made of it: owner, extended attributes, mode, times, flags, in that order.
//!
//! The order is the point. A change of owner takes setuid bits and capabilities away, so it comes first; an ACL rewrites
//! the mode; content and attributes move the times; and after the immutable flag nothing moves any more. Each step that
//! fails is reported and the next one is tried.

use super::context::Context;
use super::{flags, xattrs};
use crate::repo::entry::{Entry, EntryPath, Timestamp, XattrValue};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What is applied to an entry once its content is there.
#[derive(Debug, Clone)]
pub(super) struct Attributes {
    /// Permission bits, setuid and the like included.
    pub(super) mode: u32,
    /// The owner on this machine.
    pub(super) uid: u32,
    /// The group on this machine.
    pub(super) gid: u32,
    modified: Timestamp,
    accessed: Option<Timestamp>,
    flags: u32,
    xattrs: Vec<(Vec<u8>, XattrValue)>,
}

impl Attributes {
    /// Takes an entry's attributes out of it, owners translated to this machine's.
    pub(super) fn take(context: &Context<'_>, entry: &mut Entry) -> Self {
        Self {
            mode: entry.mode & 0o7777,
            uid: context.owners.uid(&entry.user, entry.uid),
            gid: context.owners.gid(&entry.group, entry.gid),
            modified: entry.modified,
            accessed: entry.accessed,
            flags: entry.flags & flags::SETTABLE,
            xattrs: std::mem::take(&mut entry.xattrs),
        }
    }

    /// Takes the flags out that would keep further names from being linked to this inode; they are set at the end.
    pub(super) fn take_freezing(&mut self) -> u32 {
        let freezing = self.flags & flags::FREEZING;
        self.flags -= freezing;
        freezing
    }

    /// The `chattr` flags.
    pub(super) const fn flags(&self) -> u32 {
        self.flags
    }

    /// The ACL that says who may use it, if it has one of reasonable length.
    pub(super) fn acl(&self) -> Option<&Vec<u8>> {
        match self.xattrs.iter().find(|(name, _)| name == xattrs::ACL.as_bytes()) {
            Some((_, XattrValue::Inline(bytes))) => Some(bytes),
            _ => None,
        }
    }

    /// Whether the inode of `stat` has this owner, mode and modification time already.
    pub(super) fn equal(&self, stat: &rustix::fs::Stat) -> bool {
        let modified = Timestamp { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 };
        (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777, modified) == (self.uid, self.gid, self.mode, self.modified)
    }

    /// Applies everything to `inode`; failures are reported under `path`.
    pub(super) fn apply(&self, context: &Context<'_>, inode: &Inode<'_>, path: &EntryPath) {
        let report = |during, result: io::Result<()>| {
            if let Err(error) = result {
                context.report.problem(path, during, error);
            }
        };
        let mode = self.apply_owner(context, inode, path);
        if !inode.fresh || inode.inherits || !self.xattrs.is_empty() {
            xattrs::apply(context, inode, &self.xattrs, path);
        }
        if inode.file_type != FileType::Symlink {
            report("mode", inode.set_mode(mode));
        }
        report("times", inode.set_times(self.modified, self.accessed));
        if matches!(inode.file_type, FileType::RegularFile | FileType::Directory)
            && (!inode.fresh || inode.inherits || self.flags != 0)
        {
            report("flags", flags::set(inode.fd, self.flags));
        }
    }

    /// Sets owner and group, and returns the mode to apply: setuid and setgid bits are dropped from anything whose
    /// owner or group is not the one that they were meant for.
    fn apply_owner(&self, context: &Context<'_>, inode: &Inode<'_>, path: &EntryPath) -> Mode {
        let (owner, group) = match self.set_owner(context, inode) {
            Ok(applied) => applied,
            Err(error) => {
                context.report.problem(path, "owner", error);
                (false, false)
            }
        };
        if !(context.root || owner && group) {
            context.report.foreign_owner();
        }
        let mut mode = Mode::from_raw_mode(self.mode);
        if inode.file_type != FileType::Directory {
            mode.set(Mode::SUID, owner && mode.contains(Mode::SUID));
            mode.set(Mode::SGID, group && mode.contains(Mode::SGID));
        }
        mode
    }

    /// Whether owner and group are now the wanted ones. A process that is not root may only choose among its groups.
    fn set_owner(&self, context: &Context<'_>, inode: &Inode<'_>) -> io::Result<(bool, bool)> {
        if context.root {
            if !inode.fresh {
                let stat = rustix::fs::fstat(inode.fd)?;
                if (stat.st_uid, stat.st_gid) == (self.uid, self.gid) {
                    return Ok((true, true));
                }
            }
            inode.set_owner(Some(self.uid), Some(self.gid))?;
            return Ok((true, true));
        }
        let stat = rustix::fs::fstat(inode.fd)?;
        let group = stat.st_gid == self.gid || inode.set_owner(None, Some(self.gid)).is_ok();
        Ok((stat.st_uid == self.uid, group))
    }
}

/// What attributes are applied to: something open, or a handle that only stands for the inode.
pub(super) struct Inode<'a> {
    /// The handle.
    pub(super) fd: BorrowedFd<'a>,
    /// The handle neither reads nor writes (O_PATH): most calls need its name under /proc.
    only_path: bool,
    /// What it is.
    pub(super) file_type: FileType,
    /// It was made in this run, so it has only the attributes that it was born with.
    pub(super) fresh: bool,
    /// It may have been born with ACLs or flags of its directory.
    pub(super) inherits: bool,
}

impl<'a> Inode<'a> {
    /// A file or directory that is open, and may have been there before.
    pub(super) const fn open(fd: BorrowedFd<'a>, file_type: FileType) -> Self {
        Self { fd, only_path: false, file_type, fresh: false, inherits: true }
    }

    /// Anything, behind a handle opened with O_PATH.
    pub(super) const fn node(fd: BorrowedFd<'a>, file_type: FileType) -> Self {
        Self { only_path: true, ..Self::open(fd, file_type) }
    }

    /// The same, known to be new in a directory that `inherits` or not.
    pub(super) const fn made(self, fresh: bool, inherits: bool) -> Self {
        Self { fresh, inherits, ..self }
    }

    /// The handle's name, which leads to the inode itself whatever stands at its path by now.
    pub(super) fn proc_path(&self) -> Option<String> {
        self.only_path.then(|| format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// Sets the permission bits.
    pub(super) fn set_mode(&self, mode: Mode) -> io::Result<()> {
        match self.proc_path() {
            Some(path) => rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())?,
            None => rustix::fs::fchmod(self.fd, mode)?,
        }
        Ok(())
    }

    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        // An id of all ones means "leave as it is" to the kernel; as a number of a snapshot it is not an owner.
        if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
            return Err(Errno::INVAL.into());
        }
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(self.fd, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }

    fn set_times(&self, modified: Timestamp, accessed: Option<Timestamp>) -> io::Result<()> {
        let timespec = |time: Timestamp| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
        let times = Timestamps {
            last_access: accessed.map_or(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, timespec),
            last_modification: timespec(modified),
        };
        match self.proc_path() {
            Some(path) => rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?,
            None => rustix::fs::futimens(self.fd, &times)?,
        }
        Ok(())
    }
}
