//! `init --from-env`: what an older system was told is taken over, and no secret is copied anywhere.

use super::{Place, Run, write};
use std::fs;
use std::process::Command;

const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
const HEX: &str = "abcdef1234567890abcdef1234567890abcdef1234567890abcdef1234567890";

fn with_variables(command: &mut Command) -> &mut Command {
    command.envs([
        ("BACKUP_DIR", "old"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
        ("CLOUD_PROVIDER", "aws"),
        ("AWS_BACKUP_BUCKET", "our-backups"),
        ("AWS_ACCESS_KEY_ID", "AKIAHUNTER2"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2secret"),
        ("AWS_REGION", "eu-central-1"),
        ("BACKUP_DB_CONNECTIONS", "postgres://u:hunter2@h/d"),
        ("SLACK_WEBHOOK_URL", "https://hooks.example/hunter2"),
        ("BACKUP_ALERT_EMAILS", "root@a.example, ops@b.example"),
    ])
}

fn run(place: &Place, arguments: &[&str]) -> Run {
    let mut command = place.command(arguments);
    let paths = format!("{0}/files,{0}/more", place.path("").display());
    Run::of(with_variables(&mut command).env("BACKUP_CRITICAL_PATHS", paths))
}

fn place() -> Place {
    let place = Place::new();
    write(&place.path("files/a"), "first");
    write(&place.path("more/b"), "second");
    place
}

#[test]
fn everything_is_taken_over_and_no_secret_is_written() {
    let place = place();
    let said = run(&place, &["init", "--from-env"]).ends(0);
    let text = fs::read_to_string(place.path("home/.config/boveda/config.toml")).unwrap();
    for part in [
        "[repository.main]",
        "key_env = \"BACKUP_ENCRYPTION_KEY\"",
        "[repository.main.copy.cloud]",
        "url = \"s3://our-backups/boveda\"",
        "region = \"eu-central-1\"",
        "access_key_id_env = \"AWS_ACCESS_KEY_ID\"",
        "secret_access_key_env = \"AWS_SECRET_ACCESS_KEY\"",
        "email = [\"root@a.example\", \"ops@b.example\"]",
        "slack_webhook_env = \"SLACK_WEBHOOK_URL\"",
        "connections_env = \"BACKUP_DB_CONNECTIONS\"",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    for variable in ["BACKUP_ENCRYPTION_KEY", "AWS_SECRET_ACCESS_KEY", "SLACK_WEBHOOK_URL", "BACKUP_DB_CONNECTIONS"] {
        assert!(said.out.contains(variable), "{variable} is not in:\n{}", said.out);
    }
    let everything = format!("{text}{}{}", said.out, said.err);
    for secret in ["hunter2", "HUNTER2", KEY, HEX] {
        assert!(!everything.contains(secret), "{secret}");
    }
    // From now on with the variables that are set anyway, and nothing else.
    // The copy cannot be reached: that is said, and costs the copy only.
    let mut command = place.command(&["--json", "snapshot"]);
    with_variables(&mut command).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("BOVEDA_RETRY_FOR", "0");
    let taken = Run::of(&mut command).ends(3);
    let taken = taken.says("the copy cloud is not up to date");
    let summary = taken.message("summary");
    assert_eq!(summary["files_new"], 2);
    // The key is the very 32 bytes, whatever form they are given in.
    write(&place.path("hex"), HEX);
    place.run(["-r", "old", "--key-file", "hex", "snapshots"]).ends(0);
    place.run(["snapshots"]).ends(2).says("BACKUP_ENCRYPTION_KEY");
    let again = run(&place, &["--json", "init", "--from-env"]).ends(0).message("initialized");
    assert_eq!((&again["repository_made"], &again["config_changed"]), (&false.into(), &false.into()));
}

#[test]
fn old_backups_and_an_old_configuration_stay_as_they_are() {
    let place = place();
    write(&place.path("old/full.tar.gz"), "precious");
    let before = "[snapshot]\npaths = [\"/etc\"]\n";
    write(&place.path("home/.config/boveda/config.toml"), before);
    let words = ["init", "--from-env", "--recovery-key-file", "words.txt"];
    let run = run(&place, &words).ends(0);
    assert!(run.out.contains("[snapshot]"), "{}", run.out);
    assert!(place.path("old/boveda/config").exists() && place.path("words.html").exists());
    assert_eq!(fs::read(place.path("old/full.tar.gz")).unwrap(), b"precious");
    let after = fs::read_to_string(place.path("home/.config/boveda/config.toml")).unwrap();
    assert!(after.starts_with(before) && after.matches("[snapshot]").count() == 1, "{after}");
    place.run(["-r", "old/boveda", "--key-file", "words.txt", "snapshots"]).ends(0);
}

#[test]
fn another_repository_of_that_name_is_never_mixed_up_with_the_new_one() {
    let place = place();
    let config = place.path("home/.config/boveda/config.toml");
    write(&config, "[repository.main]\nurl = \"/srv/other\"\n");
    run(&place, &["init", "--from-env"]).ends(2).says("/srv/other");
    assert!(!place.path("old").exists());
    fs::remove_file(&config).unwrap();
    run(&place, &["init", "--from-env"]).ends(0);
    fs::remove_dir_all(place.path("old")).unwrap();
    run(&place, &["init", "--from-env"]).ends(10).says("mounted");
}

#[test]
fn what_is_missing_or_wrong_makes_nothing() {
    let place = place();
    place.run(["init", "--from-env"]).ends(2).says("BACKUP_DIR");
    let mut command = place.command(["init", "--from-env"]);
    Run::of(command.env("BACKUP_DIR", "old")).ends(2).says("BACKUP_ENCRYPTION_KEY");
    let mut command = place.command(["init", "--from-env"]);
    let run = Run::of(command.env("BACKUP_DIR", "old").env("BACKUP_ENCRYPTION_KEY", "hunter2hunter2")).ends(2);
    assert!(run.err.contains("base64") && !run.err.contains("hunter2"), "{}", run.err);
    place.run(["-r", "x", "init", "--from-env"]).ends(2);
    assert!(!place.path("old").exists() && !place.path("home").exists());
}
