//! What went in comes out: random trees, random histories, and every snapshot equal to what was when it was taken.
//!
//! Needs root, for owners, devices and attributes of the trusted name space; says so where it is not.

mod large;
pub mod picture;
mod tree;

use crate::world::{Listener, Machine, World};
use boveda::mount::{self, Session};
use boveda::ops::follow::Followed;
use boveda::ops::snapshot::Options;
use boveda::repo::id::SnapshotId;
use picture::Picture;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tree::Step;

/// What happens between two snapshots, and whether the second reads every byte again.
type Chapter = (Vec<Step>, bool);

fn chapters() -> impl Strategy<Value = Vec<Chapter>> {
    let later = (prop::collection::vec(tree::step(), 0..8), prop::bool::weighted(0.2));
    (prop::collection::vec(tree::step(), 5..40), prop::collection::vec(later, 1..5)).prop_map(|(first, later)| {
        let mut chapters = vec![(first, false)];
        chapters.extend(later);
        chapters
    })
}

/// A source that lives on, and what it was whenever a snapshot was taken.
struct Story {
    world: World,
    machine: Machine,
    source: PathBuf,
    past: Vec<(SnapshotId, Picture)>,
}

impl Story {
    fn new() -> Self {
        let world = World::new();
        let (machine, source) = (world.machine("host"), world.path("source"));
        fs::create_dir(&source).unwrap();
        Self { world, machine, source, past: vec![] }
    }

    /// Takes a snapshot; how many regular files it did not have to read.
    fn snapshot(&mut self, full: bool) -> u64 {
        let before = picture::take(&self.source);
        let listener = Listener::default();
        let options = Options { full, ..self.machine.options(&self.source) };
        let summary = self.machine.try_snapshot(&self.world, &self.world.admin, &options, &listener).unwrap();
        assert_eq!((listener.complaints(), summary.problems), (vec![], 0));
        assert!(!full || summary.full);
        picture::compare(&picture::take(&self.source), &before);
        self.past.push((summary.snapshot.unwrap(), before));
        summary.counts.files_unmodified
    }

    /// Looks at every snapshot through a mount, restores it into a fresh directory, and each over a copy of the one before.
    fn check(&self) {
        let repository = self.machine.open(&self.world.store, &self.world.admin).unwrap();
        assert_eq!(repository.snapshots().len(), self.past.len());
        self.check_mounted();
        let restore = |id, target: &Path| self.machine.restore(&repository, id, &self.source, target);
        for (number, (id, expected)) in self.past.iter().enumerate() {
            let target = self.world.path(&format!("fresh{number}"));
            restore(id, &target);
            picture::compare(&picture::take(&target), expected);
            if let Some((before, _)) = number.checked_sub(1).map(|before| &self.past[before]) {
                let target = self.world.path(&format!("over{number}"));
                restore(before, &target);
                self.restore_over(&repository, id, &target, expected);
            }
        }
    }

    /// Looks at every snapshot through a mount. Under CI there must be one.
    fn check_mounted(&self) {
        if !Path::new("/dev/fuse").exists() {
            assert!(std::env::var_os("CI").is_none(), "/dev/fuse is needed to prove this");
            return;
        }
        let looker = self.world.machine("looker");
        let repository = looker.open(&self.world.store, &self.world.admin).unwrap();
        let followed = Followed::new(looker.host, repository, 16 << 20).unwrap();
        let (folder, listener) = (self.world.path("mount"), Arc::new(Listener::default()));
        fs::create_dir(&folder).unwrap();
        let session = Session::start(&mount::Options::new(&folder), Arc::new(followed), listener.clone()).unwrap();
        for (id, expected) in &self.past {
            let inside = self.source.strip_prefix("/").unwrap();
            picture::compare(&picture::take(&folder.join("by-id").join(id.short()).join(inside)), expected);
        }
        drop(session);
        assert_eq!(listener.complaints(), [""; 0]);
    }

    /// Over what is there: everything that was in the snapshot is as it was; what was not stays, and where that is a
    /// directory in the way of something else, this is a problem that is told.
    fn restore_over(
        &self,
        repository: &boveda::repo::repository::Repository,
        id: &SnapshotId,
        target: &Path,
        expected: &Picture,
    ) {
        let listener = Listener::default();
        let shared = fs::metadata(target).unwrap().permissions().mode() & 0o1000 != 0;
        self.machine.try_restore(repository, id, &self.source, target, &listener).unwrap();
        let found = picture::take(target);
        if listener.complaints().is_empty() {
            // A shared target keeps its own attributes.
            for (name, shot) in expected.iter().filter(|(name, _)| !shared || !name.is_empty()) {
                let mut restored = found[name].clone();
                // A name that the snapshot does not have may share the inode, and be the first.
                restored.group = shot.group.clone().filter(|_| restored.group.is_some());
                assert_eq!(&restored, shot, "{}", name.escape_ascii());
            }
        }
    }
}

#[allow(clippy::print_stderr)]
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// Stamps younger than 2 s are not believed: here every chapter is told before the change cache believes anything.
#[test]
fn every_snapshot_of_a_random_history_equals_what_was() {
    if !root() {
        return;
    }
    let cases = if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 1_000 } else { 24 };
    let config = Config { cases, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    let outcome = TestRunner::new(config).run(&chapters(), |chapters| {
        let mut story = Story::new();
        for (steps, full) in &chapters {
            steps.iter().for_each(|step| step.apply(&story.source));
            story.snapshot(*full);
        }
        story.check();
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// The same with stamps that are believed: many histories side by side, which all wait together between two chapters.
#[test]
fn what_the_change_cache_vouches_for_is_what_was() {
    if !root() {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let mut stories: Vec<_> =
        (0..24).map(|_| (Story::new(), chapters().new_tree(&mut runner).unwrap().current())).collect();
    let mut unread = 0;
    for number in 0..3 {
        for (story, chapters) in &mut stories {
            let steps = chapters.get(number).map_or(&[][..], |(steps, _)| steps);
            steps.iter().for_each(|step| step.apply(&story.source));
        }
        // Half of the histories grow old between what happens and the snapshot, the others after it.
        for (story, _) in stories.iter_mut().step_by(2) {
            unread += story.snapshot(false);
        }
        // Whole seconds are compared: a stamp is trusted from the third second after its own on.
        std::thread::sleep(Duration::from_millis(3_100));
        for (story, _) in stories.iter_mut().skip(1).step_by(2) {
            unread += story.snapshot(false);
        }
    }
    assert!(unread > 50, "the cache was hardly used: {unread} files");
    stories.iter().for_each(|(story, _)| story.check());
}
