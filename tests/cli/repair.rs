//! `repair log`, `repair sessions` and `repair rollback`: what is shown, what `--yes` does, and what never happens.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Place, write};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Puts a copy of the repository in its place.
fn put_back(place: &Place, copied: &str) {
    std::fs::remove_dir_all(place.path("repository")).unwrap();
    copy(&place.path(copied), &place.path("repository"));
}

/// The log's files and what they hold.
fn log(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(place.path("repository/log")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

fn entry(place: &Place, position: u64) -> PathBuf {
    place.path(&format!("repository/log/{position:020}"))
}

#[test]
fn an_older_copy_is_refused_until_somebody_accepts_it() {
    let place = Place::init();
    write(&place.path("files/a"), "one");
    let kept = place.snapshot(&["files"], &[]);
    copy(&place.path("repository"), &place.path("older"));
    write(&place.path("files/a"), "another");
    let gone = place.snapshot(&["files"], &[]);
    place.admin(["repair", "rollback"]).ends(0).tells("nothing is gone");

    put_back(&place, "older");
    place.admin(["snapshots"]).ends(4).says("repair rollback");
    let shown = place.admin(["repair", "rollback"]).ends(4).tells("--yes");
    assert!(shown.out.contains(&gone), "{shown:?}");
    let shown = place.admin(["--json", "repair", "rollback"]).ends(4).message("rollback");
    assert_eq!((&shown["rolled_back"], &shown["accepted"]), (&true.into(), &false.into()));
    assert_eq!(shown["snapshots_gone"][0]["id"], gone.as_str());
    assert_eq!(shown["log_entry_gone"], Value::Null);
    place.admin(["snapshots"]).ends(4);

    write(&place.path("other.key"), "00".repeat(32));
    place.with_key("other.key", ["repair", "rollback", "--yes"]).ends(12);
    place.run(["-r", "nowhere", "--key-file", "admin.key", "repair", "rollback"]).ends(10);
    let accepted = place.admin(["--json", "repair", "rollback", "--yes"]).ends(0).message("rollback");
    assert_eq!(accepted["accepted"], true);
    let listed = place.admin(["--json", "snapshots"]).ends(0).json();
    assert_eq!((listed.len(), listed[0]["id"].as_str()), (1, Some(&kept[..])));
    place.snapshot(&["files"], &[]);
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn a_log_that_went_back_is_a_rollback_too() {
    let place = Place::init();
    copy(&place.path("repository"), &place.path("older"));
    place.admin(["key", "add", "--role", "reader", "--new-key-file", "reader.key"]).ends(0);
    put_back(&place, "older");
    place.admin(["snapshots"]).ends(4).says("repair rollback");
    let shown = place.admin(["--json", "repair", "rollback"]).ends(4).message("rollback");
    assert_eq!((&shown["log_entry_gone"], &shown["log_entry_found"]), (&1.into(), &0.into()));
    place.admin(["repair", "rollback", "--yes"]).ends(0).tells("goes on");
    place.admin(["snapshots"]).ends(0);
    place.with_key("reader.key", ["snapshots"]).ends(12);
}

#[test]
fn a_forged_entry_is_shown_and_voided() {
    let place = Place::init();
    place.admin(["key", "add", "--role", "writer", "--label", "writer", "--new-key-file", "writer.key"]).ends(0);
    write(&place.path("files/a"), "one");
    place.snapshot(&["files"], &[]);
    place.admin(["repair", "log"]).ends(0).tells("all is well");
    // One that is no entry at all, and behind it a good one from another place in the log.
    write(&entry(&place, 2), "forged");
    std::fs::copy(entry(&place, 1), entry(&place, 3)).unwrap();
    let before = log(&place);

    place.admin(["snapshot", "files"]).ends(4).says("repair log");
    place.with_key("writer.key", ["repair", "log", "--yes"]).ends(5);
    let shown = place.admin(["repair", "log"]).ends(4).tells("--yes");
    assert!(shown.out.contains("log entry 2") && shown.out.contains("log entry 3"), "{shown:?}");
    let json = place.admin(["--json", "repair", "log"]).ends(4);
    let entries: Vec<Value> = json.json().into_iter().filter(|line| line["message_type"] == "log_entry").collect();
    assert_eq!((entries.len(), &entries[0]["action"], &entries[0]["decision"]), (2, &"void".into(), &Value::Null));
    assert_eq!(log(&place), before, "looking changes nothing");

    let summary = place.admin(["--json", "repair", "log", "--yes"]).ends(0).message("summary");
    assert_eq!((&summary["voided"], &summary["restored"]), (&vec![2, 3].into(), &Value::Array(vec![])));
    let after = log(&place);
    assert!(before.iter().all(|file| after.contains(file)), "nothing is removed or changed");
    place.admin(["repair", "log"]).ends(0).tells("all is well");
    place.snapshot(&["files"], &[]);
    place.with_key("writer.key", ["snapshot", "files"]).ends(0);
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn a_good_entry_is_restored_from_its_second_copy_and_never_voided() {
    let place = Place::new();
    // Whoever names people can hope that somebody prints it.
    place
        .run([
            "-r",
            "repository",
            "init",
            "--label",
            "ad\u{1b}[2Jmin",
            "--new-key-file",
            "admin.key",
            "--recovery-key-file",
            "recovery",
        ])
        .ends(0);
    place.admin(["key", "add", "--role", "reader", "--label", "reader", "--new-key-file", "reader.key"]).ends(0);
    for damage in [true, false] {
        let good = std::fs::read(entry(&place, 1)).unwrap();
        if damage {
            std::fs::write(entry(&place, 1), vec![0; good.len()]).unwrap();
        } else {
            std::fs::remove_file(entry(&place, 1)).unwrap();
        }
        let shown = place.admin(["repair", "log"]).ends(4);
        assert!(shown.out.contains("CERT") && shown.out.contains("ad\\u{1b}[2Jmin"), "{shown:?}");
        assert!(!shown.out.contains('\u{1b}') && !shown.err.contains('\u{1b}'), "{shown:?}");
        let found = place.admin(["--json", "repair", "log"]).ends(4).message("log_entry");
        let said = ["action", "decision", "signed"].map(|field| found[field].clone());
        assert_eq!(said, [Value::from("restore"), Value::from("CERT"), Value::from(true)]);
        let summary = place.admin(["--json", "repair", "log", "--yes"]).ends(0).message("summary");
        assert_eq!((&summary["restored"], &summary["voided"]), (&vec![1].into(), &Value::Array(vec![])));
        assert!(std::fs::read(entry(&place, 1)).unwrap() == good);
        place.with_key("reader.key", ["snapshots"]).ends(0);
    }
}

#[test]
fn a_pack_that_is_gone_is_named_as_beyond_repair() {
    let place = Place::init();
    write(&place.path("files/a"), "one");
    place.snapshot(&["files"], &[]);
    place.admin(["repair", "objects"]).ends(0).tells("0 beyond repair");
    let mut folders = std::fs::read_dir(place.path("repository/packs")).unwrap().map(|folder| folder.unwrap().path());
    let packs = folders.find(|folder| folder.read_dir().unwrap().next().is_some()).unwrap();
    std::fs::remove_dir_all(packs).unwrap();
    let run = place.admin(["repair", "objects", "--dry-run"]).ends(4).says("it is missing");
    run.tells("1 beyond repair");
    let run = place.admin(["--json", "repair", "objects"]).ends(4);
    assert_eq!(run.message("summary")["num_errors"], 1);
}

/// The folder of the session that this place's only writer had as its `number`th.
fn session(place: &Place, number: u64) -> PathBuf {
    let mut writers = std::fs::read_dir(place.path("repository/sess")).unwrap();
    writers.next().unwrap().unwrap().path().join(format!("{number:020}"))
}

/// A place with two snapshots, of `files/a` and then also of `files/b`.
fn twice() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), "one");
    place.snapshot(&["files"], &[]);
    write(&place.path("files/b"), "another");
    place.snapshot(&["files"], &[]);
    place
}

#[test]
fn an_end_that_says_nothing_is_given_up_and_its_files_found_again() {
    let place = twice();
    place.admin(["key", "add", "--role", "maintainer", "--label", "m", "--new-key-file", "maintainer.key"]).ends(0);
    place.admin(["key", "add", "--role", "writer", "--label", "w", "--new-key-file", "writer.key"]).ends(0);
    place.admin(["repair", "sessions"]).ends(0).tells("all is well");
    let end = session(&place, 2).join("end");
    write(&end, "neither commit nor abort");
    let listed = place.admin(["--json", "snapshots"]).ends(4).json();
    assert_eq!(listed.iter().filter(|line| line["message_type"] == "snapshot").count(), 1);
    place.admin(["prune"]).ends(4).says("repair sessions");

    place.with_key("writer.key", ["repair", "sessions", "--yes"]).ends(5);
    let shown = place.admin(["repair", "sessions"]).ends(4).tells("--yes");
    assert!(shown.out.contains("/end"), "{shown:?}");
    let waits = place.with_key("maintainer.key", ["--json", "repair", "sessions", "--yes"]).ends(4);
    assert!(waits.message("bad_end")["waits_until"].is_string());
    assert_eq!(waits.message("summary")["waiting"], 1);
    place.admin(["prune"]).ends(4);

    let summary = place.admin(["--json", "repair", "sessions", "--yes"]).ends(0).message("summary");
    assert_eq!(summary["given_up"].as_array().unwrap().len(), 1);
    assert_eq!(std::fs::read_to_string(&end).unwrap(), "neither commit nor abort", "nothing is removed or changed");
    place.admin(["repair", "sessions"]).ends(0).tells("all is well");
    // Nobody takes that for a rollback; what is gone later still is one.
    place.admin(["snapshots"]).ends(0);
    place.admin(["recover"]).ends(0);
    let listed = place.admin(["--json", "snapshots", "--tag", "recovered"]).ends(0).json();
    assert_eq!(listed.len(), 1, "{listed:?}");
    place.admin(["restore", "latest", "--target", "back", "--tag", "recovered"]).ends(0);
    place.snapshot(&["files"], &[]);
    place.admin(["prune"]).ends(0);
    place.admin(["verify", "--level", "full"]).ends(0);
    let last = place.snapshot(&["files"], &[]);
    let newest = place.path("repository/sess");
    let writers = std::fs::read_dir(newest).unwrap().map(|entry| entry.unwrap().path());
    let sessions = writers.flat_map(|writer| std::fs::read_dir(writer).unwrap().map(|entry| entry.unwrap().path()));
    std::fs::remove_dir_all(sessions.max_by_key(|path| path.file_name().unwrap().to_owned()).unwrap()).unwrap();
    place.admin(["snapshots"]).ends(4).says(&last);
}

/// A decision explains one loss, not the next one that looks like it.
#[test]
fn what_takes_the_place_of_what_was_given_up_is_not_given_up_with_it() {
    let place = twice();
    write(&session(&place, 2).join("end"), "neither commit nor abort");
    place.admin(["repair", "sessions", "--yes"]).ends(0);
    let third = place.snapshot(&["files"], &[]);
    place.admin(["snapshots"]).ends(0);
    std::fs::remove_dir_all(session(&place, 3)).unwrap();
    place.admin(["snapshots"]).ends(4).says(&third);
}

#[test]
fn what_was_decided_about_one_end_says_nothing_of_another() {
    let place = twice();
    let end = session(&place, 2).join("end");
    let truth = std::fs::read(&end).unwrap();
    write(&end, "neither commit nor abort");
    place.admin(["repair", "sessions", "--yes"]).ends(0);
    // The storage gives the true one after all.
    std::fs::write(&end, &truth).unwrap();
    let listed = place.admin(["--json", "snapshots"]).ends(0).json();
    assert_eq!(listed.len(), 2, "it is a commit");
    std::fs::write(&end, "something else").unwrap();
    place.admin(["prune"]).ends(4).says("repair sessions");
}

#[test]
fn a_snapshot_that_is_gone_from_its_chain_is_accepted_as_gone() {
    let place = twice();
    std::fs::remove_dir_all(session(&place, 1)).unwrap();
    place.admin(["prune"]).ends(4).says("repair sessions");
    let gap = place.admin(["--json", "repair", "sessions"]).ends(4).message("gap");
    let summary = place.admin(["--json", "repair", "sessions", "--yes"]).ends(0).message("summary");
    assert_eq!(summary["accepted"][0], gap["snapshot"]);
    place.admin(["repair", "sessions"]).ends(0).tells("all is well");
    place.snapshot(&["files"], &[]);
    place.admin(["prune"]).ends(0);
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn what_a_newer_boveda_may_understand_is_not_given_up() {
    let place = twice();
    let end = session(&place, 2).join("end");
    let mut stored = std::fs::read(&end).unwrap();
    // The version of the armour, which stands at both of its ends and is checked there.
    for start in [0, stored.len() - 32] {
        let fixed = &mut stored[start..start + 32];
        fixed[8] += 1;
        let check = blake3::hash(&fixed[..20]);
        fixed[20..].copy_from_slice(&check.as_bytes()[..12]);
    }
    std::fs::write(&end, &stored).unwrap();
    place.admin(["repair", "sessions", "--yes"]).ends(4).says("newer");
    place.admin(["prune"]).ends(4);
}
