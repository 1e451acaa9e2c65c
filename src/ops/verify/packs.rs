//! The packs: that they are there, that their tables say what the indexes say, that every byte is what the name promises.

use super::objects::{HEALABLE, Listed};
use super::{Level, ROUNDS, Run, parallel};
use crate::crypto::secret::random;
use crate::event::{Event, Progress, Stage};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::id::PackId;
use crate::repo::names::Name;
use crate::repo::pack;
use crate::repo::repository::{self, Indexes};
use crate::repo::segment::SegmentDescriptor;
use crate::store::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// Packs and their lengths.
#[derive(Debug)]
pub(super) struct Packs {
    /// Those that the indexes name, with the lengths that these say.
    pub named: BTreeMap<PackId, u64>,
    /// Those that are there.
    stored: BTreeMap<PackId, u64>,
}

impl Packs {
    /// The packs that are read whole at this level; `round` counts this host's runs at the usual level.
    pub fn chosen(&self, level: Level, round: u64) -> BTreeSet<PackId> {
        let all = self.stored.keys().copied();
        match level {
            Level::Quick | Level::Structure => BTreeSet::new(),
            Level::Scrub | Level::Full => all.collect(),
            Level::Usual => all.filter(|id| is_due(id, round)).collect(),
            Level::Sample(share) => {
                // Names are hashes: the packs after a random one are a random sample.
                let mut packs: Vec<_> = all.collect();
                let number = share.of(packs.len());
                let from = u64::from_le_bytes(random()) as usize % packs.len().max(1);
                packs.rotate_left(from);
                packs.truncate(number);
                packs.into_iter().collect()
            }
        }
    }
}

/// Whether a pack is among those of this round. Which round it is in never changes, however many packs come and go.
fn is_due(id: &PackId, round: u64) -> bool {
    let start = id.0.first_chunk().copied().map_or(0, u64::from_le_bytes);
    start % ROUNDS == round % ROUNDS
}

impl Run<'_> {
    /// Every pack that an index names exists, in the length that it says. One of another length is read, if `deep`.
    pub(super) fn packs(&self, listed: &Listed, indexes: &Indexes, deep: bool) -> Result<Packs, repository::Error> {
        let ledger = self.repository.log().state.ledger();
        let stored = listed.objects.iter().filter_map(|(name, length)| match name {
            // What was given up for good may be deleted at any moment.
            Name::Pack(id) if !ledger.ever_final(id) => Some((*id, *length)),
            _ => None,
        });
        let named = indexes.chunks.packs().map(|pack| (pack.id, pack.length));
        let packs = Packs { named: named.collect(), stored: stored.collect() };
        for (id, length) in &packs.named {
            match packs.stored.get(id) {
                None => self.missing(id),
                Some(found) if found == length => {}
                Some(found) if *found > pack::LONGEST => {
                    self.find(Name::Pack(*id), format!("it has {found} bytes, more than any pack has"), false);
                    self.lose(*id);
                }
                Some(_) if deep => self.whole_pack(id)?,
                Some(found) => self.find(Name::Pack(*id), format!("it has {found} bytes instead of {length}"), false),
            }
        }
        Ok(packs)
    }

    fn missing(&self, id: &PackId) {
        self.find(Name::Pack(*id), "it is missing", false);
        self.lose(*id);
    }

    /// What the indexes say of a pack, its own table says too.
    pub(super) fn tables(&self, packs: &Packs, index: &ChunkIndex) -> Result<(), repository::Error> {
        let named = index.by_pack().map(|named| named.map_err(repository::Error::from));
        parallel::each_of(self.threads, named, |(pack, rows)| {
            self.go_on()?;
            let table = packs.stored.get(&pack.id).map_or(Ok(()), |length| self.table(&pack.id, *length, rows));
            self.but_archived(&pack.id, table)
        })
    }

    fn table(&self, id: &PackId, length: u64, rows: &[Arc<SegmentDescriptor>]) -> Result<(), repository::Error> {
        let mut table = self.repository.read_stored_table(id, length);
        if matches!(table, Err(repository::Error::Pack { .. })) {
            self.whole_pack(id)?;
            if self.is_lost(id) {
                return Ok(());
            }
            table = self.repository.read_table(id, length);
        }
        match table {
            Ok(table) => {
                let untrue = rows.iter().filter(|row| !table.rows.contains(row)).map(|row| row.origin.writer);
                for writer in untrue.collect::<BTreeSet<_>>() {
                    let what = format!("an index of writer {writer} says of it what its own table does not say");
                    self.find(Name::Pack(*id), what, false);
                }
                Ok(())
            }
            // Sound bytes, but nobody's word: its chunks are proven one by one, and its index is signed.
            Err(error @ repository::Error::Pack { .. }) => {
                self.find(Name::Pack(*id), error, false);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The SHA-256 of every byte of these packs.
    pub(super) fn whole_packs(&self, chosen: &BTreeSet<PackId>, packs: &Packs) -> Result<(), repository::Error> {
        let length = |id: &PackId| packs.stored.get(id).copied().unwrap_or(0);
        let bytes_total = chosen.iter().map(length).sum();
        let done = AtomicU64::new(0);
        parallel::each(self.threads, &chosen.iter().copied().collect::<Vec<_>>(), |id| {
            self.go_on()?;
            self.but_archived(id, self.whole_pack(id))?;
            let bytes = done.fetch_add(length(id), Ordering::Relaxed) + length(id);
            let progress = Progress { bytes, bytes_total, ..Progress::default() };
            self.events.emit(Event::Progress(Stage::Verify, progress));
            Ok(())
        })
    }

    /// Reads a pack whole, once.
    fn whole_pack(&self, id: &PackId) -> Result<(), repository::Error> {
        if !self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(*id) {
            return Ok(());
        }
        let name = Name::Pack(*id);
        match self.repository.store().get(&name.object()) {
            Ok(stored) => {
                self.count_bytes(stored.len());
                if !pack::is_intact(id, &stored) {
                    match pack::heal(id, &stored) {
                        Ok(_) => self.find(name, HEALABLE, true),
                        Err(error) => {
                            self.find(name, error, false);
                            self.lose(*id);
                        }
                    }
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => self.missing(id),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;

    fn packs(number: u16) -> Packs {
        let id = |n: u16| PackId(crate::crypto::hash::blake3(&n.to_le_bytes()));
        let stored: BTreeMap<_, _> = (0..number).map(|n| (id(n), 1)).collect();
        Packs { named: stored.clone(), stored }
    }

    #[test]
    fn thirty_rounds_take_every_pack_once() {
        let packs = packs(1000);
        let mut seen = BTreeSet::new();
        for round in 7..7 + ROUNDS {
            let chosen = packs.chosen(Level::Usual, round);
            assert!(chosen.len() < 100, "{} of 1000 in one round", chosen.len());
            assert!(seen.is_disjoint(&chosen));
            seen.extend(chosen);
        }
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn a_sample_has_the_share_asked_for_and_differs() {
        let packs = packs(1000);
        let sample = || packs.chosen(Level::Sample(Share::percent(2.5).unwrap()), 0);
        assert_eq!(sample().len(), 25);
        assert!((0..9).any(|_| sample() != sample()));
        let all = Share::percent(100.0).unwrap();
        assert_eq!(packs.chosen(Level::Sample(all), 0).len(), 1000);
        assert!(super::tests::packs(0).chosen(Level::Sample(all), 0).is_empty());
        for percent in [0.0, -1.0, 100.1, f64::NAN, 1e-9] {
            assert_eq!(Share::percent(percent), None, "{percent}");
        }
        assert_eq!(Share::percent(0.1).unwrap().of(3), 1);
    }
}
