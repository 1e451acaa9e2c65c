//! Killed after a partial snapshot: it restores what it claims, and the next run does not read that again.

use super::{Machine, PATIENCE, fill, kill};
use crate::cli::Place;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::{Duration, Instant};

const LENGTH: usize = 1 << 20;

/// The ids of all partial snapshots.
fn partials(machine: &Machine<'_>) -> Vec<String> {
    let listed = machine.run(["--json", "snapshots", "--partial"]).ends(0).json();
    let partial = listed.iter().filter(|line| line["partial"] == true);
    partial.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_partial_snapshot_has_is_kept_and_not_read_again() {
    let place = Place::init();
    let machine = Machine::new(&place, "home", "admin.key");
    let source = place.path("source");
    for n in 0..12 {
        fill(&source.join(format!("folder{n:02}")), 16, LENGTH);
    }
    // Old enough for their stamps to be believed.
    std::thread::sleep(Duration::from_millis(3_100));
    let arguments = ["--json", "snapshot", "--partial-after", "16M"].map(OsStr::new).into_iter();
    let mut child = machine.command(arguments.chain([source.as_os_str()]));
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while partials(&machine).len() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(start.elapsed() < PATIENCE, "no partial snapshot appeared");
    }
    assert_eq!(kill(child), None);

    let left = partials(&machine);
    let newest = left.last().unwrap().as_str();
    let target = place.path("restored");
    let listed = machine.run(["--json", "ls", "--partial", newest]).ends(0).json();
    let files: Vec<_> = listed.iter().filter(|node| node["type"] == "file").collect();
    assert!(files.len() >= 16, "{} files", files.len());
    machine.run(["restore", "--partial", newest, "--target", target.to_str().unwrap()]).ends(0);
    for node in &files {
        let path = node["path"].as_str().unwrap();
        let restored = std::fs::read(target.join(path.strip_prefix('/').unwrap())).unwrap();
        assert!(restored == std::fs::read(path).unwrap(), "{path} holds something else");
    }

    let summary = machine.snapshot(&source);
    assert_eq!((&summary["parent"], &summary["files_unmodified"]), (&newest.into(), &files.len().into()));
    let (added, rest) = (summary["data_added"].as_u64().unwrap(), (12 * 16 - files.len()) * LENGTH);
    assert!(added < rest as u64 + (1 << 20), "{added} bytes added, {rest} bytes were new");
    assert_eq!(machine.snapshots().len(), 1);
    let acknowledged = BTreeSet::from([summary["snapshot_id"].as_str().unwrap().to_owned()]);
    machine.run(["verify", "--level", "full"]).ends(0);
    assert!(acknowledged.is_subset(&machine.snapshots()));
    assert_eq!(machine.snapshot(&source)["files_unmodified"], 12 * 16);
}
