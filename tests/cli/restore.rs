//! `restore`: the way back, the whole or a part, and what damage does to it.

use super::{Place, write};
use std::fs;
use std::path::PathBuf;

pub(super) fn place_with_snapshot() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    write(&place.path("files/deep/b"), vec![7; 300_000]);
    place.snapshot(&["files"], &[]);
    place
}

#[test]
fn a_whole_snapshot_keeps_absolute_paths_and_a_folder_gives_its_content() {
    let place = place_with_snapshot();
    place.admin(["restore", "latest", "--target", "whole"]).ends(0);
    let files = place.path("files");
    let below = place.path("whole").join(files.strip_prefix("/").unwrap());
    assert_eq!(fs::read(below.join("deep/b")).unwrap(), vec![7; 300_000]);
    let selector = format!("latest:{}", files.display());
    place.admin(["restore", &selector, "--target", "part"]).ends(0);
    assert_eq!(fs::read(place.path("part/a")).unwrap(), b"first");
    let run = place.admin(["--json", "restore", &selector, "--target", "part"]).ends(0);
    assert_eq!(run.message("summary")["files_unchanged"], 2);
    place.admin(["restore", &format!("{selector}/a"), "--target", "one"]).ends(0);
    assert_eq!(fs::read(place.path("one/a")).unwrap(), b"first");
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = place_with_snapshot();
    let run = place.admin(["--json", "-v", "restore", "--dry-run", "latest", "--target", "never"]).ends(0);
    assert!(run.out.contains("/files/deep/b"), "{}", run.out);
    assert!(!place.path("never").exists());
    place.admin(["restore", "latest:/no/such", "--target", "never"]).ends(1).says("/no/such");
}

#[test]
fn lost_packs_are_damage_and_the_rest_comes_back() {
    let place = place_with_snapshot();
    for pack in packs(&place) {
        fs::remove_file(pack).unwrap();
    }
    place.admin(["restore", "latest", "--target", "whole"]).ends(4);
}

#[test]
fn a_flipped_byte_heals_by_itself() {
    let place = place_with_snapshot();
    for pack in packs(&place) {
        let mut bytes = fs::read(&pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&pack).unwrap();
        fs::write(&pack, bytes).unwrap();
    }
    let selector = format!("latest:{}", place.path("files").display());
    place.admin(["restore", &selector, "--target", "part"]).ends(0);
    assert_eq!(fs::read(place.path("part/deep/b")).unwrap(), vec![7; 300_000]);
}

pub(super) fn packs(place: &Place) -> Vec<PathBuf> {
    let folders = fs::read_dir(place.path("repository/packs")).unwrap();
    let packs = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let packs: Vec<_> = packs.map(|pack| pack.unwrap().path()).collect();
    assert!(!packs.is_empty());
    packs
}
