//! SIGINT and SIGTERM: the exit code that shells expect, soon, and the next run uses what is there.

use super::{Machine, PATIENCE, fill, packs, wait_for_pack};
use crate::cli::Place;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// From the signal to the end of the process, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(20);

fn stopped_by(signal: Signal, code: i32, fill: impl Fn(&Path)) {
    let place = Place::init();
    let machine = Machine::new(&place, "home", "admin.key");
    let source = place.path("source");
    fill(&source);
    let mut child = machine.start(&source);
    wait_for_pack(&place, &BTreeSet::new(), &mut child);
    kill_process(Pid::from_child(&child), signal).unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = start.elapsed();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(took < SOON, "it took {took:?} to stop");
    assert!(told.contains("stopped as asked"), "{told}");
    assert_eq!(machine.snapshots(), BTreeSet::new());

    let left = packs(&place);
    let summary = machine.snapshot(&source);
    let (added, all) = (&summary["data_added"], &summary["total_bytes_processed"]);
    assert!(added.as_u64().unwrap() + (16 << 20) < all.as_u64().unwrap(), "{added} of {all} bytes were added");
    assert!(left.is_subset(&packs(&place)));
    machine.all_is_well(&source, &BTreeSet::new());
}

#[test]
fn an_interrupted_snapshot_of_many_files_ends_with_130() {
    stopped_by(Signal::INT, 130, |source| fill(source, 300, 1 << 20));
}

#[test]
fn a_terminated_snapshot_of_one_large_file_ends_with_143() {
    stopped_by(Signal::TERM, 143, |source| fill(source, 1, 300 << 20));
}
