//! What a place says about an object's bytes without sending them: their MD5, or a tag that changes with them.
//!
//! A mark proves nothing by itself: it is what the place noted when the bytes came. It tells that other bytes were put, not that the
//! disk still gives back the right ones; that only reading tells.

use std::fmt;

/// What a place reports of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Their MD5: Google's md5Hash.
    Md5([u8; 16]),
    /// Their MD5, which whoever puts them may set, and a tag that is new with every put: Azure's Content-MD5 and ETag.
    Tagged([u8; 16], Box<str>),
    /// A tag that other bytes do not get: S3's ETag. Often it is the MD5, but not of what came in parts, or is encrypted with a key of KMS.
    Tag(Box<str>),
}

impl Mark {
    /// From an MD5 in base64 and an ETag, as far as they are there. A weak tag is none, and neither is one without any letter or digit.
    pub fn reported(md5: Option<&str>, tag: Option<&str>) -> Option<Self> {
        let strong = tag.filter(|tag| !tag.starts_with("W/")).map(|tag| tag.trim_matches('"'));
        let tag = strong.filter(|tag| tag.contains(|c: char| c.is_ascii_alphanumeric()));
        match (md5.and_then(from_base64), tag) {
            (Some(md5), Some(tag)) => Some(Self::Tagged(md5, tag.into())),
            (Some(md5), None) => Some(Self::Md5(md5)),
            (None, tag) => tag.map(|tag| Self::Tag(tag.into())),
        }
    }

    /// Whether it is that of bytes with this MD5; `None` where it cannot tell.
    pub fn fits(&self, md5: &[u8; 16]) -> Option<bool> {
        match self {
            Self::Md5(theirs) | Self::Tagged(theirs, _) => Some(theirs == md5),
            Self::Tag(tag) => tag.eq_ignore_ascii_case(&hex(md5)).then_some(true),
        }
    }

    /// The MD5 that it has, or may be, in small hexadecimal digits.
    pub fn md5(&self) -> Option<String> {
        match self {
            Self::Md5(md5) | Self::Tagged(md5, _) => Some(hex(md5)),
            Self::Tag(tag) => self.may_be_md5().then(|| tag.to_ascii_lowercase()),
        }
    }

    /// Whether it looks like an MD5: a tag of something else, too, may.
    pub fn may_be_md5(&self) -> bool {
        match self {
            Self::Md5(_) | Self::Tagged(..) => true,
            Self::Tag(tag) => tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(md5) => write!(f, "md5:{}", hex(md5)),
            Self::Tagged(md5, tag) => write!(f, "md5:{} tag:{tag}", hex(md5)),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}

fn hex(md5: &[u8; 16]) -> String {
    crate::crypto::hash::hex(md5)
}

/// 16 bytes in base64 (RFC 4648) with its padding.
fn from_base64(text: &str) -> Option<[u8; 16]> {
    let digits = text.trim().strip_suffix("==")?.as_bytes();
    let (last, first) = digits.split_last().filter(|(_, first)| first.len() == 21)?;
    let bits = first.iter().try_fold(0_u128, |bits, byte| Some(bits << 6 | u128::from(digit(*byte)?)))?;
    // 22 digits have four bits more than 16 bytes.
    let last = digit(*last).filter(|last| last.trailing_zeros() >= 4)?;
    Some((bits << 2 | u128::from(last >> 4)).to_be_bytes())
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::md5;

    #[test]
    fn what_providers_report_is_understood() {
        // `printf abc | md5sum`, and the same in base64.
        let (base64, hexadecimal) = ("kAFQmDzST7DWlj99KOF/cg==", "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(Mark::reported(Some(base64), None), Some(Mark::Md5(md5(b"abc"))));
        // Whoever commits a list of blocks at Azure may say any MD5: the tag is a new one all the same.
        let azure = |tag| Mark::reported(Some(base64), Some(tag)).unwrap();
        assert_eq!((azure("\"0x8D\""), azure("0x8D").fits(&md5(b"abd"))), (azure("0x8D"), Some(false)));
        assert_ne!(azure("0x8D").to_string(), azure("0x8E").to_string());
        let tag = Mark::reported(None, Some(&format!("\"{hexadecimal}\""))).unwrap();
        assert_eq!(tag, Mark::Tag(hexadecimal.into()));
        assert!(tag.may_be_md5());
        assert_eq!((tag.fits(&md5(b"abc")), tag.fits(&md5(b"abd"))), (Some(true), None));
        let certain = Mark::Md5(md5(b"abc"));
        assert_eq!((certain.fits(&md5(b"abc")), certain.fits(&md5(b"abd"))), (Some(true), Some(false)));
        assert_ne!(tag.to_string(), certain.to_string(), "a tag is never taken for a hash");
    }

    #[test]
    fn what_is_no_hash_is_none() {
        for md5 in ["", "==", "kAFQmDzST7DWlj99KOF/cg", "kAFQmDzST7DWlj99KOF/ch==", "kAFQmDzST7DWlj99KOF/c*==", "YWJj"]
        {
            assert_eq!(Mark::reported(Some(md5), None), None, "{md5}");
        }
        for tag in ["", "\"\"", "W/\"900150983cd24fb0d6963f7d28e17f72\"", "\"-\""] {
            assert_eq!(Mark::reported(Some(""), Some(tag)), None, "{tag}");
        }
        let parts = Mark::reported(None, Some("\"900150983cd24fb0d6963f7d28e17f72-4\"")).unwrap();
        assert!(!parts.may_be_md5() && parts.fits(&md5(b"abc")).is_none());
    }
}
