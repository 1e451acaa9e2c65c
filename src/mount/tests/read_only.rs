//! What a program is told that tries to change something: the same as on any other file system that is mounted read-only.

use super::{SNAPSHOT, WHEN};
use crate::mount::testing::{Mounted, Repository};
use crate::repo::catalog::testing::entry;
use crate::repo::entry::{Entry, EntryKind};
use rustix::fs::{
    Access, AtFlags, CWD, FallocateFlags, FileType, FlockOperation, IFlags, Mode, OFlags, RenameFlags, SeekFrom,
    Timespec, Timestamps, XattrFlags,
};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

type Attempt = fn(&Path) -> rustix::io::Result<()>;

fn open(path: &Path, flags: OFlags) -> rustix::io::Result<()> {
    rustix::fs::openat(CWD, path, flags, Mode::RWXU).map(drop)
}

fn file(at: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(at.join("f"), OFlags::RDONLY, Mode::empty())
}

fn renamed(at: &Path, flags: RenameFlags, to: &str) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, at.join("f"), CWD, at.join(to), flags)
}

fn rename(at: &Path, from: &str, to: &str) -> rustix::io::Result<()> {
    rustix::fs::renameat(CWD, at.join(from), CWD, at.join(to))
}

/// What is tried in a folder with a file `f`, an empty folder `d` and a link `l` to the file.
const ATTEMPTS: &[(&str, Attempt)] = &[
    ("create", |at| open(&at.join("new"), OFlags::CREATE | OFlags::WRONLY)),
    ("create what is there, to read", |at| open(&at.join("f"), OFlags::CREATE | OFlags::RDONLY)),
    ("create what is there, alone", |at| open(&at.join("f"), OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)),
    ("create below nothing", |at| open(&at.join("no/new"), OFlags::CREATE | OFlags::WRONLY)),
    ("create below a file", |at| open(&at.join("f/new"), OFlags::CREATE | OFlags::WRONLY)),
    ("write", |at| open(&at.join("f"), OFlags::WRONLY)),
    ("write through a link", |at| open(&at.join("l"), OFlags::RDWR)),
    ("write a folder", |at| open(&at.join("d"), OFlags::WRONLY)),
    ("empty", |at| open(&at.join("f"), OFlags::RDONLY | OFlags::TRUNC)),
    ("read", |at| open(&at.join("f"), OFlags::RDONLY)),
    ("read what is not there", |at| open(&at.join("no"), OFlags::RDONLY)),
    ("a file as a folder", |at| open(&at.join("f"), OFlags::RDONLY | OFlags::DIRECTORY)),
    ("an unnamed file", |at| open(&at.join("d"), OFlags::TMPFILE | OFlags::WRONLY)),
    ("make a folder", |at| rustix::fs::mkdirat(CWD, at.join("new"), Mode::RWXU)),
    ("make a folder that is there", |at| rustix::fs::mkdirat(CWD, at.join("d"), Mode::RWXU)),
    ("make a pipe", |at| rustix::fs::mkfifoat(CWD, at.join("new"), Mode::RWXU)),
    ("make a link", |at| rustix::fs::symlinkat("f", CWD, at.join("new"))),
    ("another name", |at| rustix::fs::linkat(CWD, at.join("f"), CWD, at.join("new"), AtFlags::empty())),
    ("remove", |at| rustix::fs::unlinkat(CWD, at.join("f"), AtFlags::empty())),
    ("remove what is not there", |at| rustix::fs::unlinkat(CWD, at.join("no"), AtFlags::empty())),
    ("remove a folder", |at| rustix::fs::unlinkat(CWD, at.join("d"), AtFlags::REMOVEDIR)),
    ("remove a folder as a file", |at| rustix::fs::unlinkat(CWD, at.join("d"), AtFlags::empty())),
    ("rename", |at| rename(at, "f", "new")),
    ("rename over", |at| rename(at, "f", "l")),
    ("rename what is not there", |at| rename(at, "no", "new")),
    ("mode", |at| rustix::fs::chmodat(CWD, at.join("f"), Mode::RWXU, AtFlags::empty())),
    ("owner", |at| rustix::fs::chownat(CWD, at.join("f"), None, None, AtFlags::empty())),
    ("time", |at| {
        let now = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(CWD, at.join("f"), &times, AtFlags::empty())
    }),
    ("time of now, to the owner", |at| {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(CWD, at.join("d"), &times, AtFlags::empty())
    }),
    ("no time at all", |at| {
        let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let times = Timestamps { last_access: omit, last_modification: omit };
        rustix::fs::utimensat(CWD, at.join("f"), &times, AtFlags::empty())
    }),
    ("the link's own time", |at| {
        let now = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(CWD, at.join("l"), &times, AtFlags::SYMLINK_NOFOLLOW)
    }),
    ("mode of what is not there", |at| rustix::fs::chmodat(CWD, at.join("no"), Mode::RWXU, AtFlags::empty())),
    ("shorten what is open to read", |at| rustix::fs::ftruncate(file(at)?, 0)),
    ("space for what is open to read", |at| rustix::fs::fallocate(file(at)?, FallocateFlags::empty(), 0, 100)),
    ("write what is open to read", |at| rustix::io::write(file(at)?, b"x").map(drop)),
    ("write a page of what is mapped to be shared", |at| {
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: it is refused; were it not, nobody would look at it.
        unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, flags.0, flags.1, file(at)?, 0) }.map(drop)
    }),
    ("make durable", |at| rustix::fs::fsync(file(at)?)),
    ("lock to read", |at| rustix::fs::flock(file(at)?, FlockOperation::NonBlockingLockShared)),
    ("lock to write", |at| rustix::fs::flock(file(at)?, FlockOperation::NonBlockingLockExclusive)),
    ("copy within", |at| rustix::fs::copy_file_range(file(at)?, None, file(at)?, None, 1).map(drop)),
    ("share blocks", |at| rustix::fs::ioctl_ficlone(file(at)?, file(at)?)),
    ("ask whether it may be read", |at| rustix::fs::access(at.join("f"), Access::READ_OK)),
    ("ask whether it may be written", |at| rustix::fs::access(at.join("f"), Access::WRITE_OK)),
    ("ask whether the folder may be written", |at| rustix::fs::access(at.join("d"), Access::WRITE_OK)),
    ("rename to the other's name", |at| renamed(at, RenameFlags::EXCHANGE, "l")),
    ("rename, unless it is there", |at| renamed(at, RenameFlags::NOREPLACE, "l")),
    ("rename, leaving nothing", |at| renamed(at, RenameFlags::WHITEOUT, "new")),
    ("rename into itself", |at| rename(at, "d", "d/new")),
    ("another name that is there", |at| rustix::fs::linkat(CWD, at.join("f"), CWD, at.join("l"), AtFlags::empty())),
    ("make a device", |at| rustix::fs::mknodat(CWD, at.join("new"), FileType::CharacterDevice, Mode::RWXU, 0)),
    ("remove a file as a folder", |at| rustix::fs::unlinkat(CWD, at.join("f"), AtFlags::REMOVEDIR)),
    ("a link that may not be followed", |at| open(&at.join("l"), OFlags::RDONLY | OFlags::NOFOLLOW)),
    ("what a file links to", |at| rustix::fs::readlink(at.join("f"), Vec::new()).map(drop)),
    ("read a folder as a file", |at| {
        let folder = rustix::fs::open(at.join("d"), OFlags::RDONLY, Mode::empty())?;
        rustix::io::read(folder, &mut [0; 8]).map(drop)
    }),
    ("list a file", |at| {
        rustix::fs::Dir::read_from(file(at)?).and_then(|mut dir| dir.next().map_or(Ok(()), |e| e.map(drop)))
    }),
    ("behind the end", |at| rustix::fs::seek(file(at)?, SeekFrom::Data(1000)).map(drop)),
    ("before the start", |at| rustix::fs::seek(file(at)?, SeekFrom::Current(-1)).map(drop)),
    ("an attribute that is not there", |at| rustix::fs::getxattr(at.join("f"), "user.no", &mut [0; 8]).map(drop)),
    ("an attribute of no name space", |at| rustix::fs::getxattr(at.join("f"), "no", &mut [0; 8]).map(drop)),
    ("set flags", |at| rustix::fs::ioctl_setflags(file(at)?, IFlags::NODUMP)),
    ("too long a name", |at| rustix::fs::stat(at.join("n".repeat(256))).map(drop)),
    ("set an attribute", |at| rustix::fs::setxattr(at.join("f"), "user.x", b"y", XattrFlags::empty())),
    ("remove an attribute", |at| rustix::fs::removexattr(at.join("f"), "user.x")),
];

fn outcomes(at: &Path) -> Vec<(&'static str, Option<Errno>)> {
    ATTEMPTS.iter().map(|(what, attempt)| (*what, attempt(at).err())).collect()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
fn changing_anything_fails_as_it_does_elsewhere() {
    let repository = Arc::new(Repository::default());
    let folder = Entry { mode: 0o755, ..entry(EntryKind::Directory) };
    let link = entry(EntryKind::Symlink(b"f".to_vec()));
    let entries = vec![("/t/f", repository.chunks.text(b"text")), ("/t/d", folder), ("/t/l", link)];
    repository.snapshot(WHEN, "web", entries);
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let ours = outcomes(&mounted.at(SNAPSHOT).join("t"));
    let refused = ours.iter().filter(|(_, errno)| *errno == Some(Errno::ROFS)).count();
    assert!(refused > 15, "{ours:?}");
    // Where this may mount, ext4 says what to expect; where it has no image of a disk, a file system in memory.
    let plain = tempfile::tempdir().unwrap();
    let at = plain.path().to_str().unwrap();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(8 << 20).unwrap();
    let disk = image.path().to_str().unwrap();
    let is_disk = run("mkfs.ext4", &["-q", disk]) && run("mount", &["-o", "loop", disk, at]);
    if !is_disk && !run("mount", &["-t", "tmpfs", "boveda-test", at]) {
        return;
    }
    std::fs::write(plain.path().join("f"), "text").unwrap();
    std::fs::create_dir(plain.path().join("d")).unwrap();
    std::os::unix::fs::symlink("f", plain.path().join("l")).unwrap();
    let theirs = run("mount", &["-o", "remount,ro", at]).then(|| outcomes(plain.path()));
    assert!(run("umount", &[at]));
    let theirs = theirs.expect("it can be made read-only");
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty(), "ours, theirs: {differ:?}");
}
