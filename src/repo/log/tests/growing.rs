//! A log that somebody else writes to while it is read.

use super::super::*;
use crate::repo::id::SnapshotId;
use crate::repo::log::fixture::World;
use crate::repo::names::Copy;
use crate::store::memory::MemoryStore;
use crate::store::{self, Listed, ObjectName, Put, Store};
use std::sync::atomic::{AtomicBool, Ordering};

/// A store that is what it was, until somebody asked for one object; then it is what it became.
struct Turning {
    before: MemoryStore,
    after: MemoryStore,
    asked: ObjectName,
    turned: AtomicBool,
}

impl Turning {
    fn now(&self) -> &MemoryStore {
        if self.turned.load(Ordering::Relaxed) { &self.after } else { &self.before }
    }
}

impl Store for Turning {
    fn place(&self) -> String {
        self.now().place()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, store::Error> {
        self.now().put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), store::Error> {
        self.now().settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), store::Error> {
        self.now().heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, store::Error> {
        let answer = self.now().get(name);
        self.turned.fetch_or(*name == self.asked, Ordering::Relaxed);
        answer
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, store::Error> {
        self.now().get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, store::Error> {
        self.now().length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, store::Error> {
        self.now().list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), store::Error> {
        self.now().delete(name)
    }
}

#[test]
fn an_entry_that_comes_between_two_looks_is_not_half_lost() {
    let world = World::found();
    let before = world.store.fork();
    world.append(&world.admin, &Decision::Forget(vec![SnapshotId([1; 32])])).unwrap();
    let asked = world.position(1, Copy::First);
    let store = || Turning {
        before: before.fork(),
        after: world.store.fork(),
        asked: asked.clone(),
        turned: AtomicBool::new(false),
    };
    // Where a listing showed no second copy, the entry came after the first one was asked for.
    let log = read(&store(), world.fresh(), &world.log_keys(), None).unwrap();
    assert_eq!((&log.doubts, &log.notes, log.end()), (&vec![], &vec![], 1));
    let turning = store();
    let log = read_on(&turning, None, &log, &world.log_keys()).unwrap();
    assert!(turning.turned.into_inner());
    assert_eq!((log.doubts, log.notes), (vec![], vec![]));
    assert_eq!(log.state, world.state());
}
