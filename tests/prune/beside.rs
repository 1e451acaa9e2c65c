//! A prune and a snapshot, or two prunes, at once over one store, changing over at every call of either: no snapshot that stands
//! lacks anything.

use super::{LARGE, NOW, fill, forget, holds, options, pruned};
use crate::roles::turns::{Race, everywhere};
use crate::world::hooked::{Action, Hooked, lost};
use crate::world::{Listener, World};
use boveda::event::Silent;
use boveda::ops::prune::{Options, prune};
use boveda::ops::snapshot::snapshot;
use boveda::repo::id::SnapshotId;
use boveda::repo::repository::Repository;
use boveda::store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A world whose two snapshots have another content each, the first of them forgotten; and the source as that one had it.
fn world() -> (World, PathBuf, SnapshotId) {
    let (world, machine, source, [first, second]) = super::two();
    drop(machine);
    forget(&world, &[first]);
    fill(&source, 1);
    (world, source, second)
}

#[test]
fn a_snapshot_beside_a_prune_is_whole() {
    let (base, source, second) = world();
    for first_is_prune in [true, false] {
        everywhere(17, |turn| {
            let world = base.fork();
            let race = Race::over(&world.store);
            let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
            let (storage, laptop) = (world.machine("storage"), world.machine("laptop"));
            // The snapshot may wait for its turn until the prune is over.
            let how = Options { wait: Duration::ZERO, now: NOW, ..options() };
            let (mut told, mut taken) = (None, None);
            let writer = laptop.host.writer(&theirs).unwrap().writer;
            let mut pruning = |repository: &mut _| told = Some(prune(repository, &storage.host, &how, &Silent));
            let mut taking = |repository: &mut _| {
                taken = Some(snapshot(repository, writer, &laptop.options(&source), &Listener::default()));
            };
            let reached = match first_is_prune {
                true => race.run(turn, || pruning(&mut ours), || taking(&mut theirs)),
                false => race.run(turn, || taking(&mut ours), || pruning(&mut theirs)),
            };
            let what = format!("{turn:?}, prune first: {first_is_prune}");
            told.unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
            let taken = taken.unwrap().unwrap_or_else(|error| panic!("{what}: {error}")).snapshot.unwrap();
            holds(&world, &source, &[(second, 2), (taken, 1)]);
            // And the next prune ends whatever is left to do.
            let storage = world.machine("storage again");
            pruned(&world, &storage, &world.admin);
            holds(&world, &source, &[(second, 2), (taken, 1)]);
            assert!(world.as_admin().condemned(u64::MAX).is_empty(), "{what}");
            assert!(world.packed() < 3 * LARGE as u64, "{what}: {} bytes", world.packed());
            reached
        });
    }
}

#[test]
fn two_prunes_at_once_do_no_more_than_one() {
    let (base, source, second) = world();
    everywhere(11, |turn| {
        let world = base.fork();
        let race = Race::over(&world.store);
        let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
        let (one, two) = (world.machine("one"), world.machine("two"));
        let (mut told, mut told_other) = (None, None);
        let reached = race.run(
            turn,
            || told = Some(prune(&mut ours, &one.host, &options(), &Silent)),
            || told_other = Some(prune(&mut theirs, &two.host, &options(), &Silent)),
        );
        for result in [told.unwrap(), told_other.unwrap()] {
            assert!(result.unwrap_or_else(|error| panic!("{turn:?}: {error}")).is_complete());
        }
        holds(&world, &source, &[(second, 2)]);
        assert!(world.packed() < 2 * LARGE as u64, "{turn:?}");
        assert!(world.store.list("packs").unwrap().len() < 4, "{turn:?}");
        reached
    });
}

/// By that a prune tells what another one took from what is lost.
#[test]
fn whether_anything_was_decided_meanwhile_is_never_guessed() {
    let (world, _, second) = world();
    let cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&cut);
    let store = Hooked::before(world.store.clone(), move |call| {
        let fails = call.action == Action::Length && is_cut.load(Ordering::SeqCst);
        if fails { Err(lost(call.name)) } else { Ok(()) }
    });
    let again = Repository::open(store, &world.admin, |_| None, Arc::new(Silent)).unwrap().again();
    assert!(!again.moved().unwrap());
    cut.store(true, Ordering::SeqCst);
    assert!(again.moved().is_err() && !again.has_moved());
    cut.store(false, Ordering::SeqCst);
    forget(&world, &[second]);
    assert!(again.moved().unwrap() && again.has_moved());
}
