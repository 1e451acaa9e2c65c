//! Real processes that are killed, interrupted or run beside each other: nothing that was acknowledged is lost, nothing has
//! to be cleaned up, and what was uploaded is used by the next run.
//!
//! `BOVEDA_TEST_FULL=1` kills ten times as often, and over larger sources.

mod beside;
mod killed;
mod partials;
mod pruned;
mod stopped;

use crate::cli::{Place, Run};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(300);

fn full() -> bool {
    std::env::var_os("BOVEDA_TEST_FULL").is_some()
}

/// Bytes that do not compress and differ by `seed`.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A number below `below` that nobody foresees.
fn any(below: u64) -> u64 {
    u64::from_le_bytes(boveda::crypto::secret::random()) % below
}

/// Writes `count` files of `length` bytes, all of them unlike any other.
fn fill(folder: &Path, count: u64, length: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for n in 0..count {
        std::fs::write(folder.join(format!("file{n}")), noise(any(u64::MAX), length)).unwrap();
    }
}

/// One machine: its own state and caches, a key, the repository of the place.
struct Machine<'a> {
    place: &'a Place,
    home: PathBuf,
    key: PathBuf,
}

impl<'a> Machine<'a> {
    fn new(place: &'a Place, home: &str, key: &str) -> Self {
        Self { place, home: place.path(home), key: place.path(key) }
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.place.command(arguments);
        command.env("HOME", &self.home).env("BOVEDA_KEY_FILE", &self.key);
        command.env("BOVEDA_REPOSITORY", self.place.path("repository"));
        command
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Takes a snapshot of a folder, to the end.
    #[track_caller]
    fn snapshot(&self, source: &Path) -> serde_json::Value {
        self.run([OsStr::new("--json"), OsStr::new("snapshot"), source.as_os_str()]).ends(0).message("summary")
    }

    /// Starts one.
    fn start(&self, source: &Path) -> Child {
        let mut command = self.command([OsStr::new("--json"), OsStr::new("snapshot"), source.as_os_str()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The ids of all snapshots.
    #[track_caller]
    fn snapshots(&self) -> BTreeSet<String> {
        let listed = self.run(["--json", "snapshots"]).ends(0).json();
        let lines = listed.iter().flat_map(|line| line.as_array().cloned().unwrap_or_else(|| vec![line.clone()]));
        lines.filter_map(|line| Some(line["id"].as_str()?.to_owned())).collect()
    }

    /// Everything verifies, every snapshot of `acknowledged` is there, and the newest of `source` restores as it is now.
    #[track_caller]
    fn all_is_well(&self, source: &Path, acknowledged: &BTreeSet<String>) {
        self.run(["verify", "--level", "full"]).ends(0);
        let there = self.snapshots();
        assert!(acknowledged.is_subset(&there), "lost: {:?}", acknowledged.difference(&there));
        let target = self.place.path(&format!("restored{}", any(u64::MAX)));
        let latest = format!("latest:{}", source.display());
        let path = source.to_str().unwrap();
        let target_text = target.to_str().unwrap();
        self.run(["restore", &latest, "--path", path, "--target", target_text]).ends(0);
        assert!(read(&target) == read(source), "the restored files are not those of {path}");
        std::fs::remove_dir_all(target).unwrap();
    }
}

/// The files of a folder.
fn read(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (PathBuf::from(path.file_name().unwrap()), std::fs::read(&path).unwrap())).collect()
}

/// Names of all packs in the repository.
fn packs(place: &Place) -> BTreeSet<PathBuf> {
    let folders = std::fs::read_dir(place.path("repository/packs")).into_iter().flatten();
    let packs = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    packs.map(|pack| pack.unwrap().path()).collect()
}

/// Waits until another pack is in the repository, while `child` runs.
#[track_caller]
fn wait_for_pack(place: &Place, before: &BTreeSet<PathBuf>, child: &mut Child) {
    let start = Instant::now();
    while packs(place).is_subset(before) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        assert!(start.elapsed() < PATIENCE, "no pack appeared");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends a process without warning. Returns what it had acknowledged by then.
fn kill(mut child: Child) -> Option<String> {
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // The last line may be cut short.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter_map(|line| Some(line["snapshot_id"].as_str()?.to_owned())).next()
}
