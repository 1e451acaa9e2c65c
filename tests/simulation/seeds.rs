//! What a seed decides: all that threads draw, whoever of them runs first.

use boveda::system::simulated::{Seed, enter, is_on};
use boveda::system::{carried, fill_random, now};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, UNIX_EPOCH};

fn drawn() -> u64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// What a thread draws before, in and after a thread that it starts.
fn story(seed: Seed) -> [u64; 4] {
    let _here = enter(&seed, Arc::default());
    let first = drawn();
    let work = carried(drawn);
    let [other, own] = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let own = drawn();
        [other.join().unwrap(), own]
    });
    [first, other, own, drawn()]
}

#[test]
fn a_seed_tells_what_every_thread_draws() {
    let once = story([1; 32]);
    assert_eq!(once, story([1; 32]));
    let all: BTreeSet<u64> = once.into_iter().chain(story([2; 32])).collect();
    assert_eq!(all.len(), 8);
}

#[test]
fn a_seed_decides_nothing_outside() {
    assert_ne!(drawn(), drawn());
    let here = enter(&[0; 32], Arc::new(AtomicI64::new(5)));
    assert_eq!(now(), UNIX_EPOCH + Duration::from_secs(5));
    drop(here);
    assert!(!is_on());
    assert!(now() > UNIX_EPOCH + Duration::from_secs(1_000_000_000));
}
