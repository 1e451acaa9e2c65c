//! `prune` over one repository: what goes, what stays, for whom, and when nothing is done at all.

mod beside;
mod checkpoints;
mod deltas;
mod locked;
mod pins;
mod refusals;
mod repack;
mod sessions;
mod suspects;

use crate::world::{Listener, Machine, World, noise};
use boveda::event::Stage;
use boveda::ops::prune::{Error, Options, Summary, prune};
use boveda::ops::verify::{self, Level};
use boveda::repo::id::SnapshotId;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::names::Name;
use boveda::repo::repository;
use boveda::store::Store;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Bytes of a file that does not compress.
const LARGE: usize = 1_000_000;

/// A time by the pruner's clock.
pub const NOW: i64 = 1_800_000_000;

/// How tests prune.
pub fn options() -> Options {
    Options { wait: Duration::ZERO, now: NOW, ..Options::default() }
}

/// Prunes as one run of the program does.
pub fn try_prune(world: &World, machine: &Machine, key: &Credential, options: &Options) -> Result<Summary, Error> {
    let mut repository = machine.open(&world.store, key)?;
    prune(&mut repository, &machine.host, options, &Listener::default())
}

/// Prunes to the end.
#[track_caller]
pub fn pruned(world: &World, machine: &Machine, key: &Credential) -> Summary {
    let summary = try_prune(world, machine, key, &options()).unwrap();
    assert!(summary.is_complete(), "{summary:?}");
    summary
}

/// Forgets these.
pub fn forget(world: &World, ids: &[SnapshotId]) {
    assert!(world.as_admin().forget(ids.to_vec()).unwrap());
}

/// Everything verifies, and every snapshot that `expected` names restores to that file.
#[track_caller]
pub fn holds(world: &World, source: &Path, expected: &[(SnapshotId, u64)]) {
    let machine = world.machine(&format!("fresh{}", world.store.objects().len()));
    let repository = machine.open(&world.store, &world.admin).unwrap();
    assert_eq!(repository.snapshots().len(), expected.len());
    let found = verify::verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap();
    assert_eq!(found.findings, []);
    for (id, seed) in expected {
        let target = world.path(&format!("out{id}"));
        machine.restore(&repository, id, source, &target);
        assert!(std::fs::read(target.join("file")).unwrap() == noise(*seed, LARGE), "{id}");
        std::fs::remove_dir_all(target).unwrap();
    }
}

/// The source's only file gets this content.
pub fn fill(source: &Path, seed: u64) {
    std::fs::create_dir_all(source).unwrap();
    std::fs::write(source.join("file"), noise(seed, LARGE)).unwrap();
}

/// A world, a machine, and a source of which two snapshots were taken, with another content each.
pub fn two() -> (World, Machine, PathBuf, [SnapshotId; 2]) {
    let world = World::new();
    let (machine, source) = (world.machine("host"), world.path("source"));
    let ids = [1, 2].map(|seed| {
        fill(&source, seed);
        machine.snapshot(&world, &world.admin, &source).snapshot.unwrap()
    });
    (world, machine, source, ids)
}

/// A folder for a source of which two take the same snapshot. Folders above it are part of that, and who else asks for one would make
/// something in them: one after the other.
pub fn undisturbed() -> (MutexGuard<'static, ()>, TempDir) {
    static ONE: Mutex<()> = Mutex::new(());
    let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    (turn, TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
}

#[test]
fn what_only_forgotten_snapshots_held_goes_and_all_else_stays() {
    let (world, machine, source, [first, second]) = two();
    let nothing = pruned(&world, &machine, &world.admin);
    assert_eq!((nothing.condemned.packs, nothing.deleted.packs), (0, 0));
    assert_eq!(nothing.needed, nothing.stored);
    let before = world.packed();
    forget(&world, &[first]);
    let summary = pruned(&world, &machine, &world.admin);
    assert_eq!((summary.condemned, summary.finished), (summary.deleted, summary.deleted));
    assert!(summary.deleted.packs > 0 && summary.rescued.packs == 0, "{summary:?}");
    assert_eq!(world.packed(), before - summary.deleted.bytes);
    assert!(world.packed() < before - LARGE as u64 * 9 / 10, "{} of {before}", world.packed());
    assert_eq!(summary.needed.bytes, world.packed());
    holds(&world, &source, &[(second, 2)]);
    // Nothing is left to do, and nothing is entered.
    let head = world.as_admin().log().state.head();
    assert_eq!(pruned(&world, &machine, &world.admin).deleted.packs, 0);
    assert_eq!(world.as_admin().log().state.head(), head);
}

#[test]
fn what_was_pruned_is_stored_anew_when_it_comes_back() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    // Another machine prunes: what this one keeps of the indexes still says where it was.
    pruned(&world, &world.machine("other"), &world.admin);
    fill(&source, 1);
    let again = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    holds(&world, &source, &[(second, 2), (again, 1)]);
    let mut repository = world.as_admin();
    let undone = boveda::ops::forget::undo(&mut repository, &machine.host, &[first].into(), &Listener::default());
    // Its content is back, but not its catalog.
    assert_eq!(undone.unwrap().lost.len(), 1);
}

#[test]
fn a_maintainer_prunes_without_reading_anything() {
    let (world, _, source, [first, second]) = two();
    let maintainer = world.add(Role::Maintainer, "beside the store");
    let machine = world.machine("storage");
    forget(&world, &[first]);
    let preview = try_prune(&world, &machine, &maintainer.key, &Options { dry_run: true, ..options() }).unwrap();
    let summary = pruned(&world, &machine, &maintainer.key);
    assert_eq!(summary.deleted, preview.condemned);
    assert!(summary.deleted.bytes > LARGE as u64 * 9 / 10);
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn a_dry_run_says_what_would_go_and_changes_nothing() {
    let (world, machine, source, [first, second]) = two();
    forget(&world, &[first]);
    let before = world.store.objects();
    let dry = Options { dry_run: true, ..options() };
    let reader = world.add(Role::Reader, "auditor");
    let after = world.store.objects();
    assert!(before.len() < after.len());
    for key in [&world.admin, &reader.key] {
        let preview = try_prune(&world, &machine, key, &dry).unwrap();
        assert!(preview.condemned.bytes > LARGE as u64 * 9 / 10, "{preview:?}");
        assert!(world.store.objects() == after);
    }
    holds(&world, &source, &[(second, 2)]);
}

#[test]
fn writers_and_readers_do_not_prune() {
    let (world, machine, _, [first, _]) = two();
    forget(&world, &[first]);
    for role in [Role::Writer, Role::Reader] {
        let someone = world.add(role, role.name());
        let before = world.store.objects();
        let refused = try_prune(&world, &machine, &someone.key, &options());
        assert!(matches!(refused, Err(Error::Repository(repository::Error::Role { .. }))), "{role}");
        assert!(world.store.objects() == before);
    }
}

#[test]
fn a_pack_that_comes_back_after_it_was_given_up_is_deleted_again_and_never_relied_on() {
    let (world, machine, source, [first, second]) = two();
    let old = world.store.objects();
    forget(&world, &[first]);
    pruned(&world, &machine, &world.admin);
    let gone: Vec<_> = old.iter().filter(|(name, _)| world.store.length(name).is_err()).collect();
    assert!(!gone.is_empty());
    for (name, bytes) in &gone {
        world.store.put(name, bytes).unwrap();
    }
    fill(&source, 1);
    let again = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    assert_eq!(pruned(&world, &machine, &world.admin).deleted.packs, gone.len() as u64);
    holds(&world, &source, &[(second, 2), (again, 1)]);
}

/// Copies that one principal does not rely on make nothing superfluous for it.
#[test]
fn of_two_copies_one_goes_only_if_all_who_need_it_rely_on_the_other() {
    let world = World::new();
    let (_turn, folder) = undisturbed();
    let source = folder.path().join("source");
    fill(&source, 1);
    // So much that there are packs without a catalog's pages, which say by themselves who needs them.
    std::fs::write(source.join("more"), noise(9, 9 << 20)).unwrap();
    let [one, two] = ["one", "two"].map(|label| world.add(Role::Writer, label));
    let machines = ["a", "b", "c", "d"].map(|name| world.machine(name));
    let take = |at: usize, key: &Credential| machines[at].snapshot(&world, key, &source).snapshot.unwrap();
    let ids = [take(0, &one.key), take(1, &two.key)];
    let before = world.packed();
    assert!(before > 2 * LARGE as u64, "neither relies on the other");
    let machine = world.machine("storage");
    assert_eq!(pruned(&world, &machine, &world.admin).condemned.packs, 0);
    holds(&world, &source, &[(ids[0], 1), (ids[1], 1)]);

    world.as_admin().trust(two.id, one.id).unwrap();
    let summary = pruned(&world, &machine, &world.admin);
    assert!(world.packed() < before - LARGE as u64 * 9 / 10, "{summary:?}");
    let repository = world.as_admin();
    let left = repository.list_packs().unwrap().into_keys().map(|id| Name::Pack(id).object());
    assert!(left.count() > 0);
    holds(&world, &source, &[(ids[0], 1), (ids[1], 1)]);
    // Whoever it was that lost a copy goes on.
    let more = [take(2, &one.key), take(3, &two.key)];
    holds(&world, &source, &[(ids[0], 1), (ids[1], 1), (more[0], 1), (more[1], 1)]);
}

/// Each of two copies lies elsewhere too as long as the other stays: one goes, and not both, which would be to no avail.
#[test]
fn of_two_copies_that_stand_for_each_other_one_goes() {
    let world = World::new();
    let (_turn, folder) = undisturbed();
    let source = folder.path().join("source");
    fill(&source, 1);
    let [one, two] = ["one", "two"].map(|label| world.add(Role::Writer, label));
    let ids = [(&one, "a"), (&two, "b")]
        .map(|(writer, name)| world.machine(name).snapshot(&world, &writer.key, &source).snapshot.unwrap());
    world.as_admin().trust(two.id, one.id).unwrap();
    world.as_admin().trust(one.id, two.id).unwrap();
    let summary = pruned(&world, &world.machine("storage"), &world.admin);
    assert_eq!((summary.condemned.packs, summary.rescued.packs, summary.deleted.packs), (1, 0, 1), "{summary:?}");
    holds(&world, &source, &[(ids[0], 1), (ids[1], 1)]);
}

#[test]
fn the_last_numbers_of_a_prune_are_those_of_all_that_it_deleted() {
    let (world, machine, _, [first, _]) = two();
    forget(&world, &[first]);
    let listener = Listener::default();
    let mut repository = machine.open(&world.store, &world.admin).unwrap();
    let summary = prune(&mut repository, &machine.host, &options(), &listener).unwrap();
    let last = listener.last(Stage::Prune).unwrap();
    assert!(summary.deleted.bytes > LARGE as u64 * 9 / 10, "{summary:?}");
    assert_eq!((last.bytes, last.bytes_total), (summary.deleted.bytes, summary.deleted.bytes));
}
