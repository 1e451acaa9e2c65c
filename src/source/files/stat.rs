//! What one `statx` says about an entry, and the stamp that tells whether a file changed since the last snapshot.
//!
//! No I/O but the one system call.

use crate::repo::entry::{LinkGroup, Timestamp};
use crate::source::Cause;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp};

/// What an entry is, as far as its inode says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket's name.
    Socket,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// Whether it is no regular file and gives bytes to whoever reads it: a named pipe or a block device. Character devices
    /// do not count, as many of them never end.
    pub const fn is_special(self) -> bool {
        matches!(self, Self::Fifo | Self::BlockDevice)
    }
}

/// The attributes that every inode has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: 0o7777 at most.
    pub mode: u32,
    /// The file system's device number, as the C library composes it.
    pub dev: u64,
    /// Inode number within `dev`.
    pub ino: u64,
    /// Names that the inode has.
    pub nlink: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes that are allocated.
    pub blocks: u64,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Last access.
    pub accessed: Timestamp,
    /// Major and minor number of the device that a device node stands for.
    pub rdev: (u32, u32),
    /// The no-dump flag (`chattr +d`), where the file system tells.
    pub nodump: bool,
}

impl Stat {
    /// Asks for `name` in the directory `dir`; a symlink is not followed unless `follow`. An empty name asks for `dir`
    /// itself. Never triggers an automount.
    ///
    /// # Errors
    /// What the system said, or that the inode's type is unknown.
    pub fn at(dir: impl AsFd, name: &[u8], follow: bool) -> Result<Self, Cause> {
        let mut flags = AtFlags::NO_AUTOMOUNT;
        flags.set(AtFlags::SYMLINK_NOFOLLOW, !follow);
        flags.set(AtFlags::EMPTY_PATH, name.is_empty());
        Self::from_statx(&rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?)
    }

    fn from_statx(raw: &Statx) -> Result<Self, Cause> {
        let stat = Self {
            kind: kind(raw.stx_mode)?,
            mode: u32::from(raw.stx_mode) & 0o7777,
            dev: rustix::fs::makedev(raw.stx_dev_major, raw.stx_dev_minor),
            ino: raw.stx_ino,
            nlink: raw.stx_nlink,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            size: raw.stx_size,
            blocks: raw.stx_blocks,
            modified: timestamp(raw.stx_mtime),
            changed: timestamp(raw.stx_ctime),
            accessed: timestamp(raw.stx_atime),
            rdev: (raw.stx_rdev_major, raw.stx_rdev_minor),
            nodump: raw.stx_attributes.contains(StatxAttributes::NODUMP),
        };
        #[cfg(feature = "simulation")]
        let stat = if crate::system::simulated::is_on() { stat.without_accidents() } else { stat };
        Ok(stat)
    }

    /// Without what differs each time the same files are made, for a simulation: there no file has two names, and what a file is
    /// like is told by the stamp that its maker gave it.
    #[cfg(feature = "simulation")]
    fn without_accidents(self) -> Self {
        let own = self.kind == Kind::File;
        let (size, modified) = if own { (self.size, self.modified) } else { (0, Timestamp::default()) };
        let blocks = size.div_ceil(512);
        Self { dev: 1, ino: 1, nlink: 1, size, blocks, modified, changed: modified, accessed: modified, ..self }
    }

    /// Device and inode: what makes two names the same file.
    pub fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    /// The hard-link group, when the inode has more than one name; directories are in none.
    pub fn links(&self) -> Option<LinkGroup> {
        (self.nlink > 1 && self.kind != Kind::Directory).then_some(LinkGroup {
            device: self.dev,
            inode: self.ino,
            links: self.nlink,
        })
    }

    /// What change detection compares.
    pub fn stamp(&self) -> Stamp {
        Stamp { size: self.size, modified: self.modified, changed: self.changed, inode: self.ino }
    }
}

fn kind(mode: u16) -> Result<Kind, Cause> {
    Ok(match mode & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Symlink,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        0o020_000 => Kind::CharacterDevice,
        0o060_000 => Kind::BlockDevice,
        other => return Err(Cause::UnknownKind(other)),
    })
}

fn timestamp(raw: StatxTimestamp) -> Timestamp {
    Timestamp { seconds: raw.tv_sec, nanoseconds: raw.tv_nsec }
}

/// What is compared to tell whether a file may have changed. The device number is not part of it: it differs after a
/// reboot or another mount of the same file system, and the other four hardly agree by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Inode number.
    pub inode: u64,
}

/// Which parts of a stamp not to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StampOptions {
    /// For network file systems whose inode numbers do not last.
    pub ignore_inode: bool,
    /// For sources whose ctime moves without a change.
    pub ignore_ctime: bool,
}

impl Stamp {
    /// Whether a file with this stamp may be taken to be what it was when it had the stamp `before`.
    pub fn unchanged(&self, before: &Self, options: StampOptions) -> bool {
        self.size == before.size
            && self.modified == before.modified
            && (options.ignore_ctime || self.changed == before.changed)
            && (options.ignore_inode || self.inode == before.inode)
    }

    /// Whether every change after `now` (the system clock, read **before** the content was) is sure to give another
    /// stamp. A file that was changed within the clock's last tick can change again and keep its times; such a stamp
    /// must not be remembered, so that the next run reads the file again. Ticks are up to 10 ms, whole seconds on old
    /// file systems, two of them on FAT; a time in the future says nothing at all.
    pub fn settled(&self, now: Timestamp) -> bool {
        [self.modified, self.changed].iter().all(|time| {
            let tick_ms = if time.nanoseconds == 0 { 2_000 } else { 20 };
            millis(now) - millis(*time) > tick_ms
        })
    }
}

/// The system clock.
pub(super) fn now() -> Timestamp {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Timestamp { seconds: now.tv_sec, nanoseconds: u32::try_from(now.tv_nsec).unwrap_or(0) }
}

fn millis(time: Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000 + i128::from(time.nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp { seconds, nanoseconds }
    }

    const STAMP: Stamp = Stamp { size: 5, modified: at(1_000, 1), changed: at(1_000, 2), inode: 7 };

    #[test]
    fn every_part_of_a_stamp_counts_unless_it_is_ignored() {
        let strict = StampOptions::default();
        assert!(STAMP.unchanged(&STAMP, strict));
        assert!(!Stamp { size: 6, ..STAMP }.unchanged(&STAMP, strict));
        assert!(!Stamp { modified: at(1_000, 0), ..STAMP }.unchanged(&STAMP, strict));
        let (other_inode, other_ctime) = (Stamp { inode: 8, ..STAMP }, Stamp { changed: at(1_001, 2), ..STAMP });
        assert!(!other_inode.unchanged(&STAMP, StampOptions { ignore_ctime: true, ..strict }));
        assert!(other_inode.unchanged(&STAMP, StampOptions { ignore_inode: true, ..strict }));
        assert!(!other_ctime.unchanged(&STAMP, StampOptions { ignore_inode: true, ..strict }));
        assert!(other_ctime.unchanged(&STAMP, StampOptions { ignore_ctime: true, ..strict }));
    }

    #[test]
    fn a_stamp_of_this_very_moment_is_not_settled() {
        assert!(!STAMP.settled(at(1_000, 10_000_000)));
        assert!(STAMP.settled(at(1_000, 30_000_000)));
        let coarse = Stamp { modified: at(1_000, 0), ..STAMP };
        assert!(!coarse.settled(at(1_001, 900_000_000)));
        assert!(coarse.settled(at(1_003, 0)));
        let future = Stamp { changed: at(9_000, 1), ..STAMP };
        assert!(!future.settled(at(1_003, 0)));
    }
}
