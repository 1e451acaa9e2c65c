//! What a program is told that tries to change something: the same as on any other file system that is mounted read-only.

use super::{SNAPSHOT, WHEN};
use crate::mount::testing::{Mounted, Repository};
use crate::repo::catalog::testing::entry;
use crate::repo::entry::{Entry, EntryKind};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

type Attempt = fn(&Path) -> rustix::io::Result<()>;

fn open(path: &Path, flags: OFlags) -> rustix::io::Result<()> {
    rustix::fs::openat(CWD, path, flags, Mode::RWXU).map(drop)
}

fn rename(at: &Path, from: &str, to: &str) -> rustix::io::Result<()> {
    rustix::fs::renameat(CWD, at.join(from), CWD, at.join(to))
}

/// What is tried in a folder with a file `f`, an empty folder `d` and a link `l` to the file.
const ATTEMPTS: [(&str, Attempt); 30] = [
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
    // Where this may mount, a file system in memory says what to expect.
    let plain = tempfile::tempdir().unwrap();
    let at = plain.path().to_str().unwrap();
    if !rustix::process::geteuid().is_root() || !run("mount", &["-t", "tmpfs", "boveda-test", at]) {
        return;
    }
    std::fs::write(plain.path().join("f"), "text").unwrap();
    std::fs::create_dir(plain.path().join("d")).unwrap();
    std::os::unix::fs::symlink("f", plain.path().join("l")).unwrap();
    let theirs = run("mount", &["-o", "remount,ro", at]).then(|| outcomes(plain.path()));
    assert!(run("umount", &[at]));
    assert_eq!(ours, theirs.expect("it can be made read-only"));
}
