//! Decoded segments in memory, by number, up to a budget of bytes; whoever asks for one under way waits for it.
//!
//! Invariant: a chunk leaves only after its id was checked, once for as long as its segment is kept: the buffer never
//! changes, and a page of a catalog or a piece of a file is asked for many times.

use crate::repo::chunk_keys::ChunkKeys;
use crate::repo::chunks::Bytes;
use crate::repo::segment::{DecodedSegment, Error, SegmentDescriptor};
use lru::LruCache;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A segment that somebody decodes, or that is decoded. Empty after a failure.
type Cell = Arc<OnceLock<Option<Arc<OpenSegment>>>>;

/// A decoded segment, and which of its chunks were checked.
pub(super) struct OpenSegment {
    decoded: DecodedSegment,
    checked: Box<[AtomicBool]>,
}

impl OpenSegment {
    fn new(decoded: DecodedSegment) -> Self {
        let checked = (0..decoded.len()).map(|_| AtomicBool::new(false)).collect();
        Self { decoded, checked }
    }

    /// The chunk at `index`. `row` describes this segment.
    ///
    /// # Errors
    /// When its bytes have another id.
    pub fn chunk(&self, row: &SegmentDescriptor, index: usize, keys: &ChunkKeys) -> Result<Bytes, Error> {
        // Nothing is published by the flag: whoever sees it unset only checks once more.
        if self.checked[index].load(Ordering::Relaxed) {
            return Ok(self.decoded.chunk(index));
        }
        let chunk = self.decoded.checked(row, index, keys)?;
        self.checked[index].store(true, Ordering::Relaxed);
        Ok(chunk)
    }

    fn weight(&self) -> usize {
        self.decoded.weight() + self.checked.len()
    }
}

/// The cache.
pub(super) struct SegmentCache {
    budget: usize,
    state: Mutex<State>,
}

struct State {
    cells: LruCache<u32, Cell>,
    weight: usize,
}

impl SegmentCache {
    /// A cache of about `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::new(State { cells: LruCache::unbounded(), weight: 0 }) }
    }

    /// The segment `number`, decoded by `load` unless it is here or under way. Failures are not kept.
    pub fn get<E>(&self, number: u32, load: impl FnOnce() -> Result<DecodedSegment, E>) -> Result<Arc<OpenSegment>, E> {
        let mut load = Some(load);
        loop {
            let cell = self.cell(number);
            let mut failure = None;
            let result = cell.get_or_init(|| match load.take().map(|load| load()) {
                Some(Ok(decoded)) => Some(Arc::new(OpenSegment::new(decoded))),
                Some(Err(error)) => {
                    failure = Some(error);
                    None
                }
                None => None,
            });
            if let Some(decoded) = result {
                if load.is_none() {
                    self.weigh(decoded.weight());
                }
                return Ok(Arc::clone(decoded));
            }
            self.forget(number, &cell);
            if let Some(error) = failure {
                return Err(error);
            }
            // Somebody else's attempt failed: try for ourselves, so that every caller learns the reason.
        }
    }

    /// The segment `number` if it is decoded.
    pub fn peek(&self, number: u32) -> Option<Arc<OpenSegment>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cells.get(&number)?.get()?.clone()
    }

    /// Drops everything.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cells.clear();
        state.weight = 0;
    }

    fn cell(&self, number: u32) -> Cell {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(state.cells.get_or_insert(number, Cell::default))
    }

    fn forget(&self, number: u32, cell: &Cell) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.cells.peek(&number).is_some_and(|here| Arc::ptr_eq(here, cell)) {
            state.cells.pop(&number);
        }
    }

    /// Counts a new segment and drops the ones not used for longest.
    fn weigh(&self, added: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.weight += added;
        while state.weight > self.budget && state.cells.len() > 1 {
            let Some((_, cell)) = state.cells.pop_lru() else { break };
            let weight = cell.get().and_then(Option::as_ref).map_or(0, |decoded| decoded.weight());
            state.weight = state.weight.saturating_sub(weight);
        }
    }
}
