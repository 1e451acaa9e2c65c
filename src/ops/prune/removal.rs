//! The last step: what is FINAL is deleted, as far as its time has come and the place allows it.

use super::locks::{self, ASKED};
use super::steps::Run;
use super::{Error, Packs, pins};
use crate::event::{Event, Level, Progress, Stage};
use crate::repo::chunks;
use crate::repo::id::PackId;
use crate::repo::repository;
use crate::store::{ErrorKind, Facts, retention};
use std::collections::BTreeMap;

/// Packs that are removed between two looks whether somebody asked to stop.
const AT_ONCE: usize = 200;

impl Run<'_> {
    /// Deletes what is FINAL, whoever gave it up and whenever, also what came back since (I7). What the place does not let go yet stays
    /// FINAL: another prune deletes it.
    pub fn delete(&mut self) -> Result<(), Error> {
        let pinned = pins::look(self.repository, self.host, self.options.now, self.events)?;
        pins::remove(self.repository, &pinned.expired, self.events);
        // As they were seen before the log was read last: what comes back later, another prune removes.
        let packs = self.repository.packs_seen()?;
        let ledger = self.repository.log().state.ledger();
        let gone = packs.into_iter().filter(|(id, _)| ledger.ever_final(id)).collect();
        let gone = self.due(gone)?;
        let bytes_total = gone.iter().map(|(_, length)| length).sum();
        let first = gone.first().map(|(id, _)| locks::facts(self.repository, id, self.events)).unwrap_or_default();
        let mut bytes = 0;
        for part in gone.chunks(AT_ONCE) {
            if self.events.stopping() {
                return Err(repository::Error::from(chunks::Error::Stopped).into());
            }
            self.delete_part(part, &first)?;
            bytes += part.iter().map(|(_, length)| length).sum::<u64>();
            self.events.emit(Event::Progress(Stage::Prune, Progress { bytes, bytes_total, ..Progress::default() }));
        }
        let Packs { packs, .. } = self.summary.deleted;
        self.events.emit(Event::Message(Level::Debug, format!("{packs} packs deleted")));
        Ok(())
    }

    /// Deletes packs at a place that said that of the first one.
    fn delete_part(&mut self, part: &[(PackId, u64)], first: &Facts) -> Result<(), Error> {
        let versions = first.version.is_some();
        // Once they are removed, their versions have no names of ours to ask by.
        let asked = versions && first.lock.is_some();
        let hidden: Vec<_> = part.iter().map(|(id, _)| if asked { self.locked_until(id) } else { None }).collect();
        let ids: Vec<PackId> = part.iter().map(|(id, _)| *id).collect();
        let mut failed = None;
        for (((id, length), hidden), outcome) in part.iter().zip(hidden).zip(self.repository.delete_final(&ids)) {
            match outcome {
                Ok(()) => {
                    self.summary.deleted.count(*length);
                    self.summary.kept.versions |= versions;
                    self.summary.kept.ends(hidden);
                }
                Err(error) if error.kind == ErrorKind::Locked => {
                    self.summary.kept.locked.count(*length);
                    let until = retention::until(&error).or_else(|| self.locked_until(id));
                    self.summary.kept.ends(until);
                    self.events.emit(Event::Message(Level::Debug, format!("it stays for now: {error}")));
                }
                // What was removed beside it is counted all the same.
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(()), |error| Err(repository::Error::from(error).into()))
    }

    /// Until when a pack is locked, if it is, the place says so, and not too many were asked about before.
    fn locked_until(&mut self, id: &PackId) -> Option<i64> {
        self.asked += 1;
        let lock = if self.asked > ASKED { None } else { locks::facts(self.repository, id, self.events).lock };
        lock.filter(|lock| lock.holds(self.options.now))?.until
    }

    /// Of packs that a dry run finds to go, first those that could go at once: what the place keeps of them, as far as it is asked.
    pub fn foresee(&mut self, gone: &[(PackId, u64)], going: impl Iterator<Item = (PackId, u64)>) {
        for (number, (id, length)) in gone.iter().copied().chain(going).take(ASKED).enumerate() {
            let known = locks::facts(self.repository, &id, self.events);
            self.summary.kept.versions |= known.version.is_some();
            // A place that locks objects locks each for its own time.
            if number == 0 && known.lock.is_none() {
                return;
            }
            if let Some(lock) = known.lock.filter(|lock| lock.holds(self.options.now)) {
                self.summary.kept.locked.count(length);
                self.summary.kept.ends(lock.until);
            }
        }
    }

    /// When the log's entry at this position was made; `None` when that cannot be read: then nobody hurries.
    fn time_of(&self, position: u64) -> Option<i64> {
        let time = self.repository.decided_at(position);
        let warn = |error: &repository::Error| {
            let text = format!("packs that log entry {position} gave up stay where they are: {error}");
            self.events.emit(Event::Message(Level::Warning, text));
        };
        time.inspect_err(warn).ok().map(|time| time.seconds)
    }

    /// Of packs that were given up for good, those that need not stay any longer; the others are counted.
    pub fn due(&mut self, gone: Vec<(PackId, u64)>) -> Result<Vec<(PackId, u64)>, Error> {
        if self.options.delete_after.is_zero() {
            return Ok(gone);
        }
        let wait = i64::try_from(self.options.delete_after.as_secs()).unwrap_or(i64::MAX);
        let (mut due, mut times) = (Vec::new(), BTreeMap::new());
        for (id, length) in gone {
            let position = self.repository.log().state.ledger().final_since(&id).unwrap_or_default();
            let time = *times.entry(position).or_insert_with(|| self.time_of(position));
            if time.is_some_and(|time| time.saturating_add(wait) <= self.options.now) {
                due.push((id, length));
            } else {
                self.summary.delayed.count(length);
            }
        }
        Ok(due)
    }
}
