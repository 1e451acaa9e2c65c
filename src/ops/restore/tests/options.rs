//! Parts, policies, deletion, stripping and reading back.

use super::super::{Delete, Overwrite};
use super::*;
use crate::ops::select::{Patterns, Select};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

fn select(include: &[&str], exclude: &[&str]) -> Select {
    let bytes = |patterns: &[&str]| patterns.iter().map(|pattern| pattern.as_bytes().to_vec()).collect();
    Select::new(&Patterns { include: bytes(include), exclude: bytes(exclude), ..Patterns::default() }).unwrap()
}

fn delete(roots: &[&str]) -> Option<Delete> {
    Some(Delete { roots: roots.iter().map(|root| path(root)).collect(), ..Delete::default() })
}

/// Restores without a complaint.
#[track_caller]
fn restored(snapshot: &Snapshot, selection: &str, target: &Path, options: &Options) -> Summary {
    let listener = Listener::default();
    let options = Options { threads: 3, ..options.clone() };
    let summary = snapshot.restore_with(selection, target, &options, &listener).unwrap();
    assert_eq!(listener.problems(), [""; 0]);
    summary
}

/// Relative paths of all that is in a directory.
fn tree(target: &Path) -> Vec<String> {
    let names = gather(target).entries.into_iter().map(|(path, _)| path.to_bytes());
    let mut names: Vec<_> = names.map(|path| String::from_utf8(path).unwrap()).filter(|path| path != "/").collect();
    names.sort();
    names
}

fn sample() -> Snapshot {
    let mut snapshot = Snapshot::new();
    snapshot.directory("/home").mode = 0o711;
    snapshot.directory("/home/ann").mode = 0o750;
    snapshot.file("/home/ann/a.txt", &[b"text"]);
    snapshot.file("/home/ann/b.o", &[b"object"]);
    snapshot.directory("/home/ann/sub").mode = 0o700;
    snapshot.file("/home/ann/sub/c.txt", &[b"more text"]);
    snapshot.directory("/home/bob");
    snapshot.directory("/home/bob/empty");
    snapshot.file("/home/zoe", &[b"a file"]);
    snapshot
}

#[test]
fn patterns_pick_a_part_and_folders_on_the_way_get_their_attributes() {
    let temp = scratch();
    let options = Options { select: select(&["*.txt", "/home/bob"], &["sub"]), ..Options::default() };
    let summary = restored(&sample(), "/", temp.path(), &options);
    let expected = ["/home", "/home/ann", "/home/ann/a.txt", "/home/bob", "/home/bob/empty"];
    assert_eq!(tree(temp.path()), expected);
    assert_eq!((summary.files, summary.directories), (1, 4));
    let home = temp.path().join("home").metadata().unwrap();
    assert_eq!((home.mode() & 0o7777, home.mtime()), (0o711, 1_234_567_890));
    // Patterns are from the snapshot's root, whatever part of it is restored.
    let part = scratch();
    let options = Options { select: select(&["/home/ann/sub"], &[]), ..Options::default() };
    restored(&sample(), "/home/ann", part.path(), &options);
    assert_eq!(tree(part.path()), ["/sub", "/sub/c.txt"]);
}

#[test]
fn what_exists_gives_way_as_asked() {
    let text = |target: &Path| std::fs::read_to_string(target.join("f")).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.file("/f", &[b"snap"]);
    let moment = |seconds| std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 987_654_321);
    let old = moment(1_234_567_000);
    let same = moment(1_234_567_890);
    let new = moment(1_234_568_000);
    for (overwrite, time, there, expected) in [
        (Overwrite::Always, same, "here", "snap"),
        (Overwrite::Never, old, "here", "here"),
        (Overwrite::IfNewer, old, "here", "snap"),
        (Overwrite::IfNewer, same, "here", "here"),
        (Overwrite::IfNewer, new, "here", "here"),
        (Overwrite::IfChanged, same, "here", "here"),
        (Overwrite::IfChanged, same, "longer", "snap"),
        (Overwrite::IfChanged, new, "here", "snap"),
    ] {
        let temp = scratch();
        std::fs::write(temp.path().join("f"), there).unwrap();
        std::fs::File::options().write(true).open(temp.path().join("f")).unwrap().set_modified(time).unwrap();
        let dry = Options { overwrite, dry_run: true, ..Options::default() };
        let told = restored(&snapshot, "/", temp.path(), &dry);
        assert_eq!(text(temp.path()), there);
        let summary =
            restored(&snapshot, "/", temp.path(), &Options { overwrite, verify: false, ..Options::default() });
        assert_eq!(text(temp.path()), expected, "{overwrite:?} {there}");
        assert_eq!(
            (told.updated, told.unchanged, told.kept),
            (summary.updated, summary.unchanged, summary.kept),
            "{overwrite:?} {there}"
        );
        assert_eq!(summary.updated + summary.unchanged + summary.kept, 1);
    }
}

#[test]
fn never_leaves_links_and_things_of_other_kinds_alone() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    snapshot.add("/link", EntryKind::Symlink(b"new".to_vec())).mode = 0o777;
    snapshot.directory("/dir");
    snapshot.file("/dir/f", &[b"x"]);
    symlink("old", temp.path().join("link")).unwrap();
    std::fs::write(temp.path().join("dir"), "a file").unwrap();
    let listener = Listener::default();
    let options = Options { overwrite: Overwrite::Never, ..Options::default() };
    let summary = snapshot.restore_with("/", temp.path(), &options, &listener).unwrap();
    assert_eq!(std::fs::read_link(temp.path().join("link")).unwrap(), Path::new("old"));
    assert_eq!(std::fs::read(temp.path().join("dir")).unwrap(), b"a file");
    assert_eq!((summary.kept, summary.problems, summary.skipped), (1, 1, 2));
}

/// A target with more in it than the snapshot has.
fn crowded(target: &Path) {
    for dir in ["home/ann/extra/deep", "home/ann/b.o/in the way", "home/bob/empty/not", "home/other", "elsewhere"] {
        std::fs::create_dir_all(target.join(dir)).unwrap();
    }
    for file in ["home/ann/extra/deep/f", "home/ann/new.txt", "home/ann/keep.iso", "home/ann/extra/x.iso", "top"] {
        std::fs::write(target.join(file), "x").unwrap();
    }
}

#[test]
fn deleting_makes_the_snapshots_own_folders_as_they_were() {
    let temp = scratch();
    crowded(temp.path());
    let options = Options { delete: delete(&["/home/ann", "/home/bob"]), ..Options::default() };
    let dry = Options { dry_run: true, ..options.clone() };
    let before = tree(temp.path());
    let told = restored(&sample(), "/", temp.path(), &dry);
    assert_eq!(tree(temp.path()), before);
    let summary = restored(&sample(), "/", temp.path(), &options);
    // Above the paths that the snapshot was taken of, nobody knows what else there was.
    let mut expected: Vec<_> = sample().entries.iter().map(|(path, _)| path.to_bytes()).collect();
    expected.extend([b"/top".to_vec(), b"/elsewhere".to_vec(), b"/home/other".to_vec()]);
    let mut expected: Vec<_> = expected.into_iter().map(|path| String::from_utf8(path).unwrap()).collect();
    expected.retain(|path| path != "/");
    expected.sort();
    assert_eq!(tree(temp.path()), expected);
    assert_eq!(std::fs::read(temp.path().join("home/ann/b.o")).unwrap(), b"object");
    assert_eq!(summary.deleted, 9);
    assert_eq!(told.deleted + 2, summary.deleted, "what stands in a file's place is deleted with it");
    let ann = temp.path().join("home/ann").metadata().unwrap();
    assert_eq!((ann.mode() & 0o7777, ann.mtime()), (0o750, 1_234_567_890), "times are set after the deletion");
}

#[test]
fn patterns_and_what_the_snapshot_left_out_hold_for_deletion_too() {
    let temp = scratch();
    crowded(temp.path());
    let deleting = Delete { left_out: select(&[], &["*.iso"]), ..delete(&["/home"]).unwrap() };
    let options = Options { delete: Some(deleting), select: select(&["/home/ann"], &["deep"]), ..Options::default() };
    restored(&sample(), "/", temp.path(), &options);
    for (there, expected) in [
        ("home/ann/new.txt", false),
        ("home/ann/keep.iso", true),
        ("home/ann/extra/x.iso", true),
        ("home/ann/extra/deep/f", true),
        ("home/other", true),
        ("home/bob/empty/not", true),
        ("top", true),
    ] {
        assert_eq!(temp.path().join(there).exists(), expected, "{there}");
    }
}

#[test]
fn what_a_mark_or_its_size_kept_out_of_the_snapshot_stays() {
    let temp = scratch();
    for file in ["home/ann/sub/CACHEDIR.TAG", "home/ann/sub/thumb", "home/ann/new/CACHEDIR.TAG", "home/ann/new/thumb"] {
        std::fs::create_dir_all(temp.path().join(file).parent().unwrap()).unwrap();
        std::fs::write(temp.path().join(file), "x").unwrap();
    }
    std::fs::write(temp.path().join("home/ann/large"), [0; 101]).unwrap();
    std::fs::write(temp.path().join("home/ann/small"), [0; 100]).unwrap();
    let markers = vec![name("CACHEDIR.TAG")];
    let deleting = Delete { markers, larger_than: Some(100), ..delete(&["/home"]).unwrap() };
    restored(&sample(), "/", temp.path(), &Options { delete: Some(deleting), ..Options::default() });
    for (there, expected) in [("sub/thumb", true), ("new/thumb", true), ("large", true), ("small", false)] {
        assert_eq!(temp.path().join("home/ann").join(there).exists(), expected, "{there}");
    }
}

#[test]
fn one_file_is_restored_without_deleting_its_neighbours() {
    let temp = scratch();
    std::fs::write(temp.path().join("neighbour"), "x").unwrap();
    restored(&sample(), "/home/zoe", temp.path(), &Options { delete: delete(&["/home"]), ..Options::default() });
    assert_eq!(tree(temp.path()), ["/neighbour", "/zoe"]);
}

#[test]
fn the_root_of_the_file_system_is_no_place_to_delete_in() {
    let options = Options { delete: delete(&["/"]), dry_run: true, ..Options::default() };
    let refused = sample().restore_with("/", Path::new("/usr/.."), &options, &Listener::default());
    assert!(matches!(refused, Err(Error::DeleteRoot)));
    let picked = Options { select: select(&["/no/such/thing"], &[]), ..options };
    assert!(sample().restore_with("/", Path::new("/"), &picked, &Listener::default()).is_ok());
}

#[test]
fn deleting_follows_no_link_and_keeps_what_is_to_be_kept() {
    let temp = scratch();
    let (target, outside) = (temp.path().join("target"), temp.path().join("outside"));
    std::fs::create_dir_all(target.join("home/ann/repository")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("victim"), "x").unwrap();
    symlink(&outside, target.join("home/ann/link")).unwrap();
    let own = target.join("home/ann/repository").metadata().unwrap();
    let within = target.join("home/ann/sub/other repository");
    std::fs::create_dir_all(within.join("packs")).unwrap();
    let other = within.metadata().unwrap();
    let keep = vec![(own.dev(), own.ino()), (other.dev(), other.ino())];
    let deleting = Delete { keep, ..delete(&["/home"]).unwrap() };
    let listener = Listener::default();
    let options = Options { delete: Some(deleting), ..Options::default() };
    // The one is not in the snapshot at all; the other is, as the empty folder that was not entered.
    let mut snapshot = sample();
    snapshot.directory("/home/ann/sub/other repository");
    snapshot.restore_with("/", &target, &options, &listener).unwrap();
    assert!(target.join("home/ann/repository").is_dir());
    assert!(within.join("packs").is_dir());
    assert!(!target.join("home/ann/link").exists());
    assert_eq!(std::fs::read(outside.join("victim")).unwrap(), b"x");
    assert_eq!(listener.problems(), [""; 0]);
}

#[test]
fn folders_swapped_for_links_while_deleting_cost_nothing_outside() {
    let temp = scratch();
    let (target, outside) = (temp.path().join("target"), temp.path().join("outside"));
    std::fs::create_dir_all(&outside).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.directory("/d");
    for index in 0..100 {
        snapshot.directory(&format!("/d/{index:03}"));
        std::fs::create_dir_all(outside.join(format!("{index:03}/more"))).unwrap();
        std::fs::write(outside.join(format!("{index:03}/victim")), "x").unwrap();
    }
    let before = tree(&outside);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, aside, decoy) = (target.join("d"), target.join("aside"), target.join("decoy"));
            while !over.load(Ordering::Relaxed) {
                let _ = symlink(&outside, &decoy);
                for (from, to) in [(&dir, &aside), (&decoy, &dir), (&dir, &decoy), (&aside, &dir)] {
                    let _ = std::fs::rename(from, to);
                }
            }
        });
        for _ in 0..5 {
            for index in 0..100 {
                let _ = std::fs::create_dir_all(target.join(format!("d/{index:03}/extra/deep")));
            }
            let options = Options { delete: delete(&["/"]), ..Options::default() };
            let _ = snapshot.restore_with("/", &target, &options, &Listener::default());
        }
        over.store(true, Ordering::Relaxed);
    });
    // The preparation above goes through links; the restore does not.
    let after: Vec<_> = tree(&outside).into_iter().filter(|path| !path.contains("extra")).collect();
    assert_eq!(after, before);
}

#[test]
fn leading_names_are_stripped_and_folders_merge() {
    let temp = scratch();
    let mut snapshot = sample();
    snapshot.directory("/srv");
    snapshot.directory("/srv/ann").mode = 0o700;
    snapshot.file("/srv/ann/d.txt", &[b"other"]);
    let options = Options { strip: 1, ..Options::default() };
    let summary = restored(&snapshot, "/", temp.path(), &options);
    let expected =
        ["/ann", "/ann/a.txt", "/ann/b.o", "/ann/d.txt", "/ann/sub", "/ann/sub/c.txt", "/bob", "/bob/empty", "/zoe"];
    assert_eq!(tree(temp.path()), expected);
    assert_eq!(summary.files, 5);
    assert_eq!(temp.path().join("ann").metadata().unwrap().mode() & 0o7777, 0o700, "the last one wins");
    let deeper = scratch();
    restored(&snapshot, "/home", deeper.path(), &Options { strip: 2, verify: true, ..Options::default() });
    assert_eq!(tree(deeper.path()), ["/c.txt"]);
}

/// Spoils a file as soon as it was restored.
struct Spoiler(std::path::PathBuf, Listener);

impl Sink for Spoiler {
    fn emit(&self, event: Event) {
        if matches!(&event, Event::Restored { path, .. } if path.ends_with(b"a.txt")) {
            std::fs::write(&self.0, "tExt").unwrap();
        }
        self.1.emit(event);
    }
}

#[test]
fn reading_back_finds_what_differs() {
    let temp = scratch();
    let mut snapshot = sample();
    let hole = Extent::Hole { length: 3 << 20 };
    let chunk = snapshot.chunk(b"end");
    snapshot.add("/sparse", EntryKind::File(Content::Extents(vec![hole, chunk])));
    let options = Options { verify: true, ..Options::default() };
    assert_eq!(restored(&snapshot, "/", temp.path(), &options).verified, 5);
    let spoiler = Spoiler(temp.path().join("home/ann/a.txt"), Listener::default());
    let summary = snapshot.restore_with("/", temp.path(), &options, &spoiler).unwrap();
    assert_eq!((summary.verified, summary.problems), (4, 1));
    assert!(spoiler.1.problems()[0].contains("first at byte 1"), "{:?}", spoiler.1.problems());
    // What was to stay as it is is not held against the snapshot.
    let options = Options { overwrite: Overwrite::Never, ..options };
    let summary = restored(&snapshot, "/", temp.path(), &options);
    assert_eq!((summary.verified, summary.kept), (0, 5));
}

#[test]
fn a_dry_run_looks_at_what_is_there() {
    let temp = scratch();
    sample().check(temp.path());
    std::fs::write(temp.path().join("home/zoe"), "another").unwrap();
    std::fs::remove_dir(temp.path().join("home/bob/empty")).unwrap();
    std::fs::set_permissions(temp.path().join("home"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let summary = restored(&sample(), "/", temp.path(), &Options { dry_run: true, ..Options::default() });
    assert_eq!((summary.updated, summary.unchanged, summary.files, summary.directories), (1, 3, 4, 5));
    assert_eq!(std::fs::read(temp.path().join("home/zoe")).unwrap(), b"another");
}
