//! `sync`, copies of the configuration, reading from them, and `copy`.

use super::{Place, Run, write};
use crate::world::noise;
use std::path::PathBuf;

/// A repository with two snapshots.
fn place() -> Place {
    let place = Place::init();
    write(&place.path("a/file"), noise(1, 200_000));
    place.snapshot(&["a"], &[]);
    write(&place.path("a/file"), noise(2, 200_000));
    place.snapshot(&["a"], &[]);
    place
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// Runs on another location with the admin's key.
fn at(place: &Place, location: &str, arguments: &[&str]) -> Run {
    place.run([&["-r", location, "--key-file", "admin.key"], arguments].concat())
}

fn packs(place: &Place, repository: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(place.path(repository).join("packs")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn a_copy_is_begun_followed_and_read() {
    let place = place();
    let preview = place.admin(["sync", "repository", "copy", "-n"]).ends(0);
    let preview =
        preview.tells("(a new copy)").tells("2 snapshots").tells("S3 would charge").tells("2 snapshots behind");
    assert!(!place.path("copy").exists(), "{preview:?}");
    place.admin(["sync", "repository", "copy"]).ends(0).tells("a new copy").tells("has every snapshot");
    let again = place.admin(["--json", "sync", "copy"]).ends(0).message("synced");
    assert_eq!((&again["founded"], &again["snapshots"]), (&false.into(), &0.into()));
    assert_eq!(again["put"]["packs"], 0);
    assert_eq!(again["behind"]["snapshots"], 0);
    assert!(again["behind"]["since"].is_null());
    // This machine, which knows the source, and one that knows nothing.
    for _ in 0..2 {
        let shown = at(&place, "copy", &["snapshots", "--json"]).ends(0);
        assert_eq!(shown.json().len(), 2);
        place.admin(["snapshots"]).ends(0);
    }
    at(&place, "copy", &["verify", "--level", "full"]).ends(0);
    at(&place, "copy", &["restore", "latest", "--target", "out"]).ends(0);
    let restored = place.path("out").join(place.path("a/file").strip_prefix("/").unwrap());
    assert!(std::fs::read(restored).unwrap() == noise(2, 200_000));
    let mut command = place.command(["snapshots", "--json"]);
    command.env("HOME", place.path("elsewhere"));
    command.env("BOVEDA_REPOSITORY", place.path("copy")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
    assert_eq!(Run::of(&mut command).ends(0).json().len(), 2);
}

#[test]
fn a_copy_that_went_back_is_seen() {
    let place = place();
    place.admin(["sync", "copy"]).ends(0);
    let run = std::process::Command::new("cp").args(["-a", "copy", "old"]).current_dir(place.path("")).status();
    assert!(run.unwrap().success());
    place.snapshot(&["a"], &[]);
    place.admin(["sync", "copy"]).ends(0);
    std::fs::remove_dir_all(place.path("copy")).unwrap();
    std::fs::rename(place.path("old"), place.path("copy")).unwrap();
    at(&place, "copy", &["snapshots"]).ends(4).says("went back in time");
    // A sync says so, and brings what is gone once more.
    place.admin(["sync", "copy"]).ends(0).says("it went back in time").tells("has every snapshot");
    assert_eq!(at(&place, "copy", &["snapshots", "--json"]).ends(0).json().len(), 3);
}

#[test]
fn places_that_cannot_be_copies_are_refused() {
    let place = place();
    place.admin(["sync", "repository", "repository"]).ends(2).says("not a copy of itself");
    place.admin(["sync"]).ends(2).says("the configuration has none");
    place.admin(["sync", "nowhere", "copy"]).ends(10);
    place.run(["-r", "other", "init", "--new-key-file", "other.key", "--recovery-key-file", "words"]).ends(0);
    place.admin(["sync", "other"]).ends(1).says("another one").says("boveda copy");
    assert!(!place.path("nowhere").exists());
    write(&place.path("full/idx/00000000000000000000/x"), "not ours");
    write(&place.path("full/log/00000000000000000000"), "another log");
    place.admin(["sync", "full"]).ends(1).says("objects of a repository");
    place.admin(["key", "add", "--role", "reader", "--label", "r", "--new-key-file", "reader.key"]).ends(0);
    place.with_key("reader.key", ["sync", "copy"]).ends(5);
    place.with_key("other.key", ["sync", "copy"]).ends(12);
    assert!(!place.path("copy").join("config").exists());
    place.admin(["sync", "a", "b", "c"]).ends(2);
}

#[test]
fn forgetting_travels_when_asked_and_not_under_a_hold() {
    let place = place();
    place.admin(["sync", "copy"]).ends(0);
    place.admin(["forget", "latest~1"]).ends(0);
    place.admin(["sync", "copy"]).ends(0);
    assert_eq!(at(&place, "copy", &["snapshots", "--json"]).ends(0).json().len(), 2);
    let hold = place.admin(["--json", "hold", "--why", "look"]).ends(0).message("hold");
    place.admin(["sync", "copy", "--forget"]).ends(5).says("hold");
    place.admin(["release", hold["id"].as_str().unwrap()]).ends(0);
    let preview = place.admin(["--json", "sync", "copy", "--forget", "-n"]).ends(0).message("synced");
    assert_eq!(preview["forgotten"], 1);
    place.admin(["sync", "copy", "--forget"]).ends(0).tells("1 snapshot forgotten there too");
    assert_eq!(at(&place, "copy", &["snapshots", "--json"]).ends(0).json().len(), 1);
}

#[test]
fn names_cannot_drive_the_terminal() {
    let place = place();
    let run = place.admin(["sync", "co\u{1b}[2Jpy"]).ends(0);
    assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'), "{run:?}");
}

/// A configuration with a copy at this location.
fn configured(place: &Place, copy: &str) {
    let (repository, key) = (text(place.path("repository")), text(place.path("admin.key")));
    let config = format!(
        "[repository.home]\nurl = '{repository}'\nkey_file = '{key}'\n[repository.home.copy.usb]\nurl = '{copy}'\n"
    );
    write(&place.path("home/.config/boveda/config.toml"), config);
}

#[test]
fn every_snapshot_brings_the_copies_of_the_configuration_up_to_date() {
    let place = place();
    configured(&place, &text(place.path("usb")));
    let run = place.run(["--json", "snapshot", "a"]).ends(0);
    assert_eq!(run.message("synced")["copy"], "usb");
    assert_eq!(run.message("synced")["behind"]["snapshots"], 0);
    assert_eq!(at(&place, "usb", &["snapshots", "--json"]).ends(0).json().len(), 3);
    place.run(["snapshot", "a", "--no-copies"]).ends(0);
    let behind = place.run(["--json", "sync", "@usb", "-n"]).ends(0).message("synced");
    assert_eq!(behind["behind"]["snapshots"], 1);
    place.run(["sync"]).ends(0).tells("usb: 1 snapshot");
    // The copy is not part of a snapshot that holds its folder.
    place.run(["snapshot", &text(place.path(""))]).ends(0);
    place.run(["ls", "latest", &text(place.path("usb/config"))]).ends(1);
    // A place that cannot be written.
    std::fs::remove_dir_all(place.path("usb")).unwrap();
    write(&place.path("usb"), "a file");
    let run = place.run(["--json", "snapshot", "a"]).ends(3);
    assert!(run.message("summary")["snapshot_id"].is_string());
    run.says("the copy usb is not up to date");
    place.run(["sync"]).ends(10).says("not a directory");
    assert_eq!(place.run(["snapshots", "--json"]).ends(0).json().len(), 6);
}

/// The repository itself is gone: how old the copies are is what matters then.
#[test]
fn a_sync_whose_source_is_gone_says_how_old_the_copies_are() {
    let place = place();
    configured(&place, &text(place.path("usb")));
    place.run(["snapshot", "a", "--time", "2026-01-02 12:00"]).ends(0);
    place.run(["snapshot", "a", "--no-copies"]).ends(0);
    std::fs::rename(place.path("repository"), place.path("away")).unwrap();
    let run = place.run(["sync"]).ends(10);
    run.tells("usb has 3 snapshots").tells("at most 1 snapshot behind, as far as this machine knows");
    let told = place.run(["--json", "sync"]).ends(10).message("copy_age");
    assert_eq!((&told["copy"], &told["snapshots"], &told["behind_at_most"]), (&"usb".into(), &3.into(), &1.into()));
    assert!(told["age_seconds"].as_u64().is_some() && told["newest"].is_string(), "{told}");
    // Another machine, which never saw the repository.
    let mut command = place.command(["--json", "sync"]);
    command.env("XDG_STATE_HOME", place.path("elsewhere")).env("XDG_CACHE_HOME", place.path("elsewhere"));
    assert!(Run::of(&mut command).ends(10).message("copy_age")["behind_at_most"].is_null());
    // One that is gone too, and a wrong key, are told of, and the code is that of the source.
    std::fs::rename(place.path("usb"), place.path("gone")).unwrap();
    place.run(["sync"]).ends(10).says("how old the copy usb is cannot be told");
}

#[test]
fn what_is_damaged_is_read_from_a_copy_and_mended_from_it() {
    let place = place();
    configured(&place, &text(place.path("usb")));
    place.run(["sync"]).ends(0);
    for pack in packs(&place, "repository") {
        std::fs::remove_file(pack).unwrap();
    }
    place.admin(["-r", "repository", "verify", "--level", "quick"]).ends(4);
    let run = place.run(["restore", "latest", "--target", "out"]).ends(0);
    run.says("read from the copy usb");
    let restored = place.path("out").join(place.path("a/file").strip_prefix("/").unwrap());
    assert!(std::fs::read(restored).unwrap() == noise(2, 200_000));
    place.run(["repair", "objects"]).ends(4);
    place.run(["repair", "objects", "--from", "@usb", "-n"]).ends(0).tells("would mend").tells("other place");
    place.run(["repair", "objects", "--from", "usb"]).ends(0).tells("mended");
    place.run(["verify", "--level", "full"]).ends(0);
    place.run(["-r", "other", "init", "--new-key-file", "other.key", "--recovery-key-file", "words"]).ends(0);
    place.run(["repair", "objects", "--from", "other"]).ends(1).says("another one");
    place.run(["repair", "objects", "--from", "nowhere"]).ends(10);
}

#[test]
fn snapshots_are_copied_to_another_repository_once() {
    let place = Place::init();
    let made = ["-r", "other", "init", "--new-key-file", "other.key", "--recovery-key-file", "words"];
    place.run(made).ends(0);
    for number in 0..20_u64 {
        write(&place.path("a/file"), noise(number, 30_000));
        write(&place.path("a/same"), noise(99, 300_000));
        place.snapshot(
            &["a"],
            &["--host", "web-1", "--tag", "daily", "--time", &format!("2026-01-{:02} 12:00", number + 1)],
        );
    }
    let copy = |more: &[&str]| {
        let words = ["--json", "copy", "repository", "other", "--to-key-file", "other.key"];
        place.admin(words.iter().chain(more))
    };
    assert_eq!(copy(&["-n"]).ends(0).message("summary")["copied_snapshots"], 20);
    assert_eq!(copy(&["latest"]).ends(0).message("summary")["copied_snapshots"], 1);
    let all = copy(&[]).ends(0);
    assert_eq!(all.message("summary")["copied_snapshots"], 19);
    assert_eq!(all.message("summary")["known_snapshots"], 1);
    assert_eq!(copy(&[]).ends(0).message("summary")["copied_snapshots"], 0);
    let key = ["-r", "other", "--key-file", "other.key"];
    let shown = place.run(key.iter().chain(&["--json", "snapshots"])).ends(0).json();
    let originals = place.admin(["--json", "snapshots"]).ends(0).json();
    assert_eq!(shown.len(), 20);
    for (copy, original) in shown.iter().zip(&originals) {
        for field in ["time", "hostname", "username", "paths", "tags", "total_entries", "total_bytes"] {
            assert_eq!(copy[field], original[field], "{field}");
        }
        assert_eq!(copy["original"], original["id"]);
    }
    place.run(key.iter().chain(&["verify", "--level", "full"])).ends(0);
    for number in [0, 7, 19] {
        let target = format!("out{number}");
        let id = shown[number].get("id").unwrap().as_str().unwrap();
        place.run(key.iter().chain(&["restore", id, "--target", target.as_str()])).ends(0);
        let restored = place.path(&target).join(place.path("a").strip_prefix("/").unwrap());
        assert!(std::fs::read(restored.join("file")).unwrap() == noise(number as u64, 30_000));
        assert!(std::fs::read(restored.join("same")).unwrap() == noise(99, 300_000));
    }
    // Not from and to the same one, nor without keys.
    place.admin(["copy", "repository", "repository"]).ends(2);
    place.admin(["sync", "copy"]).ends(0);
    place.admin(["copy", "repository", "copy"]).ends(2).says("boveda sync");
    place.admin(["copy", "repository", "other"]).ends(12);
    place.admin(["copy", "repository", "nowhere"]).ends(10);
    place.admin(["copy", "repository", "other", "feedfeed", "--to-key-file", "other.key"]).ends(1);
    place.admin(["key", "add", "--role", "writer", "--label", "w", "--new-key-file", "writer.key"]).ends(0);
    place.with_key("writer.key", ["copy", "repository", "other", "--to-key-file", "other.key"]).ends(5);
}
