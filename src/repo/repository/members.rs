//! Principals and their slots: adding, trusting, revoking, and changing what opens a bundle.
//!
//! Every change of standing is an entry of the log; a slot only carries keys. So the entry comes first where a new
//! principal appears: a certificate without a slot is of no use to anyone, a slot without a certificate neither.

use super::{Error, Repository, slots};
use crate::event::{Event, Level};
use crate::repo::entry::Timestamp;
use crate::repo::frame;
use crate::repo::id::{PrincipalId, SlotId, SnapshotId, WriterId};
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::epoch::{EpochKeys, wrap_epoch};
use crate::repo::keys::role::Role;
use crate::repo::keys::slot::{self, Slot, SlotHeader};
use crate::repo::log::{self, Appended, Author, Cert, Decision};
use crate::repo::names::Name;
use crate::store::Put;
use std::collections::BTreeMap;

/// A principal with what anyone can see of its slots.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub id: PrincipalId,
    /// What the log says of it.
    pub cert: Cert,
    /// Why it was revoked, if it was.
    pub revoked: Option<String>,
    /// Its slots.
    pub slots: Vec<(SlotId, SlotHeader)>,
}

/// A principal that was just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMember {
    /// Its id.
    pub id: PrincipalId,
    /// Its slot.
    pub slot: SlotId,
}

impl Repository {
    /// Every principal, in the order of their certificates.
    ///
    /// # Errors
    /// When the slots cannot be listed.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        let headers = self.slot_headers()?;
        let mut members: Vec<_> = self.log.state.trust().principals().iter().collect();
        members.sort_by_key(|(_, principal)| principal.since);
        let member = |(id, principal): (&PrincipalId, &log::trust::Principal)| Member {
            id: *id,
            cert: principal.cert.clone(),
            revoked: principal.revoked.as_ref().map(|revocation| revocation.reason.clone()),
            slots: headers.iter().filter(|(_, header)| header.principal == *id).cloned().collect(),
        };
        Ok(members.into_iter().map(member).collect())
    }

    /// Every readable slot.
    ///
    /// # Errors
    /// When the slots cannot be listed.
    pub fn slot_headers(&self) -> Result<Vec<(SlotId, SlotHeader)>, Error> {
        let header = |(id, bytes): (SlotId, Vec<u8>)| Some((id, Slot::decode(&bytes).ok()?.header));
        Ok(slots::all(&*self.store)?.into_iter().filter_map(header).collect())
    }

    /// Makes a new principal with a slot that `credential` opens.
    ///
    /// # Errors
    /// When this is not an admin's bundle, the label is taken, or the store fails.
    pub fn add_member(&mut self, role: Role, label: &str, credential: &Credential) -> Result<NewMember, Error> {
        if self.log.state.trust().principals().values().any(|known| known.cert.label == label) {
            return Err(Error::Label(format!(
                "a principal with the label {label:?} exists already; choose another --label"
            )));
        }
        let bundle = self.bundle.grant(role)?;
        let principal = bundle.principal();
        let cert = Cert {
            signing: principal.signing_key().public(),
            sealing: principal.sealing_key(),
            role,
            label: label.to_owned(),
            trusts: Vec::new(),
            may_attest: role.may_attest(),
        };
        self.enter(&Decision::Cert(cert))?;
        Ok(NewMember { id: bundle.principal_id(), slot: self.put_slot(&bundle, credential)? })
    }

    /// Gives the principal in use another slot.
    ///
    /// # Errors
    /// When the store fails, or the credential is no good.
    pub fn add_slot(&self, credential: &Credential) -> Result<SlotId, Error> {
        self.put_slot(&self.bundle, credential)
    }

    fn put_slot(&self, bundle: &Bundle, credential: &Credential) -> Result<SlotId, Error> {
        let sealed = slot::seal(bundle, credential, Timestamp::now().seconds)?;
        Ok(slots::put(&*self.store, sealed)?)
    }

    /// Removes a slot: one's own, or as an admin anybody's. The last slot of the last admin stays.
    ///
    /// # Errors
    /// When the role does not allow it, the slot does not exist or must stay, or the store fails.
    pub fn remove_slot(&self, id: SlotId) -> Result<(), Error> {
        let headers = self.slot_headers()?;
        if let Some((_, header)) = headers.iter().find(|(found, _)| *found == id) {
            if header.principal != self.bundle.principal_id() && !self.bundle.role().may_certify() {
                return Err(Error::Role { role: self.bundle.role(), action: "removing another principal's slot" });
            }
            let admins = headers.iter().filter(|(_, other)| other.role == Role::Admin);
            if header.role == Role::Admin && admins.count() == 1 {
                return Err(Error::Slot { id, why: "is the last one of an admin; add another before you remove it" });
            }
        }
        slots::remove(&*self.store, id)
    }

    /// The active principal with this label, or whose id starts with it.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn member_named(&self, name: &str) -> Result<(PrincipalId, Cert), Error> {
        let active = || {
            let all = self.log.state.trust().principals().iter();
            all.filter(|(_, principal)| principal.revoked.is_none())
                .map(|(id, principal)| (*id, principal.cert.clone()))
        };
        let mut found: Vec<_> = active().filter(|(_, cert)| cert.label == name).collect();
        if found.is_empty() && name.len() >= 4 {
            found = active().filter(|(id, _)| id.to_string().starts_with(name)).collect();
        }
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => {
                Err(Error::Label(format!("several principals are called {name:?}; give an id instead")))
            }
            (None, _) => {
                let labels: Vec<String> = active().map(|(_, cert)| cert.label).collect();
                Err(Error::Label(format!("no active principal is called {name:?}; there are: {}", labels.join(", "))))
            }
        }
    }

    /// Lets the principal `who` rely on the chunks of `whom`.
    ///
    /// # Errors
    /// When this is not an admin's bundle, or the store fails.
    pub fn trust(&mut self, who: PrincipalId, whom: PrincipalId) -> Result<(), Error> {
        let known = self.log.state.trust().active(&who);
        let mut cert =
            known.map(|known| known.cert.clone()).ok_or(Error::Principal { principal: who, why: "unknown" })?;
        if let Err(at) = cert.trusts.binary_search(&whom) {
            cert.trusts.insert(at, whom);
            self.enter(&Decision::Cert(cert))?;
        }
        Ok(())
    }

    /// Ends a principal: its snapshots so far stay, nothing later counts, and a new epoch's keys, which it does not get,
    /// seal whatever comes. Its slots are removed.
    ///
    /// # Errors
    /// When this is not an admin's bundle, or the store fails. Then it can be tried again.
    pub fn revoke(&mut self, id: PrincipalId, reason: &str) -> Result<(), Error> {
        if !self.bundle.role().may_certify() {
            return Err(Error::Role { role: self.bundle.role(), action: "revoking a principal" });
        }
        if !self.shut_out(&id) {
            let keys = self.bundle.next_epoch()?;
            let stay = self.staying(&id);
            for (other, cert) in &stay {
                self.hand_out(&keys, other, cert)?;
            }
            // An earlier attempt may have come this far.
            if self.log.state.trust().active(&id).is_some() {
                let accepted = self.heads_of(&id);
                self.enter(&Decision::Revoke { principal: id, accepted, reason: reason.to_owned() })?;
            }
            let action = "starting an epoch";
            let read = keys.read_public().ok_or(Error::Role { role: self.bundle.role(), action })?;
            self.enter(&Decision::Epoch { epoch: keys.epoch, read })?;
            self.refresh()?;
            // Whom another admin certified meanwhile has only the keys of the epoch before.
            for (other, cert) in self.staying(&id).iter().filter(|(other, _)| !stay.contains_key(other)) {
                self.hand_out(&keys, other, cert)?;
            }
        }
        for (slot, _) in self.slot_headers()?.into_iter().filter(|(_, header)| header.principal == id) {
            slots::remove(&*self.store, slot)?;
        }
        Ok(())
    }

    /// Everybody who is active, but for one.
    fn staying(&self, but: &PrincipalId) -> BTreeMap<PrincipalId, Cert> {
        let all = self.log.state.trust().principals().iter();
        let active = all.filter(|(id, principal)| *id != but && principal.revoked.is_none());
        active.map(|(id, principal)| (*id, principal.cert.clone())).collect()
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

    /// Whether a principal is revoked and an epoch began without it.
    fn shut_out(&self, id: &PrincipalId) -> bool {
        let trust = self.log.state.trust();
        let revocation = trust.principal(id).and_then(|principal| principal.revoked.as_ref());
        revocation.is_some_and(|end| trust.epochs().values().any(|start| start.position > end.position))
    }

    /// The newest record of each of a principal's writers.
    fn heads_of(&self, id: &PrincipalId) -> Vec<(WriterId, SnapshotId)> {
        let heads = self.view.heads().into_iter();
        heads
            .filter(|(_, head)| self.view.snapshots.get(head).is_some_and(|snapshot| snapshot.principal == *id))
            .collect()
    }

    /// Puts an epoch's keys for one principal. What an attempt left that died is replaced: no log entry ever counted on it.
    fn hand_out(&self, keys: &EpochKeys, to: &PrincipalId, cert: &Cert) -> Result<(), Error> {
        let (name, written) = self.handing_out(keys, to, cert)?;
        if self.store.put(&name.object(), &written.stored)? == Put::Exists {
            self.store.delete(&name.object())?;
            self.store.put(&name.object(), &written.stored)?;
        }
        Ok(())
    }

    fn handing_out(&self, keys: &EpochKeys, to: &PrincipalId, cert: &Cert) -> Result<(Name, frame::Written), Error> {
        let action = "handing out keys";
        let key = self.bundle.admin_signing_key().ok_or(Error::Role { role: self.bundle.role(), action })?;
        let body = wrap_epoch(&self.bundle, keys, to, cert.role, &cert.sealing)?;
        let name = Name::EpochKeys { epoch: keys.epoch, principal: *to };
        Ok((name, frame::write(&self.id(), &name, &body, None, &key)))
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
        let (name, written) = self.handing_out(self.bundle.epoch(epoch)?, to, &known.cert)?;
        if self.store.put(&name.object(), &written.stored)? == Put::Exists {
            self.store.heal(&name.object(), &written.stored)?;
        }
        Ok(written.stored)
    }

    /// Enters a decision in the log, at whatever position turns out to be the next.
    fn enter(&mut self, decision: &Decision) -> Result<(), Error> {
        let author_key = self.bundle.principal().signing_key();
        let author = Author { principal: self.bundle.principal_id(), key: &author_key };
        loop {
            let time = Timestamp::now().seconds;
            match log::append(&*self.store, &self.log, (decision, time), author, self.sealing())? {
                Appended::Done { state, second_copy } => {
                    self.log.state = *state;
                    if let Some(error) = second_copy {
                        let text = format!("the decision stands, but its second copy is missing so far: {error}");
                        self.events.emit(Event::Message(Level::Warning, text));
                    }
                    return Ok(());
                }
                // Somebody was faster: what they decided may change what this may be.
                Appended::Taken => self.refresh()?,
            }
        }
    }
}
