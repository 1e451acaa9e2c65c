//! What a copy lacks: packs, indexes, records. Found out by two listings and what both logs and sessions say; no content is read.

use super::Lag;
use crate::repo::chunk_index::{ChunkIndex, Said};
use crate::repo::id::{PackId, SnapshotId};
use crate::repo::names::{self, IndexClass, Name};
use crate::repo::repository::{self, Indexes, Repository, StoredPack};
use crate::repo::session::{Certified, CopiedRecord, IndexRef};
use crate::repo::session_view::Snapshot;
use std::collections::{BTreeMap, BTreeSet};

/// A pack that is to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackToPut {
    /// The pack.
    pub id: PackId,
    /// Its length.
    pub length: u64,
    /// Whether something of another length has its name at the copy.
    pub damaged: bool,
    /// Whether it should be there.
    pub expected: bool,
}

/// What a copy lacks.
#[derive(Debug, Default)]
pub struct Plan {
    /// Packs that are not there.
    pub packs: Vec<PackToPut>,
    /// Packs that are there, by the listing.
    pub there: BTreeMap<PackId, StoredPack>,
    /// Indexes that do not count there yet.
    pub indexes: Vec<IndexRef>,
    /// Indexes that count there and are gone.
    pub lost_indexes: Vec<IndexRef>,
    /// Records that are not there.
    pub records: BTreeMap<SnapshotId, CopiedRecord>,
    /// Records that cannot come, and why.
    pub left: BTreeMap<SnapshotId, String>,
    /// Who signed at the source.
    pub installations: Vec<Certified>,
    /// Indexes that cannot be read at the source, and why.
    pub unreadable: BTreeMap<Name, String>,
    /// How far the copy is behind.
    pub lag: Lag,
}

impl Plan {
    /// Compares; without `copy`, nothing is there.
    ///
    /// # Errors
    /// When a store fails.
    pub fn new(source: &Repository, copy: Option<&Repository>) -> Result<Self, repository::Error> {
        let mut plan = Self { lag: lag(source, copy), ..Self::default() };
        if let Some(copy) = copy {
            plan.there = copy.list_stored_packs()?;
        }
        let repeated = plan.compare_packs(source, copy)?;
        plan.compare_indexes(source, copy, &repeated)?;
        plan.compare_records(source, copy);
        let known = |certified: &&Certified| {
            let (writer, principal) = (certified.certificate.writer, certified.principal);
            copy.is_some_and(|copy| copy.view().brought(&writer).any(|(known, _)| known == principal))
        };
        plan.installations =
            source.view().certificates().values().filter(|certified| !known(certified)).copied().collect();
        Ok(plan)
    }

    /// Whether nothing is lacking.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.indexes.is_empty() && self.lost_indexes.is_empty() && self.records.is_empty()
    }

    /// Bytes of the packs that are to be put.
    pub fn bytes(&self) -> u64 {
        self.packs.iter().map(|pack| pack.length).sum()
    }

    /// Packs first: returns the indexes of the source whose every word others at the copy say too.
    fn compare_packs(
        &mut self,
        source: &Repository,
        copy: Option<&Repository>,
    ) -> Result<BTreeSet<IndexRef>, repository::Error> {
        let indexes = Indexes::load(source, &IndexClass::BOTH)?;
        for problem in &indexes.problems {
            self.unreadable.insert(problem.name, problem.reason.clone());
        }
        let named: BTreeMap<PackId, u64> = indexes.chunks.packs().map(|pack| (pack.id, pack.length)).collect();
        if let Some(damaged) = indexes.chunks.damage() {
            return Err(damaged.clone().into());
        }
        let (mut expected, mut repeated) = (BTreeSet::new(), BTreeSet::new());
        if let Some(copy) = copy {
            let known = Indexes::load(copy, &IndexClass::BOTH)?;
            expected.extend(known.chunks.packs().map(|pack| pack.id));
            if is_summed_up(source) || is_summed_up(copy) {
                repeated = self.repeated(source, &indexes.chunks, copy, &known.chunks)?;
            }
        }
        for (id, length) in named {
            let found = self.there.get(&id).map(|stored| stored.length);
            let given_up = copy.is_some_and(|copy| copy.log().state.ledger().ever_final(&id));
            if found != Some(length) && !given_up {
                let (damaged, expected) = (found.is_some(), expected.contains(&id));
                self.packs.push(PackToPut { id, length, damaged, expected });
            }
        }
        Ok(repeated)
    }

    /// A checkpoint puts indexes together, here or there: what these say need not come under its other name, each time anew. Packs that
    /// were given up at the copy do not come at all.
    fn repeated(
        &self,
        source: &Repository,
        here: &ChunkIndex,
        copy: &Repository,
        there: &ChunkIndex,
    ) -> Result<BTreeSet<IndexRef>, repository::Error> {
        let fail = repository::Error::from;
        let there: BTreeSet<(IndexClass, Said)> =
            there.said().map_err(fail)?.into_iter().map(|(index, said)| (index.class, said)).collect();
        let ledger = copy.log().state.ledger();
        let mut repeated = source.view().indexes.clone();
        for (index, said) in here.said().map_err(fail)? {
            if !there.contains(&(index.class, said)) && !ledger.ever_final(&said.pack) {
                repeated.remove(&index);
            }
        }
        repeated.retain(|index| !self.unreadable.contains_key(&index.name()));
        Ok(repeated)
    }

    fn compare_indexes(
        &mut self,
        source: &Repository,
        copy: Option<&Repository>,
        repeated: &BTreeSet<IndexRef>,
    ) -> Result<(), repository::Error> {
        let Some(copy) = copy else {
            self.indexes = source.view().indexes.iter().copied().collect();
            return Ok(());
        };
        let listed = copy.store().list(names::INDEXES)?;
        let stored: BTreeSet<Name> = listed.iter().filter_map(|listed| Name::parse(&listed.name)).collect();
        for index in &source.view().indexes {
            if !copy.view().indexes.contains(index) {
                if !repeated.contains(index) {
                    self.indexes.push(*index);
                }
            } else if !stored.contains(&index.name()) {
                self.lost_indexes.push(*index);
            }
        }
        // What an index says that is lost at the source may have come here before.
        self.indexes.retain(|index| !self.unreadable.contains_key(&index.name()));
        Ok(())
    }

    fn compare_records(&mut self, source: &Repository, copy: Option<&Repository>) {
        for snapshot in missing(source, copy) {
            let (record, principal) = (&snapshot.record, snapshot.principal);
            let certified = source.view().certificate(&record.link().session.writer, &principal);
            let trust = copy.map(|copy| copy.log().state.trust());
            let why = match (certified, trust) {
                (None, _) => "nobody certifies who signed it".to_owned(),
                (Some(_), Some(trust)) if trust.principal(&principal).is_none() => {
                    format!("the copy does not know principal {principal} yet; a sync with an admin's keys tells it")
                }
                (Some(_), Some(trust)) if record.epoch() > trust.epoch() => {
                    "the copy does not know the newest keys yet; a sync with an admin's keys tells it".to_owned()
                }
                (Some(installation), _) => {
                    let copied = CopiedRecord { installation: *installation, record: record.bytes().to_vec() };
                    self.records.insert(record.id(), copied);
                    continue;
                }
            };
            self.left.insert(record.id(), why);
        }
    }
}

/// Whether indexes may have been put together.
fn is_summed_up(repository: &Repository) -> bool {
    repository.log().state.ledger().checkpoint.is_some()
}

/// The source's snapshots that were never at the copy: what was forgotten there stays so.
fn missing<'a>(source: &'a Repository, copy: Option<&'a Repository>) -> impl Iterator<Item = &'a Snapshot> {
    source.view().live().filter(move |snapshot| {
        let id = snapshot.record.id();
        copy.is_none_or(|copy| !copy.view().snapshots.contains_key(&id) && !copy.log().state.ledger().is_forgotten(&id))
    })
}

/// How far a copy is behind.
pub fn lag(source: &Repository, copy: Option<&Repository>) -> Lag {
    let ids: BTreeSet<SnapshotId> = missing(source, copy).map(|snapshot| snapshot.record.id()).collect();
    let times = source.snapshots().iter().filter(|snapshot| ids.contains(&snapshot.id)).map(|snapshot| snapshot.time());
    Lag { snapshots: ids.len() as u64, since: times.min() }
}
