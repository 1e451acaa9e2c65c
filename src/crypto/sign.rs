//! Ed25519 signatures, each bound to a context that says what kind of thing was signed.

use super::{Error, secret::Secret};
use ed25519_dalek::Signer as _;

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
    /// Checks a signature strictly (no malleability, no weak keys).
    ///
    /// # Errors
    /// [`Error::PublicKey`] or [`Error::Signature`].
    pub fn verify(&self, purpose: Purpose, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<(), Error> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| Error::PublicKey)?;
        key.verify_strict(&prefixed(purpose, message), &ed25519_dalek::Signature::from_bytes(signature))
            .map_err(|_| Error::Signature)
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
}
