//! What asking the chunk index costs: chunks that are there, and chunks that are not. `cargo bench --bench chunk_index`.
//!
//! Ten million chunks in one run: more than fits into any processor's cache, and all of it in the system's. The map is what the
//! index was before.

use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::repo::chunk_index::{ChunkIndex, Covered, Judged, RunFolder, RunKey, Section, Standing};
use boveda::repo::id::{ChunkId, ChunkKind, DataKeyId, IndexId, PackId, RepositoryId, WriterId};
use boveda::repo::names::IndexClass;
use boveda::repo::pack::PackSummary;
use boveda::repo::segment::{Codec, Origin, SegmentDescriptor};
use boveda::repo::session::IndexRef;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

const CHUNKS: u64 = 10_000_000;
const IN_SEGMENT: u64 = 16;
const IN_PACK: u64 = 512;

fn id(seed: u64) -> ChunkId {
    ChunkId(*blake3::hash(&seed.to_le_bytes()).as_bytes())
}

fn pack(number: u64) -> PackSummary {
    let row = |offset: u64| SegmentDescriptor {
        kind: ChunkKind::Data,
        suite: Suite::Aes256Gcm,
        codec: Codec::Zstd,
        epoch: 1,
        offset,
        length: 64,
        hash: [1; 32],
        key_id: DataKeyId([2; 32]),
        origin: Origin { writer: WriterId([3; 16]), seq: 4 },
        ids: (0..IN_SEGMENT).map(|at| id(number * IN_PACK + offset / 64 * IN_SEGMENT + at)).collect(),
        bases: vec![],
    };
    let rows = (0..IN_PACK / IN_SEGMENT).map(|at| row(at * 64)).collect();
    PackSummary { id: PackId(id(number).0), length: 1 << 25, md5: None, rows }
}

fn looking_up(criterion: &mut Criterion) {
    let place = tempfile::tempdir().expect("there is room for a folder");
    let key = RunKey { repository: RepositoryId([1; 32]), secret: Secret::new([1; 32]) };
    let folder = RunFolder::new(place.path().to_owned(), key);
    let mut builder = folder.begin(IndexClass::Data).expect("there is room for a file");
    let index = IndexRef { checkpoint: 1, class: IndexClass::Data, id: IndexId([1; 32]) };
    let covered = Covered { index, signer: [0; 24], key: [0; 32], replaces: vec![] };
    for number in 0..CHUNKS / IN_PACK {
        builder.index(&covered, &[pack(number)], &[]).expect("there is room for a run");
    }
    let run = Arc::new(builder.finish(true).expect("there is room for a run"));
    let packs = vec![Standing::Good; usize::try_from(run.count(Section::Packs)).expect("it is a small number")];
    let (mut index, mut map) = (ChunkIndex::new(), HashMap::new());
    index.attach(run, Judged { packs, indexes: vec![true] });
    let chunks = CHUNKS / IN_PACK * IN_PACK;
    map.extend((0..chunks).map(|seed| ((ChunkKind::Data, id(seed)), seed)));

    let mut group = criterion.benchmark_group("chunk index");
    group.throughput(Throughput::Elements(1));
    for (what, from) in [("a hit", 0), ("a miss", chunks)] {
        let mut seed = 1_u64;
        let asked: Vec<ChunkId> = (0..1 << 20)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                id(from + (seed >> 20) % chunks)
            })
            .collect();
        let mut next = asked.iter().cycle();
        group.bench_function(format!("{what}, run"), |bencher| {
            bencher.iter(|| black_box(index.has_good(ChunkKind::Data, next.next().expect("it never ends"))));
        });
        group.bench_function(format!("{what}, map"), |bencher| {
            bencher.iter(|| black_box(map.contains_key(&(ChunkKind::Data, *next.next().expect("it never ends")))));
        });
        if from == 0 {
            group.bench_function("places, run", |bencher| {
                bencher.iter(|| black_box(index.places(ChunkKind::Data, next.next().expect("it never ends"))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, looking_up);
criterion_main!(benches);
