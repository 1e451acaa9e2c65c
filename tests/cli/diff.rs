//! `diff`: two snapshots, or two folders of them, side by side.

use super::{Place, write};
use std::os::unix::fs::PermissionsExt as _;

fn place() -> Place {
    let place = Place::init();
    write(&place.path("files/same"), "same");
    write(&place.path("files/text"), "one\ntwo\nthree\n");
    write(&place.path("files/binary"), b"\0one");
    write(&place.path("files/gone/x"), "x");
    write(&place.path("files/kind"), "a file");
    write(&place.path("files/mode"), "mode");
    place.snapshot(&["files"], &[]);
    write(&place.path("files/text"), "one\n2\nthree\n");
    write(&place.path("files/binary"), b"\0two");
    std::fs::remove_dir_all(place.path("files/gone")).unwrap();
    std::fs::remove_file(place.path("files/kind")).unwrap();
    std::os::unix::fs::symlink("text", place.path("files/kind")).unwrap();
    std::fs::set_permissions(place.path("files/mode"), std::fs::Permissions::from_mode(0o600)).unwrap();
    write(&place.path("files/new\u{1b}[2J/y"), vec![7; 2000]);
    place.snapshot(&["files"], &[]);
    place
}

/// Marks and names of what lies in the source.
fn marks(place: &Place, arguments: &[&str]) -> Vec<(String, String)> {
    let run = place.admin(["--json", "diff"].iter().chain(arguments)).ends(0);
    let source = format!("{}/", place.path("files").display());
    let lines = run.json().into_iter().filter(|line| line["message_type"] == "change");
    let mark = |line: serde_json::Value| {
        let path = line["path"].as_str()?.strip_prefix(&source)?.to_owned();
        Some((line["modifier"].as_str()?.to_owned(), path))
    };
    let mut marks: Vec<_> = lines.filter_map(mark).filter(|(_, path)| !path.is_empty()).collect();
    marks.sort();
    marks
}

#[test]
fn every_path_gets_its_mark() {
    let place = place();
    let expected = [
        ("+", "new\u{1b}[2J/"),
        ("+", "new\u{1b}[2J/y"),
        ("-", "gone/"),
        ("-", "gone/x"),
        ("M", "binary"),
        ("M", "text"),
        ("T", "kind"),
    ];
    let expected = expected.map(|(mark, path)| (mark.to_owned(), path.to_owned()));
    assert_eq!(marks(&place, &["latest~1", "latest"]), expected);
    let with = marks(&place, &["latest~1", "latest", "--metadata"]);
    assert!(with.contains(&("U".to_owned(), "mode".to_owned())) && with.len() >= 8, "{with:?}");
    assert_eq!(marks(&place, &["latest", "latest", "--metadata"]), []);
}

#[test]
fn people_read_escaped_names_and_sums() {
    let place = place();
    let run = place.admin(["diff", "latest~1", "latest"]).ends(0);
    assert!(run.out.contains("\n+    ") || run.out.starts_with("+    "), "{}", run.out);
    assert!(run.out.contains("new\\u{1b}[2J/y\n") && run.out.contains("gone/\n"), "{}", run.out);
    assert!(run.out.contains("files:   1 new, 1 removed, 3 changed"), "{}", run.out);
    let stat = place.admin(["diff", "--stat", "latest~1", "latest"]).ends(0);
    assert_eq!(stat.out.lines().count(), 4, "{}", stat.out);
    let sums = place.admin(["--json", "diff", "--stat", "latest~1", "latest"]).ends(0).message("statistics");
    assert_eq!((&sums["added"]["dirs"], &sums["removed"]["files"]), (&1.into(), &1.into()));
    assert!(sums["added"]["bytes"].as_u64().unwrap() >= 2000);
}

#[test]
fn texts_are_compared_by_line() {
    let place = place();
    let run = place.admin(["diff", "-p", "latest~1", "latest"]).ends(0);
    assert!(run.out.contains("@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"), "{}", run.out);
    assert!(run.out.contains("binary files differ\n") && run.out.contains("+++ /dev/null"), "{}", run.out);
}

#[test]
fn parts_and_folders_of_other_names_can_be_compared() {
    let place = place();
    let at = |selector: &str, below: &str| format!("{selector}:{}", place.path(below).display());
    let run = place.admin(["diff", &at("latest~1", "files/gone"), &at("latest", "files/new\u{1b}[2J")]).ends(0);
    assert!(run.out.contains("-    /x\n") && run.out.contains("+    /y\n"), "{}", run.out);
    let run = place.admin(["diff", &at("latest~1", "files"), &at("latest", "files")]).ends(0);
    assert!(run.out.contains("/files/text\n"), "{}", run.out);
    place.admin(["diff", &at("latest", "files/gone"), "latest"]).ends(1).says("there is no");
    place.admin(["diff", &at("latest", "files/same"), "latest"]).ends(1).says("no folder");
    place.admin(["diff", "latest"]).ends(2);
    place.admin(["diff", "latest", "never"]).ends(2);
}

#[test]
fn lost_pages_are_damage() {
    let place = place();
    for pack in super::restore::packs(&place) {
        std::fs::remove_file(pack).unwrap();
    }
    place.admin(["diff", "latest~1", "latest"]).ends(4);
}
