//! Restores into real directories, read back by the walk that snapshots use and compared entry by entry.

mod attributes;
mod damage;
mod existing;
mod hostile;
mod options;
mod selection;
mod trees;

use super::{Error, Gap, Options, Summary, Top, report::Report, restore, run};
use crate::event::{Event, Sink};
use crate::repo::catalog::testing::{MemoryChunks, write};
use crate::repo::catalog::{ExtentReader, Tree, key, read_value};
use crate::repo::chunks::{ChunkSink, ChunkSource};
use crate::repo::entry::{Content, Entry, EntryKind, EntryName, EntryPath, Extent, LinkGroup, Timestamp, XattrValue};
use crate::repo::id::ChunkKind;
use crate::source::files::content::{Read, SourceFile};
use crate::source::files::{attributes::read_entry, owners::Owners, walk};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Keeps every event.
#[derive(Default)]
pub(super) struct Listener(Mutex<Vec<Event>>);

impl Sink for Listener {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Listener {
    /// "path: during: error" of every problem.
    fn problems(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let text = |event: &Event| match event {
            Event::Problem { path, during, error } => Some(format!("{}: {during}: {error}", path.escape_ascii())),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }
}

/// A snapshot in memory: entries by path, and their chunks.
#[derive(Default, Clone)]
pub(super) struct Snapshot {
    memory: Arc<MemoryChunks>,
    entries: Vec<(EntryPath, Entry)>,
}

pub(super) fn path(text: &str) -> EntryPath {
    EntryPath::parse(text.as_bytes()).unwrap()
}

pub(super) fn name(text: &str) -> EntryName {
    EntryName::new(text.as_bytes()).unwrap()
}

/// An entry of `kind` with ordinary attributes.
pub(super) fn entry(kind: EntryKind) -> Entry {
    let size = match &kind {
        EntryKind::File(Content::Extents(extents)) => extents.iter().map(Extent::length).sum(),
        _ => 0,
    };
    Entry {
        mode: if matches!(kind, EntryKind::Directory) { 0o755 } else { 0o644 },
        kind,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        user: Vec::new(),
        group: Vec::new(),
        modified: Timestamp { seconds: 1_234_567_890, nanoseconds: 987_654_321 },
        changed: Timestamp::default(),
        accessed: None,
        size,
        flags: 0,
        xattrs: Vec::new(),
        links: None,
    }
}

impl Snapshot {
    /// With nothing but its root.
    pub(super) fn new() -> Self {
        let mut snapshot = Self::default();
        snapshot.directory("/");
        snapshot
    }

    /// Adds an entry, to be changed further.
    pub(super) fn add(&mut self, at: &str, kind: EntryKind) -> &mut Entry {
        self.entries.push((path(at), entry(kind)));
        &mut self.entries.last_mut().unwrap().1
    }

    pub(super) fn directory(&mut self, at: &str) -> &mut Entry {
        self.add(at, EntryKind::Directory)
    }

    /// Adds a regular file of one chunk for each of `chunks`.
    pub(super) fn file(&mut self, at: &str, chunks: &[&[u8]]) -> &mut Entry {
        let extents = chunks.iter().map(|bytes| self.chunk(bytes)).collect();
        self.add(at, EntryKind::File(Content::Extents(extents)))
    }

    /// The entries at and below `selection`, in catalog order.
    fn below(&self, selection: &EntryPath) -> Vec<(EntryPath, Entry)> {
        let mut entries: Vec<_> = self.entries.iter().filter(|(path, _)| selection.contains(path)).cloned().collect();
        entries.sort_by_cached_key(|(path, _)| key::encode(path));
        entries
    }

    /// Restores `selection` into `target`.
    pub(super) fn restore(&self, selection: &str, target: &Path, sink: &dyn Sink) -> Summary {
        self.restore_with(selection, target, &Options { threads: 3, ..Options::default() }, sink).unwrap()
    }

    pub(super) fn restore_with(
        &self,
        selection: &str,
        target: &Path,
        options: &Options,
        sink: &dyn Sink,
    ) -> Result<Summary, Error> {
        restore(&self.tree(), self.memory.clone(), &path(selection), target, options, sink)
    }

    /// As [`Self::restore`] of everything, but with entries that no catalog would hold.
    pub(super) fn restore_unchecked(&self, target: &Path, sink: &dyn Sink) -> Summary {
        let top = Top { path: EntryPath::default(), entry: None };
        let entries = self.below(&top.path).into_iter().map(Ok::<_, Gap>);
        run_once(top, entries, self.memory.clone(), target, &Options::default(), Report::new(sink, 0, 0))
    }

    /// Writes the catalog.
    pub(super) fn tree(&self) -> Tree {
        let root = write(&self.memory, &self.entries);
        Tree::open(self.memory.clone(), root.skeleton)
    }

    /// The chunk of `bytes`.
    pub(super) fn chunk(&self, bytes: &[u8]) -> Extent {
        Extent::Chunk { id: self.memory.put(ChunkKind::Data, bytes).unwrap(), length: bytes.len() as u32 }
    }

    /// Restores all into `target`, expects no problem, and compares what is there with what should be.
    pub(super) fn check(&self, target: &Path) -> Summary {
        let used = std::fs::read_dir(target).is_ok_and(|mut held| held.next().is_some());
        let listener = Listener::default();
        let summary = self.restore("/", target, &listener);
        assert_eq!(listener.problems(), [""; 0]);
        let mut expected = self.clone();
        if used {
            // The target keeps its own attributes.
            let own = gather(target).entries.into_iter().find(|(path, _)| path.0.is_empty());
            expected.entries.retain(|(path, _)| !path.0.is_empty());
            expected.entries.extend(own);
        }
        expected.compare("/", target);
        summary
    }

    /// Compares what is in `target` with what is at and below the directory `selection`, attributes and all.
    pub(super) fn compare(&self, selection: &str, target: &Path) {
        let base = path(selection);
        let strip = |(path, entry): (EntryPath, Entry)| (EntryPath(path.0[base.0.len()..].to_vec()), entry);
        let expected =
            Self { memory: self.memory.clone(), entries: self.below(&base).into_iter().map(strip).collect() };
        let found = gather(target);
        let (expected, found) = (expected.plain(), found.plain());
        let names = |entries: &[Plain]| entries.iter().map(|plain| plain.path.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
    }

    /// What can be compared: bytes instead of chunks, numbered groups instead of inode numbers.
    fn plain(&self) -> Vec<Plain> {
        let mut groups = HashMap::new();
        let plain = |(path, mut entry): (EntryPath, Entry)| {
            let (bytes, holes) = match &entry.kind {
                EntryKind::File(content) => self.read(content, entry.size),
                _ => (Vec::new(), Vec::new()),
            };
            if let EntryKind::File(content) = &mut entry.kind {
                *content = Content::EMPTY;
            }
            let xattrs = entry
                .xattrs
                .drain(..)
                .map(|(name, value)| (name, read_value(&*self.memory, &value).unwrap()))
                .collect();
            let next = groups.len();
            let group = entry.links.take().map(|links| *groups.entry(links).or_insert(next));
            (entry.changed, entry.accessed) = (Timestamp::default(), None);
            (entry.user, entry.group) = (Vec::new(), Vec::new());
            let path = path.to_bytes().escape_ascii().to_string();
            Plain { path, entry, hash: blake3::hash(&bytes).to_string(), holes, xattrs, group }
        };
        self.below(&EntryPath::default()).into_iter().map(plain).collect()
    }

    fn content(&self, mut file: SourceFile<'_>) -> Content {
        let (mut extents, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
        loop {
            extents.push(match file.read(&mut buffer).unwrap() {
                Read::Data(length) => self.chunk(&buffer[..length]),
                Read::Hole(length) => Extent::Hole { length },
                Read::End => return Content::Extents(extents),
            });
        }
    }

    fn read(&self, content: &Content, size: u64) -> (Vec<u8>, Vec<(u64, u64)>) {
        let (mut bytes, mut holes) = (Vec::new(), Vec::<(u64, u64)>::new());
        for placed in ExtentReader::open(self.memory.clone(), content, size) {
            let start = bytes.len() as u64;
            match placed.unwrap().extent {
                Extent::Chunk { id, .. } => bytes.extend_from_slice(&self.memory.get(ChunkKind::Data, &id).unwrap()),
                Extent::Hole { length } => {
                    bytes.resize(bytes.len() + length as usize, 0);
                    match holes.last_mut() {
                        Some(last) if last.1 == start => last.1 += length,
                        _ => holes.push((start, start + length)),
                    }
                }
            }
        }
        (bytes, holes)
    }
}

/// An entry as tests compare it.
#[derive(Debug, PartialEq)]
struct Plain {
    path: String,
    entry: Entry,
    hash: String,
    holes: Vec<(u64, u64)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    group: Option<usize>,
}

/// Restores entries that no catalog holds.
fn run_once(
    top: Top,
    entries: impl Iterator<Item = Result<(EntryPath, Entry), Gap>>,
    source: Arc<MemoryChunks>,
    target: &Path,
    options: &Options,
    report: Report<'_>,
) -> Summary {
    run(top, entries, std::iter::empty(), &|_| None, None, source, target, options, report).unwrap()
}

/// What is in a real directory, itself as the root.
pub(super) fn gather(target: &Path) -> Snapshot {
    let root = EntryPath::parse(target.as_os_str().as_encoded_bytes()).unwrap();
    let mut snapshot = Snapshot::default();
    let owners = Owners::new();
    let options = walk::Options { roots: vec![root.clone()], ..walk::Options::default() };
    let mut walk = walk::Walk::new(options).unwrap();
    while let Some(directory) = walk.next_directory() {
        let directory = directory.unwrap();
        assert!(directory.problems.is_empty(), "{:?}", directory.problems);
        for child in &directory.children {
            let at = directory.path().join(child.name.clone());
            if root.contains(&at) {
                let described = read_entry(&directory.handle, child, &owners).unwrap();
                assert!(described.problems.is_empty(), "{:?}", described.problems);
                let mut entry = described.entry;
                let inline = |(name, value)| (name, XattrValue::Inline(value));
                entry.xattrs = described.xattrs.into_iter().map(inline).collect();
                if matches!(entry.kind, EntryKind::File(_)) {
                    let file = SourceFile::open(&directory.handle, child).unwrap();
                    entry.kind = EntryKind::File(snapshot.content(file));
                }
                snapshot.entries.push((EntryPath(at.0[root.0.len()..].to_vec()), entry));
            }
        }
    }
    snapshot
}

/// Whether this test runs as root; says so if not.
pub(super) fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// A link group.
pub(super) fn group(inode: u64, links: u32) -> Option<LinkGroup> {
    Some(LinkGroup { device: 1, inode, links })
}

/// Bytes that do not compress and differ by `seed`.
pub(super) fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// A directory for one test on the build's disk: the system's temporary directory may lack attributes.
pub(super) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
