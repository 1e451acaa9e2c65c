//! Forgotten snapshots and holds: decisions of the log. A snapshot that was forgotten is kept until a prune takes what it holds.

use super::{Content, Error, Repository, Snapshot, snapshots};
use crate::crypto::secret::random;
use crate::repo::entry::Timestamp;
use crate::repo::id::{HoldId, SnapshotId};
use crate::repo::log::Decision;
use crate::repo::names::{Copy, Name};
use crate::repo::wire;

/// A snapshot that was forgotten, and not taken back.
#[derive(Debug, Clone)]
pub struct Forgotten {
    /// Which.
    pub snapshot: Snapshot,
    /// The place in the log of what forgot it.
    pub position: u64,
}

impl Repository {
    /// Every forgotten snapshot that is still there, oldest first.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        let ledger = self.log.state.ledger();
        let forgotten = |snapshot: Snapshot| {
            let position = *ledger.forgotten.get(&snapshot.id)?;
            Some(Forgotten { snapshot, position })
        };
        snapshots::forgotten(&self.view, &self.bundle, &self.log.state).into_iter().filter_map(forgotten).collect()
    }

    /// When the log's entry at this position was made, by its author's clock.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn decided_at(&self, position: u64) -> Result<Timestamp, Error> {
        let name = Name::Log(position, Copy::First);
        match self.content(&name)? {
            Content::Log(entry) => Ok(Timestamp { seconds: entry.time, nanoseconds: 0 }),
            _ => Err(Error::Body { object: name.to_string(), source: wire::Error::Invalid("is no entry of the log") }),
        }
    }

    /// Forgets these snapshots, all in one decision. Returns whether it stands: if not, somebody else decided something
    /// meanwhile, the repository was read again, and the caller must decide again. What [`Self::snapshots`] shows follows with
    /// [`Self::refresh`].
    ///
    /// # Errors
    /// When the role does not maintain, a hold is in force, the log is in doubt, or the store fails: then it may stand.
    pub fn forget(&mut self, snapshots: Vec<SnapshotId>) -> Result<bool, Error> {
        self.decide(&Decision::Forget(snapshots), "forgetting snapshots")
    }

    /// Takes back that these snapshots were forgotten, as [`Self::forget`] forgets. The caller has made sure, by the log as it
    /// was read, that all that they hold is still there.
    ///
    /// # Errors
    /// As [`Self::forget`]; a hold does not matter.
    pub fn unforget(&mut self, snapshots: Vec<SnapshotId>) -> Result<bool, Error> {
        self.decide(&Decision::Unforget(snapshots), "bringing forgotten snapshots back")
    }

    /// Stops forget and prune until somebody releases the hold that this gives.
    ///
    /// # Errors
    /// When the role does not maintain, the log is in doubt, or the store fails.
    pub fn hold(&mut self, reason: &str) -> Result<HoldId, Error> {
        let id = HoldId(random());
        let hold = Decision::Hold { id, asked_by: self.bundle.principal_id(), reason: reason.to_owned() };
        // It is right wherever it stands.
        while !self.decide(&hold, "placing a hold")? {}
        Ok(id)
    }

    /// Ends a hold. Returns whether it was in force: if not, somebody else was faster.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub fn release(&mut self, id: HoldId) -> Result<bool, Error> {
        while self.log.state.ledger().holds.contains_key(&id) {
            if self.decide(&Decision::Release(id), "releasing a hold")? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Enters what only a maintainer may.
    pub(super) fn decide(&mut self, decision: &Decision, action: &'static str) -> Result<bool, Error> {
        let role = self.bundle.role();
        if !role.may_maintain() {
            return Err(Error::Role { role, action });
        }
        self.enter(decision)
    }
}
