//! A repository that is open: its store, its keys, its log, and what its sessions come to.
//!
//! It has no verbs of its own; `ops` has them. Here is what every verb stands on: founding, opening, reading the indexes, a
//! session for writing, and the principals' slots and certificates.

mod again;
mod attesting;
mod checkpointing;
mod collecting;
mod complaints;
mod consolidating;
mod copying;
mod deciding;
mod ending;
mod error;
mod following;
mod forgetting;
mod founding;
mod heart;
mod index_runs;
mod indexes;
mod inside;
mod locks;
mod members;
mod mending;
mod mirroring;
mod numbers;
mod objects;
mod opening;
mod pinning;
mod pruning;
mod reading_log;
mod reindexing;
mod repacking;
mod resolving;
mod resuming;
mod revoking;
mod rewriting;
mod session;
mod settling;
mod slots;
mod snapshots;
mod suspecting;
mod tables;
mod tags;

pub use again::Again;
pub use checkpointing::{Backlog, Checkpointed};
pub use collecting::Collected;
pub use copying::Taken;
pub use error::Error;
pub use forgetting::Forgotten;
pub use founding::{Founded, found};
pub use indexes::{IndexProblem, IndexSigner, Indexes};
pub use inside::Content;
pub use members::{Member, NewMember};
pub use mending::{Claim, Doubtful};
pub use mirroring::{Copies, Mirroring};
pub use opening::{Looked, look};
pub use pinning::FoundPin;
pub use reindexing::Rebuilt;
pub use repacking::{Copied, Wanted};
pub use rewriting::Rewritten;
pub use session::WriteSession;
pub use snapshots::Snapshot;
pub use suspecting::Suspects;
pub use tables::StoredPack;

use super::chunk_index::RunFolder;
use super::config::Config;
use super::frame::Sealing;
use super::id::{RepositoryId, SlotId, SnapshotId, WriterId};
use super::keys::bundle::Bundle;
use super::log::Log;
use super::session_view::{self, View};
use crate::event::Sink;
use crate::store::Store;
use crate::store::overview::Overview;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An open repository.
pub struct Repository {
    store: Arc<dyn Store>,
    config: Config,
    bundle: Arc<Bundle>,
    slot: SlotId,
    log: Log,
    view: View,
    /// What the sessions were judged by.
    found: session_view::All,
    /// What was listed when they were.
    overview: Overview,
    snapshots: Vec<Snapshot>,
    events: Arc<dyn Sink>,
    /// Where this machine keeps what indexes say.
    runs: Option<RunFolder>,
    /// The newest records that sessions begun here committed, which counted when they were put.
    committed: Mutex<BTreeMap<WriterId, (u64, SnapshotId)>>,
}

impl Repository {
    /// The repository's id.
    pub const fn id(&self) -> RepositoryId {
        self.config.repository
    }

    /// Where its objects are.
    pub const fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What it is.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The keys in use.
    pub const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The slot that gave them.
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// What the place showed when the sessions were listed: before the log was read.
    pub const fn overview(&self) -> &Overview {
        &self.overview
    }

    /// The log as it was read.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// What the sessions came to when they were read.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// The newest record of each writer that was committed by a session begun here, and its number: whether it was read back since or not.
    pub fn committed_here(&self) -> BTreeMap<WriterId, (u64, SnapshotId)> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every snapshot that is neither forgotten nor revoked, oldest first.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// Who listens to what happens inside.
    pub fn events(&self) -> &Arc<dyn Sink> {
        &self.events
    }

    /// What small objects are sealed with now: by the epoch that the log has come to. A copy of a repository may lag behind the keys at hand.
    fn sealing(&self) -> Sealing<'_> {
        let keys = self.bundle.epoch(self.log.state.trust().epoch()).unwrap_or_else(|_| self.bundle.current());
        Sealing { epoch: keys.epoch, suite: self.config.suite, index_key: &keys.index }
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({} in {})", self.config.repository, self.store.place())
    }
}
