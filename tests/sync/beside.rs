//! Others at work while a sync runs: a snapshot or a prune at the source, a prune at the copy, another sync.

use super::{LARGE, Pair, prune};
use crate::world::Listener;
use boveda::ops::sync::{Options, sync};
use boveda::store::{Error, Listed, ObjectName, Put, Store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What is done once, when the sync reads its first pack at the source, or puts the first one at the copy.
type Act<'a> = Box<dyn FnOnce() + Send + 'a>;

/// A store that lets somebody else act before its first pack is read or put.
struct Interrupted {
    inner: Arc<dyn Store>,
    acted: AtomicBool,
    act: Mutex<Option<Act<'static>>>,
}

impl Interrupted {
    fn new(inner: Arc<dyn Store>, act: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self { inner, acted: AtomicBool::new(false), act: Mutex::new(Some(Box::new(act))) })
    }

    fn meet(&self, name: &ObjectName) {
        if name.as_str().starts_with("packs/") && !self.acted.swap(true, Ordering::SeqCst) {
            let act = self.act.lock().unwrap().take();
            act.unwrap()();
        }
    }
}

impl Store for Interrupted {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.meet(name);
        self.inner.put(name, bytes)
    }
    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.settle(name)
    }
    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.inner.heal(name, bytes)
    }
    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.meet(name);
        self.inner.get(name)
    }
    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.inner.get_range(name, offset, length)
    }
    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.inner.length(name)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.inner.list(prefix)
    }
    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.delete(name)
    }
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
    let source = Interrupted::new(pair.world.store.clone(), || {
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
    let source = Interrupted::new(pair.world.store.clone(), || {
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
    let copy: Arc<dyn Store> = Interrupted::new(pair.copy.clone(), || drop(pair.sync()));
    let machine = pair.world.machine("syncing");
    let summary = pair.try_sync(&machine, &pair.world.admin, &copy, &Options::default()).unwrap();
    assert_eq!(summary.after.snapshots, 0);
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2)]);
    // On the same machine too.
    let third = pair.snapshot(3);
    let copy: Arc<dyn Store> = Interrupted::new(pair.copy.clone(), || drop(pair.sync()));
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
    let copy: Arc<dyn Store> = Interrupted::new(pair.copy.clone(), move || {
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
