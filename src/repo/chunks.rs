//! How the rest of the house sees chunks: something to put them into, something to read them from.
//!
//! The catalog is written against these two traits alone, and so is tested over a map in memory.

use super::id::{ChunkId, ChunkKind};
use crate::store;
use std::sync::Arc;

/// Why a chunk cannot be had or kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No index knows the chunk.
    #[error("{kind} chunk {id} is in no pack that the indexes name")]
    Unknown { kind: ChunkKind, id: ChunkId },
    /// Every place that should hold the chunk is damaged beyond what parity heals.
    #[error("{kind} chunk {id} is damaged: {reason}")]
    Damaged { kind: ChunkKind, id: ChunkId, reason: String },
    /// The bundle in use does not hold the key that this kind needs.
    #[error("these keys cannot read {kind} chunks")]
    NoKey { kind: ChunkKind },
    /// The store failed.
    #[error("{0}")]
    Store(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// An earlier step of the same writing failed; its error was reported there.
    #[error("writing stopped after an earlier error")]
    Stopped,
}

/// The store's failure that an error comes from, if it does.
pub fn failure_of_store<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a store::Error> {
    type Shared = Arc<dyn std::error::Error + Send + Sync>;
    // A shared error hides what it is: that is looked at behind it.
    let of_shared = |shared: &'a Shared| shared.downcast_ref::<store::Error>();
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| {
        if let Some(Error::Store(shared)) = error.downcast_ref() {
            return of_shared(shared);
        }
        error.downcast_ref().or_else(|| error.downcast_ref::<Shared>().and_then(of_shared))
    })
}

/// Where new chunks go. Implementations deduplicate.
pub trait ChunkSink: Send + Sync {
    /// Makes sure that the repository will hold `bytes` under the returned id once the session commits.
    ///
    /// # Errors
    /// When writing has failed.
    fn put(&self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId, Error>;
}

/// Where chunks come from. The id of every chunk returned was checked against its bytes.
pub trait ChunkSource: Send + Sync {
    /// The bytes of a chunk.
    ///
    /// # Errors
    /// When it is unknown, damaged, or the keys do not allow it.
    fn get(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, Error>;

    /// The bytes of a chunk if they are in memory; never waits for a store. `None` says nothing about whether it exists.
    fn get_cached(&self, kind: ChunkKind, id: &ChunkId) -> Option<Bytes> {
        let _ = (kind, id);
        None
    }

    /// Makes it likely that the next [`Self::get`] of a chunk finds it in memory. May wait; failures show at `get`.
    fn warm(&self, kind: ChunkKind, id: &ChunkId) {
        let _ = self.get(kind, id);
    }
}

/// A piece of a shared buffer: a chunk inside its decoded segment, without a copy.
#[derive(Clone)]
pub struct Bytes {
    buffer: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Bytes {
    /// The part `start..end` of `buffer`.
    ///
    /// # Panics
    /// When the range is not within the buffer.
    pub fn new(buffer: Arc<Vec<u8>>, start: usize, end: usize) -> Self {
        assert!(start <= end && end <= buffer.len(), "the range lies within the buffer");
        Self { buffer, start, end }
    }

    /// A part of these bytes, in the same buffer.
    ///
    /// # Panics
    /// When the range is not within them.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "the range lies within the bytes");
        Self { buffer: Arc::clone(&self.buffer), start: self.start + range.start, end: self.start + range.end }
    }

    /// These bytes and `next` as one piece, if they lie one after the other in the same buffer.
    #[must_use]
    pub fn join(&self, next: &Self) -> Option<Self> {
        let adjoin = Arc::ptr_eq(&self.buffer, &next.buffer) && self.end == next.start;
        adjoin.then(|| Self { buffer: Arc::clone(&self.buffer), start: self.start, end: next.end })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self::new(Arc::new(bytes), 0, end)
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_buffer_join_and_others_do_not() {
        let buffer = Arc::new(b"abcdef".to_vec());
        let piece = |start, end| Bytes::new(Arc::clone(&buffer), start, end);
        assert_eq!(&*piece(0, 2).join(&piece(2, 5)).unwrap(), b"abcde");
        assert_eq!(&*piece(1, 5).slice(1..3), b"cd");
        assert!(piece(0, 2).join(&piece(3, 5)).is_none());
        assert!(piece(0, 2).join(&Bytes::from(b"cd".to_vec())).is_none());
    }
}
