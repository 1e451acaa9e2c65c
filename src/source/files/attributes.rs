//! Everything that an entry has besides its content: owner names, symlink target, extended attributes, `chattr` flags.
//!
//! What cannot be read is reported and left empty; an entry whose inode is gone is a problem of its own.

use super::dir::{DirHandle, Way, open_file};
use super::owners::Owners;
use super::stat::{Kind, Stat};
use super::walk::{Child, Directory};
use super::xattrs::{self, Inode, Xattrs};
use crate::repo::entry::{Content, Entry, EntryKind, EntryName};
use crate::source::Problem;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

/// An entry as read.
#[derive(Debug)]
pub struct Described {
    /// The entry. A regular file's content is empty, its size that of the [`Stat`], and `xattrs` is empty as well: they
    /// are in the next field, since long values belong into chunks, which is for the caller to do.
    pub entry: Entry,
    /// The extended attributes in full, sorted by name.
    pub xattrs: Xattrs,
    /// Attributes that could not be read.
    pub problems: Vec<Problem>,
}

/// Reads an entry of `dir`. A regular file or a directory is opened for its attributes and closed again; to read a file's
/// content too, open a [`SourceFile`](super::content::SourceFile) and let that describe itself.
///
/// # Errors
/// When the entry cannot be stored at all, since its inode or a symlink's target cannot be read.
pub fn read_entry(dir: &DirHandle, child: &Child, owners: &Owners) -> Result<Described, Problem> {
    let (name, stat) = (&child.name, &child.stat);
    let subject = Subject { dir, name: Some(name), stat };
    let target = match stat.kind {
        Kind::Symlink => rustix::fs::readlinkat(dir, name.as_bytes(), Vec::new())
            .map_err(|error| dir.problem(name, "reading the link", error))?
            .into_bytes(),
        _ => Vec::new(),
    };
    let opened = match stat.kind {
        Kind::File => open_file(dir, name.as_bytes(), stat.uid),
        Kind::Directory => dir.open_fd(name, stat.uid, Way { follow: child.follow, search: false }),
        _ => Err(Errno::OPNOTSUPP),
    };
    match opened {
        Ok(fd) => Ok(describe(subject, target, Some(fd.as_fd()), owners)),
        Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => Err(dir.problem(name, "opening it", error)),
        // Attributes can be read where the content cannot.
        Err(_) => Ok(describe(subject, target, None, owners)),
    }
}

/// Reads the entry of a directory that the walk opened: for `/`, which no directory lists.
pub fn read_directory(directory: &Directory, owners: &Owners) -> Described {
    let dir = &*directory.handle;
    describe(Subject { dir, name: None, stat: &directory.stat }, Vec::new(), Some(dir.as_fd()), owners)
}

/// What is described.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub dir: &'a DirHandle,
    /// An entry of `dir`; without a name, `dir` itself.
    pub name: Option<&'a EntryName>,
    pub stat: &'a Stat,
}

impl Subject<'_> {
    fn problem(&self, during: &'static str, error: Errno) -> Problem {
        let path = self.name.map_or_else(|| self.dir.path().to_bytes(), |name| self.dir.path_of(name));
        Problem::new(path, during, error)
    }
}

/// Describes an entry, through `open` where there is an open file, else by its name.
pub(super) fn describe(
    subject: Subject<'_>,
    target: Vec<u8>,
    open: Option<BorrowedFd<'_>>,
    owners: &Owners,
) -> Described {
    let stat = subject.stat;
    let by_name;
    let inode = if let Some(fd) = open {
        Inode::Open(fd)
    } else {
        by_name = subject.dir.proc_path(subject.name);
        Inode::Path(&by_name)
    };
    let (xattrs, failures) = xattrs::read(inode);
    let mut problems: Vec<_> =
        failures.into_iter().map(|(_, error)| subject.problem("reading extended attributes", error)).collect();
    let mut named = |(found, failure): (Vec<u8>, Option<Errno>), during| {
        problems.extend(failure.map(|error| subject.problem(during, error)));
        found
    };
    let user = named(owners.user(stat.uid), "looking up the owner's name");
    let group = named(owners.group(stat.gid), "looking up the group's name");
    let entry = Entry {
        kind: entry_kind(stat, target),
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        user,
        group,
        modified: stat.modified,
        changed: stat.changed,
        accessed: None,
        size: if stat.kind == Kind::File { stat.size } else { 0 },
        flags: open.map_or(0, flags),
        xattrs: Vec::new(),
        links: stat.links(),
    };
    Described { entry, xattrs, problems }
}

fn entry_kind(stat: &Stat, target: Vec<u8>) -> EntryKind {
    let (major, minor) = stat.rdev;
    match stat.kind {
        Kind::File => EntryKind::File(Content::EMPTY),
        Kind::Directory => EntryKind::Directory,
        Kind::Symlink => EntryKind::Symlink(target),
        Kind::Fifo => EntryKind::Fifo,
        Kind::Socket => EntryKind::Socket,
        Kind::CharacterDevice => EntryKind::CharacterDevice { major, minor },
        Kind::BlockDevice => EntryKind::BlockDevice { major, minor },
    }
}

/// The `chattr` flags that somebody may have set on purpose and that a restore can set again: `sucSiadA`, no
/// compression, `jtDTCxPF` (numbers from `linux/fs.h`). The others tell how a file system stores the file.
const FLAGS: u32 = 0x0000_00ff // s u c S i a d A
    | 0x0000_0400 // m: no compression
    | 0x0000_4000 // j
    | 0x0000_8000 // t
    | 0x0001_0000 // D
    | 0x0002_0000 // T
    | 0x0080_0000 // C
    | 0x0200_0000 // x
    | 0x2000_0000 // P
    | 0x4000_0000; // F

fn flags(fd: BorrowedFd<'_>) -> u32 {
    rustix::fs::ioctl_getflags(fd).map_or(0, |flags| flags.bits() & FLAGS)
}
