//! Who is who at the copy: certificates, revocations and epochs that come after it was begun, and syncs with a writer's keys.

use super::{Pair, holds};
use crate::world::{Listener, World};
use boveda::event::Silent;
use boveda::ops::sync::{Options, sync};
use boveda::repo::frame::Sealing;
use boveda::repo::id::WriterId;
use boveda::repo::keys::role::Role;
use boveda::repo::log::{Appended, Author, Decision, append};
use boveda::repo::repository::Error as RepositoryError;
use boveda::store::Store;
use boveda::store::faults::{Fault, FaultStore, Plan};
use boveda::store::memory::MemoryStore;
use std::sync::Arc;

#[test]
fn a_writers_keys_begin_and_follow_a_copy() {
    let pair = Pair::new();
    let writer = pair.world.add(Role::Writer, "server");
    let copy: Arc<dyn Store> = pair.copy.clone();
    let first = {
        super::fill(&pair.source, 1);
        pair.machine.snapshot(&pair.world, &writer.key, &pair.source).snapshot.unwrap()
    };
    let summary = pair.try_sync(&pair.machine, &writer.key, &copy, &Options::default()).unwrap();
    assert_eq!((summary.snapshots, summary.after.snapshots), (1, 0));
    pair.copy_holds(&[(first, 1)]);
    // Somebody the copy has never heard of.
    let other = pair.world.add(Role::Writer, "laptop");
    pair.world.as_admin().forget(vec![]).unwrap();
    super::fill(&pair.source, 2);
    let laptop = pair.world.machine("laptop");
    let second = laptop.snapshot(&pair.world, &other.key, &pair.source).snapshot.unwrap();
    let summary = pair.try_sync(&pair.machine, &writer.key, &copy, &Options::default()).unwrap();
    assert_eq!(summary.left.len() as u64, summary.after.snapshots, "{summary:?}");
    pair.sync();
    pair.copy_holds(&[(first, 1), (second, 2)]);
}

#[test]
fn readers_and_maintainers_bring_nothing() {
    let (pair, _) = Pair::with(&[1]);
    let copy: Arc<dyn Store> = pair.copy.clone();
    for role in [Role::Reader, Role::Maintainer] {
        let someone = pair.world.add(role, role.name());
        let refused = pair.try_sync(&pair.machine, &someone.key, &copy, &Options::default());
        assert!(matches!(refused, Err(boveda::ops::sync::Error::Repository(RepositoryError::Role { .. }))), "{role}");
    }
    assert!(pair.copy.objects().is_empty());
}

#[test]
fn who_is_revoked_at_the_source_is_revoked_at_the_copy() {
    let (pair, mut expected) = Pair::with(&[1]);
    let thief = pair.world.add(Role::Writer, "laptop");
    let laptop = pair.world.machine("laptop");
    super::fill(&pair.source, 2);
    let honest = laptop.snapshot(&pair.world, &thief.key, &pair.source).snapshot.unwrap();
    pair.sync();
    pair.world.as_admin().revoke(thief.id, "stolen").unwrap();
    // What is sealed for the new epoch comes too.
    let third = pair.snapshot(3);
    let summary = pair.sync();
    assert!(summary.entered >= 2, "{summary:?}");
    expected.push(honest);
    pair.copy_holds(&[(expected[0], 1), (honest, 2), (third, 3)]);
    assert!(crate::world::open(pair.copy.clone(), &thief.key).is_err());
    assert_eq!(pair.sync().entered, 0);
    // Everybody else opens the copy.
    let reader = pair.world.add(Role::Reader, "auditor");
    pair.sync();
    assert_eq!(crate::world::open(pair.copy.clone(), &reader.key).unwrap().snapshots().len(), 3);
}

#[test]
fn a_copy_that_drew_keys_of_its_own_is_refused() {
    let (pair, _) = Pair::with(&[1]);
    let someone = pair.world.add(Role::Writer, "laptop");
    pair.sync();
    pair.copied().revoke(someone.id, "stolen").unwrap();
    pair.snapshot(2);
    let copy: Arc<dyn Store> = pair.copy.clone();
    let refused = pair.try_sync(&pair.machine, &pair.world.admin, &copy, &Options::default());
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("epoch 2"), "{told}");
}

#[test]
fn a_revocation_at_the_copy_keeps_what_was_copied() {
    let pair = Pair::new();
    let someone = pair.world.add(Role::Writer, "laptop");
    let laptop = pair.world.machine("laptop");
    let take = |seed| {
        super::fill(&pair.source, seed);
        laptop.snapshot(&pair.world, &someone.key, &pair.source).snapshot.unwrap()
    };
    let ids = [take(1), take(2), take(3)];
    // The chain has a hole at the copy.
    assert!(pair.world.as_admin().forget(vec![ids[1]]).unwrap());
    pair.sync();
    pair.copied().revoke(someone.id, "left").unwrap();
    pair.copy_holds(&[(ids[0], 1), (ids[2], 3)]);
}

/// One machine, one state folder: the repository and its copy have one id and two histories.
#[test]
fn a_host_knows_a_copy_from_its_source_and_sees_when_one_goes_back() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    let old = pair.copy.fork();
    let second = pair.snapshot(2);
    pair.sync();
    for machine in [&pair.machine, &pair.world.machine("other")] {
        for _ in 0..2 {
            assert_eq!(machine.open(&pair.world.store, &pair.world.admin).unwrap().snapshots().len(), 2);
            assert_eq!(machine.open(&pair.copy, &pair.world.admin).unwrap().snapshots().len(), 2);
        }
    }
    let old = Arc::new(old);
    let refused = pair.machine.open(&old, &pair.world.admin);
    assert!(matches!(refused, Err(RepositoryError::Log(_) | RepositoryError::RolledBack { .. })), "{refused:?}");
    assert_eq!(pair.world.machine("third").open(&old, &pair.world.admin).unwrap().snapshots().len(), 1);
    holds(&pair.world, &pair.copy, &pair.source, &[(ids[0], 1), (second, 2)]);
}

#[test]
fn a_snapshot_may_go_to_the_copy_itself() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    super::fill(&pair.source, 2);
    let options = pair.machine.options(&pair.source);
    let mut copy = pair.machine.open(&pair.copy, &pair.world.admin).unwrap();
    let writer = pair.machine.host.writer(&copy).unwrap().writer;
    let direct = boveda::ops::snapshot::snapshot(&mut copy, writer, &options, &Listener::default()).unwrap();
    let (direct, third) = (direct.snapshot.unwrap(), pair.snapshot(3));
    pair.sync();
    pair.copy_holds(&[(ids[0], 1), (direct, 2), (third, 3)]);
    // And back.
    let mut copy = pair.machine.open(&pair.copy, &pair.world.admin).unwrap();
    let place: Arc<dyn Store> = pair.world.store.clone();
    sync(&pair.machine.host, &mut copy, &place, &Options::default(), &Listener::default()).unwrap();
    holds(&pair.world, &pair.world.store, &pair.source, &[(ids[0], 1), (direct, 2), (third, 3)]);
}

/// A writer's sync cannot tell the copy of new keys: what is sealed with them waits, and is not lost on the way.
#[test]
fn what_is_sealed_with_keys_that_the_copy_does_not_know_waits_for_an_admin() {
    let pair = Pair::new();
    let [writer, thief] = ["server", "laptop"].map(|label| pair.world.add(Role::Writer, label));
    let take = |seed| {
        super::fill(&pair.source, seed);
        pair.machine.snapshot(&pair.world, &writer.key, &pair.source).snapshot.unwrap()
    };
    let first = take(1);
    pair.sync();
    pair.world.as_admin().revoke(thief.id, "stolen").unwrap();
    let second = take(2);
    let copy: Arc<dyn Store> = pair.copy.clone();
    let summary = pair.try_sync(&pair.machine, &writer.key, &copy, &Options::default()).unwrap();
    assert_eq!(summary.left.keys().collect::<Vec<_>>(), [&second]);
    assert!(summary.left[&second].contains("the newest keys"), "{summary:?}");
    assert_eq!((summary.snapshots, summary.after.snapshots), (0, 1));
    assert_eq!(pair.copied().snapshots().iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), [first]);
    assert_eq!(pair.sync().snapshots, 1);
    pair.copy_holds(&[(first, 1), (second, 2)]);
}

#[test]
fn only_admins_bring_back_what_a_copy_gave_up() {
    let pair = Pair::new();
    let writer = pair.world.add(Role::Writer, "server");
    super::fill(&pair.source, 1);
    pair.machine.snapshot(&pair.world, &writer.key, &pair.source);
    pair.sync();
    let [source, mut copy] =
        [&pair.world.store, &pair.copy].map(|store| crate::world::open(store.clone(), &writer.key).unwrap());
    let session = copy.begin_mirroring(WriterId([7; 16])).unwrap();
    let refused = copy.bring_segments(&session, &source, &[], &|_| Vec::new(), &Silent);
    assert!(matches!(refused, Err(RepositoryError::Role { role: Role::Writer, .. })), "{refused:?}");
}

/// Enters another config, as a later version of an admin's program may.
fn configure(world: &World, parity: u8) {
    let repository = world.as_admin();
    let mut config = repository.config().clone();
    config.parity = parity;
    let (bundle, log) = (repository.bundle(), repository.log());
    let (keys, key) = (bundle.current(), bundle.principal().signing_key());
    let author = Author { principal: bundle.principal_id(), key: &key };
    let sealing = Sealing { epoch: keys.epoch, suite: config.suite, index_key: &keys.index };
    let entered = append(&*world.store, log, (&Decision::Config(config.encode()), 0), author, sealing).unwrap();
    assert!(matches!(entered, Appended::Done { .. }));
}

#[test]
fn what_an_admin_decides_about_the_config_follows() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    for parity in [16, 8] {
        configure(&pair.world, parity);
        assert!(matches!(pair.copied().behind(&pair.world.as_admin()), Ok(Some(Decision::Config(_)))));
        assert_eq!(pair.sync().entered, 1);
        let [here, there] = [pair.world.as_admin(), pair.copied()];
        assert_eq!(there.log().state.trust().config(), here.log().state.trust().config());
        assert!(matches!(there.behind(&here), Ok(None)));
        assert_eq!(pair.sync().entered, 0);
    }
    pair.copy_holds(&[(ids[0], 1)]);
}

/// Whoever began it may have died after any call, and whoever goes on need not be an admin, who would enter what lacks.
#[test]
fn a_copy_that_was_begun_before_begins_as_the_source_does() {
    let world = World::new();
    for label in ["one", "two"] {
        world.add(Role::Writer, label);
    }
    let source = world.as_admin();
    let log = |store: &MemoryStore| -> Vec<_> {
        store.objects().into_iter().filter(|(name, _)| name.as_str().starts_with("log/")).collect()
    };
    assert_eq!(log(&world.store).len(), 6);
    for call in 1.. {
        let copy = Arc::new(MemoryStore::at("copy"));
        let faulty = FaultStore::new(copy.clone());
        faulty.plan(Some(Plan::for_good(call, Fault::After)));
        let begun = source.found_copy(&faulty);
        let Some(struck) = faulty.struck() else { break };
        assert!(begun.is_err(), "{struck}");
        source.found_copy(&*copy).unwrap();
        assert!(log(&copy) == log(&world.store), "{struck}: {} objects", log(&copy).len());
    }
}
