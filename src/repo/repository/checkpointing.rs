//! Checkpoints: a census of all that counts, which the log's next entry names. Sessions that it covers say nothing any more, and
//! whoever opens the repository reads one object instead of two for each of them (I10, I11).
//!
//! Invariant: a census holds what its maker saw, as of the very log position that its CHECKPOINT follows; it covers no session that has
//! no end, and leaves out no record, no index and no decision. Nothing is removed here: see [`super::collecting`].

use super::consolidating::Consolidated;
use super::reading_log::read_census;
use super::{Error, Repository};
use crate::crypto::hash;
use crate::repo::census::{AdminEntry, Beside, Census, Listed};
use crate::repo::frame::{self, Frame};
use crate::repo::id::{CensusId, PrincipalId, SnapshotId, WriterId};
use crate::repo::log::entry::{Entry, Right};
use crate::repo::log::{self, Decision};
use crate::repo::names::{Copy, IndexClass, Name, SessionName};
use crate::repo::repository::objects;
use crate::repo::session::{Certified, IndexRef};
use crate::repo::session_view::{Issue, Outcome};
use crate::repo::wire::{self, Extensions};
use std::collections::{BTreeMap, BTreeSet};

/// Installations' certificates, by writer and principal: in the order in which a census has them.
type Signers = BTreeMap<(WriterId, PrincipalId), Certified>;

/// How much a checkpoint would spare everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Sessions that it would cover.
    pub sessions: u64,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpointed {
    /// It stands, under this number.
    Stands(u64),
    /// Somebody entered something meanwhile; the repository was read again.
    Overtaken,
    /// Something about the snapshots is in doubt, and a census would hide it.
    InDoubt,
}

impl Repository {
    /// How much a checkpoint would spare everybody now.
    pub fn backlog(&self) -> Backlog {
        let marks = self.coming_watermarks();
        let covered = |session: &&SessionName| marks.get(&session.writer).is_some_and(|mark| session.seq <= *mark);
        Backlog { sessions: self.view.sessions.keys().filter(covered).count() as u64 }
    }

    /// Makes a census of what counts, by the repository as it was read, and names it in the log. Small indexes are put together if there
    /// are many.
    ///
    /// # Errors
    /// When the role does not maintain, the log is in doubt, or the store fails: then it may stand.
    pub fn checkpoint(&mut self) -> Result<Checkpointed, Error> {
        let role = self.bundle.role();
        if !role.may_maintain() {
            return Err(Error::Role { role, action: "making checkpoints" });
        }
        if let Some(doubt) = self.log.stopped() {
            return Err(Error::Log(log::Error::Stopped(doubt.clone())));
        }
        if self.view.issues.iter().any(|issue| matches!(issue, Issue::BadRecord(..) | Issue::Gap { .. })) {
            return Ok(Checkpointed::InDoubt);
        }
        let Some(census) = self.census()? else { return Ok(Checkpointed::InDoubt) };
        let number = census.number;
        let id = self.put_census(&census)?;
        let stands = self.decide(&Decision::Checkpoint { number, census: id }, "making checkpoints")?;
        Ok(if stands { Checkpointed::Stands(number) } else { Checkpointed::Overtaken })
    }

    fn put_census(&self, census: &Census) -> Result<CensusId, Error> {
        let sealed = Some((self.sealing(), &census.encode()[..]));
        let key = self.bundle.principal().signing_key();
        let nameless = Name::Census(CensusId([0; 32]), Copy::First);
        let stored = frame::write(&self.id(), &nameless, b"", sealed, &key).stored;
        let id = CensusId(hash::sha256(&stored));
        for copy in Copy::BOTH {
            // The name is fresh: "exists" can only be our own put, repeated.
            self.store.put(&Name::Census(id, copy).object(), &stored)?;
        }
        Ok(id)
    }

    /// `None` if it would lack anything that the one before has, or that a commit says.
    fn census(&self) -> Result<Option<Census>, Error> {
        let state = &self.log.state;
        let before = read_census(&*self.store, state, &self.bundle)?;
        let head = state.head().expect("a log that was read holds the founder's certificate");
        let watermarks = self.coming_watermarks();
        let (signers, elsewhere) = self.signers(&watermarks);
        let Some(records) = self.covered_records(before.as_ref(), &watermarks, &signers) else { return Ok(None) };
        let indexes = self.covered_indexes(before.as_ref(), &watermarks);
        let Consolidated { indexes, replaced } = self.consolidate(indexes)?;
        let left_out =
            self.view.left_out().iter().filter(|(index, packs)| indexes.contains(index) && !packs.is_empty());
        let left_out = left_out.map(|(index, packs)| (*index, packs.clone())).collect();
        let mut undeleted: Vec<_> =
            self.list_packs()?.into_keys().filter(|pack| state.ledger().ever_final(pack)).collect();
        undeleted.sort_unstable();
        let heads = self.view.heads().into_iter();
        let number = |id: &SnapshotId| self.view.snapshots.get(id).map_or(0, |head| head.record.link().number);
        let census = Census {
            number: state.ledger().checkpoint_number() + 1,
            head,
            admin_entries: self.admin_entries(before.as_ref(), head.position)?,
            ledger: state.ledger().clone(),
            records,
            certificates: signers.into_values().collect(),
            indexes: indexes.into_iter().collect(),
            undeleted,
            heads: heads.map(|(writer, id)| (writer, (number(&id), id))).collect(),
            watermarks,
            extensions: Extensions::default(),
        };
        Ok(Some(census.with(&Beside { left_out, elsewhere, replaced })))
    }

    /// Who signed what the census names: here, in sessions that it covers, or elsewhere, what was brought from there. Of those who did so
    /// elsewhere the places, and whether they signed here too. Whoever only claims a writer's name in sessions that are not covered is not
    /// among them: the covered ones would be nobody's any more.
    fn signers(&self, watermarks: &BTreeMap<WriterId, u64>) -> (Signers, BTreeMap<usize, bool>) {
        let covered = |session: &SessionName| watermarks.get(&session.writer).is_some_and(|mark| session.seq <= *mark);
        let fresh = self.view.sessions.keys().filter(|session| covered(session));
        let fresh = fresh.filter_map(|session| Some((session.writer, self.view.signed_here(session)?.principal)));
        let here: BTreeSet<(WriterId, PrincipalId)> = fresh.chain(self.view.covered_signers()).collect();
        let (mut signers, mut elsewhere) = (Signers::new(), BTreeMap::new());
        for (whose, certified) in self.view.certificates() {
            let (is_here, is_elsewhere) = (here.contains(whose), self.view.is_brought(&whose.0, &whose.1));
            if is_elsewhere {
                elsewhere.insert(signers.len(), is_here);
            }
            if is_here || is_elsewhere {
                signers.insert(*whose, *certified);
            }
        }
        (signers, elsewhere)
    }

    /// Up to where each writer's sessions can be covered: all have an end, without a number left out. Not a last one that was given up:
    /// the writer's next session looks there for what it uploaded. Nothing of a writer that several claim: each session says by itself whose
    /// it is, and a census says it of the writer.
    fn coming_watermarks(&self) -> BTreeMap<WriterId, u64> {
        let mut marks = self.view.watermarks().clone();
        let mut last: BTreeMap<WriterId, (u64, bool)> = BTreeMap::new();
        let claimed = self.view.claimed_here();
        for (SessionName { writer, seq }, outcome) in &self.view.sessions {
            if claimed.contains(writer) {
                continue;
            }
            let mark = marks.entry(*writer).or_insert(0);
            if mark.checked_add(1) == Some(*seq) && !matches!(outcome, Outcome::Unresolved { .. }) {
                *mark = *seq;
            }
            last.insert(*writer, (*seq, matches!(outcome, Outcome::Aborted)));
        }
        for (writer, mark) in &mut marks {
            let before = self.view.watermark(writer);
            if last.get(writer) == Some(&(*mark, true)) && *mark > before {
                *mark -= 1;
            }
        }
        marks.retain(|_, mark| *mark > 0);
        marks
    }

    /// The records of the census before, and those of sessions that are covered now, without any that a REVOKE rejects. `None` if one is
    /// lacking.
    fn covered_records(
        &self,
        before: Option<&Census>,
        watermarks: &BTreeMap<WriterId, u64>,
        signers: &Signers,
    ) -> Option<Vec<Listed>> {
        let known = before.into_iter().flat_map(|census| &census.records);
        let known = known.map(|listed| SnapshotId(hash::sha256(&listed.record)));
        let fresh = self.covered_outcomes(watermarks).filter_map(|outcome| match outcome {
            Outcome::Committed(ids) => Some(ids),
            _ => None,
        });
        let all: BTreeSet<SnapshotId> = fresh.flatten().copied().chain(known).collect();
        let places: BTreeMap<_, usize> = signers.keys().enumerate().map(|(place, whose)| (*whose, place)).collect();
        let rejected = self.view.issues.iter().filter_map(|issue| match issue {
            Issue::Revoked(id) => Some(*id),
            _ => None,
        });
        let rejected: BTreeSet<SnapshotId> = rejected.collect();
        let listed = |id: SnapshotId| {
            let snapshot = self.view.snapshots.get(&id)?;
            let whose = (snapshot.record.link().session.writer, snapshot.principal);
            let (receipt, copied) = (snapshot.receipt, snapshot.copied);
            Some(Listed {
                certificate: *places.get(&whose)?,
                receipt,
                copied,
                record: snapshot.record.bytes().to_vec(),
            })
        };
        all.difference(&rejected).map(|id| listed(*id)).collect()
    }

    fn covered_outcomes<'a>(
        &'a self,
        watermarks: &'a BTreeMap<WriterId, u64>,
    ) -> impl Iterator<Item = &'a Outcome> + 'a {
        let covered = |session: &SessionName| watermarks.get(&session.writer).is_some_and(|mark| session.seq <= *mark);
        self.view.sessions.iter().filter(move |(session, _)| covered(session)).map(|(_, outcome)| outcome)
    }

    /// The indexes of the census before, and those of commits that are covered now.
    fn covered_indexes(
        &self,
        before: Option<&Census>,
        watermarks: &BTreeMap<WriterId, u64>,
    ) -> BTreeMap<IndexClass, BTreeSet<IndexRef>> {
        let mut indexes: BTreeMap<IndexClass, BTreeSet<IndexRef>> = BTreeMap::new();
        let covered = |session: &SessionName| watermarks.get(&session.writer).is_some_and(|mark| session.seq <= *mark);
        let fresh =
            self.view.committed_indexes().iter().filter(|(session, _)| covered(session)).map(|(_, index)| *index);
        let listed = before.iter().flat_map(|census| &census.indexes).copied();
        for index in listed.chain(fresh) {
            indexes.entry(index.class).or_default().insert(index);
        }
        indexes
    }

    /// The admins' entries up to a position, word for word: those of the census before, and what the log says since.
    fn admin_entries(&self, before: Option<&Census>, head: u64) -> Result<Vec<AdminEntry>, Error> {
        let mut entries = before.map_or_else(Vec::new, |census| census.admin_entries.clone());
        let voided: BTreeSet<u64> = self.log.voided().collect();
        for position in before.map_or(0, |census| census.head.position + 1)..=head {
            if voided.contains(&position) {
                continue;
            }
            let frame = self.log_frame(position)?;
            let epoch = frame.epoch().ok_or_else(|| frame.fail(frame::Cause::NotSealed))?;
            let plain = frame.unseal(&self.id(), &self.bundle.epoch(epoch)?.index)?;
            let fail = |source| Error::Body { object: Name::Log(position, Copy::First).to_string(), source };
            let decision = Entry::decode(&plain).and_then(|entry| entry.decision()).map_err(fail)?;
            if decision.right() == Right::Certify {
                entries.push(AdminEntry { position, frame: frame.bytes().to_vec() });
            }
        }
        Ok(entries)
    }

    fn log_frame(&self, position: u64) -> Result<Frame, Error> {
        let name = |copy| Name::Log(position, copy);
        let frame = objects::either(&*self.store, name, |_| Ok(()), &crate::event::Silent)?;
        let missing = wire::Error::Invalid("is missing");
        frame.ok_or_else(|| Error::Body { object: name(Copy::First).to_string(), source: missing })
    }
}
