//! For tests of everything that stands on catalogs: chunks in memory, entries by the line.

use crate::crypto::secret::Secret;
use crate::repo::catalog::writer::TreeWriter;
use crate::repo::catalog::{CatalogKeys, TreeRoot, key};
use crate::repo::chunk_keys::ChunkKeys;
use crate::repo::chunks::{Bytes, ChunkSink, ChunkSource, Error};
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, LinkGroup, Timestamp, XattrValue};
use crate::repo::id::{ChunkId, ChunkKind};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

type Key = (ChunkKind, ChunkId);

/// A map of chunks that can lose some.
pub struct MemoryChunks {
    keys: ChunkKeys,
    chunks: Mutex<HashMap<Key, Vec<u8>>>,
    gets: AtomicUsize,
}

impl Default for MemoryChunks {
    fn default() -> Self {
        let keys = ChunkKeys::derive(&Secret::new([7; 32]), &Secret::new([8; 32]));
        Self { keys, chunks: Mutex::default(), gets: AtomicUsize::new(0) }
    }
}

impl MemoryChunks {
    /// Every chunk of a kind with its length.
    pub fn of(&self, kind: ChunkKind) -> Vec<(ChunkId, usize)> {
        let chunks = self.chunks.lock().unwrap();
        chunks.iter().filter(|((of, _), _)| *of == kind).map(|((_, id), bytes)| (*id, bytes.len())).collect()
    }

    /// Makes a chunk unreadable from now on.
    pub fn lose(&self, kind: ChunkKind, id: &ChunkId) {
        self.chunks.lock().unwrap().remove(&(kind, *id)).expect("it was there");
    }

    /// How often a chunk was asked for.
    pub fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }
}

impl ChunkSink for MemoryChunks {
    fn put(&self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId, Error> {
        let id = self.keys.id(kind, bytes);
        self.chunks.lock().unwrap().entry((kind, id)).or_insert_with(|| bytes.to_vec());
        Ok(id)
    }
}

impl ChunkSource for MemoryChunks {
    fn get(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, Error> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let chunks = self.chunks.lock().unwrap();
        chunks.get(&(kind, *id)).cloned().map(Bytes::from).ok_or(Error::Unknown { kind, id: *id })
    }
}

/// Keys that go with [`MemoryChunks`].
pub fn keys() -> CatalogKeys {
    CatalogKeys::derive(&Secret::new([7; 32]))
}

/// An ordinary entry of `kind`.
pub fn entry(kind: EntryKind) -> Entry {
    let size = match &kind {
        EntryKind::File(Content::Extents(extents)) => extents.iter().map(|extent| extent.length()).sum(),
        _ => 0,
    };
    let (modified, changed) = (Timestamp { seconds: 1_700_000_000, nanoseconds: 5 }, Timestamp::default());
    Entry {
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: b"ana".to_vec(),
        group: b"ana".to_vec(),
        modified,
        changed,
        accessed: None,
        size,
        flags: 0,
        xattrs: Vec::new(),
        links: None,
    }
}

/// The path that `text` spells.
pub fn path(text: &str) -> EntryPath {
    EntryPath::parse(text.as_bytes()).expect("tests spell absolute paths")
}

/// A regular file of one made-up chunk per extent length; holes are negative.
pub fn file(seed: u64, lengths: &[i64]) -> Entry {
    let extent = |(at, length): (usize, &i64)| match u32::try_from(*length) {
        Ok(length) => {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&seed.to_le_bytes());
            id[8] = at as u8;
            Extent::Chunk { id: ChunkId(id), length }
        }
        Err(_) => Extent::Hole { length: length.unsigned_abs() },
    };
    entry(EntryKind::File(Content::Extents(lengths.iter().enumerate().map(extent).collect())))
}

/// Writes a catalog of these entries, which are sorted here.
pub fn write(chunks: &MemoryChunks, entries: &[(EntryPath, Entry)]) -> TreeRoot {
    let mut sorted: Vec<_> = entries.iter().map(|(path, entry)| (key::encode(path), path, entry)).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut writer = TreeWriter::new(chunks, keys());
    for (_, path, entry) in sorted {
        writer.push_path(path, entry).unwrap();
    }
    writer.finish().unwrap()
}

/// A made-up tree of some `directories` × `files` entries, in catalog order.
pub fn forest(directories: u64, files: u64) -> Vec<(EntryPath, Entry)> {
    let mut entries = vec![(path("/"), entry(EntryKind::Directory))];
    entries.extend((0..directories).map(|d| (path(&format!("/directory-{d:05}")), entry(EntryKind::Directory))));
    for d in 0..directories {
        let files =
            (0..files).map(|f| (path(&format!("/directory-{d:05}/file-{f:05}.txt")), file(d * files + f, &[7])));
        entries.extend(files);
    }
    entries
}

fn any_chunk() -> impl Strategy<Value = (ChunkId, u32)> {
    (0..6u8, 1..100_000u32).prop_map(|(id, length)| (ChunkId([id; 32]), length))
}

fn any_kind() -> impl Strategy<Value = EntryKind> {
    let chunk = any_chunk().prop_map(|(id, length)| Extent::Chunk { id, length });
    let extent = prop_oneof![3 => chunk, 1 => (1..u64::MAX >> 8).prop_map(|length| Extent::Hole { length })];
    let tree = (0..4u8, any::<u64>()).prop_map(|(id, chunks)| Content::Tree { root: ChunkId([id; 32]), chunks });
    prop_oneof![
        4 => prop::collection::vec(extent, 0..9).prop_map(|extents| EntryKind::File(Content::Extents(extents))),
        1 => tree.prop_map(EntryKind::File),
        2 => Just(EntryKind::Directory),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(EntryKind::Symlink),
        1 => Just(EntryKind::Fifo),
        1 => Just(EntryKind::Socket),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| EntryKind::CharacterDevice { major, minor }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds })
}

fn any_value() -> impl Strategy<Value = XattrValue> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..30).prop_map(XattrValue::Inline),
        (1025..9000u32, any_chunk())
            .prop_map(|(length, next)| XattrValue::Chunks(vec![(ChunkId([9; 32]), length), next])),
    ]
}

prop_compose! {
    /// Any entry that the format can hold.
    pub fn any_entry()(
        kind in any_kind(),
        (mode, uid, gid, flags) in (0..0o10000u32, any::<u32>(), any::<u32>(), any::<u32>()),
        names in any::<([u8; 2], Vec<u8>)>(),
        (modified, changed, accessed) in (any_time(), any_time(), prop::option::of(any_time())),
        xattrs in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..4), any_value(), 0..3),
        links in prop::option::of(any::<(u64, u64, u32)>()),
        size in any::<u64>(),
    ) -> Entry {
        let ordinary = entry(kind);
        let size = if matches!(ordinary.kind, EntryKind::File(Content::Tree { .. })) { size } else { ordinary.size };
        Entry {
            mode, uid, gid, flags, modified, changed, accessed, size,
            user: names.0.to_vec(),
            group: names.1,
            xattrs: xattrs.into_iter().collect(),
            links: links.map(|(device, inode, links)| LinkGroup { device, inode, links }),
            ..ordinary
        }
    }
}

/// So many extents with ids of their own, every eleventh a hole.
pub fn any_extents(count: u64) -> impl Iterator<Item = Extent> {
    (0..count).map(|at| match at % 11 {
        10 => Extent::Hole { length: 1 + at },
        _ => Extent::Chunk { id: ChunkId(*blake3::hash(&at.to_le_bytes()).as_bytes()), length: 1 + at as u32 % 70 },
    })
}
