//! A limit of size: what the rules keep goes all the same, the oldest first, until the rest fits.

use super::{Group, Reason, Verdict};
use crate::repo::entry::Timestamp;
use crate::repo::id::SnapshotId;
use std::collections::BTreeSet;

/// Who stays longest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Those that no limit of size removes.
    pub protected: Vec<SnapshotId>,
    /// The others that the rules keep, newest first.
    pub by_age: Vec<SnapshotId>,
}

impl Order {
    /// The order of all that stays in `groups`: a group's last good snapshot, and what stays for another reason than its
    /// age, is protected.
    pub fn of(groups: &[Group]) -> Self {
        let (mut protected, mut by_age): (Vec<SnapshotId>, Vec<(Timestamp, SnapshotId)>) = (Vec::new(), Vec::new());
        for group in groups {
            for one in &group.snapshots {
                let Verdict::Keep(reasons) = &one.verdict else { continue };
                let aged = |reason: &Reason| {
                    !matches!(
                        reason,
                        Reason::Tags(_) | Reason::Future | Reason::Unfinished | Reason::LastGood | Reason::NotNamed
                    )
                };
                if group.last_good == Some(one.id) || !reasons.iter().all(aged) {
                    protected.push(one.id);
                } else {
                    by_age.push((one.time, one.id));
                }
            }
        }
        by_age.sort_by_key(|&aged| std::cmp::Reverse(aged));
        Self { protected, by_age: by_age.into_iter().map(|(_, id)| id).collect() }
    }
}

/// Which of `by_age` go so that the rest takes no more than `limit` bytes, when `fixed` bytes are taken whatever happens, and
/// each of them takes so many beside all that stand before it. Returns whether the rest fits.
pub fn over_budget(fixed: u64, by_age: &[(SnapshotId, u64)], limit: u64) -> (BTreeSet<SnapshotId>, bool) {
    let mut sum = fixed;
    let stays = |(_, bytes): &&(SnapshotId, u64)| {
        sum = sum.saturating_add(*bytes);
        sum <= limit
    };
    let stay = by_age.iter().take_while(stays).count();
    (by_age[stay..].iter().map(|(id, _)| *id).collect(), fixed <= limit)
}
