//! What the mount needs of a repository: its snapshots, and where their chunks come from.

use crate::repo::chunks::ChunkSource;
use crate::repo::entry::Timestamp;
use crate::repo::id::{ChunkId, SnapshotId};
use std::sync::Arc;

/// One snapshot as the mount shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its number on this host: inode numbers begin with it, so it must stay the same. 1 to 2^24 - 1.
    pub number: u32,
    /// When it says that it was taken.
    pub time: Timestamp,
    /// The host it was taken of.
    pub host: String,
    /// The paths that were asked for: snapshots of the same paths of one host follow each other.
    pub paths: Vec<Vec<u8>>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The skeleton of its catalog's root page.
    pub root: ChunkId,
    /// Whether it holds a part only of what was asked for: found by time and by id, and never the latest of anything.
    pub partial: bool,
}

/// What a repository shows at one moment.
#[derive(Clone)]
pub struct Listing {
    /// Every snapshot, in any order.
    pub snapshots: Vec<MountedSnapshot>,
    /// Where their chunks come from: all snapshots above can be read through it.
    pub source: Arc<dyn ChunkSource>,
}

/// A repository's snapshots, asked for again and again.
pub trait SnapshotList: Send + Sync {
    /// Looks into the repository again. When nothing has changed, the listing before may be given once more: a new source
    /// means cold caches.
    ///
    /// # Errors
    /// When the repository cannot be read; the mount then goes on with what it knows.
    fn list(&self) -> Result<Listing, Box<dyn std::error::Error + Send + Sync>>;
}
