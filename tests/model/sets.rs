//! Small sets in one or two bytes: packs, sessions, snapshots, chunks; and places, which are chunks in packs.

use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

macro_rules! set {
    ($(#[$doc:meta])* $name:ident, $bits:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
        pub struct $name(pub $bits);

        impl $name {
            /// The set of nothing.
            pub const EMPTY: Self = Self(0);

            /// The set of one.
            pub fn of(member: usize) -> Self {
                Self(1 << member)
            }

            /// Whether `member` is in it.
            pub fn has(self, member: usize) -> bool {
                self.0 >> member & 1 == 1
            }

            /// Whether nothing is in it.
            pub fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether all of it is in `other` too.
            pub fn within(self, other: Self) -> bool {
                self.0 & !other.0 == 0
            }

            /// Its members, in order.
            pub fn members(self) -> impl Iterator<Item = usize> {
                let mut rest = self.0;
                std::iter::from_fn(move || {
                    let member = rest.trailing_zeros() as usize;
                    (rest != 0).then(|| {
                        rest &= rest - 1;
                        member
                    })
                })
            }
        }

        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                *self = *self | other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
    };
}

set!(
    /// Up to eight things of one kind, by number.
    Set,
    u8
);
set!(
    /// Chunks in packs: number 2 × pack + chunk.
    Places,
    u16
);

/// Packs by number: see [`crate::state`].
pub type Packs = Set;
/// Sessions by number.
pub type Sessions = Set;
/// Snapshots by number: a session's own, or the one that was there before.
pub type Snapshots = Set;
/// Chunks *a* and *b*.
pub type Chunks = Set;

impl Places {
    /// Every place that these packs could have.
    pub fn in_packs(packs: Packs) -> Self {
        let mut bits = u16::from(packs.0);
        bits = (bits | bits << 4) & 0x0f0f;
        bits = (bits | bits << 2) & 0x3333;
        bits = (bits | bits << 1) & 0x5555;
        Self(bits | bits << 1)
    }

    /// These chunks in one pack.
    pub fn of_chunks(pack: usize, chunks: Chunks) -> Self {
        Self(u16::from(chunks.0) << (2 * pack))
    }

    /// What of these lies in one pack.
    pub fn on(self, pack: usize) -> Self {
        Self(self.0 & 3 << (2 * pack))
    }

    /// The chunks that have a place here.
    pub fn chunks(self) -> Chunks {
        Set(u8::from(self.0 & 0x5555 != 0) | u8::from(self.0 & 0xaaaa != 0) << 1)
    }

    /// The packs that these places are in.
    pub fn packs(self) -> Packs {
        Set((0..8).filter(|&pack| !self.on(pack).is_empty()).fold(0, |all, pack| all | 1 << pack))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_know_their_packs_and_chunks() {
        let places = Places::of_chunks(2, Set(0b10)) | Places::of_chunks(7, Set(0b01));
        assert_eq!(places.packs(), Set(0b1000_0100));
        assert_eq!(places.chunks(), Set(0b11));
        assert_eq!(places.on(2).chunks(), Set(0b10));
        assert_eq!(Places::in_packs(Set(0b1000_0101)), Places(0b1100_0000_0011_0011));
        assert_eq!(places & Places::in_packs(Set::of(7)), Places::of_chunks(7, Set(0b01)));
        assert_eq!(Set(0b101).members().collect::<Vec<_>>(), [0, 2]);
    }
}
