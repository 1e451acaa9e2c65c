//! Runs against a plain model.

mod harm;
mod scale;

use super::run::Run;
use super::*;
use crate::crypto::aead::Suite;
use crate::crypto::hash;
use crate::crypto::secret::Secret;
use crate::repo::id::{DataKeyId, IndexId, RepositoryId, WriterId};
use crate::repo::names::IndexClass;
use crate::repo::pack::PackSummary;
use crate::repo::segment::{Codec, Origin, SegmentDescriptor, WrappedKey};
use crate::repo::session::IndexRef;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

fn run_key(seed: u8) -> RunKey {
    RunKey { repository: RepositoryId([seed; 32]), secret: Secret::new([seed; 32]) }
}

fn id(seed: u64) -> [u8; 32] {
    hash::blake3(&seed.to_le_bytes())
}

/// A segment of these chunks, and of one session.
fn row(kind: ChunkKind, number: u64, seq: u64, ids: &[u64]) -> SegmentDescriptor {
    let delta = number.is_multiple_of(3);
    SegmentDescriptor {
        kind,
        suite: Suite::Aes256Gcm,
        codec: if delta { Codec::Delta } else { Codec::Zstd },
        epoch: 7,
        offset: number * 64,
        length: 128,
        hash: id(number),
        key_id: DataKeyId(id(seq)),
        origin: Origin { writer: WriterId([seq as u8; 16]), seq },
        ids: ids.iter().map(|seed| ChunkId(id(*seed))).collect(),
        bases: if delta { vec![ChunkId(id(number ^ 1))] } else { vec![] },
    }
}

/// What one index object says.
#[derive(Debug, Clone)]
struct Object {
    covered: Covered,
    packs: Vec<PackSummary>,
    wraps: Vec<WrappedKey>,
}

fn object(number: u64, packs: Vec<PackSummary>) -> Object {
    let index = IndexRef { checkpoint: number, class: IndexClass::Catalog, id: IndexId(id(number)) };
    let replaces = (0..number % 3).map(|other| IndexId(id(other))).collect();
    let seqs: BTreeSet<u64> = packs.iter().flat_map(|pack| &pack.rows).map(|row| row.origin.seq).collect();
    let wraps = seqs.into_iter().map(|seq| WrappedKey { id: DataKeyId(id(seq)), wrap: vec![seq as u8; 90] }).collect();
    Object { covered: Covered { index, signer: [3; 24], key: [number as u8; 32], replaces }, packs, wraps }
}

/// A segment: whether it holds payloads, its session, its chunks.
type Drawn = (bool, u64, Vec<u64>);

/// Some objects over few chunks, so that these have many places; some of which count, and some packs are good.
fn objects() -> impl Strategy<Value = Vec<(Object, bool)>> {
    let segment = (prop::bool::ANY, 0u64..4, proptest::collection::vec(0u64..40, 0..6));
    let pack = proptest::collection::vec(segment, 0..5);
    let one = (proptest::collection::vec(pack, 0..4), prop::bool::weighted(0.8));
    proptest::collection::vec(one, 0..7).prop_map(|all| {
        let mut number = 0;
        let make = |(index, (packs, counts)): (usize, (Vec<Vec<Drawn>>, bool))| {
            let packs = packs.into_iter().map(|segments| {
                let rows = segments.into_iter().map(|(payload, seq, ids)| {
                    number += 1;
                    row(if payload { ChunkKind::Payload } else { ChunkKind::Skeleton }, number, seq, &ids)
                });
                let rows: Vec<_> = rows.collect();
                PackSummary { id: PackId(id(1000 + number)), length: 5000 + number, md5: None, rows }
            });
            let packs = packs.collect();
            (object(index as u64, packs), counts)
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn is_good(pack: &PackId, origin: &Origin) -> bool {
    !pack.0[0].is_multiple_of(5) && origin.seq != 2
}

/// What the rows of a run come to, where the log says that these indexes count.
fn judge(run: &Run, counts: impl Fn(&IndexId) -> bool) -> Judged {
    let indexes: Vec<bool> =
        (0..run.count(Section::Indexes)).map(|number| counts(&run.index(number).unwrap().index.id)).collect();
    let standing = |number: u64| {
        let pack = run.pack(number as u32).unwrap();
        let good = is_good(&pack.id, &run.origin(pack.origin).unwrap());
        match indexes[pack.index as usize] {
            false => Standing::Masked,
            true if good => Standing::Good,
            true => Standing::Known,
        }
    };
    Judged { packs: (0..run.count(Section::Packs)).map(standing).collect(), indexes }
}

/// The index as it was before there were runs.
fn model(objects: &[(Object, bool)]) -> Loose {
    let mut model = Loose::default();
    for (object, _) in objects.iter().filter(|(_, counts)| *counts) {
        for pack in &object.packs {
            for row in &pack.rows {
                let good = is_good(&pack.id, &row.origin);
                model.add(IndexedPack { id: pack.id, length: pack.length, good }, [row.clone()]);
            }
        }
    }
    model
}

fn build(mut builder: RunBuilder, objects: &[(Object, bool)]) -> Arc<Run> {
    for (object, _) in objects {
        builder.index(&object.covered, &object.packs, &object.wraps).unwrap();
    }
    Arc::new(builder.finish(true).unwrap())
}

type Located = (bool, PackId, u64, u64, u32);

fn located(places: Vec<Place>) -> Vec<Located> {
    let mut all: Vec<_> = places
        .into_iter()
        .map(|place| (place.pack.good, place.pack.id, place.pack.length, place.segment.offset, place.position))
        .collect();
    assert!(all.is_sorted_by_key(|place| !place.0), "good ones come first");
    all.sort();
    all
}

/// Insists that index and model say the same of everything.
fn compare(index: &ChunkIndex, model: &Loose) {
    let mut along = Along::default();
    for (_, segment) in index.segments().map(Result::unwrap) {
        for id in &segment.ids {
            assert_eq!(index.has_good_along(segment.kind, id, &mut along), index.has_good(segment.kind, id));
        }
    }
    for (kind, seed) in
        [ChunkKind::Payload, ChunkKind::Skeleton].into_iter().flat_map(|kind| (0..42).map(move |id| (kind, id)))
    {
        let id = ChunkId(id(seed));
        assert_eq!(index.has(kind, &id), model.has(kind, &id));
        let plain = |id: &ChunkId| model.has_good(kind, id, |row| row.codec != Codec::Delta);
        assert_eq!(index.has_good_plain(kind, &id), plain(&id));
        let good = model.has_good(kind, &id, |row| row.bases.iter().all(plain));
        assert_eq!(index.has_good(kind, &id), good);
        assert_eq!(index.has_good_along(kind, &id, &mut along), good);
        let expected = model.places(kind, &id).map(|(pack, spot)| Place {
            pack,
            segment: Arc::clone(model.segment(spot.segment)),
            segment_number: spot.segment,
            position: spot.position,
        });
        let mut expected: Vec<_> = expected.collect();
        expected.sort_by_key(|place| !place.pack.good);
        let places = index.places(kind, &id);
        for place in &places {
            assert!(index.names(&place.pack.id, &place.segment));
            assert_eq!(place.segment.ids[place.position as usize], id);
        }
        assert_eq!(located(places), located(expected));
    }
    for kind in [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton] {
        let mut expected: Vec<_> = model.ids(kind).collect();
        expected.sort();
        assert_eq!(index.chunks(kind).collect::<Result<Vec<_>, _>>().unwrap(), expected);
    }
    let rows = |all: Vec<(IndexedPack, Arc<SegmentDescriptor>)>| {
        let mut rows: Vec<_> =
            all.iter().map(|(pack, row)| (pack.id, pack.good, row.offset, format!("{row:?}"))).collect();
        rows.sort();
        rows
    };
    let found = index.segments().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(rows(found), rows(model.segments().map(|(pack, row)| (pack, Arc::clone(row))).collect()));
    let packs =
        |all: &mut dyn Iterator<Item = IndexedPack>| all.map(|pack| (pack.id, pack.good)).collect::<BTreeSet<_>>();
    assert_eq!(packs(&mut index.packs()), packs(&mut model.packs.iter().copied()));
    assert_eq!(index.damage(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn runs_say_what_a_map_in_memory_says(objects in objects(), cut in 0usize..7, others_first: bool) {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunFolder::new(folder.path().join("runs"), run_key(1));
        let counts: BTreeMap<IndexId, bool> = objects.iter().map(|(object, counts)| (object.covered.index.id, *counts)).collect();
        let model = model(&objects);
        let (early, late) = objects.split_at(cut.min(objects.len()));
        let early_run = build(runs.begin(IndexClass::Catalog).unwrap(), early);
        let late_run = build(RunBuilder::new(None, IndexClass::Catalog, &run_key(1)).unwrap(), late);
        let judged = |run: &Run| judge(run, |id| counts[id]);

        let mut apart = ChunkIndex::new();
        apart.attach(early_run.clone(), judged(&early_run));
        apart.attach(late_run.clone(), judged(&late_run));
        compare(&apart, &model);

        let mut builder = runs.begin(IndexClass::Catalog).unwrap();
        let mut order = [&early_run, &late_run];
        if others_first {
            order.reverse();
        }
        for run in order {
            builder.absorb(run, &judged(run)).unwrap();
        }
        let merged = Arc::new(builder.finish(true).unwrap());
        let indexes = (0..merged.count(Section::Indexes)).map(|number| merged.index(number).unwrap());
        for row in indexes {
            prop_assert!(counts[&row.index.id]);
            let of = objects.iter().find(|(object, _)| object.covered.index == row.index).unwrap();
            prop_assert_eq!((row.signer, row.key), (of.0.covered.signer, of.0.covered.key));
            prop_assert_eq!(merged.replaced(&row).unwrap(), of.0.covered.replaces.clone());
        }
        prop_assert_eq!(merged.count(Section::Indexes) as usize, counts.values().filter(|counts| **counts).count());
        let mut together = ChunkIndex::new();
        together.attach(merged.clone(), judge(&merged, |_| true));
        compare(&together, &model);
        for seq in 0..5 {
            let key = DataKeyId(id(seq));
            let mut wraps = apart.wraps_of(&key);
            wraps.dedup();
            prop_assert_eq!(together.wraps_of(&key), wraps);
        }

        let found = runs.open(IndexClass::Catalog).unwrap();
        prop_assert_eq!((found.runs.len(), found.damaged.len()), (2, 0));
        prop_assert_eq!(runs.open(IndexClass::Data).unwrap().runs.len(), 0);
    }
}
