//! The local store on a disk that forgets: whatever call fails or is the last before the power goes, what was
//! acknowledged stays, and what was not is absent or whole.

use super::name;
use boveda::store::forgetful::{DiskFault, ForgetfulDisk};
use boveda::store::local::LocalStore;
use boveda::store::{Error, ErrorKind, Put, Store};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const ROOT: &str = "/srv/repo";
/// Crashes tried for each call.
const SEEDS: u64 = 8;

/// One step of the scenario.
#[derive(Clone, Copy)]
enum Step {
    Put(&'static str, &'static [u8]),
    Heal(&'static str, &'static [u8]),
    Delete(&'static str),
}

const SCENARIO: [Step; 11] = [
    Step::Put("config", b"the config"),
    Step::Put("packs/aa/a", b"pack a"),
    Step::Put("packs/aa/b", b"pack b"),
    Step::Put("packs/bb/c", b"pack c"),
    Step::Put("sess/w/1/open", b"open"),
    Step::Put("sess/w/1/beat/1", b"beat"),
    Step::Put("sess/w/1/end", b"end"),
    Step::Heal("packs/aa/a", b"pack a, healed"),
    Step::Delete("sess/w/1/beat/1"),
    Step::Delete("packs/aa/b"),
    Step::Put("sess/w/1/beat/1", b"late"),
];

/// Steps of which none syncs a folder on behalf of another process.
const SYNCED_ONCE: [Step; 8] = [
    Step::Put("config", b"the config"),
    Step::Put("packs/aa/a", b"pack a"),
    Step::Put("packs/aa/b", b"pack b"),
    Step::Put("packs/bb/c", b"pack c"),
    Step::Put("sess/w/1/open", b"open"),
    Step::Put("sess/w/2/beat/1", b"beat"),
    Step::Heal("packs/aa/a", b"pack a, healed"),
    Step::Delete("packs/aa/b"),
];

/// What may be at each name after a crash; `None` is "absent".
type Allowed = BTreeMap<&'static str, Vec<Option<&'static [u8]>>>;

fn act(store: &LocalStore<ForgetfulDisk>, step: Step) -> Result<(), Error> {
    match step {
        Step::Put(object, bytes) => store.put(&name(object), bytes).map(|_| ()),
        Step::Heal(object, bytes) => store.heal(&name(object), bytes),
        Step::Delete(object) => store.delete(&name(object)),
    }
}

/// Runs the scenario to its end, failing steps included, and returns what may be left.
fn run(store: &LocalStore<ForgetfulDisk>) -> Allowed {
    let mut allowed = Allowed::new();
    for step in SCENARIO {
        let (object, after) = match step {
            Step::Put(object, bytes) | Step::Heal(object, bytes) => (object, Some(bytes)),
            Step::Delete(object) => (object, None),
        };
        let acknowledged = act(store, step).is_ok();
        let states = allowed.entry(object).or_insert_with(|| vec![None]);
        match step {
            // An object that may be there already keeps its bytes.
            Step::Put(..) if acknowledged && states.contains(&None) => {
                states.retain(Option::is_some);
                states.push(after);
            }
            Step::Put(..) if acknowledged => {}
            _ if acknowledged => *states = vec![after],
            _ => states.push(after),
        }
    }
    allowed
}

/// What `allowed` does not allow, as text.
fn violation(store: &LocalStore<ForgetfulDisk>, allowed: &Allowed) -> Option<String> {
    let found = |object| match store.get(&name(object)) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    };
    let wrong = allowed.iter().find(|(object, states)| {
        let found = found(object);
        !states.iter().any(|state| state.map(<[u8]>::to_vec) == found)
    });
    let listed = store.list("").unwrap();
    let stranger = listed.iter().find(|listed| !allowed.contains_key(listed.name.as_str()));
    wrong.map(|(object, _)| format!("{object} is {:?}", found(object))).or(stranger.map(|found| found.name.to_string()))
}

fn fresh(disk: ForgetfulDisk) -> LocalStore<ForgetfulDisk> {
    LocalStore::create_on(disk, Path::new(ROOT)).unwrap()
}

fn calls_of_scenario(disk: fn() -> ForgetfulDisk) -> u64 {
    let disk = disk();
    let store = fresh(disk.clone());
    disk.plan(None);
    run(&store);
    disk.calls()
}

/// With `fault` at every call in turn: nothing that is not allowed, whatever the crash forgets; then everything works again.
fn every_call(disk: fn() -> ForgetfulDisk, fault: DiskFault) {
    for call in 1..=calls_of_scenario(disk) {
        let disk = disk();
        let store = fresh(disk.clone());
        disk.plan(Some((call, fault)));
        let allowed = run(&store);
        let struck = disk.struck();
        for seed in 0..SEEDS {
            let disk = disk.fork();
            disk.crash(seed);
            let store = LocalStore::on(disk.clone(), Path::new(ROOT));
            let wrong = violation(&store, &allowed);
            assert_eq!(wrong, None, "call {call} ({struck:?}), seed {seed}");
            SCENARIO.iter().for_each(|step| act(&store, *step).unwrap());
            assert_eq!(store.put(&name("sess/w/1/end"), b"another").unwrap(), Put::Exists);
        }
    }
}

#[test]
fn the_power_may_go_at_any_call() {
    every_call(ForgetfulDisk::new, DiskFault::Halt);
    every_call(ForgetfulDisk::without_links, DiskFault::Halt);
}

#[test]
fn any_call_may_fail() {
    for fault in [DiskFault::Fail(io::ErrorKind::StorageFull), DiskFault::FailAfter(io::ErrorKind::TimedOut)] {
        every_call(ForgetfulDisk::new, fault);
        every_call(ForgetfulDisk::without_links, fault);
    }
}

/// The other way round: a sync that does nothing loses something under some seed, so none is there in vain (and this
/// suite would notice a missing one). Only sessions' folders are synced more often than one process alone would need.
#[test]
fn every_sync_is_needed() {
    let mut syncs = 0;
    for call in 1.. {
        let disk = ForgetfulDisk::new();
        let store = fresh(disk.clone());
        disk.plan(Some((call, DiskFault::Forget)));
        // Each step's crash is looked at on its own: a later sync of the same folder makes up for a forgotten one.
        let lost = SYNCED_ONCE.iter().any(|step| {
            act(&store, *step).unwrap();
            let expected = contents(&store);
            (0..40).any(|seed| {
                let disk = disk.fork();
                disk.crash(seed);
                contents(&LocalStore::on(disk, Path::new(ROOT))) != expected
            })
        });
        let Some(struck) = disk.struck() else { break };
        if struck.starts_with("sync") {
            syncs += 1;
            assert!(lost, "call {call} ({struck}) could be left out");
        }
    }
    assert!(syncs > 15, "{syncs}");
}

fn contents(store: &LocalStore<ForgetfulDisk>) -> BTreeMap<String, Vec<u8>> {
    store.list("").unwrap().iter().map(|found| (found.name.to_string(), store.get(&found.name).unwrap())).collect()
}

#[test]
fn a_new_store_lasts() {
    for seed in 0..50 {
        let disk = ForgetfulDisk::new();
        let store = LocalStore::create_on(disk.clone(), Path::new("/a/b/c/repo")).unwrap();
        store.put(&name("config"), b"x").unwrap();
        disk.crash(seed);
        assert_eq!(LocalStore::on(disk, Path::new("/a/b/c/repo")).get(&name("config")).unwrap(), b"x");
    }
}

/// Whoever finds an object builds on it: then it must stay, also if the one who put it failed before the last sync.
#[test]
fn an_object_that_was_found_there_stays() {
    let mut found = 0;
    for call in 1..12 {
        let disk = ForgetfulDisk::new();
        let first = fresh(disk.clone());
        disk.plan(Some((call, DiskFault::Fail(io::ErrorKind::TimedOut))));
        let _ = first.put(&name("log/1"), b"first");
        disk.plan(None);
        let second = LocalStore::on(disk.clone(), Path::new(ROOT));
        let put = second.put(&name("log/1"), b"second").unwrap();
        found += u32::from(put == Put::Exists);
        let expected = if put == Put::Exists { b"first".to_vec() } else { b"second".to_vec() };
        for seed in 0..20 {
            let disk = disk.fork();
            disk.crash(seed);
            assert_eq!(LocalStore::on(disk, Path::new(ROOT)).get(&name("log/1")).unwrap(), expected, "call {call}");
        }
    }
    assert!(found >= 2);
}
