//! Who is who: the admin's part of the fold. Principals, revocations, epochs, the config in force.

use super::entry::{Cert, Right};
use crate::crypto::hpke::SealingKey;
use crate::repo::id::{PrincipalId, SnapshotId, WriterId};
use crate::repo::keys::epoch::FIRST_EPOCH;
use crate::repo::keys::role::Role;
use std::collections::BTreeMap;

/// A certified principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its newest certificate.
    pub cert: Cert,
    /// Position of its first one.
    pub since: u64,
    /// Its end, if it came.
    pub revoked: Option<Revocation>,
}

/// How a principal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Position of the REVOKE.
    pub position: u64,
    /// Its time.
    pub time: i64,
    /// The last records that stay, with all before them.
    pub accepted: Vec<(WriterId, SnapshotId)>,
    /// Why, for people.
    pub reason: String,
}

/// A generation of keys after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// Position of the EPOCH.
    pub position: u64,
    /// Its time.
    pub time: i64,
    /// What data keys are wrapped to.
    pub read: SealingKey,
}

/// The admin's part of the fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    pub(super) principals: BTreeMap<PrincipalId, Principal>,
    pub(super) epoch: u32,
    pub(super) epochs: BTreeMap<u32, EpochStart>,
    pub(super) config: Option<Vec<u8>>,
}

impl Trust {
    pub(super) const fn new() -> Self {
        Self { principals: BTreeMap::new(), epoch: FIRST_EPOCH, epochs: BTreeMap::new(), config: None }
    }

    /// Every principal ever certified, the revoked ones too.
    pub const fn principals(&self) -> &BTreeMap<PrincipalId, Principal> {
        &self.principals
    }

    /// A principal.
    pub fn principal(&self, id: &PrincipalId) -> Option<&Principal> {
        self.principals.get(id)
    }

    /// A principal that was not revoked.
    pub fn active(&self, id: &PrincipalId) -> Option<&Principal> {
        self.principal(id).filter(|principal| principal.revoked.is_none())
    }

    /// The epoch in force.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Every epoch but the first, and where it began.
    pub const fn epochs(&self) -> &BTreeMap<u32, EpochStart> {
        &self.epochs
    }

    /// The public read key of an epoch; none for the first, which no entry begins.
    pub fn read_key(&self, epoch: u32) -> Option<SealingKey> {
        self.epochs.get(&epoch).map(|start| start.read)
    }

    /// The body of the config that overrides the founding one.
    pub fn config(&self) -> Option<&[u8]> {
        self.config.as_deref()
    }

    /// Whether an active principal has this right.
    pub fn has_right(&self, id: &PrincipalId, right: Right) -> bool {
        self.active(id).is_some_and(|principal| {
            let cert = &principal.cert;
            match right {
                Right::Certify => cert.role.may_certify(),
                Right::Maintain => cert.role.may_maintain(),
                Right::Attest => cert.role == Role::Admin || (cert.may_attest && cert.role.may_attest()),
            }
        })
    }

    /// Whether `me` relies on what `other` stores: itself, an admin, or somebody on its list; nobody who was revoked.
    pub fn relies_on(&self, me: &PrincipalId, other: &PrincipalId) -> bool {
        let Some(theirs) = self.active(other) else { return false };
        let listed = || self.active(me).is_some_and(|mine| mine.cert.trusts.binary_search(other).is_ok());
        me == other || theirs.cert.role == Role::Admin || listed()
    }
}
