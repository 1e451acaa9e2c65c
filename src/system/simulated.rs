//! A simulation's randomness and clock, for the threads that are in it.
//!
//! Randomness is a stream of bytes for each thread, BLAKE3's output for a seed. A thread that another one starts gets a seed from that
//! one's stream: as long as threads are started in the same order, all get the same bytes, whoever runs first.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A seed of 32 bytes.
pub type Seed = [u8; 32];

struct World {
    stream: blake3::OutputReader,
    /// Seconds since 1970-01-01 UTC, for all threads of the simulation.
    clock: Arc<AtomicI64>,
}

impl World {
    fn new(seed: &Seed, clock: Arc<AtomicI64>) -> Self {
        let stream =
            blake3::Hasher::new_derive_key("boveda simulation: randomness of a thread").update(seed).finalize_xof();
        Self { stream, clock }
    }

    fn fork(&mut self) -> Self {
        let mut seed = Seed::default();
        self.stream.fill(&mut seed);
        Self::new(&seed, Arc::clone(&self.clock))
    }
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// This thread is in a simulation until it is dropped.
#[must_use]
pub struct Simulated(Option<World>);

impl Drop for Simulated {
    fn drop(&mut self) {
        WORLD.set(self.0.take());
    }
}

/// From here on this thread has its randomness from `seed`, and its time, in seconds since 1970-01-01 UTC, from `clock`.
pub fn enter(seed: &Seed, clock: Arc<AtomicI64>) -> Simulated {
    Simulated(WORLD.replace(Some(World::new(seed, clock))))
}

/// Whether this thread is in a simulation.
pub fn is_on() -> bool {
    WORLD.with_borrow(Option::is_some)
}

pub(super) fn fill(bytes: &mut [u8]) -> bool {
    WORLD.with_borrow_mut(|world| world.as_mut().map(|world| world.stream.fill(bytes)).is_some())
}

pub(super) fn now() -> Option<SystemTime> {
    let seconds = WORLD.with_borrow(|world| world.as_ref().map(|world| world.clock.load(Ordering::Relaxed)))?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs()))
}

pub(super) fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let world = WORLD.with_borrow_mut(|world| world.as_mut().map(World::fork));
    move || {
        let _here = world.map(|world| Simulated(WORLD.replace(Some(world))));
        work()
    }
}
