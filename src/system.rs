//! What only the system can say: random bytes, and what time it is.
//!
//! With the feature `simulation`, which nothing but tests turns on, a thread may get both from a seed instead, and see files without
//! what their file system made up, so that all it does can be played again exactly.

#[cfg(feature = "simulation")]
pub mod simulated;

use std::time::SystemTime;

/// Fills `bytes` from the system's random number generator.
///
/// # Panics
/// When the system has no working generator: nothing safe can be done then.
pub fn fill_random(bytes: &mut [u8]) {
    #[cfg(feature = "simulation")]
    if simulated::fill(bytes) {
        return;
    }
    getrandom::fill(bytes).expect("the system's random number generator works");
}

/// The time by this machine's clock.
pub fn now() -> SystemTime {
    #[cfg(feature = "simulation")]
    if let Some(now) = simulated::now() {
        return now;
    }
    SystemTime::now()
}

/// Work for another thread, which does it in the same simulation as this one, if this one is in any.
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    #[cfg(feature = "simulation")]
    let work = simulated::carried(work);
    work
}
