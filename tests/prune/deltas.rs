//! What deltas build on stays for as long as they are needed, wherever it lies.

use super::{forget, options, pruned, try_prune, undisturbed};
use crate::world::{Listener, Machine, World, noise};
use boveda::ops::prune::{Limit, Options};
use boveda::ops::verify::{self, Level};
use boveda::repo::id::SnapshotId;
use boveda::repo::keys::role::Role;
use std::path::{Path, PathBuf};

/// Hexadecimal digits, of which every thousandth row is another in each generation.
fn dump(generation: u64) -> Vec<u8> {
    let rows = noise(3, 3_000_000);
    let mut bytes: Vec<u8> = rows.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    let mark = format!("<generation {generation}>");
    (0..bytes.len() - 100).step_by(20_000).for_each(|at| bytes[at..at + mark.len()].copy_from_slice(mark.as_bytes()));
    bytes
}

struct Site {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Site {
    fn new() -> Self {
        let world = World::new();
        let (machine, source) = (world.machine("host"), world.path("source"));
        std::fs::create_dir_all(&source).unwrap();
        Self { world, machine, source }
    }

    fn take(&self, generation: u64) -> SnapshotId {
        std::fs::write(self.source.join("dump"), dump(generation)).unwrap();
        let summary = self.machine.snapshot(&self.world, &self.world.admin, &self.source);
        assert_eq!(summary.deltas > 0, generation > 0, "{summary:?}");
        summary.snapshot.unwrap()
    }

    /// Everything verifies, and the only snapshot left has this generation.
    #[track_caller]
    fn holds(&self, id: SnapshotId, generation: u64) {
        let machine = self.world.machine(&format!("fresh{generation}"));
        let repository = machine.open(&self.world.store, &self.world.admin).unwrap();
        assert_eq!(repository.snapshots().len(), 1);
        let found = verify::verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap();
        assert_eq!(found.findings, []);
        let target: &Path = &self.world.path(&format!("out{generation}"));
        machine.restore(&repository, &id, &self.source, target);
        assert!(std::fs::read(target.join("dump")).unwrap() == dump(generation));
    }
}

#[test]
fn bases_stay_as_long_as_a_snapshot_needs_their_deltas() {
    let site = Site::new();
    let maintainer = site.world.add(Role::Maintainer, "beside the store");
    let mut last = site.take(0);
    for generation in 1..4 {
        let next = site.take(generation);
        forget(&site.world, &[last]);
        // Whoever prunes reads nothing, and sees what deltas build on by the tables alone.
        let summary = pruned(&site.world, &site.world.machine("storage"), &maintainer.key);
        assert_eq!(
            summary.deleted.packs > 0,
            generation > 1,
            "the deltas before are gone, the first dump is not: {summary:?}"
        );
        site.holds(next, generation);
        last = next;
    }
    let away = site.world.packed();
    std::fs::write(site.source.join("dump"), b"").unwrap();
    let empty = site.machine.snapshot(&site.world, &site.world.admin, &site.source).snapshot.unwrap();
    forget(&site.world, &[last]);
    pruned(&site.world, &site.machine, &site.world.admin);
    assert!(site.world.packed() < away / 10, "{} of {away}", site.world.packed());
    assert_eq!(site.world.as_admin().snapshots()[0].id, empty);
}

#[test]
fn bases_may_move_to_another_pack() {
    let site = Site::new();
    std::fs::write(site.source.join("gone"), noise(7, 6_000_000)).unwrap();
    let first = site.take(0);
    std::fs::remove_file(site.source.join("gone")).unwrap();
    let second = site.take(1);
    forget(&site.world, &[first]);
    let none = Options { max_unused: Limit::Bytes(0), ..options() };
    let summary = try_prune(&site.world, &site.machine, &site.world.admin, &none).unwrap();
    assert!(summary.is_complete() && summary.repacked.packs > 0 && summary.deleted.packs > 0, "{summary:?}");
    site.holds(second, 1);
    // The next ones build on the copy.
    let third = site.take(2);
    forget(&site.world, &[second]);
    pruned(&site.world, &site.machine, &site.world.admin);
    site.holds(third, 2);
}

/// The same files, taken by a writer, who reads nothing and makes no deltas, and by the admin, who makes some of the second generation.
#[test]
fn a_delta_makes_a_plain_copy_superfluous() {
    let world = World::new();
    let writer = world.add(Role::Writer, "writer");
    let [desk, laptop] = ["desk", "laptop"].map(|name| world.machine(name));
    let (_turn, folder) = undisturbed();
    let source = folder.path().join("source");
    std::fs::create_dir_all(&source).unwrap();
    for generation in [0, 1] {
        std::fs::write(source.join("dump"), dump(generation)).unwrap();
        // The admin does not rely on what the writer stored.
        assert_eq!(laptop.snapshot(&world, &writer.key, &source).deltas, 0);
        assert_eq!(desk.snapshot(&world, &world.admin, &source).deltas > 0, generation > 0);
    }
    let storage = world.machine("storage");
    assert_eq!(pruned(&world, &storage, &world.admin).deleted.packs, 2, "both packs of the writer");
    let repository = storage.open(&world.store, &world.admin).unwrap();
    assert_eq!(repository.snapshots().len(), 4);
    let found = verify::verify(&repository, &storage.host, Level::Full, &Listener::default()).unwrap();
    assert_eq!(found.findings, []);
}
