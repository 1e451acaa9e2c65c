//! `versions`: every content that a file had.

use super::{Place, write};

fn place() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), "one");
    write(&place.path("files/was/inside"), "x");
    place.snapshot(&["files"], &["--time", "2026-01-01"]);
    write(&place.path("files/a"), "second");
    place.snapshot(&["files"], &["--time", "2026-01-02", "-H", "db"]);
    write(&place.path("files/a"), "one");
    place.snapshot(&["files"], &["--time", "2026-01-03"]);
    place
}

#[test]
fn each_content_is_listed_once_with_its_time() {
    let place = place();
    let run = place.admin(["--json", "versions", "files/a"]).ends(0);
    let lines = run.json();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["message_type"] == "file_version" && line["node"]["name"] == "a"));
    let figures = |line: &serde_json::Value| (line["snapshots"].as_u64(), line["node"]["size"].as_u64());
    assert_eq!([figures(&lines[0]), figures(&lines[1])], [(Some(2), Some(3)), (Some(1), Some(6))]);
    assert!(lines[0]["first"]["time"].as_str() < lines[0]["last"]["time"].as_str());
    assert_eq!(lines[1]["first"], lines[1]["last"]);
    let first = lines[0]["first"]["snapshot"].as_str().unwrap();
    let text = place.admin(["versions", place.path("files/a").to_str().unwrap()]).ends(0).out;
    assert!(text.contains(&first[..8]) && text.lines().count() == 3, "{text}");
    let only = place.admin(["--json", "versions", "files/a", "-H", "db"]).ends(0);
    assert_eq!(only.json().len(), 1);
    // What is named brings it back.
    let selector = format!("{first}:{}", place.path("files/a").display());
    assert_eq!(place.admin(["dump", &selector]).ends(0).out, "one");
}

#[test]
fn what_is_no_file_is_said() {
    let place = place();
    place.admin(["versions", "files/none"]).ends(1).says("no snapshot has").says("boveda find");
    place.admin(["versions", "files/was"]).ends(1).says("is a folder");
    place.admin(["versions", "/bad\u{1b}[2Jname"]).ends(1).says("\\u{1b}");
    place.admin(["versions"]).ends(2);
    let key = ["key", "add", "--role", "writer", "--label", "w", "--new-key-file", "writer.key"];
    place.admin(key).ends(0);
    place.with_key("writer.key", ["versions", "files/a"]).ends(5);
}
