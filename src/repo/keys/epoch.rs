//! The keys of one epoch, what of them a role may hold, and their wraps for principals (`keys/<epoch>/<principal id>`).
//!
//! The object's frame, signed by the admin, is not made here; a wrap alone proves only for whom it is, not from whom.

use super::Error;
use super::bundle::Bundle;
use super::role::Role;
use crate::crypto::hash;
use crate::crypto::hpke::{self, KEM_X25519, OpeningKey, SealingKey};
use crate::crypto::secret::{Secret, SecretBytes};
use crate::repo::id::{KeySetId, PrincipalId, RepositoryId};
use crate::repo::wire::{self, Decoder, Encoder, Extensions};

/// The number of a repository's first epoch.
pub const FIRST_EPOCH: u32 = 1;

/// The keys of one epoch, as far as a role may hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochKeys {
    /// The epoch's number, from [`FIRST_EPOCH`] on.
    pub epoch: u32,
    /// Seals small objects, tables and skeletons.
    pub index: Secret,
    /// What this holder can do with data keys.
    pub read: ReadAccess,
}

/// What a holder can do with data keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadAccess {
    /// Nothing: a maintainer.
    None,
    /// Wrap them for readers: a writer.
    Seal(SealingKey),
    /// Wrap and unwrap them: a reader, an admin.
    Open(OpeningKey),
}

impl EpochKeys {
    /// Fresh keys for a new epoch, complete.
    pub fn generate(epoch: u32) -> Self {
        Self { epoch, index: Secret::generate(), read: ReadAccess::Open(OpeningKey::generate()) }
    }

    /// The public read key, where held.
    pub fn read_public(&self) -> Option<SealingKey> {
        match &self.read {
            ReadAccess::None => None,
            ReadAccess::Seal(public) => Some(*public),
            ReadAccess::Open(secret) => Some(secret.public()),
        }
    }

    /// The secret read key, where held.
    pub const fn read_secret(&self) -> Option<&OpeningKey> {
        match &self.read {
            ReadAccess::Open(secret) => Some(secret),
            ReadAccess::None | ReadAccess::Seal(_) => None,
        }
    }

    /// What of these keys `role` may hold; `None` when they are not complete enough for that.
    pub(super) fn restricted_to(&self, role: Role) -> Option<Self> {
        let read = match role {
            Role::Maintainer => ReadAccess::None,
            Role::Writer => ReadAccess::Seal(self.read_public()?),
            Role::Reader | Role::Admin => ReadAccess::Open(self.read_secret()?.clone()),
        };
        Some(Self { epoch: self.epoch, index: self.index.clone(), read })
    }

    /// Appends epoch, index key, and the read key that the holder's role calls for.
    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.uint(u64::from(self.epoch)).raw(self.index.expose());
        match &self.read {
            ReadAccess::None => encoder,
            ReadAccess::Seal(public) => encoder.raw(&public.0),
            ReadAccess::Open(secret) => encoder.raw(secret.0.expose()),
        };
    }

    /// Reads what [`Self::encode`] wrote for `role`.
    pub(super) fn decode(decoder: &mut Decoder<'_>, role: Role) -> Result<Self, wire::Error> {
        let epoch = decoder.uint_as()?;
        if epoch < FIRST_EPOCH {
            return Err(wire::Error::Invalid("epochs count from 1"));
        }
        let index = Secret::new(decoder.array()?);
        let read = match role {
            Role::Maintainer => ReadAccess::None,
            Role::Writer => ReadAccess::Seal(SealingKey(decoder.array()?)),
            Role::Reader | Role::Admin => ReadAccess::Open(OpeningKey(Secret::new(decoder.array()?))),
        };
        Ok(Self { epoch, index, read })
    }
}

/// Which set of keys has this public read key: several admins may draw keys for one epoch, the log's EPOCH says which counts.
pub fn key_set(read: &SealingKey) -> KeySetId {
    let hash = hash::blake3(&[b"boveda v1 key set", &read.0[..]].concat());
    KeySetId(*hash.first_chunk().expect("BLAKE3 gives 32 bytes"))
}

const WHAT: &str = "the wrap of an epoch's keys";

/// Bytes of the plaintext at most, so that it is never moved while it grows.
const PLAIN_CAPACITY: usize = 5 + 32 + 32 + 1;

/// Wraps `keys` for the principal `to`, whose key `sealing` is: the body of `keys/<epoch>/<principal id>`.
///
/// # Errors
/// [`Error::NotAllowed`] when `granter` is no admin's bundle, or `keys` lack what `role` must get; [`Error::Crypto`] when
/// `sealing` is no valid key.
pub fn wrap_epoch(
    granter: &Bundle,
    keys: &EpochKeys,
    to: &PrincipalId,
    role: Role,
    sealing: &SealingKey,
) -> Result<Vec<u8>, Error> {
    let refused = Error::NotAllowed { role: granter.role(), action: "handing out an epoch's keys" };
    let part = keys.restricted_to(role).filter(|_| granter.role().may_certify()).ok_or(refused)?;
    let mut plain = Encoder::with_capacity(PLAIN_CAPACITY);
    part.encode(&mut plain);
    Extensions::default().encode(&mut plain);
    let plain = SecretBytes::new(plain.into_bytes());
    let info = info(&granter.repository(), keys.epoch, to, role);
    let sealed = hpke::seal(sealing, &info, plain.expose()).map_err(Error::crypto(WHAT))?;
    let mut body = Encoder::new();
    body.raw(&to.0).u8(role as u8).uint(u64::from(keys.epoch)).raw(&KEM_X25519.to_le_bytes()).bytes(&sealed);
    Extensions::default().encode(&mut body);
    Ok(body.into_bytes())
}

/// Opens a body that [`wrap_epoch`] made for this bundle's principal. The caller has checked the admin's signature.
///
/// # Errors
/// When it does not decode, is for somebody else or another role, or does not authenticate.
pub fn unwrap_epoch(body: &[u8], bundle: &Bundle) -> Result<EpochKeys, Error> {
    let (principal, role, epoch, kem, sealed) = Decoder::whole(body, |decoder| {
        let fields = (
            PrincipalId(decoder.array()?),
            decoder.u8()?,
            decoder.uint_as::<u32>()?,
            decoder.array()?,
            decoder.bytes()?,
        );
        Extensions::decode(decoder, &[])?;
        Ok(fields)
    })
    .map_err(Error::format(WHAT))?;
    let kem = u16::from_le_bytes(kem);
    if kem != KEM_X25519 {
        return Err(Error::crypto(WHAT)(crate::crypto::Error::UnknownKem(kem)));
    }
    if principal != bundle.principal_id() || role != bundle.role() as u8 {
        return Err(Error::NotAllowed { role: bundle.role(), action: "opening another principal's epoch keys" });
    }
    let info = info(&bundle.repository(), epoch, &principal, bundle.role());
    let plain = hpke::open(&bundle.principal().opening, &info, sealed).map_err(Error::crypto(WHAT))?;
    let keys = Decoder::whole(plain.expose(), |decoder| {
        let keys = EpochKeys::decode(decoder, bundle.role())?;
        Extensions::decode(decoder, &[])?;
        Ok(keys)
    })
    .map_err(Error::format(WHAT))?;
    if keys.epoch != epoch {
        return Err(Error::format(WHAT)(wire::Error::Invalid("two epoch numbers")));
    }
    Ok(keys)
}

fn info(repository: &RepositoryId, epoch: u32, principal: &PrincipalId, role: Role) -> Vec<u8> {
    let mut info = Encoder::new();
    info.bytes(b"boveda v1 epoch keys").raw(&repository.0).raw(&epoch.to_le_bytes()).raw(&principal.0).u8(role as u8);
    info.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn every_role_gets_its_part_of_a_new_epoch() {
        let admin = fixture::admin();
        let keys = admin.next_epoch().unwrap();
        for role in Role::ALL {
            let mut bundle = fixture::granted(role);
            let (to, sealing) = (bundle.principal_id(), bundle.principal().sealing_key());
            let body = wrap_epoch(&admin, &keys, &to, role, &sealing).unwrap();
            let got = unwrap_epoch(&body, &bundle).unwrap();
            assert_eq!(Some(&got), keys.restricted_to(role).as_ref());
            bundle.add_epoch(got).unwrap();
            assert_eq!(bundle.current_epoch(), 3);
        }
    }

    #[test]
    fn a_wrap_is_for_one_principal_in_one_role() {
        let admin = fixture::admin();
        let (writer, reader) = (fixture::granted(Role::Writer), fixture::granted(Role::Reader));
        let (to, sealing) = (writer.principal_id(), writer.principal().sealing_key());
        let body = wrap_epoch(&admin, &fixture::epoch(3), &to, Role::Writer, &sealing).unwrap();
        assert!(matches!(unwrap_epoch(&body, &reader), Err(Error::NotAllowed { .. })));
        for (position, what) in [(0, "principal"), (16, "role"), (17, "epoch"), (18, "kem"), (40, "sealed")] {
            let mut changed = body.clone();
            changed[position] ^= 3;
            assert!(unwrap_epoch(&changed, &writer).is_err(), "{what}");
        }
        for cut in 0..body.len() {
            assert!(unwrap_epoch(&body[..cut], &writer).is_err());
        }
    }

    #[test]
    fn only_complete_keys_of_an_admin_are_handed_out() {
        let (admin, reader) = (fixture::admin(), fixture::granted(Role::Reader));
        let (to, sealing) = (reader.principal_id(), reader.principal().sealing_key());
        let refused = |granter: &Bundle, keys: &EpochKeys| {
            matches!(wrap_epoch(granter, keys, &to, Role::Reader, &sealing), Err(Error::NotAllowed { .. }))
        };
        assert!(refused(&reader, &fixture::epoch(3)));
        assert!(refused(&admin, &fixture::epoch(3).restricted_to(Role::Writer).unwrap()));
        assert!(refused(&admin, &fixture::epoch(3).restricted_to(Role::Maintainer).unwrap()));
    }
}
