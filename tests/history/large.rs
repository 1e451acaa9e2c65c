//! A repository of very many chunks: the first sync streams, after it opening costs hardly anything, and deciding what can go little.

use crate::hostile::forger::Forger;
use crate::world::World;
use crate::world::hooked::Hooked;
use boveda::crypto::aead::Suite;
use boveda::crypto::hash;
use boveda::event::Silent;
use boveda::ops::prune::{Options, prune};
use boveda::repo::id::{ChunkId, ChunkKind, PackId, WriterId};
use boveda::repo::keys::data_key::Wrap;
use boveda::repo::keys::role::Role;
use boveda::repo::names::{IndexClass, Name};
use boveda::repo::pack::PackSummary;
use boveda::repo::repository::Indexes;
use boveda::repo::segment::{Codec, SegmentDescriptor};
use boveda::repo::session::IndexRef;
use boveda::store::Listed;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Chunks of a segment, as many as a megabyte has of the usual size.
const CHUNKS: u64 = 16;
/// Segments of a pack.
const SEGMENTS: u64 = 32;
const SEGMENT: u32 = 1 << 20;
/// Packs of an index: as many as writers and prunes put into one.
const PACKS: u64 = 500;

/// A number that everything synthetic is named by.
fn id(number: u64) -> [u8; 32] {
    hash::blake3(&number.to_le_bytes())
}

/// Anonymous memory of this process, in bytes.
fn private_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The most private memory while `work` runs, beyond what there was before.
fn watched<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let (before, over) = (private_memory(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(private_memory());
                std::thread::sleep(Duration::from_millis(2));
            }
            most.max(private_memory()).saturating_sub(before)
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, watch.join().unwrap())
    })
}

/// A pack that nobody ever made, by its number.
fn pack(number: u64, forger: &Forger<'_>, wrap: &Wrap) -> PackSummary {
    let segment = |at: u64| SegmentDescriptor {
        kind: ChunkKind::Data,
        suite: Suite::Aes256Gcm,
        codec: Codec::Zstd,
        epoch: 1,
        offset: 4096 + at * u64::from(SEGMENT),
        length: SEGMENT,
        hash: id(u64::MAX - number * SEGMENTS - at),
        key_id: wrap.id,
        origin: forger.origin(),
        ids: (0..CHUNKS).map(|chunk| ChunkId(id((number * SEGMENTS + at) * CHUNKS + chunk))).collect(),
        bases: vec![],
    };
    let rows = (0..SEGMENTS).map(segment).collect();
    PackSummary { id: PackId(id(u64::MAX / 2 + number)), length: 36 << 20, md5: None, rows }
}

/// So many indexes of packs that nobody ever made.
fn publish(indexes: u64, forger: &Forger<'_>) -> Vec<IndexRef> {
    let wrap = forger.wrap();
    let index = |index: u64| {
        let packs: Vec<_> = (index * PACKS..(index + 1) * PACKS).map(|number| pack(number, forger, &wrap)).collect();
        forger.index(IndexClass::Data, &packs, std::slice::from_ref(&wrap))
    };
    (0..indexes).map(index).collect()
}

/// A million chunks, or with `BOVEDA_TEST_FULL` a hundred million: six terabytes of the usual files.
#[test]
#[allow(clippy::print_stdout, reason = "figures are worth seeing")]
fn a_large_repository_is_opened_at_once_and_in_little_memory() {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let indexes = if full { 392 } else { 4 };
    let world = World::new();
    let writer = world.add(Role::Writer, "writer");
    let forger = Forger::new(&world, &writer.key, WriterId([7; 16]));
    let written = publish(indexes, &forger);
    forger.end(forger.record(ChunkId([1; 32]), forger.session), written);

    let runs = world.path("runs");
    let open = || {
        let start = Instant::now();
        let opened = watched(|| {
            let mut repository = world.open(&writer.key).unwrap();
            repository.keep_runs_in(runs.clone());
            Indexes::load(&repository, &[IndexClass::Data]).unwrap()
        });
        (opened, start.elapsed())
    };
    let ((synced, most), first) = open();
    assert!(synced.problems.is_empty(), "{:?}", synced.problems);
    drop(synced);
    let ((opened, held), again) = open();
    let total = indexes * PACKS * SEGMENTS * CHUNKS;
    for number in [0, total / 2, total - 1] {
        assert!(opened.chunks.has_good(ChunkKind::Data, &ChunkId(id(number))), "chunk {number}");
    }
    assert!(!opened.chunks.has(ChunkKind::Data, &ChunkId(id(total))));
    println!(
        "{total} chunks: first sync {first:.1?}, at most {} MiB of private memory; then opened in {again:.1?} with {} MiB",
        most >> 20,
        held >> 20
    );
    // The other tests of this process take memory too, unless this one runs alone.
    if full {
        assert!(most < 300 << 20 && held < 50 << 20, "{most} and {held} bytes");
    }
    assert!(again < Duration::from_secs(if full { 1 } else { 5 }), "{again:?}");
}

/// A million chunks, or with `BOVEDA_TEST_FULL` ten million: hardly more than two bytes are remembered of each.
#[test]
#[allow(clippy::print_stdout, reason = "figures are worth seeing")]
fn deciding_what_can_go_takes_little_memory() {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let indexes = if full { 40 } else { 4 };
    let world = World::new();
    let (machine, source) = (world.machine("host"), world.path("source"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "something that is needed").unwrap();
    machine.snapshot(&world, &world.admin, &source);
    let root = world.as_admin().snapshots()[0].structure.root;
    let writer = world.add(Role::Writer, "writer");
    let forger = Forger::new(&world, &writer.key, WriterId([7; 16]));
    let written = publish(indexes, &forger);
    forger.end(forger.record(root, forger.session), written);
    let made_up = move |prefix: &str, mut all: Vec<Listed>| {
        let packs = (0..if prefix == "packs" { indexes * PACKS } else { 0 })
            .map(|number| Name::Pack(PackId(id(u64::MAX / 2 + number))).object())
            .map(|name| Listed { name, length: 36 << 20, mark: None });
        all.extend(packs);
        all
    };
    let store = Hooked::listing(world.store.clone(), made_up);
    let mut repository = machine.host.open(store, &world.admin).unwrap();
    // What the host keeps of indexes is synced before, as by any command.
    drop(Indexes::load(&repository, &IndexClass::BOTH).unwrap());
    let start = Instant::now();
    let options = Options { dry_run: true, now: 1_800_000_000, ..Options::default() };
    let (summary, most) = watched(|| prune(&mut repository, &machine.host, &options, &Silent).unwrap());
    let chunks = indexes * PACKS * SEGMENTS * CHUNKS;
    println!("{chunks} chunks: decided in {:.1?}, at most {} MiB of private memory", start.elapsed(), most >> 20);
    assert_eq!(summary.condemned.packs, indexes * PACKS);
    if full {
        assert!(most < 300 << 20, "{most} bytes");
    }
}
