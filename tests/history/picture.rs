//! A picture of a real tree: everything that a restore promises to bring back, taken with system calls of its own.
//!
//! It shares no code with the walk that snapshots use, so that what that one overlooks, this one sees.

use boveda::source::files::content::SMALLEST_HOLE;
use rustix::fs::{AtFlags, FileType, SeekFrom, StatxFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    pub kind: FileType,
    pub mode: u32,
    pub owner: (u32, u32),
    pub modified: (i64, u32),
    pub rdev: (u32, u32),
    pub size: u64,
    /// BLAKE3 of a regular file's bytes, or a symbolic link's target.
    pub content: Vec<u8>,
    /// Where a regular file has holes of a size to keep.
    pub holes: Vec<(u64, u64)>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first name of the inode, where it has several.
    pub group: Option<Vec<u8>>,
}

/// Every entry by its path below the root; the root is the empty one.
pub type Picture = BTreeMap<Vec<u8>, Shot>;

/// Takes the picture of everything at and below `root`.
pub fn take(root: &Path) -> Picture {
    let mut found = BTreeMap::new();
    visit(root, Vec::new(), &mut found);
    let mut names: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
    for (name, (inode, shot)) in &found {
        if shot.kind != FileType::Directory {
            names.entry(*inode).or_default().push(name.clone());
        }
    }
    let group = |inode| names.get(&inode).filter(|names| names.len() > 1).map(|names| names[0].clone());
    found.into_iter().map(|(name, (inode, shot))| (name, Shot { group: group(inode), ..shot })).collect()
}

/// Insists that two pictures are equal; names the first difference.
#[track_caller]
pub fn compare(found: &Picture, expected: &Picture) {
    let names = |picture: &Picture| picture.keys().map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for ((name, found), expected) in found.iter().zip(expected.values()) {
        assert_eq!(found, expected, "{}", name.escape_ascii());
    }
}

fn visit(path: &Path, name: Vec<u8>, found: &mut BTreeMap<Vec<u8>, ((u64, u64), Shot)>) {
    let (inode, shot) = shoot(path);
    if shot.kind == FileType::Directory {
        for child in std::fs::read_dir(path).unwrap() {
            let child = child.unwrap().file_name();
            let below = if name.is_empty() { Vec::new() } else { [&name[..], b"/"].concat() };
            visit(&path.join(&child), [below, child.into_vec()].concat(), found);
        }
    }
    found.insert(name, (inode, shot));
}

fn shoot(path: &Path) -> ((u64, u64), Shot) {
    let stat = rustix::fs::statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS).unwrap();
    let kind = FileType::from_raw_mode(stat.stx_mode.into());
    let (content, holes) = match kind {
        FileType::RegularFile => read(path),
        FileType::Symlink => (std::fs::read_link(path).unwrap().into_os_string().into_vec(), vec![]),
        _ => (vec![], vec![]),
    };
    let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    let shot = Shot {
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        owner: (stat.stx_uid, stat.stx_gid),
        modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
        // A directory's size is how its file system lays it out.
        size: if kind == FileType::Directory { 0 } else { stat.stx_size },
        content,
        holes,
        xattrs: xattrs(path),
        group: None,
    };
    ((device, stat.stx_ino), shot)
}

fn read(path: &Path) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut file = File::open(path).unwrap();
    let length = file.metadata().unwrap().size();
    let (mut holes, mut at) = (Vec::new(), 0);
    while at < length {
        let hole = rustix::fs::seek(&file, SeekFrom::Hole(at)).unwrap();
        if hole >= length {
            break;
        }
        at = match rustix::fs::seek(&file, SeekFrom::Data(hole)) {
            Ok(data) => data,
            Err(Errno::NXIO) => length,
            Err(error) => panic!("{error}"),
        };
        // Smaller ones come back as the zeros that they stand for.
        if at - hole >= SMALLEST_HOLE {
            holes.push((hole, at));
        }
    }
    rustix::fs::seek(&file, SeekFrom::Start(0)).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    (blake3::hash(&bytes).as_bytes().to_vec(), holes)
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let value = |name: &[u8]| {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        value.truncate(length);
        (name.to_vec(), value)
    };
    names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(value).collect()
}
