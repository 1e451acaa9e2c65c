//! Sealing to a public key: HPKE base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.

use super::{Error, secret::Secret, secret::SecretBytes, secret::random};
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_seal_with_rng,
};
use std::convert::Infallible;

type Kem = X25519HkdfSha256;

/// The number that names this key encapsulation mechanism in every wrap (RFC 9180, section 7.1).
pub const KEM_X25519: u16 = 0x0020;

/// A public key to seal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealingKey(pub [u8; 32]);

/// The secret half of a [`SealingKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningKey(pub Secret);

impl OpeningKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self(Secret::generate())
    }

    /// The public half.
    ///
    /// # Panics
    /// Never: every 32-byte string is an X25519 secret key.
    pub fn public(&self) -> SealingKey {
        let public = Kem::sk_to_pk(&self.private());
        SealingKey(public.to_bytes().into())
    }

    fn private(&self) -> <Kem as hpke::Kem>::PrivateKey {
        <Kem as hpke::Kem>::PrivateKey::from_bytes(self.0.expose())
            .expect("every 32-byte string is an X25519 secret key")
    }
}

/// Randomness from the one place where boveda has it from.
struct System;

impl TryRng for System {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(random()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(random()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        crate::system::fill_random(bytes);
        Ok(())
    }
}

impl TryCryptoRng for System {}

/// Seals `plaintext` to `to`; `info` binds the purpose. Returns the encapsulated key (32 bytes), then ciphertext and tag.
///
/// # Errors
/// [`Error::PublicKey`] when `to` is not a usable point.
pub fn seal(to: &SealingKey, info: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&to.0).map_err(|_| Error::PublicKey)?;
    let (encapsulated, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        b"",
        &mut System,
    )
    .map_err(|_| Error::PublicKey)?;
    let mut out = encapsulated.to_bytes().to_vec();
    out.extend_from_slice(&ciphertext);
    Ok(out)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`Error::Authentication`] when the key, `info` or any byte differs.
pub fn open(with: &OpeningKey, info: &[u8], sealed: &[u8]) -> Result<SecretBytes, Error> {
    open_with_aad(with, info, b"", sealed)
}

/// As [`open`] with associated data, which boveda never uses and published test vectors do.
pub(super) fn open_with_aad(with: &OpeningKey, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, Error> {
    let (encapsulated, ciphertext) = sealed.split_first_chunk::<32>().ok_or(Error::Authentication)?;
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| Error::Authentication)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeR::Base,
        &with.private(),
        &encapsulated,
        info,
        ciphertext,
        aad,
    )
    .map(SecretBytes::new)
    .map_err(|_| Error::Authentication)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_for_its_recipient_and_purpose_only() {
        let recipient = OpeningKey::generate();
        let sealed = seal(&recipient.public(), b"info", b"a data key").unwrap();
        assert_eq!(open(&recipient, b"info", &sealed).unwrap().expose(), b"a data key");
        assert!(open(&recipient, b"inf0", &sealed).is_err());
        assert!(open(&OpeningKey::generate(), b"info", &sealed).is_err());
        assert!(open(&recipient, b"info", &sealed[..31]).is_err());
    }
}
