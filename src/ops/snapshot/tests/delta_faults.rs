//! Runs that make deltas, with each call of the store failing in turn: what was there comes back, and so does what a later run takes.

use super::deltas::dump;
use super::*;
use crate::ops::verify::{Level, verify};
use crate::store::faults::{Fault, FaultStore, Plan};
use crate::store::{ErrorKind, ObjectName};

/// Some 3 MB: two stretches of a large file.
const ROWS: u64 = 42_000;

/// Runs with the plan; the call that it struck, if the run made so many.
fn run(world: &World, plan: Plan) -> Option<(String, Result<Summary, Error>)> {
    let faulty = Arc::new(FaultStore::new(world.store.clone()));
    let mut repository = world.host.open(faulty.clone(), &world.credential).unwrap();
    let writer = world.host.writer(&repository).unwrap();
    faulty.plan(Some(plan));
    let outcome = snapshot(&mut repository, writer.writer, &world.options(), &Silent);
    faulty.struck().map(|struck| (struck, outcome))
}

impl World {
    /// Goes back to what the store held and this machine knew.
    fn reset(&mut self, objects: &[(ObjectName, Vec<u8>)]) {
        self.store = Arc::new(MemoryStore::default());
        for (name, bytes) in objects {
            self.store.put(name, bytes).unwrap();
        }
        let at = |name: &str| self.folder.path().join(name);
        for folder in ["state", "cache"] {
            std::fs::remove_dir_all(at(folder)).unwrap();
            copy(&at(&format!("{folder}.then")), &at(folder));
        }
        self.host = Host::new(&at("state"), &at("cache"), None, Arc::new(Silent));
    }

    /// Remembers what this machine knows.
    fn remember(&self) {
        let at = |name: &str| self.folder.path().join(name);
        ["state", "cache"].into_iter().for_each(|folder| copy(&at(folder), &at(&format!("{folder}.then"))));
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[test]
fn whichever_call_fails_no_delta_stands_on_nothing() {
    let mut world = World::new();
    world.put(&dump(ROWS, 0, 0));
    let first = world.snapshot(&world.options());
    world.remember();
    let listed = world.store.list("").unwrap().into_iter();
    let base: Vec<_> = listed.map(|one| (one.name.clone(), world.store.get(&one.name).unwrap())).collect();
    let (before, now) = (dump(ROWS, 0, 0), dump(ROWS, 1, 0));
    world.put(&now);
    let (mut read, mut wrote) = (0, 0);
    // Each call fails in one of the ways, and its neighbours in the others.
    let ways = [(Fault::Before, false), (Fault::After, false), (Fault::After, true)];
    for (call, (fault, for_good)) in (1..).zip(ways.into_iter().cycle()) {
        world.reset(&base);
        let Some((struck, outcome)) = run(&world, Plan { call, fault, for_good, kind: ErrorKind::Other }) else {
            break;
        };
        read += u32::from(struck.starts_with("read packs"));
        wrote += u32::from(struck.starts_with("write packs"));
        // Another machine finds either what was there before or what this run took, and all of it.
        let found = world.newest();
        let whole = if outcome.is_ok() { found == now } else { found == before || found == now };
        assert!(whole, "call {call}, {struck}: {outcome:?}");
        let again = world.snapshot(&world.options());
        assert!(world.newest() == now, "call {call}, {struck}");
        assert!(again.bytes_stored * 3 < first.bytes_stored, "call {call}, {struck}: {}", again.bytes_stored);
        world.segments();
        assert_eq!(
            verify(&world.open(), &world.host, Level::Full, &Silent).unwrap().findings,
            [],
            "call {call}, {struck}"
        );
    }
    assert!(read > 0 && wrote > 0, "{read} reads of packs and {wrote} writes were struck");
}
