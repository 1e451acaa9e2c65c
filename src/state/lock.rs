//! One commit at a time per repository and writer on this host, so that a writer's chain of records never forks.
//!
//! The lock is the kernel's (`flock`): it goes with the process that holds it, and no file has to be cleaned up. It says
//! nothing about other hosts; those have writers of their own.

use super::{Error, make_own};
use crate::repo::id::{RepositoryId, WriterId};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct CommitLock {
    _file: File,
}

impl CommitLock {
    /// Takes the lock, waiting while another process holds it. `state` is this host's state folder.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn acquire(state: &Path, repository: &RepositoryId, writer: &WriterId) -> Result<Self, Error> {
        let (file, path) = open(state, repository, writer)?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(Self { _file: file })
    }

    /// Takes the lock if nobody holds it; `None` if somebody does.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub fn try_acquire(state: &Path, repository: &RepositoryId, writer: &WriterId) -> Result<Option<Self>, Error> {
        let (file, path) = open(state, repository, writer)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }
}

fn open(state: &Path, repository: &RepositoryId, writer: &WriterId) -> Result<(File, PathBuf), Error> {
    let folder = state.join("locks");
    make_own(&folder)?;
    let path = folder.join(format!("{repository}-{writer}"));
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    file.map_err(Error::io("open", &path)).map(|file| (file, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_per_writer() {
        let state = tempfile::tempdir().unwrap();
        let (repository, writer) = (RepositoryId([1; 32]), WriterId([2; 16]));
        let held = CommitLock::acquire(state.path(), &repository, &writer).unwrap();
        assert!(CommitLock::try_acquire(state.path(), &repository, &writer).unwrap().is_none());
        assert!(CommitLock::try_acquire(state.path(), &repository, &WriterId([3; 16])).unwrap().is_some());
        drop(held);
        assert!(CommitLock::try_acquire(state.path(), &repository, &writer).unwrap().is_some());
    }

    #[test]
    fn whoever_waits_gets_it_in_the_end() {
        let state = tempfile::tempdir().unwrap();
        let (repository, writer) = (RepositoryId([1; 32]), WriterId([2; 16]));
        let held = CommitLock::acquire(state.path(), &repository, &writer).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| CommitLock::acquire(state.path(), &repository, &writer).is_ok());
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!waiting.is_finished());
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }
}
