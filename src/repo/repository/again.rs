//! The repository as it is by now, for those who opened it a while ago: whether anything was decided since, and a look at that.

use super::reading_log::Extent;
use super::{Error, Repository};
use crate::event::Sink;
use crate::repo::chunk_index::RunFolder;
use crate::repo::config::Config;
use crate::repo::id::SlotId;
use crate::repo::keys::bundle::Bundle;
use crate::repo::log::Head;
use crate::repo::names::{Copy, Name};
use crate::store::overview::Overview;
use crate::store::{self, ErrorKind, Store};
use std::sync::Arc;

/// What it takes to open a repository again, and how far its log went.
#[derive(Clone)]
pub struct Again {
    store: Arc<dyn Store>,
    config: Config,
    bundle: Arc<Bundle>,
    slot: SlotId,
    head: Option<Head>,
    next: u64,
    events: Arc<dyn Sink>,
    runs: Option<RunFolder>,
}

impl Repository {
    /// What it takes to look again.
    pub fn again(&self) -> Again {
        Again {
            store: Arc::clone(&self.store),
            config: self.config.clone(),
            bundle: Arc::clone(&self.bundle),
            slot: self.slot,
            head: self.log.state.head(),
            next: self.log.state.next() + self.log.doubts.len() as u64,
            events: Arc::clone(&self.events),
            runs: self.runs.clone(),
        }
    }
}

impl Again {
    /// Whether anything was entered in the log since. Where that cannot be told, it was not: whoever asks has a failure to report.
    pub fn has_moved(&self) -> bool {
        self.moved().unwrap_or(false)
    }

    /// Whether anything was entered in the log since.
    ///
    /// # Errors
    /// When the store fails.
    pub fn moved(&self) -> Result<bool, store::Error> {
        match self.store.length(&Name::Log(self.next, Copy::First).object()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The repository as it is now.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open(&self) -> Result<Repository, Error> {
        let (store, bundle) = (Arc::clone(&self.store), (*self.bundle).clone());
        let (config, events) = (self.config.clone(), Arc::clone(&self.events));
        let overview = Overview::take(&*store)?;
        let opened =
            Repository::open_with((store, overview, Extent::End), config, bundle, self.slot, |_| self.head, events)?;
        Ok(Repository { runs: self.runs.clone(), ..opened })
    }
}

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Again({} in {})", self.config.repository, self.store.place())
    }
}
