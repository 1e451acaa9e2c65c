//! Entries by name or path, in many snapshots.
//!
//! Of the first snapshot everything is read; of each further one only what differs from the one before it.

use super::select::Matcher;
use super::unreadable;
use crate::event::Sink;
use crate::repo::catalog::{Change, Tree, diff, key};
use crate::repo::entry::{Entry, EntryPath, Timestamp};
use crate::source::files::exclude::PatternError;
use std::collections::BTreeMap;

/// What is looked for.
#[derive(Debug)]
pub struct Query {
    names: Matcher,
    /// Changed at this moment or later.
    pub oldest: Option<Timestamp>,
    /// Changed at this moment or earlier.
    pub newest: Option<Timestamp>,
}

impl Query {
    /// Entries that one of these patterns fits, with or without regard to case.
    ///
    /// # Errors
    /// The first pattern that means nothing.
    pub fn new(patterns: &[Vec<u8>], any_case: bool) -> Result<Self, PatternError> {
        let (exact, folded): (&[Vec<u8>], &[Vec<u8>]) = if any_case { (&[], patterns) } else { (patterns, &[]) };
        Ok(Self { names: Matcher::new(exact, folded)?, oldest: None, newest: None })
    }

    /// Whether the entry itself fits; that one of its folders does is not enough.
    fn fits(&self, path: &EntryPath, entry: &Entry) -> bool {
        let Some((name, parents)) = path.0.split_last() else { return false };
        self.oldest.is_none_or(|oldest| entry.modified >= oldest)
            && self.newest.is_none_or(|newest| entry.modified <= newest)
            && self.names.matches(&EntryPath(parents.to_vec()), name)
    }
}

/// Looks through one snapshot after another.
#[derive(Debug)]
pub struct Finder<'a> {
    query: &'a Query,
    previous: Option<Tree>,
    hits: BTreeMap<Vec<u8>, (EntryPath, Entry)>,
}

impl<'a> Finder<'a> {
    /// A finder that has seen nothing yet.
    pub const fn new(query: &'a Query) -> Self {
        Self { query, previous: None, hits: BTreeMap::new() }
    }

    /// What fits in the snapshot whose catalog is `tree`, in catalog order. Parts that cannot be read are reported.
    pub fn look<'s>(
        &'s mut self,
        tree: &Tree,
        sink: &dyn Sink,
    ) -> impl Iterator<Item = (&'s EntryPath, &'s Entry)> + use<'s> {
        let known = self.previous.take();
        if !known.is_some_and(|known| self.follow(&known, tree)) {
            self.look_through(tree, sink);
        }
        self.previous = Some(tree.clone());
        self.hits.values().map(|(path, entry)| (path, entry))
    }

    /// Takes over what differs; `false` if that cannot be read in full.
    fn follow(&mut self, before: &Tree, after: &Tree) -> bool {
        for change in diff(before, after) {
            let (path, entry) = match change {
                Err(_) => return false,
                Ok(Change::Removed { path, .. }) => {
                    self.hits.remove(&key::encode(&path));
                    continue;
                }
                Ok(Change::Added { path, entry }) => (path, entry),
                Ok(Change::Changed { path, after, .. }) => (path, *after),
            };
            self.take(path, entry);
        }
        true
    }

    fn look_through(&mut self, tree: &Tree, sink: &dyn Sink) {
        self.hits.clear();
        for item in tree.walk(&EntryPath::default()) {
            match item {
                Ok((path, entry)) => self.take(path, entry),
                Err(error) => unreadable::report(sink, b"/".to_vec(), &error),
            }
        }
    }

    fn take(&mut self, path: EntryPath, entry: Entry) {
        let key = key::encode(&path);
        if self.query.fits(&path, &entry) {
            self.hits.insert(key, (path, entry));
        } else {
            self.hits.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use crate::repo::catalog::testing::{MemoryChunks, file, forest, path, write};
    use crate::repo::id::ChunkKind;
    use std::sync::Arc;

    fn paths(finder: &mut Finder<'_>, tree: &Tree) -> Vec<String> {
        let found = finder.look(tree, &Silent).map(|(path, _)| path.to_bytes());
        found.map(|path| String::from_utf8(path).unwrap()).collect()
    }

    fn query(patterns: &[&str], any_case: bool) -> Query {
        let patterns: Vec<_> = patterns.iter().map(|pattern| pattern.as_bytes().to_vec()).collect();
        Query::new(&patterns, any_case).unwrap()
    }

    #[test]
    fn each_snapshot_gives_what_it_holds_and_costs_what_differs() {
        let chunks = Arc::new(MemoryChunks::default());
        let mut entries = forest(60, 100);
        entries.push((path("/needle"), file(1, &[3])));
        let first = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        entries.last_mut().unwrap().1.modified.seconds = 99;
        entries.push((path("/needle2"), file(2, &[3])));
        let second = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        entries.remove(entries.len() - 2);
        let third = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        let mut query = query(&["needle*"], false);
        let mut finder = Finder::new(&query);
        assert_eq!(paths(&mut finder, &first), ["/needle"]);
        let before = chunks.gets();
        assert_eq!(paths(&mut finder, &second), ["/needle", "/needle2"]);
        assert!(chunks.gets() - before < 20, "{} pages read", chunks.gets() - before);
        assert_eq!(paths(&mut finder, &third), ["/needle2"]);
        query.newest = Some(Timestamp { seconds: 50, nanoseconds: 0 });
        let mut finder = Finder::new(&query);
        paths(&mut finder, &first);
        assert!(!paths(&mut finder, &second).contains(&"/needle".to_owned()), "it changed out of what is asked for");
    }

    #[test]
    fn damage_does_not_carry_over_what_may_be_gone() {
        let chunks = Arc::new(MemoryChunks::default());
        let entries = forest(60, 100);
        let mut changed = entries.clone();
        changed.iter_mut().for_each(|(_, entry)| entry.uid = 7);
        let first = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        let old: Vec<_> = chunks.of(ChunkKind::Payload);
        let root = write(&chunks, &changed).skeleton;
        let new = chunks.of(ChunkKind::Payload).into_iter().find(|page| !old.contains(page)).unwrap();
        chunks.lose(ChunkKind::Payload, &new.0);
        let second = Tree::open(chunks.clone(), root);
        let query = query(&["*"], false);
        let mut finder = Finder::new(&query);
        let all = paths(&mut finder, &first).len();
        assert!(paths(&mut finder, &second).len() < all);
    }

    #[test]
    fn patterns_fit_the_entry_itself() {
        let chunks = Arc::new(MemoryChunks::default());
        let directory = crate::repo::catalog::testing::entry(crate::repo::entry::EntryKind::Directory);
        let entries =
            [(path("/Docs"), directory.clone()), (path("/Docs/a"), file(1, &[1])), (path("/Docs/docs"), directory)];
        let tree = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        assert_eq!(paths(&mut Finder::new(&query(&["Docs"], false)), &tree), ["/Docs"]);
        assert_eq!(paths(&mut Finder::new(&query(&["DOCS"], true)), &tree), ["/Docs", "/Docs/docs"]);
        assert_eq!(paths(&mut Finder::new(&query(&["/Docs/*", "x"], false)), &tree), ["/Docs/a", "/Docs/docs"]);
    }
}
