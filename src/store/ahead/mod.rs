//! A store that reads ahead in packs: when parts near each other are asked for, whole blocks come, and those behind them before anybody asks.
//!
//! A place that is far away answers a request for many segments hardly later than one for a single one, and several requests as
//! fast as one. What is asked for far from what was asked before costs what it did: looking something up fetches no more than it needs; who
//! says that all will be read gets a whole pack with one request, block by block as it comes. What is kept is bounded, sealed as it came, and
//! forgotten when the object is healed or removed.

mod block;
mod course;
mod spool;
#[cfg(test)]
mod tests;

use super::archive::{Archive, Thaw};
use super::{Arrived, Error, Facts, Listed, ObjectName, Page, Put, Reading, Store};
use block::{BLOCK, Fetch, Filler};
use course::{Course, RUN, Way};
pub use spool::Spool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the objects lie that are read in parts.
const PACKS: &str = "packs/";

struct Shared {
    inner: Arc<dyn Store>,
    course: Mutex<Course>,
}

impl Shared {
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what is expected, and lets each block arrive as it comes.
    fn fetch(&self, name: &ObjectName, fetch: &Fetch) -> Result<(), Error> {
        if fetch.slots.is_empty() {
            return Ok(());
        }
        let length = fetch.slots.len() as u64 * BLOCK;
        let filler = Arc::new(Mutex::new(Filler::new(fetch.slots.clone())));
        let filled = Arc::clone(&filler);
        let arrived: Arrived = Arc::new(move |at, piece: &[u8]| {
            filled.lock().unwrap_or_else(PoisonError::into_inner).take(at, piece);
        });
        let fetched = self.inner.stream(name, fetch.first * BLOCK, length, &arrived);
        match &fetched {
            Ok(came) => {
                filler.lock().unwrap_or_else(PoisonError::into_inner).finish();
                if *came < length {
                    self.course().ends(name, fetch.first + came.div_ceil(BLOCK));
                }
            }
            Err(_) => fetch.give_up(),
        }
        self.course().over(name, fetch);
        fetched.map(drop)
    }

    /// Fetches beside whoever asked.
    fn fetch_beside(self: &Arc<Self>, name: &ObjectName, fetch: Fetch, then: impl FnOnce(&Self) + Send + 'static) {
        let (shared, of_thread) = (Arc::clone(self), name.clone());
        let work = move || {
            // Whoever needs it asks again, and is told.
            let _ = shared.fetch(&of_thread, &fetch);
            then(&shared);
        };
        if std::thread::Builder::new().name("ahead".to_owned()).spawn(work).is_err() {
            self.course().forget(name);
        }
    }

    fn fetch_ahead(self: &Arc<Self>, name: &ObjectName, fetch: Fetch) {
        if !fetch.slots.is_empty() {
            self.fetch_beside(name, fetch, |shared| shared.course().under_way -= 1);
        }
    }

    /// Fetches what somebody waits for: long runs beside them, so that they go on with the first blocks while the others come.
    fn fetch_missing(self: &Arc<Self>, name: &ObjectName, fetch: Fetch) -> Result<(), Error> {
        if fetch.slots.len() as u64 <= RUN {
            return self.fetch(name, &fetch);
        }
        self.fetch_beside(name, fetch, |_| ());
        Ok(())
    }

    fn get(
        self: &Arc<Self>,
        name: &ObjectName,
        whole: Option<u64>,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, Error> {
        let alone = || self.inner.get_range(name, offset, length);
        if !name.as_str().starts_with(PACKS) || length == 0 || length > RUN * BLOCK || offset > u64::MAX / 2 {
            return alone();
        }
        let way = self.course().way(name, whole, offset, length);
        let Way::Blocks { slots, missing, ahead } = way else { return alone() };
        self.fetch_ahead(name, ahead);
        self.fetch_missing(name, missing)?;
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
}

/// A store that reads ahead in another.
pub struct Ahead(Arc<Shared>);

impl Ahead {
    /// Over `inner`. Where packs are read whole, what leaves memory goes to `spool`.
    pub fn new(inner: Arc<dyn Store>, spool: Option<Spool>) -> Self {
        Self(Arc::new(Shared { inner, course: Mutex::new(Course::new(spool)) }))
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

    fn seen_is_durable(&self) -> bool {
        self.0.inner.seen_is_durable()
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
        self.0.course().forget(name);
        healed
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.0.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.0.get(name, None, offset, length)
    }

    fn get_within(&self, name: &ObjectName, whole: u64, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.0.get(name, Some(whole), offset, length)
    }

    fn expect(&self, reading: Reading) {
        self.0.course().expect_whole(reading);
    }

    fn stream(&self, name: &ObjectName, offset: u64, length: u64, arrived: &Arrived) -> Result<u64, Error> {
        self.0.inner.stream(name, offset, length, arrived)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.0.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.0.inner.list(prefix)
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        self.0.inner.page()
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let deleted = self.0.inner.delete(name);
        self.0.course().forget(name);
        deleted
    }

    fn delete_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        let deleted = self.0.inner.delete_all(names);
        names.iter().for_each(|name| self.0.course().forget(name));
        deleted
    }
}
