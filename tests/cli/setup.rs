//! `setup`: from nothing to a first snapshot, again and again, and from wherever a run was cut short.

use super::{Place, Run, write};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

const CONFIG: &str = "home/.config/boveda/config.toml";

fn place() -> Place {
    let place = Place::new();
    write(&place.path("files/a"), "first");
    place
}

fn setup(place: &Place, more: &[&str]) -> Run {
    let arguments = ["--json", "-r", "repository", "setup", "--yes", "--source", "files"];
    place.run(arguments.iter().chain(more))
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn path_of(setup: &Value, field: &str) -> String {
    setup[field].as_str().unwrap_or_else(|| panic!("no {field} in {setup}")).to_owned()
}

#[test]
fn setup_ends_with_a_snapshot_and_everything_private() {
    let place = place();
    let run = setup(&place, &[]).ends(0);
    assert_eq!(run.message("summary")["files_new"], 1);
    let made = run.message("setup");
    assert_eq!((&made["repository_made"], &made["config_changed"]), (&true.into(), &true.into()));
    for field in ["config", "key_file", "recovery_key_file", "recovery_page"] {
        let path = path_of(&made, field);
        assert_eq!(mode(Path::new(&path)), 0o600, "{path}");
    }
    assert_eq!(mode(&place.path("home/.config/boveda")), 0o700);
    // Nothing else has to be said from now on.
    assert_eq!(place.run(["--json", "snapshots"]).ends(0).json().len(), 1);
    place.run(["snapshot"]).ends(0);
    let words = path_of(&made, "recovery_key_file");
    place.run(["--key-file", &words, "snapshots"]).ends(0);
    let page = fs::read_to_string(path_of(&made, "recovery_page")).unwrap();
    let text = fs::read_to_string(&words).unwrap();
    for word in text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace) {
        assert!(page.contains(&format!("<li>{word}</li>")), "{word}");
    }
    assert!(page.contains(made["id"].as_str().unwrap()) && page.matches("<svg").count() == 2);
    assert_eq!(fs::read_dir(place.path("home/.config/boveda")).unwrap().count(), 4, "nothing is left over");
}

#[test]
fn a_second_run_changes_nothing() {
    let place = place();
    setup(&place, &[]).ends(0);
    let before = fs::read(place.path(CONFIG)).unwrap();
    let run = setup(&place, &[]).ends(0);
    let again = run.message("setup");
    assert_eq!((&again["repository_made"], &again["config_changed"]), (&false.into(), &false.into()));
    assert!(again["recovery_key_file"].is_null());
    assert_eq!(run.json().len(), 1, "no second snapshot: {}", run.out);
    assert_eq!(fs::read(place.path(CONFIG)).unwrap(), before);
    // Not even with nothing said at all.
    place.run(["setup", "--yes"]).ends(0);
    assert_eq!(fs::read(place.path(CONFIG)).unwrap(), before);
    place.run(["-r", "elsewhere", "setup", "--yes"]).ends(2).says("--name");
    let there = place.path("repository");
    fs::rename(&there, place.path("unmounted")).unwrap();
    place.run(["setup", "--yes"]).ends(10).says("mounted");
    assert!(!there.exists());
    fs::rename(place.path("unmounted"), &there).unwrap();
    let second = ["--json", "-r", "second", "setup", "--yes", "--name", "usb", "--no-snapshot"];
    place.run(second).ends(0);
    let after = fs::read_to_string(place.path(CONFIG)).unwrap();
    assert!(after.as_bytes().starts_with(&before) && after.contains("[repository.usb]"), "{after}");
    place.run(["-r", "@usb", "snapshots"]).ends(0);
}

#[test]
fn a_run_that_was_cut_short_is_brought_to_its_end() {
    // After the words were written and before the repository was.
    let place = place();
    let first = setup(&place, &["--no-snapshot"]).ends(0).message("setup");
    let words = fs::read(path_of(&first, "recovery_key_file")).unwrap();
    fs::remove_dir_all(place.path("repository")).unwrap();
    for field in ["config", "recovery_key_file", "recovery_page"] {
        fs::remove_file(path_of(&first, field)).unwrap();
    }
    let pending = place.path("home/.config/boveda/main.recovery-pending");
    write(&pending, &words);
    let second = setup(&place, &["--no-snapshot"]).ends(0).message("setup");
    assert_eq!(second["repository_made"], true);
    let sheet = path_of(&second, "recovery_key_file");
    place.run(["--key-file", &sheet, "snapshots"]).ends(0);
    assert!(!pending.exists());
    // After the repository was made and before, or while, the sheet was.
    for lost in [&["recovery_key_file", "recovery_page", "config"][..], &["recovery_page"], &[]] {
        write(&pending, fs::read(&sheet).unwrap());
        lost.iter().for_each(|field| fs::remove_file(path_of(&second, field)).unwrap());
        let third = setup(&place, &["--no-snapshot"]).ends(0).message("setup");
        assert_eq!((&third["id"], &third["repository_made"]), (&second["id"], &false.into()));
        place.run(["--key-file", &path_of(&third, "recovery_key_file"), "snapshots"]).ends(0);
        assert!(!pending.exists());
    }
    // Words of another repository are no sheet of this one.
    write(&pending, "abandon ".repeat(23) + "art");
    let other = setup(&place, &["--no-snapshot"]).ends(0).message("setup");
    assert!(other["recovery_key_file"].is_null() && !pending.exists());
}

#[test]
fn what_cannot_be_is_said_before_anything_is_made() {
    let place = place();
    place.run(["setup"]).ends(2).says("--yes");
    place.run(["-r", "@main", "setup", "--yes"]).ends(2).says("--name");
    place.run(["-r", "ftp://host/x", "setup", "--yes"]).ends(2).says("ftp://host/x");
    place.run(["-r", "files", "setup", "--yes", "--source", "files/a"]).ends(2).says("in the repository's folder");
    place.run(["-r", "r", "setup", "--yes", "--name", "a b"]).ends(2).says("--name");
    write(&place.path("mine.html"), "precious");
    setup(&place, &["--recovery-key-file", "mine.txt"]).ends(2).says("mine.html");
    let entries: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!entries.iter().any(|name| name == "repository" || name == "r"), "{entries:?}");
    assert_eq!(fs::read(place.path("mine.html")).unwrap(), b"precious");
    // A repository that is there and that the new key does not open.
    let other = Place::init();
    write(&other.path("files/a"), "");
    setup(&other, &[]).ends(12).says("--key-file");
    assert!(!other.path(CONFIG).exists());
    other.run(["-r", "repository", "--key-file", "admin.key", "setup", "--yes", "--source", "files"]).ends(0);
    other.run(["snapshots"]).ends(0);
}

#[test]
fn other_secrets_are_named_in_the_configuration_and_never_written_there() {
    for (variable, value, line) in [
        ("BOVEDA_PASSWORD", "hunter2", "password_env = \"BOVEDA_PASSWORD\""),
        ("BOVEDA_PASSWORD_COMMAND", "cat secret", "password_command = \"cat secret\""),
        ("BOVEDA_PASSWORD_FILE", "secret", "password_file = \"/"),
    ] {
        let place = place();
        write(&place.path("secret"), "hunter2\n");
        fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        let run = |arguments: &[&str]| Run::of(place.command(arguments).env(variable, value));
        let made = run(&["-r", "repository", "setup", "--yes", "--source", "files"]).ends(0);
        let text = fs::read_to_string(place.path(CONFIG)).unwrap();
        assert!(text.contains(line) && !text.contains("hunter2") && !text.contains("key_file"), "{text}");
        assert!(!made.out.contains("hunter2") && !made.err.contains("hunter2"));
        if variable == "BOVEDA_PASSWORD" {
            run(&["snapshots"]).ends(0);
        } else {
            place.run(["snapshots"]).ends(0);
        }
    }
}

#[test]
fn the_words_are_printed_only_where_they_are_asked_for() {
    let words = |run: &Run| {
        run.out
            .lines()
            .filter(|line| {
                line.strip_prefix("    ")
                    .is_some_and(|words| words.split(' ').count() == 6 && !words.starts_with([' ', '#']))
            })
            .count()
    };
    let place = place();
    let plain = ["-r", "repository", "setup", "--yes", "--source", "files", "--no-snapshot"];
    assert_eq!(words(&place.run(plain).ends(0)), 0);
    let printed = ["-r", "other", "setup", "--yes", "--source", "files", "--name", "b", "--print-recovery"];
    assert_eq!(words(&place.run(printed).ends(0)), 4);
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn on_a_terminal_it_asks() {
    let place = place();
    let command = format!("{} setup", env!("CARGO_BIN_EXE_boveda"));
    let run = |answers: &str| {
        let mut script = place.command([""; 0]);
        script = {
            let mut wrapped = std::process::Command::new("script");
            wrapped.env_clear().envs(script.get_envs().filter_map(|(key, value)| Some((key, value?))));
            wrapped.current_dir(place.path(""));
            wrapped
        };
        script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().ok()?;
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Some((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let Some((code, said)) = run("repository\nfiles\nno\n") else {
        assert!(std::env::var_os("CI").is_none(), "script (bsdutils) is needed for this test");
        println!("skipped: there is no script(1)");
        return;
    };
    assert!(code == Some(1) && said.contains("Go on?") && said.contains("nothing was made"), "{said}");
    assert!(!place.path("repository").exists() && !place.path("home").exists());
    let (code, said) = run("repository\nfiles\n\n").unwrap();
    assert_eq!(code, Some(0), "{said}");
    // On a terminal the words are shown.
    assert!(said.contains("recovery key") && said.contains("# repository"), "{said}");
    assert_eq!(place.run(["--json", "snapshots"]).ends(0).json().len(), 1);
}
