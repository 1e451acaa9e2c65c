//! A limit of bytes per second that is smooth: every piece waits for its own time, and nothing is saved up for a burst.

use super::timetable::Timetable;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pieces per second at most, as far as that leaves pieces worth a system call.
const PIECES: u64 = 20;
/// Bytes of a piece at least and at most.
const PIECE: (u64, u64) = (1024, 256 * 1024);

/// One direction's limits, shared by everything that goes that way.
#[derive(Debug)]
pub struct Pace {
    rates: Timetable,
    /// When the line is free again.
    free: Mutex<Option<Instant>>,
}

impl Pace {
    /// With these limits.
    pub const fn new(rates: Timetable) -> Self {
        Self { rates, free: Mutex::new(None) }
    }

    /// Bytes per second at the slowest time; `u64::MAX` where nothing is limited.
    pub fn slowest(&self) -> u64 {
        self.rates.lowest().map_or(u64::MAX, NonZeroU64::get)
    }

    /// Bytes that are best sent at a time.
    pub fn piece(&self) -> usize {
        let rate = self.rates.now().map_or(u64::MAX, NonZeroU64::get);
        usize::try_from((rate / PIECES).clamp(PIECE.0, PIECE.1)).unwrap_or(1024)
    }

    /// Takes the line for so many bytes, and returns how long to wait before they are sent.
    pub fn take(&self, bytes: u64) -> Duration {
        self.take_at(bytes, Instant::now(), self.rates.now())
    }

    fn take_at(&self, bytes: u64, now: Instant, rate: Option<NonZeroU64>) -> Duration {
        // A moment is whole, whoever panicked while holding it.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rate) = rate else {
            *free = None;
            return Duration::ZERO;
        };
        let start = free.map_or(now, |free| free.max(now));
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
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
        let rate = NonZeroU64::new(1000);
        let pace = Pace::new(Timetable::always(rate.unwrap()));
        let start = Instant::now();
        let take = |bytes, milliseconds| pace.take_at(bytes, start + Duration::from_millis(milliseconds), rate);
        assert_eq!(take(500, 0), Duration::ZERO);
        assert_eq!(take(500, 0), Duration::from_millis(500));
        assert_eq!(take(500, 200), Duration::from_millis(800));
        assert_eq!(take(1000, 60_000), Duration::ZERO);
        assert_eq!(take(1, 60_000), Duration::from_secs(1));
    }

    #[test]
    fn a_limit_that_ends_lets_everything_through_at_once() {
        let (day, start) = (NonZeroU64::new(10), Instant::now());
        let pace = Pace::new(Timetable::new(vec![(0, day), (600, None)]).unwrap());
        assert_eq!(pace.take_at(100, start, day), Duration::ZERO);
        assert_eq!(pace.take_at(100, start, day), Duration::from_secs(10));
        assert_eq!(pace.take_at(100, start, None), Duration::ZERO);
        assert_eq!(pace.take_at(100, start, day), Duration::ZERO, "nothing is owed from before");
        assert_eq!(pace.slowest(), 10);
    }
}
