//! Indexes made anew where some are lost, from the tables of the packs, and signed by an admin, who may speak for every writer.
//!
//! An index that stands in for others says so: see "Indexes" in `FORMAT.md`. Until it is committed nothing is changed for anyone.

use super::{Error, Indexes, Repository, objects};
use crate::crypto::hash;
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::examine::{Health, examine};
use crate::repo::frame;
use crate::repo::id::{DataKeyId, IndexId, PackId, WriterId};
use crate::repo::index_object::IndexBody;
use crate::repo::keys::installation::Installation;
use crate::repo::names::{IndexClass, Name, SessionName};
use crate::repo::pack::PackSummary;
use crate::repo::segment::SegmentDescriptor;
use crate::repo::session::{IndexRef, Verdict};
use crate::repo::session_view::Outcome;
use crate::store::{ErrorKind, Put};
use std::collections::{BTreeMap, HashSet};

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Rebuilt {
    /// The indexes that could not be read.
    pub lost: Vec<Name>,
    /// Those that stand in for them.
    pub made: Vec<Name>,
    /// Packs that these name.
    pub packs: u64,
    /// Packs whose tables cannot be read, and why.
    pub unreadable: Vec<(PackId, String)>,
}

/// What the tables say and no index.
#[derive(Default)]
struct Unindexed {
    packs: Vec<PackSummary>,
    wraps: BTreeMap<DataKeyId, Vec<u8>>,
    unreadable: Vec<(PackId, String)>,
}

impl Repository {
    /// Stores and commits indexes of all that only lost ones named. `None` when every index can be read.
    ///
    /// # Errors
    /// When these are no admin's keys, the log is in doubt, or the store fails. Then it can be done again.
    pub fn rebuild_indexes(&mut self, writer: WriterId) -> Result<Option<Rebuilt>, Error> {
        let role = self.bundle.role();
        if !(role.writes() && role.may_maintain()) {
            return Err(Error::Role { role, action: "making indexes anew" });
        }
        if let Some(doubt) = self.log.stopped() {
            return Err(Error::Log(crate::repo::log::Error::Stopped(doubt.clone())));
        }
        if Indexes::readable(self)?.problems.is_empty() {
            return Ok(None);
        }
        let installation = Installation::derive(&self.bundle, writer);
        let session = self.open_session(&installation, false)?;
        let rebuilt = self.commit_rebuilt(&installation, session);
        if rebuilt.is_err() {
            // It would be aborted by this writer's next session anyway.
            let _ = self.put_abort(&installation, session, "the indexes could not be made anew");
        }
        rebuilt.map(Some)
    }

    fn commit_rebuilt(&self, installation: &Installation, session: SessionName) -> Result<Rebuilt, Error> {
        let readable = Indexes::readable(self)?;
        let lost: Vec<Name> = readable.problems.iter().map(|problem| problem.name).collect();
        let found = self.unindexed(&readable.chunks)?;
        let (mut made, mut refs) = (Vec::new(), Vec::new());
        for class in IndexClass::BOTH {
            let replaced: Vec<IndexId> = lost.iter().filter_map(|name| of_class(name, class)).collect();
            let mut body = IndexBody::new(class, &found.packs, &found.wraps);
            if replaced.is_empty() && body.packs.is_empty() {
                continue;
            }
            body.replace(&replaced);
            let index = self.put_own_index(class, &body)?;
            made.push(index.name());
            refs.push(index);
        }
        let verdict = Verdict::Copies { records: vec![], indexes: refs };
        let written = self.end(installation, session, verdict);
        if self.store.put(&Name::End(session).object(), &written.stored)? == Put::Exists {
            let reason = "something ended it meanwhile".to_owned();
            return Err(Error::Aborted { session, reason });
        }
        Ok(Rebuilt { lost, made, packs: found.packs.len() as u64, unreadable: found.unreadable })
    }

    /// What committed sessions stored and no readable index names. Tables are believed only with the packs they stand in.
    fn unindexed(&self, readable: &ChunkIndex) -> Result<Unindexed, Error> {
        let named: HashSet<PackId> = readable.packs().map(|pack| pack.id).collect();
        let mut found = Unindexed::default();
        for (id, length) in self.list_packs()? {
            // One that is only condemned may be rescued, and must be found then.
            if self.log.state.ledger().ever_final(&id) {
                continue;
            }
            let fresh = |row: &SegmentDescriptor| self.was_committed(row) && !readable.names(&id, row);
            let table = match self.read_table(&id, length) {
                Ok(table) if !table.rows.iter().any(fresh) => continue,
                Ok(_) => self.read_proven_table(&id),
                Err(error) => Err(error),
            };
            match table {
                Ok(mut table) => {
                    found.wraps.extend(table.wraps.into_iter().map(|key| (key.id, key.wrap)));
                    table.rows.retain(fresh);
                    found.packs.push(PackSummary { id, length, md5: None, rows: table.rows });
                }
                // A pack that indexes name in full needs no table.
                Err(Error::Pack { .. }) if named.contains(&id) => {}
                Err(error @ Error::Pack { .. }) => found.unreadable.push((id, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        readable.damage().map_or(Ok(found), |damaged| Err(damaged.clone().into()))
    }

    fn was_committed(&self, row: &SegmentDescriptor) -> bool {
        let session = SessionName { writer: row.origin.writer, seq: row.origin.seq };
        match self.view.sessions.get(&session) {
            Some(outcome) => matches!(outcome, Outcome::Committed(_)),
            None => session.seq <= self.view.watermark(&session.writer) || self.view.is_elsewhere(&session),
        }
    }

    /// Puts an index that this principal signs itself.
    pub(super) fn put_own_index(&self, class: IndexClass, body: &IndexBody) -> Result<IndexRef, Error> {
        let checkpoint = self.log.state.ledger().checkpoint_number();
        let name = |id| Name::Index { checkpoint, class, id };
        let body = [&[2], &self.bundle.principal_id().0[..], &body.encode()].concat();
        let key = self.bundle.principal().signing_key();
        let written = frame::write(&self.id(), &name(IndexId([0; 32])), b"", Some((self.sealing(), &body)), &key);
        let id = IndexId(hash::sha256(&written.stored));
        // The name is fresh: "exists" can only be our own put, repeated.
        self.store.put(&name(id).object(), &written.stored)?;
        Ok(IndexRef { checkpoint, class, id })
    }

    /// Removes what is left of indexes that others stand in for, if all can be read without them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn drop_replaced_indexes(&self, lost: &[Name]) -> Result<(), Error> {
        let problems: HashSet<Name> = Indexes::readable(self)?.problems.iter().map(|problem| problem.name).collect();
        for name in lost.iter().filter(|name| !problems.contains(name)) {
            let stored = objects::get(&*self.store, name)?;
            if stored.is_some_and(|stored| matches!(examine(name, &stored), Health::Lost(_))) {
                match self.store.delete(&name.object()) {
                    // It harms nobody: others stand in for it.
                    Err(error) if error.kind == ErrorKind::Locked => {}
                    deleted => deleted?,
                }
            }
        }
        Ok(())
    }
}

fn of_class(name: &Name, wanted: IndexClass) -> Option<IndexId> {
    match name {
        Name::Index { class, id, .. } if *class == wanted => Some(*id),
        _ => None,
    }
}
