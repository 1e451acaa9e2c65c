//! Chains: each record names the one before it. Revoked tails are cut off, gaps and forks are reported.

use super::{Issue, Snapshot, View};
use crate::repo::id::{PrincipalId, SnapshotId, WriterId};
use crate::repo::log::State;
use std::collections::{BTreeMap, BTreeSet};

/// Drops what REVOKE does not accept, then reports what is wrong with the chains that stay.
pub(super) fn check(view: &mut View, state: &State) {
    drop_revoked(view, state);
    let mut chains: BTreeMap<(WriterId, PrincipalId), Vec<&Snapshot>> = BTreeMap::new();
    // Nobody promises that copied records are all that there were.
    for snapshot in view.snapshots.values().filter(|snapshot| !snapshot.copied) {
        chains.entry((snapshot.record.link().session.writer, snapshot.principal)).or_default().push(snapshot);
    }
    let mut issues = Vec::new();
    for ((writer, _), chain) in chains {
        gaps(&mut issues, view, state, writer, &chain);
        forks(&mut issues, writer, &chain);
    }
    view.issues.extend(issues);
}

fn gaps(issues: &mut Vec<Issue>, view: &View, state: &State, writer: WriterId, chain: &[&Snapshot]) {
    let ledger = state.ledger();
    for snapshot in chain {
        let (link, id) = (snapshot.record.link(), snapshot.record.id());
        let Some(previous) = link.previous else { continue };
        match view.snapshots.get(&previous) {
            Some(before) if before.record.link().number.checked_add(1) == Some(link.number) => {}
            Some(_) => issues.push(Issue::Misnumbered(id)),
            None if ledger.is_forgotten(&previous) || ledger.gaps.contains(&(writer, previous)) => {}
            None => issues.push(Issue::Gap { writer, missing: previous, after: id }),
        }
    }
}

fn forks(issues: &mut Vec<Issue>, writer: WriterId, chain: &[&Snapshot]) {
    let mut followers: BTreeMap<Option<SnapshotId>, Vec<SnapshotId>> = BTreeMap::new();
    for snapshot in chain {
        followers.entry(snapshot.record.link().previous).or_default().push(snapshot.record.id());
    }
    let several = followers.into_values().filter(|records| records.len() > 1);
    issues.extend(several.map(|records| Issue::Fork { writer, records }));
}

/// Of a revoked principal's records, those that its REVOKE names stay, and all before them.
fn drop_revoked(view: &mut View, state: &State) {
    let mut accepted: BTreeSet<SnapshotId> = BTreeSet::new();
    for principal in state.trust().principals().values() {
        for (writer, last) in principal.revoked.iter().flat_map(|revoked| &revoked.accepted) {
            let mut next = Some(*last);
            while let Some(id) = next.filter(|id| !accepted.contains(id)) {
                let own = |snapshot: &&Snapshot| snapshot.record.link().session.writer == *writer;
                let Some(snapshot) = view.snapshots.get(&id).filter(own) else { break };
                accepted.insert(id);
                next = snapshot.record.link().previous;
            }
        }
    }
    let revoked = |snapshot: &Snapshot| state.trust().active(&snapshot.principal).is_none();
    let dropped: Vec<SnapshotId> =
        view.snapshots.iter().filter(|(id, s)| revoked(s) && !accepted.contains(id)).map(|(id, _)| *id).collect();
    for id in dropped {
        view.snapshots.remove(&id);
        view.issues.push(Issue::Revoked(id));
    }
}
