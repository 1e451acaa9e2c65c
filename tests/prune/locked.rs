//! A place that lets nobody remove anything for a time, or keeps what is removed as older versions: a prune works around it, and fails for
//! nothing.

use super::{LARGE, NOW, fill, forget, holds, options, two};
use crate::world::{Listener, Machine, World, noise};
use boveda::ops::prune::{Kept, Options, Packs, Summary, prune};
use boveda::ops::verify::{self, Level};
use boveda::store::retention::{Lock, Retained};
use boveda::store::{Error, ErrorKind, Facts, Listed, ObjectName, Put, Store};
use std::sync::Arc;

/// When the locks end.
const UNTIL: i64 = NOW + 1000;

/// A store over another whose objects are locked.
struct Vault {
    inner: Arc<dyn Store>,
    /// Whether it tells of its locks before it refuses.
    tells: bool,
    /// Whether it keeps versions: then removing succeeds, and hides.
    versions: bool,
    /// Until when.
    until: i64,
    /// The time by its own clock.
    now: i64,
    /// What is locked: everything whose name begins so.
    only: &'static str,
}

impl Vault {
    fn refuse(&self, action: &'static str, name: &ObjectName) -> Result<(), Error> {
        if self.versions || self.until <= self.now || !name.as_str().starts_with(self.only) {
            return Ok(());
        }
        let source = Arc::new(Retained { text: "not yet".to_owned(), until: (!self.tells).then_some(self.until) });
        Err(Error { kind: ErrorKind::Locked, action, object: name.to_string(), place: self.place(), source })
    }
}

impl Store for Vault {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.inner.length(name)?;
        let lock = Lock { mode: "COMPLIANCE".to_owned(), until: Some(self.until) };
        let version = self.versions.then(|| "v1".to_owned());
        Ok(Facts { version, lock: self.tells.then_some(lock), ..Facts::default() })
    }
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.inner.put(name, bytes)
    }
    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.settle(name)
    }
    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.refuse("heal", name)?;
        self.inner.heal(name, bytes)
    }
    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
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
        self.refuse("delete", name)?;
        self.inner.delete(name)
    }
}

/// The world's store behind locks.
fn vault(world: &World, tells: bool, versions: bool, now: i64) -> Arc<dyn Store> {
    Arc::new(Vault { inner: world.store.clone(), tells, versions, until: UNTIL, now, only: "" })
}

#[track_caller]
fn run(world: &World, machine: &Machine, store: Arc<dyn Store>, options: &Options) -> Summary {
    let mut repository = machine.host.open(store, &world.admin).unwrap();
    let listener = Listener::default();
    let summary = prune(&mut repository, &machine.host, options, &listener).unwrap();
    assert_eq!(listener.complaints(), [""; 0]);
    assert!(summary.is_complete(), "{summary:?}");
    summary
}

#[test]
fn what_is_locked_stays_is_counted_and_goes_when_the_lock_is_over() {
    for tells in [true, false] {
        let (world, machine, source, [first, second]) = two();
        forget(&world, &[first]);
        let before = world.packed();
        let dry = run(&world, &machine, vault(&world, tells, false, NOW), &Options { dry_run: true, ..options() });
        let expected = if tells { dry.condemned } else { Packs::default() };
        assert_eq!(dry.kept.locked, expected, "{dry:?}");
        assert_eq!(dry.kept.until, tells.then_some(UNTIL));

        let summary = run(&world, &machine, vault(&world, tells, false, NOW), &options());
        assert!(summary.finished.bytes > LARGE as u64 * 9 / 10, "{summary:?}");
        let kept = Kept { versions: false, locked: summary.finished, until: Some(UNTIL) };
        assert_eq!((summary.kept, summary.deleted), (kept, Packs::default()), "{summary:?}");
        assert_eq!(world.packed(), before);
        // What nobody may remove is no damage, and nobody relies on it.
        holds(&world, &source, &[(second, 2)]);
        let dry = run(&world, &machine, vault(&world, tells, false, NOW), &Options { dry_run: true, ..options() });
        assert_eq!(dry.deleted, summary.finished);

        let later = Options { now: UNTIL, ..options() };
        let summary = run(&world, &machine, vault(&world, tells, false, UNTIL), &later);
        assert_eq!((summary.deleted, summary.kept), (kept.locked, Kept::default()));
        assert!(world.packed() < before - LARGE as u64 * 9 / 10);
        holds(&world, &source, &[(second, 2)]);
    }
}

#[test]
fn where_removed_versions_are_kept_the_prune_says_so_and_until_when() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    let dry = run(&world, &machine, vault(&world, true, true, NOW), &Options { dry_run: true, ..options() });
    assert_eq!(dry.kept, Kept { versions: true, locked: dry.condemned, until: Some(UNTIL) });
    let summary = run(&world, &machine, vault(&world, true, true, NOW), &options());
    assert_eq!(summary.deleted, summary.finished);
    assert_eq!(summary.kept, Kept { versions: true, locked: Packs::default(), until: Some(UNTIL) });
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn locked_packs_are_not_made_anew_for_nothing() {
    let world = World::new();
    let (machine, source) = (world.machine("host"), world.path("source"));
    fill(&source, 2);
    std::fs::write(source.join("gone"), noise(7, 3 * LARGE)).unwrap();
    let first = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    std::fs::remove_file(source.join("gone")).unwrap();
    let second = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    forget(&world, &[first]);
    let before = world.packed();
    for versions in [false, true] {
        for dry_run in [true, false] {
            let how = Options { dry_run, ..options() };
            let summary = run(&world, &machine, vault(&world, true, versions, NOW), &how);
            assert_eq!((summary.repacked.packs, summary.postponed.packs), (0, 1), "{summary:?}");
            assert!(summary.postponed.bytes > 3 * LARGE as u64, "{summary:?}");
        }
    }
    assert_eq!(world.packed(), before);
    let summary = run(&world, &machine, vault(&world, true, false, UNTIL), &Options { now: UNTIL, ..options() });
    assert_eq!((summary.repacked.packs, summary.postponed.packs, summary.deleted.packs), (1, 0, 1), "{summary:?}");
    holds(&world, &source, &[(second, 2)]);
}

/// Prunes with a checkpoint at each of several snapshots, at a place where `only` is locked, and once more when the locks are over. Returns how
/// many sessions' objects and censuses there are before that and after.
fn checkpoints(only: &'static str) -> [[usize; 2]; 2] {
    let (world, machine, source, [first, second]) = two();
    let count = || ["sess", "census"].map(|folder| world.store.list(folder).unwrap().len());
    let each = Options { checkpoint_at: Some(1), ..options() };
    let at =
        |now| Arc::new(Vault { inner: world.store.clone(), tells: true, versions: false, until: UNTIL, now, only });
    forget(&world, &[first]);
    let mut last = second;
    for seed in 3..8 {
        run(&world, &machine, at(NOW), &each);
        fill(&source, seed);
        let next = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
        forget(&world, &[last]);
        last = next;
    }
    let locked = count();
    holds(&world, &source, &[(last, 7)]);
    let repository = machine.open(&world.store, &world.admin).unwrap();
    assert_eq!(verify::verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap().findings, []);
    run(&world, &machine, at(UNTIL), &Options { now: UNTIL, ..each });
    holds(&world, &source, &[(last, 7)]);
    [locked, count()]
}

#[test]
fn checkpoints_pass_over_what_is_locked_and_collect_it_later() {
    let [free, end] = checkpoints("nothing is called so");
    assert_eq!(end, [0, 4]);
    for (only, stays) in [("", [true, true]), ("census/", [false, true]), ("sess/", [true, false])] {
        let [locked, after] = checkpoints(only);
        for ((locked, free), stays) in locked.iter().zip(free).zip(stays) {
            assert_eq!(*locked > free, stays, "{only:?}: {locked} and {free}");
        }
        assert_eq!(after, end, "{only:?}");
    }
}
