//! Sessions that are open, or died: they are waited for, or ended by the pruner's own clock.

use super::{LARGE, NOW, fill, forget, holds, options, pruned, try_prune, two};
use crate::world::hooked::{Call, Hooked, lost, puts_end};
use crate::world::{Listener, Machine, World, noise};
use boveda::ops::prune::Options;
use boveda::repo::keys::credential::Credential;
use boveda::repo::names::{Name, SessionName};
use boveda::repo::session_view::Outcome;
use boveda::store::Store;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const DAY: i64 = 24 * 3600;

/// Takes a snapshot that dies before its end, with all that it uploaded.
pub(super) fn dies(world: &World, machine: &Machine, key: &Credential, source: &Path) {
    let ends = |call: Call<'_>| if puts_end(&call) { Err(lost(call.name)) } else { Ok(()) };
    let store = Hooked::before(world.store.clone(), ends);
    let mut repository = machine.host.open(store, key).unwrap();
    let writer = machine.host.writer(&repository).unwrap();
    let options = machine.options(source);
    boveda::ops::snapshot::snapshot(&mut repository, writer.writer, &options, &Listener::default()).unwrap_err();
}

pub(super) fn unresolved(world: &World) -> Vec<SessionName> {
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

/// A session of which nothing is known is not over: what shows that it is open may be what is lost.
#[test]
fn packs_of_which_nobody_knows_the_session_are_left_alone() {
    let (world, machine, source, [first, second]) = two();
    fill(&source, 3);
    // Its earlier sessions certify it: who signed its packs is known.
    dies(&world, &machine, &world.admin, &source);
    let [dead] = unresolved(&world)[..] else { panic!("one session") };
    world.store.delete(&Name::Open(dead).object()).unwrap();
    assert_eq!(unresolved(&world), []);
    let before = world.packed();
    let summary = pruned(&world, &world.machine("storage"), &world.admin);
    assert!(summary.unknown.packs == 1 && summary.unknown.bytes > LARGE as u64 * 9 / 10, "{summary:?}");
    assert_eq!((summary.condemned.packs, world.packed()), (0, before));
    holds(&world, &source, &[(first, 1), (second, 2)]);
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
    let gate = Arc::new(Gate::default());
    let waiting = Options { wait: Duration::from_secs(60), ..options() };
    let taken = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let mut repository = machine.host.open(gate.before(world.store.clone()), &world.admin).unwrap();
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

/// Holds back the end of a session until it is opened.
#[derive(Default)]
struct Gate {
    /// Whether an end has come, and whether it may pass.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    fn before(self: &Arc<Self>, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let gate = Arc::clone(self);
        Hooked::before(store, move |call| {
            if puts_end(&call) {
                let mut state = gate.state.lock().unwrap();
                state.0 = true;
                gate.changed.notify_all();
                drop(gate.changed.wait_while(state, |state| !state.1).unwrap());
            }
            Ok(())
        })
    }

    fn wait_for_end(&self) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !state.0).unwrap());
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// From these a session takes over what it does not read, though it may not know yet what is condemned.
#[test]
fn while_packs_are_condemned_the_newest_snapshot_of_each_source_stays_a_parent() {
    let (world, machine, source, [first, second]) = two();
    let other = world.path("other");
    fill(&other, 3);
    let third = machine.snapshot(&world, &world.admin, &other).snapshot.unwrap();
    fill(&source, 4);
    let fourth = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    dies(&world, &world.machine("laptop"), &world.admin, &source);
    forget(&world, &[first]);
    let waiting = try_prune(&world, &world.machine("storage"), &world.admin, &options()).unwrap();
    assert!(!waiting.is_complete() && waiting.condemned.packs > 0, "{waiting:?}");
    let repository = world.as_admin();
    let stays = |id| repository.log().state.ledger().reusable_parent(&id);
    assert_eq!([first, second, third, fourth].map(stays), [false, false, true, true]);
}
