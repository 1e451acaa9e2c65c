//! What one core does per second, step by step: cut, hash, compress, seal, read back, pack, heal. `cargo bench`.
//!
//! Compare ratios inside one run, never absolute numbers of different days.

use boveda::crypto::aead::Suite;
use boveda::crypto::hash;
use boveda::crypto::secret::Secret;
use boveda::crypto::sign::SigningKey;
use boveda::repo::armour::{self, ObjectKind, Parity, Scale};
use boveda::repo::chunk_keys::ChunkKeys;
use boveda::repo::chunker::Chunker;
use boveda::repo::config::ChunkerParameters;
use boveda::repo::id::{ChunkId, ChunkKind, DataKeyId, RepositoryId, WriterId};
use boveda::repo::pack::{self, FinishedPack, PackBuilder, PackSealing};
use boveda::repo::segment::{self, Compression, Origin, SealedSegment, Sealing, SegmentBuilder};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const MIB: usize = 1 << 20;

/// What no compressor makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"bench").finalize_xof().fill(&mut bytes);
    bytes
}

/// What compresses about as source text does: words drawn from a small vocabulary.
fn text(length: usize) -> Vec<u8> {
    let words: Vec<String> = (0..700).map(|n: u32| format!("{:x}_", n.wrapping_mul(2_654_435_761))).collect();
    let picks = noise(length / 2);
    let pick = |pair: &[u8]| words[usize::from(u16::from_le_bytes([pair[0], pair[1]])) % words.len()].bytes();
    picks.chunks_exact(2).flat_map(pick).take(length).collect()
}

fn sealing(suite: Suite) -> Sealing {
    Sealing {
        suite,
        repository: RepositoryId([1; 32]),
        epoch: 0,
        key: Secret::new([2; 32]),
        key_id: DataKeyId([3; 32]),
        origin: Origin { writer: WriterId([4; 16]), seq: 1 },
    }
}

fn pack_sealing() -> PackSealing {
    PackSealing {
        suite: Suite::Aes256Gcm,
        repository: RepositoryId([1; 32]),
        epoch: 0,
        index_key: Secret::new([5; 32]),
        signer: WriterId([4; 16]),
        signing_key: SigningKey::from_seed(&Secret::new([6; 32])),
        parity: Parity::default(),
        md5: false,
    }
}

fn chunks(criterion: &mut Criterion) {
    let data = noise(32 * MIB);
    let mut group = criterion.benchmark_group("chunks");
    group.throughput(Throughput::Bytes(data.len() as u64));
    let chunker = Chunker::new(&Secret::new([7; 32]), ChunkerParameters::FILES);
    group.bench_function("cut", |bencher| {
        bencher.iter(|| {
            let mut rest = &data[..];
            while let Some(length) = chunker.next_cut(black_box(rest), true) {
                rest = &rest[length..];
            }
        });
    });
    let keys = ChunkKeys::derive(&Secret::new([8; 32]), &Secret::new([9; 32]));
    for size in [4096, 65_536] {
        group.bench_function(format!("id of {size}"), |bencher| {
            bencher.iter(|| data.chunks(size).for_each(|chunk| _ = black_box(keys.id(ChunkKind::Data, chunk))));
        });
    }
    group.finish();
}

fn seal(builder: &mut SegmentBuilder, data: &[u8], sealing: &Sealing) -> SealedSegment {
    data.chunks(65_536).for_each(|chunk| builder.push(ChunkId([0; 32]), chunk));
    builder.finish(sealing, Compression::default()).expect("the machine works")
}

fn segments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segments");
    group.throughput(Throughput::Bytes(MIB as u64));
    for (what, data) in [("noise", noise(MIB)), ("text", text(MIB))] {
        for suite in [Suite::XChaCha20Poly1305, Suite::Aes256Gcm] {
            let sealing = sealing(suite);
            let mut builder = SegmentBuilder::new(ChunkKind::Data);
            group.bench_function(format!("seal {what}, {suite:?}"), |bencher| {
                bencher.iter(|| black_box(seal(&mut builder, &data, &sealing)));
            });
            let sealed = seal(&mut builder, &data, &sealing);
            group.bench_function(format!("open {what}, {suite:?}"), |bencher| {
                let row = &sealed.descriptor;
                let open = |bytes| segment::open(row, &sealing.repository, &sealing.key, bytes, &[]);
                bencher.iter_batched(|| sealed.bytes.clone(), open, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

/// A full pack's segments, put into a buffer that was used before.
fn filled(segment: &SealedSegment, buffer: Vec<u8>) -> PackBuilder {
    let mut builder = PackBuilder::with_buffer(buffer);
    while !builder.is_full() {
        builder.push(segment.clone(), b"wrap");
    }
    builder
}

fn packs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packs");
    group.sample_size(20).throughput(Throughput::Bytes(pack::TARGET as u64));
    let data = noise(pack::TARGET - 100_000);
    group.bench_function("wrap", |bencher| {
        let setup = || data.clone();
        bencher.iter_batched(setup, |data| armour::wrap(ObjectKind::Pack, Scale::Pack, data), BatchSize::PerIteration);
    });
    let mut damaged = armour::wrap(ObjectKind::Pack, Scale::Pack, data.clone());
    group.bench_function("check", |bencher| bencher.iter(|| armour::check(&damaged)));
    damaged[MIB..MIB + 4096].fill(0);
    group.bench_function("heal", |bencher| bencher.iter(|| armour::heal(&damaged)));
    group.bench_function("sha256", |bencher| bencher.iter(|| hash::sha256(&data)));
    group.bench_function("md5", |bencher| bencher.iter(|| hash::md5(&data)));

    let segment = seal(&mut SegmentBuilder::new(ChunkKind::Data), &noise(MIB), &sealing(Suite::Aes256Gcm));
    let with = pack_sealing();
    group.bench_function("finish", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut buffer = filled(&segment, Vec::new()).finish(&with).into_buffer();
            let mut spent = std::time::Duration::ZERO;
            for _ in 0..rounds {
                let builder = filled(&segment, buffer);
                let start = std::time::Instant::now();
                let pack: FinishedPack = black_box(builder.finish(&with));
                spent += start.elapsed();
                buffer = pack.into_buffer();
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, chunks, segments, packs);
criterion_main!(benches);
