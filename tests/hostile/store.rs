//! Forged, replayed, exchanged and withheld objects.

use super::forger::Forger;
use crate::world::{Listener, World, noise, open, raw_key};
use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::ops::snapshot;
use boveda::repo::frame;
use boveda::repo::id::{ChunkId, WriterId};
use boveda::repo::keys;
use boveda::repo::keys::role::Role;
use boveda::repo::log::{self, Cert, Decision, Entry};
use boveda::repo::names::{Copy, Name, SessionName};
use boveda::repo::repository::{Error, found};
use boveda::repo::session_view::Issue;
use boveda::store::memory::MemoryStore;
use boveda::store::{ObjectName, Store};
use std::sync::Arc;

const EVIL: WriterId = WriterId([0xee; 16]);

/// A world with one snapshot of the admin's, and somebody with a writer's keys.
fn world() -> (World, crate::world::Someone, SessionName) {
    let world = World::new();
    let source = world.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), noise(1, 100_000)).unwrap();
    world.machine("host").snapshot(&world, &world.admin, &source);
    let session = world.as_admin().snapshots()[0].session;
    let evil = world.add(Role::Writer, "evil");
    (world, evil, session)
}

fn issues(world: &World) -> Vec<Issue> {
    world.as_admin().view().issues.clone()
}

#[test]
fn an_end_by_another_is_neither_commit_nor_abort() {
    let (world, evil, honest) = world();
    let forger = Forger::new(&world, &evil.key, EVIL);
    // The honest writer's next session is open, and somebody else is faster in ending it.
    let mut repository = world.as_admin();
    let session = SessionName { seq: honest.seq + 1, ..honest };
    let begun = repository.begin(honest.writer, false).unwrap();
    let body = forger.commit(forger.record(ChunkId([1; 32]), session), vec![]);
    forger.put(&Name::End(session), &body);
    drop(begun);
    assert!(issues(&world).iter().any(|issue| matches!(issue, Issue::BadEnd(bad, _) if *bad == session)));
    assert_eq!(world.as_admin().snapshots().len(), 1);
}

#[test]
fn a_record_of_another_session_is_no_snapshot() {
    let (world, evil, honest) = world();
    let forger = Forger::new(&world, &evil.key, EVIL);
    forger.end(forger.record(ChunkId([1; 32]), honest), vec![]);
    assert!(issues(&world).iter().any(|issue| matches!(issue, Issue::BadEnd(bad, _) if *bad == forger.session)));
    assert_eq!(world.as_admin().snapshots().len(), 1);
}

#[test]
fn an_end_under_another_name_says_nothing() {
    let (world, _, honest) = world();
    let end = world.store.get(&Name::End(honest).object()).unwrap();
    let opening = world.store.get(&Name::Open(honest).object()).unwrap();
    let replayed = SessionName { seq: 7, ..honest };
    world.store.overwrite(&Name::Open(replayed).object(), opening);
    world.store.overwrite(&Name::End(replayed).object(), end);
    assert!(issues(&world).iter().any(|issue| matches!(issue, Issue::BadEnd(bad, _) if *bad == replayed)));
    assert_eq!(world.as_admin().snapshots().len(), 1);
}

/// Any two objects of one kind exchanged: an error or an issue, or the other copy serves; never something else taken for true.
#[test]
fn exchanged_objects_are_noticed() {
    let (world, evil, _) = world();
    world.machine("other").snapshot(&world, &evil.key, &world.path("source"));
    let names: Vec<ObjectName> = world.store.objects().into_keys().collect();
    let kind = |name: &ObjectName| Name::parse(name).unwrap().kind();
    let truth: Vec<_> = world.as_admin().snapshots().iter().map(|snapshot| snapshot.id).collect();
    let mut exchanged = 0;
    for (number, first) in names.iter().enumerate() {
        for second in names[number + 1..].iter().filter(|second| kind(second) == kind(first)) {
            let store = Arc::new(world.store.fork());
            let bytes = [first, second].map(|name| store.get(name).unwrap());
            if bytes[0] == bytes[1] {
                continue;
            }
            store.overwrite(first, bytes[1].clone());
            store.overwrite(second, bytes[0].clone());
            exchanged += 1;
            // Slots and epochs' keys exchanged still open, or do not: what they give is proved by other means.
            if let Ok(repository) = open(store, &world.admin) {
                for snapshot in repository.snapshots() {
                    assert!(truth.contains(&snapshot.id), "{first} and {second}");
                }
                let lost = repository.snapshots().len() < truth.len();
                assert!(!lost || !repository.view().issues.is_empty(), "{first} and {second}: lost in silence");
            }
        }
    }
    assert!(exchanged > 20, "{exchanged}");
}

#[test]
fn a_writer_enters_nothing_in_the_log() {
    let (world, evil, _) = world();
    let mut repository = world.open(&evil.key).unwrap();
    let before = world.store.objects();
    assert!(repository.add_member(Role::Admin, "me", &raw_key()).is_err());
    assert!(world.store.objects() == before);

    // By force, with keys of its own: it stops everybody who writes, as everything does that may be a damaged decision.
    let forger = Forger::new(&world, &evil.key, EVIL);
    let state = &repository.log().state;
    let head = state.head().unwrap();
    let principal = repository.bundle().principal();
    let cert = Cert {
        signing: principal.signing_key().public(),
        sealing: principal.sealing_key(),
        role: Role::Admin,
        label: "evil".to_owned(),
        trusts: vec![],
        may_attest: true,
    };
    let (kind, body) = Decision::Cert(cert).encode();
    let position = head.position + 1;
    let entry = Entry { position, previous: head.digest, voids: vec![], author: evil.id, time: 0, kind, body };
    let name = Name::Log(position, Copy::First);
    let sealed = Some((forger.sealing(), &entry.encode()[..]));
    let written = frame::write(&repository.id(), &name, b"", sealed, &principal.signing_key());
    world.store.put(&name.object(), &written.stored).unwrap();
    let mut admin = world.as_admin();
    assert_eq!(admin.log().state.trust().principal(&evil.id).unwrap().cert.role, Role::Writer);
    assert!(matches!(admin.begin(EVIL, true).map(drop), Err(Error::Log(log::Error::Stopped(_)))));
    // What is there stays readable.
    let id = admin.snapshots()[0].id;
    world.machine("reader").restore(&admin, &id, &world.path("source"), &world.path("out"));
    assert!(std::fs::read(world.path("out/file")).unwrap() == noise(1, 100_000));
}

#[test]
fn a_store_that_went_back_in_time_is_noticed() {
    let (world, _, _) = world();
    let source = world.path("source");
    let machine = world.machine("watching");
    machine.snapshot(&world, &world.admin, &source);
    let old = Arc::new(world.store.fork());
    machine.snapshot(&world, &world.admin, &source);
    machine.open(&world.store, &world.admin).unwrap();
    let refused = machine.open(&old, &world.admin).unwrap_err();
    assert!(matches!(refused, Error::RolledBack { .. }), "a snapshot is missing: {refused}");

    let old = Arc::new(world.store.fork());
    world.add(Role::Reader, "new");
    machine.open(&world.store, &world.admin).unwrap();
    let refused = machine.open(&old, &world.admin).unwrap_err();
    assert!(matches!(refused, Error::RolledBack { .. } | Error::Log(log::Error::RolledBack(_))), "{refused}");
    let refused = machine.try_snapshot(
        &World { store: old, ..World::new() },
        &world.admin,
        &machine.options(&source),
        &Listener::default(),
    );
    assert!(matches!(refused, Err(snapshot::Error::Repository(_))));
}

/// A store that shows another repository's config with the true slots: the bundle knows better.
#[test]
fn a_foreign_config_is_refused() {
    let (world, _, _) = world();
    let foreign = MemoryStore::new();
    found(&foreign, Suite::Aes256Gcm, &world.admin, &Secret::generate(), "admin").unwrap();
    let mixed = Arc::new(world.store.fork());
    for copy in Copy::BOTH {
        let name = Name::Config(copy).object();
        mixed.overwrite(&name, foreign.get(&name).unwrap());
    }
    let refused = open(mixed, &world.admin).unwrap_err();
    assert!(matches!(refused, Error::Keys(_)), "{refused}");

    // With the foreign slots too it is another repository altogether; a machine that knows this one by its id asks no more
    // of it. With a slot of both the bundle's own repository decides.
    let both = Arc::new(world.store.fork());
    for listed in foreign.list("slots").unwrap() {
        both.put(&listed.name, &foreign.get(&listed.name).unwrap()).unwrap();
    }
    assert_eq!(open(both, &world.admin).unwrap().id(), world.founded.repository);
}

/// What a wrong key is told names no slot.
#[test]
fn a_wrong_key_learns_which_kinds_of_slots_there_are() {
    let (world, _, _) = world();
    let refused = world.open(&raw_key()).unwrap_err();
    assert!(matches!(refused, Error::Keys(keys::Error::NotOpened { .. })), "{refused}");
    for (name, _) in world.store.objects().iter().filter(|(name, _)| name.as_str().starts_with("slots/")) {
        assert!(!refused.to_string().contains(&name.as_str()["slots/".len()..][..8]));
    }
}
