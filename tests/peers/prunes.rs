//! Prunes that took what was needed.

use crate::prune::{NOW, fill, forget, holds, options, pruned, two};
use crate::world::hooked::{Action, Call, Hooked, lost, puts_end};
use crate::world::{Machine, World, noise};
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::ops::prune::{Options, prune};
use boveda::ops::snapshot::snapshot;
use boveda::repo::id::SnapshotId;
use boveda::store::Listed;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Ten years later by the pruner's clock.
const LATER: i64 = NOW + 10 * 365 * 24 * 60 * 60;

/// Takes a snapshot, in which `meanwhile` happens just before it is committed.
fn snapshot_while(
    world: &World,
    machine: &Machine,
    source: &Path,
    meanwhile: impl FnOnce() + Send + 'static,
) -> SnapshotId {
    let store = Hooked::once(world.store.clone(), puts_end, |_| {
        meanwhile();
        None
    });
    let mut repository = machine.host.open(store, &world.admin).unwrap();
    let writer = machine.host.writer(&repository).unwrap();
    snapshot(&mut repository, writer.writer, &machine.options(source), &Silent).unwrap().snapshot.unwrap()
}

/// restic#4612: a listing that was cut short, or empty, was taken for all that there is, and what it did not show was pruned.
#[test]
fn restic_4612_a_listing_that_is_short_takes_nothing() {
    for prefix in ["packs", "idx", "sess", "log", "slots"] {
        for how in ["empty", "half", "one short"] {
            let (world, machine, source, [first, second]) = two();
            forget(&world, &[first]);
            let lying = Hooked::listing(world.store.clone(), move |asked, mut all: Vec<Listed>| {
                if asked.starts_with(prefix) && !all.is_empty() {
                    all.sort_by(|a, b| a.name.cmp(&b.name));
                    all.truncate(match how {
                        "empty" => 0,
                        "half" => all.len() / 2,
                        _ => all.len() - 1,
                    });
                }
                all
            });
            // Who took the snapshots knows of them; a machine that was never here does not.
            for host in [&machine.host, &world.machine("storage").host] {
                if let Ok(mut repository) = host.open(lying.clone(), &world.admin) {
                    drop(prune(&mut repository, host, &options(), &Silent));
                }
            }
            let what = format!("listings of {prefix}, {how}");
            let fresh = world.machine("reader");
            let repository = fresh.open(&world.store, &world.admin).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(repository.snapshots().len(), 1, "{what}");
            holds(&world, &source, &[(second, 2)]);
        }
    }
}

/// restic#3317: a listing that failed was taken for an empty one.
#[test]
fn restic_3317_a_listing_that_fails_is_no_empty_one() {
    for prefix in ["packs", "sess", "log", "pins", "holds"] {
        let (world, machine, source, [first, second]) = two();
        forget(&world, &[first]);
        let before = world.store.objects();
        let failing = Arc::new(AtomicBool::new(false));
        let fails = failing.clone();
        let store = Hooked::before(world.store.clone(), move |call| {
            let struck = call.action == Action::List && call.name == prefix && fails.load(Ordering::Relaxed);
            if struck { Err(lost(call.name)) } else { Ok(()) }
        });
        // The log is listed when the repository is opened, and followed by name from there.
        failing.store(prefix == "log", Ordering::Relaxed);
        let refused =
            machine.host.open(store, &world.admin).map_err(|error| error.to_string()).and_then(|mut repository| {
                failing.store(true, Ordering::Relaxed);
                prune(&mut repository, &machine.host, &options(), &Silent).map_err(|error| error.to_string())
            });
        assert!(refused.is_err(), "{prefix}: {refused:?}");
        // A session that is opened and ended may be there; nothing is gone.
        let after = world.store.objects();
        assert!(before.keys().all(|name| after.contains_key(name)), "{prefix}");
        holds(&world, &source, &[(second, 2)]);
    }
}

/// restic#3126: somebody took a prune's lock for a dead one's, and the prune went on from what it had seen long before.
#[test]
fn restic_3126_a_prune_that_slept_takes_nothing_that_came_since() {
    for entry in 0..2 {
        let (world, machine, source, [first, second]) = two();
        let world = Arc::new(world);
        forget(&world, &[first]);
        // Before it condemns, or before it gives up for good: somebody else prunes, and what was to go is needed again.
        fill(&source, 1);
        let (beside, third, put) = (world.clone(), Arc::new(Mutex::new(None)), AtomicUsize::new(0));
        let (from, taken) = (source.clone(), third.clone());
        let decides = move |call: &Call<'_>| {
            let decision = call.action == Action::Put && call.name.starts_with("log/") && !call.name.ends_with(".2");
            decision && put.fetch_add(1, Ordering::Relaxed) == entry
        };
        let store = Hooked::once(world.store.clone(), decides, move |_| {
            let other = beside.machine("other");
            let mut repository = other.open(&beside.store, &beside.admin).unwrap();
            drop(prune(&mut repository, &other.host, &options(), &Silent));
            *taken.lock().unwrap() = other.snapshot(&beside, &beside.admin, &from).snapshot;
            None
        });
        let storage = world.machine("storage");
        let mut repository = storage.host.open(store, &world.admin).unwrap();
        drop(prune(&mut repository, &storage.host, &options(), &Silent));
        let third = third.lock().unwrap().expect("it slept");
        holds(&world, &source, &[(second, 2), (third, 1)]);
        pruned(&world, &machine, &world.admin);
        holds(&world, &source, &[(second, 2), (third, 1)]);
    }
}

/// restic#2452: a lock ran out while a backup still went on, and a prune took what it had stored.
#[test]
fn restic_2452_a_snapshot_that_takes_ten_years_is_not_pruned_away() {
    let (world, machine, source, [first, second]) = two();
    let world = Arc::new(world);
    forget(&world, &[first]);
    // Half of it is there, in a pack that nobody else needs; the rest is new.
    fill(&source, 1);
    std::fs::write(source.join("more"), noise(3, 1_000_000)).unwrap();
    let beside = world.clone();
    let third = snapshot_while(&world, &machine, &source, move || {
        let storage = beside.machine("storage");
        let mut repository = storage.open(&beside.store, &beside.admin).unwrap();
        let later = Options { now: LATER, ..options() };
        let summary = prune(&mut repository, &storage.host, &later, &Silent).unwrap();
        assert!(!summary.waiting.is_empty() && summary.deleted.packs == 0, "{summary:?}");
    });
    holds(&world, &source, &[(second, 2), (third, 1)]);
    pruned(&world, &world.machine("storage"), &world.admin);
    holds(&world, &source, &[(second, 2), (third, 1)]);
}

/// kopia#5371: indexes were put together from some of them, and what only the others named was lost.
#[test]
fn kopia_5371_indexes_that_are_put_together_from_some_of_them_lose_none() {
    for hidden in [1, 4, 8] {
        let (world, machine, source, [first, second]) = two();
        let mut expected = vec![(first, 1), (second, 2)];
        for seed in 3..12 {
            fill(&source, seed);
            expected.push((machine.snapshot(&world, &world.admin, &source).snapshot.unwrap(), seed));
        }
        let lying = Hooked::listing(world.store.clone(), move |asked, mut all: Vec<Listed>| {
            if asked == "idx" {
                all.truncate(all.len().saturating_sub(hidden));
            }
            all
        });
        let before = world.as_admin().view().indexes.len();
        let mut repository = machine.host.open(lying, &world.admin).unwrap();
        checkpoint(&mut repository, 1, &Silent).unwrap();
        assert!(world.as_admin().view().indexes.len() < before, "nothing was put together");
        holds(&world, &source, &expected);
        checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
        holds(&world, &source, &expected);
    }
}

/// kopia#1242: maintenance that went by an index from before took what was stored since.
#[test]
fn kopia_1242_a_prune_that_was_opened_long_ago_spares_what_came_since() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    let storage = world.machine("storage");
    let mut from_before = storage.open(&world.store, &world.admin).unwrap();
    // What only the forgotten snapshot held is stored again, or still relied on, by one that the prune has not seen.
    fill(&source, 1);
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    let _ = prune(&mut from_before, &storage.host, &options(), &Silent);
    holds(&world, &source, &[(second, 2), (third, 1)]);
    pruned(&world, &storage, &world.admin);
    holds(&world, &source, &[(second, 2), (third, 1)]);
}

/// A world in which two machines stored the same content at the same time, so that it lies in two packs.
fn twice() -> (Arc<World>, PathBuf, [SnapshotId; 2]) {
    let world = Arc::new(World::new());
    let source = world.path("source");
    fill(&source, 1);
    let (beside, from) = (world.clone(), source.clone());
    let theirs = Arc::new(Mutex::new(None));
    let told = theirs.clone();
    let ours = snapshot_while(&world, &world.machine("ours"), &source, move || {
        let taken = beside.machine("theirs").snapshot(&beside, &beside.admin, &from);
        *told.lock().unwrap() = taken.snapshot;
    });
    let theirs = theirs.lock().unwrap().unwrap();
    assert!(world.packed() > 2_000_000, "stored twice");
    (world, source, [ours, theirs])
}

/// rustic#392: of chunks that lay in two packs, the prune counted one, and removed the other's.
#[test]
fn rustic_392_of_what_lies_in_two_packs_one_stays() {
    for gone in [None, Some(0), Some(1)] {
        let (world, source, ids) = twice();
        let left: Vec<_> =
            ids.into_iter().enumerate().filter(|(at, _)| Some(*at) != gone).map(|(_, id)| (id, 1)).collect();
        if let Some(gone) = gone {
            forget(&world, &[ids[gone]]);
        }
        let storage = world.machine("storage");
        pruned(&world, &storage, &world.admin);
        holds(&world, &source, &left);
        pruned(&world, &storage, &world.admin);
        holds(&world, &source, &left);
    }
}
