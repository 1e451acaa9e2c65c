//! What follows from what there is: which snapshots are valid and alive, which idx count, which places are good.

use crate::broken::Broken;
use crate::sets::{Chunks, Packs, Places, Sessions, Set, Snapshots};
use crate::setup::Setup;
use crate::state::{BOTH, End, OLD, SESSIONS, STRANGE, State};

/// The number of the admin among the owners of snapshots; the writers are 0 and 1.
const ADMIN: usize = 2;

/// A state, seen under the rules of a setup.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub setup: &'a Setup,
    pub state: &'a State,
}

/// Whether a watermark covers a session.
pub fn covers(watermark: [u8; 2], session: usize) -> bool {
    usize::from(watermark[session / 2]) > session % 2
}

/// The pack that a session uploads.
pub fn pack_of(session: usize) -> usize {
    2 + session
}

/// The session that a pack was uploaded by, if it was one.
pub fn session_of(pack: usize) -> Option<usize> {
    (pack_of(0)..pack_of(SESSIONS)).contains(&pack).then(|| pack - pack_of(0))
}

/// Whose a snapshot is.
fn owner(snapshot: usize) -> usize {
    if snapshot == OLD { ADMIN } else { snapshot / 2 }
}

impl View<'_> {
    /// Whether this rule is left out.
    pub fn breaks(&self, rule: Broken) -> bool {
        self.setup.breaks(rule)
    }

    /// Whether the newest CHECKPOINT covers a session.
    pub fn covered(&self, session: usize) -> bool {
        covers(self.state.watermark, session)
    }

    /// Whether a session's commit counts by its register (I2, I10): not once a CHECKPOINT covers it.
    pub fn commit_counts(&self, session: usize) -> bool {
        self.state.end[session] == End::Commit && (self.breaks(Broken::VoidCounts) || !self.covered(session))
    }

    /// Whether a snapshot exists (I2): the newest census lists it, or its `end` is a commit above the watermark. A REVOKE rejects
    /// what its writer has.
    pub fn valid(&self, snapshot: usize) -> bool {
        if self.state.revoked && owner(snapshot) == 0 {
            return false;
        }
        self.state.census.has(snapshot) || snapshot < SESSIONS && self.commit_counts(snapshot)
    }

    /// All valid snapshots.
    pub fn valid_snapshots(&self) -> Snapshots {
        (0..=OLD).filter(|&snapshot| self.valid(snapshot)).fold(Set::EMPTY, |all, snapshot| all | Set::of(snapshot))
    }

    /// Snapshots that are valid and not forgotten: they must not lose anything.
    pub fn live(&self) -> Snapshots {
        self.valid_snapshots() - self.state.forgotten
    }

    /// The roots that prune marks from: live snapshots and pinned ones (I6, I12).
    pub fn roots(&self) -> Snapshots {
        let pinned = self.state.pin && !self.breaks(Broken::IgnoresPins);
        self.live() | if pinned { Set::of(OLD) } else { Set::EMPTY }
    }

    /// The chunks that a snapshot refers to.
    pub fn needs(&self, snapshot: usize) -> Chunks {
        let partial = self.setup.partial && snapshot < SESSIONS && snapshot.is_multiple_of(2);
        if partial { Set::of(0) } else { BOTH }
    }

    /// Whether a session's idx objects count (I11): if it has a commit above the watermark. A revoked writer's do (its places stay,
    /// though they are not good).
    pub fn idx_counts(&self, session: usize) -> bool {
        let revoked = self.state.revoked && session / 2 == 0 && self.breaks(Broken::RevokeRemovesPlaces);
        self.breaks(Broken::AnyIdxCounts) || self.commit_counts(session) && !revoked
    }

    /// The packs that the index knows: by the newest census, or by the idx of a session above it (I11).
    pub fn indexed(&self) -> Packs {
        let gone = if self.state.revoked && self.breaks(Broken::RevokeRemovesPlaces) {
            Set::of(pack_of(0)) | Set::of(pack_of(1))
        } else {
            Set::EMPTY
        };
        (0..SESSIONS)
            .filter(|&session| self.idx_counts(session))
            .fold(self.state.census_idx - gone, |all, session| all | self.state.idx[session])
    }

    /// What these packs hold, or held.
    pub fn places(&self, packs: Packs) -> Places {
        self.state.holds & Places::in_packs(packs)
    }

    /// The packs whose origin is good for a snapshot's owner: its own, the admin's, a trusted writer's, an attested session's.
    pub fn good(&self, snapshot: usize) -> Packs {
        let mut bad = Set::EMPTY;
        let trusted = owner(snapshot) == 0 && self.setup.a_trusts_stranger;
        if !trusted && !self.state.attested {
            bad |= Set::of(STRANGE);
        }
        if self.state.revoked {
            bad |= Set::of(pack_of(0)) | Set::of(pack_of(1));
        }
        Set(u8::MAX) - bad
    }

    /// Sessions that are open, not resolved, and above the watermark.
    pub fn unresolved(&self) -> Sessions {
        self.state.open.members().filter(|&session| self.vacant(session)).fold(Set::EMPTY, |all, s| all | Set::of(s))
    }

    /// Whether a session above the watermark has no `end`.
    pub fn vacant(&self, session: usize) -> bool {
        self.state.end[session] == End::Vacant && !self.covered(session)
    }

    /// Whether prune may do without `places` (I4, I6): every chunk there that a snapshot of `roots` refers to has a place among
    /// `others` that is good for that snapshot's owner.
    pub fn dispensable(&self, places: Places, roots: Snapshots, others: Packs, absent: Places) -> bool {
        let others = self.places(others) - absent;
        let has_other = |snapshot: usize| {
            let good = if self.breaks(Broken::PrunerTrustsAll) { Set(u8::MAX) } else { self.good(snapshot) };
            (places.chunks() & self.needs(snapshot)).within((others & Places::in_packs(good)).chunks())
        };
        if self.breaks(Broken::PrunerTrustsForOne) {
            return roots.is_empty() || roots.members().any(has_other);
        }
        roots.members().all(has_other)
    }

    /// Whether all that a snapshot refers to can still be read: from packs that are there, indexed, and hold what they claim.
    pub fn readable(&self, snapshot: usize) -> bool {
        let trusted = owner(snapshot) == 0 && self.setup.a_trusts_stranger;
        let mut packs = self.state.present & self.indexed();
        if !self.state.strange_is_true && !trusted {
            packs -= Set::of(STRANGE);
        }
        self.needs(snapshot).within(self.places(packs).chunks())
    }
}
