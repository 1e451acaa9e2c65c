//! What every thread of one restore shares.

use super::folder::Handles;
use super::links::Links;
use super::overwrite::Overwrite;
use super::owners::Owners;
use super::report::Report;
use super::sweep::Sweep;
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::EntryPath;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

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
    /// What gives way to the snapshot.
    pub(super) overwrite: Overwrite,
    /// Takes away what the snapshot does not have, if that was asked for.
    pub(super) sweep: Option<Sweep<'a>>,
    /// What was left as it stood, if somebody will ask.
    pub(super) kept: Option<Mutex<HashSet<EntryPath>>>,
}
