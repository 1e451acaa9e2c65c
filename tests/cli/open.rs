//! `init`, and what opens a repository: keys, passwords, the recovery key, locations; and what does not.

use std::os::unix::fs::PermissionsExt as _;

use super::{Place, Run, write};

#[test]
fn init_makes_a_repository_a_key_file_and_a_recovery_file() {
    let place = Place::new();
    let run = place.run(["--json", "-r", "repository", "init", "--new-key-file", "key"]).ends(0);
    let made = run.message("initialized");
    let recovery = place.path(made["recovery_key_file"].as_str().unwrap());
    assert!(recovery.ends_with(format!("boveda-recovery-{}.txt", &made["id"].as_str().unwrap()[..8])));
    for secret in [&recovery, &place.path("key")] {
        assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", secret.display());
    }
    let text = std::fs::read_to_string(&recovery).unwrap();
    let words = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).count();
    assert_eq!(words, 24);
    let run = place.run(["-r", "repository", "--key-file", recovery.to_str().unwrap(), "snapshots"]).ends(0);
    assert_eq!(run.err, "");
    place.run(["-r", "repository", "init", "--new-key-file", "key"]).ends(1).says("already");
}

#[test]
fn init_needs_a_secret_and_overwrites_nothing() {
    let place = Place::new();
    place.run(["-r", "repository", "init"]).ends(2).says("password");
    write(&place.path("mine"), "precious");
    let arguments = ["-r", "repository", "init", "--new-key-file", "key", "--recovery-key-file", "mine"];
    place.run(arguments).ends(2).says("mine");
    assert_eq!(std::fs::read(place.path("mine")).unwrap(), b"precious");
    assert!(!place.path("repository").exists());
    place.run(["init", "--new-key-file", "key"]).ends(2).says("BOVEDA_REPOSITORY");
}

#[test]
fn where_there_is_no_repository_the_code_is_10() {
    let place = Place::new();
    write(&place.path("key"), "00".repeat(32));
    for location in ["nowhere", "."] {
        place.run(["-r", location, "--key-file", "key", "snapshots"]).ends(10).says("boveda init");
    }
    // Before a password is asked for.
    place.run(["-r", "nowhere", "snapshots"]).ends(10);
}

#[test]
fn a_wrong_key_ends_with_12_and_says_which_slots_there_are() {
    let place = Place::init();
    write(&place.path("other.key"), "00".repeat(32));
    place.with_key("other.key", ["snapshots"]).ends(12).says("recovery");
    write(&place.path("password"), "guess");
    place.run(["-r", "repository", "--password-file", "password", "snapshots"]).ends(12);
    place.run(["-r", "repository", "snapshots"]).ends(2);
    write(&place.path("broken.key"), "no key at all");
    place.with_key("broken.key", ["snapshots"]).ends(2);
}

#[test]
fn secrets_and_locations_come_from_flags_and_environment() {
    let place = Place::init();
    write(&place.path("location"), "repository\n");
    let key = place.path("admin.key");
    let mut command = place.command(["snapshots"]);
    command.env("BOVEDA_REPOSITORY_FILE", place.path("location"));
    Run::of(command.env("BOVEDA_KEY", std::fs::read_to_string(&key).unwrap())).ends(0);
    let mut command = place.command(["--repository-file", "location", "snapshots"]);
    Run::of(command.env("BOVEDA_KEY_COMMAND", "cat 'admin.key'")).ends(0);
    let mut command = place.command(["-r", "repository", "snapshots"]);
    Run::of(command.env("BOVEDA_KEY_FILE", &key).env("BOVEDA_PASSWORD", "x")).ends(2).says("BOVEDA_KEY_FILE");
}
