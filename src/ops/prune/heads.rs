//! The snapshots that sessions may take their parents from while packs are condemned: each writer's newest of every source.

use crate::repo::id::{PrincipalId, SnapshotId, Token, WriterId};
use crate::repo::repository::{Repository, Snapshot};
use std::collections::BTreeMap;

/// A writer's snapshots of one source, complete or partial ones.
type Source = (WriterId, PrincipalId, Token, Token, bool);

/// The newest complete and the newest partial snapshot of each writer and source, of those that were marked.
pub(super) fn heads(repository: &Repository) -> Vec<SnapshotId> {
    let mut newest: BTreeMap<Source, &Snapshot> = BTreeMap::new();
    for snapshot in repository.snapshots() {
        let tokens = &snapshot.structure.tokens;
        let source = (snapshot.session.writer, snapshot.principal, tokens.host, tokens.paths, snapshot.is_complete());
        let head = newest.entry(source).or_insert(snapshot);
        if head.session.seq < snapshot.session.seq {
            *head = snapshot;
        }
    }
    newest.into_values().map(|snapshot| snapshot.id).collect()
}
