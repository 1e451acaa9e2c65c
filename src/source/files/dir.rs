//! An open directory, and how everything below it is opened.
//!
//! Every open here is by one name relative to a handle, does not follow a symlink, does not wait for a FIFO's other end
//! and leaves the access time alone where the system allows that.

use crate::repo::entry::{EntryName, EntryPath};
use crate::source::{Cause, Problem};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::sync::{Arc, OnceLock};

/// An open directory. Costs a file descriptor while it lives: hold few.
#[derive(Debug)]
pub struct DirHandle {
    fd: OwnedFd,
    path: Arc<EntryPath>,
}

impl DirHandle {
    /// The root directory.
    ///
    /// # Errors
    /// What the system said.
    pub fn root() -> Result<Self, Problem> {
        let path = Arc::new(EntryPath::default());
        let fd = open_directory(CWD, b"/", 0, true).map_err(|e| Problem::new(b"/".to_vec(), "opening", e))?;
        Ok(Self { fd, path })
    }

    /// Opens the subdirectory `name`, whose owner is `uid`.
    pub(super) fn open(&self, name: &EntryName, uid: u32, way: Way) -> Result<Self, Cause> {
        Ok(Self { fd: self.open_fd(name, uid, way)?, path: Arc::new(self.path.join(name.clone())) })
    }

    /// As `open`, for a handle whose path is known, or of no interest.
    pub(super) fn step(&self, name: &EntryName, way: Way, path: Arc<EntryPath>) -> Result<Self, Cause> {
        Ok(Self { fd: self.open_fd(name, effective_uid(), way)?, path })
    }

    pub(super) fn open_fd(&self, name: &EntryName, uid: u32, way: Way) -> Result<OwnedFd, Errno> {
        match open_directory(&self.fd, name.as_bytes(), uid, way.follow) {
            Err(Errno::ACCESS) if way.search => {
                let mut flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                flags.set(OFlags::NOFOLLOW, !way.follow);
                rustix::fs::openat(&self.fd, name.as_bytes(), flags, Mode::empty())
            }
            other => other,
        }
    }

    /// Where it was when it was opened.
    pub fn path(&self) -> &EntryPath {
        &self.path
    }

    pub(super) fn shared_path(&self) -> Arc<EntryPath> {
        Arc::clone(&self.path)
    }

    /// The absolute path of an entry in it, for messages.
    pub fn path_of(&self, name: &EntryName) -> Vec<u8> {
        let mut path = self.path.to_bytes();
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        path
    }

    /// A problem with an entry in it.
    pub fn problem(&self, name: &EntryName, during: &'static str, cause: impl Into<Cause>) -> Problem {
        Problem::new(self.path_of(name), during, cause)
    }

    /// A short path to an entry, or to the directory itself, for the calls that know no handles.
    pub(super) fn proc_path(&self, name: Option<&EntryName>) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.map_or(b".", EntryName::as_bytes));
        path
    }
}

impl AsFd for DirHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How a directory on the way to something else is opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// Follow a symlink.
    pub follow: bool,
    /// A handle that can only be searched will do.
    pub search: bool,
}

fn open_directory(dir: impl AsFd, name: &[u8], uid: u32, follow: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OFlags::RDONLY | OFlags::DIRECTORY;
    flags.set(OFlags::NOFOLLOW, !follow);
    open_quietly(dir, name, uid, flags)
}

/// Opens the regular file `name`, whose owner is `uid`, for reading. Whether it is one is for the caller to check.
pub(super) fn open_file(dir: impl AsFd, name: &[u8], uid: u32) -> Result<OwnedFd, Errno> {
    match open_quietly(&dir, name, uid, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK) {
        Err(Errno::AGAIN) => wait_for_lease(dir, name),
        other => other,
    }
}

/// Somebody holds a lease on the file (Samba does): opening without waiting is refused. The file is pinned first, so that
/// what is waited for is a regular file for sure and not a FIFO that took its name.
fn wait_for_lease(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let mode = rustix::fs::fstat(&pinned)?.st_mode;
    if !rustix::fs::FileType::from_raw_mode(mode).is_file() {
        return Err(Errno::AGAIN);
    }
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens without touching the access time if we are the owner or root: for others the kernel refuses the flag.
fn open_quietly(dir: impl AsFd, name: &[u8], uid: u32, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    let me = effective_uid();
    if me == 0 || me == uid {
        match rustix::fs::openat(&dir, name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => {}
            other => return other,
        }
    }
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn effective_uid() -> u32 {
    static UID: OnceLock<u32> = OnceLock::new();
    *UID.get_or_init(|| rustix::process::geteuid().as_raw())
}
