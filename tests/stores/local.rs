//! What the local store does with a real folder: rights, strangers' files, left-overs, a place that is gone.

use super::name;
use boveda::store::local::LocalStore;
use boveda::store::{ErrorKind, Store};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_may_look_inside() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("a/b");
    let store = LocalStore::create(&root).unwrap();
    store.put(&name("packs/aa/a"), b"x").unwrap();
    for folder in ["", "packs", "packs/aa"] {
        assert_eq!(mode(&root.join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&root.join("packs/aa/a")), 0o600);
    assert_eq!(fs::metadata(root.join("packs/aa/a")).unwrap().nlink(), 1);
    assert_eq!(fs::read_dir(root.join(".tmp")).unwrap().count(), 0);
}

#[test]
fn a_place_that_is_not_there_is_never_an_empty_one() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("gone");
    let store = LocalStore::new(&root);
    let config = name("config");
    let kinds = [
        store.check().unwrap_err().kind,
        store.get(&config).unwrap_err().kind,
        store.get_range(&config, 0, 1).unwrap_err().kind,
        store.length(&config).unwrap_err().kind,
        store.list("").unwrap_err().kind,
        store.list("packs").unwrap_err().kind,
        store.list("..").unwrap_err().kind,
        store.put(&config, b"x").unwrap_err().kind,
        store.put(&name("a/b/c/d"), b"x").unwrap_err().kind,
        store.heal(&config, b"x").unwrap_err().kind,
        store.delete(&config).unwrap_err().kind,
    ];
    assert_eq!(kinds, [ErrorKind::NoStore; 11]);
    assert!(!root.exists());
    fs::write(&root, b"a file").unwrap();
    assert!(LocalStore::create(&root).is_err());
    assert!(LocalStore::new(&root).list("").is_err());
}

#[test]
fn strangers_in_the_folder_are_passed_over() {
    let top = tempfile::tempdir().unwrap();
    let store = LocalStore::new(top.path());
    store.put(&name("log/1"), b"x").unwrap();
    for folder in ["lost+found", "log/.snapshots"] {
        fs::create_dir(top.path().join(folder)).unwrap();
        fs::write(top.path().join(folder).join("a"), b"x").unwrap();
    }
    for file in ["log/.nfs0001", "README.txt", "log/\u{fc}"] {
        fs::write(top.path().join(file), b"x").unwrap();
    }
    let pipe = Command::new("mkfifo").arg(top.path().join("log/pipe")).status().unwrap();
    assert!(pipe.success());
    assert_eq!(store.list("").unwrap().len(), 1);
}

#[test]
fn what_a_link_should_lead_to_is_missed() {
    let top = tempfile::tempdir().unwrap();
    let store = LocalStore::new(&top.path().join("store"));
    fs::create_dir_all(top.path().join("store/packs")).unwrap();
    fs::create_dir_all(top.path().join("elsewhere/aa")).unwrap();
    fs::write(top.path().join("elsewhere/aa/a"), b"x").unwrap();
    std::os::unix::fs::symlink(top.path().join("elsewhere/aa"), top.path().join("store/packs/aa")).unwrap();
    assert_eq!(store.list("packs").unwrap().len(), 1);
    fs::rename(top.path().join("elsewhere"), top.path().join("unplugged")).unwrap();
    for prefix in ["", "packs", "packs/aa"] {
        let error = store.list(prefix).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Other, "{prefix}: {error}");
    }
}

#[test]
fn left_overs_go_after_a_day() {
    let top = tempfile::tempdir().unwrap();
    let temporary = top.path().join(".tmp");
    fs::create_dir(&temporary).unwrap();
    for (file, hours) in [("old", 25), ("young", 23)] {
        let made = fs::File::create(temporary.join(file)).unwrap();
        made.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
    }
    LocalStore::new(top.path()).put(&name("config"), b"x").unwrap();
    assert!(!temporary.join("old").exists());
    assert!(temporary.join("young").exists());
}

#[test]
fn a_full_disk_says_so_and_leaves_nothing_half() {
    let disk = boveda::store::forgetful::ForgetfulDisk::new();
    let store = LocalStore::create_on(disk.clone(), Path::new("/srv")).unwrap();
    disk.set_room(Some(1000));
    assert_eq!(store.put(&name("packs/aa/a"), &[1; 1001]).unwrap_err().kind, ErrorKind::Full);
    assert_eq!(store.list("").unwrap(), []);
    store.put(&name("packs/aa/a"), &[1; 1000]).unwrap();
    assert_eq!(store.heal(&name("packs/aa/a"), b"x").unwrap_err().kind, ErrorKind::Full);
    assert_eq!(store.get(&name("packs/aa/a")).unwrap(), [1; 1000]);
}

/// As above on a real file system of one megabyte, which takes root to mount.
#[test]
fn a_full_file_system_says_so_and_leaves_nothing_half() {
    let top = tempfile::tempdir().unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(top.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: a small file system cannot be mounted here");
        return;
    }
    let store = LocalStore::new(top.path());
    let outcome = std::panic::catch_unwind(|| {
        store.put(&name("packs/aa/a"), &[1; 600_000]).unwrap();
        let full = store.put(&name("packs/aa/b"), &[2; 600_000]).unwrap_err();
        let heal = store.heal(&name("packs/aa/a"), &[3; 600_000]).unwrap_err();
        (full.kind, heal.kind, store.get(&name("packs/aa/a")).unwrap(), store.list("").unwrap().len())
    });
    assert!(Command::new("umount").arg(top.path()).status().unwrap().success());
    assert_eq!(outcome.unwrap(), (ErrorKind::Full, ErrorKind::Full, vec![1; 600_000], 1));
}

#[test]
fn folders_of_finished_sessions_do_not_pile_up() {
    let top = tempfile::tempdir().unwrap();
    let store = LocalStore::new(top.path());
    for session in 0..5 {
        store.put(&name(&format!("sess/w/{session}/open")), b"x").unwrap();
        store.put(&name(&format!("sess/w/{session}/beat/1")), b"x").unwrap();
        store.delete(&name(&format!("sess/w/{session}/beat/1"))).unwrap();
        store.delete(&name(&format!("sess/w/{session}/open"))).unwrap();
    }
    assert_eq!(fs::read_dir(top.path().join("sess/w")).unwrap().count(), 0);
}
