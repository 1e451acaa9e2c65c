//! What a person or a machine shows to open a slot.

use super::Error;
use super::recovery;
use super::slot::SlotKind;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::secrets::Found;
use zeroize::Zeroizing;

/// What opens a slot.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password: any bytes but none at all, taken as they are.
    Password(SecretBytes),
    /// A recovery key's 256 bits.
    Recovery(Secret),
    /// A raw key's 256 bits.
    RawKey(Secret),
}

impl Credential {
    /// A password.
    ///
    /// # Errors
    /// [`Error::EmptyPassword`].
    pub fn password(password: SecretBytes) -> Result<Self, Error> {
        if password.expose().is_empty() { Err(Error::EmptyPassword) } else { Ok(Self::Password(password)) }
    }

    /// What a key file holds or a key command prints: 64 hexadecimal digits or the base64 of 32 bytes, in white space, 32
    /// bytes as they are, or the words of a recovery key.
    ///
    /// # Errors
    /// [`Error::RawKey`] when it is none of these, or what is wrong with the words.
    pub fn key(text: &SecretBytes) -> Result<Self, Error> {
        let bytes = text.expose();
        if let Some(key) = from_hex(bytes.trim_ascii()) {
            return Ok(Self::RawKey(key));
        }
        if let Ok(raw) = bytes.try_into() {
            return Ok(Self::RawKey(Secret::new(raw)));
        }
        if let Some(key) = from_base64(bytes.trim_ascii()) {
            return Ok(Self::RawKey(key));
        }
        match std::str::from_utf8(bytes) {
            Ok(words) if recovery::looks_like_words(words) => recovery::parse(words).map(Self::Recovery),
            _ => Err(Error::RawKey),
        }
    }

    /// The kind of slot that it may open.
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::Password(_) => SlotKind::Password,
            Self::Recovery(_) => SlotKind::Recovery,
            Self::RawKey(_) => SlotKind::RawKey,
        }
    }
}

impl TryFrom<Found> for Credential {
    type Error = Error;

    fn try_from(found: Found) -> Result<Self, Error> {
        match found {
            Found::Password(password) => Self::password(password),
            Found::Key(text) => Self::key(&text),
        }
    }
}

fn from_hex(digits: &[u8]) -> Option<Secret> {
    let digits: &[u8; 64] = digits.try_into().ok()?;
    let mut key = Zeroizing::new([0; 32]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?];
        *byte = (high << 4 | low) as u8;
    }
    Some(Secret::new(*key))
}

/// 32 bytes in base64 (RFC 4648), of either alphabet, with or without its padding.
fn from_base64(text: &[u8]) -> Option<Secret> {
    let digits: &[u8; 43] = text.strip_suffix(b"=").unwrap_or(text).try_into().ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let (mut bits, mut held, mut at) = (Zeroizing::new(0_u32), 0, 0);
    for digit in digits {
        *bits = *bits << 6 | base64_digit(*digit)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            *key.get_mut(at)? = (*bits >> held & 0xff) as u8;
            at += 1;
        }
    }
    // The last digit has two bits to spare, which must be zero: one text for one key.
    (*bits & 3 == 0).then(|| Secret::new(*key))
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &[u8]) -> Result<Credential, Error> {
        Credential::key(&SecretBytes::new(text.to_vec()))
    }

    #[test]
    fn keys_are_read_in_each_of_their_forms() {
        let hex = "00ff".repeat(16);
        let expected = Secret::new(std::array::from_fn(|at| if at % 2 == 0 { 0 } else { 0xff }));
        for text in [hex.clone(), format!("{hex}\n"), format!(" {hex}\r\n"), hex.to_uppercase()] {
            assert!(matches!(key(text.as_bytes()), Ok(Credential::RawKey(key)) if key == expected), "{text:?}");
        }
        assert!(matches!(key(expected.expose()), Ok(Credential::RawKey(key)) if key == expected));
        for text in ["AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=", "AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8\n"] {
            assert!(matches!(key(text.as_bytes()), Ok(Credential::RawKey(key)) if key == expected), "{text:?}");
        }
        let words = recovery::words(&expected);
        assert!(matches!(key(words.as_bytes()), Ok(Credential::Recovery(key)) if key == expected));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        // Bits of the last digit that belong to no byte, a second sign of padding, a sign of neither alphabet.
        for text in ["AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP9=", "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=="] {
            assert!(matches!(key(text.as_bytes()), Err(Error::RawKey)), "{text:?}");
        }
        assert!(matches!(key("AP8A.wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=".as_bytes()), Err(Error::RawKey)));
        for text in [&b""[..], b"abc", &b"0".repeat(63), &b"g".repeat(64), &b"0".repeat(65), &[0xff; 31], &[0; 33]] {
            assert!(matches!(key(text), Err(Error::RawKey)), "{text:?}");
        }
        assert!(matches!(key(b"abandon abandon"), Err(Error::RecoveryWordCount(2))));
        assert!(matches!(Credential::password(SecretBytes::new(vec![])), Err(Error::EmptyPassword)));
    }
}
