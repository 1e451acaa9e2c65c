//! `key`: what each role may, and what opens whose keys.

use super::{Place, Run, write};

/// Some content that nothing else has.
fn noise() -> Vec<u8> {
    boveda::crypto::secret::random::<100_000>().to_vec()
}

/// Bytes of chunks that a snapshot had to store.
fn added(run: &Run) -> u64 {
    run.message("summary")["data_added"].as_u64().unwrap()
}

pub(super) fn place_with_roles() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), noise());
    place.snapshot(&["files"], &[]);
    for role in ["writer", "reader", "maintainer"] {
        let key = format!("{role}.key");
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", &key]).ends(0);
    }
    place
}

#[test]
fn a_writer_adds_with_deduplication_and_reads_nothing() {
    let place = place_with_roles();
    let run = place.with_key("writer.key", ["--json", "snapshot", "files"]).ends(0);
    assert!(added(&run) < 10_000, "the admin's chunks are relied on: {run:?}");

    for refused in [
        &["snapshots"][..],
        &["ls", "latest"],
        &["restore", "latest", "--target", "out"],
        &["key", "add", "--role", "admin", "--new-key-file", "new.key"],
    ] {
        place.with_key("writer.key", refused).ends(5);
    }
    assert!(!place.path("new.key").exists());
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).json().len(), 2);
}

#[test]
fn readers_and_maintainers_keep_to_their_roles() {
    let place = place_with_roles();
    place.with_key("reader.key", ["restore", "latest", "--target", "out"]).ends(0);
    place.with_key("reader.key", ["snapshot", "files"]).ends(5);
    let listed = place.with_key("maintainer.key", ["--json", "snapshots"]).ends(0).json();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].get("paths").is_none() && listed[0].get("hostname").is_none());
    place.with_key("maintainer.key", ["ls", "latest"]).ends(5);
}

#[test]
fn slots_come_and_go() {
    let place = Place::init();
    place.admin(["key", "slot", "add", "--new-key-file", "second.key"]).ends(0);
    place.with_key("second.key", ["snapshots"]).ends(0);
    place.with_key("second.key", ["key", "passwd", "--new-key-file", "third.key"]).ends(0);
    place.with_key("second.key", ["snapshots"]).ends(12);
    let me = place.with_key("third.key", ["--json", "key", "list"]).ends(0).message("principal");
    let slots = me["slots"].as_array().unwrap();
    assert_eq!((slots.len(), &me["role"], &me["current"]), (3, &"admin".into(), &true.into()));
    let current = slots.iter().find(|slot| slot["current"] == true).unwrap();
    place.admin(["key", "remove", &current["id"].as_str().unwrap()[..12]]).ends(0);
    place.with_key("third.key", ["snapshots"]).ends(12);
    place.admin(["key", "remove", "ffffffffffff"]).ends(1);
}

#[test]
fn a_new_recovery_key_replaces_the_old_one() {
    let place = Place::init();
    place.admin(["key", "recovery", "--recovery-key-file", "new-recovery"]).ends(0);
    place.with_key("recovery", ["snapshots"]).ends(12);
    place.with_key("new-recovery", ["snapshots"]).ends(0);
    place.admin(["key", "recovery", "--recovery-key-file", "new-recovery"]).ends(2);
    place.with_key("new-recovery", ["snapshots"]).ends(0);
}

#[test]
fn one_writer_relies_on_another_only_when_told_to() {
    let place = place_with_roles();
    place.admin(["key", "add", "--role", "writer", "--label", "other", "--new-key-file", "other.key"]).ends(0);
    write(&place.path("files/b"), noise());
    place.with_key("writer.key", ["snapshot", "files"]).ends(0);
    place.admin(["key", "trust", "writer", "--by", "other"]).ends(0);
    let run = place.with_key("other.key", ["--json", "snapshot", "files"]).ends(0);
    assert!(added(&run) < 10_000, "{run:?}");
    place.admin(["key", "add", "--role", "writer", "--label", "third", "--new-key-file", "third.key"]).ends(0);
    let run = place.with_key("third.key", ["--json", "snapshot", "files"]).ends(0);
    assert!(added(&run) >= 100_000, "{run:?}");
    place.admin(["key", "trust", "nobody"]).ends(1).says("nobody");
}

#[test]
fn who_is_revoked_is_out_and_everybody_else_goes_on() {
    let place = place_with_roles();
    place.with_key("writer.key", ["snapshot", "files"]).ends(0);
    place.admin(["key", "revoke", "writer", "--reason", "stolen"]).ends(0);
    assert_ne!(place.with_key("writer.key", ["snapshot", "files"]).code, 0);
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).json().len(), 2);
    place.snapshot(&["files"], &[]);
    place.with_key("reader.key", ["restore", "latest", "--target", "out"]).ends(0);
    place.admin(["key", "revoke", "admin"]).ends(5);
}

#[test]
fn a_recovery_sheet_is_proved_without_changing_anything() {
    let place = Place::init();
    let check = |file: &str| place.run(["-r", "repository", "--json", "key", "recovery", "--check", file]);
    let files = || {
        let mut find = std::process::Command::new("find");
        Run::of(find.arg(place.path("")).args(["-printf", "%p %s %T@\n"])).ends(0).out
    };
    let before = files();
    let checked = check("recovery").ends(0).message("recovery_key_checked");
    assert_eq!(checked["role"], "admin");
    place.run(["-r", "repository", "key", "recovery", "--check", "recovery"]).ends(0).tells("opens the repository");
    assert_eq!(files(), before);
    // Typed in.
    let mut command = place.command(["-r", "repository", "key", "recovery", "--check", "-"]);
    Run::of(command.stdin(std::fs::File::open(place.path("recovery")).unwrap())).ends(0);

    place.admin(["key", "recovery", "--recovery-key-file", "new-recovery"]).ends(0);
    check("recovery").ends(12);
    check("new-recovery").ends(0);
    check("admin.key").ends(2).says("raw key");
    check("nowhere").ends(2);
    let misspelt = std::fs::read_to_string(place.path("new-recovery")).unwrap();
    let last = misspelt.trim_end().rsplit(' ').next().unwrap().to_owned();
    write(&place.path("misspelt"), misspelt.replace(&last, &format!("{last}x")));
    check("misspelt").ends(2).says("word");
    place.run(["-r", "nowhere", "key", "recovery", "--check", "recovery"]).ends(10);
}

#[test]
fn a_recovery_key_that_was_replaced_does_not_come_back() {
    let place = Place::init();
    place.admin(["key", "recovery", "--recovery-key-file", "new-recovery"]).ends(0);
    place.admin(["key", "recovery", "--recovery-key-file", "recovery"]).ends(2).says("remove the file");
    place.with_key("recovery", ["snapshots"]).ends(12);
    // Cut short behind the new slot: the old one was not removed yet. Doing it again ends it.
    let slots = place.path("repository/slots");
    let kept: Vec<_> = std::fs::read_dir(&slots).unwrap().map(|slot| slot.unwrap().path()).collect();
    let kept: Vec<_> = kept.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    place.admin(["key", "recovery", "--recovery-key-file", "third"]).ends(0);
    for (path, bytes) in kept.into_iter().filter(|(path, _)| !path.exists()) {
        write(&path, bytes);
    }
    place.with_key("new-recovery", ["snapshots"]).ends(0);
    place.admin(["key", "recovery", "--recovery-key-file", "third"]).ends(0);
    place.with_key("new-recovery", ["snapshots"]).ends(12);
    place.with_key("third", ["snapshots"]).ends(0);
    place.admin(["key", "recovery", "--recovery-key-file", "third"]).ends(2);
}

#[test]
fn what_was_done_already_is_not_done_twice() {
    let place = Place::init();
    for _ in 0..2 {
        place.admin(["key", "add", "--role", "reader", "--label", "reader", "--new-key-file", "reader.key"]).ends(0);
        place.admin(["key", "slot", "add", "--new-key-file", "second.key"]).ends(0);
        place.with_key("second.key", ["key", "passwd", "--new-key-file", "second.key"]).ends(0);
    }
    let listed = place.admin(["--json", "key", "list"]).ends(0).json();
    let slots: Vec<_> = listed.iter().map(|member| member["slots"].as_array().unwrap().len()).collect();
    assert_eq!(slots, [3, 1]);
    // Another key, and the label is somebody's.
    place.admin(["key", "add", "--role", "reader", "--label", "reader", "--new-key-file", "other.key"]).ends(1);
}
