//! What a copy of a repository takes over from the one that it is a copy of: who is who, whom they trust, which keys are in force.
//!
//! These are an admin's decisions, and an admin's keys enter them again in the copy's own log. What was decided about snapshots and
//! packs stays with each copy, but for what somebody asks for.

use super::{Error, Repository, slots};
use crate::repo::id::{PrincipalId, SnapshotId, WriterId};
use crate::repo::log::Decision;
use crate::repo::log::trust::Principal;
use crate::repo::session_view::Issue;

impl Repository {
    /// Enters here what the admins decided in `source`, another copy of this repository. Returns how many entries that took.
    ///
    /// # Errors
    /// When these are no admin's keys, this copy has decided otherwise by itself ([`Error::Diverged`]), or the store fails: then it can
    /// be done again.
    pub fn follow_standing(&mut self, source: &Self) -> Result<u64, Error> {
        if !self.bundle.role().may_certify() {
            return Err(Error::Role { role: self.bundle.role(), action: "entering an admin's decisions" });
        }
        let mut entered = 0;
        self.enter_all(|now| {
            let step = now.behind(source)?;
            entered += u64::from(step.is_some());
            Ok(step)
        })?;
        if entered > 0 {
            self.refresh()?;
            self.drop_slots_of_revoked()?;
        }
        Ok(entered)
    }

    /// The next of the admins' decisions in `source` that is not here yet.
    ///
    /// # Errors
    /// [`Error::Diverged`] when this copy has decided otherwise by itself.
    pub fn behind(&self, source: &Self) -> Result<Option<Decision>, Error> {
        let (here, there) = (self.log.state.trust(), source.log.state.trust());
        for (epoch, start) in here.epochs() {
            if there.epochs().get(epoch).is_none_or(|known| known.read != start.read) {
                let what = format!("epoch {epoch} began there with keys of its own");
                return Err(Error::Diverged { place: self.store.place(), what });
            }
        }
        let mut principals: Vec<(&PrincipalId, &Principal)> = there.principals().iter().collect();
        principals.sort_by_key(|(_, principal)| principal.since);
        for (id, principal) in &principals {
            let changed = match here.principal(id) {
                None => true,
                Some(known) => {
                    let ended = known.revoked.is_some() || principal.revoked.is_some();
                    !ended && known.cert != principal.cert
                }
            };
            if changed {
                return Ok(Some(Decision::Cert(principal.cert.clone())));
            }
        }
        for (id, principal) in &principals {
            if let (Some(end), Some(_)) = (&principal.revoked, here.active(id)) {
                let accepted = self.accepted_of(source, id);
                return Ok(Some(Decision::Revoke { principal: **id, accepted, reason: end.reason.clone() }));
            }
        }
        if let Some(body) = there.config().filter(|body| here.config() != Some(*body)) {
            return Ok(Some(Decision::Config(body.to_vec())));
        }
        let next = here.epoch() + 1;
        Ok(there.epochs().get(&next).map(|start| Decision::Epoch { epoch: next, read: start.read }))
    }

    /// The records of a principal that stay: those that `source` accepts, and those here that it has let go since. Each is named, since
    /// nobody says that chains are whole here.
    fn accepted_of(&self, source: &Self, id: &PrincipalId) -> Vec<(WriterId, SnapshotId)> {
        let rejected = |snapshot: &SnapshotId| source.view.issues.contains(&Issue::Revoked(*snapshot));
        let all = source.view.snapshots.iter().chain(&self.view.snapshots);
        let theirs = all.filter(|(snapshot, known)| known.principal == *id && !rejected(snapshot));
        let mut accepted: Vec<_> =
            theirs.map(|(snapshot, known)| (known.record.link().session.writer, *snapshot)).collect();
        accepted.sort_unstable();
        accepted.dedup();
        accepted
    }

    /// Whoever was revoked has no slot.
    fn drop_slots_of_revoked(&self) -> Result<(), Error> {
        let trust = self.log.state.trust();
        for (slot, header) in self.slot_headers()? {
            if trust.principal(&header.principal).is_some_and(|known| known.revoked.is_some()) {
                slots::remove(&*self.store, slot)?;
            }
        }
        Ok(())
    }
}
