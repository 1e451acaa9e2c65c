//! `forget`: which snapshots go, by rules or by name, and the one decision of the log that forgets them all.
//!
//! Invariant: what is entered is what was decided for the very state of the log that it stands behind. Whoever loses a race
//! decides again. Nothing is deleted here: a forgotten snapshot comes back with [`undo`] until a prune has taken what it holds.

mod candidates;
mod freed;
mod plan;
#[cfg(test)]
mod tests;
mod undo;

pub(in crate::ops) use freed::{Fault, skeleton};
pub use freed::{Freed, Requests};
pub use plan::{Budget, Plan, plan};
pub use undo::{Undone, undo};

use super::host::Host;
use super::retention::{Grouping, Rules};
use crate::event::Sink;
use crate::repo::entry::Timestamp;
use crate::repo::id::{HoldId, SnapshotId};
use crate::repo::log::ledger::Hold;
use crate::repo::repository::{self, Repository, Snapshot};
use jiff::tz::TimeZone;

/// Which snapshots are to go.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Those that no rule keeps.
    Rules {
        /// The rules.
        rules: Rules,
        /// How snapshots stand together.
        grouping: Grouping,
    },
    /// These.
    Named(Vec<SnapshotId>),
}

/// How it is done.
pub struct Options<'a> {
    /// What is wished.
    pub wish: Wish,
    /// Which snapshots the rules are about; the others stay.
    pub among: &'a dyn Fn(&Snapshot) -> bool,
    /// Whether what looks like a mistake is meant.
    pub meant: bool,
    /// The time.
    pub now: Timestamp,
    /// Where days begin.
    pub zone: TimeZone,
}

/// Why nothing is forgotten, or brought back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository cannot be read or written.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// Somebody stopped all forgetting.
    #[error("hold {id} is in force: {}", hold.reason)]
    OnHold {
        /// The hold.
        id: HoldId,
        /// Who placed it, when and why.
        hold: Hold,
    },
    /// It looks like a mistake.
    #[error("this looks like a mistake, and was not done")]
    Guarded(Box<Plan>),
}

/// Forgets what `options` say, and returns what was decided.
///
/// # Errors
/// When the role does not maintain, a hold is in force, the decision looks like a mistake and is not said to be meant, or the store
/// fails: then it stands as a whole or not at all, and the next look at the repository tells.
pub fn forget(
    repository: &mut Repository,
    host: &Host,
    options: &Options<'_>,
    events: &dyn Sink,
) -> Result<Plan, Error> {
    let role = repository.bundle().role();
    if !role.may_maintain() {
        return Err(repository::Error::Role { role, action: "forgetting snapshots" }.into());
    }
    loop {
        if let Some((id, hold)) = on_hold(repository) {
            return Err(Error::OnHold { id, hold });
        }
        let plan = plan(repository, host, options, false, events)?;
        if !plan.guards.is_empty() && !options.meant {
            return Err(Error::Guarded(Box::new(plan)));
        }
        let goes = plan.goes();
        if goes.is_empty() || repository.forget(goes)? {
            return Ok(plan);
        }
    }
}

/// The hold that has been in force longest, if one is.
pub fn on_hold(repository: &Repository) -> Option<(HoldId, Hold)> {
    let holds = &repository.log().state.ledger().holds;
    holds.iter().min_by_key(|(_, hold)| hold.position).map(|(id, hold)| (*id, hold.clone()))
}
