//! The local store: objects as files below one folder, over a [`Disk`].
//!
//! An object comes into being as a synced temporary file that is linked to its name, which fails if the name is taken;
//! then its folder and every folder above that may be new are synced. So an object is absent or whole at every moment,
//! also after a power cut, and when a put returns it stays. Temporary files lie in `.tmp`, which no object can be named;
//! what a crash leaves there goes away a day later.
//!
//! Folders of the first two levels are made once and stay. Deeper ones (a session has one each) are removed when they become
//! empty, so another process may make one again at any time: whoever puts into such a folder syncs the folders above, too.

mod list;
mod write;

use super::disk::{Disk, RealDisk};
use super::{Error, ErrorKind, Listed, ObjectName, Put, Store};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

/// How often a put starts again when a folder vanishes under it.
const ATTEMPTS: usize = 5;

/// A folder that holds a repository.
pub struct LocalStore<D: Disk = RealDisk> {
    disk: D,
    root: PathBuf,
    /// Lasting folders whose own names are known to be durable.
    durable: Mutex<HashSet<PathBuf>>,
    tidied: Once,
}

impl LocalStore {
    /// The store in the folder `root`, an absolute path. Nothing is read or written yet.
    pub fn new(root: &Path) -> Self {
        Self::on(RealDisk, root)
    }

    /// Makes the folder `root` and those above it where they are missing, durably, and returns the store in it.
    ///
    /// # Errors
    /// When that fails, or something else than a folder is in the way.
    pub fn create(root: &Path) -> Result<Self, Error> {
        Self::create_on(RealDisk, root)
    }
}

impl<D: Disk> LocalStore<D> {
    /// As [`LocalStore::new`], on any disk.
    pub fn on(disk: D, root: &Path) -> Self {
        Self { disk, root: root.to_owned(), durable: Mutex::default(), tidied: Once::new() }
    }

    /// As [`LocalStore::create`], on any disk.
    ///
    /// # Errors
    /// As [`LocalStore::create`].
    pub fn create_on(disk: D, root: &Path) -> Result<Self, Error> {
        let store = Self::on(disk, root);
        store.make_root(root).map_err(|error| store.error("create", "the folder", error))?;
        store.check()?;
        Ok(store)
    }

    /// The disk underneath.
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// Whether the store's folder is there.
    ///
    /// # Errors
    /// [`ErrorKind::NoStore`] when it is not, or why it cannot be told.
    pub fn check(&self) -> Result<(), Error> {
        let outcome = match self.disk.stat(&self.root) {
            Ok(stat) if stat.directory => return Ok(()),
            Ok(_) => io::ErrorKind::NotADirectory.into(),
            Err(error) => error,
        };
        Err(self.error("open", "the folder", outcome))
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn error(&self, action: &'static str, object: impl ToString, error: io::Error) -> Error {
        let kind = match kind_of(&error) {
            ErrorKind::NotFound if !self.disk.stat(&self.root).is_ok_and(|stat| stat.directory) => ErrorKind::NoStore,
            kind => kind,
        };
        Error { kind, action, object: object.to_string(), place: self.place(), source: Arc::new(error) }
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        // A set of facts: whoever panicked while holding it cannot have left it half changed.
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Disk> Store for LocalStore<D> {
    fn place(&self) -> String {
        self.disk.place(&self.root)
    }

    fn in_flight(&self) -> usize {
        self.disk.in_flight()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.tidied.call_once(|| self.tidy());
        for _ in 1..ATTEMPTS {
            match self.try_put(name, bytes).map_err(|error| self.error("write", name, error)) {
                // Somebody removed an empty folder, or a temporary file that looked abandoned: start again.
                Err(error) if error.kind == ErrorKind::NotFound => self.durable().clear(),
                outcome => return outcome,
            }
        }
        self.try_put(name, bytes).map_err(|error| self.error("write", name, error))
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.length(name)?;
        self.try_settle(name).map_err(|error| self.error("settle", name, error))
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.try_heal(name, bytes).map_err(|error| self.error("heal", name, error))
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.get_range(name, 0, u64::MAX)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.disk.read(&self.path(name), offset, length).map_err(|error| self.error("read", name, error))
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        match self.disk.stat(&self.path(name)) {
            Ok(stat) if stat.directory => Err(self.error("read", name, io::ErrorKind::IsADirectory.into())),
            Ok(stat) => Ok(stat.length),
            Err(error) => Err(self.error("read", name, error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut found = self.list_all(prefix)?;
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        match self.try_delete(name) {
            Err(error) if kind_of(&error) == ErrorKind::NotFound => self.check(),
            deleted => deleted.map_err(|error| self.error("delete", name, error)),
        }
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        // A folder, or something below a file, is not an object of that name.
        Io::NotFound | Io::IsADirectory | Io::NotADirectory => ErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
        Io::Interrupted | Io::TimedOut | Io::WouldBlock | Io::ResourceBusy | Io::StaleNetworkFileHandle => {
            ErrorKind::Temporary
        }
        // The connection to a disk that is elsewhere.
        Io::ConnectionReset | Io::ConnectionAborted | Io::ConnectionRefused | Io::NotConnected => ErrorKind::Temporary,
        _ => ErrorKind::Other,
    }
}
