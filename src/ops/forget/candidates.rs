//! From a repository's snapshots to what retention decides about.

use crate::ops::retention::{Candidate, DAMAGED_TAG, Progress, Source};
use crate::repo::entry::Timestamp;
use crate::repo::id::Token;
use crate::repo::record::Tokens;
use crate::repo::repository::{Repository, Snapshot};
use std::collections::BTreeSet;

/// Every snapshot that is not forgotten.
pub(super) fn candidates(repository: &Repository) -> Vec<Candidate> {
    let snapshots = repository.snapshots();
    let complete: Vec<&Snapshot> = snapshots.iter().filter(|snapshot| snapshot.is_complete()).collect();
    let candidate = |snapshot: &Snapshot| Candidate {
        id: snapshot.id,
        time: time(repository, snapshot),
        session: snapshot.session,
        source: source(snapshot),
        kind: snapshot.structure.kind,
        damaged: tags(repository, snapshot).contains(&Tokens::tag(repository.bundle().structure_key(), DAMAGED_TAG)),
        tags: tags(repository, snapshot),
        progress: progress(snapshot, &complete),
        bytes: snapshot.structure.bytes,
    };
    snapshots.iter().map(candidate).collect()
}

fn source(snapshot: &Snapshot) -> Source {
    let tokens = &snapshot.structure.tokens;
    Source { principal: snapshot.principal, host: tokens.host, paths: tokens.paths }
}

/// The claimed time, and not a later one than that of the checkpoint which listed the snapshot first.
fn time(repository: &Repository, snapshot: &Snapshot) -> Timestamp {
    let claimed = snapshot.time();
    let receipt = repository.view().snapshots.get(&snapshot.id).and_then(|known| known.receipt);
    receipt.map_or(claimed, |receipt| claimed.min(Timestamp { seconds: receipt.time, nanoseconds: 0 }))
}

/// The tokens of the record's tags, with what the log changed since: the same for whoever reads tags and who does not.
fn tags(repository: &Repository, snapshot: &Snapshot) -> BTreeSet<Token> {
    let token = |tag: &String| Tokens::tag(repository.bundle().structure_key(), tag);
    let mut tags: BTreeSet<Token> = snapshot.structure.tokens.tags.iter().copied().collect();
    if let Some(change) = repository.log().state.ledger().tags.get(&snapshot.id) {
        for removed in change.removed.iter().map(token) {
            tags.remove(&removed);
        }
        tags.extend(change.added.iter().map(token));
    }
    tags
}

/// A writer's own order is that of its sessions; between writers only the times tell.
pub(super) fn progress(snapshot: &Snapshot, complete: &[&Snapshot]) -> Progress {
    if snapshot.is_complete() {
        return Progress::Complete;
    }
    let later = |other: &&Snapshot| {
        let same_writer = other.session.writer == snapshot.session.writer;
        let after = match same_writer {
            true => other.session.seq > snapshot.session.seq,
            false => other.time() > snapshot.time(),
        };
        source(other) == source(snapshot) && after
    };
    if complete.iter().any(later) { Progress::Superseded } else { Progress::Unfinished }
}
