//! Why a repository cannot be founded, opened or written to.

use crate::repo::id::{PrincipalId, RepositoryId, SlotId, WriterId};
use crate::repo::keys::slot::SlotKind;
use crate::repo::names::SessionName;
use crate::repo::{chunk_index, chunks, frame, keys, log, pack, session_view, wire};
use crate::store;

/// What can go wrong with a repository as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no repository at that place.
    #[error("there is no repository at {place}")]
    NotFound { place: String },
    /// There is one already.
    #[error("there is a repository at {place} already")]
    Exists { place: String },
    /// A founding died before the log began.
    #[error("the repository was never quite founded: its log is empty")]
    Unfounded,
    /// Objects without a config: never founded over, since they may be all that is left of somebody's data.
    #[error("{place} holds {what} but no config: either the config was lost, or this is not an empty place")]
    NotEmpty { place: String, what: String },
    /// What should be a copy of a repository is another one.
    #[error("the repository at {place} is another one, {repository}: a copy has the same id")]
    OtherRepository { place: String, repository: RepositoryId },
    /// A copy went its own way.
    #[error("the copy at {place} and the repository that it is a copy of no longer fit together: {what}")]
    Diverged { place: String, what: String },
    /// Both copies of the config are gone or damaged beyond their parity.
    #[error("both copies of the config are lost: {reason}")]
    ConfigLost { reason: String },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Keys do not open, or not what was asked.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// An object is not what it must be.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// The log does not hold together.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The sessions cannot be judged.
    #[error(transparent)]
    Sessions(#[from] session_view::Error),
    /// A body does not decode.
    #[error("{object} {source}")]
    Body { object: String, source: wire::Error },
    /// The newest census is lost.
    #[error(
        "neither copy of {object} is there: without it nobody knows which snapshots there are. Put one of them back, if the store or a copy of \
         its folder still has it; or go on with another copy of the repository, if `boveda sync` made one"
    )]
    CensusLost { object: String },
    /// A pack cannot be read.
    #[error("{object}: {source}")]
    Pack { object: String, source: pack::Error },
    /// A chunk cannot be written or read.
    #[error(transparent)]
    Chunk(#[from] chunks::Error),
    /// What this machine keeps of the indexes turned out to be damaged.
    #[error(transparent)]
    Damaged(#[from] chunk_index::Damaged),
    /// What the indexes say could not be brought into order, not even in memory.
    #[error("the indexes cannot be held: {0}")]
    Runs(#[source] chunk_index::Error),
    /// The bundle's role does not allow it.
    #[error("a {role}'s keys do not allow {action}")]
    Role { role: keys::role::Role, action: &'static str },
    /// The log cannot be followed as far as where the bundle's principal is certified.
    #[error("{0}; nothing that follows it counts, and so nobody knows who these keys belong to")]
    Doubted(#[source] log::Doubt),
    /// The log does not certify the bundle's principal, or has revoked it.
    #[error("principal {principal} is {why}")]
    Principal { principal: PrincipalId, why: &'static str },
    /// The repository is older than what this host saw of it before.
    #[error("the repository went back in time: {what}")]
    RolledBack { what: String },
    /// Somebody aborted the session that was to commit.
    #[error("{session} was aborted meanwhile: {reason}")]
    Aborted { session: SessionName, reason: String },
    /// The session was ended under this writer's own name, though nobody else on this host can have done it.
    #[error("{session} was ended by another process that writes under the same name: this machine's state was cloned")]
    Cloned { session: SessionName },
    /// Somebody who holds the writer's own keys used up its numbers.
    #[error("the names of writer {writer}'s sessions have come to their last number, though it never got that far")]
    NoNumber { writer: WriterId },
    /// A slot that does not exist, or must stay.
    #[error("slot {id} {why}")]
    Slot { id: SlotId, why: &'static str },
    /// A password or key that opens another principal's keys already: nobody could say whose it opens.
    #[error("this {} opens the keys of {label:?} already", kind.noun())]
    Shared { kind: SlotKind, label: String },
    /// An object that reads differently from one time to the next: nothing is decided by that.
    #[error("{object} is not read twice as the same bytes")]
    Unsteady { object: String },
    /// An object that a later version wrote.
    #[error("{object} needs a newer boveda: {why}")]
    Newer { object: String, why: String },
    /// No principal, or several, of that name.
    #[error("{0}")]
    Label(String),
}
