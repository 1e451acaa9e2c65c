//! What lands where, and what becomes of the target itself.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn sample() -> Snapshot {
    let mut snapshot = Snapshot::new();
    snapshot.directory("/home").mode = 0o711;
    snapshot.directory("/home/ann").mode = 0o750;
    snapshot.file("/home/ann/notes", &[b"notes"]);
    snapshot.directory("/home/ann/empty").mode = 0o700;
    snapshot.directory("/home/ann.old");
    snapshot.add("/home/ann/link", EntryKind::Symlink(b"notes".to_vec())).mode = 0o777;
    snapshot
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

#[test]
fn the_whole_snapshot_goes_below_the_target() {
    let temp = scratch();
    let target = temp.path().join("made/on the way");
    let summary = sample().check(&target);
    assert_eq!((summary.files, summary.directories, summary.others, summary.bytes), (1, 4, 1, 5));
    assert_eq!(mode(&target), 0o755);
}

#[test]
fn a_directory_becomes_the_target() {
    let temp = scratch();
    let listener = Listener::default();
    sample().restore("/home/ann", temp.path(), &listener);
    sample().compare("/home/ann", temp.path());
    assert_eq!(mode(temp.path()), 0o750);
    assert_eq!(temp.path().metadata().unwrap().mtime(), 1_234_567_890);
    assert!(listener.problems().is_empty());
}

#[test]
fn anything_else_goes_into_the_target() {
    let temp = scratch();
    let before = mode(temp.path());
    sample().restore("/home/ann/notes", temp.path(), &Listener::default());
    sample().restore("/home/ann/link", temp.path(), &Listener::default());
    assert_eq!(std::fs::read(temp.path().join("notes")).unwrap(), b"notes");
    assert_eq!(std::fs::read_link(temp.path().join("link")).unwrap(), Path::new("notes"));
    assert_eq!(mode(temp.path()), before);
}

#[test]
fn a_target_that_others_use_keeps_its_own_attributes() {
    let temp = scratch();
    for (selection, used, bits, kept) in [
        ("/", true, 0o777, true),
        ("/", false, 0o777, false),
        ("/home/ann", false, 0o1777, true),
        ("/home/ann", true, 0o777, false),
    ] {
        let target = temp.path().join(format!("{used}{bits}{kept}"));
        std::fs::create_dir(&target).unwrap();
        if used {
            std::fs::write(target.join("other"), "").unwrap();
        }
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(bits)).unwrap();
        sample().restore(selection, &target, &Listener::default());
        assert_eq!(mode(&target) == bits, kept, "{selection} {used} {bits:o}");
    }
}

#[test]
fn a_dry_run_makes_nothing_and_tells_everything() {
    let temp = scratch();
    let target = temp.path().join("not made");
    let listener = Listener::default();
    let options = Options { dry_run: true, ..Options::default() };
    let summary = sample().restore_with("/home", &target, &options, &listener).unwrap();
    assert_eq!((summary.files, summary.directories, summary.others, summary.bytes), (1, 3, 1, 5));
    assert!(!target.exists());
    let events = listener.0.lock().unwrap();
    let told = |event: &&Event| matches!(event, Event::Restored { path, .. } if path == b"/home/ann/notes");
    assert_eq!(events.iter().filter(told).count(), 1);
}

#[test]
fn a_target_that_is_a_file_is_an_error() {
    let temp = scratch();
    let target = temp.path().join("file");
    std::fs::write(&target, "").unwrap();
    let error = sample().restore_with("/", &target, &Options::default(), &Listener::default()).unwrap_err();
    assert!(error.to_string().contains("cannot use"), "{error}");
    let error = sample().restore_with("/home/bob", &target, &Options::default(), &Listener::default()).unwrap_err();
    assert_eq!(error.to_string(), "the snapshot has no /home/bob");
}
