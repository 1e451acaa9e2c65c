//! Principals: who there is, adding them, and whom they trust.
//!
//! Every change of standing is an entry of the log; a slot only carries keys. So the entry comes first where a new
//! principal appears: a certificate without a slot is of no use to anyone, a slot without a certificate neither.

use super::{Error, Repository};
use crate::repo::id::{PrincipalId, SlotId};
use crate::repo::keys::credential::Credential;
use crate::repo::keys::role::Role;
use crate::repo::keys::slot::SlotHeader;
use crate::repo::log::{self, Cert, Decision};

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

    /// Makes a new principal with a slot that `credential` opens. One that an attempt before made so far is finished, or, if
    /// its keys died with that attempt, gives up its label.
    ///
    /// # Errors
    /// When this is not an admin's bundle, the label is taken, the credential opens another principal's keys, or the store fails.
    /// Then it can be tried again.
    pub fn add_member(&mut self, role: Role, label: &str, credential: &Credential) -> Result<NewMember, Error> {
        let mut bundle = self.bundle.grant(role)?;
        if let Some(made) = self.made_before(role, label, credential)? {
            return Ok(made);
        }
        self.refuse_shared(credential)?;
        let principal = bundle.principal();
        let cert = Cert {
            signing: principal.signing_key().public(),
            sealing: principal.sealing_key(),
            role,
            label: label.to_owned(),
            trusts: Vec::new(),
            may_attest: role.may_attest(),
        };
        let id = bundle.principal_id();
        self.enter_all(|now| {
            let certified = now.log.state.trust().principal(&id).is_some();
            if certified {
                Ok(None)
            } else {
                now.free_label(label).map(|freed| Some(Decision::Cert(freed.unwrap_or_else(|| cert.clone()))))
            }
        })?;
        // Another admin's epoch may have come before the certificate; later ones are handed out.
        for keys in self.bundle.epochs() {
            bundle.add_epoch(keys.clone())?;
        }
        Ok(NewMember { id, slot: self.put_slot(&bundle, credential)? })
    }

    /// A principal of this label and role that the credential opens already: an attempt before was done but for its answer.
    fn made_before(&self, role: Role, label: &str, credential: &Credential) -> Result<Option<NewMember>, Error> {
        for (id, cert) in self.labelled(label) {
            if cert.role == role
                && let Some(slot) = self.slot_opened_by(&id, credential)?
            {
                return Ok(Some(NewMember { id, slot }));
            }
        }
        Ok(None)
    }

    /// What must be entered before `label` is free: another label for a principal without a slot, as an attempt leaves it that
    /// died half-way.
    fn free_label(&self, label: &str) -> Result<Option<Cert>, Error> {
        let headers = self.slot_headers()?;
        let taken =
            Error::Label(format!("a principal with the label {label:?} exists already; choose another --label"));
        match self.labelled(label).next() {
            None if self.log.state.trust().principals().values().any(|known| known.cert.label == label) => Err(taken),
            None => Ok(None),
            Some((id, _)) if headers.iter().any(|(_, header)| header.principal == id) => Err(taken),
            Some((id, cert)) => {
                let label = format!("{label} (no slot, {})", &id.to_string()[..8]);
                Ok(Some(Cert { label, ..cert }))
            }
        }
    }

    /// The active principals of a label.
    fn labelled(&self, label: &str) -> impl Iterator<Item = (PrincipalId, Cert)> {
        let all = self.log.state.trust().principals().iter();
        let found = all.filter(move |(_, known)| known.revoked.is_none() && known.cert.label == label);
        found.map(|(id, known)| (*id, known.cert.clone()))
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
                let mut labels: Vec<String> = active().map(|(_, cert)| cert.label).collect();
                labels.sort_unstable();
                Err(Error::Label(format!("no active principal is called {name:?}; there are: {}", labels.join(", "))))
            }
        }
    }

    /// Lets the principal `who` rely on the chunks of `whom`.
    ///
    /// # Errors
    /// When this is not an admin's bundle, one of the two is unknown or was revoked, or the store fails.
    pub fn trust(&mut self, who: PrincipalId, whom: PrincipalId) -> Result<(), Error> {
        self.enter_all(|now| {
            let active = |id: PrincipalId| {
                let known = now.log.state.trust().active(&id);
                known.ok_or(Error::Principal { principal: id, why: "unknown, or was revoked" })
            };
            let mut cert = active(who)?.cert.clone();
            active(whom)?;
            Ok(cert.trusts.binary_search(&whom).err().map(|at| {
                cert.trusts.insert(at, whom);
                Decision::Cert(cert)
            }))
        })
    }
}
