//! Where packs are being read, which of their blocks are here or on their way, and what is worth fetching next.

use super::block::{BLOCK, Fetch, Slot};
use super::spool::{Key, Spool};
use crate::store::{ObjectName, Reading};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

/// Blocks that are kept in memory: 48 MiB of them.
const KEPT: NonZeroUsize = NonZeroUsize::new(24).expect("twenty-four is not zero");
/// Blocks that are fetched at once, at most, and how far ahead, where nobody said that all will be read.
pub const RUN: u64 = 4;
/// Fetches ahead that are under way at once.
const AT_ONCE: usize = 2;
/// No pack that is read whole is longer: what an index says of its length may be anything.
const LONGEST: u64 = 80 << 20;
/// Packs of which is known where they were read last.
const PLACES: NonZeroUsize = NonZeroUsize::new(64).expect("sixty-four is not zero");
/// Bytes between two parts that are still near each other: several threads read on in one pack, and not in step.
const NEAR: u64 = 4 << 20;
/// After so many parts, each near one before it, it is taken for granted that a pack that is begun is read on.
const STEADY: u32 = 8;
/// Blocks that are kept in memory once packs are read whole: two of them, and some more.
const KEPT_OF_WHOLE: NonZeroUsize = NonZeroUsize::new(40).expect("forty is not zero");

/// Where a pack is being read.
#[derive(Default)]
struct Place {
    /// Where the last part ended; 0 before the first.
    last: u64,
    /// Parts in a row that were near the one before.
    row: u32,
    /// Blocks that it has, once its end was seen.
    blocks: Option<u64>,
}

/// What is known of all packs.
pub struct Course {
    places: LruCache<ObjectName, Place>,
    blocks: LruCache<Key, Arc<Slot>>,
    /// What left memory.
    spool: Option<Spool>,
    /// What is read whole, somebody said.
    reading: Option<Reading>,
    /// Parts in a row, in whatever pack, that were near one before or at the beginning of a pack.
    steady: u32,
    /// Fetches ahead that are under way.
    pub under_way: usize,
}

/// How a part comes.
pub enum Way {
    /// By a request for just that.
    Alone,
    /// Out of these blocks, after those that are missing were fetched, and with a fetch ahead of those behind.
    Blocks { slots: Vec<Arc<Slot>>, missing: Fetch, ahead: Fetch },
}

impl Course {
    /// Nothing is known.
    pub fn new(spool: Option<Spool>) -> Self {
        let (places, blocks) = (LruCache::new(PLACES), LruCache::new(KEPT));
        Self { places, blocks, spool, reading: None, steady: 0, under_way: 0 }
    }

    /// So is read from now on.
    pub fn expect_whole(&mut self, reading: Reading) {
        if reading == Reading::Whole {
            self.blocks.resize(KEPT_OF_WHOLE);
        }
        self.reading = Some(reading);
    }

    /// How these bytes of a pack come, which has so many in all, if that is known.
    pub fn way(&mut self, name: &ObjectName, whole: Option<u64>, offset: u64, length: u64) -> Way {
        let whole = whole.filter(|length| *length <= LONGEST && self.reads_whole(name));
        let place = self.places.get_or_insert_mut(name.clone(), Place::default);
        let near = place.last > 0 && offset.abs_diff(place.last) <= NEAR;
        place.row = if near { place.row + 1 } else { 0 };
        place.last = offset + length;
        let begun = !near && offset < BLOCK;
        self.steady = if near || begun { self.steady + u32::from(near) } else { 0 };
        let row = place.row;
        let end = place.blocks.or(whole.map(|length| length.div_ceil(BLOCK))).unwrap_or(u64::MAX);
        let steady = self.steady >= STEADY;
        let blocks = offset / BLOCK..(offset + length).div_ceil(BLOCK);
        let missing: Vec<u64> = blocks.clone().filter(|block| !self.has(name, *block)).collect();
        let missing = match (missing.first(), missing.last()) {
            // Whoever begins in the middle may want just that.
            (Some(first), _) if whole.is_some() && (*first < RUN || row > 0) => {
                let before = (0..*first).rev().take_while(|block| *first < RUN && !self.has(name, *block)).last();
                self.expect(name, before.unwrap_or(*first)..end.max(blocks.end))
            }
            _ if row == 0 && (!steady || whole.is_some()) && !missing.is_empty() => return Way::Alone,
            // Two requests, and one in vain, where one does.
            (Some(first), Some(last)) if last - first >= missing.len() as u64 => return Way::Alone,
            (Some(first), Some(last)) => {
                let more = if steady { (first + RUN).min(end) } else { 0 };
                self.expect(name, *first..(last + 1).max(more))
            }
            _ => Fetch::default(),
        };
        let slots: Vec<_> = blocks.clone().filter_map(|block| self.slot(name, block)).collect();
        if slots.len() as u64 != blocks.end - blocks.start {
            return Way::Alone;
        }
        let ahead = if row > 0 && self.under_way < AT_ONCE && whole.is_none() {
            let depth = if steady { RUN } else { 1 << row.saturating_sub(1).min(2) };
            let reach = blocks.end..(blocks.end + depth).min(end);
            let first = reach.clone().find(|block| !self.has(name, *block));
            // Not for one block at a time: when half of the way ahead is used up.
            let wanted = first.filter(|first| first - blocks.end <= depth / 2);
            wanted.map_or_else(Fetch::default, |first| self.expect(name, first..(first + depth).min(end)))
        } else {
            Fetch::default()
        };
        self.under_way += usize::from(!ahead.slots.is_empty());
        Way::Blocks { slots, missing, ahead }
    }

    /// A pack ends in the block before this one.
    pub fn ends(&mut self, name: &ObjectName, blocks: u64) {
        if let Some(place) = self.places.get_mut(name) {
            place.blocks = Some(blocks);
        }
    }

    /// A fetch is over: blocks that did not come are expected no more, and those that nobody waited for in memory are kept all the same.
    pub fn over(&mut self, name: &ObjectName, fetch: &Fetch) {
        for (block, slot) in (fetch.first..).zip(&fetch.slots) {
            let key = (name.clone(), block);
            let ours = self.blocks.peek(&key).is_some_and(|there| Arc::ptr_eq(there, slot));
            if ours && slot.has_failed() {
                self.blocks.pop(&key);
            } else if !ours {
                self.spool(&key, slot);
            }
        }
    }

    /// Forgets an object.
    pub fn forget(&mut self, name: &ObjectName) {
        self.places.pop(name);
        let theirs: Vec<_> = self.blocks.iter().filter(|((of, _), _)| of == name).map(|(key, _)| key.clone()).collect();
        for key in theirs {
            self.blocks.pop(&key);
        }
        if let Some(spool) = &mut self.spool {
            spool.forget(name);
        }
    }

    /// Blocks in memory.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.blocks.len()
    }

    fn reads_whole(&self, name: &ObjectName) -> bool {
        match &self.reading {
            Some(Reading::Whole) => true,
            Some(Reading::WholeOf(packs)) => packs.contains(name),
            None => false,
        }
    }

    /// Whether a block is here or on its way. One that will not come is neither, also before its fetch is over.
    fn has(&self, name: &ObjectName, block: u64) -> bool {
        let key = (name.clone(), block);
        let expected = self.blocks.peek(&key).is_some_and(|slot| !slot.has_failed());
        expected || self.spool.as_ref().is_some_and(|spool| spool.has(&key))
    }

    fn slot(&mut self, name: &ObjectName, block: u64) -> Option<Arc<Slot>> {
        let key = (name.clone(), block);
        if let Some(slot) = self.blocks.get(&key) {
            return Some(Arc::clone(slot));
        }
        let slot = Arc::new(Slot::here(self.spool.as_ref()?.get(&key)?));
        self.keep(key, Arc::clone(&slot));
        Some(slot)
    }

    fn keep(&mut self, key: Key, slot: Arc<Slot>) {
        if let Some((key, slot)) = self.blocks.push(key, slot) {
            self.spool(&key, &slot);
        }
    }

    fn spool(&mut self, key: &Key, slot: &Slot) {
        if let Some(spool) = self.spool.as_mut().filter(|_| self.reading == Some(Reading::Whole)) {
            slot.with(|bytes| spool.add(key, bytes));
        }
    }

    /// Slots for the first of these blocks, up to one that is there.
    fn expect(&mut self, name: &ObjectName, blocks: Range<u64>) -> Fetch {
        let mut fetch = Fetch { first: blocks.start, slots: Vec::new() };
        for block in blocks {
            if self.has(name, block) {
                break;
            }
            let slot = Arc::<Slot>::default();
            self.keep((name.clone(), block), Arc::clone(&slot));
            fetch.slots.push(slot);
        }
        fetch
    }
}
