//! Every content that one file had: when it came, how long it stayed.
//!
//! Costs what differs between the snapshots, see [`history`]. Not here: comparing the contents.

use super::unreadable;
use crate::event::Sink;
use crate::repo::catalog::{Tree, history};
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use std::sync::Arc;

/// One content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The first catalog that has it, counted from 0.
    pub first: usize,
    /// The last one.
    pub last: usize,
    /// How many have it.
    pub count: usize,
    /// The file in the first one.
    pub entry: Entry,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Every content that the file had, by when it first appeared.
    pub versions: Vec<Version>,
    /// Catalogs in which the path is a folder.
    pub folders: usize,
}

/// Looks for `path` in `trees`, which stand in order of time. Where a catalog cannot be read is told to `sink`.
pub fn versions(trees: &[Tree], path: &EntryPath, sink: &dyn Sink) -> Versions {
    let mut found = Versions::default();
    for (at, entry) in history::entries(trees, path).into_iter().enumerate() {
        match entry {
            Ok(Some(entry)) if entry.kind == EntryKind::Directory => found.folders += 1,
            Ok(Some(entry)) => found.take(at, &entry),
            Ok(None) => {}
            Err(error) => unreadable::report(sink, path.to_bytes(), &error),
        }
    }
    found
}

impl Versions {
    fn take(&mut self, at: usize, entry: &Arc<Entry>) {
        // Equal bytes give equal chunks, so equal kinds.
        match self.versions.iter_mut().find(|version| version.entry.kind == entry.kind) {
            Some(version) => {
                version.last = at;
                version.count += 1;
            }
            None => self.versions.push(Version { first: at, last: at, count: 1, entry: (**entry).clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use crate::repo::catalog::testing::{MemoryChunks, entry, file, path, write};

    #[test]
    fn a_content_that_comes_back_is_the_same_version() {
        let chunks = Arc::new(MemoryChunks::default());
        let tree = |what: Option<Entry>| {
            let entries: Vec<_> = what.into_iter().map(|entry| (path("/f"), entry)).collect();
            Tree::open(chunks.clone(), write(&chunks, &entries).skeleton)
        };
        let touched = Entry { mode: 0o600, ..file(1, &[5]) };
        let trees = [
            tree(Some(file(1, &[5]))),
            tree(Some(file(2, &[5]))),
            tree(None),
            tree(Some(touched)),
            tree(Some(entry(EntryKind::Directory))),
        ];
        let found = versions(&trees, &path("/f"), &Silent);
        let seen: Vec<_> = found.versions.iter().map(|one| (one.first, one.last, one.count)).collect();
        assert_eq!((seen, found.folders), (vec![(0, 3, 2), (1, 1, 1)], 1));
        assert_eq!(versions(&trees, &path("/g"), &Silent), Versions::default());
    }
}
