//! `forget`: what goes by rules and by name, what is refused, what comes back; `hold` and `release`.

use std::process::Command;

use serde_json::{Value, json};

use super::{Place, Run, write};

/// A place with snapshots of one folder, at noon of so many days from 1 January 2026 on; their ids, oldest first.
fn days(count: usize) -> (Place, Vec<String>) {
    let place = Place::init();
    let ids = (0..count).map(|day| at_noon(&place, day, &[])).collect();
    (place, ids)
}

fn at_noon(place: &Place, day: usize, options: &[&str]) -> String {
    write(&place.path("a/file"), format!("day {day}"));
    let time = format!("2026-{:02}-{:02} 12:00", day / 28 + 1, day % 28 + 1);
    place.snapshot(&["a"], &[&["--time", &time, "-H", "web"], options].concat())
}

fn listed(place: &Place, options: &[&str]) -> Vec<String> {
    let run = place.admin(["--json", "snapshots"].iter().chain(options)).ends(0);
    run.json().into_iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn ids(group: &Value, list: &str) -> Vec<String> {
    let all = group[list].as_array().unwrap().iter();
    all.map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
}

fn log_entries(place: &Place) -> usize {
    place.admin(["-q", "list", "log"]).ends(0).out.lines().count()
}

#[test]
fn rules_forget_what_they_do_not_keep_and_say_why() {
    let (place, all) = days(4);
    let before = log_entries(&place);
    let preview = place.admin(["--json", "forget", "--keep-last", "1", "--keep-tag", "x", "-n"]).ends(0);
    assert_eq!((listed(&place, &[]).len(), log_entries(&place)), (4, before), "a preview changes nothing");
    let group = preview.message("forget_group");
    assert_eq!((&group["host"], &group["paths"]), (&json!("web"), &json!([place.path("a")])));
    assert_eq!(
        (ids(&group, "keep"), ids(&group, "remove")),
        (vec![all[3].clone()], {
            let mut gone = all[..3].to_vec();
            gone.reverse();
            gone
        })
    );
    assert_eq!(group["reasons"][0]["matches"], json!(["last snapshot"]));
    assert_eq!(group["reasons"][0]["snapshot"]["short_id"], all[3][..8]);
    assert_eq!(group["remove"][0]["cause"], "no rule keeps it");
    let summary = preview.message("summary");
    assert_eq!((&summary["dry_run"], &summary["forgotten_snapshots"]), (&true.into(), &3.into()));
    assert!(
        summary["freed"]["bytes"].as_u64().unwrap() > 0 && summary["freed"]["requests"]["delete"].as_u64() > Some(0)
    );

    let run = place.admin(["forget", "--keep-last", "1"]).ends(0);
    assert!(run.out.contains(&format!("  keep    {}  2026-01-04 12:00:00", &all[3][..8])), "{}", run.out);
    assert!(run.out.contains("3 of 4 snapshots forgotten") && run.out.contains("--undo"), "{}", run.out);
    assert_eq!((listed(&place, &[]), log_entries(&place)), (all[3..].to_vec(), before + 1));
    // Nothing more to do, and so nothing is entered.
    place.admin(["forget", "--keep-last", "1"]).ends(0).tells("0 of 1 snapshot forgotten");
    assert_eq!(log_entries(&place), before + 1);
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn forgotten_snapshots_are_gone_everywhere_and_come_back() {
    let (place, all) = days(3);
    let text = |run: Run| run.out;
    place.admin(["forget", &all[1], &all[2]]).ends(0);
    for command in [
        &["ls", &all[2]][..],
        &["restore", &all[2], "--target", "t"],
        &["dump", &format!("{}:/", all[2])],
        &["diff", &all[0], &all[2]],
        &["tag", &all[2], "--add", "x"],
        &["forget", &all[2]],
    ] {
        place.admin(command).ends(1).says("no snapshot is named");
    }
    assert!(!text(place.admin(["--json", "find", "file"]).ends(0)).contains(&all[2]));
    assert!(!text(place.admin(["--json", "stats"]).ends(0)).contains(&all[2]));
    assert_eq!(place.admin(["--json", "ls", "latest"]).ends(0).message("snapshot")["id"], all[0]);
    assert_eq!(listed(&place, &["--forgotten"]), all[1..]);
    let gone = place.admin(["--json", "snapshots", "--forgotten"]).ends(0).json();
    assert!(
        gone.iter().all(|line| line["forgotten"].as_str() > Some("2026-11") && line["time"].is_string()),
        "{gone:?}"
    );
    place.admin(["snapshots", "--forgotten", "-H", "else"]).ends(0).tells("no forgotten snapshots");

    // By name, then all that the last one forgot.
    let run = place.admin(["--json", "forget", "--undo", "latest"]).ends(0);
    assert_eq!(run.message("brought_back")["snapshot_id"], all[2]);
    assert_eq!(listed(&place, &[]), [all[0].clone(), all[2].clone()]);
    place.admin(["forget", &all[2]]).ends(0);
    place.admin(["forget", "--undo"]).ends(0).tells("1 snapshot brought back");
    place.admin(["forget", "--undo"]).ends(0);
    assert_eq!((listed(&place, &[]), listed(&place, &["--forgotten"])), (all.clone(), Vec::new()));
    place.admin(["restore", &all[2], "--target", "back"]).ends(0);
    place.admin(["forget", "--undo"]).ends(1).says("no forgotten snapshot");
    place.admin(["forget", "--undo", &all[0]]).ends(1).says("snapshots --forgotten");
    // By a filter.
    place.admin(["forget", &all[0], &all[1]]).ends(0);
    place.admin(["forget", "--undo", "-H", "web"]).ends(0);
    place.admin(["forget", "--undo", "-H", "web"]).ends(1).says("passes the filters");
    assert_eq!(listed(&place, &[]), all);
}

#[test]
fn what_cannot_come_back_stays_forgotten() {
    let (place, all) = days(2);
    place.admin(["forget", &all[0]]).ends(0);
    for pack in Run::of(Command::new("find").arg(place.path("repository/packs")).args(["-type", "f"])).out.lines() {
        std::fs::remove_file(pack).unwrap();
    }
    place.admin(["forget", "--undo"]).ends(1).says("some of what it held is gone");
    assert_eq!(listed(&place, &["--forgotten"]), all[..1]);
}

#[test]
fn a_wrong_command_line_forgets_nothing() {
    let (place, all) = days(2);
    place.admin(["forget"]).ends(2).says("--keep-daily 7");
    place.admin(["forget", "--keep-last", "0"]).ends(2).says("no rule");
    place.admin(["forget", "-H", "web"]).ends(2);
    place.admin(["forget", "--keep-last", "x"]).ends(2).says("unlimited");
    place.admin(["forget", "--keep-within", "3 days"]).ends(2).says("1y5m7d2h");
    place.admin(["forget", "--keep-tag", ""]).ends(2).says("empty tag");
    place.admin(["forget", "--keep-size", "big"]).ends(2).says("500M");
    place.admin(["forget", &all[0], "--keep-last", "1"]).ends(2).says("which ones are meant");
    place.admin(["forget", "--undo", "--keep-last", "1"]).ends(2);
    place.admin(["forget", "--undo", "-n"]).ends(2);
    place.admin(["forget", "--keep-last", "1", "-g", "colour"]).ends(2);
    place.admin(["forget", "--keep-last", "1", "--kind", "half"]).ends(2);
    place.admin(["forget", "latest:/etc"]).ends(2);
    place.admin(["forget", "ffff0000"]).ends(1);
    assert_eq!(listed(&place, &[]), all);
    place.admin(["forget", "--keep-last", "unlimited"]).ends(0);
    place.admin(["forget", "--keep-last", "-1"]).ends(0);
    assert_eq!(listed(&place, &[]), all);
}

#[test]
fn the_configuration_has_rules_for_each_kind() {
    let place = Place::init();
    write(&place.path("a/still"), "still");
    // Stamps younger than two seconds are not relied on, and whole seconds are counted.
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let all: Vec<_> = (0..5).map(|day| at_noon(&place, day, if day < 3 { &[] } else { &["--full"] })).collect();
    write(
        &place.path("config.toml"),
        "[retention]\nkeep_last = 1\n[retention.full]\nkeep_within = '30d'\n[retention.incremental]\nkeep_last = 1\n",
    );
    // The first snapshot read every byte, as every first one does.
    let run = place.admin(["--json", "forget", "--config", "config.toml", "-n"]).ends(0);
    let kinds: Vec<_> = run.json().into_iter().filter(|line| line["message_type"] == "forget_group").collect();
    assert_eq!(kinds.len(), 2);
    assert_eq!((&kinds[0]["kind"], ids(&kinds[0], "keep").len()), (&"full".into(), 3));
    assert_eq!((&kinds[1]["kind"], ids(&kinds[1], "remove")), (&"incremental".into(), vec![all[1].clone()]));
    // What is said on the command line stands in place of all that.
    place.admin(["forget", "--config", "config.toml", "--keep-last", "1", "--kind", "full"]).ends(0);
    assert_eq!(listed(&place, &[]), [all[1].clone(), all[2].clone(), all[4].clone()]);
    place.admin(["forget", "--config", "config.toml"]).ends(0);
    assert_eq!(listed(&place, &[]), [all[2].clone(), all[4].clone()]);
}

#[test]
fn groups_filters_and_tags_choose_what_rules_are_about() {
    let (place, all) = days(2);
    write(&place.path("b/file"), "b");
    let b = place.snapshot(&["b"], &["--time", "2026-01-01", "-H", "web"]);
    let other = place.snapshot(&["b"], &["--time", "2026-01-02", "-H", "db", "--tag", "keep"]);
    place.admin(["forget", "--keep-last", "1"]).ends(0);
    assert_eq!(listed(&place, &[]), [b.clone(), other.clone(), all[1].clone()]);
    place.admin(["forget", "--keep-last", "1", "-g", "", "-H", "db"]).ends(0);
    assert_eq!(listed(&place, &[]).len(), 3);
    place.admin(["forget", "--keep-last", "1", "-g", ""]).ends(0);
    assert_eq!(listed(&place, &[]), [other.clone(), all[1].clone()], "the tag keeps the other");
    let run = place.admin(["forget", "--keep-last", "1", "-g", "host"]).ends(0);
    assert!(run.out.contains("host web:") && run.out.contains("has tags [keep], last snapshot"), "{}", run.out);
}

#[test]
fn what_looks_like_a_mistake_must_be_meant() {
    let (place, all) = days(24);
    let run = place.admin(["forget", "--keep-last", "2"]).ends(5).says("22 of 24 snapshots of host web");
    assert!(run.err.contains("--yes-really") && run.out.is_empty(), "{run:?}");
    place.admin(["forget", "--keep-last", "2", "-n"]).ends(0).says("would be refused");
    let run = place.admin(["--json", "forget", "--keep-last", "2", "-n"]).ends(0);
    assert_eq!(run.message("summary")["suspicions"].as_array().unwrap().len(), 1);
    assert_eq!(listed(&place, &[]), all);
    place.admin(["forget", "--keep-last", "2", "--yes-really"]).ends(0);
    assert_eq!(listed(&place, &[]), all[22..]);
    // Rules never take the last one; by name it goes if that is meant.
    place.admin(["forget", "--keep-tag", "nothing"]).ends(0).tells("last good snapshot");
    assert_eq!(listed(&place, &[]), all[23..]);
    place.admin(["forget", "latest"]).ends(5).says("is the last good snapshot of host web");
    place.admin(["forget", "latest", "--yes-really"]).ends(0);
    assert!(listed(&place, &[]).is_empty());
}

#[test]
fn names_cannot_drive_a_terminal() {
    let place = Place::init();
    write(&place.path("a\u{1b}[2Jb/file"), "x");
    let options = ["-H", "web\u{202e}\u{1b}[2J", "--tag", "t\u{1b}[2J"];
    let ids = [0; 2].map(|_| place.snapshot(&["a\u{1b}[2Jb"], &options));
    let clean = |run: Run| assert!(!(run.out + &run.err).contains(['\u{1b}', '\u{202e}']));
    clean(place.admin(["forget", "--keep-tag", "t\u{1b}[2J", "-g", "host,paths,tags", "-n"]).ends(0));
    clean(place.admin(["forget", &ids[0], &ids[1]]).ends(5));
    clean(place.admin(["forget", "--keep-last", "1", "-g", "host,paths,tags"]).ends(0).tells("1 of 2 snapshots"));
    clean(place.admin(["snapshots", "--forgotten"]).ends(0));
    clean(place.admin(["forget", "--undo"]).ends(0));
}

#[test]
fn a_snapshot_from_the_future_counts_for_nothing() {
    let (place, all) = days(2);
    let future = place.snapshot(&["a"], &["--time", "2100-01-01", "-H", "web"]);
    let run = place.admin(["forget", "--keep-within", "1h"]).ends(0);
    assert!(run.out.contains("from the future"), "{}", run.out);
    assert_eq!(listed(&place, &[]), [all[1].clone(), future]);
}

#[test]
fn holds_stop_forgetting_until_they_are_released() {
    let (place, all) = days(2);
    place.admin(["hold"]).ends(0).tells("no hold");
    place.admin(["hold", "--why", " "]).ends(2);
    let run = place.admin(["--json", "hold", "--why", "mass\u{1b}[2J deletion on web"]).ends(0);
    let hold = run.message("hold");
    let id = hold["id"].as_str().unwrap().to_owned();
    assert_eq!((&hold["label"], &hold["why"]), (&"admin".into(), &"mass\u{1b}[2J deletion on web".into()));
    let run = place.admin(["forget", "--keep-last", "1"]).ends(5).says("deletion on web").says("boveda release");
    assert!(!run.err.contains('\u{1b}'), "{}", run.err);
    place.admin(["forget", &all[0]]).ends(5);
    place.admin(["forget", "--keep-last", "1", "-n"]).ends(0).says("would be refused: hold");
    let shown = place.admin(["hold"]).ends(0);
    assert!(shown.out.contains("mass\\u{1b}[2J deletion") && shown.out.contains(&id[..8]), "{}", shown.out);
    // Snapshots are taken as ever, and what was forgotten before may come back.
    let third = at_noon(&place, 2, &[]);
    place.admin(["hold", "--why", "second"]).ends(0);
    place.admin(["release"]).ends(2);
    place.admin(["release", "ffffffffff"]).ends(1).says("boveda hold");
    let run = place.admin(["release", &id[..8]]).ends(0);
    assert!(run.out.contains("1 hold in force still") && !run.out.contains('\u{1b}'), "{}", run.out);
    place.admin(["forget", "--keep-last", "1"]).ends(5).says("second");
    assert_eq!(place.admin(["--json", "release", "--all"]).ends(0).message("released")["why"], "second");
    place.admin(["release", "--all"]).ends(0).tells("no hold");
    place.admin(["forget", "--keep-last", "1"]).ends(0);
    assert_eq!(listed(&place, &[]), [third]);
}

#[test]
fn who_may_forget() {
    let (place, all) = days(3);
    for role in ["writer", "reader", "maintainer"] {
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", &format!("{role}.key")]).ends(0);
    }
    for key in ["writer.key", "reader.key"] {
        for command in [
            &["forget", "--keep-last", "1"][..],
            &["forget", &all[0]],
            &["forget", "--undo"],
            &["hold", "--why", "x"],
            &["release", "--all"],
        ] {
            place.with_key(key, command).ends(5);
        }
    }
    place.with_key("writer.key", ["forget", "--keep-last", "1", "-n"]).ends(5);
    place.with_key("writer.key", ["hold"]).ends(5);
    place.with_key("reader.key", ["hold"]).ends(0);
    let preview = |key| {
        let run = place.with_key(key, ["--json", "forget", "--keep-last", "2", "-n"]).ends(0);
        let group = run.message("forget_group");
        (ids(&group, "keep"), ids(&group, "remove"), run.message("summary")["freed"].clone())
    };
    // A maintainer sees no names, and decides the same.
    assert_eq!(preview("reader.key"), preview("maintainer.key"));
    place.admin(["tag", &all[0], "--add", "x"]).ends(0);
    let run = place.with_key("maintainer.key", ["forget", "--keep-last", "1", "--keep-tag", "x"]).ends(0);
    assert!(!run.out.contains("web") && run.out.contains("has tags [x]"), "{}", run.out);
    assert_eq!(listed(&place, &[]), [all[0].clone(), all[2].clone()]);
    place.with_key("maintainer.key", ["forget", "--undo"]).ends(0);
    place.with_key("maintainer.key", ["forget", "--keep-last", "1", "-H", "db"]).ends(0).tells("0 of 0");
    place.with_key("maintainer.key", ["forget", "--keep-last", "1", "--path", "/a"]).ends(5);
    place.with_key("maintainer.key", ["forget", "--keep-last", "1", "-H", "web"]).ends(0);
    assert_eq!(listed(&place, &[]), all[2..]);
}

#[test]
fn who_takes_over_from_another_pushes_nothing_out() {
    let (place, all) = days(2);
    place.admin(["key", "add", "--role", "writer", "--label", "w\u{1b}eb", "--new-key-file", "writer.key"]).ends(0);
    let run = place.with_key("writer.key", ["--json", "snapshot", "a", "-H", "web", "--time", "2026-01-03"]).ends(0);
    let third = run.message("summary")["snapshot_id"].as_str().unwrap().to_owned();
    let run = place.admin(["forget", "--keep-last", "1"]).ends(0);
    assert!(run.out.contains(", by admin:\n") && run.out.contains(", by w\\u{1b}eb:\n"), "{}", run.out);
    assert_eq!(listed(&place, &[]), [all[1].clone(), third]);
}

#[test]
fn partial_snapshots_go_when_a_complete_one_came_after_them() {
    let place = Place::init();
    for part in 0..6 {
        write(&place.path(&format!("files/{part}")), crate::world::noise(part, 1 << 20));
    }
    place.snapshot(&["files"], &["--partial-after", "2M"]);
    let partial = listed(&place, &["--partial"]).len() - 1;
    assert!(partial > 0);
    let run = place.admin(["forget", "--keep-last", "9"]).ends(0);
    assert!(run.out.contains("partial, and a complete one came after it"), "{}", run.out);
    assert_eq!(listed(&place, &["--partial"]).len(), 1);
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn a_limit_of_size_lets_the_oldest_go() {
    let place = Place::init();
    let ids: Vec<_> = (0..4)
        .map(|day| {
            write(&place.path("a/file"), crate::world::noise(day, 300_000));
            place.snapshot(&["a"], &["--time", &format!("2026-01-0{}", day + 1), "--pack-size", "16M"])
        })
        .collect();
    let preview = place.admin(["--json", "forget", "--keep-size", "700K", "-n"]).ends(0);
    let (group, summary) = (preview.message("forget_group"), preview.message("summary"));
    assert_eq!(ids_oldest_first(&group, "remove"), ids[..2]);
    assert_eq!(group["remove"][0]["cause"], "the oldest, and the size is limited");
    let stored = summary["stored"].as_u64().unwrap();
    assert!((600_000..=700 << 10).contains(&stored) && summary["fits"] == true, "{summary}");
    // What is freed is what goes: two files of noise, each in a pack of its own.
    let freed = summary["freed"]["bytes"].as_u64().unwrap();
    assert!((600_000..900_000).contains(&freed), "{summary}");
    assert_eq!((&summary["freed"]["packs"], &summary["freed"]["packs_rewritten"]), (&2.into(), &0.into()));
    place.admin(["forget", "--keep-size", "700K"]).ends(0);
    assert_eq!(listed(&place, &[]), ids[2..]);
    // The last good one stays, and that it is too large is no success.
    place.admin(["forget", "--keep-size", "1K"]).ends(3).tells("still above");
    assert_eq!(listed(&place, &[]), ids[3..]);
}

fn ids_oldest_first(group: &Value, list: &str) -> Vec<String> {
    let mut ids = ids(group, list);
    ids.reverse();
    ids
}

#[test]
fn a_run_goes_on_when_its_parent_is_forgotten() {
    let (place, all) = days(2);
    place.admin(["forget", &all[1]]).ends(0);
    let third = at_noon(&place, 2, &[]);
    place.admin(["restore", &third, "--target", "t", "--verify"]).ends(0);
    place.admin(["verify", "--level", "full"]).ends(0);
    assert_eq!(listed(&place, &[]), [all[0].clone(), third]);
}
