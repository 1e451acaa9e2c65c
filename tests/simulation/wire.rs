//! The store as one client of a simulation sees it: every call waits for its turn, and goes as the weather lets it.

use super::stage::{Client, Request, Stage};
use boveda::store::{Error, Listed, ObjectName, Page, Put, Store};
use std::sync::Arc;

/// Names that one request brings: less than most plays come to.
const PAGE: usize = 60;

/// One client's way to the store.
pub struct Wire {
    pub stage: Arc<Stage>,
    pub client: Client,
}

impl Store for Wire {
    fn place(&self) -> String {
        "simulation".to_owned()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        let (again, kept) = (name.clone(), bytes.to_vec());
        let again: Request = Arc::new(move |memory| drop(memory.put(&again, &kept)));
        self.stage.call(self.client, ("put", name.as_str()), |memory| memory.put(name, bytes), Some(again))
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.stage.call(self.client, ("settle", name.as_str()), |memory| memory.settle(name), None)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.stage.call(self.client, ("heal", name.as_str()), |memory| memory.heal(name, bytes), None)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.stage.call(self.client, ("get", name.as_str()), |memory| memory.get(name), None)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let read = |memory: &boveda::store::memory::MemoryStore| memory.get_range(name, offset, length);
        self.stage.call(self.client, ("get a part of", name.as_str()), read, None)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.stage.call(self.client, ("measure", name.as_str()), |memory| memory.length(name), None)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.stage.call(self.client, ("list", prefix), |memory| memory.list(prefix), None)
    }

    /// For every other client, and as adverse as a page may be: what comes early in the order of names is from an earlier moment than the
    /// rest, and not everything fits.
    fn page(&self) -> Result<Option<Page>, Error> {
        if self.client % 2 == 1 {
            return Ok(None);
        }
        let early = |listed: &Listed| listed.name.as_str() < "pins";
        let list = |part| self.stage.call(self.client, ("look at", part), |memory| memory.list(""), None);
        let mut listed: Vec<Listed> = list("the first names")?.into_iter().filter(early).collect();
        listed.extend(list("the other names")?.into_iter().filter(|listed| !early(listed)));
        let complete = listed.len() < PAGE;
        listed.truncate(PAGE);
        Ok(Some(Page { listed, complete }))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        let again = name.clone();
        let again: Request = Arc::new(move |memory| drop(memory.delete(&again)));
        self.stage.call(self.client, ("delete", name.as_str()), |memory| memory.delete(name), Some(again))
    }
}
