//! Which files may be the configuration, and reading one with a look at who else could read or change it.

use super::{Error, Settings};
use rustix::process::geteuid;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Others may read.
const READABLE: u32 = 0o044;
/// Anybody may write.
const WRITABLE: u32 = 0o002;

/// How a file came to be a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// A flag or a variable names it: it must be there.
    Named,
    /// The user's own: it may be missing.
    User,
    /// The machine's: it may be missing, or not be meant for this user.
    System,
}

/// A file that may be the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// How it came to be a candidate.
    pub rank: Rank,
}

/// What a file holds, and who may do what with it.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) text: Vec<u8>,
    /// Of a regular file.
    mode: Option<u32>,
}

impl Place {
    /// What the file holds; `None` when it does not count.
    pub(super) fn read(&self) -> Result<Option<Contents>, Error> {
        let failed = |error| Error::io("read", &self.path)(error);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if self.may_be_without(error.kind()) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        Ok(Some(Contents { text, mode: metadata.is_file().then(|| metadata.mode() & 0o777) }))
    }

    fn may_be_without(&self, error: ErrorKind) -> bool {
        match (self.rank, error) {
            (Rank::Named, _) => false,
            (_, ErrorKind::NotFound | ErrorKind::NotADirectory) => true,
            // One that only root may read is root's, not this user's.
            (Rank::System, ErrorKind::PermissionDenied) => !geteuid().is_root(),
            _ => false,
        }
    }
}

impl Contents {
    /// Whether anything that the file says can be believed: not when anybody may have written it.
    pub(super) fn check_author(&self, path: &Path) -> Result<(), Error> {
        match self.mode {
            Some(mode) if mode & WRITABLE != 0 => Err(Error::Writable { path: path.to_owned(), mode }),
            _ => Ok(()),
        }
    }

    /// Whether the file's mode suits what it holds.
    pub(super) fn check_readers(&self, path: &Path, settings: &Settings) -> Result<(), Error> {
        match (self.mode, settings.secret_in_itself()) {
            (Some(mode), Some(what)) if mode & READABLE != 0 => {
                Err(Error::Readable { path: path.to_owned(), what, mode })
            }
            _ => Ok(()),
        }
    }
}
