//! The newest checkpoint, found from the log's end: what its census covers need not be read again.
//!
//! Invariant: nothing is taken on trust here. The entries behind the census are admitted one by one afterwards, the checkpoint first, by
//! which a maintainer signed for the census; and the entry that this host remembers is in the chain that leads there. Where anything is
//! otherwise than in a log that nobody damaged, the answer is that there is none, and the log is read from its beginning.

use super::entry::{Decision, Entry};
use super::read::{Log, read_from};
use super::source::Source;
use super::{EpochKeys, Error, Head, State};
use crate::crypto::secret::Secret;
use crate::repo::census::Census;
use crate::repo::id::{CensusId, RepositoryId};

/// A CHECKPOINT as it stands in the log; nobody has checked its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// Its number.
    pub number: u64,
    /// The census that it names.
    pub census: CensusId,
    /// The entry before it.
    before: Head,
}

impl Source<'_> {
    /// The newest CHECKPOINT, if the entry that this host remembers as `pin` is in one chain with it.
    pub fn newest_checkpoint(
        &self,
        repository: &RepositoryId,
        keys: &dyn Fn(u32) -> Option<Secret>,
        pin: Option<Head>,
    ) -> Option<Newest> {
        let last = *self.firsts.last()?;
        let mut found: Option<Newest> = None;
        // What the entry that was looked at last names as the one before.
        let mut previous: Option<[u8; 32]> = None;
        for position in (0..=last).rev() {
            let frame = self.peek(position)?;
            if previous.is_some_and(|digest| digest != frame.digest())
                || pin.is_some_and(|pin| pin.position == position && pin.digest != frame.digest())
            {
                return None;
            }
            let plain = frame.unseal(repository, &keys(frame.epoch()?)?).ok()?;
            let entry = Entry::decode(&plain).ok()?;
            if entry.position != position {
                return None;
            }
            previous = Some(entry.previous);
            if found.is_none()
                && let Decision::Checkpoint { number, census } = entry.decision().ok()?
            {
                let before = Head { position: position.checked_sub(1)?, digest: entry.previous };
                found = Some(Newest { number, census, before });
            }
            // One below the checkpoint at least: that it is there, its digest tells.
            if let Some(newest) = found
                && position
                    <= pin.map_or(newest.before.position + 1, |pin| pin.position.min(newest.before.position + 1))
            {
                return Some(newest);
            }
        }
        None
    }

    /// The log from the census on that this checkpoint names; `fresh` is the state before the first entry. `None` where it is not what it
    /// should be.
    ///
    /// # Errors
    /// When the store fails, a key is missing, or an entry needs a newer version.
    pub fn read_since(
        &self,
        newest: &Newest,
        census: &Census,
        fresh: State,
        keys: &EpochKeys<'_>,
        pin: Option<Head>,
    ) -> Result<Option<Log>, Error> {
        if (census.number, census.head) != (newest.number, newest.before) {
            return Ok(None);
        }
        let Ok(state) = fresh.from_census(census, keys) else { return Ok(None) };
        let log = read_from(self, state, keys, pin)?;
        let stands = log.state.ledger().checkpoint_number() >= newest.number;
        Ok(Some(log).filter(|log| log.doubts.is_empty() && stands))
    }

    /// The whole log; `fresh` is the state before the first entry.
    ///
    /// # Errors
    /// As [`super::read()`].
    pub fn read_all(&self, fresh: State, keys: &EpochKeys<'_>, pin: Option<Head>) -> Result<Log, Error> {
        read_from(self, fresh, keys, pin)
    }
}
