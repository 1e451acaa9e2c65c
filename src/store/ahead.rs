//! A store that reads ahead in packs: when parts near each other are asked for, whole blocks come, and those behind them before anybody asks.
//!
//! A place that is far away answers a request for many segments hardly later than one for a single one, and several requests as
//! fast as one. What is asked for far from what was asked before costs what it did: looking something up fetches no more than it needs. What
//! is kept is bounded, in memory only, sealed as it came, and forgotten when the object is healed or removed.

use super::archive::{Archive, Thaw};
use super::{Error, Facts, Listed, ObjectName, Put, Store};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where the objects lie that are read in parts.
const PACKS: &str = "packs/";
/// Bytes of a block: they begin at multiples of it.
const BLOCK: u64 = 2 << 20;
/// Blocks that are kept: 48 MiB of them.
const KEPT: NonZeroUsize = NonZeroUsize::new(24).expect("twenty-four is not zero");
/// Blocks that are fetched at once, at most, and how far ahead.
const RUN: u64 = 4;
/// Fetches ahead that are under way at once.
const AT_ONCE: usize = 2;
/// Packs of which is known where they were read last.
const PLACES: NonZeroUsize = NonZeroUsize::new(64).expect("sixty-four is not zero");
/// Bytes between two parts that are still near each other: several threads read on in one pack, and not in step.
const NEAR: u64 = 4 << 20;
/// After so many parts, each near one before it, it is taken for granted that a pack that is begun is read on.
const STEADY: u32 = 8;

/// A block, or the wait for it.
#[derive(Default)]
struct Slot {
    state: Mutex<Arrival>,
    arrived: Condvar,
}

#[derive(Default)]
enum Arrival {
    #[default]
    Expected,
    Here(Vec<u8>),
    /// Whoever wanted it asks by itself.
    Failed,
}

impl Slot {
    fn arrive(&self, arrival: Arrival) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = arrival;
        self.arrived.notify_all();
    }

    fn give_up(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, Arrival::Expected) {
            *state = Arrival::Failed;
            self.arrived.notify_all();
        }
    }

    /// Appends what the block has of these bytes, counted from its start. `None` when it did not come.
    fn copy(&self, part: Range<u64>, to: &mut Vec<u8>) -> Option<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut Arrival| matches!(state, Arrival::Expected);
        let state = self.arrived.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        let Arrival::Here(bytes) = &*state else { return None };
        let within = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        to.extend_from_slice(&bytes[within(part.start)..within(part.end)]);
        Some(())
    }
}

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

struct State {
    places: LruCache<ObjectName, Place>,
    blocks: LruCache<(ObjectName, u64), Arc<Slot>>,
    /// Parts in a row, in whatever pack, that were near one before or at the beginning of a pack.
    steady: u32,
    /// Fetches ahead that are under way.
    under_way: usize,
}

/// How a part comes.
enum Way {
    /// By a request for just that.
    Alone,
    /// Out of these blocks, after those that are missing were fetched, and with a fetch ahead of those behind.
    Blocks { slots: Vec<Arc<Slot>>, missing: Fetch, ahead: Fetch },
}

/// Blocks that follow each other, and the slots that wait for them.
#[derive(Default)]
struct Fetch {
    first: u64,
    slots: Vec<Arc<Slot>>,
}

impl Drop for Fetch {
    /// Nobody waits for what will never come.
    fn drop(&mut self) {
        self.slots.iter().for_each(|slot| slot.give_up());
    }
}

impl State {
    fn way(&mut self, name: &ObjectName, offset: u64, length: u64) -> Way {
        let place = self.places.get_or_insert_mut(name.clone(), Place::default);
        let near = place.last > 0 && offset.abs_diff(place.last) <= NEAR;
        place.row = if near { place.row + 1 } else { 0 };
        place.last = offset + length;
        let begun = !near && offset < BLOCK;
        self.steady = if near || begun { self.steady + u32::from(near) } else { 0 };
        let (row, end) = (place.row, place.blocks.unwrap_or(u64::MAX));
        let steady = self.steady >= STEADY;
        let blocks = offset / BLOCK..(offset + length).div_ceil(BLOCK);
        let missing: Vec<u64> = blocks.clone().filter(|block| !self.blocks.contains(&(name.clone(), *block))).collect();
        let missing = match (missing.first(), missing.last()) {
            _ if row == 0 && !steady && !missing.is_empty() => return Way::Alone,
            // Two requests, and one in vain, where one does.
            (Some(first), Some(last)) if last - first >= missing.len() as u64 => return Way::Alone,
            (Some(first), Some(last)) => {
                let more = if steady { (first + RUN).min(end) } else { 0 };
                self.expect(name, *first..(last + 1).max(more))
            }
            _ => Fetch::default(),
        };
        let slots = blocks.clone().filter_map(|block| self.blocks.get(&(name.clone(), block)).cloned()).collect();
        let ahead = if row > 0 && self.under_way < AT_ONCE {
            let depth = if steady { RUN } else { 1 << row.saturating_sub(1).min(2) };
            let reach = blocks.end..(blocks.end + depth).min(end);
            let first = reach.clone().find(|block| !self.blocks.contains(&(name.clone(), *block)));
            // Not for one block at a time: when half of the way ahead is used up.
            let wanted = first.filter(|first| first - blocks.end <= depth / 2);
            wanted.map_or_else(Fetch::default, |first| self.expect(name, first..(first + depth).min(end)))
        } else {
            Fetch::default()
        };
        self.under_way += usize::from(!ahead.slots.is_empty());
        Way::Blocks { slots, missing, ahead }
    }

    /// Slots for the first of these blocks, up to one that is there.
    fn expect(&mut self, name: &ObjectName, blocks: Range<u64>) -> Fetch {
        let mut fetch = Fetch { first: blocks.start, slots: Vec::new() };
        for block in blocks {
            let key = (name.clone(), block);
            if self.blocks.contains(&key) {
                break;
            }
            let slot = Arc::<Slot>::default();
            self.blocks.put(key, Arc::clone(&slot));
            fetch.slots.push(slot);
        }
        fetch
    }
}

struct Shared {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what is expected, and lets it arrive.
    fn fetch(&self, name: &ObjectName, fetch: &Fetch) -> Result<(), Error> {
        if fetch.slots.is_empty() {
            return Ok(());
        }
        let length = fetch.slots.len() as u64 * BLOCK;
        let fetched = self.inner.get_range(name, fetch.first * BLOCK, length);
        let mut state = self.state();
        match &fetched {
            Ok(bytes) => {
                let mut pieces = bytes.chunks(BLOCK as usize);
                for slot in &fetch.slots {
                    slot.arrive(Arrival::Here(pieces.next().unwrap_or_default().to_vec()));
                }
                if (bytes.len() as u64) < length
                    && let Some(place) = state.places.get_mut(name)
                {
                    place.blocks = Some(fetch.first + (bytes.len() as u64).div_ceil(BLOCK));
                }
            }
            Err(_) => {
                for (block, slot) in (fetch.first..).zip(&fetch.slots) {
                    slot.arrive(Arrival::Failed);
                    let key = (name.clone(), block);
                    if state.blocks.peek(&key).is_some_and(|there| Arc::ptr_eq(there, slot)) {
                        state.blocks.pop(&key);
                    }
                }
            }
        }
        fetched.map(drop)
    }

    fn fetch_ahead(self: &Arc<Self>, name: &ObjectName, fetch: Fetch) {
        if fetch.slots.is_empty() {
            return;
        }
        let (shared, of_thread) = (Arc::clone(self), name.clone());
        let work = move || {
            // Whoever needs it asks again, and is told.
            let _ = shared.fetch(&of_thread, &fetch);
            shared.state().under_way -= 1;
        };
        if std::thread::Builder::new().name("ahead".to_owned()).spawn(work).is_err() {
            self.forget(name);
            self.state().under_way -= 1;
        }
    }

    fn forget(&self, name: &ObjectName) {
        let mut state = self.state();
        state.places.pop(name);
        let theirs: Vec<_> =
            state.blocks.iter().filter(|((of, _), _)| of == name).map(|(key, _)| key.clone()).collect();
        for key in theirs {
            state.blocks.pop(&key);
        }
    }
}

/// A store that reads ahead in another.
pub struct Ahead(Arc<Shared>);

impl Ahead {
    /// Over `inner`.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let (places, blocks) = (LruCache::new(PLACES), LruCache::new(KEPT));
        Self(Arc::new(Shared { inner, state: Mutex::new(State { places, blocks, steady: 0, under_way: 0 }) }))
    }
}

impl Store for Ahead {
    fn place(&self) -> String {
        self.0.inner.place()
    }

    fn exclusive(&self) -> bool {
        self.0.inner.exclusive()
    }

    fn in_flight(&self) -> usize {
        self.0.inner.in_flight()
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.0.inner.facts(name)
    }

    fn thaw(&self, name: &ObjectName, how: &Thaw) -> Result<Option<Archive>, Error> {
        self.0.inner.thaw(name, how)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.0.inner.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.0.inner.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        let healed = self.0.inner.heal(name, bytes);
        self.0.forget(name);
        healed
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.0.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let alone = || self.0.inner.get_range(name, offset, length);
        if !name.as_str().starts_with(PACKS) || length == 0 || length > RUN * BLOCK || offset > u64::MAX / 2 {
            return alone();
        }
        let way = self.0.state().way(name, offset, length);
        let Way::Blocks { slots, missing, ahead } = way else { return alone() };
        self.0.fetch_ahead(name, ahead);
        self.0.fetch(name, &missing)?;
        let (mut part, mut block) = (Vec::with_capacity(length as usize), offset / BLOCK);
        for slot in &slots {
            let within = |at: u64| at.saturating_sub(block * BLOCK).min(BLOCK);
            if slot.copy(within(offset)..within(offset + length), &mut part).is_none() {
                return alone();
            }
            block += 1;
        }
        Ok(part)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.0.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.0.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let deleted = self.0.inner.delete(name);
        self.0.forget(name);
        deleted
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Fault, FaultStore, Plan};
    use super::super::memory::MemoryStore;
    use super::*;

    fn name() -> ObjectName {
        ObjectName::new("packs/aa/a").unwrap()
    }

    fn far(bytes: &[u8]) -> (Arc<FaultStore>, Ahead) {
        let inner = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        inner.put(&name(), bytes).unwrap();
        inner.plan(None);
        (Arc::clone(&inner), Ahead::new(inner))
    }

    /// Fetches ahead end when they end.
    fn settle(ahead: &Ahead) {
        while ahead.0.state().under_way > 0 {
            std::thread::yield_now();
        }
    }

    fn pattern(length: u32) -> Vec<u8> {
        (0..length).map(|n| ((n / 3) ^ (n >> 11)) as u8).collect()
    }

    #[test]
    fn reading_on_takes_few_requests_and_gives_the_same_bytes() {
        let bytes = pattern(40_000_000);
        let (inner, ahead) = far(&bytes);
        for start in (0..bytes.len()).step_by(500_000) {
            let part = ahead.get_range(&name(), start as u64, 500_000).unwrap();
            assert!(part == bytes[start..start + 500_000], "{start}");
        }
        settle(&ahead);
        assert!(inner.calls() <= 12, "{}", inner.calls());
        assert_eq!(ahead.get_range(&name(), 39_999_990, 100).unwrap(), bytes[39_999_990..]);
        assert_eq!(ahead.get_range(&name(), 50_000_000, 100).unwrap(), b"");
    }

    #[test]
    fn out_of_step_it_takes_hardly_more() {
        let bytes = pattern(40_000_000);
        let (inner, ahead) = far(&bytes);
        // As two threads read on whose parts lie in turn, one of them somewhat behind.
        let starts: Vec<usize> = (0..bytes.len()).step_by(250_000).collect();
        for pair in starts.chunks(8) {
            for start in pair.iter().step_by(2).chain(pair.iter().skip(1).step_by(2)) {
                let part = ahead.get_range(&name(), *start as u64, 250_000).unwrap();
                assert!(part == bytes[*start..*start + 250_000], "{start}");
            }
        }
        settle(&ahead);
        assert!(inner.calls() <= 12, "{}", inner.calls());
    }

    #[test]
    fn packs_read_one_after_the_other_are_fetched_from_their_beginning() {
        let bytes = pattern(30_000_000);
        let (inner, ahead) = far(&bytes);
        let second = ObjectName::new("packs/bb/b").unwrap();
        inner.put(&second, &bytes).unwrap();
        for start in (0..bytes.len()).step_by(300_000) {
            ahead.get_range(&name(), start as u64, 300_000).unwrap();
        }
        settle(&ahead);
        let before = inner.calls();
        for start in (0..bytes.len()).step_by(300_000) {
            assert!(ahead.get_range(&second, start as u64, 300_000).unwrap() == bytes[start..start + 300_000]);
        }
        settle(&ahead);
        assert!(inner.calls() - before <= 6, "{}", inner.calls() - before);
    }

    #[test]
    fn looking_something_up_fetches_no_more_than_it_needs() {
        let (inner, ahead) = far(&vec![7; 20_000_000]);
        for start in [0, 15_000_000, 3_000_000, 9_000_000] {
            assert_eq!(ahead.get_range(&name(), start, 1000).unwrap().len(), 1000);
            assert!(ahead.0.state().blocks.is_empty());
        }
        assert_eq!(inner.calls(), 4);
    }

    #[test]
    fn what_was_healed_is_read_anew() {
        let (_, ahead) = far(&vec![1; 5_000_000]);
        for start in [0, 1000, 2000] {
            ahead.get_range(&name(), start, 1000).unwrap();
        }
        ahead.heal(&name(), &vec![2; 5_000_000]).unwrap();
        assert_eq!(ahead.get_range(&name(), 2000, 10).unwrap(), [2; 10]);
        ahead.delete(&name()).unwrap();
        assert!(ahead.get_range(&name(), 3000, 10).is_err());
    }

    #[test]
    fn what_cannot_be_fetched_ahead_is_an_error_only_for_whoever_needs_it() {
        let bytes = pattern(30_000_000);
        for fails in 1..12 {
            let (inner, ahead) = far(&bytes);
            inner.plan(Some(Plan::once(fails, Fault::Before)));
            let mut errors = 0;
            for start in (0..bytes.len()).step_by(500_000) {
                match ahead.get_range(&name(), start as u64, 500_000) {
                    Ok(part) => assert!(part == bytes[start..start + 500_000], "{start}"),
                    Err(_) => errors += 1,
                }
            }
            settle(&ahead);
            assert!(errors <= 1, "{errors}");
            assert!(ahead.get_range(&name(), 29_000_000, 1000).unwrap() == bytes[29_000_000..29_001_000]);
        }
    }

    #[test]
    fn many_threads_get_what_they_ask_for() {
        let bytes = pattern(60_000_000);
        let (_, ahead) = far(&bytes);
        std::thread::scope(|scope| {
            for thread in 0..6_usize {
                let (ahead, bytes) = (&ahead, &bytes);
                scope.spawn(move || {
                    for number in 0..200 {
                        let start = (number * 6 + thread) * 48_000;
                        let part = ahead.get_range(&name(), start as u64, 70_000).unwrap();
                        assert!(part == bytes[start.min(bytes.len())..(start + 70_000).min(bytes.len())], "{start}");
                    }
                });
            }
        });
    }
}
