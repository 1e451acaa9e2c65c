//! What holds for every command: help, versions, wrong command lines, closed streams, readers that go away.

use std::process::{Command, Stdio};

use super::{Place, Run};

#[test]
fn help_and_version_are_results() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["help"], &["version"], &["--version"], &["help", "version"]] {
        let run = place.run(arguments).ends(0);
        assert!(!run.out.is_empty() && run.err.is_empty(), "{arguments:?}: {run:?}");
    }
    assert!(place.run(["help"]).out.contains("Trust:"));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_touches_nothing() {
    let place = Place::new();
    for arguments in [&[][..], &["frobnicate"], &["version", "--frobnicate"], &["version", "-q", "-v"]] {
        let run = place.run(arguments).ends(2);
        assert!(run.out.is_empty() && !run.err.is_empty(), "{arguments:?}: {run:?}");
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0);
}

#[test]
fn failures_are_json_when_asked_for() {
    let run = Place::new().run(["--json", "frobnicate"]).ends(2);
    let value: serde_json::Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!((&value["message_type"], &value["code"]), (&"exit_error".into(), &2.into()));
}

#[test]
fn closed_streams_do_no_harm() {
    let place = Place::new();
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!("exec {} version {closed}", env!("CARGO_BIN_EXE_boveda"));
        assert_eq!(Run::of(Command::new("sh").args(["-c", &script]).current_dir(place.path(""))).code, 0, "{closed}");
    }
}

#[test]
fn a_reader_that_goes_away_is_not_told_about_it() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.command(["version"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
}
