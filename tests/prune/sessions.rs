//! Sessions that are open, or died: they are waited for, or ended by the pruner's own clock.

use super::{LARGE, NOW, fill, forget, holds, options, pruned, try_prune, two};
use crate::world::{Listener, Machine, World, noise};
use boveda::ops::prune::Options;
use boveda::repo::keys::credential::Credential;
use boveda::repo::names::{Name, SessionName};
use boveda::repo::session_view::Outcome;
use boveda::store::{Listed, ObjectName, Put, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 24 * 3600;

/// Takes a snapshot that dies before its end, with all that it uploaded.
fn dies(world: &World, machine: &Machine, key: &Credential, source: &Path) {
    let store = Arc::new(Gate { dies: true, ..Gate::of(world) });
    let mut repository = machine.host.open(store, key).unwrap();
    let writer = machine.host.writer(&repository).unwrap();
    let options = machine.options(source);
    boveda::ops::snapshot::snapshot(&mut repository, writer.writer, &options, &Listener::default()).unwrap_err();
}

fn unresolved(world: &World) -> Vec<SessionName> {
    world.as_admin().view().unresolved().copied().collect()
}

#[test]
fn a_session_that_never_ended_is_left_alone_until_it_was_silent_for_a_week() {
    let (world, _, source, [first, second]) = two();
    fill(&source, 3);
    dies(&world, &world.machine("laptop"), &world.admin, &source);
    let [dead] = unresolved(&world)[..] else { panic!("one session") };
    forget(&world, &[first]);
    let (storage, before) = (world.machine("storage"), world.packed());
    let at = |now: i64| try_prune(&world, &storage, &world.admin, &Options { now, ..options() }).unwrap();

    let waiting = at(NOW);
    assert_eq!((waiting.deleted.packs, world.packed()), (0, before), "{waiting:?}");
    assert!(waiting.condemned.packs > 0 && waiting.open.bytes > LARGE as u64 * 9 / 10, "{waiting:?}");
    assert_eq!(waiting.waiting.iter().map(|one| one.session).collect::<Vec<_>>(), [dead]);
    assert_eq!(waiting.waiting[0].ends(), NOW + 7 * DAY);
    // A sign of life: another week.
    let beat = Name::Beat(dead, 1).object();
    world.store.put(&beat, b"whatever it says").unwrap();
    assert!(!at(NOW + 6 * DAY).is_complete());
    assert!(!at(NOW + 12 * DAY).is_complete());
    assert_eq!((world.packed(), unresolved(&world).len()), (before, 1));
    let ended = at(NOW + 13 * DAY);
    assert!(ended.is_complete() && ended.finished.packs > 0 && ended.deleted.packs > 0, "{ended:?}");
    assert_eq!(unresolved(&world), []);
    world.store.delete(&beat).unwrap();
    // What it had uploaded goes next.
    assert!(pruned(&world, &storage, &world.admin).deleted.bytes > LARGE as u64 * 9 / 10);
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn signs_of_life_do_not_keep_a_session_open_for_ever() {
    let (world, _, source, [first, second]) = two();
    dies(&world, &world.machine("laptop"), &world.admin, &source);
    let [dead] = unresolved(&world)[..] else { panic!("one session") };
    forget(&world, &[first]);
    let storage = world.machine("storage");
    for day in 0..=30 {
        world.store.put(&Name::Beat(dead, day + 1).object(), b"alive").unwrap();
        let now = NOW + day as i64 * DAY;
        let summary = try_prune(&world, &storage, &world.admin, &Options { now, ..options() }).unwrap();
        assert_eq!(summary.is_complete(), day == 30, "day {day}");
    }
    // Whatever they say, they were signs; verify would name them.
    for day in 0..=30 {
        world.store.delete(&Name::Beat(dead, day + 1).object()).unwrap();
    }
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn who_has_the_repository_to_itself_waits_for_nobody() {
    let (world, _, source, [first, second]) = two();
    fill(&source, 3);
    dies(&world, &world.machine("laptop"), &world.admin, &source);
    forget(&world, &[first]);
    let storage = world.machine("storage");
    let alone = Options { exclusive: true, ..options() };
    let summary = try_prune(&world, &storage, &world.admin, &alone).unwrap();
    assert!(summary.is_complete() && summary.deleted.packs > 0, "{summary:?}");
    assert!(try_prune(&world, &storage, &world.admin, &alone).unwrap().deleted.bytes > LARGE as u64 * 9 / 10);
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn the_dead_sessions_of_this_very_host_are_ended_at_once() {
    let (world, machine, source, [first, second]) = two();
    fill(&source, 3);
    dies(&world, &machine, &world.admin, &source);
    forget(&world, &[first]);
    assert!(pruned(&world, &machine, &world.admin).deleted.bytes > 2 * (LARGE as u64 * 9 / 10));
    assert_eq!(unresolved(&world), []);
    let again = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    holds(&world, &source, &[(second, 2), (again, 3)]);
}

/// The snapshot that a prune ended meanwhile is told so, and the next one stands.
#[test]
fn a_session_that_was_ended_by_mistake_commits_nothing() {
    let (world, machine, source, [first, second]) = two();
    fill(&source, 3);
    forget(&world, &[first]);
    let mut repository = machine.open(&world.store, &world.admin).unwrap();
    let writer = machine.host.writer(&repository).unwrap().writer;
    let session = repository.begin(writer, false).unwrap();
    let name = SessionName { writer, seq: 3 };
    let alone = Options { exclusive: true, ..options() };
    let summary = try_prune(&world, &world.machine("storage"), &world.admin, &alone).unwrap();
    assert!(summary.is_complete());
    assert!(matches!(world.as_admin().view().sessions[&name], Outcome::Aborted));
    drop(session);
    let again = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    holds(&world, &source, &[(second, 2), (again, 3)]);
}

#[test]
fn a_session_that_ends_while_it_is_waited_for_is_looked_at() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    fill(&source, 1);
    let mut repository = machine.open(&world.store, &world.admin).unwrap();
    let writer = machine.host.writer(&repository).unwrap().writer;
    // It began before anything was condemned, and relies on what only the forgotten snapshot holds.
    let gate = Arc::new(Gate::of(&world));
    let waiting = Options { wait: Duration::from_secs(60), ..options() };
    let taken = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let mut repository = machine.host.open(gate.clone(), &world.admin).unwrap();
            let options = machine.options(&source);
            boveda::ops::snapshot::snapshot(&mut repository, writer, &options, &Listener::default()).unwrap()
        });
        gate.wait_for_end();
        let pruning = scope.spawn(|| try_prune(&world, &world.machine("storage"), &world.admin, &waiting).unwrap());
        while repository.condemned(u64::MAX).is_empty() {
            repository.refresh().unwrap();
        }
        gate.open();
        let (taken, summary) = (taking.join().unwrap(), pruning.join().unwrap());
        assert!(summary.is_complete() && summary.rescued.packs > 0, "{summary:?}");
        taken
    });
    assert!(std::fs::read(source.join("file")).unwrap() == noise(1, LARGE));
    holds(&world, &source, &[(second, 2), (taken.snapshot.unwrap(), 1)]);
}

/// A store that puts no end before it is opened.
struct Gate {
    inner: Arc<boveda::store::memory::MemoryStore>,
    state: std::sync::Mutex<(bool, bool)>,
    changed: std::sync::Condvar,
    /// Whether it puts none at all.
    dies: bool,
}

impl Gate {
    fn of(world: &World) -> Self {
        let (state, changed) = (std::sync::Mutex::default(), std::sync::Condvar::new());
        Self { inner: world.store.clone(), state, changed, dies: false }
    }

    fn wait_for_end(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

impl Store for Gate {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, boveda::store::Error> {
        if name.as_str().ends_with("/end") && self.dies {
            let source = Arc::new(std::io::Error::from(std::io::ErrorKind::TimedOut));
            let (kind, action, place) = (boveda::store::ErrorKind::Temporary, "write", self.place());
            return Err(boveda::store::Error { kind, action, object: name.to_string(), place, source });
        }
        if name.as_str().ends_with("/end") {
            let mut state = self.state.lock().unwrap();
            state.0 = true;
            self.changed.notify_all();
            while !state.1 {
                state = self.changed.wait(state).unwrap();
            }
        }
        self.inner.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), boveda::store::Error> {
        self.inner.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), boveda::store::Error> {
        self.inner.heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, boveda::store::Error> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, boveda::store::Error> {
        self.inner.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, boveda::store::Error> {
        self.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, boveda::store::Error> {
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), boveda::store::Error> {
        self.inner.delete(name)
    }
}
