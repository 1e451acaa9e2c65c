//! Files that are opened one after the other, as a copy of a folder does: when it is seen, the content of those that follow is
//! decoded before they are opened.
//!
//! Pure: entries by their place in the catalog, where the files of a folder stand side by side. What is no file in between does not
//! matter. Several readers are told apart; opening in any order starts nothing.

use std::ops::Range;

/// Files opened in order before anything is decoded ahead.
const HITS: u32 = 3;
/// Places that may be left out.
const TOLERANCE: u64 = 16;
const FIRST_WINDOW: u64 = 64;
const LAST_WINDOW: u64 = 512;
/// Readers that are told apart.
const READERS: usize = 4;

/// What readers opened last, whoever did last first.
#[derive(Debug, Default)]
pub struct Neighbours(Vec<Sequence>);

#[derive(Debug, Default)]
struct Sequence {
    snapshot: u32,
    /// The place after the file that was opened last.
    next: u64,
    hits: u32,
    window: u64,
    /// Up to where it was decoded ahead.
    until: u64,
}

impl Neighbours {
    /// Notes that the file at `ordinal` is opened, and returns whose content is wanted next, if anybody's.
    pub fn step(&mut self, snapshot: u32, ordinal: u64) -> Option<Range<u64>> {
        let expects = |reader: &Sequence| {
            reader.snapshot == snapshot
                && ordinal.checked_sub(reader.next).is_some_and(|left_out| left_out <= TOLERANCE)
        };
        let mut reader = match self.0.iter().position(expects) {
            Some(at) => self.0.remove(at),
            None => Sequence { snapshot, ..Sequence::default() },
        };
        let ahead = reader.step(ordinal);
        self.0.insert(0, reader);
        self.0.truncate(READERS);
        ahead
    }
}

impl Sequence {
    fn step(&mut self, ordinal: u64) -> Option<Range<u64>> {
        self.next = ordinal + 1;
        self.hits += 1;
        if self.hits < HITS || self.until > self.next + self.window / 2 {
            return None;
        }
        self.window = (self.window * 2).clamp(FIRST_WINDOW, LAST_WINDOW);
        let ahead = self.until.max(self.next)..self.next + self.window;
        self.until = ahead.end;
        Some(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_order_open_a_growing_window() {
        let mut neighbours = Neighbours::default();
        assert_eq!([neighbours.step(1, 10), neighbours.step(1, 11)], [None, None]);
        assert_eq!(neighbours.step(1, 13), Some(14..14 + FIRST_WINDOW));
        let (mut until, mut widest) = (14 + FIRST_WINDOW, 0);
        for ordinal in 14..5000 {
            if let Some(range) = neighbours.step(1, ordinal) {
                assert_eq!(range.start, until, "without gaps and without repeating");
                until = range.end;
                widest = widest.max(range.end - ordinal - 1);
            }
            assert!(until > ordinal + 1, "always ahead");
        }
        assert_eq!(widest, LAST_WINDOW);
    }

    #[test]
    fn any_other_order_opens_none() {
        let mut neighbours = Neighbours::default();
        for ordinal in [500, 3, 700, 40, 100, 99, 98, 97, 96, 999] {
            assert_eq!(neighbours.step(1, ordinal), None);
        }
        for snapshot in 1..9 {
            assert_eq!(neighbours.step(snapshot, u64::from(snapshot)), None, "each of another snapshot");
        }
    }

    #[test]
    fn readers_of_different_folders_do_not_disturb_each_other() {
        let mut neighbours = Neighbours::default();
        let mut ahead = 0;
        for step in 0..8 {
            for start in [0, 4000, 8000] {
                ahead += usize::from(neighbours.step(1, start + step).is_some());
            }
        }
        assert!(ahead >= 3, "each of them is decoded ahead for: {ahead}");
    }
}
