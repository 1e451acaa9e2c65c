//! Names of owners and groups, each asked for once.
//!
//! They come from the C library, so that users of LDAP and the like have names too; nix makes the reentrant calls. An id
//! without a name is no problem; a name service that fails is, once per id.

use nix::unistd::{Gid, Group, Uid, User};
use rustix::io::Errno;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A cache of names, shared by all threads of a run.
#[derive(Debug, Default)]
pub struct Owners {
    users: Mutex<HashMap<u32, Vec<u8>>>,
    groups: Mutex<HashMap<u32, Vec<u8>>>,
}

/// A name (empty if there is none), and why it could not be looked up, the first time only.
pub type Looked = (Vec<u8>, Option<Errno>);

impl Owners {
    /// Knows nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of a user.
    pub fn user(&self, uid: u32) -> Looked {
        look(&self.users, uid, || Ok(User::from_uid(Uid::from_raw(uid))?.map(|user| user.name)))
    }

    /// The name of a group.
    pub fn group(&self, gid: u32) -> Looked {
        look(&self.groups, gid, || Ok(Group::from_gid(Gid::from_raw(gid))?.map(|group| group.name)))
    }
}

fn look(
    cache: &Mutex<HashMap<u32, Vec<u8>>>,
    id: u32,
    find: impl FnOnce() -> Result<Option<String>, nix::errno::Errno>,
) -> Looked {
    // A thread that panicked while holding the lock left the map whole: nothing but inserts happen under it.
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = cache.get(&id) {
        return (name.clone(), None);
    }
    let (name, failure) = match find() {
        Ok(name) => (name.unwrap_or_default().into_bytes(), None),
        Err(error) => (Vec::new(), meaningful(error)),
    };
    cache.insert(id, name.clone());
    (name, failure)
}

/// "Not found" has many numbers, as `getpwuid_r(3)` says.
fn meaningful(error: nix::errno::Errno) -> Option<Errno> {
    use nix::errno::Errno as E;
    (!matches!(error, E::ENOENT | E::ESRCH | E::EBADF | E::EPERM | E::UnknownErrno))
        .then(|| Errno::from_raw_os_error(error as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_a_random_id_has_none() {
        let owners = Owners::new();
        for _ in 0..2 {
            assert_eq!(owners.user(0), (b"root".to_vec(), None));
            assert_eq!(owners.group(0), (b"root".to_vec(), None));
            assert_eq!(owners.user(3_999_999_999), (Vec::new(), None));
        }
        assert_eq!(owners.users.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_failure_is_told_once() {
        let cache = Mutex::default();
        let failing = || Err(nix::errno::Errno::EIO);
        assert_eq!(look(&cache, 1, failing), (Vec::new(), Some(Errno::IO)));
        assert_eq!(look(&cache, 1, failing), (Vec::new(), None));
    }
}
