//! `prune`: gives back the space of packs that no snapshot needs any more, while others go on writing.
//!
//! Invariant (I4 to I7 in `FORMAT.md`): a pack is condemned first, when whatever is needed of it lies elsewhere too; then every
//! session that may not know of that comes to its end; then all is looked at again, and what nobody needs is FINAL in the log, at
//! exactly the position behind what was looked at; only then is it deleted. Wherever a prune dies, the next one goes on. When
//! anything is in doubt, nothing is deleted.

mod doubts;
mod heads;
mod locks;
mod pins;
mod plan;
mod reach;
mod removal;
mod repack;
mod seen;
mod sessions;
mod steps;
mod unindexed;

pub use doubts::Doubt;
pub use locks::Kept;
pub use sessions::{Waiting, known as open_sessions};

use super::checkpoint::{self, checkpoint};
use super::cost::Requests;
use super::host::Host;
use crate::event::Sink;
use crate::repo::id::HoldId;
use crate::repo::log::ledger::Hold;
use crate::repo::repository::{self, Repository};
use std::time::Duration;

/// How it is done.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Change nothing; say what would be done.
    pub dry_run: bool,
    /// Nobody else writes to the repository now: sessions without an end are dead, and are ended at once.
    pub exclusive: bool,
    /// How long to wait for sessions that were open before.
    pub wait: Duration,
    /// How much may stay in packs that is not needed: what is above it makes packs be made anew, without that. An admin does it; who
    /// only maintains leaves it.
    pub max_unused: Limit,
    /// Whether small packs, of which most is needed, are put together too.
    pub repack_small: bool,
    /// How many bytes are copied at most; without a number, as many as it takes.
    pub max_repack: Option<u64>,
    /// How long after the beginning packs are still made anew; without a time, until it is done.
    pub max_time: Option<Duration>,
    /// How long what was given up for good is left where it is, for readers that may not pin what they show.
    pub delete_after: Duration,
    /// A checkpoint is made at the end if it covers so many sessions; without a number, [`checkpoint::WORTH`].
    pub checkpoint_at: Option<u64>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// How much is allowed to stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// As much as there is.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
    /// So many thousandths of what is needed.
    Thousandths(u32),
}

impl Default for Limit {
    /// A twentieth, as restic has it.
    fn default() -> Self {
        Self::Thousandths(50)
    }
}

impl Limit {
    /// In bytes, where so many are needed.
    pub fn of(self, needed: u64) -> u64 {
        match self {
            Self::Unlimited => u64::MAX,
            Self::Bytes(bytes) => bytes,
            Self::Thousandths(share) => (needed / 1000).saturating_mul(share.into()),
        }
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

/// What came of it; of a dry run, what would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packs that were there at the beginning.
    pub stored: Packs,
    /// Packs that are needed, all or a part of them.
    pub needed: Packs,
    /// Bytes of whole segments in needed packs that nothing needs.
    pub unneeded_segments: u64,
    /// Bytes of needed segments that nothing needs, about.
    pub unneeded_chunks: u64,
    /// Packs that were made anew now without a part, and bytes of them that were copied.
    pub repacked: Packs,
    /// Packs that were condemned now.
    pub condemned: Packs,
    /// Packs that had been condemned and stay after all.
    pub rescued: Packs,
    /// Packs that were given up for good now.
    pub finished: Packs,
    /// Packs that were deleted now.
    pub deleted: Packs,
    /// Packs that were given up for good too short a time ago.
    pub delayed: Packs,
    /// What the place does not let go yet, or not at all: packs that were given up for good and stay, and versions of those that were
    /// deleted.
    pub kept: Kept,
    /// Packs that would be made anew if the place let the old ones go, and they could be read.
    pub postponed: Packs,
    /// Packs of open sessions, which are left alone.
    pub open: Packs,
    /// Packs that no index names and of which nobody can tell whose they are; they are left alone.
    pub unknown: Packs,
    /// Sessions that have to end before what is condemned can go.
    pub waiting: Vec<Waiting>,
    /// What a dry run expects the store to be asked for beside the looking, about.
    pub requests: Requests,
}

impl Summary {
    /// Whether all that can go is gone: else another prune has to end it.
    pub const fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Why nothing, or nothing more, is pruned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository cannot be read or written.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// Somebody stopped all pruning.
    #[error("hold {id} is in force: {}", hold.reason)]
    OnHold {
        /// The hold.
        id: HoldId,
        /// Who placed it, when and why.
        hold: Hold,
    },
    /// Somebody who may not enter holds asked for one.
    #[error("{object} asks for a hold, and nobody has entered it in the log yet")]
    Asked {
        /// The object.
        object: String,
    },
    /// Two of several clients may win one name there: what a prune enters in the log could be somebody else's.
    #[error("{place} does not keep two writers apart, and somebody else may write now")]
    NotAlone {
        /// Where the repository is.
        place: String,
    },
    /// The repository is not what it should be: whatever is deleted now may be all that is left of something.
    #[error("nothing is pruned while {}", list(.0))]
    InDoubt(Vec<Doubt>),
}

/// Doubts in one line.
fn list(doubts: &[Doubt]) -> String {
    let more = doubts.len().saturating_sub(SHOWN);
    let mut texts: Vec<String> = doubts.iter().take(SHOWN).map(ToString::to_string).collect();
    if more > 0 {
        texts.push(format!("{more} more things are not as they should be"));
    }
    texts.join("; and while ")
}

/// Doubts that are named one by one.
const SHOWN: usize = 3;

/// Prunes, or says what a prune would do.
///
/// # Errors
/// When the role does not allow it, a hold is in force or asked for, the repository is damaged or somebody asked to stop. What was
/// entered by then stands, and the next prune goes on from it; nothing that any snapshot needs is ever deleted.
pub fn prune(repository: &mut Repository, host: &Host, options: &Options, events: &dyn Sink) -> Result<Summary, Error> {
    let role = repository.bundle().role();
    let allowed = if options.dry_run { role.reads_structure() } else { role.may_maintain() };
    if !allowed {
        return Err(repository::Error::Role { role, action: "pruning" }.into());
    }
    let store = repository.store();
    if !(options.dry_run || options.exclusive || store.exclusive()) {
        return Err(Error::NotAlone { place: store.place() });
    }
    let mut run = steps::Run::new(repository, host, options, events);
    if options.dry_run {
        run.look()?;
        return Ok(run.summary);
    }
    run.begin()?;
    run.condemn()?;
    if run.await_sessions()? {
        run.settle_condemned()?;
    }
    run.delete()?;
    let summary = run.summary;
    checkpoint(repository, options.checkpoint_at.unwrap_or(checkpoint::WORTH), events)?;
    Ok(summary)
}
