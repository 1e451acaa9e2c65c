//! BLAKE3 (keyed, and for deriving keys), SHA-256 for names that `sha256sum` can prove, MD5 for providers' own checks.

use super::secret::Secret;
use sha2::Digest as _;

/// Derives a subkey for one purpose. `context` is one of [`super::context`]'s constants.
pub fn derive_key(context: &'static str, key: &Secret) -> Secret {
    Secret::new(blake3::derive_key(context, key.expose()))
}

/// Keyed BLAKE3 of `data`.
pub fn keyed(key: &Secret, data: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key.expose(), data).as_bytes()
}

/// Plain BLAKE3 of `data`: integrity of stored shards and ciphertexts.
pub fn blake3(data: &[u8]) -> [u8; 32] {
    *blake3::hash(data).as_bytes()
}

/// SHA-256 of `data`: the names of packs, indexes and snapshots.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(data).into()
}

/// MD5 of `data`: only ever compared with what a store's provider reports, never trusted.
pub fn md5(data: &[u8]) -> [u8; 16] {
    md5::Md5::digest(data).into()
}
