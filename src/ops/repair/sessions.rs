//! `repair sessions`: decides what became of sessions whose ends nobody can understand, and of snapshots that are gone from a chain.
//!
//! Until that is decided prune stops: what such a session stored may be needed. Who is no admin waits until the session's writer
//! has been silent for a week, by the clock of this host.

use crate::event::Sink;
use crate::ops::host::Host;
use crate::ops::prune::{Waiting, open_sessions};
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::names::SessionName;
use crate::repo::repository::{Error, Repository};
use crate::repo::session_view::Flaw;

/// A session whose end does not verify.
#[derive(Debug, Clone)]
pub struct BadEnd {
    /// Which.
    pub session: SessionName,
    /// Why its end does not verify.
    pub flaw: Flaw,
    /// When those who are no admin may give it up, in seconds since 1970; `None`: now.
    pub waits: Option<i64>,
}

/// A snapshot that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Whose.
    pub writer: WriterId,
    /// Which.
    pub snapshot: SnapshotId,
    /// The one that names it as the one before.
    pub after: SnapshotId,
}

/// What is to be decided.
#[derive(Debug, Clone, Default)]
pub struct Undecided {
    /// Ends that do not verify.
    pub ends: Vec<BadEnd>,
    /// Snapshots that are gone from chains.
    pub missing: Vec<Missing>,
}

impl Undecided {
    /// How many decisions that takes.
    pub const fn len(&self) -> usize {
        self.ends.len() + self.missing.len()
    }

    /// Whether there is nothing to decide.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sessions that count as never committed.
    pub given_up: Vec<SessionName>,
    /// Snapshots that count as gone for good.
    pub accepted: Vec<SnapshotId>,
    /// Sessions that have to wait.
    pub waiting: usize,
}

/// What has to be decided by a person. The host remembers since when it knows of these sessions; `now` is in seconds since 1970.
pub fn look(repository: &Repository, host: &Host, now: i64, events: &dyn Sink) -> Undecided {
    let known = open_sessions(repository, host, now, events);
    let waits = |session: SessionName| {
        let ends = known.iter().find(|known| known.session == session).map_or(i64::MAX, Waiting::ends);
        Some(ends).filter(|ends| !repository.bundle().role().may_certify() && *ends > now)
    };
    let ends =
        repository.bad_ends().map(|(session, flaw)| BadEnd { session, flaw: flaw.clone(), waits: waits(session) });
    let missing = repository.gaps().map(|(writer, snapshot, after)| Missing { writer, snapshot, after });
    Undecided { ends: ends.collect(), missing: missing.collect() }
}

/// Gives up what need not wait, and accepts what is gone.
///
/// # Errors
/// When the role does not maintain, an end needs a newer boveda or reads differently each time, the log is in doubt, or the store fails.
/// What was decided stays so, and it can be done again.
pub fn decide(repository: &mut Repository, undecided: &Undecided) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for end in &undecided.ends {
        if end.waits.is_some() {
            summary.waiting += 1;
        } else if repository.give_up(end.session)? {
            summary.given_up.push(end.session);
        }
    }
    for gone in &undecided.missing {
        if repository.accept_gap(gone.writer, gone.snapshot)? {
            summary.accepted.push(gone.snapshot);
        }
    }
    Ok(summary)
}
