//! The tag of snapshots that damage costs something: put on those of which a verification found that, and taken off once one that read everything
//! finds them whole. Retention then takes none of them for the last good one.

use super::{Level, Summary};
use crate::ops::retention::DAMAGED_TAG;
use crate::ops::tag::{self, Options};
use crate::repo::id::SnapshotId;
use crate::repo::repository::{Error, Repository};
use std::collections::BTreeSet;

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// Snapshots that have the tag now, and had not.
    pub marked: Vec<SnapshotId>,
    /// Snapshots that had it, and are whole.
    pub unmarked: Vec<SnapshotId>,
}

/// Whether these keys may mark snapshots: reading all and deciding takes an admin's.
///
/// # Errors
/// When they may not.
pub fn may_mark(repository: &Repository) -> Result<(), Error> {
    let role = repository.bundle().role();
    if role.may_maintain() && role.reads_content() {
        return Ok(());
    }
    Err(Error::Role { role, action: "marking damaged snapshots" })
}

/// Enters in the log what a verification to `level` found.
///
/// # Errors
/// As [`may_mark`]; when the log is in doubt, or the store fails. What was entered by then stands.
pub fn mark(repository: &mut Repository, summary: &Summary, level: Level) -> Result<Marked, Error> {
    may_mark(repository)?;
    let affected = &summary.affected;
    let damaged: BTreeSet<SnapshotId> =
        affected.files.iter().map(|(snapshot, _)| *snapshot).chain(affected.catalogs.iter().copied()).collect();
    let has_tag = |id: &SnapshotId| {
        let known = repository.snapshots().iter().find(|snapshot| snapshot.id == *id);
        known.is_some_and(|snapshot| snapshot.tags.iter().any(|tag| tag == DAMAGED_TAG))
    };
    let all = repository.snapshots().iter().map(|snapshot| snapshot.id);
    let add: Vec<SnapshotId> = all.clone().filter(|id| damaged.contains(id) && !has_tag(id)).collect();
    // Whoever looked at a part cannot say that the rest is whole.
    let whole = |id: &SnapshotId| level == Level::Full && !damaged.contains(id) && has_tag(id);
    let remove: Vec<SnapshotId> = all.filter(whole).collect();
    let tags = || vec![DAMAGED_TAG.to_owned()];
    tag::tag(repository, &add, &Options { add: tags(), ..Options::default() })?;
    tag::tag(repository, &remove, &Options { remove: tags(), ..Options::default() })?;
    Ok(Marked { marked: add, unmarked: remove })
}
