//! Acts that forget, bring back, and prune.

use super::site::{Case, Failure, Site};
use boveda::event::Silent;
use boveda::ops::{forget, prune};
use boveda::repo::entry::Timestamp;
use boveda::repo::id::SnapshotId;
use boveda::store::Store;
use jiff::tz::TimeZone;
use std::sync::Arc;

impl Site {
    /// Forgets all snapshots that are there, in one decision.
    pub fn forget(&self, store: &Arc<dyn Store>, case: &Case) -> Result<(), Failure> {
        let repository = case.host.open(store.clone(), &self.admin)?;
        self.forget_these(store, case, repository.snapshots().iter().map(|snapshot| snapshot.id).collect())
    }

    fn forget_these(&self, store: &Arc<dyn Store>, case: &Case, ids: Vec<SnapshotId>) -> Result<(), Failure> {
        let mut repository = case.host.open(store.clone(), &self.admin)?;
        let options = forget::Options {
            wish: forget::Wish::Named(ids),
            among: &|_| true,
            meant: true,
            now: Timestamp::now(),
            zone: TimeZone::UTC,
        };
        forget::forget(&mut repository, &case.host, &options, &Silent)?;
        Ok(())
    }

    /// Brings back all that is forgotten.
    pub fn unforget(&self, store: &Arc<dyn Store>, case: &Case) -> Result<(), Failure> {
        let mut repository = case.host.open(store.clone(), &self.admin)?;
        let ids = repository.forgotten().iter().map(|one| one.snapshot.id).collect();
        let undone = forget::undo(&mut repository, &case.host, &ids, &Silent)?;
        assert!(undone.lost.is_empty(), "{:?}", undone.lost);
        Ok(())
    }

    /// Takes a snapshot that alone has some file, between two others: it is the one to go.
    pub fn outdate(&self, store: &Arc<dyn Store>, case: &mut Case) {
        let file = self.source().join("gone");
        self.snapshot(store, case, &self.admin).unwrap();
        let before = case.acked.clone();
        let content: Vec<u8> = (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        std::fs::write(&file, content).unwrap();
        // What is needed of its pack is to be copied.
        std::fs::write(self.source().join("kept"), "kept").unwrap();
        self.snapshot(store, case, &self.admin).unwrap();
        let outdated = *case.acked.keys().find(|id| !before.contains_key(id)).unwrap();
        *self.outdated.lock().unwrap() = Some(outdated);
        case.acked.remove(&outdated);
        std::fs::remove_file(&file).unwrap();
        self.snapshot(store, case, &self.admin).unwrap();
        if self.is_only_pruned() {
            self.forget_outdated(store, case).unwrap();
        }
    }

    /// Forgets what is to go, unless that was done.
    pub fn forget_outdated(&self, store: &Arc<dyn Store>, case: &Case) -> Result<(), Failure> {
        let outdated = self.outdated.lock().unwrap().unwrap();
        let repository = case.host.open(store.clone(), &self.admin)?;
        match repository.snapshots().iter().any(|snapshot| snapshot.id == outdated) {
            true => self.forget_these(store, case, vec![outdated]),
            false => Ok(()),
        }
    }

    /// Prunes to the end.
    pub fn prune(&self, store: &Arc<dyn Store>, case: &Case) -> Result<(), Failure> {
        let mut repository = case.host.open(store.clone(), &self.admin)?;
        let options = prune::Options {
            now: Timestamp::now().seconds,
            max_unused: prune::Limit::Bytes(0),
            // What it leaves is summed up, each time.
            checkpoint_at: Some(1),
            ..prune::Options::default()
        };
        let summary = prune::prune(&mut repository, &case.host, &options, &Silent)?;
        assert!(summary.is_complete(), "{summary:?}");
        case.host.remember(&repository);
        Ok(())
    }

    /// What nothing needs is gone, and nothing is left to decide.
    pub fn is_pruned(&self, store: &Arc<dyn Store>, case: &Case) -> Result<(), Failure> {
        let repository = case.host.open(store.clone(), &self.admin)?;
        let ledger = repository.log().state.ledger();
        assert!(!ledger.finals.is_empty(), "nothing was given up");
        assert!(ledger.condemned.is_empty(), "{:?}", ledger.condemned);
        let packs = repository.list_packs()?;
        assert!(packs.keys().all(|id| !ledger.ever_final(id)), "something was given up, and is there");
        Ok(())
    }
}
