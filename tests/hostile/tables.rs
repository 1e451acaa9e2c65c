//! Tables over garbage: whatever somebody with a writer's keys claims, others store their own and readers find it.

use super::forger::Forger;
use super::scene::{EVIL, Scene};
use crate::world::{Listener, World, noise};
use boveda::repo::chunks::ChunkSource as _;
use boveda::repo::id::{ChunkId, ChunkKind, IndexId, WriterId};
use boveda::repo::keys::data_key::Wrap;
use boveda::repo::keys::role::Role;
use boveda::repo::names::{IndexClass, SessionName};
use boveda::repo::repository::Indexes;
use boveda::repo::segment::Origin;
use boveda::repo::session::IndexRef;
use boveda::store::Store as _;

const CONTENT: usize = 2_000_000;

fn scene() -> Scene {
    Scene::of_writer(1, CONTENT)
}

#[test]
fn indexes_over_garbage_are_not_relied_on_and_passed_over() {
    let scene = scene();
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    let wrap = forger.wrap();
    let packs: Vec<_> =
        scene.ids().iter().map(|(kind, ids)| forger.garbage(*kind, ids, forger.origin(), &wrap)).collect();
    let indexes = IndexClass::BOTH.map(|class| forger.index(class, &packs, std::slice::from_ref(&wrap)));
    forger.end(forger.record(ChunkId([0; 32]), forger.session), indexes.to_vec());
    assert_eq!(scene.world.as_admin().snapshots().len(), 2, "the session counts");
    scene.reads();
    // The honest writer goes on with what it stored itself; a third one stores its own.
    let before = scene.world.packed();
    scene.machine.snapshot(&scene.world, &scene.owner, &scene.source);
    assert!(scene.world.packed() - before < 200_000);
    let third = scene.world.add(Role::Writer, "third");
    scene.stores_its_own(&third.key);
    // Whoever trusts somebody hostile is lost; the admin does not.
    scene.stores_its_own(&scene.world.admin);
}

/// Bytes are never given out under an id that is not theirs, not even when garbage is all there is.
#[test]
fn garbage_alone_is_damage() {
    let scene = scene();
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    let wrap = forger.wrap();
    let id = ChunkId([7; 32]);
    for kind in [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton] {
        let pack = forger.garbage(kind, &[id], forger.origin(), &wrap);
        forger.index(IndexClass::of(kind), &[pack], std::slice::from_ref(&wrap));
    }
    let packs: Vec<_> = [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton]
        .map(|kind| forger.garbage(kind, &[id], forger.origin(), &wrap))
        .into();
    let indexes = IndexClass::BOTH.map(|class| forger.index(class, &packs, std::slice::from_ref(&wrap)));
    forger.end(forger.record(id, forger.session), indexes.to_vec());
    let repository = scene.world.open(&scene.reader.key).unwrap();
    let reader = scene.machine.host.reader(&repository, &IndexClass::BOTH, 1 << 20).unwrap();
    for kind in [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton] {
        let got = reader.get(kind, &id);
        assert!(matches!(got, Err(boveda::repo::chunks::Error::Damaged { .. })), "{kind:?}: {got:?}");
    }
}

/// Places in segments that nothing opens: readers go on to the next place.
#[test]
fn segments_that_no_key_opens_hide_nothing() {
    let scene = scene();
    // Whose places a reader asks first is the order of the indexes' names: either may come first.
    for round in 0..4 {
        let forger = Forger::new(&scene.world, &scene.evil.key, WriterId([0xe0 + round; 16]));
        let nothing = Wrap { sealed: vec![0; 80], ..forger.wrap() };
        let packs: Vec<_> =
            scene.ids().iter().map(|(kind, ids)| forger.garbage(*kind, ids, forger.origin(), &nothing)).collect();
        let indexes = IndexClass::BOTH.map(|class| forger.index(class, &packs, std::slice::from_ref(&nothing)));
        forger.end(forger.record(ChunkId([0; 32]), forger.session), indexes.to_vec());
        scene.reads();
    }
}

/// A wrap of nothing under the id of an honest session's data key does not hide the true one.
#[test]
fn false_wraps_of_honest_keys_hide_nothing() {
    let scene = scene();
    let repository = scene.world.open(&scene.evil.key).unwrap();
    let honest = Indexes::load(&repository, &IndexClass::BOTH).unwrap().wraps().unwrap();
    assert_eq!(honest.len(), 1);
    for round in 0..4 {
        let forger = Forger::new(&scene.world, &scene.evil.key, WriterId([0xe0 + round; 16]));
        let mut packs: Vec<_> = scene
            .ids()
            .iter()
            .map(|(kind, ids)| forger.garbage(*kind, &ids[..1], forger.origin(), &forger.wrap()))
            .collect();
        for row in packs.iter_mut().flat_map(|pack| &mut pack.rows).filter(|row| row.kind != ChunkKind::Skeleton) {
            row.key_id = honest[0].id;
        }
        let nothing = Wrap { sealed: vec![round; 80], ..honest[0].clone() };
        let indexes = IndexClass::BOTH.map(|class| forger.index(class, &packs, std::slice::from_ref(&nothing)));
        forger.end(forger.record(ChunkId([0; 32]), forger.session), indexes.to_vec());
        scene.reads();
    }
}

/// A pack's own table that names others as the origin, and a missing index that makes everybody read all tables.
#[test]
fn tables_that_speak_for_others_say_nothing() {
    let scene = scene();
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    let admins = {
        let machine = scene.world.machine("admins");
        std::fs::write(scene.source.join("small"), b"small").unwrap();
        machine.snapshot(&scene.world, &scene.world.admin, &scene.source);
        std::fs::remove_file(scene.source.join("small")).unwrap();
        scene.world.as_admin().snapshots().last().unwrap().session
    };
    // Garbage for content that nobody has stored so far, in the admin's and in the victim's name.
    let third = scene.world.add(Role::Writer, "third");
    let path = scene.world.path("future");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("file"), noise(5, CONTENT)).unwrap();
    let ids = {
        let rehearsal = World { store: scene.world.store.fork().into(), ..World::new() };
        rehearsal.machine("rehearsal").snapshot(&rehearsal, &scene.evil.key, &path);
        let repository = rehearsal.open(&scene.evil.key).unwrap();
        let indexes = Indexes::load(&repository, &[IndexClass::Data]).unwrap();
        indexes.chunks.segments().flat_map(|row| row.unwrap().1.ids.clone()).collect::<Vec<_>>()
    };
    for session in [admins, scene.session()] {
        let origin = Origin { writer: session.writer, seq: session.seq };
        forger.garbage(ChunkKind::Data, &ids, origin, &forger.wrap());
    }
    let missing = IndexClass::BOTH.map(|class| IndexRef { checkpoint: 0, class, id: IndexId([9; 32]) });
    forger.end(forger.record(ChunkId([0; 32]), forger.session), missing.to_vec());
    for key in [&third.key, &scene.owner] {
        let before = scene.world.packed();
        let machine = scene.world.machine("victim");
        let id = machine.snapshot(&scene.world, key, &path).snapshot.unwrap();
        assert!(scene.world.packed() - before > CONTENT as u64, "it relied on a forged origin");
        let repository = scene.world.open(&scene.reader.key).unwrap();
        let target = scene.world.path("future-out");
        let _ = std::fs::remove_dir_all(&target);
        scene.world.machine("far").try_restore(&repository, &id, &path, &target, &Listener::default()).unwrap();
        assert!(std::fs::read(target.join("file")).unwrap() == noise(5, CONTENT));
    }
    scene.reads();
}

/// Whoever opens the first session under somebody else's name gains nothing by it.
#[test]
fn a_writers_name_taken_first_by_somebody_else_is_of_no_use() {
    let scene = scene();
    let victim = scene.world.add(Role::Writer, "victim");
    let machine = scene.world.machine("victims");
    let repository = machine.open(&scene.world.store, &victim.key).unwrap();
    let name = machine.host.writer(&repository).unwrap().writer;
    let forger = Forger::new(&scene.world, &scene.evil.key, name);
    // In the name of the session that the victim will open next.
    let session = SessionName { writer: name, seq: 2 };
    let origin = Origin { writer: session.writer, seq: session.seq };
    let wrap = forger.wrap();
    let packs: Vec<_> = scene.ids().iter().map(|(kind, ids)| forger.garbage(*kind, ids, origin, &wrap)).collect();
    let indexes = IndexClass::BOTH.map(|class| forger.index(class, &packs, std::slice::from_ref(&wrap)));
    forger.end(forger.record(ChunkId([0; 32]), forger.session), indexes.to_vec());
    let before = scene.world.packed();
    let id = machine.snapshot(&scene.world, &victim.key, &scene.source).snapshot.unwrap();
    assert!(scene.world.packed() - before > CONTENT as u64, "it relied on what was claimed in its name");

    let repository = scene.world.open(&scene.reader.key).unwrap();
    assert!(repository.snapshots().iter().any(|snapshot| snapshot.id == id && snapshot.session == session));
    let target = scene.world.path("victims-out");
    let far = scene.world.machine("far");
    let summary = far.try_restore(&repository, &id, &scene.source, &target, &Listener::default()).unwrap();
    assert_eq!(summary.damaged, 0);
    // The victim's next snapshot relies on its own places only, and these are sound.
    let before = scene.world.packed();
    let next = machine.snapshot(&scene.world, &victim.key, &scene.source).snapshot.unwrap();
    assert!(scene.world.packed() - before < 200_000, "it knows its own");
    let repository = scene.world.open(&victim.key).unwrap();
    let loaded = Indexes::load(&repository, &IndexClass::BOTH).unwrap();
    let forged = |pack| packs.iter().any(|forged| forged.id == pack);
    assert!(loaded.chunks.packs().all(|pack| !pack.good || !forged(pack.id)));
    let repository = scene.world.open(&scene.reader.key).unwrap();
    let target = scene.world.path("next-out");
    far.try_restore(&repository, &next, &scene.source, &target, &Listener::default()).unwrap();
    assert!(std::fs::read(target.join("file")).unwrap() == noise(1, CONTENT));
}

/// The packs' own tables stand in for whichever index is lost, though the other one still names the same packs.
#[test]
fn a_lost_index_costs_no_chunk() {
    for class in IndexClass::BOTH {
        let scene = scene();
        let index = *scene.world.as_admin().view().indexes_of(class).next().unwrap();
        scene.world.store.delete(&index.name().object()).unwrap();
        scene.reads();
    }
}

/// A table that names a chunk twice, by somebody who is relied on.
#[test]
fn a_chunk_named_twice_by_one_segment_does_no_harm() {
    let scene = scene();
    let trusting = scene.world.add(Role::Writer, "trusting");
    scene.world.as_admin().trust(trusting.id, scene.evil.id).unwrap();
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    let wrap = forger.wrap();
    let pack = forger.garbage(ChunkKind::Data, &[ChunkId([7; 32]); 2], forger.origin(), &wrap);
    let index = forger.index(IndexClass::Data, &[pack], &[wrap]);
    forger.end(forger.record(ChunkId([0; 32]), forger.session), vec![index]);
    scene.world.machine("trusting").snapshot(&scene.world, &trusting.key, &scene.source);
    scene.reads();
}
