//! Roles: what a bundle of keys may do. Which keys it holds for that stands in `FORMAT.md`; nothing is enforced here.

use std::fmt;
use std::str::FromStr;

/// What a bundle of keys may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Role {
    /// Adds snapshots and deduplicates; reads nothing back.
    Writer = 1,
    /// Lists, mounts, restores, attests; adds nothing.
    Reader = 2,
    /// Retention, prune, repair; sees neither names nor content.
    Maintainer = 3,
    /// Everything, certifying and revoking principals included.
    Admin = 4,
}

impl Role {
    /// Every role, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Writer, Self::Reader, Self::Maintainer, Self::Admin];

    /// The role with this number in the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Writer),
            2 => Some(Self::Reader),
            3 => Some(Self::Maintainer),
            4 => Some(Self::Admin),
            _ => None,
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Maintainer => "maintainer",
            Self::Admin => "admin",
        }
    }

    /// Whether it adds snapshots: opens sessions, cuts chunks, seals segments.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Writer | Self::Admin)
    }

    /// Whether it reads names and content: `ls`, `restore`, `mount`, `verify` to the end.
    pub const fn reads_content(self) -> bool {
        matches!(self, Self::Reader | Self::Admin)
    }

    /// Whether it lists snapshots and checks structure. A writer does not: it only ever adds.
    pub const fn reads_structure(self) -> bool {
        !matches!(self, Self::Writer)
    }

    /// Whether it computes ids of data and payload chunks. A maintainer cannot, and so cannot test guesses of content.
    pub const fn names_chunks(self) -> bool {
        !matches!(self, Self::Maintainer)
    }

    /// Whether it may append ATTEST, given that its CERT says so too.
    pub const fn may_attest(self) -> bool {
        self.reads_content()
    }

    /// Whether it may append CONDEMN, RESCUE, FINAL, FORGET, UNFORGET, HOLD, RELEASE, TAG, RESOLVE and CHECKPOINT.
    pub const fn may_maintain(self) -> bool {
        matches!(self, Self::Maintainer | Self::Admin)
    }

    /// Whether it may append CERT, REVOKE, EPOCH and CONFIG: holds the admin's signing key.
    pub const fn may_certify(self) -> bool {
        matches!(self, Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role \"{0}\": it is writer, reader, maintainer or admin")]
pub struct UnknownRole(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for role in Role::ALL {
            assert_eq!(Role::from_number(role as u8), Some(role));
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!(Role::from_number(0), None);
        assert_eq!(Role::from_number(5), None);
        assert!("Writer".parse::<Role>().is_err());
    }

    #[test]
    fn only_the_admin_does_everything() {
        let rights = |role: Role| {
            [role.writes(), role.reads_content(), role.reads_structure(), role.may_maintain(), role.may_certify()]
        };
        assert_eq!(rights(Role::Writer), [true, false, false, false, false]);
        assert_eq!(rights(Role::Reader), [false, true, true, false, false]);
        assert_eq!(rights(Role::Maintainer), [false, false, true, true, false]);
        assert_eq!(rights(Role::Admin), [true; 5]);
    }
}
