//! The few ways in which a restore touches names in the target: always one name, relative to an open directory.
//!
//! An `EntryName` holds neither `/` nor `..`, and every call here refuses to follow a symbolic link at that name, so
//! whatever names say and whoever races, the effect stays in the directory whose handle was given (this is what
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` of openat2 gives, on every kernel). It decides nothing about content.

use super::flags::release;
use crate::repo::entry::EntryName;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where somebody keeps putting things in the way, give up after so many rounds.
const ROUNDS: usize = 16;

/// What a new file may be read by before its own mode is applied: its owner alone.
pub(super) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Device and inode number: which inode an open handle or a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// The attributes of what stands at `name`, itself and not what it points to.
pub(super) fn stat(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<Stat> {
    Ok(rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The type of what `stat` describes.
pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// A new regular file, open for reading and writing; whatever stood there is removed.
pub(super) fn create_file(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    replacing(dir, name, || try_create(dir, name))
}

/// A new regular file, open for reading and writing, where nothing may stand yet.
pub(super) fn create_new_file(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    Ok(try_create(dir, name)?)
}

fn try_create(dir: BorrowedFd<'_>, name: &EntryName) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name.as_bytes(), flags, PRIVATE)
}

/// An existing regular file, for reading and writing. Never blocks on a pipe that took its place.
pub(super) fn open_file(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name.as_bytes(), flags, Mode::empty())?)
}

/// An existing regular file or directory, for reading. Never blocks on a pipe that took its place.
pub(super) fn open_to_read(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name.as_bytes(), flags, Mode::empty())?)
}

/// A handle on whatever stands at `name`, a symbolic link too, that reads and writes nothing.
pub(super) fn open_node(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name.as_bytes(), flags, Mode::empty())?)
}

/// An existing directory.
pub(super) fn open_directory(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name.as_bytes(), flags, Mode::empty())?)
}

/// Makes sure that `name` is a directory: one that is there stays, anything else, symbolic links first of all, is
/// removed. Returns whether it is new.
pub(super) fn make_directory(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<bool> {
    match rustix::fs::mkdirat(dir, name.as_bytes(), Mode::RWXU) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) if file_type(&stat(dir, name)?) == FileType::Directory => return Ok(false),
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    replacing(dir, name, || rustix::fs::mkdirat(dir, name.as_bytes(), Mode::RWXU)).map(|()| true)
}

/// Runs `create`, which must fail with EEXIST rather than touch what is there, removing what stands at `name` first.
pub(super) fn replacing<T>(
    dir: BorrowedFd<'_>,
    name: &EntryName,
    mut create: impl FnMut() -> rustix::io::Result<T>,
) -> io::Result<T> {
    for _ in 0..ROUNDS {
        match create() {
            Ok(made) => return Ok(made),
            Err(Errno::EXIST) => remove(dir, name)?,
            // The directory itself may be immutable or append-only from an earlier restore.
            Err(Errno::PERM) if release(dir) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("something else keeps creating this name"))
}

/// Removes what stands at `name`: anything but a directory that holds something.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<()> {
    match unlink(dir, name) {
        Err(Errno::PERM) => {
            let freed = release(dir) | release_name(dir, name);
            if freed { unlink(dir, name)? } else { Err(Errno::PERM)? }
        }
        Err(Errno::NOTEMPTY) => Err(io::Error::new(
            io::ErrorKind::DirectoryNotEmpty,
            "a directory that is not empty stands in its place; move it away and restore again",
        ))?,
        Err(Errno::NOENT) => {}
        other => other?,
    }
    Ok(())
}

fn unlink(dir: BorrowedFd<'_>, name: &EntryName) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::empty()) {
        // Linux says EISDIR; POSIX, and some of its file systems, EPERM.
        Err(Errno::ISDIR) => rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::REMOVEDIR),
        Err(Errno::PERM) if stat(dir, name).is_ok_and(|stat| file_type(&stat) == FileType::Directory) => {
            rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::REMOVEDIR)
        }
        other => other,
    }
}

/// As [`release`], for a regular file or directory that is not open yet.
pub(super) fn release_name(dir: BorrowedFd<'_>, name: &EntryName) -> bool {
    let known =
        stat(dir, name).is_ok_and(|stat| matches!(file_type(&stat), FileType::RegularFile | FileType::Directory));
    known && open_to_read(dir, name).is_ok_and(|handle| release(handle.as_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::IFlags;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::path::Path;

    fn name(text: &str) -> EntryName {
        EntryName::new(text.as_bytes()).unwrap()
    }

    fn open(path: &Path) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    #[test]
    fn links_are_replaced_and_never_followed() {
        let temp = tempfile::tempdir().unwrap();
        let (inside, outside) = (temp.path().join("in"), temp.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("file"), "kept").unwrap();
        symlink(&outside, inside.join("dir")).unwrap();
        symlink(outside.join("file"), inside.join("file")).unwrap();
        symlink(outside.join("new"), inside.join("dangling")).unwrap();
        let dir = open(&inside);

        assert!(open_directory(dir.as_fd(), &name("dir")).is_err());
        assert!(open_file(dir.as_fd(), &name("file")).is_err());
        assert!(make_directory(dir.as_fd(), &name("dir")).unwrap());
        create_file(dir.as_fd(), &name("file")).unwrap();
        create_file(dir.as_fd(), &name("dangling")).unwrap();

        assert!(inside.join("dir").symlink_metadata().unwrap().is_dir());
        let made = inside.join("file").symlink_metadata().unwrap();
        assert!(made.is_file() && made.permissions().mode() & 0o7777 == 0o600);
        assert_eq!(std::fs::read(outside.join("file")).unwrap(), b"kept");
        assert!(!outside.join("new").exists());
    }

    #[test]
    fn what_is_in_the_way_goes_but_full_directories_stay() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open(temp.path());
        std::fs::create_dir(temp.path().join("empty")).unwrap();
        std::fs::create_dir_all(temp.path().join("full/of")).unwrap();
        rustix::fs::mknodat(dir.as_fd(), "fifo", FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(temp.path().join("fifo").symlink_metadata().unwrap().file_type().is_fifo());

        for gone in ["empty", "fifo", "absent"] {
            create_file(dir.as_fd(), &name(gone)).unwrap();
            assert!(temp.path().join(gone).is_file());
        }
        let error = create_file(dir.as_fd(), &name("full")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
        assert!(temp.path().join("full/of").is_dir());
        assert!(!make_directory(dir.as_fd(), &name("full")).unwrap());
    }

    #[test]
    fn frozen_files_thaw() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open(temp.path());
        let file = create_file(dir.as_fd(), &name("frozen")).unwrap();
        if rustix::fs::ioctl_setflags(&file, IFlags::IMMUTABLE).is_err() {
            return eprintln!("skipped: cannot set the immutable flag here");
        }
        let new = create_file(dir.as_fd(), &name("frozen")).unwrap();
        assert!(rustix::fs::fstat(&new).unwrap().st_ino != rustix::fs::fstat(&file).unwrap().st_ino);
    }
}
