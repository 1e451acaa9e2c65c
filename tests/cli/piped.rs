//! Snapshots of standard input and of commands: what is stored, and that a failed command leaves nothing.

use super::{Place, Run};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Stdio;

fn snapshots(place: &Place) -> usize {
    place.admin(["--json", "snapshots"]).ends(0).json().len()
}

/// Bytes that look like nothing, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(step).collect()
}

#[test]
fn standard_input_becomes_a_file() {
    let place = Place::init();
    let bytes = noise(9_000_000);
    let run =
        Run::with_input(&mut place.admin_command(["--json", "snapshot", "--stdin", "--stdin-name", "d/dump"]), &bytes);
    let summary = run.ends(0).message("summary");
    assert_eq!((&summary["files_new"], &summary["dirs_new"]), (&1.into(), &1.into()));
    assert_eq!(summary["total_bytes_processed"], bytes.len());
    let listed = place.admin(["--json", "snapshots"]).ends(0).json();
    assert_eq!(listed[0]["paths"], serde_json::json!(["/d/dump"]));
    place.admin(["restore", "latest", "--target", "out"]).ends(0);
    assert!(std::fs::read(place.path("out/d/dump")).unwrap() == bytes);
    let file = place.path("out/d/dump").metadata().unwrap();
    assert_eq!((file.permissions().mode() & 0o777, file.uid()), (0o600, rustix::process::getuid().as_raw()));
    // The same again, with something in the middle, costs what is new.
    let changed = [&bytes[..4_000_000], b"something", &bytes[4_000_000..]].concat();
    let run = Run::with_input(
        &mut place.admin_command(["--json", "snapshot", "--stdin", "--stdin-name", "d/dump"]),
        &changed,
    );
    let added = run.ends(0).message("summary")["data_added"].as_u64().unwrap();
    assert!(added < 1_000_000, "{added} bytes for nine");
    place.admin(["verify", "--level", "full"]).ends(0);
    // Nothing at all is a file too.
    Run::with_input(&mut place.admin_command(["snapshot", "--stdin"]), b"").ends(0);
    let node = place.admin(["--json", "ls", "latest:/stdin"]).ends(0).message("node");
    assert_eq!((&node["size"], &node["type"]), (&0.into(), &"file".into()));
}

#[test]
fn a_commands_output_becomes_a_file_and_what_it_says_is_passed_on() {
    let place = Place::init();
    let script = "echo \"$1:$BOVEDA_PASSWORD:$BOVEDA_KEY:$MINE\"; printf 'careful \\033[2J\\n' >&2; cat";
    let arguments = ["snapshot", "--command", "out.txt", "--", "sh", "-c", script, "name", "a b"];
    let mut command = place.admin_command(arguments);
    let key = std::fs::read_to_string(place.path("admin.key")).unwrap();
    let run = Run::of(command.env_remove("BOVEDA_KEY_FILE").env("BOVEDA_KEY", key.trim()).env("MINE", "mine"));
    run.ends(0).says("sh: careful \\u{1b}[2J");
    place.admin(["restore", "latest:/out.txt", "--target", "out"]).ends(0);
    assert_eq!(std::fs::read_to_string(place.path("out/out.txt")).unwrap(), "a b:::mine\n");
    // As restic's users write it.
    place.admin(["backup", "--stdin-from-command", "--stdin-filename", "r", "--", "echo", "x"]).ends(0);
    assert_eq!(place.admin(["--json", "ls", "latest:/r"]).ends(0).message("node")["size"], 2);
    let dry = place.admin(["--json", "snapshot", "-n", "--command", "x", "--", "echo", "x"]).ends(0).message("summary");
    assert_eq!((&dry["dry_run"], dry.get("snapshot_id")), (&true.into(), None));
    assert_eq!(snapshots(&place), 2);
}

#[test]
fn a_command_that_fails_leaves_no_snapshot() {
    let place = Place::init();
    let script = "head -c 3000000 /dev/zero; echo first >&2; printf 'no \\033[31mtable\\n' >&2; exit 3";
    let run = place.admin(["snapshot", "--command", "db", "--", "sh", "-c", script]).ends(1);
    let run = run.says("sh failed (exit status: 3)").says("\n  first\n  no \\u{1b}[31mtable");
    assert!(!run.err.contains('\u{1b}'));
    place.admin(["snapshot", "--command", "db", "--", "sh", "-c", "echo x; kill -9 $$"]).ends(1).says("SIGKILL");
    place.admin(["snapshot", "--command", "db", "--", "/nowhere/program"]).ends(1).says("cannot run /nowhere/program");
    let json = place.admin(["--json", "snapshot", "--command", "db", "--", "false"]).ends(1);
    let last: serde_json::Value = serde_json::from_str(json.err.lines().last().unwrap()).unwrap();
    assert_eq!((&last["message_type"], &last["code"]), (&"exit_error".into(), &1.into()));
    assert_eq!(snapshots(&place), 0);
    place.admin(["verify"]).ends(0);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let place = Place::init();
    for arguments in [
        &["--stdin", "path"][..],
        &["--stdin", "--command", "x", "--", "true"],
        &["--stdin", "--files-from", "list"],
        &["--stdin", "--stdin-name", "/"],
        &["--stdin", "--skip-if-unchanged"],
        &["--stdin-name", "x", "path"],
        &["--command", "x", "--parent", "latest", "--", "true"],
        &["--command", "x"],
        &["--command", "..", "--", "true"],
    ] {
        place.admin([&["snapshot"], arguments].concat()).ends(2);
    }
    assert_eq!(snapshots(&place), 0);
}

#[test]
fn a_run_that_is_stopped_ends_its_command() {
    let place = Place::init();
    let script = "echo $$ > pid; while :; do echo x; sleep 0.05; done";
    let mut command = place.admin_command(["snapshot", "--command", "x", "--", "sh", "-c", script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = loop {
        match std::fs::read_to_string(place.path("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => std::thread::sleep(std::time::Duration::from_millis(50)),
        }
    };
    let own = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(own, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(!std::path::Path::new("/proc").join(pid).exists());
    assert_eq!(snapshots(&place), 0);
}

#[test]
fn whoever_asks_by_a_signal_is_told_the_progress_once() {
    use std::io::{BufRead as _, BufReader, Write as _};
    for (json, expected) in [(false, "snapshot: 0:"), (true, "\"message_type\":\"status\"")] {
        let place = Place::init();
        let mut command = place.admin_command(["-q", "snapshot", "--stdin"]);
        if json {
            command.arg("--json");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // Taken by then, but for what fits into the pipe: it listens.
        input.write_all(&noise(5_000_000)).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::USR1).unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = errors.next().unwrap().unwrap();
        assert!(line.contains(expected) && !line.contains("nothing"), "{line}");
        drop(input);
        assert_eq!(errors.map(Result::unwrap).collect::<Vec<_>>(), [""; 0]);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(snapshots(&place), 1);
    }
}
