//! Every attribute that an entry can have, read back from where the test put it.

use super::super::attributes::{Described, read_entry};
use super::super::owners::Owners;
use super::*;
use crate::repo::entry::{EntryKind, LinkGroup, Timestamp};
use rustix::fs::{AtFlags, CWD, FileType, Gid, IFlags, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use std::os::unix::fs::PermissionsExt;

fn describe(dir: &Path, name: &[u8]) -> Described {
    let (directory, child) = find(dir, name);
    let described = read_entry(&directory.handle, &child, &Owners::new()).unwrap();
    assert!(described.problems.is_empty(), "{:?}", described.problems);
    described
}

#[test]
fn the_plain_attributes_of_a_file() {
    let temp = temp();
    let path = temp.path().join("f");
    std::fs::write(&path, b"12345").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o6751)).unwrap();
    std::fs::hard_link(&path, temp.path().join("g")).unwrap();
    let entry = describe(temp.path(), b"f").entry;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    assert_eq!((entry.mode, entry.size, entry.uid, entry.gid), (0o6751, 5, uid, gid));
    assert_eq!(entry.user, Owners::new().user(uid).0);
    assert_eq!(entry.group, Owners::new().group(gid).0);
    let other = describe(temp.path(), b"g").entry;
    assert_eq!(entry, other);
    assert!(matches!(entry.links, Some(LinkGroup { links: 2, .. })));
    plant(temp.path(), &["dir/sub/"]);
    let directory = describe(temp.path(), b"dir").entry;
    assert_eq!((directory.kind, directory.size, directory.links), (EntryKind::Directory, 0, None));
}

#[test]
fn the_root_directory_describes_itself() {
    let temp = temp();
    let walked = Walked::new(options(&[temp.path().to_owned()]));
    for directory in &walked.directories {
        let Described { entry, problems, .. } = super::super::attributes::read_directory(directory, &Owners::new());
        let real = rustix::fs::stat(os(&directory.path().to_bytes())).unwrap();
        assert_eq!((entry.kind, entry.mode), (EntryKind::Directory, real.st_mode & 0o7777));
        assert!(problems.is_empty(), "{problems:?}");
    }
    assert!(walked.directories[0].path().0.is_empty());
}

#[test]
fn times_before_1970_and_after_2038() {
    let temp = temp();
    for (index, seconds) in
        [-1_000_000_000, -1, 0, 2_147_483_648, 4_294_967_296, 15_032_385_534].into_iter().enumerate()
    {
        let path = temp.path().join(index.to_string());
        std::fs::write(&path, b"").unwrap();
        let time = Timespec { tv_sec: seconds, tv_nsec: 123_456_789 };
        rustix::fs::utimensat(CWD, &path, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty())
            .unwrap();
        let (_, child) = find(temp.path(), index.to_string().as_bytes());
        let kept = rustix::fs::stat(&path).unwrap().st_mtime;
        if kept != seconds {
            eprintln!("SKIPPED: this file system keeps no time {seconds}");
            continue;
        }
        assert_eq!(child.stat.modified, Timestamp { seconds, nanoseconds: 123_456_789 });
        assert_eq!(child.stat.accessed, child.stat.modified);
    }
}

#[test]
fn reading_leaves_the_access_time_alone() {
    let temp = temp();
    plant(temp.path(), &["dir/file"]);
    let old = Timespec { tv_sec: 1_000_000, tv_nsec: 5 };
    for path in ["dir", "dir/file"] {
        let times = Timestamps { last_access: old, last_modification: Timespec { tv_sec: 2_000_000, tv_nsec: 0 } };
        rustix::fs::utimensat(CWD, temp.path().join(path), &times, AtFlags::empty()).unwrap();
    }
    let (directory, child) = find(&temp.path().join("dir"), b"file");
    let mut file = super::super::content::SourceFile::open(&directory.handle, &child).unwrap();
    file.read(&mut [0; 100]).unwrap();
    file.describe(&Owners::new());
    for path in ["dir", "dir/file"] {
        assert_eq!(rustix::fs::stat(temp.path().join(path)).unwrap().st_atime, 1_000_000, "{path}");
    }
}

/// A `system.posix_acl_access` value: version 2, then tag, permissions, id.
fn acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [(1, 6, !0), (2, 4, 1234), (4, 4, !0), (0x10, 4, !0), (0x20, 0, !0)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

#[test]
fn extended_attributes_of_everything_that_can_have_them() {
    if !root_or_skip("extended attributes in name spaces that only root can set") {
        return;
    }
    let temp = temp();
    plant(temp.path(), &["file", "dir/"]);
    std::os::unix::fs::symlink("nowhere", temp.path().join("link")).unwrap();
    rustix::fs::mkfifoat(CWD, temp.path().join("fifo"), Mode::RUSR).unwrap();
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(temp.path().join(path), name, value, XattrFlags::empty()).unwrap();
    };
    // Effective, permitted: cap_net_raw.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let long = vec![7; 3_000];
    set("file", "user.b", b"");
    set("file", "user.a", &long);
    set("file", "security.capability", &capability);
    set("file", "system.posix_acl_access", &acl());
    set("dir", "system.posix_acl_default", &acl());
    set("dir", "trusted.t", b"\0\xff");
    set("fifo", "system.posix_acl_access", &acl());
    set("link", "trusted.t", b"on a link");
    let read = |path: &str| describe(temp.path(), path.as_bytes()).xattrs;
    let pair = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let acl = pair("system.posix_acl_access", &acl());
    assert_eq!(
        read("file"),
        [pair("security.capability", &capability), acl.clone(), pair("user.a", &long), pair("user.b", b"")]
    );
    assert_eq!(read("dir"), [pair("system.posix_acl_default", &acl.1), pair("trusted.t", b"\0\xff")]);
    assert_eq!(read("fifo"), [acl]);
    assert_eq!(read("link"), [pair("trusted.t", b"on a link")]);
    std::fs::hard_link(temp.path().join("link"), temp.path().join("link2")).unwrap();
    let link = describe(temp.path(), b"link").entry;
    assert_eq!(link, describe(temp.path(), b"link2").entry);
    assert!(matches!(link.links, Some(LinkGroup { links: 2, .. })));
    assert_eq!((link.kind, link.size), (EntryKind::Symlink(b"nowhere".to_vec()), 0));
}

#[test]
fn more_attributes_than_fit_a_small_list() {
    let temp = temp();
    plant(temp.path(), &["file"]);
    let path = temp.path().join("file");
    let names: Vec<String> = (0..40).map(|n| format!("user.{n:040}")).collect();
    for name in &names {
        if rustix::fs::setxattr(&path, name, name.as_bytes(), XattrFlags::empty()).is_err() {
            eprintln!("SKIPPED: this file system keeps no user attributes");
            return;
        }
    }
    let expected: Vec<_> = names.iter().map(|name| (name.clone().into_bytes(), name.clone().into_bytes())).collect();
    assert_eq!(describe(temp.path(), b"file").xattrs, expected);
}

#[test]
fn devices_and_owners() {
    if !root_or_skip("device nodes, foreign owners") {
        return;
    }
    let temp = temp();
    let device = rustix::fs::makedev(259, 70_000);
    for (name, kind) in [("char", FileType::CharacterDevice), ("block", FileType::BlockDevice)] {
        let path = temp.path().join(name);
        rustix::fs::mknodat(CWD, &path, kind, Mode::RUSR, device).unwrap();
        rustix::fs::chown(&path, Some(Uid::from_raw(3_000_000_001)), Some(Gid::from_raw(0))).unwrap();
        std::fs::hard_link(&path, temp.path().join(format!("{name}2"))).unwrap();
    }
    for (name, kind) in [
        (&b"char"[..], EntryKind::CharacterDevice { major: 259, minor: 70_000 }),
        (b"block", EntryKind::BlockDevice { major: 259, minor: 70_000 }),
    ] {
        let entry = describe(temp.path(), name).entry;
        assert_eq!((entry.uid, entry.user.as_slice(), entry.group.as_slice()), (3_000_000_001, &b""[..], &b"root"[..]));
        assert_eq!(entry.kind, kind);
        assert!(entry.links.is_some());
    }
}

#[test]
fn flags_that_somebody_set() {
    let temp = temp();
    plant(temp.path(), &["file", "dir/"]);
    for (name, flags) in [("file", IFlags::NODUMP | IFlags::NOATIME), ("dir", IFlags::NODUMP | IFlags::DIRSYNC)] {
        let fd = rustix::fs::open(temp.path().join(name), OFlags::RDONLY, Mode::empty()).unwrap();
        let before = describe(temp.path(), name.as_bytes()).entry.flags;
        assert_eq!(before, 0, "how the file system stores a file is no attribute");
        let all = rustix::fs::ioctl_getflags(&fd).unwrap_or(IFlags::empty()) | flags;
        if rustix::fs::ioctl_setflags(&fd, all).is_err() {
            eprintln!("SKIPPED: this file system keeps no flags");
            return;
        }
        assert_eq!(describe(temp.path(), name.as_bytes()).entry.flags, flags.bits());
    }
}
