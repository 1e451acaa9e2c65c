//! `doctor`: what it finds, what it says to do, and what it ends with.

use super::{Place, Run, write};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

fn finding(run: &Run, check: &str, status: &str) -> Value {
    let found = run.json().into_iter().find(|line| line["check"] == check && line["status"] == status);
    found.unwrap_or_else(|| panic!("no {status} {check} in:\n{}", run.out))
}

#[test]
fn a_healthy_place_is_well() {
    let place = Place::init();
    let run = place.admin(["--json", "doctor"]).ends(0);
    for check in ["configuration", "repository", "clock", "state", "cache", "dumps", "space"] {
        finding(&run, check, "ok");
    }
    assert_eq!(run.message("summary")["broken"], 0);
    let text = place.admin(["doctor"]).ends(0).out;
    assert!(text.contains("opens with admin's keys and has 0 snapshots"), "{text}");
}

#[test]
fn without_a_repository_it_is_a_warning() {
    let run = Place::new().run(["--json", "doctor"]).ends(0);
    assert!(finding(&run, "repository", "warning")["cure"].as_str().unwrap().contains("boveda setup"));
}

#[test]
fn what_is_broken_is_named_with_its_cure_and_ends_with_1() {
    let place = Place::init();
    write(&place.path("wrong.key"), "00".repeat(32));
    let run = place.with_key("wrong.key", ["--json", "doctor"]).ends(1);
    assert!(finding(&run, "repository", "broken")["message"].as_str().unwrap().contains("no slot opens"));
    assert!(finding(&run, "permissions", "warning")["cure"].as_str().unwrap().contains("chmod go="));
    let mut command = place.command(["--json", "-r", "repository", "doctor"]);
    let run = Run::of(command.env("BOVEDA_PASSWORD_COMMAND", "no-such-program x")).ends(1);
    assert!(finding(&run, "tools", "broken")["message"].as_str().unwrap().contains("no-such-program"));
    let run = place.run(["--json", "-r", "nowhere", "--key-file", "admin.key", "doctor"]).ends(1);
    finding(&run, "repository", "broken");
    // Nobody is asked for a password.
    let run = place.run(["--json", "-r", "repository", "doctor"]).ends(0);
    assert!(finding(&run, "repository", "warning")["message"].as_str().unwrap().contains("not tried"));
    let config = place.path("home/.config/boveda/config.toml");
    write(&config, "[snapshot]\npaths = ['/no/such/path']\n");
    let run = place.admin(["--json", "doctor"]).ends(0);
    assert!(finding(&run, "sources", "warning")["message"].as_str().unwrap().contains("/no/such/path"));
    write(&config, "[snapshots]\n");
    let run = place.admin(["--json", "doctor"]).ends(1);
    assert!(finding(&run, "configuration", "broken")["message"].as_str().unwrap().contains("line 1"));
}

#[test]
fn a_folder_in_the_way_is_broken_and_an_open_one_is_said() {
    let place = Place::init();
    place.admin(["snapshots"]).ends(0);
    let state = place.path("home/.local/state/boveda");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let run = place.admin(["--json", "doctor"]).ends(0);
    assert!(finding(&run, "permissions", "warning")["message"].as_str().unwrap().contains("755"));
    let mut command = place.command(["--json", "doctor"]);
    write(&place.path("file"), "");
    let run = Run::of(command.env("BOVEDA_CACHE_DIR", place.path("file"))).ends(1);
    finding(&run, "cache", "broken");
}
