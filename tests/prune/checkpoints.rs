//! Checkpoints: what a census covers need not be read any more, and nothing is other than before.

use super::sessions::{dies, unresolved};
use super::{LARGE, NOW, fill, forget, holds, options, try_prune};
use crate::roles::turns::{Race, everywhere};
use crate::world::hooked::{Action, Hooked};
use crate::world::{Listener, World, noise};
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::ops::prune::{Options, prune};
use boveda::ops::snapshot::snapshot;
use boveda::repo::id::SnapshotId;
use boveda::repo::keys::role::Role;
use boveda::repo::names::{Copy, Name};
use boveda::repo::repository::{Checkpointed, Content, Error, Repository};
use boveda::repo::session_view::Issue;
use boveda::store::Store;
use boveda::store::faults::{Fault, FaultStore, Plan};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Calls of the store that opening and looking takes.
fn calls_to_open(world: &World) -> u64 {
    let store = Arc::new(FaultStore::new(world.store.clone()));
    let repository = Repository::open(store.clone(), &world.admin, |_| None, Arc::new(Silent)).unwrap();
    boveda::repo::repository::Indexes::load(&repository, &boveda::repo::names::IndexClass::BOTH).unwrap();
    store.calls()
}

fn objects(world: &World, folder: &str) -> usize {
    world.store.list(folder).unwrap().len()
}

/// Small snapshots, each with something new in it.
fn take(world: &World, machine: &crate::world::Machine, source: &Path, seeds: std::ops::Range<u64>) -> Vec<SnapshotId> {
    std::fs::create_dir_all(source).unwrap();
    seeds
        .map(|seed| {
            std::fs::write(source.join(format!("small{seed}")), noise(seed, 500)).unwrap();
            machine.snapshot(world, &world.admin, source).snapshot.unwrap()
        })
        .collect()
}

#[test]
fn a_checkpoint_spares_everybody_the_sessions_that_it_covers_and_changes_nothing_else() {
    let (world, machine, source, [first, second]) = super::two();
    let maintainer = world.add(Role::Maintainer, "storage");
    forget(&world, &[first]);
    let (calls, before) = (calls_to_open(&world), world.as_admin());
    let mut repository = world.open(&maintainer.key).unwrap();
    assert_eq!(repository.backlog().sessions, 2);
    checkpoint(&mut repository, 3, &Silent).unwrap();
    assert_eq!(objects(&world, "census"), 0);
    checkpoint(&mut repository, 2, &Silent).unwrap();
    assert_eq!((objects(&world, "sess"), objects(&world, "census")), (0, 2));
    assert!(calls_to_open(&world) < calls, "{} and {calls}", calls_to_open(&world));

    let after = world.as_admin();
    let ids = |repository: &Repository| repository.snapshots().iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(after.forgotten().len(), 1);
    assert_eq!(after.view().indexes, before.view().indexes);
    assert_eq!(after.view().heads(), before.view().heads());
    assert_eq!(after.view().issues, []);
    assert!(after.view().snapshots[&second].receipt.is_some());
    holds(&world, &source, &[(second, 2)]);

    // The writer goes on where it was.
    fill(&source, 3);
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    let view = world.as_admin();
    assert_eq!(view.view().snapshots[&third].record.link().previous, Some(second));
    assert_eq!(view.view().issues, []);
    holds(&world, &source, &[(second, 2), (third, 3)]);
    // What was forgotten comes back, and goes.
    let undone = boveda::ops::forget::undo(&mut world.as_admin(), &machine.host, &[first].into(), &Silent).unwrap();
    assert_eq!(undone.back.len(), 1);
    holds(&world, &source, &[(first, 1), (second, 2), (third, 3)]);
    forget(&world, &[first]);
    let how = Options { checkpoint_at: Some(1), ..options() };
    let summary = try_prune(&world, &machine, &maintainer.key, &how).unwrap();
    assert!(summary.deleted.bytes > LARGE as u64 * 9 / 10, "{summary:?}");
    assert_eq!((objects(&world, "sess"), objects(&world, "census")), (0, 4));
    holds(&world, &source, &[(second, 2), (third, 3)]);
}

#[test]
fn writers_and_readers_make_no_checkpoints() {
    let (world, ..) = super::two();
    for role in [Role::Writer, Role::Reader] {
        let someone = world.add(role, role.name());
        let mut repository = world.open(&someone.key).unwrap();
        let refused = repository.checkpoint();
        assert!(matches!(refused, Err(boveda::repo::repository::Error::Role { .. })), "{role}");
        assert!(matches!(repository.collect(), Err(boveda::repo::repository::Error::Role { .. })), "{role}");
    }
    assert_eq!(objects(&world, "census"), 0);
}

#[test]
fn a_repository_of_many_small_snapshots_opens_in_few_requests() {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let (rounds, each) = if full { (200, 32) } else { (12, 4) };
    let world = World::new();
    let (machine, source, storage) = (world.machine("host"), world.path("source"), world.machine("storage"));
    let mut most = (0, 0);
    let mut ids = Vec::new();
    for round in 0..rounds {
        ids.extend(take(&world, &machine, &source, round * each..(round + 1) * each));
        if ids.len() > 6 {
            forget(&world, &ids.drain(..ids.len() - 6).collect::<Vec<_>>());
        }
        let how = Options { checkpoint_at: Some(each), repack_small: true, ..options() };
        assert!(try_prune(&world, &storage, &world.admin, &how).unwrap().is_complete());
        most = most.max((calls_to_open(&world), objects(&world, "idx")));
        assert!(objects(&world, "sess") as u64 <= 2 * each, "{}", objects(&world, "sess"));
    }
    // Those of one round, and those that the round before put together.
    assert!(most.0 < 110 && (most.1 as u64) < 4 * each + 64, "{most:?}");
    // Opening took the census' word for the decisions before it.
    let opened = world.as_admin();
    assert_eq!(opened.whole_log().unwrap().state, opened.log().state);
    assert_eq!(world.as_admin().snapshots().len(), ids.len());
    let found = boveda::ops::verify::verify(
        &machine.open(&world.store, &world.admin).unwrap(),
        &machine.host,
        boveda::ops::verify::Level::Full,
        &Listener::default(),
    );
    assert_eq!(found.unwrap().findings, []);
}

#[test]
fn a_checkpoint_that_is_cut_short_anywhere_costs_nothing() {
    let (base, _, source, [first, second]) = super::two();
    for round in 0..2 {
        if round == 1 {
            // The second one removes what the one before the first had.
            for _ in 0..2 {
                fill(&source, 2);
                base.machine("again").snapshot(&base, &base.admin, &source);
                checkpoint(&mut base.as_admin(), 1, &Silent).unwrap();
            }
            let more: Vec<SnapshotId> = base
                .as_admin()
                .snapshots()
                .iter()
                .map(|one| one.id)
                .filter(|id| ![first, second].contains(id))
                .collect();
            forget(&base, &more);
            base.machine("last").snapshot(&base, &base.admin, &source);
        }
        let expected = base.as_admin().snapshots().len();
        for fault in [Fault::Before, Fault::After] {
            for call in 1.. {
                let world = base.fork();
                let store = Arc::new(FaultStore::new(world.store.clone()));
                let mut repository = Repository::open(store.clone(), &world.admin, |_| None, Arc::new(Silent)).unwrap();
                store.plan(Some(Plan::for_good(call, fault)));
                let told = checkpoint(&mut repository, 1, &Silent);
                let Some(struck) = store.struck() else { break };
                let what = format!("{struck} {fault:?}: {told:?}");
                let opened = world.as_admin();
                // What a census covers is void until it is removed.
                let doubts = opened.view().issues.iter().filter(|issue| !matches!(issue, Issue::Void(_))).count();
                assert_eq!((opened.snapshots().len(), doubts), (expected, 0), "{what}");
                checkpoint(&mut world.as_admin(), 1, &Silent).unwrap_or_else(|error| panic!("{what}: {error}"));
                let opened = world.as_admin();
                assert_eq!((opened.snapshots().len(), &opened.view().issues[..]), (expected, &[][..]), "{what}");
                assert!(boveda::repo::repository::Indexes::readable(&opened).unwrap().problems.is_empty(), "{what}");
                if round == 0 && call % 5 == 0 {
                    holds(&world, &source, &[(first, 1), (second, 2)]);
                }
            }
        }
    }
}

#[test]
fn two_checkpoints_at_once_are_one_after_the_other() {
    let (base, _, source, [first, second]) = super::two();
    everywhere(7, |turn| {
        let world = base.fork();
        let race = Race::over(&world.store);
        let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
        let reached = race.run(
            turn,
            || checkpoint(&mut ours, 1, &Silent).unwrap(),
            || checkpoint(&mut theirs, 1, &Silent).unwrap(),
        );
        assert_eq!(world.as_admin().snapshots().len(), 2, "{turn:?}");
        // The next one tidies up after both.
        fill(&source, 2);
        let machine = world.machine("later");
        let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
        checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
        holds(&world, &source, &[(first, 1), (second, 2), (third, 2)]);
        reached
    });
}

/// A session is ended by a prune that takes it for dead, and covered; then it commits after all.
#[test]
fn a_commit_that_comes_after_its_session_was_covered_does_not_count_and_its_writer_is_told() {
    let (base, _, source, [first, second]) = super::two();
    // Something is condemned, so that sessions are waited for.
    forget(&base, &[first]);
    fill(&source, 3);
    let (mut stood, mut void) = (0, 0);
    for call in (1..).step_by(5) {
        let world = base.fork();
        let race = Race::over(&world.store);
        let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
        let (machine, storage) = (world.machine("host"), world.machine("storage"));
        let writer = machine.host.writer(&ours).unwrap().writer;
        let alone = Options { exclusive: true, checkpoint_at: Some(1), now: NOW, ..options() };
        let mut taken = None;
        // All of the prune comes before one call of the snapshot.
        let reached = race.run(
            (call, u64::MAX),
            || taken = Some(snapshot(&mut ours, writer, &machine.options(&source), &Silent)),
            || drop(prune(&mut theirs, &storage.host, &alone, &Silent).unwrap()),
        );
        let mut expected = vec![(second, 2)];
        match taken.unwrap() {
            Ok(summary) => {
                stood += 1;
                expected.push((summary.snapshot.unwrap(), 3));
            }
            Err(_) => void += 1,
        }
        holds(&world, &source, &expected);
        let next = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
        expected.push((next, 3));
        holds(&world, &source, &expected);
        if !reached {
            break;
        }
    }
    assert!(stood > 0 && void > 0, "{stood} stood, {void} did not");
}

/// Two checkpoints are made, and the census that was the newest goes, between one call and the next of somebody who reads.
#[test]
fn who_reads_while_checkpoints_are_made_sees_what_is_there() {
    let (base, _, source, _) = super::two();
    checkpoint(&mut base.as_admin(), 1, &Silent).unwrap();
    for call in (1..).step_by(3) {
        let world = base.fork();
        let race = Race::over(&world.store);
        let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
        let machine = world.machine("other");
        let writer = machine.host.writer(&theirs).unwrap().writer;
        let reached = race.run(
            (call, u64::MAX),
            || ours.refresh().unwrap_or_else(|error| panic!("before call {call}: {error}")),
            || {
                for _ in 0..3 {
                    snapshot(&mut theirs, writer, &machine.options(&source), &Silent).unwrap();
                    theirs.refresh().unwrap();
                    checkpoint(&mut theirs, 1, &Silent).unwrap();
                }
            },
        );
        let seen = ours.snapshots().len();
        assert!((2..=5).contains(&seen) && ours.view().issues.is_empty(), "before call {call}: {seen}");
        ours.refresh().unwrap();
        assert_eq!(ours.snapshots().len(), 5);
        if !reached {
            break;
        }
    }
}

/// One copy is enough. Without either nobody gets in, and is told which object is missing; nothing is written meanwhile.
#[test]
fn who_finds_neither_copy_of_the_census_is_told_so() {
    let (world, machine, ..) = super::two();
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    let copies: Vec<_> = world.store.list("census").unwrap().into_iter().map(|listed| listed.name).collect();
    let [one, other] = &copies[..] else { panic!("{copies:?}") };
    let (kept, objects) = (world.store.get(one).unwrap(), world.store.list("").unwrap().len());
    for lost in [one, other] {
        world.store.delete(lost).unwrap();
        assert_eq!(world.as_admin().snapshots().len(), 2);
        world.store.put(lost, &kept).unwrap();
    }
    copies.iter().for_each(|copy| world.store.delete(copy).unwrap());
    let refused = machine.open(&world.store, &world.admin).err().unwrap();
    assert!(matches!(&refused, Error::CensusLost { object } if *object == one.to_string()), "{refused}");
    assert_eq!(world.store.list("").unwrap().len(), objects - 2);
    world.store.put(other, &kept).unwrap();
    assert_eq!(machine.open(&world.store, &world.admin).unwrap().snapshots().len(), 2);
}

/// Of a log of any length, opening reads what came after the newest checkpoint.
#[test]
fn decisions_before_a_checkpoint_cost_nothing() {
    let (world, ..) = super::two();
    let ids: Vec<SnapshotId> = world.as_admin().snapshots().iter().map(|one| one.id).collect();
    let decide = |times: usize| {
        for _ in 0..times {
            forget(&world, &ids[..1]);
            assert!(world.as_admin().unforget(ids[..1].to_vec()).unwrap());
        }
    };
    let mut calls = Vec::new();
    for times in [2, 20] {
        decide(times);
        assert!(matches!(world.as_admin().checkpoint().unwrap(), Checkpointed::Stands(_)));
        calls.push(calls_to_open(&world));
        let opened = world.as_admin();
        assert_eq!(opened.whole_log().unwrap().state, opened.log().state);
    }
    assert_eq!(calls[0], calls[1]);
    // What is decided afterwards is read.
    decide(1);
    assert_eq!(calls_to_open(&world), calls[1] + 2);
}

/// What a host remembers must lead to the checkpoint that opening begins with, though nothing else before that is read.
#[test]
fn a_checkpoint_hides_no_log_that_was_exchanged() {
    let (base, _, _, [first, second]) = super::two();
    let (ours, theirs) = (base.fork(), base.fork());
    forget(&ours, &[first]);
    let seen = ours.as_admin().log().state.head();
    forget(&theirs, &[second]);
    let open = |world: &World| Repository::open(world.store.clone(), &world.admin, |_| seen, Arc::new(Silent));
    for world in [&ours, &theirs] {
        forget(world, &[first, second]);
        assert!(matches!(world.as_admin().checkpoint().unwrap(), Checkpointed::Stands(_)));
    }
    assert_eq!(open(&ours).unwrap().forgotten().len(), 2);
    let refused = open(&theirs).map(|_| ()).unwrap_err();
    let rolled_back = boveda::repo::log::Error::RolledBack(seen.unwrap().position);
    assert_eq!(refused.to_string(), boveda::repo::repository::Error::Log(rolled_back).to_string());
}

/// A host that opened the repository before it was summed up reads on, and another one that prunes does not disturb it.
#[test]
fn a_reader_from_before_a_checkpoint_reads_on() {
    let (world, machine, source, [first, second]) = super::two();
    let before = machine.open(&world.store, &world.admin).unwrap();
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    // It has loaded nothing so far: the indexes that it knows are still there.
    assert!(boveda::repo::repository::Indexes::readable(&before).unwrap().problems.is_empty());
    for (id, seed) in [(first, 1), (second, 2)] {
        let target = world.path(&format!("out{id}"));
        machine.restore(&before, &id, &source, &target);
        assert!(std::fs::read(target.join("file")).unwrap() == noise(seed, LARGE), "{id}");
    }
}

/// Indexes of sessions that become one at once, none of which any census ever named, go too: one checkpoint later.
#[test]
fn indexes_that_were_put_together_go_one_checkpoint_later() {
    let world = World::new();
    let (machine, source) = (world.machine("host"), world.path("source"));
    let mut most = 0;
    for round in 0..6 {
        take(&world, &machine, &source, round * 9..(round + 1) * 9);
        checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
        most = most.max(objects(&world, "idx"));
        let known = world.as_admin().view().indexes.len();
        assert!(known < 18, "{known} indexes count after round {round}");
    }
    assert!(most < 2 * 18 + 18, "{most} indexes lie there at once");
}

#[test]
fn nothing_is_summed_up_while_a_snapshot_is_missing() {
    let (world, machine, source, [_, second]) = super::two();
    let end = world.as_admin().view().snapshots[&second].record.link().session;
    fill(&source, 3);
    machine.snapshot(&world, &world.admin, &source);
    let name = boveda::repo::names::Name::End(end).object();
    let stored = world.store.get(&name).unwrap();
    world.store.delete(&name).unwrap();
    let mut repository = world.as_admin();
    assert_eq!(repository.checkpoint().unwrap(), Checkpointed::InDoubt);
    checkpoint(&mut repository, 1, &Silent).unwrap();
    assert_eq!(objects(&world, "census"), 0);
    world.store.put(&name, &stored).unwrap();
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    assert_eq!(world.as_admin().snapshots().len(), 3);
}

/// What it uploaded the writer's next session looks for there; and that one is not covered before it began.
#[test]
fn a_writers_last_session_that_was_given_up_is_not_covered() {
    let (world, machine, source, [first, second]) = super::two();
    fill(&source, 3);
    dies(&world, &machine, &world.admin, &source);
    let [dead] = unresolved(&world)[..] else { panic!("one session") };
    world.as_admin().abort_silent(dead, "nobody heard of it").unwrap();
    assert_eq!(world.as_admin().backlog().sessions, 2);
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    assert!(world.store.length(&Name::End(dead).object()).is_ok());
    assert_eq!(world.as_admin().backlog().sessions, 0);
    let before = world.packed();
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    assert!(world.packed() - before < LARGE as u64 / 2, "{} bytes more", world.packed() - before);
    holds(&world, &source, &[(first, 1), (second, 2), (third, 3)]);
    // With an end behind it, it is.
    assert_eq!(world.as_admin().backlog().sessions, 2);
}

#[test]
fn a_census_names_no_writer_of_whom_it_covers_nothing() {
    let (world, _, source, _) = super::two();
    dies(&world, &world.machine("laptop"), &world.admin, &source);
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    let repository = world.as_admin();
    let newest = repository.log().state.ledger().checkpoint.unwrap();
    let Content::Census(census) = repository.content(&Name::Census(newest.census, Copy::First)).unwrap() else {
        panic!("a census is one");
    };
    assert_eq!(census.watermarks.into_values().collect::<Vec<_>>(), [2]);
}

#[test]
fn what_a_checkpoint_makes_superfluous_is_counted_as_it_goes() {
    let (world, machine, source, _) = super::two();
    for round in 0..3 {
        machine.snapshot(&world, &world.admin, &source);
        assert!(matches!(world.as_admin().checkpoint().unwrap(), Checkpointed::Stands(_)));
        let before = ["sess", "census"].map(|folder| objects(&world, folder) as u64);
        let collected = world.as_admin().collect().unwrap();
        let [sessions, censuses] = ["sess", "census"].map(|folder| objects(&world, folder) as u64);
        assert_eq!((collected.sessions, sessions), (before[0], 0));
        assert_eq!((collected.censuses, censuses), (before[1] - censuses, if round == 0 { 2 } else { 4 }));
    }
}

/// Nothing was entered meanwhile that would explain it: it is lost, and no census is looked for again and again.
#[test]
fn a_census_that_is_lost_for_good_is_looked_for_once() {
    let (world, ..) = super::two();
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    for listed in world.store.list("census").unwrap() {
        world.store.delete(&listed.name).unwrap();
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let store = Hooked::before(world.store.clone(), move |call| {
        if call.action == Action::List && call.name == "sess" {
            seen.lock().unwrap().push(call.name.to_owned());
        }
        Ok(())
    });
    let refused = Repository::open(store, &world.admin, |_| None, Arc::new(Silent)).err().unwrap();
    assert!(matches!(refused, Error::CensusLost { .. }), "{refused}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}
