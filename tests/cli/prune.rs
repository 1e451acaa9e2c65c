//! `prune` and `forget --prune`: what they print, and what they end with.

use super::{Place, write};
use crate::world::noise;

/// A place with two snapshots of one file, the first of them forgotten.
fn forgotten() -> Place {
    let place = Place::init();
    for seed in [1, 2] {
        write(&place.path("a/file"), noise(seed, 300_000));
        place.snapshot(&["a"], &["-H", "web"]);
    }
    place.admin(["forget", "latest~1"]).ends(0);
    place
}

fn packs(place: &Place) -> usize {
    place.admin(["-q", "list", "packs"]).ends(0).out.lines().count()
}

#[test]
fn what_was_forgotten_is_deleted_and_does_not_come_back() {
    let place = forgotten();
    let before = packs(&place);
    let preview = place.admin(["--json", "prune", "-n"]).ends(0).message("pruned");
    assert_eq!((&preview["dry_run"], packs(&place)), (&true.into(), before));
    assert!(preview["condemned"]["bytes"].as_u64().unwrap() > 300_000, "{preview}");
    place.admin(["prune", "--dry-run"]).ends(0).tells("would go");

    let run = place.admin(["prune"]).ends(0);
    assert!(run.out.contains("needed") && run.out.contains("deleted"), "{}", run.out);
    assert!(packs(&place) < before);
    place.admin(["prune"]).ends(0).tells("0 packs (0 B) deleted");
    place.admin(["forget", "--undo"]).ends(1).says("some of what it held is gone");
    place.admin(["verify", "--level", "full"]).ends(0);
    place.admin(["restore", "latest", "--target", "out"]).ends(0);
    place.snapshot(&["a"], &[]);
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn forget_prunes_if_it_is_told_to_and_forgot_anything() {
    let place = Place::init();
    for seed in [1, 2] {
        write(&place.path("a/file"), noise(seed, 300_000));
        place.snapshot(&["a"], &["-H", "web"]);
    }
    let before = packs(&place);
    let nothing = place.admin(["--json", "forget", "--keep-last", "2", "--prune"]).ends(0);
    assert!(!nothing.out.contains("pruned"), "{}", nothing.out);
    let preview = place.admin(["--json", "forget", "--keep-last", "1", "--prune", "-n"]).ends(0);
    assert!(!preview.out.contains("pruned"), "{}", preview.out);
    let run = place.admin(["--json", "forget", "--keep-last", "1", "--prune"]).ends(0);
    assert!(run.message("pruned")["deleted"]["bytes"].as_u64().unwrap() > 300_000, "{}", run.out);
    assert_eq!(run.message("summary")["forgotten_snapshots"], 1);
    assert!(packs(&place) < before);
    place.admin(["verify", "--level", "full"]).ends(0);
    place.admin(["forget", "--undo", "--prune"]).ends(2);
}

#[test]
fn what_it_does_not_do_it_says() {
    let place = forgotten();
    let before = packs(&place);
    place.admin(["hold", "--why", "look \u{1b}[2J here"]).ends(0);
    place.admin(["prune"]).ends(5).says("look \\u{1b}[2J here").says("boveda release");
    place.admin(["forget", "--keep-last", "1", "--prune"]).ends(5);
    place.admin(["release", "--all"]).ends(0);
    place.admin(["prune", "--wait", "soon"]).ends(2).says("s, m, h or d");
    for role in ["writer", "reader"] {
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", role]).ends(0);
        place.with_key(role, ["prune"]).ends(5).says("do not allow pruning");
    }
    place.with_key("writer", ["prune", "-n"]).ends(5);
    place.with_key("reader", ["prune", "-n"]).ends(0);
    assert_eq!(packs(&place), before);
    place.admin(["key", "add", "--role", "maintainer", "--label", "m", "--new-key-file", "m"]).ends(0);
    place.with_key("m", ["prune"]).ends(0);
    assert!(packs(&place) < before);
}

#[test]
fn damage_stops_it() {
    let place = forgotten();
    let find = |folder: &str| {
        let run = super::Run::of(std::process::Command::new("find").arg(place.path(folder)).args(["-type", "f"]));
        run.out.lines().next().unwrap().to_owned()
    };
    let before = packs(&place);
    let index = find("repository/idx");
    std::fs::rename(&index, place.path("away")).unwrap();
    place.admin(["prune"]).ends(4).says("is lost").says("boveda verify");
    place.admin(["prune", "-n"]).ends(4);
    std::fs::rename(place.path("away"), &index).unwrap();
    assert_eq!(packs(&place), before);
    place.admin(["prune"]).ends(0);
}
