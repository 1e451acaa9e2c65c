//! From stored attributes to what `stat` shows: nothing is changed, nothing invented that the source had.

use super::face::Face;
use super::layout::{Above, AboveKind};
use super::node::Node;
use crate::repo::entry::{Entry, EntryKind, Timestamp};
use fuser::{FileAttr, FileType, INodeNo};
use std::time::{Duration, SystemTime};

/// What folders say of their size, as most file systems do.
const FOLDER_SIZE: u64 = 4096;
/// The unit that programs are told to read in.
const BLOCK: u32 = 4096;

/// The attributes of an entry as `face` shows them; `stored` are the bytes of a regular file that are not holes.
pub fn of_entry(node: Node, entry: &Entry, stored: u64, face: Face) -> FileAttr {
    let size = match &entry.kind {
        EntryKind::File(_) => entry.size,
        EntryKind::Directory => FOLDER_SIZE,
        EntryKind::Symlink(target) => target.len() as u64,
        _ => 0,
    };
    let blocks = match &entry.kind {
        EntryKind::File(_) => blocks(stored),
        EntryKind::Directory => blocks(FOLDER_SIZE),
        _ => 0,
    };
    let links = entry.links.as_ref().map_or(1, |group| group.links.max(1));
    let modified = system_time(entry.modified);
    let stored = FileAttr {
        ino: node.ino(),
        size,
        blocks,
        atime: entry.accessed.map_or(modified, system_time),
        mtime: modified,
        ctime: system_time(entry.changed),
        crtime: SystemTime::UNIX_EPOCH,
        kind: kind(&entry.kind),
        perm: (entry.mode & 0o7777) as u16,
        nlink: if entry.kind == EntryKind::Directory { links.max(2) } else { links },
        uid: entry.uid,
        gid: entry.gid,
        rdev: device(&entry.kind),
        blksize: BLOCK,
        flags: 0,
    };
    face.of(stored)
}

/// The attributes of a folder of the time axis.
pub fn of_axis(node: Node, time: Timestamp, mode: u32, (uid, gid): (u32, u32)) -> FileAttr {
    let (time, perm) = (system_time(time), (mode & 0o777) as u16);
    FileAttr { size: FOLDER_SIZE, atime: time, mtime: time, ctime: time, perm, uid, gid, ..none(node.ino()) }
}

/// The attributes of a folder of the time axis that is in no snapshot.
pub fn of_axis_top(node: Node, time: Timestamp, Keeper { uid, gid, mode }: Keeper) -> FileAttr {
    of_axis(node, time, mode.into(), (uid, gid))
}

/// Attributes that nobody looks at: of `.` and `..` in listings, and with node 0 of a name that does not exist.
pub fn none(ino: INodeNo) -> FileAttr {
    let time = SystemTime::UNIX_EPOCH;
    FileAttr {
        ino,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: FileType::Directory,
        perm: 0,
        nlink: 2,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

/// Whose the folders above the snapshots are.
#[derive(Debug, Clone, Copy)]
pub struct Keeper {
    /// The user …
    pub uid: u32,
    /// … and group: of whoever serves.
    pub gid: u32,
    /// Their mode.
    pub mode: u16,
}

/// The attributes of what stands above the snapshots.
pub fn of_above(node: Node, above: &Above, keeper: Keeper) -> FileAttr {
    let Keeper { uid, gid, mode } = keeper;
    let (kind, perm, size, nlink) = match &above.kind {
        AboveKind::Folder(_) => (FileType::Directory, mode, FOLDER_SIZE, 2),
        AboveKind::Link(target) => (FileType::Symlink, 0o777, target.len() as u64, 1),
    };
    let time = system_time(above.time);
    FileAttr { size, atime: time, mtime: time, ctime: time, kind, perm, nlink, uid, gid, ..none(node.ino()) }
}

/// What `readdir` says of an entry.
pub const fn kind(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::File(_) => FileType::RegularFile,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink(_) => FileType::Symlink,
        EntryKind::Fifo => FileType::NamedPipe,
        EntryKind::Socket => FileType::Socket,
        EntryKind::CharacterDevice { .. } => FileType::CharDevice,
        EntryKind::BlockDevice { .. } => FileType::BlockDevice,
    }
}

/// Units of 512 bytes, in whole pages, as file systems count.
const fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK as u64) * (BLOCK as u64 / 512)
}

/// The kernel's 32-bit form: 12 bits of the major number between 8 and 12 of the minor (`new_encode_dev`).
const fn device(kind: &EntryKind) -> u32 {
    match kind {
        EntryKind::CharacterDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            (*minor & 0xff) | ((*major & 0xfff) << 8) | ((*minor & 0xfff00) << 12)
        }
        _ => 0,
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    // Every 64-bit number of seconds is a time on Linux; anything else would be shown as 1970.
    whole
        .and_then(|whole| whole.checked_add(Duration::from_nanos(u64::from(time.nanoseconds))))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_count_forward() {
        let time = system_time(Timestamp { seconds: -2, nanoseconds: 800_000_000 });
        assert_eq!(SystemTime::UNIX_EPOCH.duration_since(time).unwrap(), Duration::from_millis(1200));
        for seconds in [i64::MIN, i64::MAX] {
            assert_ne!(system_time(Timestamp { seconds, nanoseconds: 999_999_999 }), SystemTime::UNIX_EPOCH);
        }
    }

    #[test]
    fn device_numbers_are_the_kernels() {
        for (major, minor) in [(8, 1), (259, 300), (4095, (1 << 20) - 1)] {
            let encoded = device(&EntryKind::BlockDevice { major, minor });
            let decoded = ((encoded & 0xfff00) >> 8, (encoded & 0xff) | ((encoded >> 12) & 0xfff00));
            assert_eq!(decoded, (major, minor));
        }
    }

    #[test]
    fn blocks_are_whole_pages() {
        assert_eq!((blocks(0), blocks(1), blocks(4096), blocks(4097)), (0, 8, 8, 16));
    }
}
