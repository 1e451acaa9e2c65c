//! `verify` and `repair`: what is found, what is mended, and with which exit code.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Place, Run, write};
use crate::world::noise;

/// A repository with a snapshot of a file whose name is hostile.
fn place() -> Place {
    let place = Place::init();
    write(&place.path("files/a\u{1b}[2J"), "precious ".repeat(1000));
    place.snapshot(&["files"], &[]);
    place
}

/// The repository's files below `folder`.
fn stored(place: &Place, folder: &str) -> Vec<PathBuf> {
    let mut found = vec![place.path("repository").join(folder)];
    let mut next = 0;
    while next < found.len() {
        if found[next].is_dir() {
            let folder = found.swap_remove(next);
            found.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            next += 1;
        }
    }
    found
}

fn only(place: &Place, folder: &str) -> PathBuf {
    let mut found = stored(place, folder);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Flips one bit.
fn hurt(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Overwrites everything.
fn ruin(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::write(file, vec![0; length as usize]).unwrap();
}

fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_level_passes_an_intact_repository() {
    let place = place();
    for (level, shown) in
        [("quick", "quick"), ("scrub", "scrub"), ("structure", "structure"), ("sample=50%", "sample"), ("full", "full")]
    {
        let summary = place.admin(["--json", "verify", "--level", level]).ends(0).message("summary");
        assert_eq!((&summary["level"], &summary["num_errors"]), (&shown.into(), &0.into()), "{level}");
        let whole = matches!(shown, "scrub" | "sample" | "full");
        assert_eq!(summary["packs_read"], u64::from(whole), "{level}");
    }
    assert_eq!(place.admin(["--json", "verify"]).ends(0).message("summary")["level"], "usual");
    assert!(place.admin(["verify"]).ends(0).out.contains("all is well"));
    for wrong in ["deep", "sample", "sample=0%", "sample=101%"] {
        place.admin(["verify", "--level", wrong]).ends(2);
    }
}

#[test]
fn the_storage_machine_scrubs_without_keys() {
    let place = place();
    let keyless =
        |options: &[&str]| place.run(["--json", "-r", "repository", "verify", "--keyless"].iter().chain(options));
    let summary = keyless(&[]).ends(0).message("summary");
    assert_eq!((&summary["level"], &summary["keyless"], &summary["packs"]), (&"scrub".into(), &true.into(), &1.into()));
    assert_eq!(summary["objects"], stored(&place, "").len() as u64);
    keyless(&["--level", "scrub"]).ends(0);
    keyless(&["--level", "full"]).ends(2);
    place.run(["-r", "nowhere", "verify", "--keyless"]).ends(10);
    let pack = only(&place, "packs");
    hurt(&pack);
    let run = keyless(&[]).ends(4).says(name(&pack));
    assert_eq!(run.message("summary")["healable"], 1);
    ruin(&pack);
    assert_eq!(keyless(&[]).ends(4).message("summary")["healable"], 0);
    // Without a config that opens, too.
    for config in ["repository/config", "repository/config.2"] {
        ruin(&place.path(config));
    }
    keyless(&[]).ends(4).says("config.2");
}

#[test]
fn what_damage_costs_is_named() {
    let place = place();
    let pack = only(&place, "packs");
    ruin(&pack);
    let run = place.admin(["verify", "--level", "full"]).ends(4).says(name(&pack));
    assert!(!run.err.contains('\u{1b}'), "{}", run.err);
    fs::remove_file(&pack).unwrap();
    place.admin(["verify", "--level", "quick"]).ends(4).says("missing");
}

#[test]
fn objects_are_mended_from_parity_and_from_their_other_copies() {
    let place = place();
    let repository = |name: &str| place.path("repository").join(name);
    let before: Vec<_> = stored(&place, "").into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    hurt(&only(&place, "packs"));
    hurt(&stored(&place, "sess")[0]);
    ruin(&repository("config"));
    fs::remove_file(repository("log/00000000000000000000.2")).unwrap();
    let dry = place.admin(["--json", "repair", "objects", "--dry-run"]).ends(0);
    assert_eq!((&dry.message("summary")["repaired"], &dry.message("summary")["dry_run"]), (&4.into(), &true.into()));
    place.admin(["verify", "--level", "full"]).ends(4).says("config");
    let run = place.admin(["--json", "repair", "objects"]).ends(0);
    let by = |object: &str| {
        let lines = run.json();
        lines.into_iter().find(|line| line["object"] == object).map(|line| line["by"].clone())
    };
    assert_eq!(by("config"), Some("other copy".into()));
    assert_eq!(by("log/00000000000000000000.2"), Some("other copy".into()));
    for (bytes, file) in before {
        assert!(fs::read(&file).unwrap() == bytes, "{}", file.display());
    }
    place.admin(["verify", "--level", "full"]).ends(0);
    assert!(place.admin(["repair", "objects"]).ends(0).out.starts_with("0 of"));
}

#[test]
fn what_is_beyond_repair_is_named_and_left() {
    let place = place();
    let pack = only(&place, "packs");
    ruin(&pack);
    let run = place.admin(["--json", "repair", "objects"]).ends(4).says(name(&pack));
    assert_eq!((&run.message("summary")["repaired"], &run.message("summary")["num_errors"]), (&0.into(), &1.into()));
    assert!(pack.exists());
}

#[test]
fn what_is_beyond_repair_is_stored_again_from_unchanged_files() {
    let place = Place::init();
    write(&place.path("files/kept"), noise(5, 300_000));
    write(&place.path("files/gone"), noise(6, 200_000));
    let first = place.snapshot(&["files"], &[]);
    let pack = only(&place, "packs");
    ruin(&pack);
    let summary = |run: &Run| run.message("summary");
    let repaired = place.admin(["--json", "repair", "objects"]).ends(4);
    assert_eq!(summary(&repaired)["packs_marked"], 1);
    assert_eq!(summary(&place.admin(["--json", "repair", "objects"]).ends(4))["packs_marked"], 0);
    fs::remove_file(place.path("files/gone")).unwrap();
    let again = place.admin(["--json", "snapshot", "files"]).ends(0);
    assert!(summary(&again)["data_added"].as_u64().unwrap() >= 300_000, "{again:?}");
    let again = place.admin(["--json", "snapshot", "files"]).ends(0);
    assert!(summary(&again)["data_added"].as_u64().unwrap() < 10_000, "{again:?}");
    place.admin(["restore", "latest", "--target", "back"]).ends(0);
    let below = place.path("back").join(place.path("files").strip_prefix("/").unwrap());
    assert!(fs::read(below.join("kept")).unwrap() == noise(5, 300_000));
    // What the source has no more is lost with the pack: as long as the first snapshot stands, nobody can tell what it needs.
    place.admin(["prune"]).ends(4);
    assert!(pack.exists());
    place.admin(["forget", &first, "--yes-really"]).ends(0);
    place.admin(["prune"]).ends(0);
    assert!(!pack.exists());
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn a_pack_that_comes_back_is_relied_on_again() {
    let place = place();
    let pack = only(&place, "packs");
    let truth = fs::read(&pack).unwrap();
    ruin(&pack);
    place.admin(["repair", "objects"]).ends(4);
    fs::write(&pack, truth).unwrap();
    let run = place.admin(["--json", "repair", "objects"]).ends(0);
    assert_eq!(run.message("summary")["packs_cleared"], 1);
    let run = place.admin(["--json", "snapshot", "files"]).ends(0);
    assert!(run.message("summary")["data_added"].as_u64().unwrap() < 1_000, "{run:?}");
}

#[test]
fn what_is_lost_is_marked_until_it_is_whole_again() {
    let place = place();
    let first = only(&place, "packs");
    write(&place.path("files/more"), noise(77, 100_000));
    let second = place.snapshot(&["files"], &[]);
    let pack = stored(&place, "packs").into_iter().find(|pack| *pack != first).unwrap();
    let truth = fs::read(&pack).unwrap();
    ruin(&pack);
    place.admin(["key", "add", "--role", "reader", "--new-key-file", "reader.key"]).ends(0);
    place.with_key("reader.key", ["verify", "--mark"]).ends(5);
    let ids = |run: &Run, what: &str| {
        run.message("summary")[what]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let run = place.admin(["--json", "verify", "--level", "full", "--mark"]).ends(4);
    assert_eq!((ids(&run, "marked"), ids(&run, "unmarked")), (vec![second.clone()], vec![]));
    let tagged = place.admin(["--json", "snapshots", "--tag", "damaged"]).ends(0).json();
    assert_eq!(tagged[0]["id"], second.as_str());
    // The older one is the last good one, and stays.
    place.admin(["forget", "--keep-tag", "nothing", "--dry-run"]).ends(4).tells("last good");
    let run = place.admin(["--json", "verify", "--level", "full", "--mark"]).ends(4);
    assert!(ids(&run, "marked").is_empty());
    fs::write(&pack, truth).unwrap();
    let run = place.admin(["--json", "verify", "--mark"]).ends(0);
    assert!(ids(&run, "unmarked").is_empty(), "it has not read everything");
    let run = place.admin(["--json", "verify", "--level", "full", "--mark"]).ends(0);
    assert_eq!(ids(&run, "unmarked"), [second]);
    assert!(place.admin(["--json", "snapshots", "--tag", "damaged"]).ends(0).json().is_empty());
}

#[test]
fn repairs_are_for_maintainers_and_admins() {
    let place = place();
    for role in ["writer", "reader", "maintainer"] {
        let file = format!("{role}.key");
        place.admin(["key", "add", "--role", role, "--new-key-file", &file]).ends(0);
    }
    for (verb, role, code) in [
        ("objects", "writer.key", 5),
        ("objects", "reader.key", 5),
        ("objects", "maintainer.key", 0),
        ("index", "writer.key", 5),
        ("index", "maintainer.key", 5),
        ("index", "admin.key", 0),
    ] {
        place.with_key(role, ["repair", verb]).ends(code);
    }
    place.with_key("writer.key", ["verify", "--level", "structure"]).ends(5);
    place.with_key("writer.key", ["verify", "--level", "scrub"]).ends(0);
    place.with_key("maintainer.key", ["verify"]).ends(0);
    place.admin(["repair"]).ends(2);
}

#[test]
fn lost_indexes_are_made_anew() {
    let place = place();
    write(&place.path("files/second"), "second");
    place.snapshot(&["files"], &[]);
    let lost = stored(&place, "idx");
    assert_eq!(lost.len(), 4);
    ruin(&lost[0]);
    lost[1..].iter().for_each(|index| fs::remove_file(index).unwrap());
    place.admin(["verify", "--level", "structure"]).ends(4).says(name(&lost[0]));
    let run = place.admin(["--json", "repair", "index"]).ends(0);
    let summary = run.message("summary");
    let count = |field: &str| summary[field].as_array().unwrap().len();
    assert_eq!((count("lost"), count("made"), &summary["packs"]), (4, 2, &2.into()));
    assert_eq!(stored(&place, "idx").len(), 2, "what was left of a lost one is gone");
    let run = place.admin(["verify", "--level", "full"]).ends(0);
    assert_eq!(run.err, "");
    place.admin(["restore", "latest", "--target", "back"]).ends(0);
    let back = place.path("back").join(place.path("files/second").strip_prefix("/").unwrap());
    assert_eq!(fs::read(back).unwrap(), b"second");
    assert!(place.admin(["repair", "index"]).ends(0).out.contains("every index can be read"));
    place.snapshot(&["files"], &[]);
    place.admin(["verify", "--level", "full"]).ends(0);
}

/// Damage to do, its name, and the exit codes of what is done next.
type Damage<'a> = (&'static str, &'a dyn Fn(&Place), [i32; 5]);

/// What is beyond repair ends every command that it concerns with 4, and no other; what selects a snapshot that nobody can see any
/// more fails as for any that is not there, after the damage was named.
#[test]
fn each_damage_has_its_exit_code() {
    let newest = |place: &Place, what: &str| {
        let mut found = stored(place, "");
        found.retain(|file| file.to_str().unwrap().ends_with(what));
        found.sort();
        found.pop().unwrap()
    };
    let log = |place: &Place| {
        ["log/00000000000000000000", "log/00000000000000000000.2"].map(|name| place.path("repository").join(name))
    };
    let cases: [Damage<'_>; 8] = [
        ("one config", &|place| ruin(&place.path("repository/config")), [0, 0, 0, 4, 0]),
        (
            "both configs",
            &|place| ["config", "config.2"].iter().for_each(|name| ruin(&place.path("repository").join(name))),
            [4; 5],
        ),
        ("both copies of an entry", &|place| log(place).iter().for_each(|file| ruin(file)), [4; 5]),
        ("an opening", &|place| ruin(&newest(place, "open")), [0, 0, 0, 4, 0]),
        ("an end", &|place| ruin(&newest(place, "end")), [4, 1, 1, 4, 4]),
        ("the indexes", &|place| stored(place, "idx").iter().for_each(|file| ruin(file)), [0, 0, 0, 4, 0]),
        ("a pack", &|place| ruin(&only(place, "packs")), [0, 4, 4, 4, 0]),
        ("no pack", &|place| fs::remove_file(only(place, "packs")).unwrap(), [0, 4, 4, 4, 4]),
    ];
    for (what, damage, expected) in cases {
        let place = place();
        damage(&place);
        let codes = [
            &["snapshots"][..],
            &["ls", "latest"],
            &["restore", "latest", "--target", "out"],
            &["verify"],
            &["snapshot", "files"],
        ]
        .map(|arguments| place.admin(arguments).code);
        assert_eq!(codes, expected, "{what}");
    }
}
