//! A sync that is cut short at any call of either store, and done again.

use super::{Pair, holds, shared};
use crate::world::Listener;
use boveda::ops::sync::{Options, sync};
use boveda::store::Store;
use boveda::store::faults::{Fault, FaultStore, Plan};
use boveda::store::memory::MemoryStore;
use std::sync::Arc;

/// Every how manieth call is tried: `stride` of them, or each one at full scale.
fn stride(stride: usize) -> usize {
    if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 1 } else { stride }
}

/// One sync with these stores, on a machine of its own.
fn once(pair: &Pair, number: u64, source: Arc<dyn Store>, copy: &Arc<dyn Store>) -> Result<(), String> {
    let machine = pair.world.machine(&format!("case{number}"));
    let mut repository = machine.host.open(source, &pair.world.admin).map_err(|error| error.to_string())?;
    let options = Options { connections: 1, ..Options::default() };
    sync(&machine.host, &mut repository, copy, &options, &Listener::default())
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The nth call of one of the two stores fails, in all the ways that it can; then the sync is done again.
fn every_call(pair: &Pair, expected: &[(boveda::repo::id::SnapshotId, u64)], at_source: bool, step: usize) {
    let before = pair.copy.fork();
    let mut number = u64::from(at_source) << 32;
    let mut tried = 0;
    for fault in [Fault::Before, Fault::After] {
        for plan in [Plan::once, Plan::for_good] {
            for call in (1 + number % step as u64..).step_by(step) {
                number += 1;
                let copy = Arc::new(before.fork());
                let inner: Arc<dyn Store> = if at_source { pair.world.store.clone() } else { copy.clone() };
                let faulty = Arc::new(FaultStore::new(inner));
                faulty.plan(Some(plan(call, fault)));
                let (source, place): (Arc<dyn Store>, Arc<dyn Store>) = match at_source {
                    true => (faulty.clone(), copy.clone()),
                    false => (pair.world.store.clone(), faulty.clone()),
                };
                // Whether it failed or got around the fault, the next one completes it.
                let outcome = once(pair, number, source, &place);
                let Some(struck) = faulty.struck() else { break };
                faulty.plan(None);
                let again: Arc<dyn Store> = copy.clone();
                let what = format!("{struck} (call {call}) {fault:?}: {outcome:?}");
                once(pair, number, pair.world.store.clone(), &again)
                    .unwrap_or_else(|error| panic!("{what}, then {error}"));
                assert_eq!(shared(&copy), shared(&pair.world.store), "{what}");
                if tried % 6 == 0 {
                    holds(&pair.world, &copy, &pair.source, expected);
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 8, "{tried}");
}

#[test]
fn the_first_sync_may_fail_at_any_call_of_the_copy() {
    let (pair, ids) = Pair::with(&[1, 2]);
    every_call(&pair, &[(ids[0], 1), (ids[1], 2)], false, stride(5));
}

#[test]
fn the_first_sync_may_fail_at_any_call_of_the_source() {
    let (pair, ids) = Pair::with(&[1, 2]);
    every_call(&pair, &[(ids[0], 1), (ids[1], 2)], true, stride(9));
}

#[test]
fn a_later_sync_may_fail_at_any_call_of_the_copy() {
    let (pair, mut ids) = Pair::with(&[1]);
    pair.sync();
    ids.push(pair.snapshot(2));
    every_call(&pair, &[(ids[0], 1), (ids[1], 2)], false, stride(7));
}

/// What a dead sync left of its packs is used, and made durable, not sent again.
#[test]
fn what_a_dead_sync_left_is_used() {
    let (mut pair, ids) = Pair::with(&[1, 2, 3]);
    let packs = |store: &MemoryStore| store.list("packs").unwrap().len();
    for calls in 5.. {
        pair.copy = Arc::new(MemoryStore::at("copy"));
        let faulty = Arc::new(FaultStore::new(pair.copy.clone()));
        let place: Arc<dyn Store> = faulty.clone();
        faulty.plan(Some(Plan::for_good(calls, Fault::After)));
        once(&pair, calls, pair.world.store.clone(), &place).unwrap_err();
        if packs(&pair.copy) > 0 {
            break;
        }
    }
    let left = packs(&pair.copy) as u64;
    assert!(left < 3, "it was cut short among the packs");
    let summary = pair.sync();
    assert_eq!(summary.packs.packs, packs(&pair.world.store) as u64 - left);
    pair.copy_holds(&[(ids[0], 1), (ids[1], 2), (ids[2], 3)]);
}
