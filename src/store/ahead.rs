//! A store that reads ahead in packs: when one part after the other is asked for, more is fetched at a time.
//!
//! A place that is far away answers a request for eight segments hardly later than one for a single one. Only what follows
//! directly counts as "one after the other", so that looking something up costs what it did. What is kept is small, in memory
//! only, sealed as it came, and forgotten when the object is healed or removed.

use super::{Error, Facts, Listed, ObjectName, Put, Store};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the objects lie that are read in parts.
const PACKS: &str = "packs/";
/// Packs that are read ahead in at once.
const OBJECTS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");
/// Bytes of the first fetch ahead; each following one is twice as long, up to the longest.
const FIRST: u64 = 2 << 20;
/// The longest fetch.
const LONGEST: u64 = 8 << 20;
/// Bytes between two parts that still count as "one after the other".
const GAP: u64 = 128 << 10;

/// What is known of one object.
#[derive(Default)]
struct Window {
    /// Where `bytes` begin.
    start: u64,
    bytes: Vec<u8>,
    /// Where the last part ended; 0 before the first.
    next: u64,
    /// How much was fetched ahead the last time; 0 when nothing was.
    fetched: u64,
}

impl Window {
    /// The part, if it is here.
    fn part(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }

    /// How much to fetch for the part.
    fn wanted(&mut self, offset: u64, length: u64) -> u64 {
        let follows = self.next > 0 && offset.checked_sub(self.next).is_some_and(|gap| gap <= GAP);
        self.fetched = if follows { (self.fetched * 2).clamp(FIRST, LONGEST) } else { 0 };
        self.fetched.max(length)
    }
}

/// A store that reads ahead in another.
pub struct Ahead {
    inner: Arc<dyn Store>,
    windows: Mutex<LruCache<ObjectName, Arc<Mutex<Window>>>>,
}

impl Ahead {
    /// Over `inner`.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, windows: Mutex::new(LruCache::new(OBJECTS)) }
    }

    fn windows(&self) -> MutexGuard<'_, LruCache<ObjectName, Arc<Mutex<Window>>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, name: &ObjectName) {
        self.windows().pop(name);
    }
}

impl Store for Ahead {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.inner.facts(name)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.inner.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        let healed = self.inner.heal(name, bytes);
        self.forget(name);
        healed
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        if !name.as_str().starts_with(PACKS) || length > LONGEST {
            return self.inner.get_range(name, offset, length);
        }
        let window = Arc::clone(self.windows().get_or_insert(name.clone(), Arc::default));
        // Whoever wants the next part waits for the fetch that brings it.
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = window.part(offset, length) {
            let part = part.to_vec();
            window.next = offset + length;
            return Ok(part);
        }
        let wanted = window.wanted(offset, length);
        if wanted == length {
            (window.start, window.bytes, window.next) = (0, Vec::new(), offset.saturating_add(length));
            drop(window);
            return self.inner.get_range(name, offset, length);
        }
        let bytes = self.inner.get_range(name, offset, wanted)?;
        let part = bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))].to_vec();
        (window.start, window.bytes, window.next) = (offset, bytes, offset.saturating_add(length));
        Ok(part)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.inner.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let deleted = self.inner.delete(name);
        self.forget(name);
        deleted
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::FaultStore;
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

    #[test]
    fn reading_on_takes_few_requests_and_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 3) as u8).collect();
        let (inner, ahead) = far(&bytes);
        for start in (0..bytes.len()).step_by(500_000) {
            let part = ahead.get_range(&name(), start as u64, 500_000).unwrap();
            assert_eq!(part, bytes[start..start + 500_000]);
        }
        assert!(inner.calls() <= 6, "{}", inner.calls());
        assert_eq!(ahead.get_range(&name(), 19_999_990, 100).unwrap(), bytes[19_999_990..]);
        assert_eq!(ahead.get_range(&name(), 30_000_000, 100).unwrap(), b"");
    }

    #[test]
    fn looking_something_up_fetches_no_more_than_it_needs() {
        let (inner, ahead) = far(&vec![7; 20_000_000]);
        for start in [0, 15_000_000, 3_000_000, 9_000_000] {
            assert_eq!(ahead.get_range(&name(), start, 1000).unwrap().len(), 1000);
            assert!(ahead.windows().iter().all(|(_, window)| window.lock().unwrap().bytes.is_empty()));
        }
        assert_eq!(inner.calls(), 4);
    }

    #[test]
    fn what_was_healed_is_read_anew() {
        let (_, ahead) = far(&vec![1; 5_000_000]);
        ahead.get_range(&name(), 0, 1000).unwrap();
        ahead.get_range(&name(), 1000, 1000).unwrap();
        ahead.heal(&name(), &vec![2; 5_000_000]).unwrap();
        assert_eq!(ahead.get_range(&name(), 2000, 10).unwrap(), [2; 10]);
    }
}
