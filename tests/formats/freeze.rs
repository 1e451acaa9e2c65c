//! Making frozen repositories: what went into those that stand, and how the next version's are made.

use super::{ADMIN, MAINTAINER, READER, RECOVERY, REVOKED, WRITER, key, line, password};
use crate::world::{World, noise};
use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::repo::entry::{Content, Entry, EntryKind, Timestamp};
use boveda::repo::keys::role::Role;
use boveda::repo::repository::found;
use boveda::store::memory::MemoryStore;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

/// Makes the files that the frozen snapshots show; `stage` from 0 on adds and changes some.
pub fn source(root: &Path, stage: u64) {
    fs::create_dir_all(root.join("deep/below")).unwrap();
    fs::write(root.join("empty"), b"").unwrap();
    fs::write(root.join("text"), "All work and no play. ".repeat(500 + stage as usize)).unwrap();
    fs::write(root.join("deep/noise"), noise(1, 300_000)).unwrap();
    fs::write(root.join("deep/below").join(OsStr::from_bytes(b"\xff\n")), noise(10 + stage, 20_000)).unwrap();
    for number in 0..=stage {
        fs::write(root.join(format!("stage{number}")), noise(20 + number, 5_000)).unwrap();
    }
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 1_000_000).unwrap();
}

/// What only root makes, and what not every file system holds.
fn rare(root: &Path) {
    let at = |name: &str| root.join(name);
    symlink("../nowhere", at("link")).unwrap();
    fs::hard_link(at("text"), at("deep/same")).unwrap();
    rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    rustix::fs::mknodat(
        CWD,
        at("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    std::os::unix::fs::chown(at("stage0"), Some(4_000_000_000), Some(12)).unwrap();
    fs::set_permissions(at("stage0"), fs::Permissions::from_mode(0o6751)).unwrap();
    rustix::fs::setxattr(at("text"), "user.short", b"value", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(at("text"), "user.long", &noise(30, 2_000), XattrFlags::empty()).unwrap();
}

/// Gives everything a time of its own, before 1970 and after 2038 too.
fn age(root: &Path) {
    for (number, path) in below(root).iter().rev().enumerate() {
        let seconds = [-1_000_000_000, 0, 1_700_000_000, 5_000_000_000][number % 4] + number as i64;
        let stamp = Timespec { tv_sec: seconds, tv_nsec: 123_456_789 };
        let times = Timestamps { last_access: stamp, last_modification: stamp };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

fn below(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while next < found.len() {
        if found[next].symlink_metadata().unwrap().is_dir() {
            let mut children: Vec<_> = fs::read_dir(&found[next]).unwrap().map(|child| child.unwrap().path()).collect();
            children.sort();
            found.extend(children);
        }
        next += 1;
    }
    found
}

/// What a snapshot of `root` should hold, one line for each entry.
fn expected(root: &Path) -> String {
    let mut lines: Vec<String> = below(root).iter().map(|path| describe(root, path)).collect();
    lines.sort();
    lines.concat()
}

fn describe(root: &Path, path: &Path) -> String {
    let stat = path.symlink_metadata().unwrap();
    let kind = FileType::from_raw_mode(stat.mode());
    let what = match kind {
        FileType::RegularFile => format!("file {}", blake3::hash(&fs::read(path).unwrap())),
        FileType::Directory => "directory".to_owned(),
        FileType::Symlink => format!("symlink \"{}\"", path.read_link().unwrap().as_os_str().as_bytes().escape_ascii()),
        FileType::Fifo => "fifo".to_owned(),
        other => {
            assert_eq!(other, FileType::CharacterDevice);
            format!("character {}:{}", rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()))
        }
    };
    let named = stat.is_file() && path.file_name().is_some_and(|name| name == "text" || name == "same");
    let xattrs: &[(Vec<u8>, Vec<u8>)] = if named {
        &[(b"user.long".to_vec(), noise(30, 2_000)), (b"user.short".to_vec(), b"value".to_vec())]
    } else {
        &[]
    };
    let entry = Entry {
        kind: EntryKind::File(Content::EMPTY),
        mode: stat.mode() & 0o7777,
        uid: stat.uid(),
        gid: stat.gid(),
        user: vec![],
        group: vec![],
        modified: Timestamp { seconds: stat.mtime(), nanoseconds: stat.mtime_nsec() as u32 },
        changed: Timestamp::default(),
        accessed: None,
        size: 0,
        flags: 0,
        xattrs: vec![],
        links: None,
    };
    line(&path.as_os_str().as_bytes()[root.as_os_str().len()..], &entry, &what, xattrs)
}

/// A repository with everything that this boveda writes.
fn make(suite: Suite) -> (World, String) {
    let store = Arc::new(MemoryStore::new());
    let founded = found(&*store, suite, &key(ADMIN), &Secret::new([RECOVERY; 32]), "admin").unwrap();
    let world = World { store, admin: key(ADMIN), founded, ..World::new() };
    let mut admin = world.as_admin();
    admin.add_slot(&password()).unwrap();
    let [writer, _, _, lost] = [
        (Role::Writer, WRITER, "writer"),
        (Role::Reader, READER, "reader"),
        (Role::Maintainer, MAINTAINER, "maintainer"),
        (Role::Writer, REVOKED, "lost"),
    ]
    .map(|(role, byte, label)| admin.add_member(role, label, &key(byte)).unwrap().id);
    admin.trust(writer, lost).unwrap();
    let source_folder = world.path("source");
    let mut held = Vec::new();
    for (stage, byte) in [(0, ADMIN), (1, REVOKED), (2, WRITER), (2, ADMIN)] {
        let machine = world.machine(&format!("machine{byte}"));
        source(&source_folder, stage);
        if stage == 0 {
            rare(&source_folder);
        }
        age(&source_folder);
        held.push(expected(&source_folder));
        machine.snapshot(&world, &key(byte), &source_folder);
        if byte == REVOKED {
            world.as_admin().revoke(lost, "frozen").unwrap();
        }
    }
    (world, held.join("\n"))
}

#[test]
fn freeze() {
    let Some(folder) = std::env::var_os("BOVEDA_FREEZE") else { return };
    for (name, suite) in [("aes", Suite::Aes256Gcm), ("chacha", Suite::XChaCha20Poly1305)] {
        let (world, held) = make(suite);
        let target = Path::new(&folder).join(name);
        for (name, bytes) in world.store.objects() {
            let path = target.join(name.as_str());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &**bytes).unwrap();
        }
        fs::write(target.with_extension("txt"), held).unwrap();
    }
}
