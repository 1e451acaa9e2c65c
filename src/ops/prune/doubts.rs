//! What a prune does not go on with (I13): holds, and anything about the repository that is not as it should be.

use super::Error;
use crate::ops::forget::on_hold;
use crate::repo::id::{ChunkId, ChunkKind, SnapshotId, WriterId};
use crate::repo::log;
use crate::repo::names::{Name, SessionName};
use crate::repo::repository::{self, IndexProblem, Repository};
use crate::repo::session_view::{Flaw, Issue};
use std::collections::BTreeSet;

/// Something that is not as it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Doubt {
    /// The end of a session is neither commit nor abort.
    #[error("the end of {0} cannot be understood: {1}")]
    BadEnd(SessionName, Flaw),
    /// A census lists a record that does not verify.
    #[error("the record of snapshot {0} does not verify: {1}")]
    BadRecord(SnapshotId, Flaw),
    /// A record is missing.
    #[error("snapshot {missing} of writer {writer} is missing, which {after} follows")]
    Gap {
        /// Whose.
        writer: WriterId,
        /// Which.
        missing: SnapshotId,
        /// The one that names it.
        after: SnapshotId,
    },
    /// A snapshot that the newest census leaves out.
    #[error("the newest census does not list snapshot {0}, which the one before lists and nobody forgot")]
    Hidden(SnapshotId),
    /// A snapshot that does not say what it holds.
    #[error("snapshot {0} cannot be opened")]
    Sealed(SnapshotId),
    /// An index is lost: what it names cannot be told from what nobody needs.
    #[error("index {} is lost: {}", .0.name, .0.reason)]
    Index(IndexProblem),
    /// A chunk that a snapshot needs is nowhere.
    #[error("{kind:?} chunk {id} is in no pack that is there, and snapshot {snapshot} needs it")]
    Lost {
        /// Its kind.
        kind: ChunkKind,
        /// Its id.
        id: ChunkId,
        /// One that needs it.
        snapshot: SnapshotId,
    },
    /// A page of a catalog that cannot be read: nobody knows what it needs.
    #[error("catalog page {page} of snapshot {snapshot} cannot be read: {why}")]
    Page {
        /// The page.
        page: ChunkId,
        /// One that has it.
        snapshot: SnapshotId,
        /// Why.
        why: String,
    },
}

/// Stops at a hold, at a log that does not verify, and at sessions and records that are not what they should be.
pub(super) fn check(repository: &Repository, dry_run: bool) -> Result<(), Error> {
    if let Some((id, hold)) = on_hold(repository).filter(|_| !dry_run) {
        return Err(Error::OnHold { id, hold });
    }
    if let Some(doubt) = repository.log().stopped() {
        return Err(repository::Error::Log(log::Error::Stopped(doubt.clone())).into());
    }
    let mut doubts: Vec<Doubt> = repository.view().issues.iter().filter_map(doubt).collect();
    let opened: BTreeSet<SnapshotId> = repository.snapshots().iter().map(|snapshot| snapshot.id).collect();
    let live = repository.view().live().map(|snapshot| snapshot.record.id());
    doubts.extend(live.filter(|id| !opened.contains(id)).map(Doubt::Sealed));
    if doubts.is_empty() { Ok(()) } else { Err(Error::InDoubt(doubts)) }
}

/// Stops where the newest census hides what the one before it had.
pub(super) fn census(repository: &Repository) -> Result<(), Error> {
    let hidden: Vec<Doubt> = repository.hidden()?.into_iter().map(Doubt::Hidden).collect();
    if hidden.is_empty() { Ok(()) } else { Err(Error::InDoubt(hidden)) }
}

/// What an issue is to a prune. What takes no snapshot away and hides none is none.
fn doubt(issue: &Issue) -> Option<Doubt> {
    match issue {
        Issue::BadEnd(session, flaw) => Some(Doubt::BadEnd(*session, flaw.clone())),
        Issue::BadRecord(snapshot, flaw) => Some(Doubt::BadRecord(*snapshot, flaw.clone())),
        Issue::Gap { writer, missing, after } => Some(Doubt::Gap { writer: *writer, missing: *missing, after: *after }),
        Issue::NoOpening(..)
        | Issue::Fork { .. }
        | Issue::Misnumbered(_)
        | Issue::Revoked(_)
        | Issue::Claimed { .. }
        | Issue::Void(_) => None,
    }
}

/// Stops where somebody asks for a hold.
pub(super) fn asked(repository: &Repository) -> Result<(), Error> {
    match repository.asked_holds()?.first() {
        Some(hold) => Err(Error::Asked { object: Name::to_string(hold) }),
        None => Ok(()),
    }
}
