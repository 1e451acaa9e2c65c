//! BLAKE3 (keyed, and for deriving keys), SHA-256 for names that `sha256sum` can prove, MD5 for providers' own checks.

use super::secret::Secret;
use sha2::Digest as _;
use std::fmt::Write as _;

/// Bytes in hexadecimal, as digests and names of files are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

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
    if has_sha_instructions() { sha2::Sha256::digest(data).into() } else { sha256_without_instructions(data) }
}

/// Of processors without instructions for it, sha2 asks no more than plain Rust; AWS-LC's assembly makes use of their vectors.
fn sha256_without_instructions(data: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data);
    digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn has_sha_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// MD5 of `data`: only ever compared with what a store's provider reports, never trusted.
pub fn md5(data: &[u8]) -> [u8; 16] {
    md5::Md5::digest(data).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's examples, whichever way this processor takes.
    #[test]
    fn sha256_is_the_same_either_way() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!((hex(sha256(b"abc")), hex(sha256_without_instructions(b"abc"))), (abc.to_owned(), abc.to_owned()));
        for length in [0, 1, 55, 56, 64, 1000, 100_001] {
            let data = vec![7; length];
            let portable: [u8; 32] = sha2::Sha256::digest(&data).into();
            assert_eq!(sha256_without_instructions(&data), portable, "{length} bytes");
        }
    }
}
