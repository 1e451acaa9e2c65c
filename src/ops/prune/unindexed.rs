//! Packs that no index names: what sessions left that never committed. They can go once their sessions are over.

use super::Summary;
use crate::repo::id::{PackId, WriterId};
use crate::repo::names::SessionName;
use crate::repo::pack::Table;
use crate::repo::repository::{Error, Repository};
use crate::repo::segment::Origin;
use crate::repo::session_view::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// Of these packs, which lie in the store and which no index names, those that belong to sessions that are over. What nobody can
/// tell, and what belongs to open sessions, is counted and left.
///
/// # Errors
/// When the store fails.
pub(super) fn left_behind(
    repository: &Repository,
    unindexed: &BTreeMap<PackId, u64>,
    summary: &mut Summary,
) -> Result<BTreeSet<PackId>, Error> {
    let open: BTreeSet<WriterId> = repository.view().unresolved().map(|session| session.writer).collect();
    let mut left = BTreeSet::new();
    for (id, length) in unindexed {
        match repository.read_table(id, *length) {
            // The table of a copy does not tell the session that made it, only by whom.
            Ok(table) if open.contains(&table.signer) || names_open(repository, &table) => summary.open.count(*length),
            Ok(table) if !table.rows.is_empty() && table.rows.iter().all(|row| is_over(repository, &row.origin)) => {
                left.insert(*id);
            }
            Ok(_) | Err(Error::Pack { .. }) => summary.unknown.count(*length),
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

fn names_open(repository: &Repository, table: &Table) -> bool {
    table.rows.iter().any(|row| is_open(repository, &row.origin))
}

/// Whether a session has no valid end.
pub(super) fn is_open(repository: &Repository, origin: &Origin) -> bool {
    matches!(repository.view().sessions.get(&session(origin)), Some(Outcome::Unresolved { .. }))
}

/// Whether a session is known to have come to its end.
fn is_over(repository: &Repository, origin: &Origin) -> bool {
    match repository.view().sessions.get(&session(origin)) {
        Some(outcome) => !matches!(outcome, Outcome::Unresolved { .. }),
        None => origin.seq <= repository.view().watermark(&origin.writer),
    }
}

const fn session(origin: &Origin) -> SessionName {
    SessionName { writer: origin.writer, seq: origin.seq }
}
