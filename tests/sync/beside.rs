//! Others at work while a sync runs: a snapshot or a prune at the source, a prune at the copy, another sync.

use super::{LARGE, Pair, prune};
use crate::world::Listener;
use crate::world::hooked::{Action, Call, Hooked};
use boveda::ops::sync::{Options, sync};
use boveda::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A store that lets somebody else act before its first pack is read or put.
fn interrupted(inner: Arc<dyn Store>, act: impl FnOnce() + Send + 'static) -> Arc<dyn Store> {
    let meets = |call: &Call<'_>| matches!(call.action, Action::Put | Action::Get) && call.name.starts_with("packs/");
    Hooked::once(inner, meets, |_| {
        act();
        None
    })
}

fn leak(pair: Pair) -> &'static Pair {
    // Its folder is removed with the process's temporary ones; threads of the act may outlive the test's borrow.
    Box::leak(Box::new(pair))
}

#[test]
fn a_source_that_is_pruned_meanwhile_does_no_harm() {
    let (pair, ids) = Pair::with(&[1, 2]);
    let pair = leak(pair);
    let third = pair.snapshot(3);
    let source = interrupted(pair.world.store.clone(), || {
        assert!(pair.world.as_admin().forget(vec![ids_of(pair)[0]]).unwrap());
        prune(pair, &pair.world.store);
    });
    let machine = pair.world.machine("syncing");
    let mut repository = machine.host.open(source, &pair.world.admin).unwrap();
    let copy: Arc<dyn Store> = pair.copy.clone();
    let summary = sync(
        &machine.host,
        &mut repository,
        &copy,
        &Options { connections: 1, ..Options::default() },
        &Listener::default(),
    );
    let summary = summary.unwrap();
    assert!(summary.lost.is_empty(), "{summary:?}");
    pair.copy_holds(&[(ids[1], 2), (third, 3)]);
}

fn ids_of(pair: &Pair) -> Vec<boveda::repo::id::SnapshotId> {
    pair.world.as_admin().snapshots().iter().map(|snapshot| snapshot.id).collect()
}

#[test]
fn a_source_that_gets_a_snapshot_meanwhile_is_copied_as_it_was_or_is() {
    let (pair, ids) = Pair::with(&[1]);
    let pair = leak(pair);
    let source = interrupted(pair.world.store.clone(), || {
        pair.snapshot(2);
    });
    let machine = pair.world.machine("syncing");
    let mut repository = machine.host.open(source, &pair.world.admin).unwrap();
    let copy: Arc<dyn Store> = pair.copy.clone();
    sync(&machine.host, &mut repository, &copy, &Options::default(), &Listener::default()).unwrap();
    pair.copy_holds(&[(ids[0], 1)]);
    pair.sync();
    let all = ids_of(pair);
    pair.copy_holds(&[(all[0], 1), (all[1], 2)]);
}

#[test]
fn two_syncs_at_once_do_the_same_thing_twice_at_most() {
    let (pair, ids) = Pair::with(&[1, 2]);
    let pair = leak(pair);
    let copy: Arc<dyn Store> = interrupted(pair.copy.clone(), || drop(pair.sync()));
    let machine = pair.world.machine("syncing");
    let summary = pair.try_sync(&machine, &pair.world.admin, &copy, &Options::default()).unwrap();
    assert_eq!(summary.after.snapshots, 0);
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2)]);
    // On the same machine too.
    let third = pair.snapshot(3);
    let copy: Arc<dyn Store> = interrupted(pair.copy.clone(), || drop(pair.sync()));
    pair.try_sync(&pair.machine, &pair.world.admin, &copy, &Options::default()).unwrap();
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2), (third, 3)]);
}

/// The prune waits for the sync, and keeps what that needs.
#[test]
fn a_copy_that_is_pruned_meanwhile_keeps_what_comes() {
    let (pair, ids) = Pair::with(&[1, 2]);
    let pair = leak(pair);
    pair.sync();
    assert!(pair.copied().forget(vec![ids[0]]).unwrap());
    // It needs what only the forgotten one holds at the copy.
    let again = pair.snapshot(1);
    let pruned = Arc::new(AtomicBool::new(false));
    let seen = pruned.clone();
    let copy: Arc<dyn Store> = interrupted(pair.copy.clone(), move || {
        let machine = pair.world.machine("storage");
        let mut repository = machine.open(&pair.copy, &pair.world.admin).unwrap();
        let options = boveda::ops::prune::Options { now: 1_800_000_000, ..Default::default() };
        let summary =
            boveda::ops::prune::prune(&mut repository, &machine.host, &options, &Listener::default()).unwrap();
        assert_eq!(summary.deleted.packs, 0, "a session is open: {summary:?}");
        seen.store(summary.condemned.bytes > LARGE as u64 * 9 / 10, Ordering::SeqCst);
    });
    pair.try_sync(&pair.machine, &pair.world.admin, &copy, &Options::default()).unwrap();
    assert!(pruned.load(Ordering::SeqCst));
    let machine = pair.world.machine("storage");
    let mut repository = machine.open(&pair.copy, &pair.world.admin).unwrap();
    let options = boveda::ops::prune::Options { now: 1_800_000_000, ..Default::default() };
    let summary = boveda::ops::prune::prune(&mut repository, &machine.host, &options, &Listener::default()).unwrap();
    assert!(summary.is_complete() && summary.rescued.packs > 0, "{summary:?}");
    pair.copy_holds(&[(ids[1], 2), (again, 1)]);
}
