//! Listings of the local store: complete or an error.
//!
//! Names that no object can have are passed over (`lost+found`, `.nfs…`, `.tmp`), and so is what is neither a file nor a
//! folder. A name that vanishes while the folder is read was deleted meanwhile; a symbolic link that leads nowhere is an
//! error, since what it should lead to may hold half the repository.

use super::super::disk::Disk;
use super::super::{Error, ErrorKind, Listed, ObjectName};
use super::{LocalStore, kind_of};
use std::io;
use std::path::Path;

/// How often a folder is read that comes and goes.
const ATTEMPTS: usize = 3;

impl<D: Disk> LocalStore<D> {
    /// Every object below `prefix`, in no order.
    pub(super) fn list_all(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let folder = match ObjectName::new(prefix) {
            _ if prefix.is_empty() => self.root.clone(),
            Some(name) => self.path(&name),
            None => return self.check().map(|()| Vec::new()),
        };
        let mut found = Vec::new();
        match self.list_into(&folder, prefix, &mut found) {
            Ok(()) => Ok(found),
            Err(error) if kind_of(&error) == ErrorKind::NotFound && self.is_no_folder(&folder) => {
                self.check().map(|()| Vec::new())
            }
            Err(error) => Err(self.list_error(prefix, error)),
        }
    }

    /// Adds every object in `folder`, whose own name is `prefix`, to `found`.
    fn list_into(&self, folder: &Path, prefix: &str, found: &mut Vec<Listed>) -> io::Result<()> {
        for (name, known) in self.disk.entries(folder)? {
            let separator = if prefix.is_empty() { "" } else { "/" };
            let object = name.to_str().and_then(|name| ObjectName::new(&format!("{prefix}{separator}{name}")));
            let Some(name) = object else { continue };
            let path = self.path(&name);
            match known.map_or_else(|| self.disk.stat(&path), Ok) {
                Ok(stat) if stat.directory => self.list_folder(&path, name.as_str(), found)?,
                Ok(stat) if stat.file => found.push(Listed { name, length: stat.length, mark: None }),
                Ok(_) => {}
                Err(error) if self.vanished(&path, &error)? => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// As [`Self::list_into`], for a folder that others may remove meanwhile, and make again.
    fn list_folder(&self, folder: &Path, prefix: &str, found: &mut Vec<Listed>) -> io::Result<()> {
        let before = found.len();
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.list_into(folder, prefix, found) {
                Err(error) if self.vanished(folder, &error)? => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => found.truncate(before),
                listed => return listed,
            }
        }
    }

    /// Whether an error only says that somebody removed the name meanwhile.
    fn vanished(&self, path: &Path, error: &io::Error) -> io::Result<bool> {
        Ok(error.kind() == io::ErrorKind::NotFound && self.disk.is_gone(path)?)
    }

    /// Whether nothing can lie below `folder`: it is not there, or is itself an object.
    fn is_no_folder(&self, folder: &Path) -> bool {
        self.disk.is_gone(folder).unwrap_or(false) || self.disk.stat(folder).is_ok_and(|stat| stat.file)
    }

    fn list_error(&self, prefix: &str, error: io::Error) -> Error {
        let mut error = self.error("list", if prefix.is_empty() { "all objects" } else { prefix }, error);
        if error.kind == ErrorKind::NotFound {
            // Something inside was not found. That must never read as "there is nothing".
            error.kind = ErrorKind::Other;
        }
        error
    }
}
