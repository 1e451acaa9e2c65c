//! What can be snapshotted: the sources, and the one word they share for what could not be read.
//!
//! A source hands out entries and bytes in catalog order; it never decides what becomes of them. One entry's failure is
//! a [`Problem`], which the run reports and survives.

pub mod amount;
pub mod battery;
pub mod files;
pub mod mounts;
pub mod pace;
mod ready;
pub mod stream;

use rustix::io::Errno;

/// Something of a source that could not be read, or not as it should have been. The run goes on.
#[derive(Debug, thiserror::Error)]
#[error("{}: {during}: {cause}", path.escape_ascii())]
pub struct Problem {
    /// The absolute path concerned, as bytes.
    pub path: Vec<u8>,
    /// What was being done, as a few words that follow a colon ("listing", "reading" …).
    pub during: &'static str,
    /// What went wrong.
    #[source]
    pub cause: Cause,
}

/// What went wrong with one entry of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The system refused.
    #[error("{0}")]
    System(#[from] Errno),
    /// Something of another kind took its place since it was listed.
    #[error("it was replaced by something else while the snapshot ran")]
    Replaced,
    /// The name is longer than 255 bytes, or otherwise one that no entry can have.
    #[error("no entry can have such a name")]
    ImpossibleName,
    /// A kind of file that this program does not know.
    #[error("unknown file type {0:#o}")]
    UnknownKind(u16),
    /// A path was asked for by name, and a rule leaves it out.
    #[error("a rule leaves it out, although it was asked for by name (`--explain` tells which)")]
    Excluded,
    /// A path was asked for by name, and lies in a place that is never entered.
    #[error("it is the repository itself, or lies within it")]
    Repository,
}

impl Problem {
    /// A problem with `path` that came up while `during`.
    pub fn new(path: Vec<u8>, during: &'static str, cause: impl Into<Cause>) -> Self {
        Self { path, during, cause: cause.into() }
    }

    /// Whether the entry simply is not there any more.
    pub fn vanished(&self) -> bool {
        matches!(self.cause, Cause::System(Errno::NOENT | Errno::STALE))
    }
}
