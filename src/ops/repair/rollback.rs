//! `repair rollback`: goes on with a repository that is older than what this host saw of it, once a person has said that
//! this is as it should be. Nothing in the repository changes; this host forgets what it saw.

use crate::ops::host::Host;
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::keys::credential::Credential;
use crate::repo::log;
use crate::repo::repository::{Error, Repository};
use crate::store::Store;
use std::sync::Arc;

/// What this host saw of a repository and what is no longer there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gone {
    /// The newest log entry that was seen, if the log lacks it or has another one there.
    pub log: Option<u64>,
    /// Writers' newest snapshots that were seen and are gone.
    pub snapshots: Vec<(WriterId, SnapshotId)>,
}

impl Gone {
    /// Whether everything is there.
    pub const fn is_nothing(&self) -> bool {
        self.log.is_none() && self.snapshots.is_empty()
    }
}

/// Opens a repository also if it was rolled back, and says what is gone.
///
/// # Errors
/// As [`Host::open`], but for a rollback.
pub fn look(host: &Host, store: &Arc<dyn Store>, credential: &Credential) -> Result<(Repository, Gone), Error> {
    let log = match host.open(Arc::clone(store), credential) {
        Ok(repository) => return Ok((repository, Gone::default())),
        Err(Error::Log(log::Error::RolledBack(position))) => Some(position),
        Err(Error::RolledBack { .. }) => None,
        Err(error) => return Err(error),
    };
    let repository = host.open_as_it_is(Arc::clone(store), credential)?;
    let snapshots = host.gone(&repository);
    Ok((repository, Gone { log, snapshots }))
}

/// Takes the repository as it is for what this host has seen.
pub fn accept(host: &Host, repository: &Repository) {
    host.accept(repository);
}
