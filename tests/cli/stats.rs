//! `stats`: what is shared, what each snapshot alone holds, and the sizes of folders.

use serde_json::Value;

use super::{Place, write};
use crate::world::noise;

fn stats(place: &Place) -> (Value, Vec<Value>) {
    let run = place.admin(["--json", "stats"]).ends(0);
    let each = run.json().into_iter().filter(|line| line["message_type"] == "snapshot_stats").collect();
    (run.message("stats"), each)
}

#[test]
fn what_is_shared_counts_once_and_what_is_alone_is_named() {
    let place = Place::init();
    let (total, each) = stats(&place);
    assert_eq!((&total["snapshots_count"], each.len()), (&0.into(), 0));
    write(&place.path("a/shared"), noise(1, 300_000));
    write(&place.path("a/old"), noise(2, 50_000));
    let one = place.snapshot(&["a"], &[]);
    std::fs::remove_file(place.path("a/old")).unwrap();
    write(&place.path("a/new"), noise(3, 70_000));
    place.snapshot(&["a"], &[]);
    let (total, each) = stats(&place);
    assert_eq!((&total["total_size"], &total["unique"]["bytes"]), (&720_000.into(), &420_000.into()));
    let alone: Vec<_> = each.iter().map(|line| line["alone"]["bytes"].as_u64().unwrap()).collect();
    assert_eq!((alone, &each[0]["id"]), (vec![50_000, 70_000], &one.as_str().into()));
    // Noise does not compress: what is stored is a little more than it.
    let stored = total["unique"]["stored"].as_u64().unwrap();
    assert!((420_000..440_000).contains(&stored), "{stored}");
    let room = |name: &str| total["objects"][name]["objects"].as_u64().unwrap();
    assert_eq!((room("packs"), room("config"), room("slots")), (2, 2, 4));
    assert!(total["stored"].as_u64().unwrap() > stored);
    // A third snapshot of the same leaves nothing to the second alone.
    place.snapshot(&["a"], &[]);
    let alone: Vec<_> = stats(&place).1.iter().map(|line| line["alone"]["bytes"].as_u64().unwrap()).collect();
    assert_eq!(alone, [50_000, 0, 0]);
    let text = place.admin(["stats"]).ends(0).out;
    assert!(text.contains("unique") && text.contains("48.8 KiB"), "{text}");
}

#[test]
fn folders_are_added_up_to_a_depth() {
    let place = Place::init();
    write(&place.path("a/b/c/file"), "12345");
    write(&place.path("a/b/file"), "123");
    write(&place.path("a/\u{1b}[2J/file"), "1");
    place.snapshot(&["a"], &[]);
    let top = format!("latest:{}", place.path("a").display());
    let sizes = |depth: &str| -> Vec<(String, u64)> {
        let run = place.admin(["--json", "stats", &top, "--depth", depth]).ends(0);
        let strip = place.path("a").display().to_string();
        let one = |line: Value| {
            let path = line["path"].as_str().unwrap().strip_prefix(&strip).unwrap().to_owned();
            (path, line["total_size"].as_u64().unwrap())
        };
        run.json().into_iter().map(one).collect()
    };
    let pair = |path: &str, size| (path.to_owned(), size);
    assert_eq!(sizes("0"), [pair("", 9)]);
    assert_eq!(sizes("1"), [pair("", 9), pair("/\u{1b}[2J", 1), pair("/b", 8)]);
    assert_eq!(sizes("9").last(), Some(&pair("/b/c", 5)));
    let text = place.admin(["stats", &top, "-d", "1"]).ends(0).out;
    assert!(!text.contains('\u{1b}'), "{text}");
    place.admin(["stats", "latest:/nowhere"]).ends(1).says("/nowhere");
    place.admin(["stats", "--depth", "1"]).ends(2);
    place.admin(["stats", "--host", "x"]).ends(2).says("latest");
}

#[test]
fn a_maintainer_sees_what_the_store_keeps_and_a_writer_nothing() {
    let place = Place::init();
    write(&place.path("a/file"), "a");
    place.snapshot(&["a"], &[]);
    for role in ["writer", "maintainer"] {
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", &format!("{role}.key")]).ends(0);
    }
    place.with_key("writer.key", ["stats"]).ends(5);
    let run = place.with_key("maintainer.key", ["--json", "stats"]).ends(0);
    let total = run.message("stats");
    assert!(total.get("unique").is_none() && total["segments"]["data"]["chunks"] == 1, "{total}");
    place.with_key("maintainer.key", ["stats", "latest"]).ends(5);
}
