//! What does not resolve by itself is decided: an end of a session that does not verify, a record that is gone from a chain (RESOLVE in
//! `FORMAT.md`).
//!
//! Nothing is overwritten or removed. An end is given up by the hash of bytes that were read twice, so that whatever else turns up under
//! that name is judged for itself. That such an end did commit is never decided here: from another copy of the repository the
//! snapshot comes back by a sync, which proves all that it needs.

use super::{Error, Repository, objects};
use crate::crypto::hash;
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::log::{Decision, Verdict};
use crate::repo::names::{Name, SessionName};
use crate::repo::session_view::{Flaw, Issue};

impl Repository {
    /// Sessions whose ends do not verify, and why.
    pub fn bad_ends(&self) -> impl Iterator<Item = (SessionName, &Flaw)> {
        self.view.issues.iter().filter_map(|issue| match issue {
            Issue::BadEnd(session, flaw) => Some((*session, flaw)),
            _ => None,
        })
    }

    /// Records that are gone from a chain: whose, which, and the one that comes after it.
    pub fn gaps(&self) -> impl Iterator<Item = (WriterId, SnapshotId, SnapshotId)> {
        self.view.issues.iter().filter_map(|issue| match issue {
            Issue::Gap { writer, missing, after } => Some((*writer, *missing, *after)),
            _ => None,
        })
    }

    /// Whether these bytes are an end that the log gave up.
    pub fn gave_up(&self, name: &Name, stored: &[u8]) -> bool {
        let Name::End(session) = name else { return false };
        let resolved = self.log.state.ledger().resolved.get(session);
        matches!(resolved, Some(Verdict::Abort { end, .. }) if *end == hash::sha256(stored))
    }

    /// Decides that a session whose end does not verify did not commit. Returns whether that was needed: not, when its end can be read
    /// after all, or somebody else decided.
    ///
    /// # Errors
    /// When the role does not maintain, a newer boveda may understand the end, it does not read the same twice, the log is in doubt, or the
    /// store fails.
    pub fn give_up(&mut self, session: SessionName) -> Result<bool, Error> {
        let name = Name::End(session);
        let first = objects::get(&*self.store, &name)?;
        // Read and judged for the second time.
        self.refresh()?;
        loop {
            let Some(flaw) = self.bad_ends().find_map(|(bad, flaw)| (bad == session).then(|| flaw.clone())) else {
                return Ok(false);
            };
            needs_no_newer(&name, flaw)?;
            let stored = objects::get(&*self.store, &name)?.filter(|stored| first.as_ref() == Some(stored));
            let stored = stored.ok_or_else(|| Error::Unsteady { object: name.to_string() })?;
            let verdict = Verdict::Abort { session, end: hash::sha256(&stored) };
            if self.decide(&Decision::Resolve(verdict), RESOLVING)? {
                self.refresh()?;
                return Ok(true);
            }
        }
    }

    /// Decides that a record is gone for good, and that its writer's chain goes on after it. Returns whether that was needed.
    ///
    /// # Errors
    /// When the role does not maintain, the log is in doubt, or the store fails.
    pub fn accept_gap(&mut self, writer: WriterId, missing: SnapshotId) -> Result<bool, Error> {
        // Looked for once more: a listing may have lacked it.
        self.refresh()?;
        while self.gaps().any(|(whose, gone, _)| (whose, gone) == (writer, missing)) {
            if self.decide(&Decision::Resolve(Verdict::Gap { writer, missing }), RESOLVING)? {
                self.refresh()?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

const RESOLVING: &str = "deciding what became of a session";

/// What a later version wrote is not given up by an earlier one.
fn needs_no_newer(name: &Name, flaw: Flaw) -> Result<(), Error> {
    match flaw {
        flaw if !flaw.needs_newer() => Ok(()),
        Flaw::Frame(error) => Err(Error::Frame(error)),
        flaw => Err(Error::Newer { object: name.to_string(), why: flaw.to_string() }),
    }
}
