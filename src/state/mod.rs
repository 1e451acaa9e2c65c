//! What this host remembers between runs: known heads, numbers of snapshots, its installations, the change cache, and who looked
//! into mounted snapshots.
//!
//! Everything here can be lost without losing a snapshot: then rollbacks are noticed later, files are read again, and the
//! host goes on as a new writer. So damage and full disks are warnings, never the end of a run. Folders are given by the
//! caller; what boveda makes in them is open to its owner alone.

pub mod audit;
pub mod changes;
pub mod db;
pub mod lock;

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why something could not be remembered or recalled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the state could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database failed.
    #[error("state database {}: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The database was written by a version to come.
    #[error("state database {} has schema {version}, which is newer than this boveda knows", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema's version.
        version: i64,
    },
    /// A change cache does not open: another key or binding, or damage.
    #[error("change cache {} cannot be used: {reason}", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Makes a folder, and those above it, for the owner alone. One that is there keeps its mode: it may be anybody's.
fn make_private(folder: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make the folder", folder))
}

/// As [`make_private`] for a folder that is boveda's own: closed to others also if it was open.
fn make_own(folder: &Path) -> Result<(), Error> {
    make_private(folder)?;
    let mode = std::fs::metadata(folder).map_err(Error::io("read the mode of", folder))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(Error::io("close", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_folders_are_closed_and_given_ones_left_alone() {
        let top = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let given = top.path().join("given");
        std::fs::create_dir(&given).unwrap();
        std::fs::set_permissions(&given, std::fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&given).unwrap();
        assert_eq!(mode(&given), 0o755);
        make_own(&given).unwrap();
        assert_eq!(mode(&given), 0o700);
        make_own(&given.join("a/b")).unwrap();
        assert_eq!(mode(&given.join("a")), 0o700);
    }
}
