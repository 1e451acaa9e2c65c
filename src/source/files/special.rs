//! The bytes that a named pipe or a block device gives, read once from front to back.
//!
//! A pipe is waited for: without a writer yet, and between two of its writes. Waiting ends when the run is asked to stop.

use super::attributes::{Described, Subject, describe};
use super::dir::DirHandle;
use super::owners::Owners;
use super::stat::{Kind, Stat};
use super::walk::Child;
use crate::event::Sink;
use crate::source::ready::ready;
use crate::source::{Cause, Problem};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A special file that is open for reading.
#[derive(Debug)]
pub struct SpecialFile<'a> {
    dir: &'a DirHandle,
    child: &'a Child,
    fd: OwnedFd,
    stat: Stat,
    position: u64,
}

impl<'a> SpecialFile<'a> {
    /// Opens what `child` names in `dir` now, which must still be of the kind that was listed.
    ///
    /// # Errors
    /// When it cannot be opened, or something else took its place.
    pub fn open(dir: &'a DirHandle, child: &'a Child) -> Result<Self, Problem> {
        let fail = |cause: Cause| dir.problem(&child.name, "opening the special file", cause);
        let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        flags.set(OFlags::NOFOLLOW, !child.follow);
        let fd = rustix::fs::openat(dir, child.name.as_bytes(), flags, Mode::empty()).map_err(|e| fail(e.into()))?;
        let stat = Stat::at(&fd, b"", false).map_err(fail)?;
        if stat.kind != child.stat.kind {
            return Err(fail(Cause::Replaced));
        }
        Ok(Self { dir, child, fd, stat, position: 0 })
    }

    /// Its attributes when it was opened.
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The bytes that [`read`](Self::read) gave so far: at the end, the size of what was read.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The entry, as a regular file with the attributes of the special one.
    pub fn describe(&self, owners: &Owners) -> Described {
        let stat = Stat { kind: Kind::File, size: 0, ..self.stat };
        let subject = Subject { dir: self.dir, name: Some(&self.child.name), stat: &stat };
        describe(subject, Vec::new(), Some(self.fd.as_fd()), owners)
    }

    /// Reads on: the number of bytes put at the front of `buffer`, 0 at the end.
    ///
    /// # Errors
    /// What the system said; `EINTR` when `events` says to stop.
    pub fn read(&mut self, buffer: &mut [u8], events: &dyn Sink) -> Result<usize, Problem> {
        let during = "reading the special file";
        self.read_on(buffer, events).map_err(|error| self.dir.problem(&self.child.name, during, error))
    }

    fn read_on(&mut self, buffer: &mut [u8], events: &dyn Sink) -> Result<usize, Errno> {
        loop {
            // A pipe that nobody has opened for writing yet reads as if it had ended, so that poll has to be asked first.
            if self.stat.kind == Kind::Fifo {
                ready([self.fd.as_fd()], events)?;
            }
            match rustix::io::read(&self.fd, &mut *buffer) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
