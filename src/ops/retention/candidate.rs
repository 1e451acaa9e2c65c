//! A snapshot as retention sees it: times, kinds and tokens, no names. So a maintainer, who reads no names, decides the same as
//! an admin.

use crate::repo::entry::Timestamp;
use crate::repo::id::{PrincipalId, SnapshotId, Token};
use crate::repo::names::SessionName;
use crate::repo::record::SnapshotKind;
use std::collections::BTreeSet;

/// What a snapshot was taken of, and by whom. What one principal stores never pushes out what another one stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Whose snapshot it is.
    pub principal: PrincipalId,
    /// Of which host.
    pub host: Token,
    /// Of which paths.
    pub paths: Token,
}

/// How far a snapshot came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It shows all that was asked for.
    Complete,
    /// It does not, and a complete one of the same source came after it.
    Superseded,
    /// It does not, and is the newest there is of what it shows.
    Unfinished,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// When it was taken, by its writer's word, and not later than its receipt.
    pub time: Timestamp,
    /// The session that committed it: the order of snapshots of one time.
    pub session: SessionName,
    /// What it was taken of.
    pub source: Source,
    /// Whether every byte was read.
    pub kind: SnapshotKind,
    /// Its tags now.
    pub tags: BTreeSet<Token>,
    /// How far it came.
    pub progress: Progress,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether a verification found that it lost something.
    pub damaged: bool,
}

impl Candidate {
    /// Whether it can be the last good one, beside others of something or of nothing: a snapshot of nothing beside others of something
    /// is that of a disk that was not there.
    pub(super) const fn is_good(&self, something: bool) -> bool {
        !self.damaged && (self.bytes > 0 || !something)
    }
}
