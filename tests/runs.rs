//! What a machine keeps of the indexes: used instead of the objects, and never believed beyond what the log says now.

use crate::world::{Machine, World, noise};
use boveda::event::{Event, Level, Sink};
use boveda::ops::host::Host;
use boveda::repo::id::{PackId, WriterId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{Indexes, Repository};
use boveda::store::{ObjectName, Store as _};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A source with something new in it.
fn grow(source: &Path, seed: u64) {
    fs::create_dir_all(source).unwrap();
    fs::write(source.join(format!("file{seed}")), noise(seed, 400_000)).unwrap();
}

type Row = (PackId, bool, u64, Vec<boveda::repo::id::ChunkId>, WriterId);

/// All that the indexes come to, in some order; and what is wrong with them.
fn said(repository: &Repository) -> (BTreeSet<Row>, Vec<String>) {
    let indexes = Indexes::load(repository, &IndexClass::BOTH).unwrap();
    let row = |named: Result<(boveda::repo::chunk_index::IndexedPack, _), _>| {
        let (pack, row): (_, Arc<boveda::repo::segment::SegmentDescriptor>) = named.unwrap();
        (pack.id, pack.good, row.offset, row.ids.clone(), row.origin.writer)
    };
    let problems = indexes.problems.iter().map(|problem| format!("{}: {}", problem.name, problem.reason));
    let mut problems: Vec<_> = problems.collect();
    problems.sort();
    (indexes.chunks.segments().map(row).collect(), problems)
}

/// Insists that a machine with runs sees what one without them sees.
#[track_caller]
fn alike(world: &World, machine: &Machine, key: &Credential) {
    let with = machine.open(&world.store, key).unwrap();
    let without = world.open(key).unwrap();
    assert_eq!(said(&with), said(&without));
}

fn runs(world: &World, machine: &str) -> Vec<PathBuf> {
    let id = world.as_admin().id().to_string();
    let files = fs::read_dir(world.path(machine).join("cache").join(id)).into_iter().flatten();
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("chunks-")).collect()
}

fn index_objects(world: &World) -> Vec<ObjectName> {
    world.store.list("idx").unwrap().into_iter().map(|listed| listed.name).collect()
}

#[test]
fn indexes_are_fetched_once_and_verified_from_the_objects() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    grow(&source, 1);
    let taken = machine.snapshot(&world, &world.admin, &source);
    grow(&source, 2);
    machine.snapshot(&world, &world.admin, &source);
    alike(&world, &machine, &world.admin);
    assert_eq!(runs(&world, "machine").len(), 2, "a run of each class, however many sessions there were");

    // With the objects gone: who has runs reads on, who has none asks the packs, and verify wants the objects themselves.
    index_objects(&world).iter().for_each(|name| world.store.delete(name).unwrap());
    let repository = machine.open(&world.store, &world.admin).unwrap();
    let id = taken.snapshot.unwrap();
    machine.restore(&repository, &id, &source, &world.path("back"));
    assert_eq!(fs::read(world.path("back/file1")).unwrap(), noise(1, 400_000));
    assert_eq!(said(&repository).1, [""; 0]);
    assert_eq!(said(&world.as_admin()).1.len(), 4);
    assert_eq!(Indexes::load_objects(&repository).unwrap().problems.len(), 4);
    let fresh = world.machine("fresh");
    fresh.restore(&world.as_admin(), &id, &source, &world.path("again"));
}

#[test]
fn runs_stay_few_and_say_what_the_objects_say() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    for seed in 0..12 {
        grow(&source, seed);
        machine.snapshot(&world, &world.admin, &source);
        // Somebody who only reads, and opens now and then.
        if seed % 5 == 0 {
            alike(&world, &world.machine("other"), &world.admin);
        }
    }
    alike(&world, &machine, &world.admin);
    alike(&world, &world.machine("other"), &world.admin);
    for machine in ["machine", "other"] {
        let runs = runs(&world, machine).len();
        assert!((2..=8).contains(&runs), "{runs} runs of {machine}");
    }
}

#[test]
fn trust_is_asked_of_the_log_at_every_opening() {
    let world = World::new();
    let (first, second) = (world.add(Role::Writer, "first"), world.add(Role::Writer, "second"));
    let maintainer = world.add(Role::Maintainer, "maintainer");
    let machines = ["one", "two", "three"].map(|name| world.machine(name));
    let keys = [&first.key, &second.key, &world.admin];
    for (seed, (machine, key)) in machines.iter().zip(keys).enumerate() {
        let source = world.path(&format!("source{seed}"));
        grow(&source, seed as u64);
        machine.snapshot(&world, key, &source);
    }
    let everybody = || {
        for machine in &machines {
            for key in [&first.key, &second.key, &maintainer.key, &world.admin] {
                if world.open(key).is_ok() {
                    alike(&world, machine, key);
                }
            }
        }
    };
    everybody();
    // The same machine, other keys: what the one may rely on the other may not.
    let good = |key| said(&machines[0].open(&world.store, key).unwrap()).0.iter().filter(|row| row.1).count();
    assert!(good(&first.key) < said(&world.as_admin()).0.len());
    let before = said(&machines[0].open(&world.store, &world.admin).unwrap());
    world.as_admin().revoke(second.id, "gone").unwrap();
    everybody();
    assert_eq!(before.0.len(), said(&machines[0].open(&world.store, &world.admin).unwrap()).0.len());
}

/// Whoever is revoked before the newest census, or never committed: the objects are there and do not count.
#[test]
fn what_does_not_count_is_not_taken_from_a_run() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    grow(&source, 1);
    machine.snapshot(&world, &world.admin, &source);
    grow(&source, 2);
    let late = machine.snapshot(&world, &world.admin, &source);
    alike(&world, &machine, &world.admin);
    let all = said(&machine.open(&world.store, &world.admin).unwrap()).0.len();
    // The second session never came to its end.
    let repository = world.as_admin();
    let session = repository.snapshots().iter().find(|snapshot| Some(snapshot.id) == late.snapshot).unwrap().session;
    world.store.delete(&boveda::repo::names::Name::End(session).object()).unwrap();
    let opened = |host: &Host| host.open_as_it_is(world.store.clone(), &world.admin).unwrap();
    let with = said(&opened(&machine.host));
    assert_eq!(with, said(&world.as_admin()));
    assert!(with.0.len() < all);
    // And the run that has it is written anew without it sooner or later, which changes nothing.
    grow(&source, 3);
    world.machine("other").snapshot(&world, &world.admin, &source);
    assert_eq!(said(&opened(&machine.host)), said(&world.as_admin()));
    assert_eq!(said(&opened(&machine.host)), said(&world.as_admin()));
}

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Sink for Warnings {
    fn emit(&self, event: Event) {
        if let Event::Message(Level::Warning, text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

fn on(world: &World, name: &str, cache: &Path) -> (Repository, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    let host = Host::new(&world.path(name).join("state"), cache, None, warnings.clone());
    (host.open(world.store.clone(), &world.admin).unwrap(), warnings)
}

#[test]
fn damaged_runs_are_made_anew() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    grow(&source, 1);
    machine.snapshot(&world, &world.admin, &source);
    alike(&world, &machine, &world.admin);
    let expected = said(&world.as_admin());
    for round in 0..6 {
        for path in runs(&world, "machine") {
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() * round / 6;
            bytes[at] ^= 1;
            bytes.truncate(bytes.len() - usize::from(round % 2 == 1));
            fs::write(&path, bytes).unwrap();
        }
        let (repository, warnings) = on(&world, "machine", &world.path("machine").join("cache"));
        assert_eq!(said(&repository), expected);
        let told = std::mem::take(&mut *warnings.0.lock().unwrap());
        assert_eq!(told.iter().filter(|text| text.contains("damaged")).count(), 2, "{told:?}");
        assert_eq!(said(&repository), expected);
        assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
        assert_eq!(runs(&world, "machine").len(), 2);
    }
}

#[test]
fn without_a_usable_folder_all_is_held_in_memory() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    grow(&source, 1);
    machine.snapshot(&world, &world.admin, &source);
    let file = world.path("no folder");
    fs::write(&file, b"a file").unwrap();
    let (repository, warnings) = on(&world, "unlucky", &file);
    assert_eq!(said(&repository), said(&world.as_admin()));
    let told = warnings.0.lock().unwrap();
    assert!(told.iter().any(|text| text.contains("held in memory")), "{told:?}");
}

#[test]
fn many_may_open_at_once() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    for seed in 0..5 {
        grow(&source, seed);
        machine.snapshot(&world, &world.admin, &source);
    }
    let expected = said(&world.as_admin());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let (repository, warnings) = on(&world, "shared", &world.path("shared/cache"));
                    assert_eq!(said(&repository), expected);
                    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
                }
            });
        }
    });
}

/// What it says may count again for another process, which has read more of the repository than this one.
#[test]
fn a_run_of_which_nothing_counts_goes_after_a_day_and_not_before() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    grow(&source, 1);
    machine.snapshot(&world, &world.admin, &source);
    alike(&world, &machine, &world.admin);
    let session = world.as_admin().snapshots()[0].session;
    world.store.delete(&boveda::repo::names::Name::End(session).object()).unwrap();
    let left_after = |hours: u64| {
        for path in runs(&world, "machine") {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
        }
        let repository = machine.host.open_as_it_is(world.store.clone(), &world.admin).unwrap();
        assert_eq!(said(&repository).0.len(), 0);
        runs(&world, "machine").len()
    };
    assert_eq!([0, 2, 23, 25].map(left_after), [2, 2, 2, 0]);
}

#[test]
fn of_many_small_sessions_a_machine_keeps_few_runs() {
    let world = World::new();
    let (machine, source) = (world.machine("machine"), world.path("source"));
    for seed in 0..8 {
        grow(&source, seed);
        machine.snapshot(&world, &world.admin, &source);
        alike(&world, &machine, &world.admin);
        let runs = runs(&world, "machine").len();
        assert!(runs <= 6, "{runs} runs of two classes after {} sessions", seed + 1);
    }
}
