//! Names of things in a repository, as types that cannot be mixed up.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Bytes of this id.
            pub const LEN: usize = $len;

            /// Parses the lower-case hexadecimal form, complete.
            pub fn from_hex(text: &str) -> Option<Self> {
                decode_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(
    /// A repository: 32 random bytes drawn by `init`.
    RepositoryId, 32
);
id!(
    /// A chunk of one kind: keyed BLAKE3 of its bytes.
    ChunkId, 32
);
id!(
    /// A pack: SHA-256 of its stored bytes.
    PackId, 32
);
id!(
    /// An index: SHA-256 of its stored bytes.
    IndexId, 32
);
id!(
    /// A census: SHA-256 of its stored bytes.
    CensusId, 32
);
id!(
    /// A snapshot: SHA-256 of its signed record.
    SnapshotId, 32
);
id!(
    /// A data key: derived from the key itself, and so a commitment to it.
    DataKeyId, 32
);
id!(
    /// A principal: the first 16 bytes of BLAKE3 over its public signing key and public sealing key.
    PrincipalId, 16
);
id!(
    /// A writer in object names: the random id of one installation of a principal.
    WriterId, 16
);
id!(
    /// One draw of an epoch's keys: the first 16 bytes of BLAKE3 over its public read key.
    KeySetId, 16
);
id!(
    /// A slot: 16 random bytes.
    SlotId, 16
);
id!(
    /// A reader's pin: 16 random bytes.
    PinId, 16
);
id!(
    /// A hold, asked for or in force: 16 random bytes.
    HoldId, 16
);
id!(
    /// A keyed token that stands for a host, a path set or a tag.
    Token, 16
);

impl SnapshotId {
    /// The first eight hexadecimal digits, as people see it.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

/// What a chunk holds. Ids of different kinds never meet: the index is keyed by (kind, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChunkKind {
    /// Bytes of a file, or an attribute value too long for its entry.
    Data = 1,
    /// Names, attributes and extents of a catalog page.
    Payload = 2,
    /// The references of a catalog page: all that says what is alive.
    Skeleton = 3,
}

impl ChunkKind {
    /// The kind with this number in the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Data),
            2 => Some(Self::Payload),
            3 => Some(Self::Skeleton),
            _ => None,
        }
    }
}

impl fmt::Display for ChunkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Payload => "payload",
            Self::Skeleton => "skeleton",
        })
    }
}

/// Decodes exactly `2 * N` lower-case hexadecimal digits.
fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways_and_is_strict() {
        let id = WriterId([0x0a, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert_eq!(WriterId::from_hex(&id.to_string()), Some(id));
        assert_eq!(WriterId::from_hex(&id.to_string().to_uppercase()), None);
        assert_eq!(WriterId::from_hex(&id.to_string()[1..]), None);
        assert_eq!(WriterId::from_hex("zz"), None);
    }
}
