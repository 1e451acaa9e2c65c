//! `snapshots`: which are listed, and how they stand together.

use super::{Place, write};

/// Two snapshots of `a`, one of `b`, one of `a` of another host.
fn place() -> (Place, [String; 4]) {
    let place = Place::init();
    write(&place.path("a/file"), "a");
    write(&place.path("b/file"), "b");
    let taken = |path: &str, day: &str, host: &str, tags: &str| {
        place.snapshot(&[path], &["--time", day, "-H", host, "--tag", tags])
    };
    let ids = [
        taken("a", "2026-01-01", "one", "x,y"),
        taken("a", "2026-01-02", "one", "y,x"),
        taken("b", "2026-01-03", "one", "z"),
        taken("a", "2026-01-04", "two", "z"),
    ];
    (place, ids)
}

fn listed(place: &Place, options: &[&str]) -> Vec<String> {
    let run = place.admin(["--json", "snapshots"].iter().chain(options)).ends(0);
    let lines = run.json().into_iter();
    lines.filter_map(|line| line["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_newest_of_each_group_are_listed() {
    let (place, [_, second, b, other]) = place();
    assert_eq!(listed(&place, &["--latest", "1"]), [&*second, &b, &other]);
    assert_eq!(listed(&place, &["--latest", "1", "-g", "host"]), [&*b, &other]);
    assert_eq!(listed(&place, &["--latest", "1", "-g", ""]), [&*other]);
    assert_eq!(listed(&place, &["--latest", "9"]).len(), 4);
    assert_eq!(listed(&place, &["--latest", "1", "-H", "two"]), [&*other]);
    place.admin(["snapshots", "--latest", "0"]).ends(2);
}

#[test]
fn groups_have_headings() {
    let (place, _) = place();
    let run = place.admin(["snapshots", "-c", "-g", "host,tags"]).ends(0);
    let heads: Vec<_> = run.out.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!(heads, ["host one, tags x,y:", "host one, tags z:", "host two, tags z:"]);
    assert!(!run.out.contains("Paths") && run.out.contains("Tags"), "{}", run.out);
    let run = place.admin(["--json", "snapshots", "-g", "host"]).ends(0);
    let lines = run.json();
    assert_eq!(lines[0]["group_key"], serde_json::json!({ "hostname": "one" }));
    assert_eq!((&lines[0]["snapshots_count"], &lines[4]["message_type"]), (&3.into(), &"snapshot_group".into()));
    place.admin(["snapshots", "-g", "colour"]).ends(2).says("`paths`");
}

#[test]
fn keys_that_see_no_names_make_no_groups() {
    let (place, _) = place();
    place.admin(["key", "add", "--role", "maintainer", "--new-key-file", "m.key"]).ends(0);
    place.with_key("m.key", ["snapshots", "-c"]).ends(0);
    place.with_key("m.key", ["snapshots", "-g", "host"]).ends(5);
    place.with_key("m.key", ["snapshots", "--latest", "1"]).ends(5);
}
