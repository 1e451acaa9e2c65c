//! What was decided about snapshots and packs: the maintainers' and readers' part of the fold.

use super::entry::{Part, Verdict};
use crate::repo::id::{CensusId, HoldId, PackId, PrincipalId, SnapshotId, WriterId};
use crate::repo::names::SessionName;
use std::collections::{BTreeMap, BTreeSet};

/// A stop of forget and prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who asked for it.
    pub asked_by: PrincipalId,
    /// Why, for people.
    pub reason: String,
    /// Position of the HOLD.
    pub position: u64,
    /// Its time.
    pub time: i64,
}

/// How a snapshot's tags differ from its record's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Tags that it has beside them.
    pub added: BTreeSet<String>,
    /// Tags of the record that it has no more.
    pub removed: BTreeSet<String>,
}

/// The newest CHECKPOINT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub number: u64,
    /// Its census.
    pub census: CensusId,
    /// Its position.
    pub position: u64,
    /// Its time: the receipt of what it lists first.
    pub time: i64,
}

/// What was decided about snapshots and packs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Pending CONDEMNs, with the position of the newest.
    pub condemned: BTreeMap<Part, u64>,
    /// What each CONDEMN that is still pending says it marked, without what was forgotten and brought back since.
    pub marks: BTreeMap<u64, BTreeSet<SnapshotId>>,
    /// Everything that was ever FINAL, and where.
    pub finals: BTreeMap<Part, u64>,
    /// Packs that were found damaged beyond repair: no place in them is good.
    pub suspects: BTreeSet<PackId>,
    /// Forgotten snapshots, and where.
    pub forgotten: BTreeMap<SnapshotId, u64>,
    /// Holds in force.
    pub holds: BTreeMap<HoldId, Hold>,
    /// Changed tags.
    pub tags: BTreeMap<SnapshotId, TagChange>,
    /// Who attested which end of which session.
    pub attests: BTreeSet<(SessionName, [u8; 32], PrincipalId)>,
    /// What RESOLVE says about sessions: COMMIT and ABORT.
    pub resolved: BTreeMap<SessionName, Verdict>,
    /// Records that chains lack with leave.
    pub gaps: BTreeSet<(WriterId, SnapshotId)>,
    /// The newest CHECKPOINT.
    pub checkpoint: Option<Checkpoint>,
}

impl Ledger {
    /// Whether a pack counts as absent although it may be there: condemned, or ever FINAL.
    pub fn pack_absent(&self, pack: &PackId) -> bool {
        let whole = Part { pack: *pack, segment: None };
        self.condemned.contains_key(&whole) || self.finals.contains_key(&whole)
    }

    /// Whether a pack, or any part of it, counts as absent. Who stores or prunes by whole packs asks this: of a pack that somebody
    /// gives up a part of, nothing is relied on.
    pub fn any_absent(&self, pack: &PackId) -> bool {
        let parts = Part { pack: *pack, segment: None }..=Part { pack: *pack, segment: Some(u32::MAX) };
        self.condemned.range(parts.clone()).next().is_some() || self.finals.range(parts).next().is_some()
    }

    /// Whether one segment counts as absent, alone or with its pack.
    pub fn segment_absent(&self, pack: &PackId, segment: u32) -> bool {
        let part = Part { pack: *pack, segment: Some(segment) };
        self.pack_absent(pack) || self.condemned.contains_key(&part) || self.finals.contains_key(&part)
    }

    /// Whether a pack was ever FINAL: it is never healed and never relied on again.
    pub fn ever_final(&self, pack: &PackId) -> bool {
        self.finals.contains_key(&Part { pack: *pack, segment: None })
    }

    /// The position of what made a pack FINAL, if anything did.
    pub fn final_since(&self, pack: &PackId) -> Option<u64> {
        self.finals.get(&Part { pack: *pack, segment: None }).copied()
    }

    /// Whether a snapshot was forgotten, and not taken back.
    pub fn is_forgotten(&self, snapshot: &SnapshotId) -> bool {
        self.forgotten.contains_key(snapshot)
    }

    /// Whether a new session may take over this snapshot's subtrees without walking them: it is not forgotten, and every
    /// pending CONDEMN says that it marked it.
    pub fn reusable_parent(&self, snapshot: &SnapshotId) -> bool {
        !self.is_forgotten(snapshot) && self.marks.values().all(|marked| marked.contains(snapshot))
    }

    /// The number of the newest checkpoint, 0 if there is none.
    pub fn checkpoint_number(&self) -> u64 {
        self.checkpoint.map_or(0, |checkpoint| checkpoint.number)
    }

    /// Forgets the marks of CONDEMNs that nothing is pending of.
    pub(super) fn drop_spent_marks(&mut self) {
        let pending: BTreeSet<u64> = self.condemned.values().copied().collect();
        self.marks.retain(|position, _| pending.contains(position));
    }
}
