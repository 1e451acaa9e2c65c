//! Secret byte strings: wiped when dropped, never printed, compared in constant time.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Fills an array from the system's random number generator.
///
/// # Panics
/// When the system has no working generator: nothing safe can be done then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    crate::system::fill_random(&mut bytes);
    bytes
}

/// A 32-byte secret.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes over the bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh random secret.
    pub fn generate() -> Self {
        Self(random())
    }

    /// The bytes, for handing to a cipher. Do not copy them into anything that is not wiped.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A secret of any length: a password, a decrypted bundle.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over the bytes. Bytes already copied elsewhere are the caller's to wipe.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Removes one line end, as files and command outputs carry it.
    pub fn trim_line_end(&mut self) {
        for end in [b'\n', b'\r'] {
            if self.0.last() == Some(&end) {
                let last = self.0.len() - 1;
                self.0[last..].zeroize();
                self.0.truncate(last);
            }
        }
    }
}

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", Secret::new([65; 32]), SecretBytes::new(b"AAAA".to_vec()));
        assert_eq!(shown, "Secret(..) SecretBytes(..)");
    }

    #[test]
    fn line_end_is_removed_once() {
        for (given, kept) in [(&b"a\r\n"[..], &b"a"[..]), (b"a\n\n", b"a\n"), (b"a", b"a"), (b"", b"")] {
            let mut secret = SecretBytes::new(given.to_vec());
            secret.trim_line_end();
            assert_eq!(secret.expose(), kept);
        }
    }
}
