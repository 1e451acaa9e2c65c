//! `tag`: what snapshots show afterwards, and who may.

use super::{Place, write};

fn place() -> (Place, String, String) {
    let place = Place::init();
    write(&place.path("a/file"), "a");
    let one = place.snapshot(&["a"], &["--tag", "x,y"]);
    let two = place.snapshot(&["a"], &["-H", "other"]);
    (place, one, two)
}

fn tags(place: &Place, id: &str) -> Vec<String> {
    let all = place.admin(["--json", "snapshots"]).ends(0).json();
    let found = all.into_iter().find(|snapshot| snapshot["id"] == id).unwrap();
    serde_json::from_value(found["tags"].clone()).unwrap()
}

#[test]
fn tags_are_added_removed_and_set() {
    let (place, one, two) = place();
    let run = place.admin(["--json", "tag", &one[..10], "--add", "z,y", "--remove", "x"]).ends(0);
    assert_eq!(
        (&run.message("changed")["snapshot_id"], tags(&place, &one)),
        (&one.as_str().into(), vec!["y".into(), "z".into()])
    );
    // Filters see them, and so does a selector.
    assert_eq!(place.admin(["--json", "snapshots", "--tag", "z"]).json().len(), 1);
    assert!(place.admin(["--json", "snapshots", "--tag", "x"]).ends(0).out.is_empty());
    place.admin(["tag", &one, &two, "--set", "keep"]).ends(0);
    assert_eq!((tags(&place, &one), tags(&place, &two)), (vec!["keep".to_owned()], vec!["keep".to_owned()]));
    let run = place.admin(["--json", "tag", "-H", "other", "--set", ""]).ends(0);
    assert_eq!(run.message("summary")["changed_snapshots"], 1);
    assert_eq!((tags(&place, &one).len(), tags(&place, &two).len()), (1, 0));
    // Taken away and given again.
    place.admin(["tag", &one, "--remove", "keep"]).ends(0);
    place.admin(["tag", &one, "--add", "keep,x"]).ends(0);
    assert_eq!(tags(&place, &one), ["x", "keep"]);
}

#[test]
fn what_changes_nothing_enters_nothing() {
    let (place, one, _) = place();
    let run = place.admin(["--json", "tag", &one, &one, "--add", "x"]).ends(0);
    assert_eq!(
        run.message("summary"),
        serde_json::json!({
            "message_type": "summary", "changed_snapshots": 0, "unchanged_snapshots": 1,
        })
    );
    assert_eq!(place.admin(["-q", "list", "log"]).out.lines().count(), 1);
}

#[test]
fn a_wrong_command_line_changes_nothing() {
    let (place, one, _) = place();
    place.admin(["tag", &one]).ends(2);
    place.admin(["tag", "--add", "z"]).ends(2).says("no snapshot is named");
    place.admin(["tag", &one, "--add", "z", "--set", "y"]).ends(2);
    place.admin(["tag", &one, "--add", "z", "--remove", "z"]).ends(2).says("which one");
    place.admin(["tag", &one, "--add", ""]).ends(2).says("--set ''");
    place.admin(["tag", "latest:/etc", "--add", "z"]).ends(2);
    place.admin(["tag", "ffff0000", "--add", "z"]).ends(1);
    place.admin(["tag", "--tag", "nothing", "--add", "z"]).ends(1).says("no snapshot passes");
    assert_eq!(tags(&place, &one), ["x", "y"]);
}

#[test]
fn a_maintainer_changes_tags_without_reading_them() {
    let (place, one, _) = place();
    for role in ["writer", "reader", "maintainer"] {
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", &format!("{role}.key")]).ends(0);
    }
    place.with_key("writer.key", ["tag", &one, "--add", "z"]).ends(5);
    place.with_key("reader.key", ["tag", &one, "--add", "z"]).ends(5);
    place.with_key("maintainer.key", ["tag", &one, "--set", "z"]).ends(5).says("cannot read");
    place.with_key("maintainer.key", ["tag", &one, "--add", "z", "--remove", "x"]).ends(0);
    assert_eq!(tags(&place, &one), ["y", "z"]);
}

#[test]
fn tags_cannot_drive_a_terminal() {
    let (place, one, _) = place();
    let run = place.admin(["tag", &one, "--set", "a\u{1b}[2Jb\u{202e}"]).ends(0);
    assert!(!run.out.contains(['\u{1b}', '\u{202e}']), "{}", run.out);
}
