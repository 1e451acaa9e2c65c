//! The FUSE face of a repository: every snapshot as a read-only folder.
//!
//! One trip through the room: the kernel asks `fs`, which resolves a node in the `view`, finds its entry in a snapshot's
//! catalog and answers at once when all that it needs is in memory; what has to be fetched or decoded is handed, together with
//! the right to reply, to the `pool`, so that the loops that listen to the kernel never wait. `session` mounts, follows new
//! snapshots, and takes the mount away again; [`background`] lets a command return while its mount is served.
//!
//! What the mount needs of a repository is a [`SnapshotList`]. It writes nothing, and no verb depends on it.

mod ahead;
mod answers;
mod around;
mod attr;
mod axis;
pub mod background;
mod changes;
mod door;
mod errno;
mod face;
mod file;
mod fs;
mod guard;
mod handles;
mod known;
mod layout;
mod links;
mod listing;
mod name;
mod node;
mod opened;
mod pool;
mod prepare;
mod scattered;
mod session;
mod shared;
mod snapshots;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unmount;
mod versions;
mod view;
mod writable;

pub use face::Face;
pub use guard::{Policy, Program};
pub use session::{DEADLINE, Options, Session, run};
pub use snapshots::{Listing, MountedSnapshot, SnapshotList};
pub use unmount::unmount;

use std::io;
use std::path::PathBuf;

/// Why a mount cannot be made, kept or taken away.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder to mount at cannot be used.
    #[error("cannot mount at {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Something is in the folder, and a mount would hide it.
    #[error("cannot mount at {}: the folder is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A repository is mounted there already.
    #[error("{} is mounted already", .0.display())]
    Mounted(PathBuf),
    /// Reading one would mean reading the other.
    #[error("cannot mount at {}: it and the {what} in {} lie one inside the other", path.display(), other.display())]
    Overlap {
        /// The folder to mount at.
        path: PathBuf,
        /// What is in the other folder.
        what: &'static str,
        /// The other folder.
        other: PathBuf,
    },
    /// The system did not mount.
    #[error("cannot mount at {}: {source}", path.display())]
    Mount {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// What is to take the changes could not be laid over the mount.
    #[error("cannot make {} writable: {reason}", path.display())]
    Overlay {
        /// The mountpoint.
        path: PathBuf,
        /// What the system, or `fuse-overlayfs`, says.
        reason: String,
    },
    /// The snapshots could not be listed.
    #[error("cannot list the repository's snapshots: {0}")]
    Snapshots(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Serving ended in an error.
    #[error("the mount at {} ended: {source}", path.display())]
    Ended {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no mount of ours.
    #[error("nothing of boveda is mounted at {}", .0.display())]
    NotMounted(PathBuf),
    /// The system did not unmount.
    #[error("cannot unmount {}: {reason}", path.display())]
    Unmount {
        /// The folder.
        path: PathBuf,
        /// What the system, or the helper `fusermount3`, says.
        reason: String,
    },
    /// The process could not be divided into one that returns and one that serves.
    #[error("cannot go into the background: {0}")]
    Background(#[source] io::Error),
}
