//! A limit of bytes per second that is smooth: every piece waits for its own time, and nothing is saved up for a burst.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pieces per second at most, as far as that leaves pieces worth a system call.
const PIECES: u64 = 20;
/// Bytes of a piece at least and at most.
const PIECE: (u64, u64) = (1024, 256 * 1024);

/// One direction's limit, shared by everything that goes that way.
#[derive(Debug)]
pub struct Pace {
    rate: NonZeroU64,
    /// When the line is free again.
    free: Mutex<Option<Instant>>,
}

impl Pace {
    /// With so many bytes per second.
    pub const fn new(rate: NonZeroU64) -> Self {
        Self { rate, free: Mutex::new(None) }
    }

    /// Bytes per second.
    pub const fn rate(&self) -> u64 {
        self.rate.get()
    }

    /// Bytes that are best sent at a time.
    pub fn piece(&self) -> usize {
        usize::try_from((self.rate.get() / PIECES).clamp(PIECE.0, PIECE.1)).unwrap_or(1024)
    }

    /// Takes the line for so many bytes, and returns how long to wait before they are sent.
    pub fn take(&self, bytes: u64) -> Duration {
        self.take_at(bytes, Instant::now())
    }

    fn take_at(&self, bytes: u64, now: Instant) -> Duration {
        // A moment is whole, whoever panicked while holding it.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free.map_or(now, |free| free.max(now));
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.get());
        *free = Some(start + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)));
        start - now
    }

    /// [`Self::take`], waited for.
    pub fn wait(&self, bytes: u64) {
        let wait = self.take(bytes);
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_line_saves_nothing_up() {
        let pace = Pace::new(NonZeroU64::new(1000).unwrap());
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(pace.take_at(500, at(0)), Duration::ZERO);
        assert_eq!(pace.take_at(500, at(0)), Duration::from_millis(500));
        assert_eq!(pace.take_at(500, at(200)), Duration::from_millis(800));
        assert_eq!(pace.take_at(1000, at(60_000)), Duration::ZERO);
        assert_eq!(pace.take_at(1, at(60_000)), Duration::from_secs(1));
    }
}
