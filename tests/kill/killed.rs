//! `kill -9` at any moment.

use super::{Machine, any, fill, full, kill, packs, wait_for_pack};
use crate::cli::Place;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Files of a source, and the bytes of each.
const FILES: u64 = 64;
const LENGTH: usize = 1 << 20;
/// Files that change in a round: more than a pack holds.
const CHANGED: u64 = 40;
/// Times that everything is looked at.
const LOOKS: u64 = 5;

/// Changes the source, starts a snapshot, kills it at any moment of its life; and again.
fn rounds(machine: &Machine<'_>, source: &Path, rounds: u64) {
    fill(source, FILES, LENGTH);
    let start = Instant::now();
    let mut acknowledged = BTreeSet::new();
    let done = |summary: serde_json::Value| summary["snapshot_id"].as_str().unwrap().to_owned();
    acknowledged.insert(done(machine.snapshot(source)));
    let life = start.elapsed();
    let (mut cut, mut midway) = (0, 0);
    for round in 1..=rounds {
        fill(source, CHANGED, LENGTH);
        let before = packs(machine.place);
        let child = machine.start(source);
        std::thread::sleep(life.mul_f64(any(1100) as f64 / 1000.0));
        let finished = kill(child);
        cut += u64::from(finished.is_none());
        midway += u64::from(finished.is_none() && !packs(machine.place).is_subset(&before));
        acknowledged.extend(finished);
        if round % (rounds / LOOKS) == 0 {
            acknowledged.insert(done(machine.snapshot(source)));
            machine.all_is_well(source, &acknowledged);
        }
    }
    // Chance may spare a few kills the moment after a pack; other tests here wait for it.
    let hit = cut > rounds / 4 && (midway > 0 || !full());
    assert!(hit, "{rounds} kills, {cut} before the end, {midway} with packs in the repository");
}

#[test]
fn at_any_moment_nothing_is_lost_and_nothing_has_to_be_cleaned_up() {
    let place = Place::init();
    rounds(&Machine::new(&place, "home", "admin.key"), &place.path("source"), if full() { 200 } else { 20 });
}

#[test]
fn two_machines_at_once_on_one_repository() {
    let place = Place::init();
    let count = if full() { 100 } else { 10 };
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let place = &place;
            scope.spawn(move || {
                rounds(&Machine::new(place, name, "admin.key"), &place.path(&format!("of-{name}")), count)
            });
        }
    });
}

#[test]
fn uploaded_packs_are_used_by_the_next_run() {
    let place = Place::init();
    let machine = Machine::new(&place, "home", "admin.key");
    let source = place.path("source");
    fill(&source, 96, LENGTH);
    let bytes = 96 * LENGTH as u64;

    let mut child = machine.start(&source);
    wait_for_pack(&place, &BTreeSet::new(), &mut child);
    assert_eq!(kill(child), None);
    let left = packs(&place);
    let left_bytes: u64 = left.iter().map(|pack| pack.metadata().unwrap().len()).sum();

    let summary = machine.snapshot(&source);
    let added = summary["data_added"].as_u64().unwrap();
    // Padding and parity are a few hundredths of a pack.
    assert!(added <= bytes - left_bytes * 9 / 10, "{added} bytes added of {bytes}, though {left_bytes} lay there");
    assert!(left.is_subset(&packs(&place)));
    machine.all_is_well(&source, &BTreeSet::new());
    // Restoring changed the folder that the source lies in, and so a page of the catalog.
    let again = machine.snapshot(&source)["data_added"].as_u64().unwrap();
    assert!(again < 64 << 10, "{again} bytes of nothing new");
}

#[test]
fn a_run_that_is_killed_again_and_again_gets_there_in_the_end() {
    let place = Place::init();
    let machine = Machine::new(&place, "home", "admin.key");
    let source = place.path("source");
    fill(&source, 160, LENGTH);
    for _ in 0..3 {
        let before = packs(&place);
        let mut child = machine.start(&source);
        wait_for_pack(&place, &before, &mut child);
        std::thread::sleep(Duration::from_millis(any(50)));
        kill(child);
    }
    let summary = machine.snapshot(&source);
    assert!(summary["data_added"].as_u64().unwrap() < 100 * LENGTH as u64, "{summary}");
    machine.all_is_well(&source, &BTreeSet::new());
}
