//! The way in: new chunks go into segments, segments into packs, packs into the store; known ones go nowhere.
//!
//! Every worker has a [`Lane`] with a segment of its own, so that chunks that were read together lie together. Other
//! threads make the packs. Memory is bounded: a segment per lane, a short queue, and as many packs as
//! may be on the way to the store, and one.
//!
//! Invariant: when [`PackWriter::finish`] returns packs, every chunk ever put into a lane that was flushed is in the
//! store, or was there at a good location before.

mod finishing;
pub mod near;
pub mod packing;

use super::chunk_index::ChunkIndex;
use super::chunk_keys::ChunkKeys;
use super::chunks::{ChunkSink, Error};
use super::effort::{Effort, Governor, Stopwatch};
use super::id::{ChunkId, ChunkKind};
use super::pack::{PackSealing, PackSize, PackSummary};
use super::segment::{Codec, Compression, SealedSegment, Sealing, SegmentBuilder, TARGET};
use crate::store::{self, FAR, Store};
use crossbeam_channel::{Sender, bounded};
use packing::QUEUE;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Shards of the set of chunks that this session added, so that workers rarely wait for each other.
const SHARDS: usize = 64;

/// What a pack writer needs to know.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// How hard segments are compressed.
    pub effort: Effort,
    /// How large packs are.
    pub pack_size: PackSize,
    /// Seals data and payload segments.
    pub data_sealing: Sealing,
    /// Seals skeleton segments.
    pub skeleton_sealing: Sealing,
    /// The session's data key, wrapped for readers.
    pub wrap: Vec<u8>,
    /// Seals and signs the packs' tables.
    pub pack_sealing: PackSealing,
    /// Count only: nothing is stored.
    pub dry_run: bool,
}

/// Bytes and chunks that a session added so far.
#[derive(Debug, Default)]
pub struct Added {
    /// Data chunks that the repository did not have.
    pub data_chunks: AtomicU64,
    /// Catalog chunks that the repository did not have.
    pub catalog_chunks: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Bytes of packs put into the store.
    pub stored: AtomicU64,
    /// Segments that became smaller.
    pub compressed: AtomicU64,
    /// The sum of the levels that they were compressed at.
    pub levels: AtomicU64,
    /// Segments stored as deltas.
    pub deltas: AtomicU64,
}

impl Added {
    fn figures(&self) -> Figures {
        let figure = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Figures {
            data_chunks: figure(&self.data_chunks),
            catalog_chunks: figure(&self.catalog_chunks),
            bytes: figure(&self.bytes),
            stored: figure(&self.stored),
            compressed: figure(&self.compressed),
            levels: figure(&self.levels),
            deltas: figure(&self.deltas),
        }
    }
}

/// What all lanes share.
#[derive(Debug)]
struct Shared {
    keys: ChunkKeys,
    index: Arc<ChunkIndex>,
    fresh: [Mutex<HashSet<(ChunkKind, ChunkId)>>; SHARDS],
    options: WriterOptions,
    governor: Governor,
    added: Added,
    given_up: AtomicBool,
    /// What a request is worth: of less that is new in a file, its earlier version is not fetched.
    worth: usize,
}

impl Shared {
    /// Whether the caller is the first of this session to bring a chunk that the repository lacks.
    fn is_fresh(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        if self.index.has_good(kind, id) {
            return false;
        }
        let shard = &self.fresh[usize::from(id.0[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, *id))
    }
}

/// Takes chunks from lanes, leaves packs in a store.
#[derive(Debug)]
pub struct PackWriter {
    shared: Arc<Shared>,
    segments: Sender<SealedSegment>,
    thread: JoinHandle<Result<Vec<PackSummary>, store::Error>>,
}

impl PackWriter {
    /// Starts the threads that make packs.
    ///
    /// # Panics
    /// When the system refuses a thread.
    pub fn start(store: Arc<dyn Store>, index: Arc<ChunkIndex>, keys: ChunkKeys, options: WriterOptions) -> Self {
        let fresh = std::array::from_fn(|_| Mutex::default());
        let (segments, queue) = bounded(QUEUE);
        let (governor, added, given_up) = (Governor::new(options.effort), Added::default(), AtomicBool::new(false));
        let worth = if store.in_flight() < FAR { 0 } else { near::WORTH };
        let shared = Arc::new(Shared { keys, index, fresh, options, governor, added, given_up, worth });
        let thread = packing::start(&store, Arc::clone(&shared), queue);
        Self { shared, segments, thread }
    }

    /// A lane of one's own.
    pub fn lane(&self) -> Lane {
        let (out, builders) =
            (Out { segments: self.segments.clone(), watch: Stopwatch::default() }, Default::default());
        Lane { shared: Arc::clone(&self.shared), out, builders, near: None }
    }

    /// What was added so far.
    pub fn added(&self) -> &Added {
        &self.shared.added
    }

    /// What was put so far will not be needed: a pack that is not full is not stored any more.
    pub fn give_up(&self) {
        self.shared.given_up.store(true, Ordering::Relaxed);
    }

    /// Waits until every segment is in a pack and every pack is durable.
    ///
    /// # Errors
    /// The first failure of the store: then nothing of this session may be committed.
    ///
    /// # Panics
    /// When a pack thread panicked.
    pub fn finish(self) -> Result<(Vec<PackSummary>, Figures), store::Error> {
        drop(self.segments);
        let written = self.thread.join().expect("the pack thread does not panic")?;
        Ok((written, self.shared.added.figures()))
    }
}

/// [`Added`], once nothing moves any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Data chunks that the repository did not have.
    pub data_chunks: u64,
    /// Catalog chunks that the repository did not have.
    pub catalog_chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of packs put into the store.
    pub stored: u64,
    /// Segments that became smaller.
    pub compressed: u64,
    /// The sum of the levels that they were compressed at.
    pub levels: u64,
    /// Segments stored as deltas.
    pub deltas: u64,
}

impl Figures {
    /// The level that was used on average; 0 when nothing became smaller.
    pub fn level(&self) -> f64 {
        if self.compressed == 0 { 0.0 } else { self.levels as f64 / self.compressed as f64 }
    }
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.data_chunks += other.data_chunks;
        self.catalog_chunks += other.catalog_chunks;
        self.bytes += other.bytes;
        self.stored += other.stored;
        self.compressed += other.compressed;
        self.levels += other.levels;
        self.deltas += other.deltas;
    }
}

/// One worker's way in. Dropping it without [`Lane::flush`] loses its last segment: the session must not be committed then.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    out: Out,
    builders: [Option<SegmentBuilder>; 3],
    /// Collects what is going to be a delta; empty between two stretches.
    near: Option<SegmentBuilder>,
}

/// A lane's way to the packs.
#[derive(Debug)]
struct Out {
    segments: Sender<SealedSegment>,
    watch: Stopwatch,
}

impl Lane {
    /// Makes sure that the repository will hold `bytes`; returns their id.
    ///
    /// # Errors
    /// [`Error::Stopped`] once the store has failed.
    pub fn put(&mut self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId, Error> {
        let id = self.id(kind, bytes);
        self.put_as(kind, id, bytes)?;
        Ok(id)
    }

    /// The id that [`Self::put`] gives `bytes`.
    pub fn id(&self, kind: ChunkKind, bytes: &[u8]) -> ChunkId {
        self.shared.keys.id(kind, bytes)
    }

    /// As [`Self::put`], where the caller just took the id of the bytes.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_as(&mut self, kind: ChunkKind, id: ChunkId, bytes: &[u8]) -> Result<(), Error> {
        if self.shared.claim(kind, &id, bytes.len()) { self.push(kind, id, bytes) } else { Ok(()) }
    }

    /// Adds a new chunk to what is collected.
    fn push(&mut self, kind: ChunkKind, id: ChunkId, bytes: &[u8]) -> Result<(), Error> {
        let builder = self.builders[kind as usize - 1].get_or_insert_with(|| SegmentBuilder::new(kind));
        if builder.would_overflow(bytes.len()) {
            self.out.send(&self.shared, builder)?;
        }
        builder.push(id, bytes);
        if builder.is_full() {
            self.out.send(&self.shared, builder)?;
        }
        Ok(())
    }

    /// Sends off what is left.
    ///
    /// # Errors
    /// [`Error::Stopped`] once the store has failed.
    pub fn flush(&mut self) -> Result<(), Error> {
        let Self { shared, out, builders, .. } = self;
        builders.iter_mut().flatten().try_for_each(|builder| out.send(shared, builder))
    }
}

impl Out {
    /// Queues a sealed segment.
    fn give(&self, sealed: SealedSegment) -> Result<(), Error> {
        self.segments.send(sealed).map_err(|_| Error::Stopped)
    }

    /// Seals a builder's segment and queues it.
    fn send(&mut self, shared: &Shared, builder: &mut SegmentBuilder) -> Result<(), Error> {
        if builder.is_empty() {
            return Ok(());
        }
        let options = &shared.options;
        let sealing = match builder.kind() {
            ChunkKind::Skeleton => &options.skeleton_sealing,
            ChunkKind::Data | ChunkKind::Payload => &options.data_sealing,
        };
        // How long a small one took, left at the end, tells nothing.
        let tells = shared.governor.listens() && builder.len() >= TARGET / 2;
        let compression = shared.governor.compression();
        let sealed = builder.finish(sealing, compression).map_err(|error| Error::Store(Arc::new(error)))?;
        if let (Codec::Zstd, Compression::Level(level)) = (sealed.descriptor.codec, compression) {
            shared.added.compressed.fetch_add(1, Ordering::Relaxed);
            shared.added.levels.fetch_add(u64::try_from(level).unwrap_or(0), Ordering::Relaxed);
        }
        self.give(sealed)?;
        // The wait for the pack thread is over: it counts.
        if tells && let Some(spent) = self.watch.lap() {
            shared.governor.note(spent);
        }
        Ok(())
    }
}

/// A lane that several may use, for the catalog's pages. It may lead into one pack writer after another; while it leads
/// into none, it takes nothing.
#[derive(Debug, Default)]
pub struct SharedLane(Mutex<Option<Lane>>);

impl SharedLane {
    /// One that leads into the pack writer that the lane is of.
    pub const fn new(lane: Lane) -> Self {
        Self(Mutex::new(Some(lane)))
    }

    /// Leads into the pack writer that the lane is of, from now on.
    pub fn open(&self, lane: Lane) {
        *self.lock() = Some(lane);
    }

    /// As [`Lane::flush`].
    ///
    /// # Errors
    /// [`Error::Stopped`] once the store has failed.
    pub fn flush(&self) -> Result<(), Error> {
        self.lock().as_mut().map_or(Ok(()), Lane::flush)
    }

    /// Leads nowhere any more, so that the pack writer can finish. What was not flushed is lost.
    pub fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChunkSink for SharedLane {
    fn put(&self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId, Error> {
        self.lock().as_mut().ok_or(Error::Stopped)?.put(kind, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a snapshot in several sessions.
    #[test]
    fn what_each_session_adds_adds_up() {
        let one =
            Figures { data_chunks: 1, catalog_chunks: 2, bytes: 3, stored: 4, compressed: 5, levels: 6, deltas: 7 };
        let mut all = Figures::default();
        (0..3).for_each(|_| all += one);
        let three =
            Figures { data_chunks: 3, catalog_chunks: 6, bytes: 9, stored: 12, compressed: 15, levels: 18, deltas: 21 };
        assert_eq!(all, three);
    }
}
