//! Random trees and what may happen to them: a step is a few numbers, applied to whatever is there.
//!
//! A step that makes no sense where it lands (a link of a directory, a name that is taken) does nothing.

use crate::world::noise;
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

/// Something that happens to a tree. `at` and `to` choose among what is there; `seed` makes names and bytes.
#[derive(Debug, Clone)]
pub enum Step {
    File { at: usize, seed: u64, length: usize },
    Sparse { at: usize, seed: u64, pieces: Vec<(u32, u16)>, length: u32 },
    Directory { at: usize, seed: u64 },
    Symlink { at: usize, seed: u64 },
    Special { at: usize, seed: u64, kind: u8 },
    Link { at: usize, to: usize, seed: u64 },
    Edit { at: usize, seed: u64 },
    EditUnseen { at: usize, seed: u64 },
    Append { at: usize, seed: u64, length: usize },
    Truncate { at: usize, seed: u64 },
    Rename { at: usize, to: usize, seed: u64 },
    Delete { at: usize },
    Mode { at: usize, mode: u32 },
    Owner { at: usize, uid: u32, gid: u32 },
    Touch { at: usize, seconds: i64, nanoseconds: u32 },
    Xattr { at: usize, seed: u64, length: usize },
    NoXattrs { at: usize },
    Acl { at: usize, uid: u32 },
    Swap { at: usize, seed: u64 },
}

/// Any step; those that make something come more often than the others.
pub fn step() -> impl Strategy<Value = Step> {
    let at = || any::<usize>();
    let seed = || any::<u64>();
    let length = || prop_oneof![Just(0), 1..100_usize, 4_000..5_000_usize, 100_000..400_000_usize];
    let makes = prop_oneof![
        3 => (at(), seed(), length()).prop_map(|(at, seed, length)| Step::File { at, seed, length }),
        1 => (at(), seed(), prop::collection::vec((0..1_000_000_u32, 1..9_000_u16), 0..4), 0..2_000_000_u32)
            .prop_map(|(at, seed, pieces, length)| Step::Sparse { at, seed, pieces, length }),
        2 => (at(), seed()).prop_map(|(at, seed)| Step::Directory { at, seed }),
        1 => (at(), seed()).prop_map(|(at, seed)| Step::Symlink { at, seed }),
        1 => (at(), seed(), 0..4_u8).prop_map(|(at, seed, kind)| Step::Special { at, seed, kind }),
        1 => (at(), at(), seed()).prop_map(|(at, to, seed)| Step::Link { at, to, seed }),
    ];
    let edits = prop_oneof![
        2 => (at(), seed()).prop_map(|(at, seed)| Step::Edit { at, seed }),
        1 => (at(), seed()).prop_map(|(at, seed)| Step::EditUnseen { at, seed }),
        1 => (at(), seed(), 1..200_000_usize).prop_map(|(at, seed, length)| Step::Append { at, seed, length }),
        1 => (at(), seed()).prop_map(|(at, seed)| Step::Truncate { at, seed }),
        1 => (at(), at(), seed()).prop_map(|(at, to, seed)| Step::Rename { at, to, seed }),
        1 => at().prop_map(|at| Step::Delete { at }),
        1 => (at(), seed()).prop_map(|(at, seed)| Step::Swap { at, seed }),
    ];
    let seconds = prop_oneof![Just(-1), Just(0), Just(4_294_967_296), -2_000_000_000..8_000_000_000_i64];
    let attributes = prop_oneof![
        (at(), 0..0o10000_u32).prop_map(|(at, mode)| Step::Mode { at, mode }),
        (at(), 0..70_000_u32, 0..70_000_u32).prop_map(|(at, uid, gid)| Step::Owner { at, uid, gid }),
        (at(), seconds, 0..1_000_000_000_u32).prop_map(|(at, seconds, nanoseconds)| Step::Touch {
            at,
            seconds,
            nanoseconds
        }),
        (at(), seed(), prop_oneof![Just(0), 1..60_usize, 1_000..3_000_usize])
            .prop_map(|(at, seed, length)| Step::Xattr { at, seed, length }),
        at().prop_map(|at| Step::NoXattrs { at }),
        (at(), 0..70_000_u32).prop_map(|(at, uid)| Step::Acl { at, uid }),
    ];
    prop_oneof![4 => makes, 3 => edits, 3 => attributes]
}

/// What is below the root, in no order that matters but always the same.
struct Found {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    all: Vec<PathBuf>,
}

impl Found {
    fn below(root: &Path) -> Self {
        let mut found = Self { files: vec![], directories: vec![root.to_owned()], all: vec![root.to_owned()] };
        let mut next = 0;
        while next < found.directories.len() {
            let mut children: Vec<_> =
                fs::read_dir(&found.directories[next]).unwrap().map(|child| child.unwrap().path()).collect();
            children.sort();
            for child in children {
                let kind = child.symlink_metadata().unwrap().file_type();
                match (kind.is_dir(), kind.is_file()) {
                    (true, _) => found.directories.push(child.clone()),
                    (_, true) => found.files.push(child.clone()),
                    _ => {}
                }
                found.all.push(child);
            }
            next += 1;
        }
        found
    }
}

fn pick(from: &[PathBuf], at: usize) -> Option<&PathBuf> {
    (!from.is_empty()).then(|| &from[at % from.len()])
}

/// A name with any bytes: short ones that meet often, and nasty ones.
fn name(seed: u64) -> Vec<u8> {
    let nasty: [&[u8]; 12] = [
        b"a",
        b"b",
        b"a.b",
        b"a b",
        b"-rf",
        b"\n",
        b"\xff\xfe",
        b"..a",
        b"\\",
        b"\x01",
        "\u{e9}".as_bytes(),
        b"e\xcc\x81",
    ];
    match seed % 16 {
        15 => vec![b'x'; 255],
        n if (n as usize) < nasty.len() => nasty[n as usize].to_vec(),
        _ => noise(seed, 1 + seed as usize % 20)
            .into_iter()
            .map(|byte| if byte == 0 || byte == b'/' { b'_' } else { byte })
            .chain(*b"n")
            .collect(),
    }
}

fn fresh(found: &Found, at: usize, seed: u64) -> Option<PathBuf> {
    let path = pick(&found.directories, at)?.join(OsStr::from_bytes(&name(seed)));
    path.symlink_metadata().is_err().then_some(path)
}

impl Step {
    /// Lets it happen below `root`.
    pub fn apply(&self, root: &Path) {
        let found = Found::below(root);
        // A step without its place is no step.
        let _ = self.make(&found).or_else(|| self.edit(root, &found)).or_else(|| self.attributes(&found));
    }

    fn make(&self, found: &Found) -> Option<()> {
        match self {
            Self::File { at, seed, length } => fs::write(fresh(found, *at, *seed)?, noise(*seed, *length)).unwrap(),
            Self::Sparse { at, seed, pieces, length } => {
                let file = fs::File::create(fresh(found, *at, *seed)?).unwrap();
                for (offset, length) in pieces {
                    file.write_all_at(&noise(*seed, usize::from(*length)), u64::from(*offset)).unwrap();
                }
                let end = file.metadata().unwrap().len();
                file.set_len(end.max(u64::from(*length))).unwrap();
            }
            Self::Directory { at, seed } => fs::create_dir(fresh(found, *at, *seed)?).unwrap(),
            Self::Symlink { at, seed } => {
                let target = [&b"../"[..], &name(seed.rotate_left(9))].concat();
                symlink(OsStr::from_bytes(&target), fresh(found, *at, *seed)?).unwrap();
            }
            Self::Special { at, seed, kind } => {
                let kinds = [FileType::Fifo, FileType::Socket, FileType::CharacterDevice, FileType::BlockDevice];
                let kind = kinds[usize::from(*kind)];
                let device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
                let number =
                    if device { rustix::fs::makedev(*seed as u32 % 4_000, *seed as u32 % 1_000_000) } else { 0 };
                rustix::fs::mknodat(CWD, fresh(found, *at, *seed)?, kind, Mode::from_raw_mode(0o640), number).unwrap();
            }
            Self::Link { at, to, seed } => {
                let from = pick(&found.all, *at)?;
                if !from.symlink_metadata().unwrap().is_dir() {
                    rustix::fs::linkat(CWD, from, CWD, fresh(found, *to, *seed)?, AtFlags::empty()).unwrap();
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn edit(&self, root: &Path, found: &Found) -> Option<()> {
        match self {
            Self::Edit { at, seed } => edit(pick(&found.files, *at)?, *seed),
            Self::EditUnseen { at, seed } => {
                // As a program that keeps the time of what it changes: only ctime tells.
                let path = pick(&found.files, *at)?;
                let modified = path.metadata().unwrap().modified().unwrap();
                edit(path, *seed);
                OpenOptions::new().write(true).open(path).unwrap().set_modified(modified).unwrap();
            }
            Self::Append { at, seed, length } => {
                let mut file = OpenOptions::new().append(true).open(pick(&found.files, *at)?).unwrap();
                file.write_all(&noise(*seed, *length)).unwrap();
            }
            Self::Truncate { at, seed } => {
                let file = OpenOptions::new().write(true).open(pick(&found.files, *at)?).unwrap();
                let length = file.metadata().unwrap().len();
                file.set_len(seed % (length + 1)).unwrap();
            }
            Self::Rename { at, to, seed } => {
                let (from, to) = (pick(&found.all, *at)?, fresh(found, *to, *seed)?);
                if from != root && !to.starts_with(from) {
                    fs::rename(from, to).unwrap();
                }
            }
            Self::Delete { at } => remove(root, pick(&found.all, *at)?),
            Self::Swap { at, seed } => {
                let path = pick(&found.all, *at)?;
                let was_directory = path.symlink_metadata().unwrap().is_dir();
                remove(root, path);
                if path != root && was_directory {
                    fs::write(path, noise(*seed, 1_000)).unwrap();
                } else if path != root {
                    fs::create_dir(path).unwrap();
                    fs::write(path.join("inside"), noise(*seed, 100)).unwrap();
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn attributes(&self, found: &Found) -> Option<()> {
        match self {
            Self::Mode { at, mode } => {
                let path = pick(&found.all, *at)?;
                if !path.is_symlink() {
                    fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
                }
            }
            Self::Owner { at, uid, gid } => lchown(pick(&found.all, *at)?, Some(*uid), Some(*gid)).unwrap(),
            Self::Touch { at, seconds, nanoseconds } => {
                let stamp = Timespec { tv_sec: *seconds, tv_nsec: (*nanoseconds).into() };
                let times = Timestamps { last_access: stamp, last_modification: stamp };
                rustix::fs::utimensat(CWD, pick(&found.all, *at)?, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            }
            Self::Xattr { at, seed, length } => {
                let path = pick(&found.all, *at)?;
                let space = if plain(path) && seed % 2 == 0 { "user" } else { "trusted" };
                let name = format!("{space}.n{}", seed % 5);
                rustix::fs::lsetxattr(path, &*name, &noise(*seed, *length), XattrFlags::empty()).ok()?;
            }
            Self::NoXattrs { at } => {
                let path = pick(&found.all, *at)?;
                for name in ["user", "trusted"].iter().flat_map(|space| (0..5).map(move |n| format!("{space}.n{n}"))) {
                    let _ = rustix::fs::lremovexattr(path, &*name);
                }
            }
            Self::Acl { at, uid } => {
                let path = pick(&found.all, *at)?;
                if !path.is_symlink() {
                    rustix::fs::lsetxattr(path, "system.posix_acl_access", &acl(*uid), XattrFlags::empty()).unwrap();
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether it is a file or a directory: nothing else has attributes in the user's name space.
fn plain(path: &Path) -> bool {
    let kind = path.symlink_metadata().unwrap().file_type();
    kind.is_file() || kind.is_dir()
}

fn edit(path: &Path, seed: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    if length > 0 {
        file.write_all_at(&[seed as u8], seed % length).unwrap();
    }
}

fn remove(root: &Path, path: &Path) {
    if path == root {
    } else if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// An access control list that names one user, as the kernel has it (version 2: tag, permissions, id).
fn acl(uid: u32) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let rows = [(0x01_u16, 6_u16, NOBODY), (0x02, 4, uid), (0x04, 4, NOBODY), (0x10, 4, NOBODY), (0x20, 0, NOBODY)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in rows {
        bytes.extend([&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    bytes
}
