//! A folder of this machine for bytes that may be had again elsewhere: bounded, and what was not used for longest goes first.
//!
//! Invariant: what is given back passed the caller's test just now, so damage costs a request, and whoever removes the folder loses time
//! only. A disk that does not take something is not asked again.

use crate::crypto::hash::hex;
use crate::crypto::secret::random;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The folder.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// How many bytes lie there together, at most.
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of all that lies there; not counted before the first is added. Others may add some meanwhile: the next count sees them.
    bytes: Option<u64>,
    /// Whether the disk would not take one: then it is not asked again.
    off: bool,
}

impl Shelf {
    /// In `folder`, made when it is needed; at most about `most` bytes.
    pub fn new(folder: PathBuf, most: u64) -> Self {
        Self { folder, most, state: Mutex::default() }
    }

    /// Whether so many bytes are taken as one: not what would leave hardly any room for others.
    pub fn takes(&self, length: u64) -> bool {
        length <= self.most / 8 && !self.state().off
    }

    /// What lies there under a name, if it passes the test. It counts as used now.
    pub fn get(&self, name: &str, is_right: impl FnOnce(&[u8]) -> bool) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        let whole = file.read_to_end(&mut bytes).is_ok() && is_right(&bytes);
        if !whole {
            // If it stays, it is of no use the next time either.
            let _ = fs::remove_file(path);
            return None;
        }
        // Without that it only goes sooner.
        let _ = file.set_modified(SystemTime::now());
        Some(bytes)
    }

    /// Adds bytes under a name. A disk that does not take them costs time, now and later, and nothing else.
    pub fn add(&self, name: &str, bytes: &[u8]) {
        if self.put(name, bytes).is_err() || self.make_room(bytes.len() as u64).is_err() {
            self.state().off = true;
        }
    }

    /// Where a name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.folder.join(format!("new-{}", hex(&random::<16>())));
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let mut file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                create()?
            }
            created => created?,
        };
        // Not synced: what a power cut leaves of it is tested as well.
        let done = file.write_all(bytes).and_then(|()| fs::rename(&unfinished, self.path(name)));
        if done.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        done
    }

    /// Counts what was added, and removes what was not used for the longest time once there is too much.
    fn make_room(&self, added: u64) -> io::Result<()> {
        let mut state = self.state();
        let bytes = state.bytes.map(|bytes| bytes + added);
        if bytes.is_some_and(|bytes| bytes <= self.most) {
            state.bytes = bytes;
            return Ok(());
        }
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may have removed it just now.
            if let Ok(about) = entry.metadata() {
                all.push((about.modified()?, about.len(), entry.path()));
            }
        }
        all.sort();
        let mut bytes = all.iter().map(|(_, length, _)| length).sum();
        // Some more than is needed: counting takes its time.
        let enough = if bytes > self.most { self.most / 8 * 7 } else { self.most };
        for (_, length, path) in all {
            if bytes <= enough {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= length,
            }
        }
        state.bytes = Some(bytes);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a count that is right or missing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
