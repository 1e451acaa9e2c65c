//! Forgetting beside others who decide, what is freed, and what a prune has taken for good.

mod progress;

use super::*;
use crate::crypto::aead::Suite;
use crate::crypto::secret::Secret;
use crate::event::Silent;
use crate::ops::snapshot::{self, snapshot};
use crate::repo::entry::EntryPath;
use crate::repo::frame::Sealing;
use crate::repo::id::PackId;
use crate::repo::keys::credential::Credential;
use crate::repo::log::{Author, Decision, Target, append};
use crate::repo::names::Name;
use crate::repo::repository::found;
use crate::store::Store as _;
use crate::store::memory::MemoryStore;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct World {
    store: Arc<MemoryStore>,
    admin: Credential,
    host: Host,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let (store, admin) = (Arc::new(MemoryStore::new()), Credential::RawKey(Secret::generate()));
        found(&*store, Suite::Aes256Gcm, &admin, &Secret::generate(), "admin").unwrap();
        let folder = TempDir::new().unwrap();
        let host = Host::new(&folder.path().join("state"), &folder.path().join("cache"), None, Arc::new(Silent));
        Self { store, admin, host, folder }
    }

    fn open(&self) -> Repository {
        Repository::open(self.store.clone(), &self.admin, |_| None, Arc::new(Silent)).unwrap()
    }

    fn file(&self, seed: u64) -> PathBuf {
        self.folder.path().join("source").join(format!("file{seed}"))
    }

    /// Another file of noise.
    fn write(&self, seed: u64, bytes: usize) {
        let mut content = vec![0; bytes];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
        std::fs::create_dir_all(self.folder.path().join("source")).unwrap();
        std::fs::write(self.file(seed), content).unwrap();
    }

    /// A snapshot of all files, with one more.
    fn snapshot(&self, seed: u64, bytes: usize) -> SnapshotId {
        self.write(seed, bytes);
        let source = self.folder.path().join("source");
        let options = snapshot::Options {
            roots: vec![EntryPath::parse(source.as_os_str().as_bytes()).unwrap()],
            host: "host".to_owned(),
            threads: 1,
            ..snapshot::Options::default()
        };
        let mut repository = self.open();
        let writer = self.host.writer(&repository).unwrap();
        snapshot(&mut repository, writer.writer, &options, &Silent).unwrap().snapshot.unwrap()
    }

    fn options(&self, wish: Wish) -> Options<'static> {
        Options { wish, among: &|_| true, meant: false, now: Timestamp::now(), zone: TimeZone::UTC }
    }

    fn forget(&self, repository: &mut Repository, ids: &[SnapshotId]) -> Result<Plan, Error> {
        forget(repository, &self.host, &self.options(Wish::Named(ids.to_vec())), &Silent)
    }

    fn decide(&self, decision: &Decision) {
        let repository = self.open();
        let bundle = repository.bundle();
        let (key, epoch) = (bundle.principal().signing_key(), bundle.current());
        let author = Author { principal: bundle.principal_id(), key: &key };
        let sealing = Sealing { epoch: epoch.epoch, suite: repository.config().suite, index_key: &epoch.index };
        append(&**repository.store(), repository.log(), (decision, Timestamp::now().seconds), author, sealing).unwrap();
    }

    fn live(&self) -> Vec<SnapshotId> {
        self.open().snapshots().iter().map(|snapshot| snapshot.id).collect()
    }
}

#[test]
fn who_comes_second_decides_again() {
    let world = World::new();
    let ids: Vec<_> = (0..3).map(|seed| world.snapshot(seed, 10)).collect();
    // Both have seen three snapshots. Together they would take all of them.
    let (mut first, mut second) = (world.open(), world.open());
    world.forget(&mut first, &ids[1..]).unwrap();
    let refused = world.forget(&mut second, &ids[..1]);
    assert!(matches!(refused, Err(Error::Guarded(_))), "{refused:?}");
    assert_eq!(world.live(), ids[..1]);
    // What somebody else forgot already is not forgotten twice.
    let mut third = world.open();
    world.forget(&mut world.open(), &[]).unwrap();
    let undone = undo(&mut third, &world.host, &ids.iter().copied().collect(), &Silent).unwrap();
    assert_eq!((undone.back.len(), world.live().len()), (2, 3));
    let (mut first, mut second) = (world.open(), world.open());
    world.forget(&mut first, &ids[..1]).unwrap();
    assert_eq!(world.forget(&mut second, &ids[..2]).unwrap().goes(), ids[1..2]);
    // And two that bring back the same.
    let all = ids.iter().copied().collect();
    let (mut first, mut second) = (world.open(), world.open());
    assert_eq!(undo(&mut first, &world.host, &all, &Silent).unwrap().back.len(), 2);
    assert!(undo(&mut second, &world.host, &all, &Silent).unwrap().back.is_empty());
}

#[test]
fn a_hold_that_comes_between_stops_it() {
    let world = World::new();
    let ids: Vec<_> = (0..2).map(|seed| world.snapshot(seed, 10)).collect();
    let mut repository = world.open();
    let hold = world.open().hold("look first").unwrap();
    assert!(matches!(world.forget(&mut repository, &ids[..1]), Err(Error::OnHold { id, .. }) if id == hold));
    assert_eq!(world.live().len(), 2);
    assert!(repository.release(hold).unwrap());
    assert!(!world.open().release(hold).unwrap());
    world.forget(&mut repository, &ids[..1]).unwrap();
    assert_eq!(world.live(), ids[1..]);
}

#[test]
fn a_clock_that_is_behind_forgets_nothing() {
    let world = World::new();
    let ids: Vec<_> = (0..2).map(|seed| world.snapshot(seed, 10)).collect();
    let options =
        Options { now: Timestamp { seconds: 0, nanoseconds: 0 }, ..world.options(Wish::Named(ids[..1].to_vec())) };
    let refused = forget(&mut world.open(), &world.host, &options, &Silent);
    let Err(Error::Guarded(plan)) = refused else { panic!("{refused:?}") };
    assert!(matches!(plan.guards[..], [super::super::retention::Guard::ClockBehind { .. }]), "{:?}", plan.guards);
}

#[test]
fn what_is_freed_is_what_no_other_snapshot_needs() {
    let world = World::new();
    let first = world.snapshot(1, 200_000);
    let second = world.snapshot(2, 900_000);
    let third = world.snapshot(3, 10);
    let packs = |repository: &Repository| repository.list_packs().unwrap().values().sum::<u64>();
    let freed = |ids: &[SnapshotId]| {
        let repository = world.open();
        let plan = plan(&repository, &world.host, &world.options(Wish::Named(ids.to_vec())), true, &Silent).unwrap();
        (plan.freed.unwrap(), packs(&repository))
    };
    // The content of the first two is in the third; only their catalogs go.
    let (catalogs, all) = freed(&[first, second]);
    assert!(
        (1..20_000).contains(&catalogs.bytes) && catalogs.packs == 0 && catalogs.packs_rewritten == 2,
        "{catalogs:?}"
    );
    assert_eq!((catalogs.requests.get, catalogs.requests.put, catalogs.requests.delete), (2, 1, 2));
    // All that there is.
    let (everything, _) = freed(&[first, second, third]);
    assert_eq!((everything.bytes, everything.packs, everything.packs_rewritten), (all, 3, 0));
    assert_eq!((everything.requests.get, everything.requests.put, everything.requests.delete), (0, 0, 3));
    assert_eq!(freed(&[]).0, Freed::default());
}

#[test]
fn a_segment_that_is_needed_in_part_is_freed_by_reading_alone() {
    let world = World::new();
    world.write(1, 100_000);
    let first = world.snapshot(2, 100_000);
    std::fs::remove_file(world.file(1)).unwrap();
    world.snapshot(3, 10);
    let repository = world.open();
    let plan = plan(&repository, &world.host, &world.options(Wish::Named(vec![first])), true, &Silent).unwrap();
    let freed = plan.freed.unwrap();
    // The two files went into one segment; the catalog of the first snapshot has segments of its own.
    assert!((20_000..180_000).contains(&freed.more_by_reading) && freed.bytes < 20_000, "{freed:?}");
}

#[test]
fn what_a_prune_gave_up_does_not_come_back() {
    let world = World::new();
    let first = world.snapshot(1, 100);
    let packs: BTreeSet<PackId> = world.open().list_packs().unwrap().into_keys().collect();
    let second = world.snapshot(2, 100);
    world.forget(&mut world.open(), &[first]).unwrap();
    let targets: Vec<Target> = packs.into_iter().map(Target::pack).collect();
    world.decide(&Decision::Condemn { targets: targets.clone(), marked: vec![second] });
    let ids = [first].into();
    // What is condemned can be rescued still.
    assert_eq!(undo(&mut world.open(), &world.host, &ids, &Silent).unwrap().back.len(), 1);
    world.forget(&mut world.open(), &[first]).unwrap();
    let listed = world.open().log().state.head().unwrap().position;
    world.decide(&Decision::Final { targets, listed });
    let undone = undo(&mut world.open(), &world.host, &ids, &Silent).unwrap();
    assert_eq!((undone.back.len(), undone.lost.len()), (0, 1));
    assert_eq!(world.open().forgotten().len(), 1);
}

#[test]
fn what_nobody_needs_already_is_not_freed_by_forgetting() {
    let world = World::new();
    let first = world.snapshot(1, 200_000);
    std::fs::remove_file(world.file(1)).unwrap();
    let second = world.snapshot(2, 900_000);
    let freed = |ids: &[SnapshotId]| {
        let options = world.options(Wish::Named(ids.to_vec()));
        plan(&world.open(), &world.host, &options, true, &Silent).unwrap().freed.unwrap()
    };
    let alone = freed(&[second]);
    world.forget(&mut world.open(), &[first]).unwrap();
    assert_eq!(freed(&[]), Freed::default());
    assert_eq!(freed(&[second]), alone);
}

#[test]
fn a_limit_of_size_counts_what_stays_first() {
    let world = World::new();
    // Each has a file of its own, and nothing of the others.
    let ids = [(1, 100_000), (2, 200_000), (3, 400_000)].map(|(seed, bytes)| {
        let id = world.snapshot(seed, bytes);
        std::fs::remove_file(world.file(seed)).unwrap();
        id
    });
    for (limit, goes, stored) in [(750_000, 0, 700_000), (650_000, 1, 600_000), (550_000, 2, 400_000)] {
        let rules = Rules { keep_size: Some(super::super::retention::Size(limit)), ..Rules::default() };
        let options = world.options(Wish::Rules { rules, grouping: Grouping::SOURCE });
        let plan = plan(&world.open(), &world.host, &options, true, &Silent).unwrap();
        assert_eq!((plan.goes(), plan.kept()), (ids[..goes].to_vec(), 3 - goes), "{limit}");
        let budget = plan.budget.unwrap();
        assert!(budget.fits && (stored..stored + 30_000).contains(&budget.stored), "{budget:?}");
        let freed: u64 = [100_000, 200_000][..goes].iter().sum();
        // With the parity and the catalog of each.
        assert!((freed..=freed * 3 / 2).contains(&plan.freed.unwrap().bytes), "{:?}", plan.freed);
    }
}

#[test]
fn what_is_named_is_judged_beside_the_others_of_its_source() {
    let world = World::new();
    let ids: Vec<_> = (0..3).map(|seed| world.snapshot(seed, 10)).collect();
    let plan = plan(&world.open(), &world.host, &world.options(Wish::Named(vec![ids[1]])), false, &Silent).unwrap();
    assert_eq!((plan.goes(), plan.kept(), plan.groups.len()), (vec![ids[1]], 2, 1));
    assert!(plan.groups[0].snapshots.iter().all(|one| one.complete));
}

#[test]
fn what_lies_in_a_pack_that_is_gone_does_not_come_back() {
    let world = World::new();
    world.snapshot(1, 200_000);
    let (pack, length) = world.open().list_packs().unwrap().into_iter().next().unwrap();
    // Its catalog is its own; its content lies in the pack of the first.
    let second = world.snapshot(2, 10);
    world.forget(&mut world.open(), &[second]).unwrap();
    let undone = || undo(&mut world.open(), &world.host, &[second].into(), &Silent).unwrap();
    let name = Name::Pack(pack).object();
    let bytes = world.store.get(&name).unwrap();
    world.store.delete(&name).unwrap();
    assert_eq!((undone().back.len(), undone().lost.len()), (0, 1));
    world.store.put(&name, &bytes[..length as usize / 2]).unwrap();
    assert_eq!((undone().back.len(), undone().lost.len()), (0, 1), "what is cut short is not there");
    world.store.overwrite(&name, bytes.to_vec());
    assert_eq!(undone().back.len(), 1);
}

#[test]
fn what_was_given_up_in_part_does_not_come_back() {
    let world = World::new();
    let first = world.snapshot(1, 200_000);
    let pack = world.open().list_packs().unwrap().into_keys().next().unwrap();
    let second = world.snapshot(2, 10);
    world.forget(&mut world.open(), &[second]).unwrap();
    let targets = vec![Target { pack, segments: vec![0] }];
    world.decide(&Decision::Condemn { targets: targets.clone(), marked: vec![first] });
    let listed = world.open().log().state.head().unwrap().position;
    world.decide(&Decision::Final { targets, listed });
    let undone = undo(&mut world.open(), &world.host, &[second].into(), &Silent).unwrap();
    assert_eq!((undone.back.len(), undone.lost.len()), (0, 1));
}
