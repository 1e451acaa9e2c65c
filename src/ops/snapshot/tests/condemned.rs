//! A prune beside a long run: it condemns between two of the run's sessions.

use super::*;
use crate::repo::frame::Sealing;
use crate::repo::id::PackId;
use crate::repo::log::{Author, Decision, Target, append};
use crate::repo::names::Name;
use std::sync::Mutex;
use std::time::Duration;

/// Condemns these packs when the first partial snapshot stands, and keeps what it was told.
struct Condemning<'a> {
    world: &'a World,
    packs: Mutex<Option<Vec<PackId>>>,
    told: Mutex<Vec<String>>,
}

impl Sink for Condemning<'_> {
    fn emit(&self, event: Event) {
        let Event::Message(_, text) = event else { return };
        let first = text.starts_with("partial snapshot").then(|| self.packs.lock().unwrap().take()).flatten();
        if let Some(packs) = first {
            condemn(&self.world.open_elsewhere(), &packs);
        }
        self.told.lock().unwrap().push(text);
    }
}

impl Condemning<'_> {
    fn run(self, options: &Options) -> (Summary, Vec<String>) {
        let mut repository = self.world.open();
        let writer = self.world.host.writer(&repository).unwrap();
        let summary = snapshot(&mut repository, writer.writer, options, &self).unwrap();
        (summary, self.told.into_inner().unwrap())
    }
}

impl World {
    pub fn open_elsewhere(&self) -> Repository {
        Repository::open(self.store.clone(), &self.credential, |_| None, Arc::new(Silent)).unwrap()
    }

    pub fn packs(&self) -> Vec<PackId> {
        self.open_elsewhere().list_packs().unwrap().into_keys().collect()
    }
}

/// As a prune does that marked every complete snapshot.
pub fn condemn(repository: &Repository, packs: &[PackId]) {
    let marked = repository.snapshots().iter().filter(|snapshot| snapshot.is_complete()).map(|one| one.id).collect();
    let targets = packs.iter().copied().map(Target::pack).collect();
    let bundle = repository.bundle();
    let (key, epoch) = (bundle.principal().signing_key(), bundle.current());
    let author = Author { principal: bundle.principal_id(), key: &key };
    let sealing = Sealing { epoch: epoch.epoch, suite: repository.config().suite, index_key: &epoch.index };
    let decision = Decision::Condemn { targets, marked };
    append(&**repository.store(), repository.log(), (&decision, 1_800_000_000), author, sealing).unwrap();
}

/// A snapshot, then some changes; and how a long run takes the next one.
fn changed() -> (World, Files, Options) {
    let world = World::new();
    let mut files = fill(&world.source());
    settle();
    world.snapshot(&world.options());
    for (path, bytes) in files.iter_mut().filter(|(_, bytes)| bytes.len() > 500_000) {
        bytes[0] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    settle();
    let options =
        Options { partial: PartialAfter { bytes: 4 << 20, time: Duration::MAX, chunks: u64::MAX }, ..world.options() };
    (world, files, options)
}

#[test]
fn what_was_condemned_since_is_stored_anew() {
    let (world, files, options) = changed();
    let condemned = world.packs();
    let packs = Mutex::new(Some(condemned.clone()));
    let (summary, told) = Condemning { world: &world, packs, told: Mutex::default() }.run(&options);
    assert!(told.iter().any(|text| text.contains("begins anew")), "{told:?}");
    assert_eq!(summary.counts.files(), 40);
    // What will be gone one day is not needed.
    for pack in condemned {
        world.store.delete(&Name::Pack(pack).object()).unwrap();
    }
    assert_eq!(world.files(), files);
}

#[test]
fn a_prune_that_takes_nothing_of_it_does_not_hold_a_run_up() {
    let (world, files, options) = changed();
    let packs = Mutex::new(Some(vec![PackId([9; 32])]));
    let (summary, told) = Condemning { world: &world, packs, told: Mutex::default() }.run(&options);
    assert!(!told.iter().any(|text| text.contains("begins anew")), "{told:?}");
    assert!(summary.partials >= 2, "{} partial snapshots", summary.partials);
    assert_eq!(world.files(), files);
}
