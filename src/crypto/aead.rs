//! The two cipher suites: one call seals, one opens; a fresh key per message, so nonces cannot collide in practice.
//!
//! Suite 1 is XChaCha20-Poly1305 under the 24-byte nonce. Suite 2 is AES-256-GCM under a key derived from the sealing
//! key and the 24-byte nonce, with GCM's own 96-bit nonce zero: each message has its own key.

use super::{Error, context, hash, secret::Secret, secret::random};
use aws_lc_rs::aead as gcm;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use std::ops::Range;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 24;
/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;
/// What sealing adds to a plaintext: nonce before, tag after.
pub const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// A cipher suite; its number is part of every sealed thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Suite {
    /// XChaCha20-Poly1305.
    XChaCha20Poly1305 = 1,
    /// AES-256-GCM with a key per message.
    Aes256Gcm = 2,
}

impl Suite {
    /// The suite that this machine runs fastest: AES-GCM with AES instructions, else XChaCha20-Poly1305.
    pub fn fastest_here() -> Self {
        #[cfg(target_arch = "x86_64")]
        let has_aes = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let has_aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let has_aes = false;
        if has_aes { Self::Aes256Gcm } else { Self::XChaCha20Poly1305 }
    }
}

impl TryFrom<u8> for Suite {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        match number {
            1 => Ok(Self::XChaCha20Poly1305),
            2 => Ok(Self::Aes256Gcm),
            other => Err(Error::UnknownSuite(other)),
        }
    }
}

/// A 192-bit nonce from fresh randomness, the key and the content together: were the generator ever to repeat itself,
/// only equal contents under equal keys would share a nonce.
pub fn hedged_nonce(key: &Secret, content: &[u8]) -> [u8; NONCE_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key(context::NONCE);
    hasher.update(&random::<32>());
    hasher.update(key.expose());
    hasher.update(&hash::blake3(content));
    let mut nonce = [0; NONCE_LEN];
    hasher.finalize_xof().fill(&mut nonce);
    nonce
}

/// Seals `plaintext`: returns nonce, ciphertext and tag, one after another.
pub fn seal(suite: Suite, key: &Secret, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    seal_with_nonce(suite, key, &hedged_nonce(key, plaintext), aad, plaintext)
}

/// As [`seal`] with a given nonce: for test vectors. Never seal two messages under one nonce.
pub fn seal_with_nonce(suite: Suite, key: &Secret, nonce: &[u8; NONCE_LEN], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD);
    out.extend_from_slice(nonce);
    out.extend_from_slice(plaintext);
    let message = &mut out[NONCE_LEN..];
    let tag: [u8; TAG_LEN] = match suite {
        Suite::XChaCha20Poly1305 => chacha(key)
            .encrypt_inout_detached(nonce.into(), aad, message.into())
            .expect("messages are far below the cipher's limit")
            .into(),
        Suite::Aes256Gcm => {
            let tag = gcm_key(key, nonce)
                .seal_in_place_separate_tag(gcm::Nonce::assume_unique_for_key([0; 12]), gcm::Aad::from(aad), message)
                .expect("messages are far below the cipher's limit");
            tag.as_ref().try_into().expect("GCM tags have 16 bytes")
        }
    };
    out.extend_from_slice(&tag);
    out
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`Error::Authentication`] when any bit of key, associated data or sealed bytes differs.
pub fn open(suite: Suite, key: &Secret, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut opened = sealed.to_vec();
    let plain = open_in_place(suite, key, aad, &mut opened)?;
    opened.copy_within(plain.clone(), 0);
    opened.truncate(plain.len());
    Ok(opened)
}

/// As [`open`], in the place of the sealed bytes: saves those who open much a copy. Returns where the plaintext is.
///
/// # Errors
/// As [`open`]; the bytes are of no use then.
pub fn open_in_place(suite: Suite, key: &Secret, aad: &[u8], sealed: &mut [u8]) -> Result<Range<usize>, Error> {
    let plain = NONCE_LEN..sealed.len().saturating_sub(TAG_LEN);
    let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(Error::Authentication)?;
    match suite {
        Suite::XChaCha20Poly1305 => {
            let (ciphertext, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::Authentication)?;
            chacha(key)
                .decrypt_inout_detached((&*nonce).into(), aad, ciphertext.into(), (&*tag).into())
                .map_err(|_| Error::Authentication)?;
        }
        Suite::Aes256Gcm => {
            gcm_key(key, nonce)
                .open_in_place(gcm::Nonce::assume_unique_for_key([0; 12]), gcm::Aad::from(aad), rest)
                .map_err(|_| Error::Authentication)?;
        }
    }
    Ok(plain)
}

fn chacha(key: &Secret) -> XChaCha20Poly1305 {
    let key = hash::derive_key(context::SUITE_1, key);
    XChaCha20Poly1305::new(key.expose().into())
}

fn gcm_key(key: &Secret, nonce: &[u8; NONCE_LEN]) -> gcm::LessSafeKey {
    let message_key = hash::keyed(&hash::derive_key(context::SUITE_2, key), nonce);
    let unbound = gcm::UnboundKey::new(&gcm::AES_256_GCM, &message_key).expect("AES-256 keys have 32 bytes");
    gcm::LessSafeKey::new(unbound)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: [Suite; 2] = [Suite::XChaCha20Poly1305, Suite::Aes256Gcm];

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        for suite in SUITES {
            let key = Secret::generate();
            for length in [0, 1, 15, 16, 17, 70_000] {
                let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let sealed = seal(suite, &key, b"aad", &plain);
                assert_eq!(sealed.len(), plain.len() + OVERHEAD);
                assert_eq!(open(suite, &key, b"aad", &sealed).unwrap(), plain);
                assert!(open(suite, &key, b"aae", &sealed).is_err());
                assert!(open(suite, &Secret::generate(), b"aad", &sealed).is_err());
                for position in [0, NONCE_LEN - 1, sealed.len() / 2, sealed.len() - 1] {
                    let mut broken = sealed.clone();
                    broken[position] ^= 1;
                    assert!(open(suite, &key, b"aad", &broken).is_err());
                }
                assert!(open(suite, &key, b"aad", &sealed[..sealed.len() - 1]).is_err());
            }
            assert!(open(suite, &key, b"", &[0; OVERHEAD - 1]).is_err());
        }
    }

    #[test]
    fn nonces_differ_for_equal_messages() {
        let key = Secret::generate();
        assert_ne!(hedged_nonce(&key, b"same"), hedged_nonce(&key, b"same"));
    }
}
