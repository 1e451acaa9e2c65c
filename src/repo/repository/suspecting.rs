//! Packs that were found damaged beyond repair are marked in the log (SUSPECT in `FORMAT.md`): nobody builds on them any more, and what
//! can be read of them stays readable.

use super::{Error, Repository};
use crate::repo::id::PackId;
use crate::repo::log::Decision;
use std::collections::BTreeSet;

/// What changed in the marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Packs that were marked now.
    pub marked: BTreeSet<PackId>,
    /// Packs that were marked before, and are whole.
    pub cleared: BTreeSet<PackId>,
}

impl Repository {
    /// Marks `lost` packs, and takes the mark from those that are `whole`, as far as either is new. Those that were given up for good need no
    /// mark.
    ///
    /// # Errors
    /// When the role does not maintain, the log is in doubt, or the store fails.
    pub fn suspect(&mut self, lost: &BTreeSet<PackId>, whole: &BTreeSet<PackId>) -> Result<Suspects, Error> {
        let mut changed = Suspects::default();
        self.enter_all(|repository| {
            let role = repository.bundle.role();
            if !role.may_maintain() {
                return Err(Error::Role { role, action: "marking packs" });
            }
            let ledger = repository.log.state.ledger();
            let fresh = |pack: &&PackId| !ledger.suspects.contains(pack) && !ledger.ever_final(pack);
            let marked: BTreeSet<PackId> = lost.iter().filter(fresh).copied().collect();
            let cleared: BTreeSet<PackId> = ledger.suspects.intersection(whole).copied().collect();
            if marked.is_empty() && cleared.is_empty() {
                return Ok(None);
            }
            let decision =
                Decision::Suspect { lost: marked.iter().copied().collect(), whole: cleared.iter().copied().collect() };
            changed = Suspects { marked, cleared };
            Ok(Some(decision))
        })?;
        Ok(changed)
    }
}
