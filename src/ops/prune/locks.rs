//! What the place lets nobody remove yet: object lock, immutability policies, retention, holds.
//!
//! Nothing is decided by it but whether packs are made anew: that would take room, and give none back. Everything else goes its way, and
//! what the place refuses to remove, or keeps as an older version, is counted and said. A place that tells nothing has no locks, until it
//! refuses.

use super::Packs;
use super::repack::Repack;
use crate::event::{Event, Level, Sink};
use crate::repo::id::PackId;
use crate::repo::repository::Repository;
use crate::store::Facts;
use std::collections::BTreeMap;

/// Packs that are asked about at most where nothing but the telling depends on it.
pub(super) const ASKED: usize = 100;

/// What is known about what was removed, or is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Whether the place keeps what is removed, as older versions.
    pub versions: bool,
    /// Of a dry run, packs that would go and are locked now; else those that the place refused to remove. Of a dry run only some packs
    /// are asked about.
    pub locked: Packs,
    /// The latest time, in seconds since 1970, that the place gave for the end of a lock of one of them, or of their older versions.
    pub until: Option<i64>,
}

impl Kept {
    /// A lock ends then.
    pub(super) fn ends(&mut self, until: Option<i64>) {
        self.until = self.until.max(until);
    }
}

/// What the place says of a pack; nothing where it cannot be asked.
pub(super) fn facts(repository: &Repository, pack: &PackId, events: &dyn Sink) -> Facts {
    let facts = repository.pack_facts(pack);
    let tell =
        |error: &_| events.emit(Event::Message(Level::Debug, format!("whether it is locked is not known: {error}")));
    facts.inspect_err(tell).unwrap_or_default()
}

/// Takes out of what is to be made anew all that is locked, since it would not go, and all that is archived, since it cannot be read.
/// Returns how much that is.
pub(super) fn leave(
    repository: &Repository,
    repack: &mut Repack,
    stored: &BTreeMap<PackId, u64>,
    now: i64,
    events: &dyn Sink,
) -> Packs {
    let mut left = Packs::default();
    // Each is asked about, which is little beside the reading of it.
    repack.parts.retain(|part| {
        let Facts { lock, archive, .. } = facts(repository, &part.pack, events);
        let goes = archive.is_none() && lock.is_none_or(|lock| !lock.holds(now));
        if !goes {
            left.count(stored.get(&part.pack).copied().unwrap_or_default());
        }
        goes
    });
    left
}
