//! A regular file's bytes and holes, read once from front to back, and whether the file stayed as it was meanwhile.
//!
//! Never more than the size that the file had when it was opened is read, so that a log that grows gives what it was at
//! that moment. Only a size of 0 is not believed, as virtual file systems claim it of files that have content.

use super::attributes::{Described, Subject, describe};
use super::behind::Behind;
use super::dir::{DirHandle, open_file};
use super::owners::Owners;
use super::stat::{Kind, Stat};
use super::walk::Child;
use crate::repo::entry::{EntryName, Timestamp};
use crate::source::{Cause, Problem};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Advice, SeekFrom};
use rustix::io::Errno;

/// Holes below this are read as the zeros that they stand for: each hole that is kept cuts a chunk.
pub const SMALLEST_HOLE: u64 = 32 * 1024;

/// From this size on the kernel is told that the file is read from front to back.
const BIG: u64 = 1024 * 1024;

/// What [`SourceFile::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes were put at the front of the buffer; at least one.
    Data(usize),
    /// So many bytes follow that were never written; nothing was put into the buffer.
    Hole(u64),
    /// That was all.
    End,
}

/// What became of a file while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: what was read is what the file held, all at one moment.
    Same,
    /// Content or attributes changed, or more or less was read than there should be.
    Changed,
    /// It lost its last name; what was read is what it held.
    Vanished,
}

/// A regular file that is open for reading.
#[derive(Debug)]
pub struct SourceFile<'a> {
    dir: &'a DirHandle,
    name: &'a EntryName,
    fd: OwnedFd,
    opened: Timestamp,
    stat: Stat,
    position: u64,
    /// Up to where data is known to reach; `None` when the file is not sparse.
    data_end: Option<u64>,
    /// Of a large file: what leaves the page cache again.
    behind: Option<Behind>,
}

impl<'a> SourceFile<'a> {
    /// Opens what `child` names in `dir` now. It may be another regular file than the one that was listed (programs
    /// replace files by renaming): [`stat`](Self::stat) is of what was opened, so that attributes and content are
    /// always of the same file.
    ///
    /// # Errors
    /// When it cannot be opened, or no longer is a regular file.
    pub fn open(dir: &'a DirHandle, child: &'a Child) -> Result<Self, Problem> {
        let name = &child.name;
        let fail = |cause: Cause| dir.problem(name, "opening the file", cause);
        let fd = open_file(dir, name.as_bytes(), child.stat.uid).map_err(|error| match error {
            // A symlink, or a socket or device without anyone behind it.
            Errno::LOOP | Errno::NXIO | Errno::NODEV => fail(Cause::Replaced),
            other => fail(Cause::System(other)),
        })?;
        let opened = super::stat::now();
        let stat = Stat::at(&fd, b"", false).map_err(fail)?;
        if stat.kind != Kind::File {
            return Err(fail(Cause::Replaced));
        }
        if stat.size >= BIG {
            // Advice only: a file system that does not take it reads all the same.
            let _ = rustix::fs::fadvise(&fd, 0, None, Advice::Sequential);
        }
        let sparse = stat.blocks.saturating_mul(512) < stat.size;
        let (data_end, behind) = (sparse.then_some(0), Behind::of(stat.size));
        Ok(Self { dir, name, fd, opened, stat, position: 0, data_end, behind })
    }

    /// Its attributes when it was opened.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Whether its stamp may be remembered for change detection: any later change is sure to give another. See
    /// [`Stamp::settled`](super::stat::Stamp::settled).
    pub fn settled(&self) -> bool {
        self.stat.stamp().settled(self.opened)
    }

    /// The bytes that [`read`](Self::read) gave so far, holes included: at the end, the size of what was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The entry of the open file. Its size is that of [`stat`](Self::stat); after reading, set it to
    /// [`position`](Self::position).
    pub fn describe(&self, owners: &Owners) -> Described {
        let subject = Subject { dir: self.dir, name: Some(self.name), stat: &self.stat };
        describe(subject, Vec::new(), Some(self.fd.as_fd()), owners)
    }

    /// Reads on. The buffer is filled unless a hole or the end comes first.
    ///
    /// # Errors
    /// What the system said; reading again tries again at the same place.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Read, Problem> {
        self.read_on(buffer).map_err(|error| self.dir.problem(self.name, "reading the file", error))
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> Result<Read, Errno> {
        if let Some(behind) = &mut self.behind {
            behind.advance(&self.fd, self.position);
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let limit = match self.data_end {
                _ if self.stat.size > 0 && self.position >= self.stat.size => break,
                None if self.stat.size == 0 => u64::MAX,
                None => self.stat.size,
                Some(end) if self.position < end => end,
                Some(_) => match self.find_data()? {
                    0 => continue,
                    hole if filled == 0 => return Ok(self.skip(hole)),
                    _ => break,
                },
            };
            let room = usize::try_from(limit - self.position).unwrap_or(usize::MAX).min(buffer.len() - filled);
            match rustix::io::pread(&self.fd, &mut buffer[filled..filled + room], self.position) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.position += count as u64;
                }
                Err(Errno::INTR) => {}
                // What was read before stays read; the error comes back with the next call.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(if filled == 0 { Read::End } else { Read::Data(filled) })
    }

    fn skip(&mut self, hole: u64) -> Read {
        self.position += hole;
        Read::Hole(hole)
    }

    /// The length of the hole at the position, 0 if there is data or too small a hole to count. Notes how far the data
    /// goes that starts here or after that.
    fn find_data(&mut self) -> Result<u64, Errno> {
        let size = self.stat.size;
        let start = match rustix::fs::seek(&self.fd, SeekFrom::Data(self.position)) {
            Ok(start) => start.min(size),
            Err(Errno::NXIO) => size,
            // A file system that does not know holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.data_end = Some(size);
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        let hole = start.saturating_sub(self.position);
        if hole >= SMALLEST_HOLE {
            return Ok(hole);
        }
        let end = match rustix::fs::seek(&self.fd, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error),
        };
        self.data_end = Some(end);
        Ok(0)
    }

    /// Whether the file is what it was when it was opened. Ask after the last byte was read, before the result counts.
    ///
    /// # Errors
    /// What the system said.
    pub fn check_unchanged(&self) -> Result<Change, Problem> {
        let now = Stat::at(&self.fd, b"", false)
            .map_err(|cause| self.dir.problem(self.name, "checking for changes", cause))?;
        let same_content = now.size == self.stat.size && now.modified == self.stat.modified;
        Ok(if !same_content || self.position != now.size {
            Change::Changed
        } else if now.nlink == 0 {
            Change::Vanished
        } else if now.changed != self.stat.changed {
            Change::Changed
        } else {
            Change::Same
        })
    }
}
