//! How far around what is asked for it is worth decoding, learnt from whether that was asked for later.
//!
//! What was stored together is often read together: a folder's small files lie one after another, a hundred in a segment. Pure.

use std::sync::atomic::{AtomicU32, Ordering};

/// Segments to either side at first.
const FIRST: u32 = 2;
/// And at most: 16 MiB to either side.
const LAST: u32 = 16;

/// A window that doubles when foresight was right, and halves when it was not.
#[derive(Debug)]
pub struct Foresight(AtomicU32);

impl Default for Foresight {
    fn default() -> Self {
        Self(AtomicU32::new(FIRST))
    }
}

impl Foresight {
    /// Segments to either side, at least one.
    pub fn window(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// A segment that nobody had asked for was asked for.
    pub fn hit(&self) {
        self.change(|window| (window * 2).min(LAST));
    }

    /// One was dropped before anybody asked for it.
    pub fn waste(&self) {
        self.change(|window| (window / 2).max(1));
    }

    fn change(&self, change: impl Fn(u32) -> u32) {
        // Two at once may count as one: a window is an estimate.
        self.0.store(change(self.window()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_what_is_asked_for() {
        let foresight = Foresight::default();
        assert_eq!(foresight.window(), FIRST);
        (0..9).for_each(|_| foresight.hit());
        assert_eq!(foresight.window(), LAST);
        (0..9).for_each(|_| foresight.waste());
        assert_eq!(foresight.window(), 1);
        foresight.hit();
        assert_eq!(foresight.window(), 2);
    }
}
