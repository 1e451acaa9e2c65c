//! Who may do what: each role over one repository, trust between writers, revocation, and what opens a bundle.

mod races;
mod slots;
mod standing;
pub mod turns;

use crate::world::{Listener, World, noise};
use boveda::ops::{snapshot, verify};
use boveda::repo::chunks;
use boveda::repo::id::ChunkKind;
use boveda::repo::keys::role::Role;
use boveda::repo::repository::Error;
use std::path::PathBuf;

/// Bytes that a snapshot of nothing new may add: catalog pages, tables, padding.
const NOTHING: u64 = 200_000;
/// Bytes of the source's only file.
const CONTENT: usize = 3_000_000;

/// A world with a source of `CONTENT` bytes that do not compress.
fn world() -> (World, PathBuf) {
    let world = World::new();
    let source = world.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), noise(1, CONTENT)).unwrap();
    (world, source)
}

#[test]
fn a_writer_adds_with_deduplication_and_reads_nothing_back() {
    let (world, source) = world();
    let newest = world.machine("office").snapshot(&world, &world.admin, &source).snapshot.unwrap();
    let writer = world.add(Role::Writer, "laptop");
    let before = world.packed();

    let laptop = world.machine("laptop");
    let first = laptop.snapshot(&world, &writer.key, &source);
    assert!(first.full, "a machine without a cache reads everything");
    let second = laptop.snapshot(&world, &writer.key, &source);
    assert_eq!(second.parent, first.snapshot);
    assert!(world.packed() - before < NOTHING, "{} bytes more", world.packed() - before);

    let repository = laptop.open(&world.store, &writer.key).unwrap();
    assert_eq!(repository.snapshots().len(), 3);
    assert!(repository.snapshots().iter().all(|snapshot| snapshot.private.is_none() && snapshot.tags.is_empty()));
    let target = world.path("stolen");
    let refused = laptop.try_restore(&repository, &newest, &source, &target, &Listener::default());
    assert!(refused.is_err() || !target.join("file").exists(), "{refused:?}");
    let reader = laptop.host.reader(&repository, &boveda::repo::names::IndexClass::BOTH, 1 << 20).unwrap();
    for kind in [ChunkKind::Data, ChunkKind::Payload] {
        let ids: Vec<_> =
            reader.index().segments().map(Result::unwrap).filter(|(_, segment)| segment.kind == kind).collect();
        for (_, segment) in ids {
            let got = chunks::ChunkSource::get(&reader, kind, &segment.ids[0]);
            assert!(matches!(got, Err(chunks::Error::NoKey { .. })), "{got:?}");
        }
    }
    for level in [verify::Level::Structure, verify::Level::Full] {
        let refused = verify::verify(&repository, &laptop.host, level, &Listener::default());
        assert!(matches!(refused, Err(Error::Role { role: Role::Writer, .. })), "{refused:?}");
    }

    let all = world.as_admin();
    let mine = world.machine("anew");
    for (number, snapshot) in all.snapshots().iter().enumerate() {
        let target = world.path(&format!("out{number}"));
        mine.restore(&all, &snapshot.id, &source, &target);
        assert!(std::fs::read(target.join("file")).unwrap() == noise(1, CONTENT));
    }
}

#[test]
fn a_reader_reads_all_and_adds_nothing() {
    let (world, source) = world();
    let machine = world.machine("host");
    let id = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    let reader = world.add(Role::Reader, "auditor");
    let repository = machine.open(&world.store, &reader.key).unwrap();
    machine.restore(&repository, &id, &source, &world.path("out"));
    assert!(std::fs::read(world.path("out/file")).unwrap() == noise(1, CONTENT));
    let found = verify::verify(&repository, &machine.host, verify::Level::Full, &Listener::default()).unwrap();
    assert_eq!(found.findings, []);

    let before = world.store.objects();
    let refused =
        machine.try_snapshot(&world, &reader.key, &machine.options(&source), &Listener::default()).unwrap_err();
    assert!(matches!(&refused, snapshot::Error::Repository(Error::Role { role: Role::Reader, .. })), "{refused}");
    assert!(world.store.objects() == before, "a refused snapshot leaves nothing");
}

#[test]
fn a_maintainer_sees_sizes_and_times_and_no_names() {
    let (world, source) = world();
    let machine = world.machine("host");
    let taken = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    let maintainer = world.add(Role::Maintainer, "pruner");
    let repository = machine.open(&world.store, &maintainer.key).unwrap();
    let [snapshot] = repository.snapshots() else { panic!("one snapshot") };
    assert_eq!((snapshot.id, snapshot.structure.bytes), (taken, CONTENT as u64));
    assert!(snapshot.private.is_none() && snapshot.host().is_empty() && snapshot.paths().is_empty());
    assert!(repository.bundle().id_key().is_none() && repository.bundle().chunker_key().is_none());
    let check = |level| verify::verify(&repository, &machine.host, level, &Listener::default());
    assert_eq!(check(verify::Level::Structure).unwrap().findings, []);
    assert!(matches!(check(verify::Level::Full), Err(Error::Role { .. })));
    let refused = machine.try_snapshot(&world, &maintainer.key, &machine.options(&source), &Listener::default());
    assert!(matches!(refused, Err(snapshot::Error::Repository(Error::Role { .. }))));
}

#[test]
fn only_an_admin_makes_trusts_and_revokes_principals() {
    let (world, _) = world();
    let others = [Role::Writer, Role::Reader, Role::Maintainer].map(|role| world.add(role, role.name()));
    let before = world.store.objects();
    for someone in &others {
        let mut repository = world.open(&someone.key).unwrap();
        let role = repository.bundle().role();
        assert!(repository.add_member(Role::Admin, "more", &crate::world::raw_key()).is_err(), "{role}");
        assert!(repository.trust(others[0].id, others[1].id).is_err(), "{role}");
        assert!(repository.revoke(others[1].id, "because").is_err(), "{role}");
        assert!(repository.remove_slot(world.founded.slot).is_err(), "{role}");
    }
    assert!(world.store.objects() == before, "what is refused leaves nothing");
}

/// What ends up in a report of a crash.
#[test]
fn a_repository_is_printed_by_its_id_and_its_place_alone() {
    let (world, _) = world();
    let repository = world.as_admin();
    assert_eq!(format!("{repository:?}"), format!("Repository({} in memory)", repository.id()));
}
