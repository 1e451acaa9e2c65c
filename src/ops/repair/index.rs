//! `repair index`: lost indexes made anew from the packs' own tables.

use crate::repo::id::{PackId, WriterId};
use crate::repo::names::Name;
use crate::repo::repository::{Error, Repository};

/// What a repair did.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Indexes that could not be read.
    pub lost: Vec<Name>,
    /// Those that stand in for them now.
    pub made: Vec<Name>,
    /// Packs that these name.
    pub packs: u64,
    /// Packs whose tables cannot be read, and why: their chunks may be lost.
    pub unreadable: Vec<(PackId, String)>,
}

/// Makes indexes for what only lost ones named, in a session of `writer`, whose lock the caller holds.
///
/// # Errors
/// When these are no admin's keys, the log is in doubt, or the store fails: then it can be done again.
pub fn repair(repository: &mut Repository, writer: WriterId) -> Result<Summary, Error> {
    let Some(rebuilt) = repository.rebuild_indexes(writer)? else { return Ok(Summary::default()) };
    let mut summary = Summary {
        lost: rebuilt.lost.clone(),
        made: rebuilt.made,
        packs: rebuilt.packs,
        unreadable: rebuilt.unreadable,
    };
    repository.refresh()?;
    // Only once the new ones are read back is what is left of the old ones of no use to anyone.
    if summary.unreadable.is_empty() {
        repository.drop_replaced_indexes(&rebuilt.lost)?;
    }
    summary.lost.sort();
    Ok(summary)
}
