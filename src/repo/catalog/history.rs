//! One path in many catalogs: what it was in each, and every name that a folder ever had.
//!
//! Costs what differs: a page that several catalogs share is looked at once. Not here: which of the answers are the same.

use super::Error;
use super::cursor::{Cursor, Node};
use super::key;
use super::page::Items;
use super::reader::Tree;
use crate::repo::entry::{Entry, EntryName, EntryPath};
use crate::repo::id::ChunkId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What `path` is in each of `trees`, in their order: `None` where there is no such entry, an error where a page on the way cannot
/// be read.
pub fn entries<'t>(
    trees: impl IntoIterator<Item = &'t Tree>,
    path: &EntryPath,
) -> Vec<Result<Option<Arc<Entry>>, Error>> {
    let key = key::encode(path);
    // What a page leads to depends on nothing but the page.
    let mut known: HashMap<ChunkId, Option<Arc<Entry>>> = HashMap::new();
    trees.into_iter().map(|tree| look(tree, &key, &mut known)).collect()
}

fn look(
    tree: &Tree,
    key: &[u8],
    known: &mut HashMap<ChunkId, Option<Arc<Entry>>>,
) -> Result<Option<Arc<Entry>>, Error> {
    let mut node = Node::root(tree.root());
    let mut passed = Vec::new();
    let found = loop {
        if let Some(found) = known.get(&node.id) {
            break found.clone();
        }
        passed.push(node.id);
        let page = tree.page(&node)?;
        if let Items::Entries(entries) = &page.items {
            let at = page.keys.at_or_after(key);
            let here = at < entries.len() && page.keys.get(at) == key;
            break here.then(|| Arc::new(entries[at].clone()));
        }
        match Node::child(&page, page.keys.at_or_before(key), 0, node.until.as_deref()) {
            Some(child) => node = child,
            None => break None,
        }
    };
    known.extend(passed.into_iter().map(|page| (page, found.clone())));
    Ok(found)
}

/// Shows `see` the entries that the folder `path` has in any of `trees`; one that is the same in several perhaps only once, and in
/// the tree that comes first.
///
/// # Errors
/// The first page that cannot be read, when all that can be has been seen.
pub fn children<'t>(
    trees: impl IntoIterator<Item = &'t Tree>,
    path: &EntryPath,
    mut see: impl FnMut(EntryName, &Entry),
) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let mut failure = None;
    for tree in trees {
        let mut cursor = Cursor::new(tree.clone(), key::children(path));
        loop {
            if let Some(node) = cursor.node() {
                if !seen.insert(node.id) {
                    cursor.skip();
                } else if let Err(error) = cursor.open() {
                    failure.get_or_insert(error);
                }
                continue;
            }
            let Some((_, key, entry)) = cursor.entry() else { break };
            if let Some(name) = key::name(key) {
                see(name, entry);
            }
            cursor.skip();
        }
    }
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, entry, file, path, write};
    use super::*;
    use crate::repo::entry::EntryKind;
    use crate::repo::id::ChunkKind;
    use std::collections::BTreeSet;

    /// Catalogs of a folder with many files; in the nth one, file n has other content, and the last has one file more.
    fn trees(count: usize) -> (Arc<MemoryChunks>, Vec<Tree>) {
        let chunks = Arc::new(MemoryChunks::default());
        let trees = (0..count).map(|n| {
            let mut entries = vec![(path("/"), entry(EntryKind::Directory)), (path("/d"), entry(EntryKind::Directory))];
            for at in 0..3000 {
                let length = if at == n as u64 { 7 } else { 5 };
                entries.push((path(&format!("/d/a-name-of-some-length-{at:04}")), file(at, &[length])));
            }
            if n + 1 == count {
                entries.push((path("/d/new"), entry(EntryKind::Fifo)));
            }
            Tree::open(chunks.clone(), write(&chunks, &entries).skeleton)
        });
        let trees = trees.collect();
        (chunks, trees)
    }

    #[test]
    fn a_path_is_seen_as_each_catalog_has_it() {
        let (chunks, trees) = trees(20);
        let before = chunks.gets();
        let sizes: Vec<_> = entries(&trees, &path("/d/a-name-of-some-length-0004"))
            .into_iter()
            .map(|entry| entry.unwrap().map(|entry| entry.size))
            .collect();
        let expected: Vec<_> = (0..20).map(|n| Some(if n == 4 { 7 } else { 5 })).collect();
        assert_eq!(sizes, expected);
        let read = chunks.gets() - before;
        let found: Vec<_> =
            entries(&trees, &path("/d/new")).into_iter().map(|entry| entry.unwrap().is_some()).collect();
        assert_eq!(found.iter().filter(|there| **there).count(), 1);
        assert!(found[19] && read > 0);
        assert!(entries(&trees, &path("/nothing/there")).into_iter().all(|entry| entry.unwrap().is_none()));
    }

    #[test]
    fn all_names_are_seen_and_shared_pages_once() {
        let (chunks, trees) = trees(20);
        let before = chunks.gets();
        let (mut names, mut times) = (BTreeSet::new(), 0);
        children(&trees, &path("/d"), |name, _| {
            times += 1;
            names.insert(name);
        })
        .unwrap();
        assert_eq!(names.len(), 3001);
        assert!(times < 20 * 3001 / 2, "{times}");
        assert!(chunks.gets() > before);
        let (payload, _) = chunks.of(ChunkKind::Payload)[3];
        chunks.lose(ChunkKind::Payload, &payload);
        let reopened: Vec<_> = trees.iter().map(|tree| Tree::open(chunks.clone(), tree.root())).collect();
        let mut some = BTreeSet::new();
        let failed = children(&reopened, &path("/d"), |name, _| {
            some.insert(name);
        });
        assert!(failed.is_err() || some.len() == 3001, "a lost page is told of, or lies elsewhere");
        assert!(!some.is_empty());
    }
}
