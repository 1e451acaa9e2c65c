//! Decisions about snapshots that a copy takes over: tags always, where the keys allow it; forgetting only where somebody asks for it.

use super::{Error, Summary};
use crate::ops::forget::on_hold;
use crate::repo::id::SnapshotId;
use crate::repo::repository::{self, Repository};
use crate::repo::session_view::Issue;

/// Stops where nothing may be forgotten because of the source: a hold, or damage.
pub fn check(source: &Repository) -> Result<(), Error> {
    if let Some((id, hold)) = on_hold(source) {
        return Err(Error::OnHold { id, hold });
    }
    let damage = |issue: &Issue| match issue {
        Issue::BadEnd(session, flaw) => Some(format!("the end of {session} cannot be understood: {flaw}")),
        Issue::BadRecord(snapshot, flaw) => Some(format!("the record of snapshot {snapshot} does not verify: {flaw}")),
        Issue::Gap { missing, .. } => Some(format!("snapshot {missing} is missing")),
        _ => None,
    };
    let doubt = source.log().stopped().map(ToString::to_string);
    match doubt.or_else(|| source.view().issues.iter().find_map(damage)) {
        Some(what) => Err(Error::Damaged { what }),
        None => Ok(()),
    }
}

/// The snapshots that were forgotten at the source, and not at the copy.
pub fn forgotten(source: &Repository, copy: &Repository) -> Vec<SnapshotId> {
    let ledger = source.log().state.ledger();
    let live = copy.snapshots().iter().map(|snapshot| snapshot.id);
    live.filter(|id| ledger.is_forgotten(id)).collect()
}

/// Forgets at the copy what was forgotten at the source. Returns how many.
pub fn forget(source: &Repository, copy: &mut Repository, so_far: &Summary) -> Result<u64, Error> {
    if let Some((name, why)) = so_far.lost.iter().next() {
        return Err(Error::Damaged { what: format!("{name}: {why}") });
    }
    loop {
        if let Some((id, hold)) = on_hold(copy) {
            return Err(Error::OnHold { id, hold });
        }
        let ids = forgotten(source, copy);
        let number = ids.len() as u64;
        if ids.is_empty() || copy.forget(ids)? {
            copy.refresh()?;
            return Ok(number);
        }
    }
}

/// Gives the copy's snapshots the tags that were added or taken away at the source. Returns how many changed; none without a maintainer's or
/// an admin's keys.
pub fn tags(source: &Repository, copy: &mut Repository) -> Result<u64, repository::Error> {
    if !copy.bundle().role().may_maintain() {
        return Ok(0);
    }
    let ids: Vec<SnapshotId> = copy.snapshots().iter().map(|snapshot| snapshot.id).collect();
    let mut changed = 0;
    for id in ids {
        let Some(wanted) = source.log().state.ledger().tags.get(&id) else { continue };
        let known = copy.log().state.ledger().tags.get(&id).cloned().unwrap_or_default();
        let add: Vec<String> = wanted.added.difference(&known.added).cloned().collect();
        let remove: Vec<String> = wanted.removed.difference(&known.removed).cloned().collect();
        if !add.is_empty() || !remove.is_empty() {
            copy.tag(id, add, remove)?;
            changed += 1;
        }
    }
    if changed > 0 {
        copy.refresh()?;
    }
    Ok(changed)
}
