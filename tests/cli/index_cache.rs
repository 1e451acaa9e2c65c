//! What a machine keeps of the indexes, as its user meets it: it is listed, cleared, damaged, or has no room.

use super::{Place, write};
use std::fs;
use std::path::PathBuf;

fn place() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    write(&place.path("files/deep/b"), vec![7; 300_000]);
    place.snapshot(&["files"], &[]);
    place
}

/// The files of the index cache of the only repository.
fn runs(place: &Place) -> Vec<PathBuf> {
    let caches = fs::read_dir(place.path("home/.cache/boveda")).unwrap();
    let files = caches.flat_map(|cache| fs::read_dir(cache.unwrap().path()).unwrap()).map(|file| file.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("chunks-")).collect()
}

fn restored(place: &Place, target: &str) -> super::Run {
    let selector = format!("latest:{}", place.path("files").display());
    let run = place.admin(["restore", &selector, "--target", target]).ends(0);
    assert_eq!(fs::read(place.path(target).join("deep/b")).unwrap(), vec![7; 300_000]);
    run
}

#[test]
fn what_is_damaged_is_named_once_and_made_anew() {
    let place = place();
    restored(&place, "one");
    assert_eq!(runs(&place).len(), 2);
    for path in runs(&place) {
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    restored(&place, "two").says("is damaged; it is made anew");
    let run = restored(&place, "three");
    assert!(!run.err.contains("damaged"), "{}", run.err);
    assert_eq!(runs(&place).len(), 2);
}

#[test]
fn caches_count_it_and_clearing_costs_nothing_but_time() {
    let place = place();
    restored(&place, "one");
    let listed = place.admin(["--json", "cache", "list"]).ends(0);
    assert!(listed.message("cache")["files"].as_u64().unwrap() >= 3);
    place.admin(["cache", "clear", "--all"]).ends(0);
    restored(&place, "two");
    assert_eq!(runs(&place).len(), 2);
}

#[test]
fn verify_reads_the_indexes_and_not_the_cache() {
    let place = place();
    restored(&place, "one");
    let all =
        fs::read_dir(place.path("repository/idx")).unwrap().flat_map(|one| fs::read_dir(one.unwrap().path()).unwrap());
    all.for_each(|index| fs::remove_file(index.unwrap().path()).unwrap());
    restored(&place, "two");
    place.admin(["verify"]).ends(4);
    place.admin(["repair", "index"]).ends(0);
    place.admin(["verify"]).ends(0);
    restored(&place, "three");
    place.admin(["cache", "clear", "--all"]).ends(0);
    let run = restored(&place, "four");
    assert!(!run.err.contains("indexes"), "{}", run.err);
}

#[test]
fn a_folder_that_cannot_be_used_costs_a_warning() {
    let place = place();
    fs::remove_dir_all(place.path("home/.cache/boveda")).unwrap();
    write(&place.path("home/.cache/boveda"), "no folder");
    restored(&place, "one").says("indexes cannot be cached");
    let run = place.admin(["snapshot", "files"]).ends(0);
    assert!(run.err.contains("indexes cannot be cached"), "{}", run.err);
}
