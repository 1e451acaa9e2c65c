//! What opens a bundle, changed: slots added, exchanged and removed.
//!
//! At no moment is there none: the new slot comes before the old one goes, and the last slot of an admin stays, also when two
//! remove each other's. Everything here can be done again after it was cut short; what was done already is found.

use super::{Error, Repository, slots};
use crate::repo::entry::Timestamp;
use crate::repo::id::{PrincipalId, SlotId};
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::credential::Credential;
use crate::repo::keys::role::Role;
use crate::repo::keys::slot::{self, Slot, SlotHeader, SlotKind};

impl Repository {
    /// Every readable slot.
    ///
    /// # Errors
    /// When the slots cannot be listed.
    pub fn slot_headers(&self) -> Result<Vec<(SlotId, SlotHeader)>, Error> {
        let header = |(id, bytes): (SlotId, Vec<u8>)| Some((id, Slot::decode(&bytes).ok()?.header));
        Ok(slots::all(&*self.store)?.into_iter().filter_map(header).collect())
    }

    /// Gives the principal in use another slot. One that the credential opens already is left as it is.
    ///
    /// # Errors
    /// When the store fails, or the credential is no good.
    pub fn add_slot(&self, credential: &Credential) -> Result<SlotId, Error> {
        match self.slot_opened_by(&self.bundle.principal_id(), credential)? {
            Some(id) => Ok(id),
            None => {
                self.refuse_shared(credential)?;
                self.put_slot(&self.bundle, credential)
            }
        }
    }

    /// Exchanges the slot in use for one that `credential` opens.
    ///
    /// # Errors
    /// When the store fails, or the credential is no good. One of the two opens the bundle then, or both.
    pub fn replace_slot(&self, credential: &Credential) -> Result<SlotId, Error> {
        let new = self.add_slot(credential)?;
        if new != self.slot {
            self.remove_slot(self.slot)?;
        }
        Ok(new)
    }

    /// Exchanges the recovery slots of the principal in use for one that `key` opens.
    ///
    /// # Errors
    /// When the store fails. The old key or the new one opens the bundle then, or both.
    pub fn replace_recovery(&self, key: &Credential) -> Result<SlotId, Error> {
        let new = self.add_slot(key)?;
        let me = self.bundle.principal_id();
        let old = |(id, header): &(SlotId, SlotHeader)| {
            header.kind == SlotKind::Recovery && header.principal == me && *id != new
        };
        for (id, _) in self.slot_headers()?.iter().filter(|slot| old(slot)) {
            self.remove_slot(*id)?;
        }
        Ok(new)
    }

    /// How many recovery slots the principal in use has beside the one that `key` opens; `None` if it opens none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn recovery_slots_beside(&self, key: &Credential) -> Result<Option<usize>, Error> {
        let me = self.bundle.principal_id();
        let Some(opened) = self.slot_opened_by(&me, key)? else { return Ok(None) };
        let beside = |(id, header): &(SlotId, SlotHeader)| {
            header.kind == SlotKind::Recovery && header.principal == me && *id != opened
        };
        Ok(Some(self.slot_headers()?.into_iter().filter(beside).count()))
    }

    /// The slot of a principal that `credential` opens. Its second copy is put if it is missing.
    pub(super) fn slot_opened_by(
        &self,
        principal: &PrincipalId,
        credential: &Credential,
    ) -> Result<Option<SlotId>, Error> {
        for (id, bytes) in slots::all(&*self.store)? {
            let Ok(slot) = Slot::decode(&bytes) else { continue };
            let theirs = slot.header.principal == *principal && slot.header.kind == credential.kind();
            // One that is damaged opens nothing, and so is not the one.
            if theirs && matches!(slot.open(&id, &self.id(), credential), Ok(Some(_))) {
                slots::complete(&*self.store, id)?;
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Refuses what opens an active principal's keys already, for another one's.
    ///
    /// # Errors
    /// [`Error::Shared`], or when the store fails.
    pub(super) fn refuse_shared(&self, credential: &Credential) -> Result<(), Error> {
        for (id, bytes) in slots::all(&*self.store)? {
            let Ok(slot) = Slot::decode(&bytes) else { continue };
            let Some(owner) = self.log.state.trust().active(&slot.header.principal) else { continue };
            if slot.header.kind == credential.kind() && matches!(slot.open(&id, &self.id(), credential), Ok(Some(_))) {
                return Err(Error::Shared { kind: credential.kind(), label: owner.cert.label.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn put_slot(&self, bundle: &Bundle, credential: &Credential) -> Result<SlotId, Error> {
        let sealed = slot::seal(bundle, credential, Timestamp::now().seconds)?;
        Ok(slots::put(&*self.store, sealed)?)
    }

    /// Removes a slot: one's own, or as an admin anybody's. The last slot of the last admin stays.
    ///
    /// # Errors
    /// When the role does not allow it, the slot does not exist or must stay, or the store fails.
    pub fn remove_slot(&self, id: SlotId) -> Result<(), Error> {
        let headers = self.slot_headers()?;
        let header = headers.iter().find(|(found, _)| *found == id).map(|(_, header)| header);
        if let Some(header) = header {
            if header.principal != self.bundle.principal_id() && !self.bundle.role().may_certify() {
                return Err(Error::Role { role: self.bundle.role(), action: "removing another principal's slot" });
            }
            if self.opens_an_admin(header) {
                if !headers.iter().any(|(other, header)| *other != id && self.opens_an_admin(header)) {
                    let why = "is the last one of an admin; add another before you remove it";
                    return Err(Error::Slot { id, why });
                }
                return self.remove_beside_others(id);
            }
        }
        slots::remove(&*self.store, id)
    }

    /// Removes an admin's slot in two steps, so that of two that are removed at once at least one sees the other go: a slot
    /// without its second copy is on its way out, and none to rely on.
    fn remove_beside_others(&self, id: SlotId) -> Result<(), Error> {
        slots::mark(&*self.store, id)?;
        let whole = slots::whole(&*self.store)?;
        let relied_on = |(other, header): &(SlotId, SlotHeader)| whole.contains(other) && self.opens_an_admin(header);
        if self.slot_headers()?.iter().any(relied_on) {
            return slots::remove(&*self.store, id);
        }
        slots::complete(&*self.store, id)?;
        let why = "stays: no other slot of an admin is whole; another one is being removed, or that was cut short. \
                   Add a slot, or remove the other one, then try again";
        Err(Error::Slot { id, why })
    }

    /// Whether a slot holds keys of an admin who was not revoked.
    fn opens_an_admin(&self, header: &SlotHeader) -> bool {
        header.role == Role::Admin && self.log.state.trust().active(&header.principal).is_some()
    }
}
