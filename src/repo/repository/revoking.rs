//! Revoking: a principal's end, and an epoch whose keys it does not get.
//!
//! Several admins may do this at once, and any of them may die on the way. So each draws keys of its own and offers them under
//! names that only these keys have; nothing is ever replaced. Which of them are the epoch's, the log's EPOCH says, and
//! it is entered only right behind a state of the log in which whoever was offered the keys, and nobody else, is active.

use super::{Error, Repository, slots};
use crate::repo::frame;
use crate::repo::id::{PrincipalId, SnapshotId, WriterId};
use crate::repo::keys::epoch::{EpochKeys, key_set, wrap_epoch};
use crate::repo::log::{self, Cert, Decision};
use crate::repo::names::Name;
use crate::repo::wire;
use crate::store::Put;
use std::collections::{BTreeMap, BTreeSet};

/// Keys that may come to be the next epoch's, and who was given them.
struct Offer {
    keys: EpochKeys,
    given: BTreeSet<PrincipalId>,
}

impl Repository {
    /// Ends a principal: its snapshots so far stay, nothing later counts, and a new epoch's keys, which it does not get,
    /// seal whatever comes. Its slots are removed.
    ///
    /// # Errors
    /// When this is not an admin's bundle, the principal is unknown or one's own, or the store fails. Then it can be tried again.
    pub fn revoke(&mut self, id: PrincipalId, reason: &str) -> Result<(), Error> {
        if !self.bundle.role().may_certify() {
            return Err(Error::Role { role: self.bundle.role(), action: "revoking a principal" });
        }
        if self.log.state.trust().principal(&id).is_none() {
            return Err(Error::Principal { principal: id, why: "unknown" });
        }
        if id == self.bundle.principal_id() {
            return Err(Error::Principal { principal: id, why: "the one in use: nobody revokes itself" });
        }
        let mut offer = None;
        while !self.shut_out(&id) {
            let keys = self.offer(&id, &mut offer)?;
            // An earlier attempt, or another admin, may have come this far.
            let decision = if self.log.state.trust().active(&id).is_some() {
                Decision::Revoke { principal: id, accepted: self.heads_of(&id), reason: reason.to_owned() }
            } else {
                let action = "starting an epoch";
                let read = keys.read_public().ok_or(Error::Role { role: self.bundle.role(), action })?;
                Decision::Epoch { epoch: keys.epoch, read }
            };
            self.enter(&decision)?;
        }
        self.refresh()?;
        self.publish()?;
        for (slot, _) in self.slot_headers()?.into_iter().filter(|(_, header)| header.principal == id) {
            slots::remove(&*self.store, slot)?;
        }
        // An attempt before may have removed the others, and died before that was durable.
        Ok(slots::settle(&*self.store, self.slot)?)
    }

    /// Whether a principal is revoked and an epoch began without it.
    fn shut_out(&self, id: &PrincipalId) -> bool {
        let trust = self.log.state.trust();
        let revocation = trust.principal(id).and_then(|principal| principal.revoked.as_ref());
        revocation.is_some_and(|end| trust.epochs().values().any(|start| start.position > end.position))
    }

    /// A principal of this label whose revocation was entered but not carried through, so that it can be done again.
    ///
    /// # Errors
    /// When the slots cannot be listed.
    pub fn half_revoked(&self, label: &str) -> Result<Option<PrincipalId>, Error> {
        let headers = self.slot_headers()?;
        let left = |id: &PrincipalId| !self.shut_out(id) || headers.iter().any(|(_, header)| header.principal == *id);
        let mut principals = self.log.state.trust().principals().iter();
        let found =
            principals.find(|(id, principal)| principal.revoked.is_some() && principal.cert.label == label && left(id));
        Ok(found.map(|(id, _)| *id))
    }

    /// Everybody who is active, but for one.
    fn staying(&self, but: Option<&PrincipalId>) -> BTreeMap<PrincipalId, Cert> {
        let all = self.log.state.trust().principals().iter();
        let active = all.filter(|(id, principal)| but != Some(id) && principal.revoked.is_none());
        active.map(|(id, principal)| (*id, principal.cert.clone())).collect()
    }

    /// The newest record of each of a principal's writers, and all that were copied: of those nobody says that their chains are whole.
    fn heads_of(&self, id: &PrincipalId) -> Vec<(WriterId, SnapshotId)> {
        let heads = self.view.heads().into_iter();
        let own =
            heads.filter(|(_, head)| self.view.snapshots.get(head).is_some_and(|snapshot| snapshot.principal == *id));
        let copied = self.view.snapshots.iter().filter(|(_, snapshot)| snapshot.copied && snapshot.principal == *id);
        own.chain(copied.map(|(copy, snapshot)| (snapshot.record.link().session.writer, *copy))).collect()
    }

    /// Keys for the next epoch that everybody who stays without `but` was given, and nobody else. An offer made before is
    /// completed, if nobody whom it reached has been revoked since.
    fn offer<'a>(&self, but: &PrincipalId, offer: &'a mut Option<Offer>) -> Result<&'a EpochKeys, Error> {
        let stay = self.staying(Some(but));
        let epoch = self.log.state.trust().epoch() + 1;
        let mut now = offer
            .take()
            .filter(|offer| offer.keys.epoch == epoch && offer.given.iter().all(|given| stay.contains_key(given)))
            .map_or_else(|| self.draw(), Ok)?;
        for (other, cert) in &stay {
            if !now.given.contains(other) {
                self.give(&now.keys, other, cert)?;
                now.given.insert(*other);
            }
        }
        Ok(&offer.insert(now).keys)
    }

    fn draw(&self) -> Result<Offer, Error> {
        Ok(Offer { keys: self.bundle.next_epoch()?, given: BTreeSet::new() })
    }

    /// Puts an epoch's keys for one principal.
    fn give(&self, keys: &EpochKeys, to: &PrincipalId, cert: &Cert) -> Result<(), Error> {
        let action = "handing out keys";
        let read = keys.read_public().ok_or(Error::Role { role: self.bundle.role(), action })?;
        let name = Name::EpochOffer { epoch: keys.epoch, set: key_set(&read), principal: *to };
        if self.put_keys(name, keys, to, cert)? {
            return Ok(());
        }
        // The name is as fresh as the keys: somebody who watches the store was faster on purpose.
        let source = wire::Error::Invalid("was put by somebody else just now; try again");
        Err(Error::Body { object: name.to_string(), source })
    }

    /// Whether the object that has the name is this one.
    fn put_keys(&self, name: Name, keys: &EpochKeys, to: &PrincipalId, cert: &Cert) -> Result<bool, Error> {
        let written = self.handing_out(&name, keys, to, cert)?;
        // "Exists" can be our own put, repeated.
        Ok(self.store.put(&name.object(), &written.stored)? == Put::Created
            || self.store.get(&name.object())? == written.stored)
    }

    fn handing_out(
        &self,
        name: &Name,
        keys: &EpochKeys,
        to: &PrincipalId,
        cert: &Cert,
    ) -> Result<frame::Written, Error> {
        let action = "handing out keys";
        let key = self.bundle.admin_signing_key().ok_or(Error::Role { role: self.bundle.role(), action })?;
        let body = wrap_epoch(&self.bundle, keys, to, cert.role, &cert.sealing)?;
        Ok(frame::write(&self.id(), name, &body, None, &key))
    }

    /// The objects that hand out the keys of later epochs to those who were there before, each with the label of whom it is for.
    pub fn handed_out(&self) -> Vec<(Name, &str)> {
        let trust = self.log.state.trust();
        let of_epoch = |(epoch, start): (&u32, &log::trust::EpochStart)| {
            let (epoch, position) = (*epoch, start.position);
            let all = trust.principals().iter();
            let there = all.filter(move |(_, known)| known.revoked.is_none() && known.since < position);
            there.map(move |(id, known)| (Name::EpochKeys { epoch, principal: *id }, known.cert.label.as_str()))
        };
        trust.epochs().iter().flat_map(of_epoch).collect()
    }

    /// Hands out the keys of an epoch once more, because `keys/<epoch>/<to>` is lost. Returns the object's new bytes.
    ///
    /// # Errors
    /// When this is not an admin's bundle, or nobody active has this id, or the store fails.
    pub fn hand_out_again(&self, epoch: u32, to: &PrincipalId) -> Result<Vec<u8>, Error> {
        let known = self.log.state.trust().active(to).ok_or(Error::Principal { principal: *to, why: "unknown" })?;
        let name = Name::EpochKeys { epoch, principal: *to };
        let written = self.handing_out(&name, self.bundle.epoch(epoch)?, to, &known.cert)?;
        if self.store.put(&name.object(), &written.stored)? == Put::Exists {
            self.store.heal(&name.object(), &written.stored)?;
        }
        Ok(written.stored)
    }

    /// Puts the keys of the epoch in force also where they are looked for without knowing the log: a second copy for everybody.
    fn publish(&self) -> Result<(), Error> {
        let keys = self.bundle.current();
        for (principal, cert) in self.staying(None) {
            // One that is there already is this one, or nobody needs it.
            self.put_keys(Name::EpochKeys { epoch: keys.epoch, principal }, keys, &principal, &cert)?;
        }
        Ok(())
    }
}
