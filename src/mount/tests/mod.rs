//! The room through the kernel's eyes: real mounts of a repository in memory, looked at with ordinary calls.

mod changes;
mod damage;
mod lifecycle;
mod model;
mod read_only;
mod versions;

use crate::mount::testing::{Mounted, Repository};
use crate::repo::catalog::testing::entry;
use crate::repo::entry::{Entry, EntryKind, Extent, LinkGroup, Timestamp};
use rustix::fs::SeekFrom;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 1970-01-02T03-04-05Z.
const WHEN: i64 = 97_445;
const SNAPSHOT: &str = "by-time/1970-01-02T03-04-05Z";

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(byte).take(length).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(20), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn code(error: &io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap()
}

#[test]
fn a_snapshot_is_a_folder_under_several_names() {
    let repository = Arc::new(Repository::default());
    let file = repository.chunks.text(b"hello");
    repository.snapshot(WHEN, "web", vec![("/home/ana/hello.txt", file)]);
    let Some(mut mounted) = Mounted::new(&repository, |_| {}) else { return };
    assert_eq!(names(&mounted.at("")), ["by-host", "by-id", "by-tag", "by-time", "changes", "latest", "versions"]);
    assert_eq!(fs::read_link(mounted.at("latest")).unwrap(), Path::new(SNAPSHOT));
    for way in [
        SNAPSHOT,
        "latest",
        "by-host/web/latest",
        "by-host/web/1970-01-02T03-04-05Z",
        "by-tag/all/latest",
        "by-id/01010101",
    ] {
        let path = mounted.at(way).join("home/ana/hello.txt");
        assert_eq!(fs::read(&path).unwrap(), b"hello", "{way}");
        assert_eq!(
            path.canonicalize().unwrap(),
            mounted.at(SNAPSHOT).canonicalize().unwrap().join("home/ana/hello.txt")
        );
    }
    assert_eq!(code(&fs::write(mounted.at("latest/new"), b"").unwrap_err()), rustix::io::Errno::ROFS);
    let missing = mounted.at(SNAPSHOT).join("home/nobody");
    assert_eq!(fs::metadata(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(fs::metadata(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    let space = rustix::fs::statvfs(mounted.folder.path()).unwrap();
    assert!(space.f_blocks > 0 && space.f_files > 0 && space.f_bsize > 0 && space.f_namemax == 255);
    mounted.session.unmount();
    assert_eq!(names(&mounted.at("")), [] as [&str; 0]);
}

/// One entry of every kind, with attributes that are easily lost.
fn zoo(repository: &Repository) -> Vec<(&'static str, Entry)> {
    let chunks = &repository.chunks;
    let special = |kind| entry(kind);
    let old = Timestamp { seconds: -1_000_000_000, nanoseconds: 123_456_789 };
    let far = Timestamp { seconds: 5_000_000_000, nanoseconds: 999_999_999 };
    let file = Entry {
        mode: 0o6751,
        uid: 70_000,
        gid: 12,
        modified: old,
        changed: far,
        accessed: Some(far),
        ..chunks.text(&noise(5000))
    };
    vec![
        ("/zoo", Entry { mode: 0o1777, modified: old, ..special(EntryKind::Directory) }),
        ("/zoo/file", file),
        ("/zoo/empty", chunks.text(b"")),
        ("/zoo/link", special(EntryKind::Symlink(b"../no/such\xff".to_vec()))),
        ("/zoo/pipe", special(EntryKind::Fifo)),
        ("/zoo/socket", special(EntryKind::Socket)),
        ("/zoo/tty", special(EntryKind::CharacterDevice { major: 4, minor: 300 })),
        ("/zoo/disk", special(EntryKind::BlockDevice { major: 259, minor: 7 })),
    ]
}

fn check_times(seen: &Metadata, stored: &Entry) {
    let pair = |time: Timestamp| (time.seconds, i64::from(time.nanoseconds));
    assert_eq!((seen.mtime(), seen.mtime_nsec()), pair(stored.modified));
    assert_eq!((seen.ctime(), seen.ctime_nsec()), pair(stored.changed));
    assert_eq!((seen.atime(), seen.atime_nsec()), pair(stored.accessed.unwrap_or(stored.modified)));
}

#[test]
fn attributes_are_as_stored() {
    let repository = Arc::new(Repository::default());
    let zoo = zoo(&repository);
    repository.snapshot(WHEN, "web", zoo.clone());
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    for (path, stored) in &zoo {
        let seen = fs::symlink_metadata(mounted.at(&format!("{SNAPSHOT}{path}"))).unwrap();
        assert_eq!((seen.mode() & 0o7777, seen.uid(), seen.gid()), (stored.mode, stored.uid, stored.gid), "{path}");
        check_times(&seen, stored);
        let kind = seen.file_type();
        let (links, size, device) =
            (seen.nlink(), seen.size(), (rustix::fs::major(seen.rdev()), rustix::fs::minor(seen.rdev())));
        match &stored.kind {
            EntryKind::File(_) => assert!(kind.is_file() && links == 1 && size == stored.size),
            EntryKind::Directory => assert!(kind.is_dir() && links >= 2),
            EntryKind::Symlink(target) => {
                assert!(kind.is_symlink() && size == target.len() as u64);
                let seen = fs::read_link(mounted.at(&format!("{SNAPSHOT}{path}"))).unwrap();
                assert_eq!(seen.as_os_str().as_bytes(), target);
            }
            EntryKind::Fifo => assert!(kind.is_fifo()),
            EntryKind::Socket => assert!(kind.is_socket()),
            EntryKind::CharacterDevice { major, minor } => assert!(kind.is_char_device() && device == (*major, *minor)),
            EntryKind::BlockDevice { major, minor } => assert!(kind.is_block_device() && device == (*major, *minor)),
        }
    }
    assert_eq!(fs::metadata(mounted.at(&format!("{SNAPSHOT}/zoo/file"))).unwrap().blocks(), 16);
    assert_eq!(fs::read(mounted.at(&format!("{SNAPSHOT}/zoo/file"))).unwrap(), noise(5000));
    assert_eq!(fs::read(mounted.at(&format!("{SNAPSHOT}/zoo/empty"))).unwrap(), b"");
}

#[test]
fn extended_attributes_and_access_control_lists_are_seen() {
    // Version 2, then owner rw-, user 1000 r--, group r--, mask r--, others ---.
    let entries: [(u16, u16, u32); 5] = [(1, 6, !0), (2, 4, 1000), (4, 4, !0), (0x10, 4, !0), (0x20, 0, !0)];
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, mode, id) in entries {
        list.extend([tag.to_le_bytes(), mode.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let long = noise(3000);
    let file = chunks.xattr(chunks.text(b"x"), "user.short", b"value");
    let file = chunks.xattr(chunks.xattr(file, "user.long", &long), "system.posix_acl_access", &list);
    let file = chunks.xattr(file, "user.empty", b"");
    repository.snapshot(WHEN, "web", vec![("/f", Entry { mode: 0o640, ..file })]);
    for shared in [false, true] {
        let Some(mounted) = Mounted::new(&repository, |options| options.allow_other = shared) else { return };
        let path = mounted.at(SNAPSHOT).join("f");
        let get = |name: &str| {
            let mut value = vec![0; 1 << 16];
            rustix::fs::getxattr(&path, name, &mut value).map(|length| value[..length].to_vec())
        };
        assert_eq!(get("user.short").unwrap(), b"value");
        assert_eq!(get("user.long").unwrap(), long);
        assert_eq!(get("user.empty").unwrap(), b"");
        assert_eq!(get("user.none").unwrap_err(), rustix::io::Errno::NODATA);
        assert_eq!(get("system.posix_acl_access").unwrap(), list);
        let mut names = vec![0; 1 << 16];
        let length = rustix::fs::listxattr(&path, &mut names).unwrap();
        let expected = b"system.posix_acl_access\0user.empty\0user.long\0user.short\0";
        assert_eq!(names[..length].escape_ascii().to_string(), expected.escape_ascii().to_string());
        let mut small = [0; 3];
        assert_eq!(rustix::fs::getxattr(&path, "user.short", &mut small).unwrap_err(), rustix::io::Errno::RANGE);
    }
}

#[test]
fn large_sparse_and_long_files_read_as_they_are() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    // More extents than an entry holds, so that they are a tree.
    let content = noise(2_500_000);
    let hole = |length| Extent::Hole { length };
    let sparse = chunks.file([hole(1 << 20), chunks.put(b"middle"), hole(1 << 30)]);
    let entries = vec![("/long", chunks.text(&content)), ("/sparse", sparse), ("/holes", chunks.file([hole(4096)]))];
    repository.snapshot(WHEN, "web", entries);
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let at = |name: &str| mounted.at(SNAPSHOT).join(name);
    assert_eq!(fs::metadata(at("long")).unwrap().blocks(), 2_500_000u64.div_ceil(4096) * 8);
    assert!(fs::read(at("long")).unwrap() == content);
    let file = File::open(at("long")).unwrap();
    for (offset, length) in [(0, 1), (999, 2), (1_234_567, 100_000), (2_499_999, 10), (2_500_000, 10)] {
        let mut seen = vec![0; length];
        let count = file.read_at(&mut seen, offset as u64).unwrap();
        assert_eq!(seen[..count], content[offset..content.len().min(offset + length)]);
    }
    let sparse = File::open(at("sparse")).unwrap();
    assert_eq!(sparse.metadata().unwrap().blocks(), 8);
    let mut seen = [1; 8];
    sparse.read_exact_at(&mut seen, (1 << 20) - 1).unwrap();
    assert_eq!(&seen, b"\0middle\0");
    let end = (1 << 20) + 6 + (1 << 30);
    let seek = |from| rustix::fs::seek(&sparse, from);
    assert_eq!(seek(SeekFrom::Data(0)), Ok(1 << 20));
    assert_eq!(seek(SeekFrom::Hole(0)), Ok(0));
    assert_eq!(seek(SeekFrom::Hole(1 << 20)), Ok((1 << 20) + 6));
    assert_eq!(seek(SeekFrom::Data((1 << 20) + 3)), Ok((1 << 20) + 3));
    assert_eq!(seek(SeekFrom::Data((1 << 20) + 6)), Err(rustix::io::Errno::NXIO));
    assert_eq!(seek(SeekFrom::Hole(end)), Err(rustix::io::Errno::NXIO));
    let long = File::open(at("long")).unwrap();
    assert_eq!(rustix::fs::seek(&long, SeekFrom::Hole(5)), Ok(2_500_000));
}

#[test]
fn names_of_one_file_share_an_inode_that_stays_the_same() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let linked = |inode, links| Entry { links: Some(LinkGroup { device: 1, inode, links }), ..chunks.text(b"shared") };
    let entries = vec![
        ("/a/one", linked(5, 3)),
        ("/b/two", linked(5, 3)),
        ("/b/other", linked(6, 2)),
        ("/c", chunks.text(b"alone")),
    ];
    repository.snapshot(WHEN, "web", entries);
    let paths = ["a", "a/one", "b/two", "b/other", "c", ""];
    let look = |mounted: &Mounted, order: &mut dyn Iterator<Item = &'static str>| -> BTreeMap<_, _> {
        order.map(|path| (path, fs::metadata(mounted.at(SNAPSHOT).join(path)).unwrap().ino())).collect()
    };
    let Some(first) = Mounted::new(&repository, |_| {}) else { return };
    let seen = look(&first, &mut paths.into_iter());
    assert_eq!(seen["a/one"], seen["b/two"]);
    assert_eq!(seen.values().collect::<std::collections::BTreeSet<_>>().len(), 5);
    assert_eq!(fs::metadata(first.at(SNAPSHOT).join("b/two")).unwrap().nlink(), 3);
    assert_eq!(fs::metadata(first.at(SNAPSHOT).join("b/other")).unwrap().nlink(), 2);
    drop(first);
    let Some(second) = Mounted::new(&repository, |_| {}) else { return };
    assert_eq!(look(&second, &mut paths.into_iter().rev()), seen, "in another order, on another mount");
    for entry in fs::read_dir(second.at(SNAPSHOT).join("b")).unwrap() {
        let entry = entry.unwrap();
        use std::os::unix::fs::DirEntryExt as _;
        assert_eq!(entry.ino(), entry.metadata().unwrap().ino());
    }
}

#[test]
fn long_folders_are_listed_completely_and_from_any_place() {
    let repository = Arc::new(Repository::default());
    let paths: Vec<String> = (0..3000).map(|n| format!("/many/{:a<1$}-{n:04}", "", n % 200)).collect();
    let file = repository.chunks.text(b"same");
    repository.snapshot(WHEN, "web", paths.iter().map(|path| (path.as_str(), file.clone())).collect());
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let many = mounted.at(SNAPSHOT).join("many");
    let mut expected: Vec<_> = paths.iter().map(|path| path["/many/".len()..].to_owned()).collect();
    expected.sort();
    for _ in 0..2 {
        assert_eq!(names(&many), expected);
    }
    for entry in fs::read_dir(&many).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.file_type().unwrap().is_file() && entry.metadata().unwrap().len() == 4);
    }
    let mut dir = rustix::fs::Dir::read_from(File::open(&many).unwrap()).unwrap();
    let all: Vec<_> = dir.by_ref().map(|entry| entry.unwrap()).collect();
    assert_eq!((all[0].file_name(), all[1].file_name(), all.len()), (c".", c"..", 3002));
    assert_eq!(all[1].ino(), fs::metadata(mounted.at(SNAPSHOT)).unwrap().ino());
    for at in [0, 1, 2, 700, 3000] {
        dir.seek(all[at].offset()).unwrap();
        let next = dir.read().unwrap().unwrap();
        assert_eq!(next.file_name(), all[at + 1].file_name());
    }
}

#[test]
fn many_readers_at_once_see_the_same() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let content: Vec<_> = (0..40).map(|n| noise(20_000 + n * 5000)).collect();
    let paths: Vec<_> = (0..content.len()).map(|n| format!("/folder-{}/file-{n}", n % 5)).collect();
    let entries = paths.iter().zip(&content).map(|(path, content)| (path.as_str(), chunks.text(content)));
    repository.snapshot(WHEN, "web", entries.collect());
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let (mounted, paths, content) = (&mounted, &paths, &content);
            scope.spawn(move || {
                for step in 0..content.len() {
                    let n = (step * 7 + reader * 5) % content.len();
                    assert!(fs::read(mounted.at(&format!("{SNAPSHOT}{}", paths[n]))).unwrap() == content[n]);
                    assert_eq!(names(&mounted.at(&format!("{SNAPSHOT}/folder-{}", n % 5))).len(), 8);
                }
            });
        }
    });
    assert_eq!(mounted.told.problems(), []);
}
