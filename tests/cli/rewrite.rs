//! `rewrite` and `recover`: snapshots that are made of others, or of what is left of them.

use std::path::Path;

use super::{Place, write};
use crate::world::noise;

fn listed(place: &Place, id: &str) -> Vec<String> {
    let run = place.admin(["ls", id]).ends(0);
    let strip = place.path("").display().to_string();
    run.out.lines().filter_map(|line| line.strip_prefix(&strip)).map(str::to_owned).collect()
}

fn place() -> (Place, String) {
    let place = Place::init();
    write(&place.path("a/keep/file"), noise(1, 200_000));
    write(&place.path("a/cache/big"), noise(2, 100_000));
    write(&place.path("a/cache/deep/\u{1b}[2Jx"), "x");
    write(&place.path("a/x.tmp"), "tmp");
    let id = place.snapshot(&["a"], &["--tag", "t", "--exclude", "*.bak"]);
    (place, id)
}

#[test]
fn a_rewritten_snapshot_lacks_what_the_patterns_name_and_nothing_else() {
    let (place, old) = place();
    let run = place.admin(["--json", "rewrite", &old, "--exclude", "cache", "-e", "*.tmp"]).ends(0);
    let done = run.message("rewritten");
    assert_eq!((&done["original"], &done["left_out_entries"]), (&old.as_str().into(), &5.into()));
    assert_eq!(done["left_out_bytes"], 100_004);
    let new = done["snapshot_id"].as_str().unwrap();
    assert_eq!(listed(&place, new), ["a", "a/keep", "a/keep/file"]);
    assert_eq!(listed(&place, &old).len(), 8);
    let all = place.admin(["--json", "snapshots"]).ends(0).json();
    let [before, after] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&after["id"], &after["original"]), (&new.into(), &old.as_str().into()));
    for same in ["time", "hostname", "paths", "tags", "username"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_eq!(after["excludes"], serde_json::json!(["*.bak", "cache", "*.tmp"]));
    // The content is what it was, and the repository sound.
    place.admin(["restore", new, "--target", "out"]).ends(0);
    let restored = place.path("out").join(place.path("a/keep/file").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(restored).unwrap(), noise(1, 200_000));
    place.admin(["verify", "--level", "full"]).ends(0);
    // Of two of one time the rewritten one is the latest; and one rewritten again names the first.
    assert_eq!(place.admin(["--json", "ls", "latest"]).message("snapshot")["id"], new);
    let run = place.admin(["--json", "rewrite", new, "--exclude", "file"]).ends(0);
    assert_eq!(run.message("rewritten")["left_out_entries"], 1);
    assert_eq!(place.admin(["--json", "ls", "latest"]).message("snapshot")["original"], old.as_str());
}

#[test]
fn the_next_snapshot_still_follows_the_source() {
    let (place, old) = place();
    place.admin(["rewrite", "latest", "--exclude", "cache"]).ends(0);
    let run = place.admin(["--json", "snapshot", "a"]).ends(0);
    let summary = run.message("summary");
    assert_eq!((&summary["parent"], &summary["files_new"]), (&old.as_str().into(), &0.into()), "{summary}");
}

#[test]
fn what_fits_nothing_and_dry_runs_write_nothing() {
    let (place, old) = place();
    let objects = |place: &Place| place.admin(["-q", "list", "sessions"]).out;
    let before = objects(&place);
    let run = place.admin(["--json", "rewrite", &old, "--exclude", "nothing-like-it"]).ends(0);
    assert_eq!((&run.message("summary")["changed_snapshots"], run.json().len()), (&0.into(), 1));
    let run = place.admin(["--json", "rewrite", &old, "-n", "--exclude", "cache"]).ends(0);
    assert!(run.message("rewritten").get("snapshot_id").is_none());
    assert_eq!(objects(&place), before);
    place.admin(["rewrite", &old]).ends(2);
    place.admin(["rewrite", "--exclude", "x"]).ends(2).says("no snapshot is named");
    place.admin(["rewrite", &old, "--exclude", "["]).ends(2).says("exclude pattern");
    place.admin(["rewrite", "ffff0000", "--exclude", "x"]).ends(1);
    for role in ["reader", "writer", "maintainer"] {
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", &format!("{role}.key")]).ends(0);
        place.with_key(&format!("{role}.key"), ["rewrite", &old, "--exclude", "cache"]).ends(5);
        place.with_key(&format!("{role}.key"), ["recover"]).ends(5);
    }
}

#[test]
fn what_a_writer_stored_whom_nobody_trusts_is_stored_anew() {
    let (place, _) = place();
    place.admin(["key", "add", "--role", "writer", "--label", "web", "--new-key-file", "web.key"]).ends(0);
    write(&place.path("b/file"), noise(7, 300_000));
    let run = place.with_key("web.key", ["--json", "snapshot", "b"]).ends(0);
    write(&place.path("b/other"), "other");
    let run = match run.message("summary")["snapshot_id"].as_str() {
        Some(id) => place.admin(["--json", "rewrite", id, "--exclude", "file"]).ends(0),
        None => panic!("{run:?}"),
    };
    assert_eq!(run.message("rewritten")["left_out_bytes"], 300_000);
    place.admin(["verify", "--level", "full"]).ends(0);
}

/// Removes the end of a session: its record is gone with it.
fn lose_record(place: &Place, id: &str) {
    let record = place.admin(["--json", "cat", "snapshot", id]).ends(0).message("snapshot_record");
    let (writer, number) = record["session"].as_str().unwrap().split_once('/').unwrap();
    let end = format!("repository/sess/{writer}/{:0>20}/end", number);
    std::fs::remove_file(place.path(&end)).unwrap();
}

#[test]
fn a_lost_record_is_found_by_its_catalog() {
    let (place, first) = place();
    write(&place.path("a/more"), noise(9, 150_000));
    let second = place.snapshot(&["a"], &[]);
    lose_record(&place, &second);
    // This machine knows that it was there.
    place.admin(["snapshots"]).ends(4).says("gone");
    let run = place.admin(["--json", "recover", "--dry-run"]).ends(0).says(&second);
    let found = run.message("recovered");
    assert_eq!(found["paths"][0]["path"], place.path("a").to_str().unwrap());
    place.admin(["snapshots"]).ends(4);
    let run = place.admin(["--json", "recover"]).ends(0);
    let id = run.message("recovered")["snapshot_id"].as_str().unwrap().to_owned();
    assert_eq!(run.message("summary")["recovered_snapshots"], 1);
    let all = place.admin(["--json", "snapshots"]).ends(0).json();
    let one = |id: &str| all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no {id} in {all:?}"));
    let (first, recovered) = (one(&first), one(&id));
    assert_eq!((all.len(), &recovered["tags"][0]), (2, &"recovered".into()));
    assert_eq!((&recovered["hostname"], &recovered["tree"]), (&first["hostname"], &found["tree"]));
    place.admin(["restore", &format!("{id}:{}", place.path("a").display()), "--target", "out"]).ends(0);
    assert_eq!(std::fs::read(place.path("out/more")).unwrap(), noise(9, 150_000));
    place.admin(["verify", "--level", "full"]).ends(0);
    // Nothing is left to find, and nothing is found twice.
    let run = place.admin(["--json", "recover"]).ends(0);
    assert_eq!(run.message("summary")["lost_catalogs"], 0);
}

#[test]
fn another_machine_recovers_what_a_writer_lost() {
    let (place, _) = place();
    place.admin(["key", "add", "--role", "writer", "--label", "web", "--new-key-file", "web.key"]).ends(0);
    write(&place.path("b/file"), noise(7, 300_000));
    let run = place.with_key("web.key", ["--json", "snapshot", "b"]).ends(0);
    lose_record(&place, run.message("summary")["snapshot_id"].as_str().unwrap());
    let run = place.admin(["--json", "recover", "-H", "web"]).ends(0);
    let id = run.message("recovered")["snapshot_id"].as_str().unwrap().to_owned();
    place.admin(["restore", &format!("{id}:{}", place.path("b").display()), "--target", "out"]).ends(0);
    assert_eq!(std::fs::read(place.path("out/file")).unwrap(), noise(7, 300_000));
    assert_eq!(place.admin(["--json", "ls", &id]).message("snapshot")["hostname"], "web");
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn where_nothing_is_lost_nothing_is_found() {
    let (place, id) = place();
    place.admin(["rewrite", &id, "--exclude", "cache"]).ends(0);
    let run = place.admin(["--json", "recover"]).ends(0);
    assert_eq!((&run.message("summary")["lost_catalogs"], run.err.as_str()), (&0.into(), ""));
    assert!(Path::new(&place.path("repository")).exists());
}
