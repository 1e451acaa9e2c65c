//! Whose a restored entry becomes: the user or group of the stored name if this machine has it, else the stored number.
//!
//! Asks the system's own name service (files, LDAP, …), once per name. Names that are not UTF-8 count as unknown.

use nix::unistd::{Group, User};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Names that were looked up; `None` for one that this machine does not know.
type Known = RwLock<HashMap<Vec<u8>, Option<u32>>>;

/// Translates owners, or leaves them as numbers.
#[derive(Debug, Default)]
pub(super) struct Owners {
    numeric: bool,
    users: Known,
    groups: Known,
}

impl Owners {
    /// With `numeric`, names are ignored.
    pub(super) fn new(numeric: bool) -> Self {
        Self { numeric, ..Self::default() }
    }

    /// The user id here for a stored name (empty for none) and number.
    pub(super) fn uid(&self, name: &[u8], number: u32) -> u32 {
        let find = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        self.resolve(&self.users, name, find).unwrap_or(number)
    }

    /// The group id here for a stored name (empty for none) and number.
    pub(super) fn gid(&self, name: &[u8], number: u32) -> u32 {
        let find = |name: &str| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
        self.resolve(&self.groups, name, find).unwrap_or(number)
    }

    fn resolve(&self, known: &Known, name: &[u8], find: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
        if self.numeric || name.is_empty() {
            return None;
        }
        if let Some(found) = known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return *found;
        }
        let found = std::str::from_utf8(name).ok().and_then(find);
        known.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_vec(), found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_first_and_numbers_are_the_last_resort() {
        let owners = Owners::new(false);
        for _ in 0..2 {
            assert_eq!(owners.uid(b"root", 4711), 0);
            assert_eq!(owners.gid(b"root", 4711), 0);
            assert_eq!(owners.uid(b"nobody here is called this", 4711), 4711);
            assert_eq!(owners.gid(b"\xff", 4711), 4711);
            assert_eq!(owners.uid(b"", 4711), 4711);
        }
        assert_eq!(Owners::new(true).uid(b"root", 4711), 4711);
    }
}
