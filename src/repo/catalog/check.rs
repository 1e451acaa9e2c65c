//! Checking pages one by one, for whoever wants every page looked at and does the reading himself.
//!
//! [`check_page`] holds the halves of a page against each other; [`Expected`] holds a page against what led to it. Both
//! together, from a root downwards, prove all that readers rely on. Not here: whether chunks exist.

use super::cursor::Node;
use super::extent_reader::{ExtentNode, mismatch};
use super::page::{Items, Page};
use super::{Fault, Sums, TreeRoot, skeleton, wire};
use crate::repo::entry::{Content, EntryKind};
use crate::repo::id::ChunkId;

/// A page whose halves belong together.
#[derive(Debug)]
pub struct Checked(Page);

/// Checks the two halves of a page against each other: every reference points into the skeleton, every id there is used, keys
/// ascend, entries are sound.
///
/// # Errors
/// The rule that is broken.
pub fn check_page(skeleton: &[u8], payload: &[u8]) -> Result<Checked, wire::Error> {
    let (head, references) = skeleton::decode(skeleton)?;
    Page::decode(head, &references, payload).map(Checked)
}

/// A page that something refers to, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expected(Role);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Role {
    /// A page of a catalog.
    Catalog(Node, Option<Sums>),
    /// A page of a long file's extents.
    Extents(ExtentNode),
}

impl Expected {
    /// The root page of a snapshot's catalog.
    pub const fn root(root: &TreeRoot) -> Self {
        let sums = Sums { entries: root.entries, bytes: root.bytes };
        Self(Role::Catalog(Node::root(root.skeleton), Some(sums)))
    }

    /// The page's skeleton.
    pub const fn id(&self) -> ChunkId {
        match &self.0 {
            Role::Catalog(node, _) => node.id,
            Role::Extents(node) => node.id,
        }
    }

    /// Holds the page itself against this.
    ///
    /// # Errors
    /// [`Fault::Mismatch`].
    pub fn check(&self, page: &Checked) -> Result<(), Fault> {
        match &self.0 {
            Role::Extents(node) => {
                mismatch(node, &page.0).map_or(Ok(()), |difference| Err(Fault::Mismatch(difference)))
            }
            Role::Catalog(node, sums) => {
                let same = sums.is_none_or(|sums| [sums.entries, sums.bytes] == page.0.totals[..2]);
                node.check(&page.0)?;
                if same { Ok(()) } else { Err(Fault::Mismatch("its totals differ")) }
            }
        }
    }

    /// Every page that `page`, which is this one, refers to: the pages below it, and the extent trees of its files.
    pub fn below(&self, page: &Checked) -> Vec<Self> {
        let page = &page.0;
        match (&page.items, &self.0) {
            (Items::Children(children), Role::Catalog(node, _)) => (0..children.len())
                .filter_map(|at| Node::child(page, at, 0, node.until.as_deref()))
                .map(|child| Self(Role::Catalog(child, None)))
                .collect(),
            (Items::Children(children), Role::Extents(_)) => {
                let level = Some(page.head.level - 1);
                let node = |totals, id| ExtentNode { id, start: 0, level, totals };
                children.iter().map(|child| Self(Role::Extents(node(child.totals, child.id)))).collect()
            }
            (Items::Entries(entries), _) => entries
                .iter()
                .filter_map(|entry| match &entry.kind {
                    EntryKind::File(Content::Tree { root, chunks }) => {
                        Some(Self(Role::Extents(ExtentNode::root(*root, entry.size, *chunks))))
                    }
                    _ => None,
                })
                .collect(),
            (Items::Extents(_), _) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{PageWriter, Written};
    use super::super::skeleton::{Family, Head};
    use super::super::testing::{MemoryChunks, any_extents, entry, file, forest, keys, path, write};
    use super::super::{Error, ExtentWriter, Hidden, Tree, key};
    use super::*;
    use crate::repo::chunks::{ChunkSink as _, ChunkSource as _};
    use crate::repo::entry::{Entry, EntryPath};
    use crate::repo::id::ChunkKind;
    use std::sync::Arc;

    /// Checks every page from `root` down; returns their number.
    fn check_all(chunks: &MemoryChunks, root: &TreeRoot) -> Result<usize, Fault> {
        let (mut open, mut done) = (vec![Expected::root(root)], 0);
        while let Some(expected) = open.pop() {
            let skeleton = chunks.get(ChunkKind::Skeleton, &expected.id())?;
            let payload = chunks.get(ChunkKind::Payload, &super::super::references(&skeleton)?.payload)?;
            let page = check_page(&skeleton, &payload)?;
            expected.check(&page)?;
            open.extend(expected.below(&page));
            done += 1;
        }
        Ok(done)
    }

    fn long_file(chunks: &MemoryChunks) -> Entry {
        let keys = keys();
        let mut writer = ExtentWriter::new(chunks, &keys);
        any_extents(9000).for_each(|extent| writer.push(extent).unwrap());
        let size = writer.length();
        Entry { size, ..entry(EntryKind::File(writer.finish().unwrap())) }
    }

    #[test]
    fn every_page_of_a_catalog_is_as_expected() {
        let chunks = MemoryChunks::default();
        let mut entries = forest(40, 60);
        entries.push((path("/long"), long_file(&chunks)));
        let root = write(&chunks, &entries);
        assert_eq!(check_all(&chunks, &root).unwrap(), chunks.of(ChunkKind::Skeleton).len());
        let other = TreeRoot { entries: root.entries + 1, ..root };
        assert!(matches!(check_all(&chunks, &other), Err(Fault::Mismatch(_))));
        let (at, long) = entries.pop().unwrap();
        entries.push((at, Entry { size: long.size + 1, ..long }));
        let root = write(&chunks, &entries);
        assert!(matches!(check_all(&chunks, &root), Err(Fault::Mismatch(_))));
    }

    fn leaf(chunks: &MemoryChunks, paths: &[&str]) -> Written {
        let mut page = PageWriter::new(Head { family: Family::Entries, level: 0 });
        for at in paths {
            page.entry(&key::encode(&path(at)), &file(1, &[5]));
        }
        page.finish(chunks).unwrap()
    }

    fn inner(chunks: &MemoryChunks, level: u8, children: &[Written]) -> Written {
        let mut page = PageWriter::new(Head { family: Family::Entries, level });
        children.iter().for_each(|child| page.child(child));
        page.finish(chunks).unwrap()
    }

    #[test]
    fn a_page_that_contradicts_its_parent_is_damage_and_the_rest_is_read() {
        let chunks = Arc::new(MemoryChunks::default());
        let (a, b, late) = (leaf(&chunks, &["/a", "/b"]), leaf(&chunks, &["/m", "/n"]), leaf(&chunks, &["/a", "/o"]));
        let extents = {
            let mut page = PageWriter::new(Head { family: Family::Extents, level: 0 });
            page.extent(&crate::repo::entry::Extent::Hole { length: 2 });
            page.finish(&*chunks).unwrap()
        };
        let lies = [
            Written { totals: [3, 10, 0], ..a.clone() },
            Written { totals: [2, 11, 0], ..a.clone() },
            Written { key: vec![], ..a.clone() },
            Written { key: key::encode(&path("/aa")), ..a.clone() },
            Written { key: a.key.clone(), ..late },
            Written { key: a.key.clone(), ..inner(&chunks, 1, std::slice::from_ref(&a)) },
            Written { key: a.key.clone(), ..extents },
            Written { id: chunks.put(ChunkKind::Skeleton, b"no page").unwrap(), ..a.clone() },
        ];
        for lie in lies {
            let count = lie.totals[0];
            let root = inner(&chunks, 1, &[lie.clone(), b.clone()]);
            let mut walk = Tree::open(chunks.clone(), root.id).walk(&EntryPath::default());
            let Some(Err(Error::Page(unreadable))) = walk.next() else { panic!("{lie:?} was believed") };
            assert_eq!(unreadable.page, lie.id);
            let from = key::decode(&lie.key).unwrap();
            assert_eq!(unreadable.hidden, Hidden::Entries { from, until: Some(path("/m")), count });
            let rest: Vec<_> = walk.map(|entry| entry.unwrap().0).collect();
            assert_eq!(rest, [path("/m"), path("/n")], "{lie:?}");
            let root = TreeRoot { skeleton: root.id, entries: root.totals[0], bytes: root.totals[1] };
            assert!(check_all(&chunks, &root).is_err());
        }
        let root = inner(&chunks, 1, &[a, b]);
        assert_eq!(Tree::open(chunks, root.id).walk(&EntryPath::default()).filter(Result::is_ok).count(), 4);
    }

    #[test]
    fn messages_name_page_and_paths() {
        let chunks = Arc::new(MemoryChunks::default());
        let a = leaf(&chunks, &["/a", "/\u{f1}\n"]);
        let root =
            inner(&chunks, 1, &[a.clone(), Written { id: ChunkId([9; 32]), ..leaf(&chunks, &["/\u{f1}\u{f1}"]) }]);
        chunks.lose(ChunkKind::Skeleton, &a.id);
        let messages: Vec<_> = Tree::open(chunks, root.id)
            .walk(&EntryPath::default())
            .map(|entry| entry.unwrap_err().to_string())
            .collect();
        assert!(
            messages[0].starts_with(&format!("catalog page {} (2 entries from /a up to /ññ) cannot be read: ", a.id))
        );
        assert!(messages[1].contains("(1 entry from /ññ on)"), "{messages:?}");
    }
}
