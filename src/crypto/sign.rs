//! Ed25519 signatures, each bound to a context that says what kind of thing was signed.

use super::{Error, secret::Secret};
use ed25519_dalek::Signer as _;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// What a signature is for. The name goes in front of the message, so that a signature on one kind of object is
/// worthless on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(pub &'static str);

/// A public signing key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Checks a signature strictly (no malleability, no weak keys). One that was found good once in this process is not calculated again: every
    /// look at a repository judges all of its sessions anew.
    ///
    /// # Errors
    /// [`Error::PublicKey`] or [`Error::Signature`].
    pub fn verify(&self, purpose: Purpose, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<(), Error> {
        let signed = prefixed(purpose, message);
        let seen = Good::name(self, &signed, signature);
        if GOOD.has(&seen) {
            return Ok(());
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| Error::PublicKey)?;
        key.verify_strict(&signed, &ed25519_dalek::Signature::from_bytes(signature)).map_err(|_| Error::Signature)?;
        GOOD.add(seen);
        Ok(())
    }
}

/// Signatures that were found good: hashes of key, signed bytes and signature together.
#[derive(Default)]
struct Good(Mutex<Option<HashSet<[u8; 32]>>>);

static GOOD: Good = Good(Mutex::new(None));

impl Good {
    /// So many are remembered, some 3 MiB; then it begins anew.
    const MOST: usize = 1 << 16;

    fn name(key: &PublicKey, signed: &[u8], signature: &[u8; SIGNATURE_LEN]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        // Both have one length, so no two triples give the same bytes.
        hasher.update(&key.0).update(signature).update(signed);
        *hasher.finalize().as_bytes()
    }

    fn has(&self, seen: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|good| good.contains(seen))
    }

    fn add(&self, seen: [u8; 32]) {
        let mut good = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = good.get_or_insert_default();
        if good.len() >= Self::MOST {
            good.clear();
        }
        good.insert(seen);
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:02x}{:02x}{:02x}{:02x}..)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// A secret signing key.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that a 32-byte seed stands for.
    pub fn from_seed(seed: &Secret) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.expose()))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` for `purpose`.
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(&prefixed(purpose, message)).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// The signed bytes: the purpose's length and name, then the BLAKE3 hash of the message, so that large messages are read once.
fn prefixed(purpose: Purpose, message: &[u8]) -> Vec<u8> {
    let name = purpose.0.as_bytes();
    let mut bytes = Vec::with_capacity(1 + name.len() + 32);
    bytes.push(u8::try_from(name.len()).expect("purposes are short"));
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(blake3::hash(message).as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_purpose_message_and_key_only() {
        let key = SigningKey::from_seed(&Secret::generate());
        let signature = key.sign(Purpose("a"), b"message");
        key.public().verify(Purpose("a"), b"message", &signature).unwrap();
        assert!(key.public().verify(Purpose("b"), b"message", &signature).is_err());
        assert!(key.public().verify(Purpose("a"), b"massage", &signature).is_err());
        let other = SigningKey::from_seed(&Secret::generate()).public();
        assert!(other.verify(Purpose("a"), b"message", &signature).is_err());
    }

    #[test]
    fn what_was_good_once_is_good_again_and_nothing_else_is() {
        let key = SigningKey::from_seed(&Secret::generate());
        let mut signature = key.sign(Purpose("a"), b"message");
        let good = Good::name(&key.public(), &prefixed(Purpose("a"), b"message"), &signature);
        assert!(!GOOD.has(&good));
        for _ in 0..2 {
            key.public().verify(Purpose("a"), b"message", &signature).unwrap();
            assert!(GOOD.has(&good));
        }
        signature[40] ^= 1;
        for _ in 0..2 {
            assert!(key.public().verify(Purpose("a"), b"message", &signature).is_err());
        }
    }

    #[test]
    fn as_many_are_remembered_as_are_allowed_to() {
        let good = Good::default();
        for number in 0..=Good::MOST as u64 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            good.add(name);
        }
        assert_eq!(good.0.lock().unwrap().as_ref().map(HashSet::len), Some(1));
    }
}
