//! What a place shows of several kinds of objects at one moment: with a single request, where that brings so much.
//!
//! Whoever has to list one kind before it reads or lists another gets the same from a listing of both at that moment, and asks by name for
//! what may have come since. Where a request brings only a part of what is there, the other kinds are listed by themselves.

use super::{Error, Listed, ObjectName, Page, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// A listing of a place, as far as one request brought it.
#[derive(Debug, Clone)]
pub struct Overview {
    page: Option<Arc<Page>>,
    /// What else was listed with it, by prefix.
    others: BTreeMap<&'static str, Arc<Vec<Listed>>>,
    taken: Instant,
}

impl Overview {
    /// What is there now.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn take(store: &dyn Store) -> Result<Self, Error> {
        // What does not come in order does not tell where it ends.
        let useful = |page: &Page| page.complete || page.listed.is_sorted_by(|a, b| a.name < b.name);
        let taken = Instant::now();
        let page = store.page()?.filter(useful).map(Arc::new);
        Ok(Self { page, others: BTreeMap::new(), taken })
    }

    /// With what is there below these prefixes, by listings of their own where it takes them: what is read after this is read after all of
    /// these were listed.
    ///
    /// # Errors
    /// When a listing fails.
    pub fn seeing(mut self, store: &dyn Store, prefixes: &[&'static str]) -> Result<Self, Error> {
        for prefix in prefixes.iter().filter(|prefix| !self.covers(prefix)).collect::<Vec<_>>() {
            self.others.insert(*prefix, Arc::new(store.list(prefix)?));
        }
        Ok(self)
    }

    /// The same of what is there now.
    ///
    /// # Errors
    /// When a listing fails.
    pub fn anew(&self, store: &dyn Store) -> Result<Self, Error> {
        let prefixes: Vec<_> = self.others.keys().copied().collect();
        Self::take(store)?.seeing(store, &prefixes)
    }

    /// When it was taken.
    pub const fn taken(&self) -> Instant {
        self.taken
    }

    /// Whether it shows all that there was below `prefix`.
    pub fn covers(&self, prefix: &str) -> bool {
        // Nothing below the prefix comes after the first name of those that only begin like it.
        let beyond =
            |last: &Listed| last.name.as_str() > format!("{prefix}/").as_str() && !is_below(&last.name, prefix);
        self.others.contains_key(prefix)
            || self.page.as_ref().is_some_and(|page| page.complete || page.listed.last().is_some_and(beyond))
    }

    /// The objects below `prefix`: as it shows them, else as they are now.
    ///
    /// # Errors
    /// When it has to be listed, and that fails.
    pub fn list(&self, store: &dyn Store, prefix: &str) -> Result<Vec<Listed>, Error> {
        if let Some(listed) = self.others.get(prefix) {
            return Ok(listed.to_vec());
        }
        match self.page.as_ref().filter(|_| self.covers(prefix)) {
            Some(page) => Ok(page.listed.iter().filter(|listed| is_below(&listed.name, prefix)).cloned().collect()),
            None => store.list(prefix),
        }
    }

    /// Whether an object was there; `None` where it cannot tell.
    pub fn has(&self, name: &ObjectName) -> Option<bool> {
        let page = self.page.as_ref()?;
        let found = page.listed.binary_search_by(|listed| listed.name.cmp(name)).is_ok();
        let reached = page.complete || page.listed.last().is_some_and(|last| last.name > *name);
        (found || reached).then_some(found)
    }
}

fn is_below(name: &ObjectName, prefix: &str) -> bool {
    name.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    fn names(listed: Vec<Listed>) -> Vec<String> {
        listed.into_iter().map(|listed| listed.name.to_string()).collect()
    }

    #[test]
    fn it_shows_what_was_there_and_lists_what_it_did_not_reach() {
        let store = MemoryStore::new().paged(5);
        for text in ["config", "log/0", "log/0.2", "packs/aa/1"] {
            store.put(&name(text), b"x").unwrap();
        }
        let all = Overview::take(&store).unwrap();
        for text in ["packs/aa/2", "sess/1"] {
            store.put(&name(text), b"x").unwrap();
        }
        let part = Overview::take(&store).unwrap();
        assert!(["log", "packs", "sess", "slots"].iter().all(|prefix| all.covers(prefix)));
        assert_eq!(names(all.list(&store, "packs").unwrap()), ["packs/aa/1"]);
        assert!(all.list(&store, "sess").unwrap().is_empty());
        assert!(part.covers("log") && part.covers("holds") && !part.covers("packs") && !part.covers("sess"));
        assert_eq!(names(part.list(&store, "log").unwrap()), ["log/0", "log/0.2"]);
        assert_eq!(names(part.list(&store, "packs").unwrap()), ["packs/aa/1", "packs/aa/2"]);
        assert_eq!(names(part.list(&store, "sess").unwrap()), ["sess/1"]);
        let seen = ["config", "config.2", "packs/aa/2", "sess/1"].map(|text| part.has(&name(text)));
        assert_eq!(seen, [Some(true), Some(false), Some(true), None]);
        assert_eq!(all.has(&name("packs/aa/2")), Some(false));
    }

    #[test]
    fn without_a_page_everything_is_listed() {
        let store = MemoryStore::new();
        store.put(&name("log/0"), b"x").unwrap();
        let none = Overview::take(&store).unwrap();
        assert!(!none.covers("log") && none.has(&name("log/0")).is_none());
        assert_eq!(names(none.list(&store, "log").unwrap()), ["log/0"]);
    }
}
