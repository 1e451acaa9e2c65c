//! The log: the repository's signed, hash-chained decisions, and what they come to.
//!
//! Invariant: what a log means is a pure fold over its entries; every entry stands at exactly the next position, names
//! the digest of the one before, and is signed by a principal whose certificate stands before it. Reading and appending
//! are thin around that.

pub mod append;
pub mod codec;
pub mod entry;
#[cfg(test)]
pub(in crate::repo) mod fixture;
pub mod fold;
pub mod ledger;
mod ledger_codec;
mod newest;
pub mod read;
mod restore;
mod source;
#[cfg(test)]
mod tests;
pub mod trust;

pub use append::{Appended, Author, append};
pub use entry::{Cert, Decision, Entry, Part, Target, Verdict};
pub use fold::{State, Violation};
pub use ledger::Ledger;
pub use newest::Newest;
pub use read::{Doubt, Log, Note, read, read_on};
pub use source::Source;
pub use trust::Trust;

use crate::crypto::hpke::SealingKey;
use crate::crypto::secret::Secret;
use crate::store;
use std::sync::Arc;

/// A failure of somebody else's making.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Where index keys come from: the bundle, or `keys/` for epochs that are newer than it.
pub type IndexKeys<'a> = dyn Fn(u32) -> Result<Secret, Cause> + 'a;

/// As [`IndexKeys`] while the log is read: an epoch after the first comes with the public read key that its EPOCH names,
/// which tells its keys from others that were drawn for the same epoch.
pub type EpochKeys<'a> = dyn Fn(u32, Option<SealingKey>) -> Result<Secret, Cause> + 'a;

/// A place in the log: an entry's position and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The entry's position, from 0 on.
    pub position: u64,
    /// SHA-256 of its frame.
    pub digest: [u8; 32],
}

/// Why the log cannot be read or appended to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An entry that only a later version understands.
    #[error("log entry {position} needs a newer boveda: {source}")]
    Newer {
        /// Where.
        position: u64,
        /// What is not understood.
        source: Violation,
    },
    /// No key for the epoch that the log has reached.
    #[error("log entry {position} is sealed for epoch {epoch}: {source}")]
    NoKey {
        /// Where.
        position: u64,
        /// Which epoch.
        epoch: u32,
        /// Why there is no key.
        source: Cause,
    },
    /// An entry is missing while later ones exist.
    #[error("log entry {0} is missing, though later entries exist")]
    Gap(u64),
    /// The log does not hold what was read from it before.
    #[error("the log was rolled back or exchanged: entry {0} is not the one that was read before")]
    RolledBack(u64),
    /// Nothing may be appended before a maintainer voids what stands at the tail.
    #[error("nothing can be entered in the log: {0}")]
    Stopped(#[source] Doubt),
    /// A census whose log entries do not hold.
    #[error("the census's copy of log entry {position} does not hold: {source}")]
    Census {
        /// Where.
        position: u64,
        /// What is wrong with it.
        source: Violation,
    },
    /// What was to be appended breaks the log's rules.
    #[error("this cannot be entered in the log: {0}")]
    Refused(#[source] Violation),
}
