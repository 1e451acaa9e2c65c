//! Targets in which somebody laid traps, before or during the restore.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn links_out_of_the_target_are_replaced() {
    let temp = scratch();
    let (target, outside) = (temp.path().join("target"), temp.path().join("outside"));
    std::fs::create_dir_all(outside.join("b")).unwrap();
    std::fs::create_dir_all(target.join("deep")).unwrap();
    write(&outside.join("victim"), "untouched");
    symlink(&outside, target.join("a")).unwrap();
    symlink("../../outside/b", target.join("deep/b")).unwrap();
    symlink(outside.join("victim"), target.join("file")).unwrap();
    symlink(outside.join("made"), target.join("link")).unwrap();
    symlink(&outside, target.join("pipe")).unwrap();

    let mut snapshot = Snapshot::new();
    for at in ["/a", "/a/b", "/deep", "/deep/b"] {
        snapshot.directory(at);
    }
    for at in ["/a/victim", "/a/b/new", "/deep/b/new", "/file"] {
        snapshot.file(at, &[b"from the snapshot"]);
    }
    snapshot.add("/link", EntryKind::Symlink(b"elsewhere".to_vec())).mode = 0o777;
    snapshot.add("/pipe", EntryKind::Fifo);
    snapshot.check(&target);

    assert_eq!(std::fs::read(outside.join("victim")).unwrap(), b"untouched");
    let left: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(std::fs::read_dir(outside.join("b")).unwrap().next().is_none());
}

#[test]
fn a_snapshot_whose_link_is_its_own_directory_stays_inside() {
    // No honest catalog holds both; a forged one may.
    let temp = scratch();
    let (target, outside) = (temp.path().join("target"), temp.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    let mut snapshot = Snapshot::new();
    let to = outside.as_os_str().as_encoded_bytes().to_vec();
    snapshot.add("/a", EntryKind::Symlink(to));
    snapshot.file("/a/file", &[b"x"]);
    snapshot.restore("/", &target, &Listener::default());
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
}

#[test]
fn directories_swapped_for_links_during_the_restore_change_nothing_outside() {
    let temp = scratch();
    let (target, outside) = (temp.path().join("target"), temp.path().join("outside"));
    std::fs::create_dir_all(&target).unwrap();
    std::fs::create_dir(&outside).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.directory("/d");
    for index in 0..300 {
        snapshot.directory(&format!("/d/{index:03}"));
        snapshot.file(&format!("/d/{index:03}/file"), &[b"x"]);
        snapshot.file(&format!("/d/f{index:03}"), &[b"x"]);
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, aside, decoy) = (target.join("d"), target.join("aside"), target.join("decoy"));
            symlink(&outside, &decoy).unwrap();
            while !over.load(Ordering::Relaxed) {
                // The real directory goes aside, a link takes its place; then back again.
                for (from, to) in [(&dir, &aside), (&decoy, &dir), (&dir, &decoy), (&aside, &dir)] {
                    let _ = std::fs::rename(from, to);
                }
            }
        });
        for _ in 0..5 {
            snapshot.restore("/", &target, &Listener::default());
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    assert_ne!(outside.metadata().unwrap().mtime(), 1_234_567_890, "attributes do not go through links either");
}

#[test]
fn a_planted_hard_link_is_broken_and_not_written_through() {
    let temp = scratch();
    let (target, outside) = (temp.path().join("target"), temp.path().join("victim"));
    std::fs::create_dir(&target).unwrap();
    write(&outside, "untouched");
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::hard_link(&outside, target.join("single")).unwrap();
    std::fs::hard_link(&outside, target.join("grouped")).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.file("/single", &[b"new"]).mode = 0o6755;
    for at in ["/grouped", "/other"] {
        snapshot.file(at, &[b"group"]).links = group(1, 2);
    }
    snapshot.check(&target);
    assert_eq!(std::fs::read(&outside).unwrap(), b"untouched");
    let after = outside.metadata().unwrap();
    assert_eq!((after.nlink(), after.mode() & 0o7777), (1, 0o644));
}

#[test]
fn a_secret_is_not_written_into_a_file_that_others_have_open() {
    let temp = scratch();
    let at = temp.path().join("shadow");
    write(&at, "harmless");
    std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o644)).unwrap();
    let spy = std::fs::File::open(&at).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.file("/shadow", &[b"the secret"]).mode = 0o600;
    snapshot.check(temp.path());
    assert_eq!(std::io::read_to_string(spy).unwrap(), "harmless");
}

/// Looks at a directory's mode whenever something was restored into it.
struct Witness(std::path::PathBuf, Mutex<Vec<u32>>);

impl Sink for Witness {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Restored { path, .. } if path.ends_with(b"/readable")) {
            self.1.lock().unwrap().push(self.0.metadata().unwrap().mode() & 0o7777);
        }
    }
}

#[test]
fn a_directory_is_closed_to_others_before_anything_is_written_into_it() {
    let temp = scratch();
    let dir = temp.path().join("private");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o757)).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.directory("/private").mode = 0o710;
    snapshot.file("/private/readable", &[b"protected by its directory"]);
    let witness = Witness(dir, Mutex::default());
    snapshot.restore("/", temp.path(), &witness);
    assert_eq!(*witness.1.lock().unwrap(), [0o710]);
}

#[test]
fn an_acl_that_lets_somebody_in_is_not_kept_for_a_secret() {
    let temp = scratch();
    let at = temp.path().join("shared");
    write(&at, "harmless");
    let acl = [(1u16, 6u16, u32::MAX), (2, 4, 65534), (4, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let rows = acl
        .iter()
        .flat_map(|(tag, bits, id)| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat());
    let value: Vec<u8> = 2u32.to_le_bytes().into_iter().chain(rows).collect();
    if rustix::fs::setxattr(&at, "system.posix_acl_access", &value, rustix::fs::XattrFlags::empty()).is_err() {
        return eprintln!("skipped: no ACLs here");
    }
    let spy = std::fs::File::open(&at).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.file("/shared", &[b"the secret"]).mode = 0o640;
    snapshot.check(temp.path());
    assert_eq!(std::io::read_to_string(spy).unwrap(), "harmless");
}
