//! Reading a catalog: by path, by position, by directory, from one path downwards.
//!
//! Pages are read when needed and kept, decoded, in a cache that several trees may share. Iterators give an error for a page that
//! cannot be read and go on behind it. Not here: comparing two trees (`diff`), file contents (`extents`).

use super::cache::PageCache;
use super::cursor::{Cursor, Node, path as path_of};
use super::extent_reader::ExtentReader;
use super::key::{self, KeyRange};
use super::page::{Items, Page, Totals, plus};
use super::{Error, Sums};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Entry, EntryKind, EntryName, EntryPath};
use crate::repo::id::ChunkId;
use std::fmt;
use std::sync::Arc;

/// Bytes of decoded pages that a tree opened on its own keeps.
const OWN_CACHE: usize = 16 << 20;

/// An entry and how many stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Position among all entries of the catalog, from 0.
    pub ordinal: u64,
    /// The entry.
    pub entry: Entry,
}

/// One snapshot's catalog. Clones share everything.
#[derive(Clone)]
pub struct Tree {
    source: Arc<dyn ChunkSource>,
    cache: Arc<PageCache>,
    root: ChunkId,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({})", self.root)
    }
}

impl Tree {
    /// The catalog whose root page has this skeleton, with a cache of its own. Reads nothing yet.
    pub fn open(source: Arc<dyn ChunkSource>, root: ChunkId) -> Self {
        Self::with_cache(source, root, Arc::new(PageCache::new(OWN_CACHE)))
    }

    /// As [`Self::open`], with a cache that other trees over the same chunks share.
    pub fn with_cache(source: Arc<dyn ChunkSource>, root: ChunkId, cache: Arc<PageCache>) -> Self {
        Self { source, cache, root }
    }

    /// The skeleton of the root page.
    pub const fn root(&self) -> ChunkId {
        self.root
    }

    /// Where the chunks come from.
    pub fn source(&self) -> &Arc<dyn ChunkSource> {
        &self.source
    }

    /// The root's own attributes, if they were stored.
    ///
    /// # Errors
    /// [`Error::Page`].
    pub fn root_entry(&self) -> Result<Option<Found>, Error> {
        self.get(&EntryPath::default())
    }

    /// The entry at `path`, if there is one.
    ///
    /// # Errors
    /// [`Error::Page`] when a page on the way cannot be read.
    pub fn get(&self, path: &EntryPath) -> Result<Option<Found>, Error> {
        let key = key::encode(path);
        let below = |page: &Page| page.keys.at_or_before(&key);
        let (page, ordinal) = self.descend(below)?;
        let at = page.keys.at_or_after(&key);
        Ok(match &page.items {
            Items::Entries(entries) if at < entries.len() && page.keys.get(at) == key => {
                Some(Found { ordinal: ordinal.saturating_add(at as u64), entry: entries[at].clone() })
            }
            _ => None,
        })
    }

    /// The entry with `ordinal` entries before it, if there are that many.
    ///
    /// # Errors
    /// [`Error::Page`] when a page on the way cannot be read.
    pub fn by_ordinal(&self, ordinal: u64) -> Result<Option<(EntryPath, Entry)>, Error> {
        let mut left = ordinal;
        let (page, _) = self.descend(|page| {
            let last = page.items.len() - 1;
            (0..last)
                .find(|&at| {
                    let [entries, ..] = page.items.totals(at);
                    let here = left < entries;
                    left -= if here { 0 } else { entries };
                    here
                })
                .unwrap_or(last)
        })?;
        let Items::Entries(entries) = &page.items else { return Ok(None) };
        let at = usize::try_from(left).unwrap_or(usize::MAX);
        Ok(entries.get(at).map(|entry| (path_of(page.keys.get(at)), entry.clone())))
    }

    /// The entries of the directory `path`, by name, from the one after `after` on. Nothing if it is no directory.
    pub fn children(&self, path: &EntryPath, after: Option<&EntryName>) -> Children {
        let range = after.map_or_else(|| key::children(path), |name| key::children_after(path, name));
        Children(Cursor::new(self.clone(), range))
    }

    /// The entry at `path`, then all below it in catalog order: every directory's entries before those of its subdirectories.
    /// Nothing if there is no such entry.
    pub fn walk(&self, path: &EntryPath) -> Walk {
        // The root's own entry and all the rest are one range; of any other path, the entry lies in its parent's listing.
        if path.0.is_empty() {
            return Walk { own: None, below: Some(Cursor::new(self.clone(), KeyRange::ALL)) };
        }
        let own = self.get(path).transpose();
        let leaf = match &own {
            None => true,
            Some(Ok(found)) => found.entry.kind != EntryKind::Directory,
            Some(Err(_)) => false,
        };
        let below = (!leaf).then(|| Cursor::new(self.clone(), key::subtree(path)));
        Walk { own: own.map(|own| own.map(|found| (path.clone(), found.entry))), below }
    }

    /// What `path` and all below it add up to, from a few pages.
    ///
    /// # Errors
    /// [`Error::Page`] when one of those cannot be read.
    pub fn sums(&self, path: &EntryPath) -> Result<Sums, Error> {
        let root = Node::root(self.root);
        let totals = if path.0.is_empty() {
            self.page(&root)?.totals
        } else {
            let own = self.get(path)?.map_or([0; 3], |found| [1, found.entry.size, 0]);
            plus(own, self.totals(&root, &key::subtree(path))?)
        };
        Ok(Sums { entries: totals[0], bytes: totals[1] })
    }

    /// The extents of a regular file of this tree, read through the same cache; `None` for any other entry.
    pub fn extents(&self, entry: &Entry) -> Option<ExtentReader> {
        let EntryKind::File(content) = &entry.kind else { return None };
        let (source, cache) = (Arc::clone(&self.source), Arc::clone(&self.cache));
        Some(ExtentReader::with_cache(source, content, entry.size, cache))
    }

    /// Opens a page and holds it against what is known of it.
    pub(super) fn page(&self, node: &Node) -> Result<Arc<Page>, Error> {
        let page = self.cache.load(&*self.source, &node.id).map_err(|cause| node.error(cause))?;
        node.check(&page).map_err(|cause| node.error(cause))?;
        Ok(page)
    }

    /// From the root to a leaf, through the children that `choose` points at; returns it and the entries before it.
    fn descend(&self, mut choose: impl FnMut(&Page) -> usize) -> Result<(Arc<Page>, u64), Error> {
        let mut node = Node::root(self.root);
        loop {
            let page = self.page(&node)?;
            if page.head.level == 0 {
                return Ok((page, node.ordinal));
            }
            let at = choose(&page);
            let before = (0..at).map(|at| page.items.totals(at)).fold([0; 3], plus);
            let ordinal = node.ordinal.saturating_add(before[0]);
            match Node::child(&page, at, ordinal, node.until.as_deref()) {
                Some(child) => node = child,
                None => return Ok((page, ordinal)),
            }
        }
    }

    /// What the entries of `range` below `node` add up to: only pages that the range divides are opened.
    fn totals(&self, node: &Node, range: &KeyRange) -> Result<Totals, Error> {
        let page = self.page(node)?;
        let mut sum = [0; 3];
        let first = if page.head.level == 0 {
            page.keys.at_or_after(&range.start)
        } else {
            page.keys.at_or_before(&range.start)
        };
        for at in first..page.items.len() {
            let key = page.keys.get(at);
            if !range.ends_after(key) {
                break;
            }
            let totals = match Node::child(&page, at, 0, node.until.as_deref()) {
                Some(child) if !covers(range, &child) => self.totals(&child, range)?,
                _ => page.items.totals(at),
            };
            sum = plus(sum, totals);
        }
        Ok(sum)
    }
}

/// Whether all that can lie below `node` is in `range`.
fn covers(range: &KeyRange, node: &Node) -> bool {
    let ends = match (&range.end, &node.until) {
        (None, _) => true,
        (Some(end), Some(until)) => until <= end,
        (Some(_), None) => false,
    };
    node.first >= range.start && ends
}

/// Entries of one directory; see [`Tree::children`].
#[derive(Debug)]
pub struct Children(Cursor);

impl Children {
    /// What `take` makes of the next entry: how many stand before it, its name, and itself. Spares a copy of what is not wanted.
    pub fn next_with<T>(&mut self, take: impl FnOnce(u64, EntryName, &Entry) -> T) -> Option<Result<T, Error>> {
        self.0.next_entry(|ordinal, key, entry| {
            let name = key::name(key).expect("keys in a directory's range were checked and end in a name");
            take(ordinal, name, entry)
        })
    }
}

impl Iterator for Children {
    type Item = Result<(u64, EntryName, Entry), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(|ordinal, name, entry| (ordinal, name, entry.clone()))
    }
}

/// An entry and all below it; see [`Tree::walk`].
#[derive(Debug)]
pub struct Walk {
    own: Option<Result<(EntryPath, Entry), Error>>,
    below: Option<Cursor>,
}

impl Iterator for Walk {
    type Item = Result<(EntryPath, Entry), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.own.take().or_else(|| self.below.as_mut()?.next_entry(|_, key, entry| (path_of(key), entry.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, entry, file, forest, path, write};
    use super::*;
    use crate::repo::id::ChunkKind;

    fn tree(entries: &[(EntryPath, Entry)]) -> (Arc<MemoryChunks>, Tree) {
        let chunks = Arc::new(MemoryChunks::default());
        let root = write(&chunks, entries);
        (chunks.clone(), Tree::open(chunks, root.skeleton))
    }

    fn all(tree: &Tree, from: &str) -> Vec<(EntryPath, Entry)> {
        tree.walk(&path(from)).map(Result::unwrap).collect()
    }

    #[test]
    fn a_walk_gives_back_what_was_written() {
        let entries = forest(40, 60);
        let (_, tree) = tree(&entries);
        assert_eq!(all(&tree, "/"), entries);
        let below: Vec<_> = entries.iter().filter(|(p, _)| path("/directory-00007").contains(p)).cloned().collect();
        assert_eq!(all(&tree, "/directory-00007"), below);
        assert_eq!(all(&tree, "/directory-00007/file-00003.txt").len(), 1);
        assert_eq!(all(&tree, "/directory-0000"), []);
    }

    #[test]
    fn entries_are_found_by_path_and_by_ordinal() {
        let entries = forest(40, 60);
        let (_, tree) = tree(&entries);
        for (ordinal, (path, entry)) in (0..).zip(&entries) {
            assert_eq!(tree.get(path).unwrap(), Some(Found { ordinal, entry: entry.clone() }));
            assert_eq!(tree.by_ordinal(ordinal).unwrap(), Some((path.clone(), entry.clone())));
        }
        assert_eq!(tree.by_ordinal(entries.len() as u64).unwrap(), None);
        assert_eq!(tree.by_ordinal(u64::MAX).unwrap(), None);
        for absent in ["/directory-00007/", "/directory-00007/zzz", "/zzz", "/!"] {
            let absent = path(absent).join(EntryName::new(*b"absent").unwrap());
            assert_eq!(tree.get(&absent).unwrap(), None);
        }
    }

    #[test]
    fn listings_hold_children_only_and_can_be_resumed() {
        let (_, tree) = tree(&forest(40, 60));
        let dir = path("/directory-00012");
        let names: Vec<_> = tree.children(&dir, None).map(|child| child.unwrap().1).collect();
        assert_eq!(names.len(), 60);
        for (at, name) in names.iter().enumerate() {
            let rest: Vec<_> = tree.children(&dir, Some(name)).map(|child| child.unwrap().1).collect();
            assert_eq!(rest, names[at + 1..]);
        }
        assert_eq!(tree.children(&path("/"), None).count(), 40);
        assert_eq!(tree.children(&path("/directory-00012/file-00001.txt"), None).count(), 0);
        let (ordinal, _, entry) = tree.children(&dir, None).next().unwrap().unwrap();
        assert_eq!(tree.by_ordinal(ordinal).unwrap().unwrap(), (dir.join(names[0].clone()), entry));
    }

    #[test]
    fn sums_are_those_of_the_walk() {
        let entries = forest(40, 60);
        let (_, tree) = tree(&entries);
        for from in ["/", "/directory-00000", "/directory-00039", "/directory-00011/file-00059.txt", "/none"] {
            let walk = all(&tree, from);
            let bytes = walk.iter().map(|(_, entry)| entry.size).sum();
            assert_eq!(tree.sums(&path(from)).unwrap(), Sums { entries: walk.len() as u64, bytes }, "{from}");
        }
    }

    #[test]
    fn small_and_empty_trees_work() {
        let (_, empty) = tree(&[]);
        assert_eq!(all(&empty, "/"), []);
        assert_eq!((empty.root_entry().unwrap(), empty.by_ordinal(0).unwrap()), (None, None));
        let only = [(path("/"), entry(EntryKind::Directory)), (path("/x"), file(1, &[5, -9, 6]))];
        let (_, small) = tree(&only);
        assert_eq!(all(&small, "/"), only);
        assert_eq!(small.sums(&path("/x")).unwrap(), Sums { entries: 1, bytes: 20 });
    }

    #[test]
    fn a_lost_page_hides_its_own_entries_and_no_others() {
        let entries = forest(40, 60);
        let (chunks, first) = tree(&entries);
        let payloads = chunks.of(ChunkKind::Payload);
        assert!(payloads.len() > 4, "the tree has several pages");
        for (kind, id) in payloads.iter().map(|(id, _)| (ChunkKind::Payload, *id)) {
            let (chunks, tree) = tree(&entries);
            chunks.lose(kind, &id);
            let (found, lost): (Vec<_>, Vec<_>) = tree.walk(&path("/")).partition(Result::is_ok);
            let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
            assert!(found.iter().all(|entry| entries.contains(entry)) && found.is_sorted_by_key(|f| key::encode(&f.0)));
            let [Err(Error::Page(unreadable))] = &lost[..] else { panic!("one error, not {lost:?}") };
            match &unreadable.hidden {
                super::super::Hidden::Entries { from, until, count } => {
                    assert_eq!(*count as usize, entries.len() - found.len());
                    let hidden = |path: &EntryPath| {
                        let key = key::encode(path);
                        key >= key::encode(from) && until.as_ref().is_none_or(|until| key < key::encode(until))
                    };
                    assert!(found.iter().all(|(path, _)| !hidden(path)));
                }
                _ => assert_eq!(found, []),
            }
        }
        assert_eq!(all(&first, "/"), entries, "what was read stays in the cache");
    }
}
