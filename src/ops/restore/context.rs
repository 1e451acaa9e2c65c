//! What every thread of one restore shares.

use super::folder::Handles;
use super::links::Links;
use super::owners::Owners;
use super::report::Report;
use crate::repo::chunks::ChunkSource;
use std::sync::Arc;

/// The surroundings of one restore.
pub(super) struct Context<'a> {
    /// Where content comes from.
    pub(super) source: Arc<dyn ChunkSource>,
    /// The target's directories.
    pub(super) handles: Handles,
    /// Names that share an inode.
    pub(super) links: Links,
    /// Users and groups of this machine.
    pub(super) owners: Owners,
    /// Counters and messages.
    pub(super) report: Report<'a>,
    /// Whether this process may give files away.
    pub(super) root: bool,
}
