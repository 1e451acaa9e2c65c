//! How the local store makes, replaces and removes files so that a power cut at any moment leaves them absent or whole.

use super::super::disk::{Disk, Stat};
use super::super::{ObjectName, Put};
use super::LocalStore;
use crate::crypto::hash::hex;
use crate::crypto::secret::random;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where unfinished files lie, below the store's folder.
const TEMPORARY: &str = ".tmp";
/// How old a temporary file must be to count as left over from a crash.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Folders up to this many levels below the top are never removed.
const LASTING_LEVELS: usize = 2;

impl<D: Disk> LocalStore<D> {
    /// One attempt. [`io::ErrorKind::NotFound`] asks for another.
    pub(super) fn try_put(&self, name: &ObjectName, bytes: &[u8]) -> io::Result<Put> {
        let (target, folders) = (self.path(name), self.folders(name));
        // Whoever finds an object builds on it, so it must not vanish later: sync on behalf of whoever put it.
        if self.disk.stat(&target).is_ok_and(|stat| stat.file) {
            self.sync_folders(&folders)?;
            return Ok(Put::Exists);
        }
        let temporary = self.write_temporary(bytes)?;
        let published = self.make_folders(&folders).and_then(|()| self.publish(&temporary, &target));
        self.drop_temporary(&temporary);
        let put = published?;
        self.sync_folders(&folders)?;
        Ok(put)
    }

    /// Makes an object durable: the names that lead to it, for whoever put it may have died before that was done; and once more
    /// its content, in case that the disk said that it was, and lied.
    pub(super) fn try_settle(&self, name: &ObjectName) -> io::Result<()> {
        self.disk.sync_path(&self.path(name))?;
        self.sync_folders(&self.folders(name))
    }

    /// Puts `bytes` in the place of a file, at once.
    pub(super) fn try_heal(&self, name: &ObjectName, bytes: &[u8]) -> io::Result<()> {
        let folders = self.folders(name);
        let temporary = self.write_temporary(bytes)?;
        let renamed = self.make_folders(&folders).and_then(|()| self.disk.rename(&temporary, &self.path(name)));
        if let Err(error) = renamed {
            self.drop_temporary(&temporary);
            return Err(error);
        }
        self.sync_folders(&folders)
    }

    /// Removes a file for good, and the folders that this leaves empty as far as they do not last.
    pub(super) fn try_delete(&self, name: &ObjectName) -> io::Result<()> {
        let folders = self.folders(name);
        // One that is not there may be back after a power cut, if whoever removed it died then: sync on their behalf.
        let removed = self.disk.remove(&self.path(name));
        if removed.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            return removed;
        }
        match self.disk.sync_path(folders.last().unwrap_or(&self.root)) {
            // Another process deleted the last file and the folder with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
        removed?;
        for folder in folders.iter().skip(LASTING_LEVELS).rev() {
            // Not empty, most of the time; and an empty folder is only untidy.
            if self.disk.remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Makes the store's folder and those above it.
    pub(super) fn make_root(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        match self.make_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_root(parent)?;
                self.make_dir(path)?;
            }
            made => made?,
        }
        match self.disk.sync_path(parent) {
            // Without the right to read the folder above nothing was made in it either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }

    /// Removes what crashes left behind. Failures are passed over: a left-over file harms nothing, and a store that cannot
    /// be written to says so in the put that follows.
    pub(super) fn tidy(&self) {
        let folder = self.root.join(TEMPORARY);
        let now = SystemTime::now();
        for name in self.disk.names(&folder).unwrap_or_default() {
            let path = folder.join(name);
            let old = |stat: Stat| now.duration_since(stat.modified).is_ok_and(|age| age > LEFT_OVER_AFTER);
            if self.disk.stat(&path).is_ok_and(old) {
                self.drop_temporary(&path);
            }
        }
    }

    /// Folders between the top and the object, outermost first.
    fn folders(&self, name: &ObjectName) -> Vec<PathBuf> {
        let slashes = name.as_str().match_indices('/');
        slashes.map(|(at, _)| self.root.join(&name.as_str()[..at])).collect()
    }

    fn make_folders(&self, folders: &[PathBuf]) -> io::Result<()> {
        folders.iter().filter(|folder| !self.durable().contains(*folder)).try_for_each(|folder| self.make_dir(folder))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        match self.disk.make_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// Makes durable what names lead to an object, except those known to be.
    fn sync_folders(&self, folders: &[PathBuf]) -> io::Result<()> {
        self.disk.sync_path(folders.last().unwrap_or(&self.root))?;
        for (level, folder) in folders.iter().enumerate().rev() {
            if self.durable().contains(folder) {
                continue;
            }
            self.disk.sync_path(if level == 0 { &self.root } else { &folders[level - 1] })?;
            if level < LASTING_LEVELS {
                self.durable().insert(folder.clone());
            }
        }
        Ok(())
    }

    /// Writes and syncs a temporary file; on failure none is left.
    fn write_temporary(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let folder = self.root.join(TEMPORARY);
        let path = folder.join(hex(&random::<16>()));
        let mut file = match self.disk.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_dir(&folder)?;
                self.disk.create(&path)?
            }
            created => created?,
        };
        let written = self.disk.write(&mut file, bytes).and_then(|()| self.disk.sync(&file));
        if let Err(error) = written {
            self.drop_temporary(&path);
            return Err(error);
        }
        Ok(path)
    }

    /// A temporary file that cannot be removed only takes room until it counts as left over.
    fn drop_temporary(&self, path: &Path) {
        let _ = self.disk.remove(path);
    }

    /// Gives the temporary file its name, unless that is taken.
    fn publish(&self, temporary: &Path, target: &Path) -> io::Result<Put> {
        let Err(error) = self.disk.link(temporary, target) else { return Ok(Put::Created) };
        // Over a network, the answer to a link that was made can get lost, and the repeated request finds the name taken.
        if same_file(self.disk.stat(temporary), self.disk.stat(target)) {
            return Ok(Put::Created);
        }
        let error = if has_no_links(&error) {
            let Err(error) = self.disk.rename_new(temporary, target) else { return Ok(Put::Created) };
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) {
                return Err(io::Error::other(
                    "this file system has neither hard links nor renames that never overwrite",
                ));
            }
            error
        } else {
            error
        };
        if error.kind() == io::ErrorKind::AlreadyExists { Ok(Put::Exists) } else { Err(error) }
    }
}

fn same_file(a: io::Result<Stat>, b: io::Result<Stat>) -> bool {
    matches!((a, b), (Ok(a), Ok(b)) if a.identity == b.identity)
}

/// Whether a failed link means that the file system has no hard links.
fn has_no_links(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::TooManyLinks)
}
