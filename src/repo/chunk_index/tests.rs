//! Runs against a plain model, against damage, and at a size that matters.

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
    for (kind, seed) in
        [ChunkKind::Payload, ChunkKind::Skeleton].into_iter().flat_map(|kind| (0..42).map(move |id| (kind, id)))
    {
        let id = ChunkId(id(seed));
        assert_eq!(index.has(kind, &id), model.has(kind, &id));
        assert_eq!(index.has_good(kind, &id), model.has_good(kind, &id));
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

/// A run of a few blocks in each section that has some, and its objects.
fn some_run(folder: &RunFolder) -> (Arc<Run>, Vec<(Object, bool)>) {
    let object = |number: u64| {
        let rows = |pack: u64| {
            (0..20).map(move |row_number| {
                let number = (number * 10 + pack) * 20 + row_number;
                row(ChunkKind::Skeleton, number, pack, &(number * 8..number * 8 + 8).collect::<Vec<_>>())
            })
        };
        let pack = |pack: u64| PackSummary {
            id: PackId(id(500 + number * 10 + pack)),
            length: 9999,
            md5: None,
            rows: rows(pack).collect(),
        };
        (object(number, (0..10).map(pack).collect()), true)
    };
    let objects: Vec<_> = (0..4).map(object).collect();
    (build(folder.begin(IndexClass::Catalog).unwrap(), &objects), objects)
}

/// Wherever a run is damaged: it is not opened, or what is asked of it is answered rightly or not at all.
#[test]
fn damage_anywhere_is_noticed_and_never_believed() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (run, objects) = some_run(&folder);
    let path = run.path().unwrap().to_owned();
    let sound = fs::read(&path).unwrap();
    let known: Vec<ChunkId> = objects
        .iter()
        .flat_map(|(object, _)| &object.packs)
        .flat_map(|pack| &pack.rows)
        .flat_map(|row| row.ids.clone())
        .collect();
    assert_eq!(known.len(), 4 * 10 * 20 * 8);
    let (mut refused, mut silent) = (0, 0);
    for at in (0..sound.len()).step_by(4099).chain(sound.len() - 4 * CODE_BYTES..sound.len()) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(Run::open(&path, &run_key(1)), Err(Error::Damaged(_))), "byte {at}");
        // As large runs are opened: proven when somebody looks.
        match Run::open_proving(&path, &run_key(1), 0) {
            Err(Error::Damaged(_)) => refused += 1,
            Err(other) => panic!("{other}"),
            Ok(run) => {
                let mut index = ChunkIndex::new();
                let (run, mut hit) = (Arc::new(run), false);
                index.attach(run.clone(), judge(&run, |_| true));
                for id in known.iter().step_by(97) {
                    let places = index.places(ChunkKind::Skeleton, id);
                    assert!(places.len() == 1 || index.damage().is_some(), "byte {at}");
                    assert!(places.iter().all(|place| place.segment.ids[place.position as usize] == *id));
                    hit |= places.is_empty();
                }
                let read: Result<Vec<_>, _> = index.segments().collect();
                silent += usize::from(!hit && read.is_ok());
                if hit {
                    assert!(!path.exists(), "what is damaged goes");
                }
            }
        }
    }
    assert!(refused > 20 && silent > 0, "{refused} {silent}");
    for length in [0, 1, 100, BLOCK_BYTES, sound.len() / 2, sound.len() - BLOCK_BYTES, sound.len() - 1] {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(Run::open_proving(&path, &run_key(1), 0).is_err(), "{length} bytes");
    }
    let long = [&sound[..], &[0; 64]].concat();
    fs::write(&path, long).unwrap();
    assert!(Run::open_proving(&path, &run_key(1), 0).is_err());
    fs::write(&path, &sound).unwrap();
    assert!(Run::open(&path, &run_key(1)).is_ok());
    let other = RunKey { repository: RepositoryId([2; 32]), ..run_key(1) };
    assert!(Run::open(&path, &other).is_err(), "another repository's");
    let other = RunKey { secret: Secret::new([2; 32]), ..run_key(1) };
    assert!(Run::open(&path, &other).is_err(), "made by somebody without the keys");
}

const CODE_BYTES: usize = super::format::CODE;
const BLOCK_BYTES: usize = super::format::BLOCK;

/// A block of one run in the place of the same block of another, with its code.
#[test]
fn parts_of_another_run_are_not_believed() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (one, _) = some_run(&folder);
    let (two, _) = some_run(&folder);
    let read = |run: &Run| fs::read(run.path().unwrap()).unwrap();
    let (mut mixed, other) = (read(&one), read(&two));
    let codes = mixed.len()
        - super::format::FOOTER
        - (mixed.len() - super::format::FOOTER) / (BLOCK_BYTES + CODE_BYTES) * CODE_BYTES;
    for range in [0..BLOCK_BYTES, codes..codes + CODE_BYTES] {
        mixed[range.clone()].copy_from_slice(&other[range]);
    }
    fs::write(one.path().unwrap(), mixed).unwrap();
    assert!(Run::open_proving(one.path().unwrap(), &run_key(1), 0).is_err());
}

#[test]
fn what_is_unfinished_or_unusable_goes_and_the_folder_is_private() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().join("deep/runs"), run_key(1));
    assert_eq!(folder.open(IndexClass::Catalog).unwrap().runs.len(), 0);
    let (run, objects) = some_run(&folder);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.path()), mode(run.path().unwrap())), (0o700, 0o600));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();

    let mut dropped = folder.begin(IndexClass::Catalog).unwrap();
    assert_eq!(mode(folder.path()), 0o700);
    dropped.index(&objects[0].0.covered, &objects[0].0.packs, &[]).unwrap();
    let names =
        || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
    assert_eq!(names().len(), 2);
    drop(dropped);
    assert_eq!(names().len(), 1);

    // Killed before the rename: ignored, and removed once it is old.
    let left = folder.path().join("chunks.new-left");
    fs::copy(run.path().unwrap(), &left).unwrap();
    drop(folder.begin(IndexClass::Catalog).unwrap());
    assert!(left.exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86400);
    fs::File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    assert_eq!(folder.open(IndexClass::Catalog).unwrap().runs.len(), 1);
    drop(folder.begin(IndexClass::Catalog).unwrap());
    assert!(!left.exists());

    let garbage = folder.path().join("chunks-c-0123");
    fs::write(&garbage, b"no run").unwrap();
    let foreign = RunFolder::new(folder.path().to_owned(), run_key(9));
    let found = folder.open(IndexClass::Catalog).unwrap();
    assert_eq!((found.runs.len(), found.damaged.len(), garbage.exists()), (1, 1, false));
    assert_eq!(foreign.open(IndexClass::Catalog).unwrap().runs.len(), 0);
    assert!(names().is_empty(), "for whoever holds other keys it was of no use");
    // Whoever had it open goes on.
    let mut index = ChunkIndex::new();
    index.attach(run.clone(), judge(&run, |_| true));
    compare_some(&index, &objects);
}

fn compare_some(index: &ChunkIndex, objects: &[(Object, bool)]) {
    for row in objects.iter().flat_map(|(object, _)| &object.packs).flat_map(|pack| &pack.rows) {
        assert!(row.ids.iter().all(|id| index.has(row.kind, id)));
    }
    assert_eq!(index.damage(), None);
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (_, objects) = some_run(&folder);
    let mut builder = folder.begin(IndexClass::Catalog).unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    builder.output.target = super::output::Target::File(full);
    let taken = objects.iter().try_for_each(|(object, _)| builder.index(&object.covered, &object.packs, &object.wraps));
    let failed = taken.and_then(|()| builder.finish(true).map(drop));
    assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

/// Some put runs in the place of others while others open them: everybody sees all chunks at any time.
#[test]
fn runs_may_be_replaced_while_they_are_opened() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (_, objects) = some_run(&folder);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let found = folder.open(IndexClass::Catalog).unwrap();
                    assert!(found.damaged.is_empty());
                    let mut index = ChunkIndex::new();
                    let mut builder = folder.begin(IndexClass::Catalog).unwrap();
                    if found.runs.is_empty() {
                        // A listing may miss both what came and what went: then indexes are fetched once more.
                        continue;
                    }
                    let mut covered = BTreeSet::new();
                    for run in &found.runs {
                        let judged = judge(run, |index| !covered.contains(index));
                        builder.absorb(run, &judged).unwrap();
                        index.attach(run.clone(), judged);
                        covered.extend(objects.iter().map(|(object, _)| object.covered.index.id));
                    }
                    compare_some(&index, &objects);
                    builder.finish(true).unwrap();
                    found.runs.iter().for_each(|run| folder.remove(run).unwrap());
                }
            });
        }
    });
    assert!(!folder.open(IndexClass::Catalog).unwrap().runs.is_empty());
}

/// Anonymous memory of this process, in bytes.
fn private_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

/// One million chunks, or with `BOVEDA_TEST_FULL` a hundred million: what making, opening and asking costs.
#[test]
fn a_large_index_is_opened_at_once_and_in_little_memory() {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let (objects, packs, segments, chunks) = if full { (1250, 10, 500, 16) } else { (50, 5, 256, 16) };
    let place = tempfile::tempdir_in(
        std::env::var_os("BOVEDA_TEST_FULL").filter(|path| path.len() > 1).map_or_else(std::env::temp_dir, Into::into),
    )
    .unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let start = (Instant::now(), private_memory());
    let mut builder = folder.begin(IndexClass::Data).unwrap();
    let (mut number, mut most) = (0, 0);
    for index in 0..objects {
        let pack = |pack: u64, number: &mut u64| {
            let rows = (0..segments).map(|_| {
                *number += chunks;
                row(ChunkKind::Data, *number, index, &(*number..*number + chunks).collect::<Vec<_>>())
            });
            PackSummary { id: PackId(id(index << 32 | pack)), length: 33 << 20, md5: None, rows: rows.collect() }
        };
        let packs: Vec<_> = (0..packs).map(|at| pack(at, &mut number)).collect();
        let object = object(index, packs);
        builder.index(&object.covered, &object.packs, &object.wraps).unwrap();
        most = most.max(private_memory().saturating_sub(start.1));
    }
    let total = builder.chunks();
    let bytes = builder.finish(true).unwrap().bytes();
    most = most.max(private_memory().saturating_sub(start.1));
    let made = start.0.elapsed();

    let start = (Instant::now(), private_memory());
    let found = folder.open(IndexClass::Data).unwrap();
    let mut index = ChunkIndex::new();
    for run in found.runs {
        let judged = judge(&run, |_| true);
        index.attach(run, judged);
    }
    let (opened, held) = (start.0.elapsed(), private_memory().saturating_sub(start.1));

    let asked = 200_000;
    let (mut seed, mut time) = (1_u64, [0.0; 2]);
    for (hit, time) in [true, false].into_iter().zip(&mut time) {
        let ids: Vec<_> = (0..asked)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ChunkId(id(chunks + (seed >> 20) % total + if hit { 0 } else { 2 * total }))
            })
            .collect();
        let start = Instant::now();
        let found = ids.iter().filter(|id| index.has(ChunkKind::Data, id)).count();
        *time = start.elapsed().as_secs_f64() / f64::from(asked) * 1e6;
        assert_eq!(found, if hit { asked as usize } else { 0 });
    }
    let after = private_memory().saturating_sub(start.1);
    println!(
        "{total} chunks: made in {made:.1?} with {} MiB of private memory, {:.1} bytes each; opened in {opened:.1?} with {} MiB; \
         {:.2} µs a hit, {:.2} µs a miss, then {} MiB",
        most >> 20,
        bytes as f64 / total as f64,
        held >> 20,
        time[0],
        time[1],
        after >> 20,
    );
    assert!(bytes < total * 51);
    // Other tests of this process have their share in that, unless this one runs alone.
    let allowed = if full { 50 << 20 } else { 300 << 20 };
    assert!(held < allowed && (most < allowed || !full) && opened.as_secs_f64() < 1.0, "{held} bytes, {opened:?}");
}
