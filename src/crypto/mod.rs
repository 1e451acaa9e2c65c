//! Keys, hashes, ciphers, signatures and password hashing: pure functions, no I/O but the system's random numbers.
//!
//! Everything here is a thin, typed layer over reviewed crates. Which context string serves which purpose stands in
//! [`context`]; the byte formats that use them are in `repo/FORMAT.md`.

pub mod aead;
pub mod context;
pub mod hash;
pub mod hpke;
pub mod kdf;
pub mod secret;
pub mod sign;
#[cfg(test)]
mod vectors;

/// What can go wrong in a cryptographic step. Deliberately poor in detail: the caller knows which object it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The ciphertext, its associated data or the key do not belong together.
    #[error("authentication failed")]
    Authentication,
    /// A signature does not verify under the key.
    #[error("signature does not verify")]
    Signature,
    /// A public key is not a valid one.
    #[error("not a valid public key")]
    PublicKey,
    /// Argon2 parameters outside what boveda accepts.
    #[error("password hashing parameters out of range")]
    KdfParameters,
    /// A cipher suite that this version does not know.
    #[error("unknown cipher suite {0}")]
    UnknownSuite(u8),
    /// A key encapsulation mechanism that this version does not know.
    #[error("unknown key encapsulation mechanism {0}")]
    UnknownKem(u16),
}
