//! Checkpoints beside somebody with a writer's keys: nothing that they put makes a census cost anybody anything.

use super::forger::Forger;
use super::scene::{EVIL, Scene};
use crate::world::{Listener, World};
use boveda::crypto::hash;
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::ops::prune;
use boveda::ops::verify::{self, Level};
use boveda::repo::census::Census;
use boveda::repo::frame::{self, Frame};
use boveda::repo::id::{CensusId, ChunkId, ChunkKind, SnapshotId, WriterId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::log::{Decision, Entry};
use boveda::repo::names::{Copy, IndexClass, Name, SessionName};
use boveda::repo::repository::{Indexes, Repository};
use boveda::repo::session::{End, IndexRef, Signer, Verdict};
use boveda::repo::session_view::Issue;
use boveda::repo::wire::Extensions;
use boveda::store::{Put, Store};

const LENGTH: usize = 50_000;

fn scene(snapshots: u64) -> Scene {
    Scene::of_admin(snapshots, LENGTH)
}

/// A census, as somebody without scruples makes one: signed, sealed and named as it should be, by a writer.
fn census_of(forger: &Forger<'_>, world: &World, number: u64, indexes: Vec<IndexRef>) -> CensusId {
    let repository = world.as_admin();
    let census = Census {
        number,
        head: repository.log().state.head().unwrap(),
        admin_entries: vec![],
        ledger: repository.log().state.ledger().clone(),
        certificates: vec![],
        records: vec![],
        indexes,
        undeleted: vec![],
        heads: [].into(),
        watermarks: [].into(),
        extensions: Extensions::default(),
    };
    let stored = forger.frame(&Name::Census(CensusId([0; 32]), Copy::First), &census.encode());
    let id = CensusId(hash::sha256(&stored));
    for copy in Copy::BOTH {
        world.store.put(&Name::Census(id, copy).object(), &stored).unwrap();
    }
    id
}

/// Enters a CHECKPOINT, with whatever keys.
fn name_census(world: &World, repository: &Repository, number: u64, census: CensusId) {
    let state = &repository.log().state;
    let (kind, body) = Decision::Checkpoint { number, census }.encode();
    let author = repository.bundle().principal_id();
    let (position, previous) = (state.next(), state.head().unwrap().digest);
    let entry = Entry { position, previous, voids: vec![], author, time: 0, kind, body };
    let stored = signed(repository, &Name::Log(position, Copy::First), &entry.encode());
    for copy in Copy::BOTH {
        world.store.put(&Name::Log(position, copy).object(), &stored).unwrap();
    }
}

/// An object signed by a principal itself.
fn signed(repository: &Repository, name: &Name, body: &[u8]) -> Vec<u8> {
    let keys = repository.bundle().current();
    let sealing = frame::Sealing { epoch: keys.epoch, suite: repository.config().suite, index_key: &keys.index };
    let key = repository.bundle().principal().signing_key();
    frame::write(&repository.id(), name, b"", Some((sealing, body)), &key).stored
}

/// The next checkpoint of a maintainer whose program does this to its census.
fn sum_up_falsely(scene: &Scene, maintainer: &Credential, change: impl FnOnce(&mut Census)) {
    let repository = scene.world.open(maintainer).unwrap();
    let state = &repository.log().state;
    let newest = state.ledger().checkpoint.unwrap();
    let name = Name::Census(newest.census, Copy::First);
    let stored = scene.world.store.get(&name.object()).unwrap();
    let plain = Frame::read(&name, &stored).unwrap().unseal(&repository.id(), &repository.bundle().current().index);
    let mut census = Census::decode(&plain.unwrap()).unwrap();
    (census.number, census.head, census.ledger) = (2, state.head().unwrap(), state.ledger().clone());
    change(&mut census);
    let stored = signed(&repository, &Name::Census(CensusId([0; 32]), Copy::First), &census.encode());
    let id = CensusId(hash::sha256(&stored));
    for copy in Copy::BOTH {
        scene.world.store.put(&Name::Census(id, copy).object(), &stored).unwrap();
    }
    name_census(&scene.world, &repository, 2, id);
}

/// A maintainer's word is taken for what was decided before its checkpoint, as it may decide that anyway; a lie is named.
#[test]
fn a_census_that_says_what_nobody_decided_is_named() {
    let scene = scene(3);
    let maintainer = scene.world.add(Role::Maintainer, "storage");
    scene.sum_up();
    let last = scene.taken.borrow()[2].0;
    sum_up_falsely(&scene, &maintainer.key, |census| census.ledger.forgotten.extend([(last, 1)]));
    let machine = scene.world.machine("somebody");
    let opened = machine.open(&scene.world.store, &scene.world.admin).unwrap();
    assert_eq!((opened.snapshots().len(), opened.log().stopped()), (2, None));
    let found = verify::verify(&opened, &machine.host, Level::Quick, &Listener::default()).unwrap();
    assert!(found.findings.iter().any(|finding| finding.object == "the newest census"), "{:?}", found.findings);
}

/// A maintainer whose program leaves a snapshot out of the census: nothing is decided by that, and it is named.
#[test]
fn a_census_that_hides_a_snapshot_is_named_and_nothing_is_pruned() {
    let scene = scene(3);
    scene.sum_up();
    let machine = scene.world.machine("somebody");
    let maintainer = scene.world.add(Role::Maintainer, "storage");
    let last = scene.taken.borrow()[2].0;
    sum_up_falsely(&scene, &maintainer.key, |census| {
        census.records.retain(|listed| SnapshotId(hash::sha256(&listed.record)) != last);
        assert_eq!(census.records.len(), 2);
    });
    let mut opened = machine.open(&scene.world.store, &scene.world.admin).unwrap();
    assert_eq!((opened.snapshots().len(), opened.log().stopped()), (2, None));
    assert_eq!(opened.hidden().unwrap(), [last]);
    let found = verify::verify(&opened, &machine.host, Level::Quick, &Listener::default()).unwrap();
    assert!(found.findings.iter().any(|finding| finding.object.contains(&last.to_string())), "{:?}", found.findings);
    let before = scene.world.store.list("packs").unwrap().len();
    let how = prune::Options { now: 1_800_000_000, exclusive: true, ..Default::default() };
    let refused = prune::prune(&mut opened, &machine.host, &how, &Silent);
    assert!(matches!(refused, Err(prune::Error::InDoubt(_))), "{refused:?}");
    assert_eq!(scene.world.store.list("packs").unwrap().len(), before);
    // Whoever saw it before is told the same.
    let seen = scene.machine.open(&scene.world.store, &scene.world.admin).unwrap();
    assert_eq!(seen.hidden().unwrap(), [last]);
}

#[test]
fn a_census_that_a_writer_puts_removes_nothing_and_no_writer_names_one() {
    let scene = scene(2);
    let honest = scene.world.add(Role::Writer, "honest");
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    // Somebody has stored an index, and is about to commit it.
    let other = Forger::new(&scene.world, &honest.key, WriterId([0x0c; 16]));
    let pack = other.garbage(ChunkKind::Data, &[ChunkId([1; 32])], other.origin(), &other.wrap());
    let index = other.index(IndexClass::Data, &[pack], &[other.wrap()]);
    census_of(&forger, &scene.world, 0, vec![index]);
    for _ in 0..3 {
        scene.sum_up();
        scene.take();
    }
    assert!(scene.world.store.length(&index.name().object()).is_ok(), "an index went by a writer's word");
    scene.reads();

    // And a CHECKPOINT that a writer signs counts for nothing: it stops the log, as every forgery does.
    let id = census_of(&forger, &scene.world, 99, vec![]);
    let mut repository = scene.world.open(&scene.evil.key).unwrap();
    assert!(repository.checkpoint().is_err());
    let number = repository.log().state.ledger().checkpoint_number() + 1;
    name_census(&scene.world, &repository, number, id);
    let opened = scene.world.as_admin();
    assert!(opened.log().stopped().is_some());
    assert_eq!(opened.log().state.ledger().checkpoint_number(), number - 1);
    assert_eq!(opened.snapshots().len(), scene.taken.borrow().len());
    scene.reads();
}

/// Somebody opens and ends a session under another's name, before a checkpoint or after one.
#[test]
fn a_name_that_somebody_else_claims_is_summed_up_no_further_and_named() {
    for summed_up_before in [false, true] {
        let scene = scene(3);
        if summed_up_before {
            scene.sum_up();
            scene.take();
        }
        let session = SessionName { writer: scene.writer(), seq: scene.taken.borrow().len() as u64 + 1 };
        let forger = Forger::at(&scene.world, &scene.evil.key, session);
        let verdict = Verdict::Abort { reason: "mine".to_owned() };
        let end =
            End { signer: Signer::Installation(forger.certified()), time: 0, verdict, extensions: <_>::default() };
        assert_eq!(forger.put(&Name::End(session), &end.encode()), Put::Created);
        scene.take();
        let covered = scene.world.as_admin().view().watermark(&session.writer);
        // Another host's work is summed up all the same.
        let other = scene.world.machine("other");
        other.snapshot(&scene.world, &scene.world.admin, &scene.source);
        for _ in 0..2 {
            scene.sum_up();
            let opened = scene.world.as_admin();
            assert_eq!(opened.view().watermark(&session.writer), covered, "{summed_up_before}");
            let named = |issue: &Issue| matches!(issue, Issue::Claimed { writer, .. } if *writer == session.writer);
            assert!(opened.view().issues.iter().any(named), "{summed_up_before}");
            assert_eq!(Indexes::readable(&opened).unwrap().problems.len(), 0, "{summed_up_before}");
            scene.reads();
            other.snapshot(&scene.world, &scene.world.admin, &scene.source);
        }
        assert!(scene.world.as_admin().view().watermarks().len() > usize::from(summed_up_before));
    }
}

/// Somebody names the first honest session's data key with a wrap that opens nothing. Returns the index that does, and the honest one.
fn name_key_falsely(scene: &Scene) -> [IndexRef; 2] {
    let opened = scene.world.as_admin();
    let honest = *opened.view().indexes_of(IndexClass::Data).next().unwrap();
    let victim = Indexes::load(&opened, &[IndexClass::Data]).unwrap();
    let key = victim.chunks.segments().next().unwrap().unwrap().1.key_id;
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    let mut wrap = forger.wrap();
    wrap.id = key;
    let mut pack = forger.garbage(ChunkKind::Data, &[ChunkId([1; 32])], forger.origin(), &forger.wrap());
    pack.rows.iter_mut().for_each(|row| row.key_id = key);
    let index = forger.index(IndexClass::Data, &[pack], &[wrap]);
    forger.end(forger.record(ChunkId([1; 32]), forger.session), vec![index]);
    [index, honest]
}

/// Under one signature, one of the two wraps would be all that is left.
#[test]
fn of_two_indexes_that_wrap_a_data_key_differently_one_stays_as_it_is() {
    let scene = scene(1);
    let differing = name_key_falsely(&scene);
    for _ in 0..8 {
        scene.take();
    }
    scene.sum_up();
    let opened = scene.world.as_admin();
    let left: Vec<_> = opened.view().indexes_of(IndexClass::Data).collect();
    assert_eq!(left.len(), 2, "all others are put together");
    assert_eq!(left.iter().filter(|index| differing.contains(index)).count(), 1);
    scene.reads();
}

/// Somebody names another's data key with a wrap that opens nothing, and all that is put together.
#[test]
fn a_wrap_that_opens_nothing_hides_no_key_when_indexes_are_put_together() {
    let scene = scene(1);
    name_key_falsely(&scene);
    for _ in 0..3 {
        for _ in 0..9 {
            scene.take();
        }
        scene.sum_up();
        scene.reads();
    }
    let opened = scene.world.as_admin();
    assert!(opened.view().indexes.len() < 30, "{}", opened.view().indexes.len());
}

/// Somebody's index names a session that is still to come, of another: it must not become that other's word.
#[test]
fn an_index_of_a_session_that_nobody_had_yet_stays_under_its_own_signature() {
    let scene = scene(9);
    let forger = Forger::new(&scene.world, &scene.evil.key, EVIL);
    let coming = boveda::repo::segment::Origin { writer: EVIL, seq: 7 };
    let pack = forger.garbage(ChunkKind::Data, &[ChunkId([1; 32])], coming, &forger.wrap());
    let index = forger.index(IndexClass::Data, &[pack], &[forger.wrap()]);
    forger.end(forger.record(ChunkId([1; 32]), forger.session), vec![index]);
    scene.take();
    scene.sum_up();
    let opened = scene.world.as_admin();
    assert!(opened.view().indexes.contains(&index), "it was put together with others");
    assert!(opened.view().indexes.len() < 20, "others were put together");
    scene.reads();
}

#[test]
fn what_a_maintainer_put_together_who_was_revoked_is_made_anew() {
    let scene = scene(9);
    let maintainer = scene.world.add(Role::Maintainer, "storage");
    checkpoint(&mut scene.world.open(&maintainer.key).unwrap(), 1, &Silent).unwrap();
    assert!(scene.world.as_admin().view().indexes.len() < 9, "put together");
    scene.world.as_admin().revoke(maintainer.id, "stolen").unwrap();
    let opened = scene.world.as_admin();
    assert!(!Indexes::readable(&opened).unwrap().problems.is_empty(), "its word counts no more");
    scene.reads();
    scene.take();
    let mut repository = scene.machine.open(&scene.world.store, &scene.world.admin).unwrap();
    let writer = scene.machine.host.writer(&repository).unwrap().writer;
    assert!(repository.rebuild_indexes(writer).unwrap().is_some());
    drop(repository);
    scene.sum_up();
    scene.take();
    scene.sum_up();
    let opened = scene.world.as_admin();
    assert!(Indexes::readable(&opened).unwrap().problems.is_empty());
    let found = verify::verify(&opened, &scene.machine.host, Level::Full, &Listener::default()).unwrap();
    assert_eq!(found.findings, []);
    scene.reads();
}
