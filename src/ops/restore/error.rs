//! Why a restore cannot start or go on. What goes wrong with single entries is an event, not an error.

use crate::repo::catalog;
use std::path::PathBuf;

/// A restore as a whole failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target directory cannot be made or opened.
    #[error("cannot use {} as the target", path.display())]
    Target { path: PathBuf, source: std::io::Error },
    /// The selected path is not in the snapshot.
    #[error("the snapshot has no {}", path.escape_ascii())]
    NotInSnapshot { path: Vec<u8> },
    /// Deleting would go far beyond what the snapshot holds.
    #[error("the target is the root of the file system: what of it should be deleted must be said with patterns")]
    DeleteRoot,
    /// The root of the snapshot's catalog cannot be read, and so nothing can be found.
    #[error("the snapshot's catalog cannot be read")]
    Catalog(#[source] catalog::Error),
    /// Somebody asked to stop. What was restored so far is in the target; running it again goes on from there.
    #[error("stopped before everything was restored")]
    Stopped,
}
