//! Every kind of entry and attribute.

use super::*;
use crate::repo::catalog::store_value;
use std::os::unix::fs::MetadataExt;

/// An ACL as the kernel takes it: version 2, then (tag, permissions, id) each.
fn acl(rows: &[(u16, u16, u32)]) -> XattrValue {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in rows {
        bytes.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    XattrValue::Inline(bytes)
}

fn inline(bytes: &[u8]) -> XattrValue {
    XattrValue::Inline(bytes.to_vec())
}

/// A named user 1000 may read; no id for the others.
fn shared() -> XattrValue {
    acl(&[(1, 6, u32::MAX), (2, 4, 1000), (4, 0, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)])
}

#[test]
fn every_kind_and_attribute_comes_back() {
    if !root() {
        return;
    }
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let long = noise(9, 3000);
    snapshot.directory("/d").mode = 0o3751;
    snapshot.directory("/d/empty").uid = 4711;
    snapshot.directory("/d/locked").mode = 0;
    snapshot.file("/d/locked/file", &[b"x"]).mode = 0;
    let file = snapshot.file("/d/suid", &[b"run me"]);
    (file.mode, file.uid, file.gid) = (0o6755, 1234, 5678);
    let file = snapshot.file("/d/capable", &[b"run me too"]);
    (file.mode, file.uid) = (0o755, 1000);
    file.xattrs = vec![(b"security.capability".to_vec(), inline(b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"))];
    let file = snapshot.file("/d/acl", &[b"shared"]);
    (file.mode, file.xattrs) = (0o640, vec![(b"system.posix_acl_access".to_vec(), shared())]);
    let folder = snapshot.directory("/d/default");
    folder.xattrs = vec![(b"system.posix_acl_default".to_vec(), shared())];
    snapshot.file("/d/default/plain", &[b"no ACL of its own"]);
    snapshot.directory("/d/default/sub");
    let value = store_value(&*snapshot.memory, &long).unwrap();
    let file = snapshot.file("/d/marked", &[b"user attributes"]);
    file.xattrs = vec![
        (b"trusted.hidden".to_vec(), inline(b"")),
        (b"user.long".to_vec(), value),
        (b"user.\xff\n".to_vec(), inline(b"\0\xff")),
    ];
    file.xattrs.sort_by(|a, b| a.0.cmp(&b.0));
    snapshot.add("/d/link", EntryKind::Symlink(b"/nowhere/\xff".to_vec())).mode = 0o777;
    let link = snapshot.add("/d/owned link", EntryKind::Symlink(b"..".to_vec()));
    (link.mode, link.uid, link.gid) = (0o777, 77, 88);
    link.xattrs = vec![(b"trusted.on-a-link".to_vec(), inline(b"yes"))];
    snapshot.add("/d/fifo", EntryKind::Fifo).mode = 0o622;
    snapshot.add("/d/socket", EntryKind::Socket).mode = 0o777;
    snapshot.add("/d/null", EntryKind::CharacterDevice { major: 1, minor: 3 }).mode = 0o666;
    snapshot.add("/d/disk", EntryKind::BlockDevice { major: 259, minor: 70_000 }).gid = 6;
    snapshot.file("/d/flagged", &[b"no dump"]).flags = 0x40;
    snapshot.file("/d/frozen", &[b"immutable"]).flags = 0x10;
    snapshot.directory("/d/frozen dir").flags = 0x20;
    snapshot.file("/d/frozen dir/inside", &[b"made before it froze"]);
    for summary in [snapshot.check(temp.path()), snapshot.check(temp.path())] {
        assert_eq!((summary.problems, summary.damaged, summary.skipped, summary.foreign_owners), (0, 0, 0, 0));
    }
    // Let the temporary directory be removed.
    for frozen in ["d/frozen", "d/frozen dir"] {
        let handle = std::fs::File::open(temp.path().join(frozen)).unwrap();
        rustix::fs::ioctl_setflags(&handle, rustix::fs::IFlags::empty()).unwrap();
    }
}

#[test]
fn times_reach_before_1970_and_beyond_2038() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    for (at, seconds, nanoseconds) in [
        ("/a", -1, 999_999_999),
        ("/b", -2_000_000_000, 1),
        ("/c", 1 << 32, 5),
        ("/d", 0, 0),
        ("/e", 8_000_000_000, 123),
    ] {
        let modified = Timestamp { seconds, nanoseconds };
        snapshot.directory(at).modified = modified;
        snapshot.file(&format!("{at}/f"), &[b"x"]).modified = modified;
        snapshot.add(&format!("{at}/l"), EntryKind::Symlink(b"f".to_vec())).modified = modified;
    }
    snapshot
        .entries
        .iter_mut()
        .filter(|(_, e)| matches!(e.kind, EntryKind::Symlink(_)))
        .for_each(|(_, e)| e.mode = 0o777);
    let accessed = Timestamp { seconds: 1_000_000_000, nanoseconds: 1 };
    snapshot.file("/seen", &[b"x"]).accessed = Some(accessed);
    snapshot.restore("/", temp.path(), &Listener::default());
    let seen = temp.path().join("seen").metadata().unwrap();
    assert_eq!((seen.atime(), seen.atime_nsec()), (accessed.seconds, accessed.nanoseconds.into()));
    snapshot.compare("/", temp.path());
}

#[test]
fn attributes_that_the_snapshot_lacks_are_taken_away() {
    if !root() {
        return;
    }
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    snapshot.directory("/d").flags = 0x40;
    snapshot.directory("/d").xattrs =
        vec![(b"system.posix_acl_default".to_vec(), shared()), (b"user.old".to_vec(), inline(b"1"))];
    snapshot.entries.remove(1);
    let file = snapshot.file("/d/f", &[b"same"]);
    (file.mode, file.flags) = (0o644, 0x80);
    file.xattrs = vec![(b"system.posix_acl_access".to_vec(), shared()), (b"user.old".to_vec(), inline(b"1"))];
    snapshot.restore("/", temp.path(), &Listener::default());

    let mut bare = Snapshot::new();
    bare.directory("/d");
    bare.file("/d/f", &[b"same"]);
    bare.file("/d/new", &[b"does not inherit"]);
    bare.directory("/d/sub");
    bare.add("/d/pipe", EntryKind::Fifo);
    bare.check(temp.path());
}

#[test]
fn hard_links_of_every_kind() {
    if !root() {
        return;
    }
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    for dir in ["/a", "/b", "/b/c"] {
        snapshot.directory(dir).mode = 0o711;
    }
    for at in ["/a/file", "/b/c/file", "/b/file", "/file"] {
        let file = snapshot.file(at, &[b"content", &[7; 5000]]);
        (file.links, file.flags) = (group(1, 4), 0x10);
    }
    for at in ["/a/link", "/b/link"] {
        let link = snapshot.add(at, EntryKind::Symlink(b"target".to_vec()));
        (link.links, link.mode) = (group(2, 2), 0o777);
    }
    for at in ["/a/device", "/b/c/device"] {
        snapshot.add(at, EntryKind::CharacterDevice { major: 1, minor: 5 }).links = group(3, 2);
    }
    // One name of an inode whose other names are outside; and one number that was used for two files.
    snapshot.file("/alone", &[b"alone"]).links = group(4, 2);
    snapshot.file("/reused1", &[b"one"]).links = group(5, 2);
    snapshot.file("/reused2", &[b"two"]).links = group(5, 2);

    snapshot.restore("/", temp.path(), &Listener::default());
    let inode = |at: &str| temp.path().join(at).symlink_metadata().unwrap().ino();
    let first = inode("file");
    let listener = Listener::default();
    let again = snapshot.restore("/", temp.path(), &listener);
    assert_eq!(listener.problems(), [""; 0]);
    assert_eq!(inode("file"), first, "links that are right stay");
    assert_eq!(again.files, 7);
    for at in ["alone", "reused1", "reused2"] {
        snapshot.entries.iter_mut().find(|(path, _)| path.0 == [name(at)]).unwrap().1.links = None;
    }
    snapshot.compare("/", temp.path());
    let handle = std::fs::File::open(temp.path().join("file")).unwrap();
    rustix::fs::ioctl_setflags(&handle, rustix::fs::IFlags::empty()).unwrap();
}

#[test]
fn without_root_owners_stay_and_setuid_goes() {
    if !root() {
        return;
    }
    let temp = scratch();
    rustix::fs::chown(temp.path(), Some(rustix::fs::Uid::from_raw(65534)), None).unwrap();
    let target = temp.path().join("target");
    let mut snapshot = Snapshot::new();
    snapshot.directory("/shut").mode = 0o555;
    let file = snapshot.file("/shut/suid", &[b"run as root"]);
    (file.mode, file.uid, file.gid) = (0o6755, 0, 0);
    let file = snapshot.file("/shut/mine", &[b"run as me"]);
    (file.mode, file.uid, file.gid) = (0o4511, 65534, 65534);
    snapshot.add("/null", EntryKind::CharacterDevice { major: 1, minor: 3 });
    let run = |snapshot: &Snapshot| {
        // Only this thread, and those it starts, become somebody else.
        std::thread::scope(|scope| {
            let restore = || {
                let (uid, gid) = (rustix::process::Uid::from_raw(65534), rustix::process::Gid::from_raw(65534));
                rustix::thread::set_thread_groups(&[]).unwrap();
                rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
                rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
                let listener = Listener::default();
                let summary = snapshot.restore("/", &target, &listener);
                (summary, listener.problems())
            };
            scope.spawn(restore).join().unwrap()
        })
    };
    // "shut" and the file in it belong to root in the snapshot, and so does the target, which keeps its attributes later.
    for foreign in [3, 2] {
        let (summary, problems) = run(&snapshot);
        assert_eq!(summary.foreign_owners, foreign);
        assert_eq!(summary.unchanged, if foreign == 3 { 0 } else { 2 }, "read-only files are compared too");
        assert!(problems.len() == 1 && problems[0].starts_with("/null: create: "), "{problems:?}");
        let mode = |at: &str| target.join(at).metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode("shut"), mode("shut/suid"), mode("shut/mine")), (0o555, 0o755, 0o4511));
    }
}
