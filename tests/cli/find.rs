//! `find`: names and paths in many snapshots.

use super::{Place, write};

fn place() -> (Place, String, String) {
    let place = Place::init();
    write(&place.path("files/Notes.TXT"), "first");
    write(&place.path("files/deep/notes.txt"), "first");
    let first = place.snapshot(&["files"], &["--tag", "one", "--time", "2026-01-01"]);
    std::fs::remove_file(place.path("files/Notes.TXT")).unwrap();
    write(&place.path("files/evil\u{1b}[2J.txt"), "x");
    let second = place.snapshot(&["files"], &["--tag", "two", "--time", "2026-01-02"]);
    (place, first, second)
}

#[test]
fn patterns_are_looked_for_in_every_snapshot() {
    let (place, first, second) = place();
    let run = place.admin(["find", "notes.txt"]).ends(0);
    assert_eq!(run.out.matches("/files/deep/notes.txt\n").count(), 2);
    assert!(!run.out.contains("Notes.TXT"));
    let found = place.admin(["--json", "find", "-i", "NOTES.*"]).ends(0).json();
    let hits: Vec<_> =
        found.iter().map(|line| (line["snapshot"].as_str().unwrap(), line["hits"].as_u64().unwrap())).collect();
    assert_eq!(hits, [(first.as_str(), 2), (second.as_str(), 1)]);
    assert!(
        found[0]["message_type"] == "matches"
            && found[0]["matches"][0]["path"].as_str().unwrap().ends_with("/files/Notes.TXT")
    );
    assert_eq!((&found[0]["matches"][0]["type"], &found[0]["matches"][0]["size"]), (&"file".into(), &5.into()));
}

#[test]
fn what_is_looked_at_can_be_narrowed() {
    let (place, _, second) = place();
    let lines = |arguments: &[&str]| {
        let run = place.admin(["find"].iter().chain(arguments)).ends(0);
        run.out.lines().filter(|line| line.contains("/files/")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["*.txt", "--tag", "one"]).len(), 1);
    assert_eq!(lines(&["*.txt", "-s", &second[..8]]).len(), 2);
    let below = format!("latest:{}", place.path("files/deep").display());
    assert_eq!(lines(&["*.txt", "-s", &below]).len(), 1);
    assert_eq!(lines(&["*.txt", "--newest", "2001-01-01"]).len(), 0);
    assert_eq!(lines(&["*.txt", "--oldest", "2001-01-01"]).len(), 3);
    let long = lines(&["-l", "evil*"]);
    assert!(long.len() == 1 && long[0].starts_with("-rw") && long[0].ends_with("evil\\u{1b}[2J.txt"), "{long:?}");
    assert_eq!(lines(&["nothing"]).len(), 0);
}

#[test]
fn mistakes_are_named() {
    let (place, ..) = place();
    place.admin(["find"]).ends(2);
    place.admin(["find", "["]).ends(2).says("means nothing");
    place.admin(["find", "x", "--newest", "soon"]).ends(2).says("--newest");
    place.admin(["find", "x", "-s", "latest~7"]).ends(1).says("latest~7");
}

#[test]
fn lost_pages_are_damage() {
    let (place, ..) = place();
    for pack in super::restore::packs(&place) {
        std::fs::remove_file(pack).unwrap();
    }
    place.admin(["find", "*"]).ends(4);
}
