//! Small files that are opened in any order, but close to each other, as a search or a build does: once that is seen, the content of
//! their neighbours is decoded before it is asked for, by processors that have nothing else to do.
//!
//! Pure: entries by their place in the catalog, where the files of a folder stand side by side, and so does their content. What is
//! decoded in vain is bounded: by how far apart the files may lie, by what each one causes, and, once files are still not there
//! where all should be decoded, by waiting for twice as many of them the next time.

use std::collections::BTreeSet;
use std::ops::Range;

/// Entries whose content is decoded in one go: of usual small files a segment or two.
const BLOCK: u64 = 256;
/// Blocks from the first file to the last: about what is kept of decoded content. Files further apart have nothing to do with each other.
const SPREAD: u64 = 128;
/// Files that had to be waited for, before anything is decoded ahead.
const HITS: u32 = 3;
/// Blocks that each further one causes to be decoded, at most.
const AHEAD: usize = 8;
/// Beyond so many it is never tried again with this snapshot's neighbourhood.
const PATIENCE: u32 = 1 << 12;

/// What was seen of files that had to be waited for.
#[derive(Debug)]
pub struct Scattered {
    snapshot: u32,
    /// The blocks between the first file and the last.
    range: Range<u64>,
    hits: u32,
    /// Hits before anything is decoded.
    needed: u32,
    decoded: BTreeSet<u64>,
    /// Files of blocks that were decoded, and that had to be waited for all the same.
    vain: usize,
}

impl Default for Scattered {
    fn default() -> Self {
        Self { snapshot: 0, range: 0..0, hits: 0, needed: HITS, decoded: BTreeSet::new(), vain: 0 }
    }
}

impl Scattered {
    /// Notes that the file at `ordinal` has to be waited for, and returns whose content is wanted beside it.
    pub fn step(&mut self, snapshot: u32, ordinal: u64) -> Vec<Range<u64>> {
        let block = ordinal / BLOCK;
        let range = self.range.start.min(block)..self.range.end.max(block + 1);
        if self.hits == 0 || self.snapshot != snapshot || range.end - range.start > SPREAD {
            *self = Self { snapshot, range: block..block + 1, ..Self::default() };
        } else {
            self.range = range;
        }
        self.hits += 1;
        if !self.decoded.insert(block) {
            self.vain += 1;
            if self.vain * 2 > self.decoded.len() && self.hits >= self.needed {
                let needed = self.needed.saturating_mul(2).min(PATIENCE);
                let range = self.range.clone();
                *self = Self { snapshot, range, hits: 1, needed, ..Self::default() };
            }
        }
        if self.hits < self.needed || self.needed == PATIENCE {
            return Vec::new();
        }
        let nearest = (1..SPREAD).flat_map(|far| [block.checked_add(far), block.checked_sub(far)]).flatten();
        let wanted = nearest.filter(|block| self.range.contains(block) && !self.decoded.contains(block));
        let wanted: Vec<u64> = wanted.take(AHEAD).collect();
        self.decoded.extend(&wanted);
        wanted.into_iter().map(|block| block * BLOCK..(block + 1) * BLOCK).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ordinals in an order that repeats itself nowhere.
    fn any_order(count: u64) -> impl Iterator<Item = u64> {
        (0..).map(move |number: u64| number * 7919 % count)
    }

    #[test]
    fn files_in_any_order_have_their_neighbourhood_decoded_once() {
        let mut scattered = Scattered::default();
        let mut decoded = BTreeSet::new();
        let mut waited = 0;
        for ordinal in any_order(20_000).take(1000) {
            if decoded.contains(&(ordinal / BLOCK)) {
                continue;
            }
            waited += 1;
            decoded.insert(ordinal / BLOCK);
            for range in scattered.step(1, ordinal) {
                assert!(decoded.insert(range.start / BLOCK), "decoded twice");
            }
        }
        assert_eq!(decoded.len() as u64, 20_000u64.div_ceil(BLOCK));
        assert!(waited < 30, "{waited} of {} had to be waited for", decoded.len());
    }

    #[test]
    fn a_few_files_or_files_far_apart_cause_nothing() {
        let mut scattered = Scattered::default();
        for ordinal in any_order(20_000).take(HITS as usize - 1) {
            assert!(scattered.step(1, ordinal).is_empty());
        }
        let mut scattered = Scattered::default();
        for number in 0..1000 {
            assert!(scattered.step(1, number % 2 * 2 * SPREAD * BLOCK + number).is_empty());
        }
        let mut scattered = Scattered::default();
        for number in 0..1000 {
            assert!(scattered.step(number as u32, number * 300 % 20_000).is_empty(), "each in another snapshot");
        }
    }

    #[test]
    fn what_is_decoded_in_vain_becomes_rare() {
        let mut scattered = Scattered::default();
        // Nothing that is decoded is there when it is asked for.
        let mut caused = 0;
        for ordinal in any_order(20_000).take(100_000) {
            caused += scattered.step(1, ordinal).len();
        }
        assert!(caused < 1000, "{caused} blocks for 100,000 files");
    }
}
