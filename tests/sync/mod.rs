//! `sync` between two stores: what comes, in what order it may be cut short, who else may be at work, and what is never done.

mod beside;
mod checkpoints;
mod cut;
mod damage;
mod hashes;
mod many;
mod places;
mod standing;

use crate::world::hooked::{Action, Hooked};
use crate::world::{Listener, Machine, World, noise};
use boveda::ops::sync::{Check, Error, Options, Requests, Summary, sync};
use boveda::ops::verify::{self, Level};
use boveda::repo::id::SnapshotId;
use boveda::repo::keys::credential::Credential;
use boveda::repo::repository::Repository;
use boveda::store::Store;
use boveda::store::memory::MemoryStore;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Bytes of a file that does not compress.
const LARGE: usize = 300_000;

/// A source with a repository, and an empty place for its copy.
pub struct Pair {
    pub world: World,
    pub machine: Machine,
    pub copy: Arc<MemoryStore>,
    pub source: PathBuf,
}

impl Pair {
    pub fn new() -> Self {
        let world = World::new();
        let machine = world.machine("host");
        let source = world.path("source");
        Self { world, machine, copy: Arc::new(MemoryStore::at("copy")), source }
    }

    /// A repository with snapshots of files with these contents.
    pub fn with(seeds: &[u64]) -> (Self, Vec<SnapshotId>) {
        let pair = Self::new();
        let ids = seeds.iter().map(|seed| pair.snapshot(*seed)).collect();
        (pair, ids)
    }

    /// Fills the source anew, and takes a snapshot.
    pub fn snapshot(&self, seed: u64) -> SnapshotId {
        fill(&self.source, seed);
        self.machine.snapshot(&self.world, &self.world.admin, &self.source).snapshot.unwrap()
    }

    /// As one run of the program does it, to any store, on any machine.
    pub fn try_sync(
        &self,
        machine: &Machine,
        key: &Credential,
        copy: &Arc<dyn Store>,
        options: &Options,
    ) -> Result<Summary, Error> {
        let mut source = machine.open(&self.world.store, key)?;
        sync(&machine.host, &mut source, copy, options, &Listener::default())
    }

    /// Brings the copy up to date with the admin's keys.
    #[track_caller]
    pub fn sync(&self) -> Summary {
        self.sync_with(&Options::default())
    }

    #[track_caller]
    pub fn sync_with(&self, options: &Options) -> Summary {
        let copy: Arc<dyn Store> = self.copy.clone();
        self.try_sync(&self.machine, &self.world.admin, &copy, options).unwrap()
    }

    /// The copy as the admin sees it, on a machine that remembers nothing.
    pub fn copied(&self) -> Repository {
        crate::world::open(self.copy.clone(), &self.world.admin).unwrap()
    }

    /// The copy verifies, has just these snapshots, and each restores to its file.
    #[track_caller]
    pub fn copy_holds(&self, expected: &[(SnapshotId, u64)]) {
        holds(&self.world, &self.copy, &self.source, expected);
    }
}

/// A store verifies, has just these snapshots, and each restores to its file.
#[track_caller]
pub fn holds(world: &World, store: &Arc<MemoryStore>, source: &Path, expected: &[(SnapshotId, u64)]) {
    let machine = world
        .machine(&format!("fresh{}", blake3::hash(format!("{expected:?}{:?}", std::time::Instant::now()).as_bytes())));
    let repository = machine.open(store, &world.admin).unwrap();
    let mut ids: Vec<_> = repository.snapshots().iter().map(|snapshot| snapshot.id).collect();
    let mut wanted: Vec<_> = expected.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(ids, wanted);
    let found = verify::verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap();
    assert_eq!(found.findings, []);
    for (id, seed) in expected {
        let target = world.path(&format!("out{id}"));
        machine.restore(&repository, id, source, &target);
        assert!(std::fs::read(target.join("file")).unwrap() == noise(*seed, LARGE), "{id}");
        std::fs::remove_dir_all(target).unwrap();
    }
}

/// The source's only large file gets this content.
pub fn fill(source: &Path, seed: u64) {
    std::fs::create_dir_all(source).unwrap();
    std::fs::write(source.join("file"), noise(seed, LARGE)).unwrap();
}

/// What both stores hold of packs, indexes, slots, keys and config.
pub fn shared(store: &MemoryStore) -> Vec<(String, Vec<u8>)> {
    let objects = store.objects().into_iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec()));
    objects
        .filter(|(name, _)| {
            ["packs/", "idx/", "slots/", "keys/", "config"].iter().any(|folder| name.starts_with(folder))
        })
        .collect()
}

#[test]
fn a_copy_is_begun_and_has_every_snapshot() {
    let (pair, ids) = Pair::with(&[1, 2]);
    let options = Options { dry_run: true, ..Options::default() };
    let preview = pair.sync_with(&options);
    assert!(pair.copy.objects().is_empty(), "a dry run writes nothing");
    assert!(preview.founded && preview.requests.puts > 3, "{preview:?}");
    assert_eq!((preview.snapshots, preview.before.snapshots, preview.after.snapshots), (2, 2, 2));
    let summary = pair.sync();
    assert!(summary.founded && summary.left.is_empty() && summary.lost.is_empty(), "{summary:?}");
    assert_eq!((summary.snapshots, summary.packs, summary.indexes), (2, preview.packs, preview.indexes));
    assert_eq!((summary.before.snapshots, summary.after.snapshots), (2, 0));
    assert_eq!(shared(&pair.world.store), shared(&pair.copy));
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2)]);
}

#[test]
fn a_copy_that_lacks_nothing_is_left_alone() {
    let (pair, _) = Pair::with(&[1]);
    pair.sync();
    let before = pair.copy.objects();
    let summary = pair.sync();
    assert_eq!((summary.founded, summary.snapshots, summary.packs.packs), (false, 0, 0));
    assert!(pair.copy.objects() == before, "not even a session");
}

#[test]
fn each_run_brings_what_is_new_and_nothing_twice() {
    let (pair, mut ids) = Pair::with(&[1]);
    pair.sync();
    ids.push(pair.snapshot(2));
    let summary = pair.sync();
    assert_eq!((summary.snapshots, summary.founded), (1, false));
    assert!(summary.packs.bytes < 2 * LARGE as u64, "{summary:?}");
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2)]);
}

#[test]
fn what_is_forgotten_stays_at_the_copy_unless_somebody_asks() {
    let (pair, ids) = Pair::with(&[1, 2]);
    pair.sync();
    assert!(pair.world.as_admin().forget(vec![ids[0]]).unwrap());
    assert_eq!(pair.sync().forgotten, 0);
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2)]);
    let hold = pair.world.as_admin().hold("look").unwrap();
    let asked = Options { forget: true, ..Options::default() };
    let copy: Arc<dyn Store> = pair.copy.clone();
    let refused = pair.try_sync(&pair.machine, &pair.world.admin, &copy, &asked);
    assert!(matches!(refused, Err(Error::OnHold { .. })), "{refused:?}");
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2)]);
    assert!(pair.world.as_admin().release(hold).unwrap());
    assert_eq!(pair.sync_with(&asked).forgotten, 1);
    pair.copy_holds(&[(ids[1], 2)]);
}

#[test]
fn a_copy_forgets_and_prunes_by_itself_and_nothing_comes_back() {
    let (pair, ids) = Pair::with(&[1, 2]);
    pair.sync();
    let mut copy = pair.copied();
    assert!(copy.forget(vec![ids[0]]).unwrap());
    let packed = |store: &MemoryStore| -> u64 { store.list("packs").unwrap().iter().map(|listed| listed.length).sum() };
    let before = packed(&pair.copy);
    prune(&pair, &pair.copy);
    assert!(packed(&pair.copy) < before - LARGE as u64 * 9 / 10);
    let summary = pair.sync();
    assert_eq!((summary.snapshots, summary.packs.packs), (0, 0), "{summary:?}");
    pair.copy_holds(&[(ids[1], 2)]);
    holds(&pair.world, &pair.world.store, &pair.source, &[(ids[0], 1), (ids[1], 2)]);
    // The old content returns: the source finds it in a pack that was given up at the copy.
    let again = pair.snapshot(1);
    let summary = pair.sync();
    assert!(summary.renewed.packs > 0, "{summary:?}");
    assert_eq!(summary.after.snapshots, 0);
    pair.copy_holds(&[(ids[1], 2), (again, 1)]);
    holds(&pair.world, &pair.world.store, &pair.source, &[(ids[0], 1), (ids[1], 2), (again, 1)]);
}

#[test]
fn what_was_pruned_at_the_source_is_not_missed_at_the_copy() {
    let (pair, ids) = Pair::with(&[1, 2]);
    assert!(pair.world.as_admin().forget(vec![ids[0]]).unwrap());
    prune(&pair, &pair.world.store);
    let summary = pair.sync();
    assert!(summary.lost.is_empty() && summary.left.is_empty(), "{summary:?}");
    pair.copy_holds(&[(ids[1], 2)]);
    let third = pair.snapshot(3);
    pair.sync();
    pair.copy_holds(&[(ids[1], 2), (third, 3)]);
    // The copy has what the source gave up later.
    assert!(pair.world.as_admin().forget(vec![ids[1]]).unwrap());
    prune(&pair, &pair.world.store);
    pair.sync();
    pair.copy_holds(&[(ids[1], 2), (third, 3)]);
}

#[test]
fn a_place_with_another_repository_is_refused() {
    let (pair, _) = Pair::with(&[1]);
    let other = World::new();
    let before = other.store.objects();
    let store: Arc<dyn Store> = other.store.clone();
    let refused = pair.try_sync(&pair.machine, &pair.world.admin, &store, &Options::default());
    assert!(refused.unwrap_err().to_string().contains("another one"));
    assert!(other.store.objects() == before);
}

#[test]
fn tags_follow() {
    let (pair, ids) = Pair::with(&[1]);
    pair.sync();
    pair.world.as_admin().tag(ids[0], vec!["keep".into()], vec![]).unwrap();
    assert_eq!(pair.sync().tagged, 1);
    assert_eq!(pair.copied().snapshots()[0].tags, ["keep"]);
    assert_eq!(pair.sync().tagged, 0);
}

#[test]
fn a_copy_of_a_copy_is_a_copy() {
    let (pair, ids) = Pair::with(&[1, 2]);
    assert!(pair.world.as_admin().forget(vec![ids[0]]).unwrap());
    prune(&pair, &pair.world.store);
    pair.sync();
    let third = Arc::new(MemoryStore::at("third"));
    let (machine, store): (_, Arc<dyn Store>) = (pair.world.machine("far"), third.clone());
    let mut source = machine.open(&pair.copy, &pair.world.admin).unwrap();
    sync(
        &machine.host,
        &mut source,
        &store,
        &Options { check: Check::All, ..Options::default() },
        &Listener::default(),
    )
    .unwrap();
    holds(&pair.world, &third, &pair.source, &[(ids[1], 2)]);
}

/// Prunes a store as a machine beside it does.
pub fn prune(pair: &Pair, store: &Arc<MemoryStore>) {
    let machine = pair.world.machine("storage");
    let mut repository = machine.open(store, &pair.world.admin).unwrap();
    let options = boveda::ops::prune::Options { now: 1_800_000_000, ..Default::default() };
    let summary = boveda::ops::prune::prune(&mut repository, &machine.host, &options, &Listener::default()).unwrap();
    assert!(summary.is_complete() && summary.deleted.packs > 0, "{summary:?}");
}

/// Whoever pays for requests and bytes hears before what they will be, and afterwards what they were.
#[test]
fn what_a_sync_puts_is_foreseen_and_counted() {
    let (pair, _) = Pair::with(&[1]);
    pair.sync();
    let before = 20;
    (0..before).for_each(|_| _ = pair.snapshot(1));
    let how = Options { check: Check::None, ..Options::default() };
    let preview = pair.sync_with(&Options { dry_run: true, ..how });
    // And bytes of packs and indexes.
    let asked = Arc::new(Mutex::new((Requests::default(), 0)));
    let counting = Arc::clone(&asked);
    let place = Hooked::before(pair.copy.clone(), move |call| {
        // What the copy begins with is put in vain: by that it shows whether it is whole.
        if call.action == Action::Put && !call.name.starts_with("log/") {
            let (asked, known) = &mut *counting.lock().unwrap();
            asked.put(call.bytes.len() as u64);
            *known += if call.name.starts_with("sess/") { 0 } else { call.bytes.len() as u64 };
        }
        Ok(())
    });
    let summary = pair.try_sync(&pair.machine, &pair.world.admin, &place, &how).unwrap();
    let (asked, known) = *asked.lock().unwrap();
    assert!(known > 0);
    assert_eq!((preview.snapshots, summary.snapshots), (before, before));
    for told in [preview.requests, summary.requests] {
        assert_eq!(told.puts, asked.puts);
        // How long the session's objects get is known in about: records tell of paths.
        let [told, put] = [told.bytes_put, asked.bytes_put].map(|bytes| bytes - known);
        assert!((put / 2..=put * 2).contains(&told), "{told} bytes of the session itself, and {put} were put");
    }
}
