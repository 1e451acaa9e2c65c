//! Whom writers rely on, and what revocation ends.

use super::{CONTENT, NOTHING, world};
use crate::world::hooked::{Action, Hooked, lost};
use crate::world::{Listener, noise, open};
use boveda::event::Silent;
use boveda::repo::frame::Frame;
use boveda::repo::keys;
use boveda::repo::keys::role::Role;
use boveda::repo::names::{IndexClass, Name};
use boveda::repo::repository::{Error, Indexes, Repository};
use boveda::repo::session_view::Issue;
use boveda::store::faults::{Fault, FaultStore, Plan};
use std::sync::Arc;

#[test]
fn a_writer_relies_on_another_only_once_it_may() {
    let (world, source) = world();
    let (first, second) = (world.add(Role::Writer, "first"), world.add(Role::Writer, "second"));
    let (here, there) = (world.machine("here"), world.machine("there"));
    here.snapshot(&world, &first.key, &source);
    let after_first = world.packed();
    assert!(after_first > CONTENT as u64);
    there.snapshot(&world, &second.key, &source);
    let after_second = world.packed();
    assert!(after_second - after_first > CONTENT as u64, "somebody else's chunks are not relied on");

    // Trust goes one way.
    let (third, source) = (world.add(Role::Writer, "third"), world.path("other"));
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), noise(2, CONTENT)).unwrap();
    world.as_admin().trust(third.id, first.id).unwrap();
    here.snapshot(&world, &first.key, &source);
    let before = world.packed();
    world.machine("elsewhere").snapshot(&world, &third.key, &source);
    assert!(world.packed() - before < NOTHING);
    std::fs::write(source.join("file"), noise(3, CONTENT)).unwrap();
    world.machine("elsewhere").snapshot(&world, &third.key, &source);
    let before = world.packed();
    here.snapshot(&world, &first.key, &source);
    assert!(world.packed() - before > CONTENT as u64, "the trusted does not trust back");
}

#[test]
fn installations_of_one_principal_rely_on_each_other() {
    let (world, source) = world();
    let writer = world.add(Role::Writer, "fleet");
    let summaries = ["one", "two", "three"].map(|name| world.machine(name).snapshot(&world, &writer.key, &source));
    assert!(world.packed() < CONTENT as u64 * 3 / 2, "{}", world.packed());
    assert!(summaries.iter().all(|summary| summary.parent.is_none()), "each has a chain of its own");
    let repository = world.as_admin();
    let writers: std::collections::BTreeSet<_> =
        repository.snapshots().iter().map(|snapshot| snapshot.session.writer).collect();
    assert_eq!(writers.len(), 3);
    assert_eq!(repository.view().issues, []);
}

#[test]
fn revocation_keeps_the_past_and_ends_the_future() {
    let (world, source) = world();
    let (lost, kept) = (world.add(Role::Writer, "stolen"), world.add(Role::Writer, "kept"));
    let reader = world.add(Role::Reader, "offline");
    let (here, there) = (world.machine("here"), world.machine("there"));
    let old = here.snapshot(&world, &lost.key, &source).snapshot.unwrap();
    // What a thief has: all objects as they were, his slot included.
    let copied = world.store.objects();
    world.as_admin().revoke(lost.id, "stolen").unwrap();

    let refused = here.open(&world.store, &lost.key).unwrap_err();
    assert!(matches!(refused, Error::Keys(keys::Error::NotOpened { .. })), "its slots are gone: {refused}");
    for (name, bytes) in copied.iter().filter(|(name, _)| name.as_str().starts_with("slots/")) {
        if !world.store.objects().contains_key(name) {
            world.store.overwrite(name, bytes.to_vec());
        }
    }
    let refused = open(world.store.clone(), &lost.key).unwrap_err();
    assert!(!matches!(refused, Error::Keys(keys::Error::NotOpened { .. })), "the slot that he kept opens: {refused}");

    std::fs::write(source.join("later"), noise(9, 50_000)).unwrap();
    let new = there.snapshot(&world, &kept.key, &source).snapshot.unwrap();
    assert_eq!(open(world.store.clone(), &kept.key).unwrap().bundle().current_epoch(), 2);

    // The reader was away all the time; its slot knows the first epoch only.
    let repository = open(world.store.clone(), &reader.key).unwrap();
    let ids: Vec<_> = repository.snapshots().iter().map(|snapshot| snapshot.id).collect();
    assert_eq!(ids, [old, new]);
    let machine = world.machine("reader");
    machine.restore(&repository, &new, &source, &world.path("new"));
    assert!(std::fs::read(world.path("new/later")).unwrap() == noise(9, 50_000));
    machine.restore(&repository, &old, &source, &world.path("old"));
    assert!(std::fs::read(world.path("old/file")).unwrap() == noise(1, CONTENT));

    // The admin goes on too: makes principals, who know all epochs, and ends others.
    let young = world.add(Role::Writer, "young");
    assert_eq!(open(world.store.clone(), &young.key).unwrap().bundle().epochs().count(), 2);
    world.as_admin().revoke(kept.id, "left").unwrap();
    assert_eq!(open(world.store.clone(), &young.key).unwrap().bundle().current_epoch(), 3);
    assert_eq!(open(world.store.clone(), &reader.key).unwrap().snapshots().len(), 2);
}

/// The thief held the first epoch's keys: what others store afterwards, small objects included, must not open with them.
#[test]
fn what_is_stored_after_a_revocation_is_sealed_for_the_new_epoch() {
    let (world, source) = world();
    let (lost, kept) = (world.add(Role::Reader, "stolen"), world.add(Role::Writer, "kept"));
    world.as_admin().revoke(lost.id, "stolen").unwrap();
    let before = world.store.objects();
    world.machine("here").snapshot(&world, &kept.key, &source);
    for (name, bytes) in world.store.objects().into_iter().filter(|(name, _)| !before.contains_key(name)) {
        if let Some(name) = Name::parse(&name).filter(|name| !matches!(name, Name::Pack(_))) {
            assert_eq!(Frame::read(&name, &bytes).unwrap().epoch(), Some(2), "{name}");
        }
    }
    let repository = world.as_admin();
    let all = Indexes::load(&repository, &IndexClass::BOTH).unwrap();
    assert!(all.chunks.segments().count() > 0);
    assert!(all.chunks.segments().all(|segment| segment.unwrap().1.epoch == 2));
    assert!(all.wraps().unwrap().iter().all(|wrap| wrap.epoch == 2));
}

#[test]
fn a_revocation_that_fails_half_way_can_be_done_again() {
    for (call, fault) in (1..).flat_map(|call| [(call, Fault::Before), (call, Fault::After)]) {
        let (world, _) = world();
        let (lost, kept) = (world.add(Role::Writer, "stolen"), world.add(Role::Writer, "kept"));
        let faulty = Arc::new(FaultStore::new(world.store.clone()));
        let mut repository = Repository::open(faulty.clone(), &world.admin, |_| None, Arc::new(Silent)).unwrap();
        faulty.plan(Some(Plan::once(call, fault)));
        let outcome = repository.revoke(lost.id, "stolen");
        let struck = faulty.struck();
        if let Err(error) = outcome {
            world.as_admin().revoke(lost.id, "stolen").unwrap_or_else(|again| panic!("{struck:?}: {error}; {again}"));
        }
        assert!(world.open(&lost.key).is_err(), "{struck:?}");
        assert!(world.open(&kept.key).unwrap().bundle().current_epoch() >= 2, "{struck:?}: no new epoch");
        world.add(Role::Writer, "young");
        if struck.is_none() {
            return;
        }
    }
}

#[test]
fn a_session_that_was_open_when_its_principal_was_revoked_makes_no_snapshot() {
    let (world, source) = world();
    let thief = world.add(Role::Writer, "thief");
    let machine = world.machine("here");
    let stale = Arc::new(world.store.fork());
    // The thief keeps a store that does not show him the revocation, and carries over what he makes there.
    world.as_admin().revoke(thief.id, "stolen").unwrap();
    let mut repository = machine.open(&stale, &thief.key).unwrap();
    let writer = machine.host.writer(&repository).unwrap();
    let options = machine.options(&source);
    let made = boveda::ops::snapshot::snapshot(&mut repository, writer.writer, &options, &Listener::default()).unwrap();
    for (name, bytes) in stale.objects() {
        let new = !world.store.objects().contains_key(&name) && !name.as_str().starts_with("slots/");
        if new {
            world.store.overwrite(&name, bytes.to_vec());
        }
    }
    let repository = world.as_admin();
    assert_eq!(repository.snapshots().len(), 0);
    assert!(
        repository.view().issues.contains(&Issue::Revoked(made.snapshot.unwrap())),
        "{:?}",
        repository.view().issues
    );
    // Nor may anybody's snapshot stand on his chunks.
    let before = world.packed();
    world.machine("honest").snapshot(&world, &world.admin, &source);
    assert!(world.packed() - before > CONTENT as u64);
}

/// Its slots are removed, and a power cut might bring them back: who cannot make sure of that is told.
#[test]
fn a_revocation_that_may_not_last_is_no_success() {
    let (world, _) = world();
    let thief = world.add(Role::Writer, "stolen");
    let first = |name: &str| name.starts_with("slots/") && !name.ends_with(".2");
    let store = Hooked::before(world.store.clone(), move |call| {
        if call.action == Action::Settle && first(call.name) { Err(lost(call.name)) } else { Ok(()) }
    });
    let mut repository = Repository::open(store, &world.admin, |_| None, Arc::new(Silent)).unwrap();
    let refused = repository.revoke(thief.id, "stolen");
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    world.as_admin().revoke(thief.id, "stolen").unwrap();
    assert!(world.open(&thief.key).is_err());
}
