//! Sessions and records that are not what they say: rows of the matrix.

use super::forger::Forger;
use super::matrix::{Act, Prune, Remedy, Verify, evil_snapshots};
use super::pages::Page;
use super::scene::{EVIL, Scene};
use boveda::crypto::hash;
use boveda::repo::id::{ChunkId, SnapshotId, WriterId};
use boveda::repo::names::{IndexClass, Name, SessionName};
use boveda::repo::record::{Link, Structure};
use boveda::repo::session::{Beat, Certified, CopiedRecord, End, Signer, Verdict};
use boveda::repo::wire::Extensions;
use boveda::store::Store as _;

const EVILS: Verify = Verify::Names(|scene| evil_snapshots(scene)[0].to_string());
const CLAIMED: Verify = Verify::Names(|scene| format!("writer {}", scene.writer()));
const GAP: Prune = Prune::Refuses("is missing, which", &[Remedy::Sessions]);
const BAD_END: Prune = Prune::Refuses("cannot be understood", &[Remedy::Sessions]);
const LOST_PAGE: Prune = Prune::Refuses("of snapshot", &[Remedy::Forget]);

pub const ACTS: [Act; 19] = [
    Act { what: "a number far ahead", does: far_ahead, verify: own_number(), prune: Prune::Goes },
    Act { what: "the honest writer's next number, left open", does: next_open, verify: CLAIMED, prune: Prune::Later },
    Act { what: "the honest writer's last number", does: last_open, verify: CLAIMED, prune: Prune::Later },
    Act { what: "the honest writer's next number, committed", does: next_end, verify: CLAIMED, prune: Prune::Goes },
    Act { what: "an end that says nothing", does: garbage_end, verify: own_end(), prune: BAD_END },
    Act {
        what: "an end of the honest writer's next session",
        does: foreign_end,
        verify: next_session(),
        prune: BAD_END,
    },
    Act { what: "an end without an opening", does: no_opening, verify: own_opening(), prune: Prune::Goes },
    Act { what: "an opening without an end", does: left_open, verify: open_yet(), prune: Prune::Later },
    Act {
        what: "somebody else's snapshot as the one before",
        does: foreign_parent,
        verify: well(),
        prune: Prune::Goes,
    },
    Act { what: "a snapshot before that is nowhere", does: no_parent, verify: nowhere(), prune: GAP },
    Act { what: "two snapshots after one", does: fork, verify: by_evil(), prune: Prune::Goes },
    Act { what: "numbers to the last", does: last_numbers, verify: miscounts(), prune: Prune::Goes },
    Act { what: "sums of more than there can be", does: endless_sums, verify: Verify::NamesEach, prune: Prune::Goes },
    Act { what: "a catalog that is nowhere", does: no_catalog, verify: lost_root(), prune: needs() },
    Act { what: "a page that is data", does: wrong_page, verify: EVILS, prune: LOST_PAGE },
    Act { what: "times before all and after all time", does: extreme_times, verify: well(), prune: Prune::Goes },
    Act { what: "copies of honest records, and what was left out", does: copies, verify: CLAIMED, prune: Prune::Goes },
    Act { what: "signs of life for the honest writer", does: beats, verify: signs(), prune: Prune::Goes },
    Act { what: "a record of another session", does: foreign_record, verify: own_end(), prune: BAD_END },
];

const fn own_number() -> Verify {
    Verify::Silent("a writer may count its own sessions as it likes")
}

const fn open_yet() -> Verify {
    Verify::Silent("a session may be under way")
}

const fn well() -> Verify {
    Verify::Silent("it takes nothing from anybody, and whose it is stands there")
}

const fn miscounts() -> Verify {
    Verify::Names(|_| "it miscounts its chain".to_owned())
}

const fn by_evil() -> Verify {
    Verify::Names(|_| format!("writer {EVIL}"))
}

const fn nowhere() -> Verify {
    Verify::Names(|_| format!("snapshot {}", SnapshotId([7; 32])))
}

const fn needs() -> Prune {
    Prune::Refuses("needs it", &[Remedy::Forget])
}

const fn lost_root() -> Verify {
    Verify::Names(|_| ChunkId([7; 32]).to_string())
}

const fn signs() -> Verify {
    Verify::Silent("of a session that nobody opened, nobody can tell whose signs of life are")
}

const fn own_end() -> Verify {
    Verify::Names(|_| Name::End(SessionName { writer: EVIL, seq: 1 }).to_string())
}

const fn own_opening() -> Verify {
    Verify::Names(|_| Name::Open(SessionName { writer: EVIL, seq: 1 }).to_string())
}

const fn next_session() -> Verify {
    Verify::Names(|scene| {
        let session = scene.session();
        Name::End(SessionName { seq: session.seq + 1, ..session }).to_string()
    })
}

fn at(scene: &Scene, session: SessionName) -> Forger<'_> {
    Forger::at(&scene.world, &scene.evil.key, session)
}

fn own(scene: &Scene) -> Forger<'_> {
    at(scene, SessionName { writer: EVIL, seq: 1 })
}

fn next(scene: &Scene) -> SessionName {
    let session = scene.session();
    SessionName { seq: session.seq + 1, ..session }
}

/// Commits a snapshot of nothing, after `change`, and returns its id.
fn commit(forger: &Forger<'_>, change: impl FnOnce(&mut Link, &mut Structure)) -> SnapshotId {
    let root = Page::empty().store(forger);
    let index = forger.index(IndexClass::Catalog, &[root.pack], &[forger.wrap()]);
    let record = forger.record_with(root.id, |link, structure| {
        structure.entries = 0;
        change(link, structure);
    });
    let id = SnapshotId(hash::sha256(&record));
    forger.end(record, vec![index]);
    id
}

fn far_ahead(scene: &Scene) {
    commit(&at(scene, SessionName { writer: EVIL, seq: u64::MAX }), |_, _| {});
}

fn next_open(scene: &Scene) {
    at(scene, next(scene));
}

fn last_open(scene: &Scene) {
    for seq in [u64::MAX - 1, u64::MAX] {
        at(scene, SessionName { seq, ..scene.session() });
    }
}

fn next_end(scene: &Scene) {
    commit(&at(scene, next(scene)), |_, _| {});
}

fn garbage_end(scene: &Scene) {
    let forger = own(scene);
    scene.world.store.put(&Name::End(forger.session).object(), b"neither").unwrap();
}

/// Of a session that nobody opened so far, signed by somebody who is not its writer.
fn foreign_end(scene: &Scene) {
    let session = next(scene);
    let forger = Forger::unopened(&scene.world, &scene.evil.key, SessionName { writer: EVIL, ..session });
    let body = forger.commit(forger.record(ChunkId([1; 32]), session), vec![]);
    forger.put(&Name::End(session), &body);
}

fn no_opening(scene: &Scene) {
    commit(&Forger::unopened(&scene.world, &scene.evil.key, SessionName { writer: EVIL, seq: 1 }), |_, _| {});
}

fn left_open(scene: &Scene) {
    own(scene);
}

fn foreign_parent(scene: &Scene) {
    let (last, _) = *scene.taken.borrow().last().unwrap();
    commit(&own(scene), |link, _| (link.previous, link.number) = (Some(last), 2));
}

fn no_parent(scene: &Scene) {
    commit(&own(scene), |link, _| (link.previous, link.number) = (Some(SnapshotId([7; 32])), 1));
}

fn fork(scene: &Scene) {
    let first = commit(&own(scene), |_, _| {});
    for seq in [2, 3] {
        commit(&at(scene, SessionName { writer: EVIL, seq }), |link, _| {
            (link.previous, link.number) = (Some(first), 1);
        });
    }
}

fn last_numbers(scene: &Scene) {
    let mut last = commit(&own(scene), |_, _| {});
    for seq in [2, 3] {
        last = commit(&at(scene, SessionName { writer: EVIL, seq }), |link, _| {
            (link.previous, link.number) = (Some(last), u64::MAX);
        });
    }
}

fn endless_sums(scene: &Scene) {
    for number in [1, 2] {
        let writer = WriterId([0xe0 + number; 16]);
        commit(&at(scene, SessionName { writer, seq: 1 }), |_, structure| {
            (structure.entries, structure.bytes) = (u64::MAX, u64::MAX - u64::from(number));
        });
    }
}

fn no_catalog(scene: &Scene) {
    let forger = own(scene);
    forger.end(forger.record(ChunkId([7; 32]), forger.session), vec![]);
}

/// The skeleton is one of an extent tree, not of a catalog.
fn wrong_page(scene: &Scene) {
    let forger = own(scene);
    let root = Page { family: 9, ..Page::empty() }.store(&forger);
    forger.commit_root(root.id, [0, 0], [root.pack]);
}

fn extreme_times(scene: &Scene) {
    for (number, seconds) in [(1, i64::MIN), (2, i64::MAX)] {
        let forger = at(scene, SessionName { writer: WriterId([0xe0 + number; 16]), seq: 1 });
        let root = Page::empty().store(&forger);
        let index = forger.index(IndexClass::Catalog, &[root.pack], &[forger.wrap()]);
        let record = forger.record_with(root.id, |_, structure| {
            structure.entries = 0;
            structure.time.seconds = seconds;
            structure.tokens.host = boveda::repo::id::Token([number; 16]);
        });
        let signer = Signer::Installation(forger.certified());
        let verdict = Verdict::Commit { record, indexes: vec![index] };
        let end = End { signer, time: seconds, verdict, extensions: Extensions::default() };
        forger.put(&Name::End(forger.session), &end.encode());
    }
}

/// As a sync would bring them, with an installation of the forger's own under the honest writer's name.
fn copies(scene: &Scene) {
    let forger = own(scene);
    let repository = scene.world.as_admin();
    let view = repository.view();
    let records = view.snapshots.values().map(|snapshot| {
        let whose = (snapshot.record.link().session.writer, snapshot.principal);
        let installation = *view.certificate(&whose.0, &whose.1).unwrap();
        CopiedRecord { installation, record: snapshot.record.bytes().to_vec() }
    });
    let verdict = Verdict::Copies { records: records.collect(), indexes: view.indexes.iter().copied().collect() };
    let theirs = Forger::unopened(&scene.world, &scene.evil.key, scene.session());
    let installations: Vec<Certified> = vec![theirs.certified()];
    let packs = repository.list_packs().unwrap().into_keys().collect();
    let end = End { signer: Signer::Installation(forger.certified()), time: 0, verdict, extensions: <_>::default() };
    let end = end.bringing(&installations, &packs);
    forger.put(&Name::End(forger.session), &end.encode());
}

fn beats(scene: &Scene) {
    let forger = Forger::unopened(&scene.world, &scene.evil.key, next(scene));
    let body = Beat { time: i64::MAX, extensions: Extensions::default() }.encode();
    for number in [1, 2, u64::MAX] {
        forger.put(&Name::Beat(forger.session, number), &body);
    }
}

fn foreign_record(scene: &Scene) {
    let forger = own(scene);
    forger.end(forger.record(ChunkId([1; 32]), scene.session()), vec![]);
}
