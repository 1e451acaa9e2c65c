//! A principal's own secrets: what makes it this one person or machine and no other. Nothing of the repository's keys.

use crate::crypto::hpke::{OpeningKey, SealingKey};
use crate::crypto::secret::Secret;
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::crypto::{context, hash};
use crate::repo::id::PrincipalId;

/// The secrets of one principal, drawn once and the same in all of its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalKeys {
    /// Seed of its Ed25519 key.
    pub(super) seed: Secret,
    /// Its X25519 key: new epochs' keys are sealed to it.
    pub(super) opening: OpeningKey,
    /// What its installations' keys and the key of its change cache come from.
    pub(super) secret: Secret,
}

impl PrincipalKeys {
    /// A new principal.
    pub fn generate() -> Self {
        Self { seed: Secret::generate(), opening: OpeningKey::generate(), secret: Secret::generate() }
    }

    /// Its name: hash of both public keys.
    pub fn id(&self) -> PrincipalId {
        principal_id(&self.signing_key().public(), &self.sealing_key())
    }

    /// What it signs with: its installations' certificates, its log entries.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed)
    }

    /// What others seal to it with.
    pub fn sealing_key(&self) -> SealingKey {
        self.opening.public()
    }

    /// The key that seals its change-detection caches.
    pub fn change_cache_key(&self) -> Secret {
        hash::derive_key(context::CHANGE_CACHE, &self.secret)
    }
}

/// The id of the principal with these public keys: the first 16 bytes of BLAKE3 over both.
///
/// A CERT whose keys give another id than it names must be refused.
pub fn principal_id(signing: &PublicKey, sealing: &SealingKey) -> PrincipalId {
    let digest = hash::blake3(&[signing.0, sealing.0].concat());
    PrincipalId(*digest.first_chunk().expect("a digest has more than 16 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_depends_on_both_public_keys() {
        let keys = PrincipalKeys::generate();
        let other = PrincipalKeys::generate();
        let (signing, sealing) = (keys.signing_key().public(), keys.sealing_key());
        assert_eq!(keys.id(), principal_id(&signing, &sealing));
        assert_ne!(keys.id(), principal_id(&other.signing_key().public(), &sealing));
        assert_ne!(keys.id(), principal_id(&signing, &other.sealing_key()));
    }
}
