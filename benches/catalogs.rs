//! What a catalog costs: building one, building it again with a change, finding what changed. `cargo bench --bench catalogs`.
//!
//! Compare ratios inside one run, never absolute numbers of different days.

use boveda::crypto::secret::Secret;
use boveda::repo::catalog::{CatalogKeys, Tree, TreeWriter, diff};
use boveda::repo::chunk_keys::ChunkKeys;
use boveda::repo::chunks::{Bytes, ChunkSink, ChunkSource, Error};
use boveda::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, Timestamp};
use boveda::repo::id::{ChunkId, ChunkKind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

/// Folders, and files in each.
const FOLDERS: u64 = 1_000;
const FILES: u64 = 100;

/// Chunks in memory.
struct Chunks {
    keys: ChunkKeys,
    chunks: Mutex<HashMap<(ChunkKind, ChunkId), Bytes>>,
}

impl ChunkSink for Chunks {
    fn put(&self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId, Error> {
        let id = self.keys.id(kind, bytes);
        let mut chunks = self.chunks.lock().expect("nobody panics with it");
        chunks.entry((kind, id)).or_insert_with(|| Bytes::from(bytes.to_vec()));
        Ok(id)
    }
}

impl ChunkSource for Chunks {
    fn get(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, Error> {
        let chunks = self.chunks.lock().expect("nobody panics with it");
        chunks.get(&(kind, *id)).cloned().ok_or(Error::Unknown { kind, id: *id })
    }
}

fn entry(kind: EntryKind, size: u64) -> Entry {
    Entry {
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: b"ana".to_vec(),
        group: b"ana".to_vec(),
        modified: Timestamp { seconds: 1_700_000_000, nanoseconds: 5 },
        changed: Timestamp { seconds: 1_700_000_000, nanoseconds: 5 },
        accessed: None,
        size,
        flags: 0,
        xattrs: Vec::new(),
        links: None,
    }
}

fn file(seed: u64) -> Entry {
    let id = ChunkId(*blake3::hash(&seed.to_le_bytes()).as_bytes());
    entry(EntryKind::File(Content::Extents(vec![Extent::Chunk { id, length: 4000 }])), 4000)
}

fn path(text: &str) -> EntryPath {
    EntryPath::parse(text.as_bytes()).expect("an absolute path")
}

/// The entries of a made-up tree, in catalog order, with `changed` of the files changed.
fn entries(changed: u64) -> Vec<(EntryPath, Entry)> {
    let folder = |number: u64| format!("/folder-{number:05}");
    let mut entries = vec![(path("/"), entry(EntryKind::Directory, 0))];
    entries.extend((0..FOLDERS).map(|number| (path(&folder(number)), entry(EntryKind::Directory, 0))));
    let every = (FOLDERS * FILES).checked_div(changed).unwrap_or(u64::MAX);
    entries.extend((0..FOLDERS * FILES).map(|number| {
        let seed = if (number + 1) % every == 0 { number + (1 << 40) } else { number };
        (path(&format!("{}/file-{:03}.txt", folder(number / FILES), number % FILES)), file(seed))
    }));
    entries
}

fn catalogs(criterion: &mut Criterion) {
    let keys = CatalogKeys::derive(&Secret::new([7; 32]));
    let sink = || {
        let keys = ChunkKeys::derive(&Secret::new([7; 32]), &Secret::new([8; 32]));
        Arc::new(Chunks { keys, chunks: Mutex::default() })
    };
    let write = |sink: &Chunks, entries: &[(EntryPath, Entry)]| {
        let mut writer = TreeWriter::new(sink, keys.clone());
        entries.iter().for_each(|(path, entry)| writer.push_path(path, entry).expect("entries in order"));
        writer.finish().expect("memory takes everything").skeleton
    };
    let before = entries(0);
    let mut group = criterion.benchmark_group("catalogs");
    group.throughput(Throughput::Elements(before.len() as u64)).sample_size(20);
    group.bench_function("build 100,000 entries", |bencher| bencher.iter(|| write(&sink(), black_box(&before))));
    let chunks = sink();
    let old = write(&chunks, &before);
    group.bench_function("walk them", |bencher| {
        bencher.iter(|| black_box(Tree::open(chunks.clone(), old).walk(&EntryPath::default()).count()));
    });
    for changed in [1, 1_000] {
        let new = write(&chunks, &entries(changed));
        group.bench_function(format!("find {changed} changed"), |bencher| {
            bencher.iter(|| {
                let [old, new] = [old, new].map(|root| Tree::open(chunks.clone(), root));
                assert_eq!(diff(&old, &new).count() as u64, changed);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, catalogs);
criterion_main!(benches);
