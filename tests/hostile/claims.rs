//! Claims in tables and indexes that are not true: rows of the matrix.

use super::forger::Forger;
use super::matrix::{Act, Prune, Remedy, Verify};
use super::scene::{EVIL, Scene};
use boveda::repo::id::{ChunkId, ChunkKind, IndexId, PackId};
use boveda::repo::names::IndexClass;
use boveda::repo::pack::PackSummary;
use boveda::repo::repository::Indexes;
use boveda::repo::segment::{Codec, SegmentDescriptor};
use boveda::repo::session::IndexRef;

const LOST_INDEX: Prune = Prune::Refuses("is lost", &[Remedy::Index]);
const BY_EVIL: Verify = Verify::Names(|_| format!("writer {EVIL}"));

pub const ACTS: [Act; 15] = [
    Act { what: "all chunks, over garbage", does: all_over_garbage, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "empty pages under everybody's ids", does: empty_pages, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "all chunks, in packs that are nowhere", does: nowhere, verify: missing(), prune: Prune::Goes },
    Act {
        what: "honest packs, of other segments and lengths",
        does: honest_packs,
        verify: BY_EVIL,
        prune: Prune::Goes,
    },
    Act { what: "honest segments, of other chunks", does: other_chunks, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "one pack twenty times", does: twenty_times, verify: doubles(), prune: Prune::Goes },
    Act {
        what: "deltas that are made from nothing, or each other",
        does: circles,
        verify: BY_EVIL,
        prune: Prune::Goes,
    },
    Act { what: "a delta that is made from 64 MiB", does: many_bases, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "segments that come to 4 GiB", does: bomb, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "segments that no key opens", does: unopened, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "segments of an epoch that never was", does: no_epoch, verify: BY_EVIL, prune: Prune::Goes },
    Act { what: "packs of endless length", does: endless_packs, verify: index_object(), prune: LOST_INDEX },
    Act { what: "segments of 1 GiB", does: endless_segments, verify: index_object(), prune: LOST_INDEX },
    Act { what: "an index of endless lists", does: endless_lists, verify: index_object(), prune: LOST_INDEX },
    Act { what: "an index that is nowhere", does: no_index, verify: no_such_index(), prune: LOST_INDEX },
];

const fn missing() -> Verify {
    Verify::Names(|_| PackId([9; 32]).to_string())
}

const fn doubles() -> Verify {
    Verify::Silent("what is said twice is as true as what is said once")
}

const fn index_object() -> Verify {
    Verify::Names(|scene| {
        let indexes = scene.world.store.objects().into_keys().filter(|name| name.as_str().starts_with("idx/"));
        let theirs = |name: &String| {
            let view = scene.world.as_admin();
            let named = view.view().committed_indexes().iter().find(|(_, index)| index.name().to_string() == *name);
            named.is_some_and(|(session, _)| session.writer == EVIL)
        };
        indexes.map(|name| name.to_string()).rfind(theirs).unwrap()
    })
}

const fn no_such_index() -> Verify {
    Verify::Names(|_| IndexId([9; 32]).to_string())
}

fn forger(scene: &Scene) -> Forger<'_> {
    Forger::new(&scene.world, &scene.evil.key, EVIL)
}

/// The honest rows, each with its pack.
fn honest(scene: &Scene) -> Vec<(PackSummary, SegmentDescriptor)> {
    let (repository, writer) = (scene.world.open(&scene.evil.key).unwrap(), scene.writer());
    let indexes = Indexes::load(&repository, &IndexClass::BOTH).unwrap();
    let rows = indexes.chunks.segments().map(Result::unwrap).filter(|(_, row)| row.origin.writer == writer);
    let pack = |id, length| PackSummary { id, length, md5: None, rows: vec![] };
    rows.map(|(found, row)| (pack(found.id, found.length), (*row).clone())).collect()
}

/// Honest rows as the forger's own, after something was changed.
fn claimed(scene: &Scene, forger: &Forger<'_>, change: impl Fn(&mut PackSummary, &mut SegmentDescriptor)) {
    let claim = |(mut pack, mut row): (PackSummary, SegmentDescriptor)| {
        row.origin = forger.origin();
        change(&mut pack, &mut row);
        PackSummary { rows: vec![row], ..pack }
    };
    forger.commit_beside(&honest(scene).into_iter().map(claim).collect::<Vec<_>>());
}

fn over(scene: &Scene, bytes: &[u8]) {
    let forger = forger(scene);
    let claimed = |ids: Vec<ChunkId>| ids.into_iter().map(|id| (id, bytes.to_vec())).collect::<Vec<_>>();
    let segment = |(kind, ids)| forger.segment(kind, &claimed(ids), forger.origin());
    let pack = forger.pack(scene.ids().into_iter().map(segment).collect(), &forger.wrap());
    forger.commit_beside(&[pack]);
}

fn all_over_garbage(scene: &Scene) {
    over(scene, b"garbage");
}

fn empty_pages(scene: &Scene) {
    over(scene, &[[1, 1, 0].as_slice(), &[0; 32], &[0, 0, 0]].concat());
}

fn nowhere(scene: &Scene) {
    claimed(scene, &forger(scene), |pack, _| pack.id = PackId([9; 32]));
}

fn honest_packs(scene: &Scene) {
    claimed(scene, &forger(scene), |pack, row| {
        pack.length += 64;
        row.offset += 64;
    });
}

fn other_chunks(scene: &Scene) {
    let (ids, forger) = (scene.ids(), forger(scene));
    claimed(scene, &forger, |_, row| {
        let of_kind = &ids.iter().find(|(kind, _)| *kind == row.kind).unwrap().1;
        row.ids = (0..row.ids.len()).map(|at| of_kind[(at + 1) % of_kind.len()]).collect();
    });
}

fn twenty_times(scene: &Scene) {
    let forger = forger(scene);
    let bytes = b"something".to_vec();
    let id = forger.id(ChunkKind::Data, &bytes);
    let pack = forger.pack(vec![forger.segment(ChunkKind::Data, &[(id, bytes)], forger.origin())], &forger.wrap());
    forger.commit_beside(&vec![pack; 20]);
}

/// Deltas that the table does not show as such: only the index does.
fn circles(scene: &Scene) {
    let forger = forger(scene);
    let data = scene.ids().remove(0).1;
    let mut packs = Vec::new();
    for (at, base) in [(0, ChunkId([7; 32])), (1, data[0]), (0, data[1])] {
        let mut pack = forger.garbage(ChunkKind::Data, &[data[at]], forger.origin(), &forger.wrap());
        pack.rows.iter_mut().for_each(|row| (row.codec, row.bases) = (Codec::Delta, vec![base]));
        packs.push(pack);
    }
    forger.commit_beside(&packs);
}

fn many_bases(scene: &Scene) {
    let forger = forger(scene);
    let base = vec![0; 1 << 20];
    let id = forger.id(ChunkKind::Data, &base);
    let plain = forger.segment(ChunkKind::Data, &[(id, base)], forger.origin());
    let chunk = scene.ids()[0].1[0];
    // One chunk of one byte: what is made from what does not matter, it is the bases that are read.
    let delta = forger.sealed(Codec::Delta, vec![chunk], vec![id; 64], vec![1, 1, 1, 0]);
    let pack = forger.pack(vec![plain, delta], &forger.wrap());
    forger.commit_beside(&[pack]);
}

/// It is told before all of them are put one after another.
#[test]
fn what_a_delta_is_made_from_is_bounded() {
    let scene = Scene::of_writer(1, 1_000);
    many_bases(&scene);
    let repository = scene.world.as_admin();
    let reader = scene.machine.host.reader(&repository, &IndexClass::BOTH, 1 << 20).unwrap();
    let segments = reader.index().segments().map(Result::unwrap);
    let delta = segments.map(|(_, row)| row).find(|row| row.codec == Codec::Delta).unwrap();
    let places = reader.index().places(ChunkKind::Data, &delta.ids[0]);
    let place = places.iter().find(|place| place.segment.codec == Codec::Delta).unwrap();
    let refused = reader.check_place(place).unwrap_err().to_string();
    assert!(refused.contains("builds on more than a segment may"), "{refused}");
}

fn bomb(scene: &Scene) {
    let forger = forger(scene);
    let ids = vec![scene.ids()[0].1[0]; 2];
    let length = super::pages::uints(&[u64::from(u32::MAX)]);
    let plain = [&[2][..], &length, &length, &[4, 0x28, 0xb5, 0x2f, 0xfd]].concat();
    let pack = forger.pack(vec![forger.sealed(Codec::Zstd, ids, vec![], plain)], &forger.wrap());
    forger.commit_beside(&[pack]);
}

fn unopened(scene: &Scene) {
    let forger = forger(scene);
    let mut pack = forger.garbage(ChunkKind::Data, &scene.ids()[0].1, forger.origin(), &forger.wrap());
    // A data key that nobody wrapped for anybody.
    pack.rows.iter_mut().for_each(|row| row.key_id = boveda::repo::id::DataKeyId([5; 32]));
    forger.commit_beside(&[pack]);
}

fn no_epoch(scene: &Scene) {
    let forger = forger(scene);
    let packs: Vec<_> = scene
        .ids()
        .iter()
        .map(|(kind, ids)| {
            let mut pack = forger.garbage(*kind, ids, forger.origin(), &forger.wrap());
            pack.rows.iter_mut().for_each(|row| row.epoch = u32::MAX);
            pack
        })
        .collect();
    forger.commit_beside(&packs);
}

fn endless_packs(scene: &Scene) {
    claimed(scene, &forger(scene), |pack, _| pack.length = u64::MAX);
}

fn endless_segments(scene: &Scene) {
    claimed(scene, &forger(scene), |pack, row| (pack.length, row.length) = (1 << 40, 1 << 30));
}

fn endless_lists(scene: &Scene) {
    let forger = forger(scene);
    let body = [&[1], &EVIL.0[..], &[2], &super::pages::uints(&[u64::MAX, u64::MAX])].concat();
    let index = forger.index_of(IndexClass::Data, &body);
    let root = super::pages::Page::empty().store(&forger);
    let catalog = forger.index(IndexClass::Catalog, &[root.pack], &[forger.wrap()]);
    forger.end(forger.record_with(root.id, |_, structure| structure.entries = 0), vec![index, catalog]);
}

fn no_index(scene: &Scene) {
    let forger = forger(scene);
    let root = super::pages::Page::empty().store(&forger);
    let catalog = forger.index(IndexClass::Catalog, &[root.pack], &[forger.wrap()]);
    let nowhere = IndexRef { checkpoint: u64::MAX, class: IndexClass::Data, id: IndexId([9; 32]) };
    forger.end(forger.record_with(root.id, |_, structure| structure.entries = 0), vec![nowhere, catalog]);
}
