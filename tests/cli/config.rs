//! The configuration: which file counts, what outranks it, what is refused, what is shown.

use super::{Place, Run, write};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A place with a repository, files, and a configuration of the user that names both.
fn configured() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    write(&place.path("files/b.tmp"), "not this");
    let top = place.path("");
    let top = top.to_str().unwrap();
    let text = format!(
        "[repository.main]\nurl = \"{top}repository\"\nkey_file = \"{top}admin.key\"\n\n\
         [snapshot]\npaths = [\"{top}files\"]\nexclude = [\"*.tmp\"]\ntags = [\"nightly\"]\nhost = \"web\"\n"
    );
    write(&place.path("home/.config/boveda/config.toml"), text);
    place
}

fn config_of(place: &Place, text: &str) -> String {
    let path = place.path("c.toml");
    write(&path, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn with_a_configuration_no_option_is_needed() {
    let place = configured();
    let summary = place.run(["--json", "snapshot"]).ends(0).message("summary");
    assert_eq!(summary["files_new"], 1);
    let listed = place.run(["--json", "snapshots"]).ends(0).message("snapshot");
    assert_eq!((&listed["hostname"], &listed["tags"][0]), (&"web".into(), &"nightly".into()));
    // What the command says comes before, and its excludes come after.
    let arguments = ["--json", "-r", "@main", "snapshot", "files", "-e", "!b.tmp", "--tag", "x", "--host", "db"];
    let summary = place.run(arguments).ends(0).message("summary");
    assert_eq!(summary["files_new"].as_u64().unwrap() + summary["files_unmodified"].as_u64().unwrap(), 2);
    let listed = place.run(["--json", "snapshots", "-H", "db"]).ends(0).message("snapshot");
    assert_eq!(listed["tags"], serde_json::json!(["x"]));
}

#[test]
fn flags_and_variables_outrank_the_file() {
    let place = configured();
    write(&place.path("wrong.key"), "00".repeat(32));
    Run::of(place.command(["snapshots"]).env("BOVEDA_KEY_FILE", place.path("wrong.key"))).ends(12);
    place.run(["--key-file", "wrong.key", "snapshots"]).ends(12);
    Run::of(place.command(["snapshots"]).env("BOVEDA_REPOSITORY", place.path("nowhere"))).ends(10);
    // The repository's own section opens it also when it is named by its place, and no other one.
    place.run(["-r", "repository", "snapshots"]).ends(0);
    place.run(["-r", "@main", "snapshots"]).ends(0);
    place.run(["-r", "@other", "snapshots"]).ends(2).says("main");
    let empty = config_of(&place, "");
    place.run(["--config", &empty, "snapshots"]).ends(2).says("boveda setup");
    place
        .run(["--config", &empty, "-r", "repository", "--key-file", "admin.key", "snapshot"])
        .ends(2)
        .says("[snapshot]");
    Run::of(place.command(["snapshots"]).env("BOVEDA_CONFIG", &empty)).ends(2).says(&empty);
    place.run(["--config", "missing.toml", "snapshots"]).ends(2).says("missing.toml");
}

#[test]
fn a_wrong_file_stops_every_command_that_needs_it() {
    let place = Place::new();
    for (text, part) in [
        ("[repository.a]\nurl = '/a'\nkeyfile = '/k'\n", "line 3: unknown key `keyfile` (did you mean `key_file`?)"),
        ("[repository.a]\nurl = 'a'\n", "line 2"),
        ("default_repository = 'x'\n", "[repository.x]"),
        ("[a\u{1b}[2J]\n", "line 1"),
    ] {
        let config = config_of(&place, text);
        for verb in [&["config", "check"][..], &["config", "show"], &["snapshots"]] {
            let run = place.run(["--config", &config].iter().chain(verb)).ends(2).says(part);
            assert!(!run.err.contains('\u{1b}'), "{}", run.err);
        }
    }
    let config = config_of(&place, "[repository.a]\nurl = '/a'\npassword = 'hunter2'\n");
    place.run(["--config", &config, "config", "check"]).ends(0);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    let run = place.run(["--config", &config, "config", "check"]).ends(2).says("chmod 600").says(&config);
    assert!(!run.err.contains("hunter2"));
}

#[test]
fn check_says_what_is_right_and_what_is_probably_not_meant() {
    let place = configured();
    let run = place.run(["config", "check"]).ends(0);
    assert!(run.out.contains("1 repository, 1 path") && run.err.is_empty(), "{run:?}");
    let checked = place.run(["--json", "config", "check"]).ends(0).message("config");
    assert_eq!(checked["repositories"], serde_json::json!(["main"]));
    fs::remove_file(place.path("admin.key")).unwrap();
    place.run(["config", "check"]).ends(0).says("admin.key");
    let none = Place::new();
    assert!(none.run(["config", "check"]).ends(0).out.contains("home/.config/boveda/config.toml"));
    assert!(none.run(["--json", "config", "check"]).ends(0).message("config")["path"].is_null());
}

#[test]
fn show_tells_who_says_what_and_hides_secrets() {
    let place = configured();
    let key = |run: &Run, key: &str| run.json().into_iter().find(|line| line["key"] == key).unwrap();
    let run = place.run(["--json", "config", "show"]).ends(0);
    let file = place.path("home/.config/boveda/config.toml");
    assert_eq!(key(&run, "config")["value"], file.to_str().unwrap());
    assert_eq!(key(&run, "repository")["rank"], "file");
    assert_eq!(key(&run, "opened_by")["value"], "repository.main.key_file");
    assert_eq!(key(&run, "snapshot.tags")["value"][0], "nightly");
    assert_eq!(key(&run, "cache_folder")["rank"], "default");
    let mut command = place.command(["--json", "-r", "elsewhere", "config", "show"]);
    let run = Run::of(command.env("BOVEDA_PASSWORD", "hunter2").env("BOVEDA_CACHE_DIR", "/c")).ends(0);
    assert_eq!(key(&run, "repository")["rank"], "flag");
    assert_eq!(
        (&key(&run, "opened_by")["value"], &key(&run, "cache_folder")["rank"]),
        (&"BOVEDA_PASSWORD".into(), &"environment".into())
    );
    let secret = "[repository.a]\nurl = '/a'\npassword = 'hunter2'\n[repository.b]\nurl = '/\\u001b[2J'\n";
    let config = config_of(&place, &secret.replace("'/\\u001b[2J'", "\"/\\u001b[2J\""));
    let run = place.run(["--config", &config, "config", "show"]).ends(0);
    assert!(run.out.contains("(hidden)") && !run.out.contains("hunter2") && !run.out.contains('\u{1b}'), "{}", run.out);
    assert!(Place::new().run(["config", "show"]).ends(0).out.contains("nothing names one"));
}
