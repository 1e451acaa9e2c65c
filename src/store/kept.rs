//! A store whose small objects are fetched once: this machine keeps them as they came, and gives them back as long as the place shows the same.
//!
//! Invariant: bytes are given without asking the place only if a listing of this very process showed the object, its length, and an MD5
//! that is that of the bytes. So exchange at the place is met as if it had been read, what was removed is gone with the next listing,
//! and nothing has to be taken out of the folder. A place that goes on listing the MD5 of bytes that rotted there is found out by those alone
//! who open it without this: `verify` and `repair` do. Objects lie there as at the place: sealed, but for what anybody may read there.

use super::archive::{Archive, Thaw};
use super::shelf::Shelf;
use super::{Arrived, Error, Facts, Listed, ObjectName, Page, Put, Store};
use crate::crypto::hash::{self, hex};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Packs are read in parts, and kept by whoever knows what those are.
const PACKS: &str = "packs/";

/// What a listing showed: length and MD5.
type Shown = (u64, String);

/// A store that keeps small objects of another.
pub struct KeptStore {
    inner: Arc<dyn Store>,
    shelf: Shelf,
    shown: Mutex<HashMap<ObjectName, Shown>>,
}

impl KeptStore {
    /// Over `inner`; what is kept lies on `shelf`.
    pub fn new(inner: Arc<dyn Store>, shelf: Shelf) -> Self {
        Self { inner, shelf, shown: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<ObjectName, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a listing shows in place of what was known of the names that `within` it.
    fn show(&self, listed: &[Listed], within: impl Fn(&ObjectName) -> bool) {
        let mut shown = self.shown();
        shown.retain(|name, _| !within(name));
        for listed in listed.iter().filter(|listed| !listed.name.as_str().starts_with(PACKS)) {
            if let Some(md5) = listed.mark.as_ref().and_then(super::mark::Mark::md5) {
                shown.insert(listed.name.clone(), (listed.length, md5));
            }
        }
    }

    fn keep(&self, name: &ObjectName, bytes: &[u8]) {
        if !name.as_str().starts_with(PACKS) && self.shelf.takes(bytes.len() as u64) {
            self.shelf.add(&place_of(name, &hex(&hash::md5(bytes))), bytes);
        }
    }
}

/// Where an object with this MD5 lies.
fn place_of(name: &ObjectName, md5: &str) -> String {
    hex(&hash::blake3(format!("{name} {md5}").as_bytes()))
}

impl Store for KeptStore {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }

    fn seen_is_durable(&self) -> bool {
        self.inner.seen_is_durable()
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.inner.facts(name)
    }

    fn thaw(&self, name: &ObjectName, how: &Thaw) -> Result<Option<Archive>, Error> {
        self.inner.thaw(name, how)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        let put = self.inner.put(name, bytes)?;
        if put == Put::Created {
            self.keep(name, bytes);
        }
        Ok(put)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.shown().remove(name);
        self.inner.heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        let shown = self.shown().get(name).cloned();
        let fits =
            |bytes: &[u8], (length, md5): &Shown| bytes.len() as u64 == *length && hex(&hash::md5(bytes)) == *md5;
        let kept = shown.and_then(|shown| self.shelf.get(&place_of(name, &shown.1), |bytes| fits(bytes, &shown)));
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        let bytes = self.inner.get(name)?;
        self.keep(name, &bytes);
        Ok(bytes)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.inner.get_range(name, offset, length)
    }

    fn stream(&self, name: &ObjectName, offset: u64, length: u64, arrived: &Arrived) -> Result<u64, Error> {
        self.inner.stream(name, offset, length, arrived)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let listed = self.inner.list(prefix)?;
        self.show(&listed, |name| {
            prefix.is_empty() || name.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
        });
        Ok(listed)
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        let page = self.inner.page()?;
        if let Some(Page { listed, complete }) = &page {
            let last = listed.last().map(|listed| &listed.name);
            self.show(listed, |name| *complete || last.is_some_and(|last| name <= last));
        }
        Ok(page)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.shown().remove(name);
        self.inner.delete(name)
    }

    fn delete_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        names.iter().for_each(|name| drop(self.shown().remove(name)));
        self.inner.delete_all(names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::FaultStore;
    use super::super::mark::Mark;
    use super::super::memory::MemoryStore;
    use super::*;

    /// A place that says the MD5 of what it lists.
    struct Marking(Arc<MemoryStore>);

    impl Marking {
        fn marked(&self, mut listed: Vec<Listed>) -> Vec<Listed> {
            for one in &mut listed {
                one.mark = self.0.get(&one.name).ok().map(|bytes| Mark::Tag(hex(&hash::md5(&bytes)).into()));
            }
            listed
        }
    }

    impl Store for Marking {
        fn place(&self) -> String {
            self.0.place()
        }

        fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
            self.0.put(name, bytes)
        }

        fn settle(&self, name: &ObjectName) -> Result<(), Error> {
            self.0.settle(name)
        }

        fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
            self.0.heal(name, bytes)
        }

        fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
            self.0.get(name)
        }

        fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
            self.0.get_range(name, offset, length)
        }

        fn length(&self, name: &ObjectName) -> Result<u64, Error> {
            self.0.length(name)
        }

        fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
            Ok(self.marked(self.0.list(prefix)?))
        }

        fn page(&self) -> Result<Option<Page>, Error> {
            Ok(Some(Page { listed: self.list("")?, complete: true }))
        }

        fn delete(&self, name: &ObjectName) -> Result<(), Error> {
            self.0.delete(name)
        }
    }

    struct World {
        memory: Arc<MemoryStore>,
        counting: Arc<FaultStore>,
        folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let memory = Arc::new(MemoryStore::new());
            let counting = Arc::new(FaultStore::new(Arc::new(Marking(Arc::clone(&memory)))));
            Self { memory, counting, folder: tempfile::tempdir().unwrap() }
        }

        fn process(&self) -> KeptStore {
            let shelf = Shelf::new(self.folder.path().join("objects"), 1 << 20);
            KeptStore::new(Arc::clone(&self.counting) as _, shelf)
        }

        /// Calls that it takes.
        fn calls<T>(&self, work: impl FnOnce() -> T) -> (u64, T) {
            self.counting.plan(None);
            let done = work();
            (self.counting.calls(), done)
        }
    }

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    #[test]
    fn what_was_read_or_put_once_is_not_fetched_again_as_long_as_it_is_shown() {
        let world = World::new();
        world.memory.put(&name("log/0"), b"old").unwrap();
        let first = world.process();
        assert_eq!(world.calls(|| first.get(&name("log/0")).unwrap()), (1, b"old".to_vec()));
        first.put(&name("log/1"), b"new").unwrap();
        let second = world.process();
        assert_eq!(world.calls(|| second.get(&name("log/0")).unwrap()).0, 1, "nothing showed that it is there");
        for page in [true, false] {
            let third = world.process();
            let shown = if page { third.page().map(drop) } else { third.list("log").map(drop) };
            shown.unwrap();
            assert_eq!(world.calls(|| third.get(&name("log/0")).unwrap()), (0, b"old".to_vec()));
            assert_eq!(world.calls(|| third.get(&name("log/1")).unwrap()), (0, b"new".to_vec()));
        }
    }

    #[test]
    fn what_the_place_shows_otherwise_is_fetched() {
        let world = World::new();
        let process = world.process();
        process.put(&name("config"), b"mine").unwrap();
        process.page().unwrap();
        assert_eq!(process.get(&name("config")).unwrap(), b"mine");
        world.memory.overwrite(&name("config"), b"torn".to_vec());
        process.page().unwrap();
        assert_eq!(process.get(&name("config")).unwrap(), b"torn", "damage is met");
        world.memory.delete(&name("config")).unwrap();
        process.list("log").unwrap();
        assert_eq!(process.get(&name("config")).unwrap(), b"torn", "as it was shown last");
        process.page().unwrap();
        process.get(&name("config")).unwrap_err();
        process.put(&name("config"), b"mine").unwrap();
        process.page().unwrap();
        process.heal(&name("config"), b"whole").unwrap();
        assert_eq!(process.get(&name("config")).unwrap(), b"whole");
        process.delete(&name("config")).unwrap();
        process.get(&name("config")).unwrap_err();
    }

    #[test]
    fn damage_on_this_disk_costs_a_request() {
        let world = World::new();
        let process = world.process();
        process.put(&name("idx/0/c-1"), b"index").unwrap();
        process.put(&name("packs/aa/1"), b"pack").unwrap();
        process.page().unwrap();
        let files: Vec<_> = std::fs::read_dir(world.folder.path().join("objects")).unwrap().collect();
        assert_eq!(files.len(), 1, "no packs");
        std::fs::write(files[0].as_ref().unwrap().path(), b"ondex").unwrap();
        assert_eq!(world.calls(|| process.get(&name("idx/0/c-1")).unwrap()), (1, b"index".to_vec()));
        assert_eq!(world.calls(|| process.get(&name("idx/0/c-1")).unwrap()), (0, b"index".to_vec()));
    }
}
