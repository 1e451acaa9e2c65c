//! Long runs, made short: what they leave on their way, and who goes on from it.

use super::*;
use crate::event::EntryStatus;
use crate::ops::verify::{Level as Depth, verify};
use crate::store::faults::{Fault, FaultStore, Plan};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MIB: u64 = 1 << 20;

fn often(world: &World) -> Options {
    Options { partial: PartialAfter { bytes: 4 * MIB, time: Duration::MAX, chunks: u64::MAX }, ..world.options() }
}

fn partials(repository: &Repository) -> Vec<&Snapshot> {
    repository.snapshots().iter().filter(|snapshot| !snapshot.is_complete()).collect()
}

/// Every snapshot holds bytes of `files` only, and the complete ones all of them; nothing is damaged.
fn all_is_well(world: &World, files: &Files) {
    let repository = world.open();
    for snapshot in repository.snapshots() {
        let found = world.files_of(&repository, snapshot);
        assert!(found.iter().all(|(path, bytes)| files[path] == *bytes), "{} holds something else", snapshot.id);
        assert!(!snapshot.is_complete() || found.len() == files.len(), "{} lacks something", snapshot.id);
        assert_eq!(snapshot.structure.bytes, found.values().map(|bytes| bytes.len() as u64).sum::<u64>());
    }
    assert_eq!(verify(&repository, &world.host, Depth::Full, &Silent).unwrap().findings, []);
}

/// Asks to stop once so many files were stored anew.
struct StopAfter(AtomicU64);

impl Sink for StopAfter {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Entry { status: EntryStatus::New | EntryStatus::Changed, size: 1.., .. }) {
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        }
    }

    fn stopping(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn a_long_run_leaves_partial_snapshots_and_ends_with_the_whole_one() {
    let world = World::new();
    let mut files = fill(&world.source());
    settle();
    let summary = world.snapshot(&often(&world));
    assert_eq!((summary.counts.files_new, summary.full, summary.parent), (40, true, None));
    assert!(summary.partials >= 3, "{} partial snapshots", summary.partials);
    let repository = world.open();
    let left = partials(&repository);
    assert_eq!((left.len() as u64, repository.snapshots().len()), (summary.partials, left.len() + 1));
    assert!(left.is_sorted_by(|a, b| a.structure.entries < b.structure.entries && a.session.seq < b.session.seq));
    assert!(left.iter().all(|partial| !world.files_of(&repository, partial).is_empty()));
    all_is_well(&world, &files);

    // The same tree as a run in one piece makes, and the same figures.
    let other = World {
        host: Host::new(&world.folder.path().join("s2"), &world.folder.path().join("c2"), None, Arc::new(Silent)),
        ..world
    };
    let whole = other.snapshot(&Options { cache: None, full: true, ..other.options() });
    assert_eq!((whole.data_chunks_added, whole.counts.bytes), (0, summary.counts.bytes));
    assert_eq!(whole.counts.files_new, 40);

    // What unchanged files are taken from is the whole one.
    let again = other.snapshot(&Options { cache: Some(other.folder.path().join("cache")), ..often(&other) });
    assert_eq!((again.parent, again.counts.files_unmodified, again.partials), (summary.snapshot, 40, 0));
    let (path, bytes) = files.iter_mut().next().unwrap();
    bytes.extend_from_slice(b"more");
    std::fs::write(path, bytes).unwrap();
    let cache = other.folder.path().join("cache");
    let changed = other.snapshot(&Options { cache: Some(cache), ..often(&other) });
    assert_eq!((changed.counts.files_changed, changed.counts.files_unmodified, changed.full), (1, 39, false));
    assert_eq!(other.files(), files);
}

#[test]
fn time_alone_is_enough_but_not_for_nothing() {
    let world = World::new();
    let files = fill(&world.source());
    settle();
    let options = Options {
        partial: PartialAfter { bytes: u64::MAX, time: Duration::ZERO, chunks: u64::MAX },
        ..world.options()
    };
    assert!(world.snapshot(&options).partials > 0);
    all_is_well(&world, &files);
    assert_eq!(world.snapshot(&options).partials, 0);
    let dry = world.snapshot(&Options { dry_run: true, full: true, ..options });
    assert_eq!((dry.partials, dry.snapshot), (0, None));
}

#[test]
fn many_new_chunks_are_enough_too() {
    let world = World::new();
    let mut files = Files::new();
    // More than may be under way between the walk and those who read.
    for n in 0..16_000_u32 {
        let path = world.source().join(format!("{}/{n}", n % 100));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, n.to_le_bytes()).unwrap();
        files.insert(path.to_str().unwrap().to_owned(), n.to_le_bytes().to_vec());
    }
    let options = Options { partial: PartialAfter { chunks: 1000, ..PartialAfter::default() }, ..world.options() };
    let summary = world.snapshot(&options);
    assert_eq!(summary.data_chunks_added, 16_000);
    assert!(summary.partials >= 1, "{} partial snapshots", summary.partials);
    all_is_well(&world, &files);
}

#[test]
fn after_a_run_that_was_asked_to_stop_nothing_is_read_twice() {
    let world = World::new();
    let files = fill(&world.source());
    settle();
    let mut repository = world.open();
    let writer = world.host.writer(&repository).unwrap();
    let options =
        Options { partial: PartialAfter { bytes: 64 * MIB, time: Duration::MAX, chunks: u64::MAX }, ..world.options() };
    let stop = StopAfter(AtomicU64::new(12));
    let stopped = snapshot(&mut repository, writer.writer, &options, &stop);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    drop(writer);
    let repository = world.open();
    let left = partials(&repository);
    assert_eq!((left.len(), repository.snapshots().len()), (1, 1));
    let held = world.files_of(&repository, left[0]).len() as u64;
    assert!((8..40).contains(&held), "{held} files");
    all_is_well(&world, &files);

    let summary = world.snapshot(&options);
    assert_eq!(summary.parent, Some(left[0].id));
    assert_eq!((summary.counts.files_unmodified, summary.counts.files_new), (held, 40 - held));
    assert!(!summary.full);
    all_is_well(&world, &files);
}

#[test]
fn a_run_that_is_stopped_with_little_to_lose_leaves_nothing() {
    let world = World::new();
    fill(&world.source());
    let mut repository = world.open();
    let writer = world.host.writer(&repository).unwrap();
    let stopped = snapshot(&mut repository, writer.writer, &world.options(), &StopAfter(AtomicU64::new(12)));
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert_eq!(world.open().snapshots().len(), 0);
}

/// The next run has both: the partial snapshot for what was read by then, and the complete one before it for the rest.
#[test]
fn a_run_that_dies_after_a_partial_snapshot_loses_nothing_of_it_nor_of_the_one_before() {
    let world = World::new();
    let mut files = fill(&world.source());
    settle();
    let first = world.snapshot(&world.options());
    for (path, bytes) in files.iter_mut().filter(|(_, bytes)| bytes.len() > 100_000) {
        bytes[0] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    settle();
    // The place is gone when the second session is under way.
    let base = world.store.clone();
    let calls = (1..).find(|call| {
        let faulty = Arc::new(FaultStore::new(base.clone()));
        faulty.plan(Some(Plan::for_good(40 + 4 * call, Fault::Before)));
        let mut repository = world.host.open(faulty.clone(), &world.credential).unwrap();
        let writer = world.host.writer(&repository).unwrap();
        assert!(snapshot(&mut repository, writer.writer, &often(&world), &Silent).is_err(), "no call was early enough");
        faulty.plan(None);
        !partials(&world.open()).is_empty()
    });
    assert!(calls.is_some());
    let repository = world.open();
    let left = *partials(&repository).last().unwrap();
    let (all, there) = (files.len() as u64, world.files_of(&repository, left));
    let changed = there.values().filter(|bytes| bytes.len() > 100_000).count() as u64;
    assert!(changed > 0);
    all_is_well_between(&world, left, &files);

    let summary = world.snapshot(&world.options());
    assert_eq!(summary.parent, Some(left.id));
    let large = files.values().filter(|bytes| bytes.len() > 100_000).count() as u64;
    assert_eq!(
        (summary.counts.files_changed, summary.counts.files_unmodified),
        (large - changed, all - large + changed)
    );
    assert!(summary.snapshot.is_some() && summary.snapshot != first.snapshot);
    assert_eq!(world.files(), files);
    // From now on the partial one is of no use to anybody.
    assert_eq!(world.snapshot(&world.options()).parent, summary.snapshot);
}

fn all_is_well_between(world: &World, partial: &Snapshot, files: &Files) {
    let repository = world.open();
    assert!(world.files_of(&repository, partial).iter().all(|(path, bytes)| files[path] == *bytes));
    assert_eq!(verify(&repository, &world.host, Depth::Full, &Silent).unwrap().findings, []);
}
