//! Two writers and one pruner on one repository, all of them killed at any moment: nothing that was acknowledged and not forgotten is
//! lost, and no hand is needed.

use super::{Machine, any, fill, full, kill, read};
use crate::cli::Place;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// Files of a source, and the bytes of each.
const FILES: u64 = 12;
const LENGTH: usize = 100 << 10;
/// Files that change in a round.
const CHANGED: u64 = 4;
/// Rounds after which everything is looked at.
const LOOK: u64 = 5;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A writer, and what each snapshot that was acknowledged holds.
struct Writer<'a> {
    machine: Machine<'a>,
    source: PathBuf,
    acknowledged: BTreeMap<String, Files>,
}

impl<'a> Writer<'a> {
    fn new(place: &'a Place, name: &str) -> Self {
        let (machine, source) = (Machine::new(place, name, "admin.key"), place.path(&format!("of-{name}")));
        fill(&source, FILES, LENGTH);
        Self { machine, source, acknowledged: BTreeMap::new() }
    }

    fn finish(&mut self) {
        let id = self.machine.snapshot(&self.source)["snapshot_id"].as_str().unwrap().to_owned();
        self.acknowledged.insert(id, read(&self.source));
    }

    /// Every snapshot of it that is there and was acknowledged restores as its source was.
    fn holds(&self) {
        let there = self.machine.snapshots();
        for (id, files) in self.acknowledged.iter().filter(|(id, _)| there.contains(*id)) {
            let target = self.machine.place.path(&format!("restored{}", any(u64::MAX)));
            let folder = format!("{id}:{}", self.source.display());
            self.machine.run(["restore", &folder, "--target", target.to_str().unwrap()]).ends(0);
            assert!(read(&target) == *files, "{id} holds something else");
            std::fs::remove_dir_all(target).unwrap();
        }
    }
}

/// What removes old snapshots and gives back their space.
const PRUNING: [&str; 9] = [
    "--json",
    "forget",
    "--keep-last",
    "3",
    "--prune",
    "--wait=0s",
    "--max-unused=0",
    "--repack-small",
    "--yes-really",
];

fn pruning(machine: &Machine<'_>) -> Child {
    machine.command(PRUNING).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn rounds(rounds: u64) {
    let place = Place::init();
    let pruner = Machine::new(&place, "storage", "admin.key");
    let mut writers = ["one", "two"].map(|name| Writer::new(&place, name));
    writers.iter_mut().for_each(Writer::finish);
    let (mut cut, mut prunes_cut) = (0, 0);
    for round in 1..=rounds {
        for writer in &writers {
            fill(&writer.source, CHANGED, LENGTH);
        }
        let begun = writers.each_ref().map(|writer| writer.machine.start(&writer.source));
        let pruning = pruning(&pruner);
        std::thread::sleep(Duration::from_millis(any(400)));
        let before_the_end = |child: &mut Child| u64::from(child.try_wait().unwrap().is_none());
        for (mut child, writer) in begun.into_iter().zip(&mut writers) {
            cut += before_the_end(&mut child);
            if let Some(id) = kill(child) {
                writer.acknowledged.insert(id, read(&writer.source));
            }
            std::thread::sleep(Duration::from_millis(any(60)));
        }
        let mut pruning = pruning;
        prunes_cut += before_the_end(&mut pruning);
        kill(pruning);
        if round % LOOK == 0 {
            look(&pruner, &mut writers);
        }
    }
    // How many, the machine's load decides; of many rounds, some.
    let enough = cut > 0 && (!full() || (cut > rounds / 4 && prunes_cut > rounds / 8));
    assert!(enough, "{rounds} rounds, {cut} snapshots and {prunes_cut} prunes cut");
}

/// Everybody comes to an end, and everything is as it should be.
fn look(pruner: &Machine<'_>, writers: &mut [Writer<'_>]) {
    writers.iter_mut().for_each(Writer::finish);
    // The dead sessions of other hosts are not waited for.
    pruner.run(["prune", "--exclusive", "--max-unused=0", "--repack-small"]).ends(0);
    pruner.run(["verify", "--level", "full"]).ends(0);
    let there = pruner.snapshots();
    for writer in writers {
        writer.holds();
        let newest = |id: &String| there.contains(id);
        assert!(writer.acknowledged.keys().any(newest), "nothing is left of {}", name(&writer.source));
        writer.acknowledged.retain(|id, _| there.contains(id));
    }
}

fn name(source: &Path) -> String {
    source.display().to_string()
}

#[test]
fn two_writers_and_a_pruner() {
    rounds(if full() { 1_000 } else { 15 });
}
