//! A store in memory, for tests and models: as exclusive and as honest as the trait asks, durable as long as the process.
//!
//! Tests may also reach past the trait, to damage, drop or copy what is stored.

use super::{Error, ErrorKind, Listed, ObjectName, Page, Put, Store};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Objects = BTreeMap<ObjectName, Arc<Vec<u8>>>;

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: RwLock<Objects>,
    place: Option<String>,
    /// Objects of a page; without, there are no pages.
    page: Option<usize>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that messages name like this: where there are several.
    pub fn at(place: &str) -> Self {
        Self { place: Some(place.to_owned()), ..Self::default() }
    }

    /// The same as a place where each request counts: one brings so many names.
    #[must_use]
    pub fn paged(self, page: usize) -> Self {
        Self { page: Some(page), ..self }
    }

    /// A store of its own that holds the same objects now.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { objects: RwLock::new(self.read().clone()), place: self.place.clone(), page: self.page }
    }

    /// Every object as it is now.
    pub fn objects(&self) -> BTreeMap<ObjectName, Arc<Vec<u8>>> {
        self.read().clone()
    }

    /// Puts `bytes` in place whether the object exists or not, as no honest store would: damage, for tests.
    pub fn overwrite(&self, name: &ObjectName, bytes: Vec<u8>) {
        self.write().insert(name.clone(), Arc::new(bytes));
    }

    // A panic elsewhere leaves the map whole: every change is one call.
    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &ObjectName) -> Result<Arc<Vec<u8>>, Error> {
        self.read().get(name).cloned().ok_or_else(|| Error {
            kind: ErrorKind::NotFound,
            action: "read",
            object: name.to_string(),
            place: self.place(),
            source: Arc::new(io::Error::from(io::ErrorKind::NotFound)),
        })
    }
}

impl Store for MemoryStore {
    fn place(&self) -> String {
        self.place.clone().unwrap_or_else(|| "memory".to_owned())
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        let mut objects = self.write();
        if objects.contains_key(name) {
            return Ok(Put::Exists);
        }
        objects.insert(name.clone(), Arc::new(bytes.to_vec()));
        Ok(Put::Created)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.find(name).map(drop)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.overwrite(name, bytes.to_vec());
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        Ok(self.find(name)?.to_vec())
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.find(name)?;
        let clamp = |position: u64| usize::try_from(position).map_or(bytes.len(), |position| position.min(bytes.len()));
        Ok(bytes[clamp(offset)..clamp(offset.saturating_add(length))].to_vec())
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        Ok(self.find(name)?.len() as u64)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let below = |name: &ObjectName| {
            prefix.is_empty() || name.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
        };
        let objects = self.read();
        let found = objects.iter().filter(|(name, _)| below(name));
        Ok(found.map(|(name, bytes)| Listed { name: name.clone(), length: bytes.len() as u64, mark: None }).collect())
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        let Some(most) = self.page else { return Ok(None) };
        let mut listed = self.list("")?;
        let complete = listed.len() < most;
        listed.truncate(most);
        Ok(Some(Page { listed, complete }))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.write().remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_goes_its_own_way() {
        let name = ObjectName::new("packs/aa/1").unwrap();
        let store = MemoryStore::new();
        store.put(&name, b"one").unwrap();
        let fork = store.fork();
        fork.overwrite(&name, b"two".to_vec());
        assert_eq!(store.get(&name).unwrap(), b"one");
        assert_eq!(fork.get(&name).unwrap(), b"two");
        assert_eq!(fork.objects().len(), 1);
    }
}
