//! Exclusion between processes: of all that put one name, exactly one is told that it created the object.

use super::name;
use boveda::store::local::LocalStore;
use boveda::store::{Put, Store};
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "BOVEDA_TEST_RACE_FOLDER";
const PROCESS: &str = "BOVEDA_TEST_RACE_PROCESS";
const NAMES: usize = 100;

#[test]
fn one_of_many_processes_wins() {
    let top = tempfile::tempdir().unwrap();
    let spawn = |process: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stores::race::contender", "--nocapture"])
            .env(FOLDER, top.path())
            .env(PROCESS, process.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let contenders: Vec<_> = (0..4).map(spawn).collect();
    for mut contender in contenders {
        assert!(contender.wait().unwrap().success());
    }
    let store = LocalStore::new(top.path());
    let claims = store.list("claims").unwrap();
    assert_eq!(claims.len(), NAMES, "one winner for each name");
    for claim in claims {
        let (_, rest) = claim.name.as_str().split_once('/').unwrap();
        let (number, winner) = rest.split_once('-').unwrap();
        assert_eq!(store.get(&name(&format!("log/{number}"))).unwrap(), winner.as_bytes());
    }
}

/// The body of the processes that [`one_of_many_processes_wins`] starts; as a test of its own it does nothing.
#[test]
fn contender() {
    let (Some(folder), Ok(process)) = (std::env::var_os(FOLDER), std::env::var(PROCESS)) else { return };
    let store = LocalStore::new(Path::new(&folder));
    for number in 0..NAMES {
        if store.put(&name(&format!("log/{number}")), process.as_bytes()).unwrap() == Put::Created {
            store.put(&name(&format!("claims/{number}-{process}")), b"").unwrap();
        }
    }
}
