//! A store over another in which something else happens, or is said, on the way.

use boveda::store::{Error, Listed, ObjectName, Put, Store};
use std::sync::Arc;

type BeforePut = Box<dyn Fn(&ObjectName) + Send + Sync>;
type Listing = Box<dyn Fn(&str, Vec<Listed>) -> Vec<Listed> + Send + Sync>;

/// A store over `inner`, with hooks.
pub struct Hooked {
    inner: Arc<dyn Store>,
    before_put: BeforePut,
    listing: Listing,
}

impl Hooked {
    /// Before anything is put, `hook` hears of it.
    pub fn before_put(inner: Arc<dyn Store>, hook: impl Fn(&ObjectName) + Send + Sync + 'static) -> Arc<dyn Store> {
        Arc::new(Self { inner, before_put: Box::new(hook), listing: Box::new(|_, all| all) })
    }

    /// Listings are what `change` makes of a prefix and what there is below it.
    pub fn listing(
        inner: Arc<dyn Store>,
        change: impl Fn(&str, Vec<Listed>) -> Vec<Listed> + Send + Sync + 'static,
    ) -> Arc<dyn Store> {
        Arc::new(Self { inner, before_put: Box::new(|_| ()), listing: Box::new(change) })
    }
}

impl Store for Hooked {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        (self.before_put)(name);
        self.inner.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.inner.heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.inner.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        Ok((self.listing)(prefix, self.inner.list(prefix)?))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.delete(name)
    }
}
