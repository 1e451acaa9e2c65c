//! `sync`: another copy of a repository, brought up to date.
//!
//! Invariant (I14 in `FORMAT.md`): a sync is a session at the copy. Packs come first, then the indexes that name them, then the session's
//! end with the records; whatever dies before leaves packs that the next sync finds there. Nothing is ever removed at the copy but what
//! somebody asked for, and not while anything about the source is in doubt.

pub mod decisions;
mod marks;
mod needed;
mod plan;
mod sample;
pub mod stand;
mod steps;
mod transfer;

pub use super::cost::Requests;
pub use plan::Plan;
pub use stand::Stand;

use super::host::Host;
use crate::event::{Event, Level, Sink};
use crate::repo::entry::Timestamp;
use crate::repo::id::{HoldId, PackId, SnapshotId};
use crate::repo::log::ledger::Hold;
use crate::repo::names::Name;
use crate::repo::repository::{self, Repository};
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Which objects of the copy are read whole, and held against their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// None. What the place has another hash for than before is told.
    None,
    /// A thirtieth, another one each time, and what the place has another hash for than before.
    #[default]
    Sample,
    /// All.
    All,
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Write nothing; say what would be brought.
    pub dry_run: bool,
    /// Whether what was forgotten at the source is forgotten at the copy too.
    pub forget: bool,
    /// What of the copy is read.
    pub check: Check,
    /// How many packs are under way at once.
    pub connections: usize,
    /// How many bytes of the source's packs may be read to find out what the copy's place should say of packs that nobody knows of; 0 where
    /// reading them is a download. See [`LEARN`].
    pub learn: u64,
}

/// What may be read of a source on this machine: some ten seconds' work.
pub const LEARN: u64 = 4 << 30;

impl Default for Options {
    fn default() -> Self {
        Self { dry_run: false, forget: false, check: Check::default(), connections: 4, learn: 0 }
    }
}

/// So many packs, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packs {
    /// How many.
    pub packs: u64,
    /// Bytes of all of them, as they are stored.
    pub bytes: u64,
}

impl Packs {
    /// Counts one.
    pub const fn count(&mut self, bytes: u64) {
        self.packs += 1;
        self.bytes += bytes;
    }
}

/// How far a copy is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Snapshots of the source that are not at the copy.
    pub snapshots: u64,
    /// The time of the oldest of them.
    pub since: Option<Timestamp>,
}

/// What came of it; of a dry run, what would.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Whether there was no copy at that place before.
    pub founded: bool,
    /// How far it was behind at the beginning.
    pub before: Lag,
    /// How far it is behind now.
    pub after: Lag,
    /// Snapshots that came.
    pub snapshots: u64,
    /// Packs that were put.
    pub packs: Packs,
    /// What came under new names, because the old ones were given up at the copy: packs copied from, bytes copied.
    pub renewed: Packs,
    /// Indexes that were put.
    pub indexes: u64,
    /// Decisions of admins that were entered.
    pub entered: u64,
    /// Snapshots whose tags were changed.
    pub tagged: u64,
    /// Snapshots that were forgotten at the copy.
    pub forgotten: u64,
    /// Packs of the copy that were read whole.
    pub checked: Packs,
    /// Packs that were not, and of which the place says what it said when their bytes there were known to be right.
    pub by_hash: Packs,
    /// Packs of which nothing more is known than their length.
    pub unchecked: Packs,
    /// Objects of the copy that were damaged or missing, and were put back.
    pub healed: Vec<Name>,
    /// Snapshots that could not come, and why.
    pub left: BTreeMap<SnapshotId, String>,
    /// Objects that are lost at the source.
    pub lost: BTreeMap<Name, String>,
    /// Slots at the copy that are not at the source.
    pub slots: Vec<Name>,
    /// What it took.
    pub requests: Requests,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Why a copy was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the two cannot be read or written.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// Both are one place.
    #[error("{place} is not a copy of itself")]
    Same {
        /// The place.
        place: String,
    },
    /// Somebody stopped all forgetting at the source.
    #[error("nothing is forgotten at the copy while hold {id} is in force: {}", hold.reason)]
    OnHold {
        /// The hold.
        id: HoldId,
        /// Who placed it, when and why.
        hold: Hold,
    },
    /// Nobody knows whether what is gone at the source is gone by anybody's wish.
    #[error("nothing is forgotten at the copy while the source is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Repository(error.into())
    }
}

/// Brings the copy of `source` in `store` up to date; begins one if nothing is there.
///
/// # Errors
/// When the place holds another repository, the role does not write, a store fails, or somebody asked to stop: then it can be done again,
/// and goes on from where it was.
pub fn sync(
    host: &Host,
    source: &mut Repository,
    store: &Arc<dyn Store>,
    options: &Options,
    events: &dyn Sink,
) -> Result<Summary, Error> {
    let start = Instant::now();
    let role = source.bundle().role();
    if !role.writes() {
        return Err(repository::Error::Role { role, action: "bringing snapshots to a copy" }.into());
    }
    if Arc::ptr_eq(source.store(), store) {
        return Err(Error::Same { place: store.place() });
    }
    source.refresh_settled()?;
    let mut summary = Summary { founded: !source.is_copied_to(&**store)?, ..Summary::default() };
    let mut copy = if options.dry_run {
        if summary.founded { None } else { begun(host, source, store)? }
    } else {
        summary.slots = source.found_copy(&**store)?;
        Some(host.open_copy(source, Arc::clone(store))?)
    };
    let mut sync = steps::Sync { host, source, options, events, summary, found: sample::Found::default() };
    if options.dry_run {
        sync.preview(copy.as_ref())?;
    } else if let Some(copy) = &mut copy {
        sync.carry_out(copy)?;
    }
    let mut summary = sync.summary;
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// A copy, unless whoever began it did not get far enough for it to be opened.
fn begun(host: &Host, source: &Repository, store: &Arc<dyn Store>) -> Result<Option<Repository>, Error> {
    match host.open_copy(source, Arc::clone(store)) {
        Ok(copy) => Ok(Some(copy)),
        Err(repository::Error::Unfounded) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells what a person should know.
fn warn(events: &dyn Sink, text: String) {
    events.emit(Event::Message(Level::Warning, text));
}

/// What a pack is called.
const fn pack_name(id: PackId) -> Name {
    Name::Pack(id)
}
