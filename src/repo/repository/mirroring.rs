//! A session that brings here what another copy of the repository holds: opened, and then committed or given up (I14 in `FORMAT.md`).
//!
//! It follows the protocol of every session: `open` first, then a look at what counts, packs, indexes, `end`. What its end
//! carries are the records of the other copy, word for word, and the indexes that name their packs.

use super::heart::Heart;
use super::opening::covers;
use super::repacking::{Copied, Wanted};
use super::{Error, Repository};
use crate::crypto::hash;
use crate::event::Sink;
use crate::repo::frame::Frame;
use crate::repo::id::{DataKeyId, PackId, SnapshotId, WriterId};
use crate::repo::keys::installation::Installation;
use crate::repo::names::{Name, SessionName};
use crate::repo::session::{Certified, CopiedRecord, IndexRef, Verdict};
use crate::store::Put;
use std::collections::BTreeSet;

/// An open session of a sync. The caller holds the writer's lock for as long as it lives.
pub struct Mirroring {
    installation: Installation,
    session: SessionName,
    _heart: Heart,
}

/// What the end of a sync says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// The records that come here.
    pub records: Vec<CopiedRecord>,
    /// The indexes that name what they need.
    pub indexes: Vec<IndexRef>,
    /// The installations that signed any of it.
    pub installations: Vec<Certified>,
    /// Packs that the indexes name and that are gone for good where these come from.
    pub left_out: BTreeSet<PackId>,
}

impl Repository {
    /// Opens a session of `writer` that brings something here, and takes the repository's state as it is then.
    ///
    /// # Errors
    /// When the role does not write, the log is in doubt, or the store fails.
    pub fn begin_mirroring(&mut self, writer: WriterId) -> Result<Mirroring, Error> {
        let role = self.bundle.role();
        if !role.writes() {
            return Err(Error::Role { role, action: "bringing snapshots to a copy" });
        }
        let installation = Installation::derive(&self.bundle, writer);
        let session = self.open_session(&installation, false)?;
        let heart = self.heart(&installation, session);
        if let Some(doubt) = self.log.stopped() {
            return Err(Error::Log(crate::repo::log::Error::Stopped(doubt.clone())));
        }
        if self.abort_dead_sessions(&installation, session)? {
            self.refresh()?;
        }
        self.settle()?;
        self.complete_copies();
        Ok(Mirroring { installation, session, _heart: heart })
    }

    /// Commits: everything that `copies` names exists here when this returns.
    ///
    /// # Errors
    /// When the store fails (then it exists or does not: the next listing tells), or somebody ended the session.
    pub fn commit_copies(&self, mirroring: &Mirroring, copies: &Copies) -> Result<(), Error> {
        let Mirroring { installation, session, .. } = mirroring;
        let verdict = Verdict::Copies { records: copies.records.clone(), indexes: copies.indexes.clone() };
        let end = |end: crate::repo::session::End| end.bringing(&copies.installations, &copies.left_out);
        let written = self.end_with(installation, *session, verdict, end);
        let name = Name::End(*session);
        if self.store.put(&name.object(), &written.stored)? == Put::Exists {
            // "Exists" can be our own put, repeated.
            let there = Frame::read(&name, &self.store.get(&name.object())?)?;
            if there.digest() != written.digest {
                let reason = "something ended it meanwhile".to_owned();
                return Err(Error::Aborted { session: *session, reason });
            }
        }
        match self.census_now()? {
            Some(census) if covers(&census, session) => {
                let listed = |id: SnapshotId| census.records.iter().any(|listed| hash::sha256(&listed.record) == id.0);
                let mut ids = copies.records.iter().map(|copied| SnapshotId(hash::sha256(&copied.record)));
                let known = ids.all(listed) && copies.indexes.iter().all(|index| census.indexes.contains(index));
                let reason = "a checkpoint closed it before it committed".to_owned();
                if known { Ok(()) } else { Err(Error::Aborted { session: *session, reason }) }
            }
            _ => Ok(()),
        }
    }

    /// Gives the session up. What was uploaded stays, for the next one to use; if the store does not take this, the next one says it.
    pub fn abort_mirroring(&self, mirroring: Mirroring, reason: &str) {
        // The failure that led here is what the caller tells.
        let _ = self.put_abort(&mirroring.installation, mirroring.session, reason);
    }

    /// Copies these segments of `source`, another copy of this repository, into new packs here: for what cannot come under its old name
    /// because that was given up here. Returns the indexes that name the new packs too.
    ///
    /// # Errors
    /// When these are no admin's keys, a store fails, or somebody asked to stop.
    pub fn bring_segments(
        &self,
        mirroring: &Mirroring,
        source: &Self,
        wanted: &[Wanted],
        wrap: &dyn Fn(&DataKeyId) -> Vec<u8>,
        events: &dyn Sink,
    ) -> Result<(Copied, Vec<IndexRef>), Error> {
        let role = self.bundle.role();
        if !(role.writes() && role.may_maintain()) {
            return Err(Error::Role { role, action: "bringing back what was given up at this copy" });
        }
        self.copy_from(source, &mirroring.installation, wanted, wrap, events)
    }
}
