//! Before a session builds on what it found: making that as durable as what it will write itself, and completing second
//! copies that somebody could not put.
//!
//! A process that dies between giving an object its name and making the name durable leaves something that everybody sees
//! and a power cut takes away again. Whoever was cut short was told nothing; but a session that counts on its packs, its
//! indexes or its decisions would lose what it commits.

use super::{Error, Repository};
use crate::event::{Event, Level};
use crate::repo::id::{SnapshotId, WriterId};
use crate::repo::log;
use crate::repo::names::{Copy, Name, SessionName};
use crate::repo::session_view::Outcome;
use crate::store::{self, ErrorKind};
use std::collections::BTreeMap;

impl Repository {
    /// Settles the log's tail and the newest commit of every writer. Earlier commits were settled by the session that the
    /// same writer began after them.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn settle(&self) -> Result<(), Error> {
        self.settle_log()?;
        let committed = |(session, outcome): (&SessionName, &Outcome)| {
            matches!(outcome, Outcome::Committed(_)).then_some((session.writer, session.seq))
        };
        // Sessions are in the order of their numbers, so that the newest of each writer stays.
        let newest: BTreeMap<WriterId, u64> = self.view.sessions.iter().filter_map(committed).collect();
        for (writer, seq) in newest {
            self.settle_end(SessionName { writer, seq })?;
        }
        Ok(())
    }

    /// Settles the log's newest entry, if asked to, and these records: before anything is concluded from their being there.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle_heads(&self, log: bool, heads: &[SnapshotId]) -> Result<(), Error> {
        if log {
            self.settle_log()?;
        }
        for snapshot in heads.iter().filter_map(|id| self.view.snapshots.get(id)) {
            self.settle_end(snapshot.record.link().session)?;
        }
        Ok(())
    }

    /// The entry that counts may be a second copy whose first is lost.
    pub(super) fn settle_log(&self) -> Result<(), Error> {
        if self.store.seen_is_durable() {
            return Ok(());
        }
        self.log.state.head().map_or(Ok(()), |head| self.settle_entry(head.position))
    }

    /// Settles the log's entry at this position.
    pub(super) fn settle_entry(&self, position: u64) -> Result<(), Error> {
        match self.store.settle(&Name::Log(position, Copy::First).object()) {
            Err(error) if error.kind == ErrorKind::NotFound => {
                Ok(self.store.settle(&Name::Log(position, Copy::Second).object())?)
            }
            settled => Ok(settled?),
        }
    }

    fn settle_end(&self, session: SessionName) -> Result<(), Error> {
        if self.store.seen_is_durable() {
            return Ok(());
        }
        match self.store.settle(&Name::End(session).object()) {
            // Collected meanwhile: then a census has its record.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            settled => Ok(settled?),
        }
    }

    /// Puts copies of the config and of log entries that are missing, if the role may write there. That this fails is no reason
    /// to go no further: the first copies are good. Not those of slots: a slot without its second copy may be one that somebody
    /// is removing at this moment, and must not come back.
    pub(super) fn complete_copies(&self) {
        if !self.bundle.role().may_maintain() {
            return;
        }
        let completed = self.complete_config().map_err(Error::from);
        let completed = completed.and_then(|()| Ok(log::append::put_missing_copies(&*self.store, &self.log)?));
        if let Err(error) = completed {
            let text = format!("a missing second copy could not be put, the next snapshot tries again: {error}");
            self.events.emit(Event::Message(Level::Warning, text));
        }
    }

    /// A founding that died on its last steps leaves one copy, which is enough to open the repository.
    fn complete_config(&self) -> Result<(), store::Error> {
        for (copy, other) in [(Copy::First, Copy::Second), (Copy::Second, Copy::First)] {
            if self.overview.has(&Name::Config(copy).object()) == Some(true) {
                continue;
            }
            match self.store.length(&Name::Config(copy).object()) {
                Err(error) if error.kind == ErrorKind::NotFound => {
                    let stored = self.store.get(&Name::Config(other).object())?;
                    self.store.put(&Name::Config(copy).object(), &stored)?;
                }
                found => drop(found?),
            }
        }
        Ok(())
    }
}
