//! Reading ahead: when a file is read from front to back, what comes next is decoded before it is asked for.
//!
//! A reader is taken for sequential after its second step forward; then a window doubles from 1 to 32 MiB. The kernel's own
//! reading ahead sends several requests at once, so steps may come out of order by a little. Anything else starts over, and
//! random reading never causes reading ahead. Several readers of one file are told apart. Pure: what to read, not how.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps forward before the first window.
const HITS: u32 = 2;
/// How far a step may be off and still count.
const TOLERANCE: u64 = 512 << 10;
const FIRST_WINDOW: u64 = 1 << 20;
const LAST_WINDOW: u64 = 32 << 20;

/// Readers of one file that are told apart.
const READERS: usize = 4;

/// What one file's readers did so far, whoever read last first.
#[derive(Debug, Default)]
pub struct Readers(Vec<Sequence>);

impl Readers {
    /// Notes a read by whichever reader it fits, and returns what to read ahead now, if anything. `limit` bounds the window.
    pub fn step(&mut self, read: Range<u64>, size: u64, limit: u64) -> Option<Range<u64>> {
        let known = self.0.iter().position(|reader| reader.expects(&read));
        let mut reader = match known {
            Some(at) => self.0.remove(at),
            None => Sequence::default(),
        };
        let ahead = reader.step(read, size, limit);
        self.0.insert(0, reader);
        self.0.truncate(READERS);
        ahead
    }
}

/// What one reader did so far.
#[derive(Debug, Default)]
struct Sequence {
    /// Where the next step is expected.
    next: u64,
    hits: u32,
    window: u64,
    /// Up to where it was read ahead.
    until: u64,
}

impl Sequence {
    fn expects(&self, read: &Range<u64>) -> bool {
        read.start.abs_diff(self.next) <= TOLERANCE
    }

    fn step(&mut self, read: Range<u64>, size: u64, limit: u64) -> Option<Range<u64>> {
        if !self.expects(&read) {
            *self = Self { next: read.end, ..Self::default() };
            return None;
        }
        self.next = self.next.max(read.end);
        self.hits += 1;
        // Half a window before its end, so that there is always something under way.
        if self.hits < HITS || self.until >= self.next.saturating_add(self.window / 2).min(size).max(1) {
            return None;
        }
        self.window = (self.window * 2).clamp(FIRST_WINDOW, LAST_WINDOW).min(limit);
        let start = self.until.max(self.next);
        let end = self.next.saturating_add(self.window).min(size);
        self.until = self.until.max(end);
        (start < end).then_some(start..end)
    }
}

/// How much all readers together may have under way.
#[derive(Debug)]
pub struct Budget {
    bytes: u64,
    used: Arc<AtomicU64>,
}

/// A part of a budget, in use until it is dropped.
#[derive(Debug)]
pub struct Taken {
    bytes: u64,
    used: Arc<AtomicU64>,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, used: Arc::default() }
    }

    /// How large a window may be now: half of what is left, so that there is always something for whoever comes next.
    pub fn window(&self) -> u64 {
        let left = self.bytes.saturating_sub(self.used.load(Ordering::Relaxed));
        (left / 2).max(FIRST_WINDOW).min(left)
    }

    /// Takes `bytes`.
    pub fn take(&self, bytes: u64) -> Taken {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Taken { bytes, used: Arc::clone(&self.used) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = 1 << 10;
    const M: u64 = 1 << 20;
    const SIZE: u64 = 1 << 30;

    fn read(sequence: &mut Sequence, start: u64, length: u64) -> Option<Range<u64>> {
        sequence.step(start..start + length, SIZE, u64::MAX)
    }

    #[test]
    fn reading_from_front_to_back_opens_a_growing_window() {
        let mut sequence = Sequence::default();
        assert_eq!(read(&mut sequence, 0, 128 * K), None);
        assert_eq!(read(&mut sequence, 128 * K, 128 * K), Some(256 * K..256 * K + M));
        let mut last = 256 * K + M;
        let mut widest = 0;
        for step in 2..1000 {
            if let Some(range) = read(&mut sequence, step * 128 * K, 128 * K) {
                assert_eq!(range.start, last, "without gaps and without repeating");
                last = range.end;
                widest = widest.max(range.end - (step + 1) * 128 * K);
            }
            assert!(last > (step + 1) * 128 * K, "always ahead");
        }
        assert_eq!(widest, LAST_WINDOW);
    }

    #[test]
    fn steps_may_come_out_of_order_by_a_little() {
        let mut sequence = Sequence::default();
        let ahead = [0, 256 * K, 128 * K, 512 * K, 384 * K].map(|start| read(&mut sequence, start, 128 * K));
        assert!(ahead.iter().any(Option::is_some));
    }

    #[test]
    fn random_reading_reads_nothing_ahead() {
        let mut sequence = Sequence::default();
        for start in [500, 3, 700, 40, 100, 999] {
            assert_eq!(read(&mut sequence, start * M, 4 * K), None);
        }
    }

    #[test]
    fn nothing_is_read_ahead_behind_the_end_or_beyond_the_limit() {
        let mut sequence = Sequence::default();
        sequence.step(0..4096, 10_000, u64::MAX);
        assert_eq!(sequence.step(4096..8192, 10_000, u64::MAX), Some(8192..10_000));
        assert_eq!(sequence.step(8192..10_000, 10_000, u64::MAX), None);
        let mut sequence = Sequence::default();
        sequence.step(0..4096, SIZE, 0);
        assert_eq!(sequence.step(4096..8192, SIZE, 0), None);
    }

    #[test]
    fn the_budget_is_shared() {
        let budget = Budget::new(8 * M);
        assert_eq!(budget.window(), 4 * M);
        let first = budget.take(6 * M);
        assert_eq!(budget.window(), M);
        let second = budget.take(6 * M);
        assert_eq!(budget.window(), 0);
        drop((first, second));
        assert_eq!(budget.window(), 4 * M);
    }

    #[test]
    fn readers_at_different_places_do_not_disturb_each_other() {
        let mut readers = Readers::default();
        let mut ahead = 0;
        for step in 0..8 {
            for start in [0, 400 * M, 800 * M] {
                let at = start + step * 128 * K;
                ahead += usize::from(readers.step(at..at + 128 * K, SIZE, u64::MAX).is_some());
            }
        }
        assert!(ahead >= 3, "each of them is read ahead for: {ahead}");
        assert_eq!(readers.0.len(), 3);
    }
}
