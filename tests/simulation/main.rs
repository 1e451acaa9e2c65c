//! The real code of writers, pruners and readers, several at once over one store, in an order that a seed gives: the store fails, loses
//! answers, does late or twice what it was asked to, and clients die at any call. Whatever happens, every snapshot that stands reads as
//! its source was.
//!
//! Randomness, the clock and files' stamps come from the seed too, so that one that finds something is played again byte by byte: by the
//! line that it prints. `tools/soak` plays any number.
#![allow(clippy::unwrap_used)]

mod dice;
mod play;
mod player;
mod promises;
mod seeds;
mod stage;
mod wire;
mod workshop;
#[path = "../world/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod world;

use play::{Played, play};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use workshop::Workshop;

/// Seeds that are played without optimisation, a quarter of a second of processor time each; with optimisation a third of that.
const SEEDS: u64 = 60;
/// How a seed is played again.
const AGAIN_BY: &str = "cargo test --locked -p boveda-simulation nothing_is_lost";
/// Where seeds are played twice.
const AGAIN: u64 = 1_000;
/// Seeds that may fail before the rest is left.
const ENOUGH: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Plays these seeds on all cores. Returns what happened how often, and what should not have.
fn play_all(first: u64, count: u64) -> (BTreeMap<&'static str, u64>, Vec<String>) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let next = AtomicU64::new(first);
    let sum = Mutex::new((BTreeMap::<&'static str, u64>::new(), Vec::new()));
    std::thread::scope(|scope| {
        for place in 0..threads.min(count) {
            let (next, sum) = (&next, &sum);
            scope.spawn(move || {
                let place = number("BOVEDA_TEST_PLACE").unwrap_or(place);
                let workshop = Workshop::new(place);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || sum.lock().unwrap().1.len() >= ENOUGH {
                        return;
                    }
                    let Played { counts, faults, trace } = play(&workshop, seed);
                    let mut sum = sum.lock().unwrap();
                    for (what, times) in counts {
                        *sum.0.entry(what).or_default() += times;
                    }
                    if !faults.is_empty() {
                        let last = trace.len().saturating_sub(40);
                        let told = if count == 1 { &trace[..] } else { &trace[last..] };
                        let again = format!("BOVEDA_TEST_SEED={seed} BOVEDA_TEST_PLACE={place} {AGAIN_BY}");
                        let (told, faults) = (told.join("\n"), faults.join("\n  "));
                        sum.1.push(format!("seed {seed}:\n{told}\n  {faults}\nto play it again: {again}"));
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

#[test]
fn nothing_is_lost_in_any_order() {
    let (first, count) = match number("BOVEDA_TEST_SEED") {
        Some(seed) => (seed, 1),
        None => (number("BOVEDA_TEST_FIRST_SEED").unwrap_or(0), number("BOVEDA_TEST_SEEDS").unwrap_or(SEEDS)),
    };
    let (counts, faults) = play_all(first, count);
    let told: Vec<String> = counts.iter().map(|(what, times)| format!("{times} {what}")).collect();
    let told = format!("{count} seeds from {first}: {}", told.join(", "));
    assert!(faults.is_empty(), "{}\n{told}", faults.join("\n\n"));
    // What never happens proves nothing. These come in every tenth seed at least; what is rarer, luck decides.
    if count >= SEEDS {
        for what in ["snapshots with a parent", "snapshots read", "packs deleted", "packs repacked", "deaths"] {
            assert!(counts.get(what).is_some_and(|times| *times > 0), "no {what}; {told}");
        }
    }
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, format!("{told}\n").as_bytes()).unwrap();
}

#[test]
fn a_seed_plays_the_same_way_every_time() {
    let (first, count) =
        (number("BOVEDA_TEST_FIRST_SEED").unwrap_or(1), number("BOVEDA_TEST_SEEDS").unwrap_or(SEEDS) / 20);
    let workshop = Workshop::new(AGAIN);
    for seed in first..first + count.max(3) {
        let plays = [play(&workshop, seed).trace, play(&workshop, seed).trace];
        assert!(plays[0] == plays[1], "seed {seed}: {}", parting(&plays));
    }
    // Nor does it matter what was played before.
    let once = play(&workshop, first).trace;
    drop(workshop);
    let afresh = play(&Workshop::new(AGAIN), first).trace;
    assert!(once == afresh, "seed {first}: {}", parting(&[once, afresh]));
}

/// Where two plays part.
fn parting([one, two]: &[Vec<String>; 2]) -> String {
    let at = one.iter().zip(two).position(|(one, two)| one != two).unwrap_or(one.len().min(two.len()));
    let (before, end) = (at.saturating_sub(8), "the end".to_owned());
    let (here, there) = (one.get(at).unwrap_or(&end), two.get(at).unwrap_or(&end));
    format!("after\n  {}\nstep {at} is\n  {here}\nor\n  {there}", one[before..at].join("\n  "))
}
