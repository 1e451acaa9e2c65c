//! Whose a restored entry becomes: the user or group of the stored name if this machine has it, else the stored number.
//!
//! Asks the system's own name service (files, LDAP, …), once per name. Names that are not UTF-8 count as unknown.

use nix::errno::Errno;
use nix::unistd::{Group, User};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};

/// Names that were looked up; `None` for one that this machine does not know.
type Known = RwLock<HashMap<Vec<u8>, Option<u32>>>;

/// Translates owners, or leaves them as numbers.
#[derive(Debug, Default)]
pub(super) struct Owners {
    numeric: bool,
    users: Known,
    groups: Known,
    failures: Mutex<Vec<String>>,
}

impl Owners {
    /// With `numeric`, names are ignored.
    pub(super) fn new(numeric: bool) -> Self {
        Self { numeric, ..Self::default() }
    }

    /// The user id here for a stored name (empty for none) and number.
    pub(super) fn uid(&self, name: &[u8], number: u32) -> u32 {
        let find = |name: &str| Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
        self.resolve(&self.users, name, find).unwrap_or(number)
    }

    /// The group id here for a stored name (empty for none) and number.
    pub(super) fn gid(&self, name: &[u8], number: u32) -> u32 {
        let find = |name: &str| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()));
        self.resolve(&self.groups, name, find).unwrap_or(number)
    }

    /// What the name service could not answer, one line each; once.
    pub(super) fn failures(&self) -> Vec<String> {
        std::mem::take(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn resolve(
        &self,
        known: &Known,
        name: &[u8],
        find: impl FnOnce(&str) -> Result<Option<u32>, Errno>,
    ) -> Option<u32> {
        if self.numeric || name.is_empty() {
            return None;
        }
        if let Some(found) = known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return *found;
        }
        let found = match std::str::from_utf8(name).map(find) {
            Ok(Ok(found)) => found,
            // "Not found" has many numbers, as getpwnam_r(3) says.
            Err(_) | Ok(Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM | Errno::UnknownErrno)) => None,
            Ok(Err(error)) => {
                let text = format!("cannot look up {}, its number is used: {error}", name.escape_ascii());
                self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                None
            }
        };
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

    #[test]
    fn a_name_service_that_fails_is_told_once() {
        let owners = Owners::new(false);
        for _ in 0..2 {
            assert_eq!(owners.resolve(&owners.users, b"ann", |_| Err(Errno::EIO)), None);
        }
        assert_eq!(owners.resolve(&owners.users, b"bob", |_| Err(Errno::ENOENT)), None);
        assert_eq!(owners.failures().len(), 1);
    }
}
