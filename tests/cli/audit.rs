//! `audit`: who looked into mounted snapshots; and the mount's policy.

use super::mount::{below, eventually, is_mounted, place};
use super::{Place, Run, write};
use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

fn log(place: &Place, more: &[&str]) -> Vec<Value> {
    place.run(["--json", "audit"].iter().chain(more)).ends(0).json()
}

fn cat(path: &Path) -> Run {
    Run::of(Command::new("cat").arg(path))
}

fn has(line: &Value, operation: &str, path: &str) -> bool {
    let paths = line["paths"].as_array().unwrap();
    line["operation"] == operation && paths.iter().any(|seen| seen.as_str().unwrap().ends_with(path))
}

#[test]
fn who_reads_and_lists_is_written_down() {
    let Some(place) = place() else { return };
    assert!(log(&place, &[]).is_empty());
    write(&place.path("files/hostile\u{1b}[2J"), "x");
    let id = place.snapshot(&["files"], &[]);
    place.admin(["mount", "there"]).ends(0);
    for _ in 0..3 {
        assert_eq!(cat(&below(&place, "latest", "a")).ends(0).out, "first");
    }
    cat(&below(&place, "latest", "hostile\u{1b}[2J")).ends(0);
    Run::of(Command::new("ls").arg(below(&place, "latest", "deep"))).ends(0);
    place.run(["umount", "there"]).ends(0);
    // The serving process writes what is left when the mount is gone.
    eventually("the log is written", || log(&place, &[]).iter().any(|line| has(line, "list", "/deep")));
    let lines = log(&place, &[]);
    let read: Vec<_> = lines.iter().filter(|line| has(line, "read", "files/a")).collect();
    // A minute may have ended meanwhile.
    assert!((1..=2).contains(&read.len()), "{lines:?}");
    for line in &lines {
        assert_eq!(line["message_type"], "access");
        assert_eq!((line["allowed"].as_bool(), line["uid"].as_u64()), (Some(true), Some(own_uid().into())));
        assert_eq!(line["mountpoint"], place.path("there").canonicalize().unwrap().to_str().unwrap());
        assert!(line["time"].as_str().unwrap().ends_with(":00Z"), "{line}");
    }
    assert_eq!(read[0]["snapshot_id"], id);
    assert!(read[0]["program"].as_str().unwrap().starts_with('/') && read[0]["pid"].as_u64() > Some(1), "{read:?}");
    let count: u64 =
        lines.iter().filter(|line| line["operation"] == "read").filter_map(|line| line["count"].as_u64()).sum();
    assert_eq!(count, 4);
    let text = place.run(["audit"]).ends(0).out;
    assert!(text.contains("hostile\\u{1b}[2J") && !text.contains('\u{1b}') && text.contains(&id[..8]), "{text}");
    assert!(log(&place, &["--denied"]).is_empty() && log(&place, &["--until", "2020-01-01"]).is_empty());
    assert_eq!((log(&place, &["--last", "1"]).len(), log(&place, &["--uid", "4242"]).len()), (1, 0));
    place.run(["audit", "--since", "soon"]).ends(2).says("no time");
    place.run(["audit", "--last", "0"]).ends(2);
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn refused(path: &Path) -> bool {
    fs::read(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn others_than_the_allowed_ones_are_refused_and_that_is_written_down() {
    let Some(place) = place() else { return };
    let program =
        String::from_utf8(Command::new("sh").args(["-c", "command -v cat"]).output().unwrap().stdout).unwrap();
    place.admin(["mount", "there", "--allow-exe", program.trim(), "--allow-uid", &own_uid().to_string()]).ends(0);
    let file = below(&place, "latest", "a");
    assert!(refused(&file));
    assert_eq!(cat(&file).ends(0).out, "first");
    assert!(refused(&file), "what another has read is in the kernel's memory, and that does not matter");
    assert!(fs::read_dir(below(&place, "latest", "deep")).is_err());
    place.run(["umount", "there"]).ends(0);
    eventually("all is written", || log(&place, &["--denied"]).len() == 3 && log(&place, &[]).len() > 3);
    let denied = log(&place, &["--denied"]);
    assert!(denied.iter().all(|line| line["allowed"] == false && line["count"] == 1), "{denied:?}");
    assert!(has(&denied[0], "read", "files/a") && has(&denied[2], "list", "/deep"), "{denied:?}");
    assert!(place.run(["audit", "--denied"]).ends(0).out.contains("REFUSED: read"));

    place.admin(["mount", "there", "--allow-uid", "4242", "--no-audit"]).ends(0);
    assert!(refused(&file));
    place.run(["umount", "there"]).ends(0);
    place.admin(["mount", "there", "--allow-exe", "/no/such/program"]).ends(2).says("/no/such/program");
    place.admin(["mount", "there", "--allow-uid", "ana"]).ends(2);
    assert!(!is_mounted(&place));
    assert_eq!(log(&place, &["--denied"]).len(), 3, "without a log nothing is written");
}

#[test]
fn a_log_that_cannot_be_written_is_told_of_and_the_mount_goes_on() {
    let Some(place) = place() else { return };
    fs::create_dir_all(place.path("home/.local/state/boveda/audit.db")).unwrap();
    place.admin(["mount", "there"]).ends(0);
    assert_eq!(fs::read(below(&place, "latest", "a")).unwrap(), b"first");
    let said = || fs::read_to_string(place.path("home/.local/state/boveda/mount.log")).unwrap_or_default();
    eventually("the reason is told", || said().contains("cannot be written down"));
    place.run(["umount", "there"]).ends(0);
    place.run(["audit"]).ends(1).says("audit.db");
}
