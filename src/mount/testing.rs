//! For the tests of this room: a repository in memory that can lose chunks and stop answering, and a mount of it.

use super::session::{Options, Session};
use super::snapshots::{Listing, MountedSnapshot, SnapshotList};
use crate::event::{Event, Sink};
use crate::repo::catalog::testing::{MemoryChunks, entry, path, write};
use crate::repo::catalog::{ExtentWriter, store_value, testing};
use crate::repo::chunks::{Bytes, ChunkSink as _, ChunkSource, Error};
use crate::repo::entry::{Entry, EntryKind, EntryPath, Extent, Timestamp};
use crate::repo::id::{ChunkId, ChunkKind, SnapshotId};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Chunks in memory, with a cache in front, as a reader has it.
#[derive(Default)]
pub struct Chunks {
    /// What the repository holds.
    pub stored: Arc<MemoryChunks>,
    cache: Mutex<HashMap<(ChunkKind, ChunkId), Bytes>>,
    hanging: Mutex<bool>,
    woken: Condvar,
}

impl Chunks {
    /// Makes every read wait, or go on.
    pub fn hang(&self, hang: bool) {
        *self.hanging.lock().unwrap() = hang;
        self.woken.notify_all();
    }

    /// Stores a chunk of a file.
    pub fn put(&self, bytes: &[u8]) -> Extent {
        let id = self.stored.put(ChunkKind::Data, bytes).unwrap();
        Extent::Chunk { id, length: bytes.len() as u32 }
    }

    /// A regular file of these extents.
    pub fn file(&self, extents: impl IntoIterator<Item = Extent>) -> Entry {
        let keys = testing::keys();
        let mut writer = ExtentWriter::new(&*self.stored, &keys);
        extents.into_iter().for_each(|extent| writer.push(extent).unwrap());
        let size = writer.length();
        Entry { size, ..entry(EntryKind::File(writer.finish().unwrap())) }
    }

    /// A regular file with this content, in chunks of 1000 bytes.
    pub fn text(&self, content: &[u8]) -> Entry {
        self.file(content.chunks(1000).map(|piece| self.put(piece)))
    }

    /// Adds an extended attribute.
    pub fn xattr(&self, mut entry: Entry, name: &str, value: &[u8]) -> Entry {
        entry.xattrs.push((name.as_bytes().to_vec(), store_value(&*self.stored, value).unwrap()));
        entry.xattrs.sort_by(|a, b| a.0.cmp(&b.0));
        entry
    }
}

impl ChunkSource for Chunks {
    fn get(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, Error> {
        let hanging = self.hanging.lock().unwrap();
        drop(self.woken.wait_while(hanging, |hanging| *hanging).unwrap());
        let bytes = self.stored.get(kind, id)?;
        self.cache.lock().unwrap().insert((kind, *id), bytes.clone());
        Ok(bytes)
    }

    fn get_cached(&self, kind: ChunkKind, id: &ChunkId) -> Option<Bytes> {
        self.cache.lock().unwrap().get(&(kind, *id)).cloned()
    }
}

/// A repository: chunks and snapshots of them.
#[derive(Default)]
pub struct Repository {
    /// The chunks.
    pub chunks: Arc<Chunks>,
    snapshots: Mutex<Vec<MountedSnapshot>>,
}

impl Repository {
    /// Adds a snapshot of these entries, taken `seconds` after 1970 at `host`; parents are added where they are missing.
    pub fn snapshot(&self, seconds: i64, host: &str, entries: Vec<(&str, Entry)>) -> u32 {
        let mut all: Vec<(EntryPath, Entry)> = entries.into_iter().map(|(at, entry)| (path(at), entry)).collect();
        let mut missing: Vec<EntryPath> = Vec::new();
        for (at, _) in &all {
            missing.extend((0..at.0.len()).map(|depth| EntryPath(at.0[..depth].to_vec())));
        }
        missing.sort();
        missing.dedup();
        missing.retain(|parent| !all.iter().any(|(at, _)| at == parent));
        let folder = || Entry { mode: 0o755, ..entry(EntryKind::Directory) };
        all.extend(missing.into_iter().map(|parent| (parent, folder())));
        let root = write(&self.chunks.stored, &all).skeleton;
        let mut snapshots = self.snapshots.lock().unwrap();
        let number = snapshots.len() as u32 + 1;
        let (time, id) = (Timestamp { seconds, nanoseconds: 0 }, SnapshotId([number as u8; 32]));
        let (host, paths, tags) = (host.to_owned(), vec![b"/".to_vec()], vec!["all".to_owned()]);
        snapshots.push(MountedSnapshot { id, number, time, host, paths, tags, root, partial: false });
        number
    }
}

impl SnapshotList for Repository {
    fn list(&self) -> Result<Listing, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Listing { snapshots: self.snapshots.lock().unwrap().clone(), source: self.chunks.clone() })
    }
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Told(Mutex<Vec<Event>>);

impl Sink for Told {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Told {
    /// Entries that could not be read, and why.
    pub fn problems(&self) -> Vec<(String, String)> {
        let problem = |event: &Event| match event {
            Event::Problem { path, error, .. } => Some((String::from_utf8_lossy(path).into_owned(), error.clone())),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(problem).collect()
    }
}

/// A mounted repository.
pub struct Mounted {
    // Fields are dropped in this order: first the mount, then its folder.
    pub session: Session,
    pub told: Arc<Told>,
    pub folder: tempfile::TempDir,
}

impl Mounted {
    /// Mounts, unless this machine has no FUSE; under CI that is a failure.
    pub fn new(repository: &Arc<Repository>, change: impl FnOnce(&mut Options)) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            assert!(std::env::var_os("CI").is_none(), "/dev/fuse is needed for this test");
            println!("skipped: there is no /dev/fuse");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        options.refresh = Duration::from_millis(50);
        change(&mut options);
        let told = Arc::new(Told::default());
        let session = Session::start(&options, repository.clone(), told.clone()).unwrap();
        Some(Self { session, told, folder })
    }

    /// A path below the mountpoint.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
}
