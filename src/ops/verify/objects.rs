//! Every object but the packs: both copies where there are two, read whole, held against each other and against who must have
//! signed them.
//!
//! Openings and ends of sessions, and the log's first copies, were judged when the repository was opened: see `history`.

use super::{Finding, Run, parallel};
use crate::repo::examine::{Health, examine};
use crate::repo::frame::Frame;
use crate::repo::log::Log;
use crate::repo::names::{Copy, Name, SessionName};
use crate::repo::repository;
use crate::store::{self, ErrorKind, Store};
use std::collections::{BTreeMap, HashSet};

/// The objects of a repository as its store lists them, and their lengths.
#[derive(Debug, Default)]
pub(in crate::ops) struct Listed {
    pub objects: Vec<(Name, u64)>,
    /// How many objects are there that belong to no repository.
    pub foreign: u64,
}

impl Listed {
    /// Lists everything.
    pub fn read(store: &dyn Store) -> Result<Self, store::Error> {
        let mut listed = Self::default();
        for object in store.list("")? {
            match Name::parse(&object.name) {
                Some(name) => listed.objects.push((name, object.length)),
                None => listed.foreign += 1,
            }
        }
        Ok(listed)
    }

    /// All but the packs, and but what later entries of `log` voided; copies of one object together, the first copy first.
    pub fn small(&self, log: Option<&Log>) -> Vec<Vec<Name>> {
        let voided: HashSet<u64> = log.into_iter().flat_map(Log::voided).collect();
        let means_something = |name: &Name| match name {
            Name::Pack(_) => false,
            Name::Log(position, _) => !voided.contains(position),
            _ => true,
        };
        let mut groups: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for (name, _) in self.objects.iter().filter(|(name, _)| means_something(name)) {
            let first = name.other_copy().map_or(*name, |other| other.min(*name));
            groups.entry(first).or_default().push(*name);
        }
        groups.into_values().collect()
    }
}

/// An object as it was read.
#[derive(Debug)]
pub(in crate::ops) struct Seen {
    pub name: Name,
    stored: Vec<u8>,
    health: Health,
}

impl Seen {
    /// Reads and examines it; `None` when it is gone since it was listed.
    pub fn read(store: &dyn Store, name: &Name) -> Result<Option<Self>, store::Error> {
        match store.get(&name.object()) {
            Ok(stored) => Ok(Some(Self { name: *name, health: examine(name, &stored), stored })),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its bytes as they are stored.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// Whether nothing is wrong with it.
    pub const fn is_sound(&self) -> bool {
        matches!(self.health, Health::Sound)
    }

    /// Why it cannot be had, if it cannot.
    pub fn why_lost(&self) -> Option<String> {
        match &self.health {
            Health::Lost(why) => Some(why.to_string()),
            _ => None,
        }
    }

    /// Bytes that were read.
    pub const fn len(&self) -> usize {
        self.stored.len()
    }

    /// What was written, as far as it can be had.
    pub fn content(&self) -> Option<&[u8]> {
        match &self.health {
            Health::Sound => Some(&self.stored),
            Health::Healable { healed } => Some(healed),
            Health::Lost(_) => None,
        }
    }
}

/// What is wrong with the copies of one object, as far as that can be told without keys.
pub(super) fn compare(copies: &[Seen]) -> Vec<Finding> {
    let find = |name: &Name, what: String, healable| Finding { object: name.to_string(), what, healable };
    let mut findings = Vec::new();
    for seen in copies {
        match &seen.health {
            Health::Sound => {}
            Health::Healable { .. } => findings.push(find(&seen.name, HEALABLE.to_owned(), true)),
            Health::Lost(why) => {
                let spare = copies.iter().any(|other| other.name != seen.name && other.content().is_some());
                findings.push(find(&seen.name, why.to_string(), spare));
            }
        }
        // One copy of a census is what is left of a checkpoint that was cut short; the log names which counts.
        let single = copies.len() == 1 && !matches!(seen.name, Name::Census(..));
        if let Some(other) = seen.name.other_copy().filter(|_| single) {
            findings.push(find(&other, "this copy is missing".to_owned(), seen.content().is_some()));
        }
    }
    if let [first, second] = copies
        && let (Some(one), Some(two)) = (first.content(), second.content())
        && one != two
    {
        findings.push(find(&second.name, format!("it differs from {}", first.name), false));
    }
    findings
}

/// What is said of damage that parity can heal.
pub(super) const HEALABLE: &str = "some of its bytes are damaged; its parity has them";

impl Run<'_> {
    /// Lists the store; reports copies and keys that are not there.
    pub(super) fn listed(&self) -> Result<Listed, repository::Error> {
        let listed = Listed::read(&**self.repository.store())?;
        let there: HashSet<Name> = listed.objects.iter().map(|(name, _)| *name).collect();
        let census = self.repository.log().state.ledger().checkpoint.map(|checkpoint| checkpoint.census);
        for name in [Name::Config(Copy::First), Name::Config(Copy::Second)].iter().chain(&there) {
            // What lacks in the log, reading it has told.
            let counts = |other: &Name| match other {
                Name::Log(..) => false,
                Name::Census(id, _) => census == Some(*id),
                _ => true,
            };
            let other = name.other_copy().filter(|other| counts(other) && !there.contains(other));
            if let Some(other) = other {
                self.find(other, "this copy is missing", true);
            }
        }
        for (name, label) in self.repository.handed_out() {
            if !there.contains(&name) {
                let what = format!("it is missing; {label:?} may not get the keys of this epoch");
                self.find(name, what, false);
            }
        }
        Ok(listed)
    }

    /// Reads every object but the packs.
    pub(super) fn objects(&self, listed: &Listed) -> Result<(), repository::Error> {
        parallel::each(self.threads, &listed.small(Some(self.repository.log())), |names| {
            self.go_on()?;
            let store = &**self.repository.store();
            let copies = names.iter().filter_map(|name| Seen::read(store, name).transpose());
            let copies = copies.collect::<Result<Vec<_>, _>>()?;
            copies.iter().for_each(|seen| self.count_bytes(seen.len()));
            if copies.iter().any(|seen| self.repository.gave_up(&seen.name, seen.stored())) {
                return Ok(());
            }
            for Finding { object, what, healable } in compare(&copies) {
                // What was judged when the repository was opened was reported with better reasons.
                if !self.has_found(&object) {
                    self.find(object, what, healable);
                }
            }
            copies.iter().for_each(|seen| self.signature(seen));
            Ok(())
        })
    }

    /// Whoever must have signed it did.
    fn signature(&self, seen: &Seen) {
        let Some(frame) = seen.content().and_then(|stored| Frame::read(&seen.name, stored).ok()) else { return };
        let (id, config) = (self.repository.id(), self.repository.config());
        let verified = match seen.name {
            Name::Config(_) if frame.clear() != config.encode() => {
                return self.find(seen.name, "it is the config of another repository", true);
            }
            Name::EpochKeys { .. } | Name::EpochOffer { .. } => frame.verify(&id, &config.admin),
            Name::Beat(session, _) => self.beat(&session, &frame),
            Name::Pin(_) if seen.content().is_none_or(|stored| !self.repository.is_pin(&seen.name, stored)) => {
                let what = "nobody who is known here signed it: for a week it pins everything";
                return self.find(seen.name, what, false);
            }
            _ => Ok(()),
        };
        if let Err(error) = verified {
            self.find(seen.name, error, false);
        }
    }

    /// A sign of life is its session's. Of a session that nobody opened, nobody can tell.
    fn beat(&self, session: &SessionName, frame: &Frame) -> Result<(), crate::repo::frame::Error> {
        match self.repository.view().signed(session) {
            Some(signed) => frame.verify(&self.repository.id(), &signed.installation),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash;
    use crate::repo::armour::{ObjectKind, Scale, wrap};
    use crate::repo::id::CensusId;
    use crate::store::memory::MemoryStore;

    /// A census of no meaning, both copies stored.
    fn stored() -> (MemoryStore, [Name; 2], Vec<u8>) {
        let bytes = wrap(ObjectKind::Census, Scale::Small, vec![1; 100]);
        let names = Copy::BOTH.map(|copy| Name::Census(CensusId(hash::sha256(&bytes)), copy));
        let store = MemoryStore::new();
        for name in &names {
            store.put(&name.object(), &bytes).unwrap();
        }
        (store, names, bytes)
    }

    fn findings(store: &MemoryStore) -> Vec<(String, bool)> {
        let groups = Listed::read(store).unwrap().small(None);
        assert_eq!(groups.len(), 1, "copies stay together");
        let seen: Vec<_> = groups[0].iter().map(|name| Seen::read(store, name).unwrap().unwrap()).collect();
        compare(&seen).into_iter().map(|finding| (finding.object, finding.healable)).collect()
    }

    #[test]
    fn each_copy_is_named_and_what_the_other_still_has_is_healable() {
        let (store, [first, second], bytes) = stored();
        assert_eq!(findings(&store), []);
        let mut flipped = bytes.clone();
        flipped[70] ^= 1;
        store.overwrite(&first.object(), flipped);
        assert_eq!(findings(&store), [(first.to_string(), true)]);
        store.overwrite(&first.object(), b"nothing".to_vec());
        assert_eq!(findings(&store), [(first.to_string(), true)]);
        store.overwrite(&second.object(), b"nothing".to_vec());
        assert_eq!(findings(&store), [(first.to_string(), false), (second.to_string(), false)]);
        store.overwrite(&first.object(), bytes);
        store.delete(&second.object()).unwrap();
        assert_eq!(findings(&store), [], "what is left of a checkpoint that nobody named");
        let [first, second] = Copy::BOTH.map(|copy| Name::Log(7, copy));
        let store = MemoryStore::new();
        store.put(&first.object(), &wrap(ObjectKind::LogEntry, Scale::Small, vec![1; 100])).unwrap();
        assert!(findings(&store).iter().any(|(object, _)| *object == second.to_string()));
    }

    #[test]
    fn what_belongs_to_no_repository_is_counted_and_left() {
        let (store, ..) = stored();
        store.put(&crate::store::ObjectName::new("lost-found").unwrap(), b"").unwrap();
        assert_eq!(Listed::read(&store).unwrap().foreign, 1);
        assert_eq!(findings(&store), []);
    }
}
