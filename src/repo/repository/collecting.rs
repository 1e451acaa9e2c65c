//! What a checkpoint makes superfluous, removed: the objects of sessions that it covers, older censuses, and indexes that were put
//! together (I10).
//!
//! Invariant: nothing is removed before the newest CHECKPOINT is durable and both copies of its census were read back. The census before
//! stays, with the indexes that it names, for those who read it a moment ago. Which indexes are superfluous is believed of a census that
//! the log named, or that somebody signed who maintains: anybody else could name what a session has stored and not committed yet.

use super::reading_log::{census_of, read_census};
use super::{Error, Repository};
use crate::crypto::hash;
use crate::repo::census::{Census, Listed};
use crate::repo::frame::Frame;
use crate::repo::id::{CensusId, SnapshotId};
use crate::repo::log::ledger::Checkpoint;
use crate::repo::names::{self, Copy, Name};
use crate::repo::repository::objects;
use crate::repo::session::IndexRef;
use crate::store::{ErrorKind, ObjectName};
use std::collections::{BTreeMap, BTreeSet};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects of sessions.
    pub sessions: u64,
    /// Indexes.
    pub indexes: u64,
    /// Censuses, each copy for itself.
    pub censuses: u64,
    /// What the place does not let go yet, whatever it is: it is asked again the next time.
    pub locked: u64,
}

impl std::fmt::Display for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sessions, indexes, censuses, locked } = self;
        write!(f, "{sessions} objects of sessions, {indexes} indexes and {censuses} copies of older censuses removed")?;
        match locked {
            0 => Ok(()),
            locked => write!(f, ", {locked} objects left that the place does not let go yet"),
        }
    }
}

/// Whose word about superfluous indexes is taken for an older census.
enum Proof {
    /// The log's.
    Named,
    /// The signature of somebody who maintains.
    Signed,
}

impl Repository {
    /// Reads the repository again, and removes what its newest checkpoint makes superfluous. Can be done again, by anybody, at any time.
    ///
    /// # Errors
    /// When the role does not maintain, the newest census cannot be read back, or the store fails.
    pub fn collect(&mut self) -> Result<Collected, Error> {
        let role = self.bundle.role();
        if !role.may_maintain() {
            return Err(Error::Role { role, action: "removing what checkpoints cover" });
        }
        // Whoever made a census that nobody named may have seen commits that the newest one does not cover: they are seen here too.
        self.refresh()?;
        let mut collected = Collected::default();
        let Some(checkpoint) = self.log.state.ledger().checkpoint else { return Ok(collected) };
        let Some(census) = read_census(&*self.store, &self.log.state, &self.bundle)? else { return Ok(collected) };
        if !self.both_copies_stand(checkpoint.census)? {
            return Ok(collected);
        }
        self.settle_checkpoint(&checkpoint)?;
        for listed in self.store.list(names::SESSIONS)? {
            let Some(Name::Open(session) | Name::End(session) | Name::Beat(session, _)) = Name::parse(&listed.name)
            else {
                continue;
            };
            if session.seq <= census.watermark(&session.writer) {
                self.remove(&listed.name, &mut collected.locked, &mut collected.sessions)?;
            }
        }
        self.collect_censuses(&census, checkpoint.census, &mut collected)?;
        Ok(collected)
    }

    /// Whether both copies of the newest census are what its name promises; a second one that is missing is put.
    fn both_copies_stand(&self, id: CensusId) -> Result<bool, Error> {
        let sound = |stored: &Vec<u8>| hash::sha256(stored) == id.0;
        let [first, second] = Copy::BOTH.map(|copy| Name::Census(id, copy));
        let Some(stored) = objects::get(&*self.store, &first)?.filter(sound) else { return Ok(false) };
        if objects::get(&*self.store, &second)?.is_none() {
            self.store.put(&second.object(), &stored)?;
        }
        Ok(objects::get(&*self.store, &second)?.is_some_and(|stored| sound(&stored)))
    }

    /// Whoever entered it may have died before it was durable. If a power cut took it away again, the sessions that are removed now would
    /// have been all that said what they committed.
    fn settle_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        for copy in Copy::BOTH {
            self.store.settle(&Name::Census(checkpoint.census, copy).object())?;
        }
        self.settle_entry(checkpoint.position)?;
        self.settle_log()
    }

    /// Censuses before the last two, and indexes that only those needed who read no newer one. One that somebody else is about to name
    /// has a number that is still to come.
    fn collect_censuses(&self, newest: &Census, id: CensusId, collected: &mut Collected) -> Result<(), Error> {
        let before = newest.ledger.checkpoint.map(|checkpoint| checkpoint.census);
        let mut others: BTreeMap<CensusId, Vec<Name>> = BTreeMap::new();
        for listed in self.store.list(names::CENSUS)? {
            if let Some(name @ Name::Census(other, _)) = Name::parse(&listed.name)
                && other != id
                && Some(other) != before
            {
                others.entry(other).or_default().push(name);
            }
        }
        let mut needed: BTreeSet<IndexRef> = self.view.indexes.iter().chain(&newest.indexes).copied().collect();
        if let Some(before) = before {
            // Without it nobody can tell which indexes its readers need.
            let Some(before) = self.read_old_census(before, &Proof::Named)? else { return Ok(()) };
            needed.extend(&before.indexes);
            self.drop_superfluous(&before, &needed, collected)?;
        }
        for (other, names) in others {
            let old = self.read_old_census(other, &Proof::Signed)?;
            let Some(old) = old.filter(|old| old.number <= newest.number) else { continue };
            let before = collected.locked;
            self.drop_superfluous(&old, &needed, collected)?;
            // Last, and only if all of them are gone: as long as it is there, its indexes are found again.
            if collected.locked > before {
                continue;
            }
            for name in names {
                self.remove(&name.object(), &mut collected.locked, &mut collected.censuses)?;
            }
        }
        Ok(())
    }

    /// Snapshots that the census before the newest one has, and the newest has not, though nobody forgot or rejected them (I13): whoever made
    /// it hides them.
    ///
    /// # Errors
    /// When the store fails, or the newest census cannot be read.
    pub fn hidden(&self) -> Result<Vec<SnapshotId>, Error> {
        let Some(newest) = read_census(&*self.store, &self.log.state, &self.bundle)? else { return Ok(Vec::new()) };
        let Some(before) = newest.ledger.checkpoint else { return Ok(Vec::new()) };
        // Where it is gone, another checkpoint was made meanwhile.
        let Some(before) = self.read_old_census(before.census, &Proof::Named)? else { return Ok(Vec::new()) };
        let id = |listed: &Listed| SnapshotId(hash::sha256(&listed.record));
        let listed: BTreeSet<SnapshotId> = newest.records.iter().map(id).collect();
        let trust = self.log.state.trust();
        let rejected = |listed: &Listed| {
            let principal = before.certificates[listed.certificate].principal;
            trust.principal(&principal).is_some_and(|known| known.revoked.is_some())
        };
        let explained = |listed: &Listed| rejected(listed) || self.log.state.ledger().is_forgotten(&id(listed));
        let gone = before.records.iter().filter(|old| !listed.contains(&id(old)) && !explained(old));
        Ok(gone.map(id).collect())
    }

    /// Removes the indexes that an older census names, and those that it made superfluous itself.
    fn drop_superfluous(
        &self,
        old: &Census,
        needed: &BTreeSet<IndexRef>,
        collected: &mut Collected,
    ) -> Result<(), Error> {
        let fail = |source| Error::Body { object: "an older census".to_owned(), source };
        let replaced = old.beside().map_err(fail)?.replaced;
        for index in old.indexes.iter().chain(&replaced).filter(|index| !needed.contains(index)) {
            let name = index.name().object();
            match self.store.length(&name) {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            }
            self.remove(&name, &mut collected.locked, &mut collected.indexes)?;
        }
        Ok(())
    }

    /// Removes an object, and counts it where it belongs: what the place does not let go yet harms nobody.
    fn remove(&self, name: &ObjectName, locked: &mut u64, removed: &mut u64) -> Result<(), Error> {
        match self.store.delete(name) {
            Err(error) if error.kind == ErrorKind::Locked => *locked += 1,
            deleted => {
                deleted?;
                *removed += 1;
            }
        }
        Ok(())
    }

    fn read_old_census(&self, id: CensusId, proof: &Proof) -> Result<Option<Census>, Error> {
        for copy in Copy::BOTH {
            let name = Name::Census(id, copy);
            if let Some(stored) = objects::get(&*self.store, &name)?
                && let Ok(census) = census_of(&name, &stored, id, &self.bundle)
                && (matches!(proof, Proof::Named) || self.is_by_maintainer(&name, &stored))
            {
                return Ok(Some(census));
            }
        }
        Ok(None)
    }

    fn is_by_maintainer(&self, name: &Name, stored: &[u8]) -> bool {
        let Ok(frame) = Frame::read(name, stored) else { return false };
        let trust = self.log.state.trust();
        let mut active = trust.principals().keys().filter_map(|id| trust.active(id));
        active.any(|one| one.cert.role.may_maintain() && frame.verify(&self.id(), &one.cert.signing).is_ok())
    }
}
