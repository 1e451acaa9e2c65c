//! A place in a catalog: an unopened page or an entry, and the open pages above it.
//!
//! Every page is held against what its parent says of it (level, first key, last key, totals) when it is opened. One that fails is left
//! behind, and the place after it is the next: what other pages hold stays in reach. Not here: what the entries are wanted for.

use super::key::{self, KeyRange};
use super::page::{Items, Page, Totals, plus};
use super::reader::Tree;
use super::skeleton::Family;
use super::{Error, Fault, Hidden, Unreadable};
use crate::repo::entry::{Entry, EntryPath};
use crate::repo::id::ChunkId;
use std::sync::Arc;

/// A page not yet opened, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its skeleton.
    pub id: ChunkId,
    /// No key below it is smaller.
    pub first: Vec<u8>,
    /// All keys below it are smaller.
    pub until: Option<Vec<u8>>,
    /// Entries in the tree before it.
    pub ordinal: u64,
    /// Its level and what lies below, unless it is the root.
    pub promised: Option<(u8, Totals)>,
}

impl Node {
    /// A catalog's root page.
    pub const fn root(id: ChunkId) -> Self {
        Self { id, first: Vec::new(), until: None, ordinal: 0, promised: None }
    }

    /// Child `at` of `page`, with `ordinal` entries before it; `until` is the page's own.
    pub fn child(page: &Page, at: usize, ordinal: u64, until: Option<&[u8]>) -> Option<Self> {
        let Items::Children(children) = &page.items else { return None };
        let child = children.get(at)?;
        let until = if at + 1 < children.len() { Some(page.keys.get(at + 1)) } else { until };
        Some(Self {
            id: child.id,
            first: page.keys.get(at).to_vec(),
            until: until.map(<[u8]>::to_vec),
            ordinal,
            promised: Some((page.head.level - 1, child.totals)),
        })
    }

    /// Wraps the reason why this page is of no use.
    pub fn error(&self, cause: Fault) -> Error {
        let path = |bytes: &[u8]| key::decode(bytes).unwrap_or_default();
        let hidden = match self.promised {
            None => Hidden::Unknown,
            Some((_, [count, ..])) => {
                Hidden::Entries { from: path(&self.first), until: self.until.as_deref().map(path), count }
            }
        };
        Error::Page(Box::new(Unreadable { page: self.id, hidden, cause }))
    }

    /// Whether `page` is what its parent says.
    pub fn check(&self, page: &Page) -> Result<(), Fault> {
        if page.head.family != Family::Entries {
            return Err(Fault::Mismatch("it is no page of a catalog"));
        }
        let Some((level, totals)) = self.promised else { return Ok(()) };
        if page.head.level != level {
            Err(Fault::Mismatch("it lies on another level"))
        } else if page.keys.first() != Some(&self.first) {
            Err(Fault::Mismatch("it starts with another key"))
        } else if page.keys.last() >= self.until.as_deref() && self.until.is_some() {
            Err(Fault::Mismatch("its keys reach into the next page"))
        } else if page.totals != totals {
            Err(Fault::Mismatch("its totals differ"))
        } else {
            Ok(())
        }
    }
}

/// An open page and the next item on it.
#[derive(Debug)]
struct Open {
    page: Arc<Page>,
    at: usize,
    /// Entries in the tree before that item.
    ordinal: u64,
    until: Option<Vec<u8>>,
}

/// A place in the entries of one range.
#[derive(Debug)]
pub struct Cursor {
    tree: Tree,
    range: KeyRange,
    node: Option<Node>,
    stack: Vec<Open>,
}

impl Cursor {
    /// The first place in `range`; nothing is read yet.
    pub fn new(tree: Tree, range: KeyRange) -> Self {
        let node = Some(Node::root(tree.root()));
        Self { tree, range, node, stack: Vec::new() }
    }

    /// The unopened page at this place, if it is one.
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The entry at this place, if it is one: ordinal, key, entry.
    pub fn entry(&self) -> Option<(u64, &[u8], &Entry)> {
        let open = self.stack.last().filter(|_| self.node.is_none())?;
        let Items::Entries(entries) = &open.page.items else { return None };
        Some((open.ordinal, open.page.keys.get(open.at), &entries[open.at]))
    }

    /// Goes into the page at this place, to the first item that the range may hold.
    ///
    /// # Errors
    /// When the page cannot be read; the place is then the one after it.
    pub fn open(&mut self) -> Result<(), Error> {
        let Some(node) = self.node.take() else { return Ok(()) };
        let opened = self.tree.page(&node);
        if let Ok(page) = &opened {
            let at = match &page.items {
                Items::Children(_) => page.keys.at_or_before(&self.range.start),
                _ => page.keys.at_or_after(&self.range.start),
            };
            let skipped = (0..at).map(|at| page.items.totals(at)).fold([0; 3], plus);
            let ordinal = node.ordinal.saturating_add(skipped[0]);
            self.stack.push(Open { page: Arc::clone(page), at, ordinal, until: node.until });
        }
        self.settle();
        opened.map(|_| ())
    }

    /// Goes on to the place after this one, without opening it.
    pub fn skip(&mut self) {
        if self.node.take().is_none()
            && let Some(open) = self.stack.last_mut()
        {
            open.at += 1;
            open.ordinal += 1;
        }
        self.settle();
    }

    /// The next entry of the range: ordinal, path, entry. An unreadable page gives one error, then comes what follows it.
    pub fn next_entry<T>(&mut self, take: impl FnOnce(u64, &[u8], &Entry) -> T) -> Option<Result<T, Error>> {
        while self.node.is_some() {
            if let Err(error) = self.open() {
                return Some(Err(error));
            }
        }
        let (ordinal, key, entry) = self.entry()?;
        let taken = take(ordinal, key, entry);
        self.skip();
        Some(Ok(taken))
    }

    /// Makes the place a node or an entry of the range, or the end.
    fn settle(&mut self) {
        while self.node.is_none()
            && let Some(open) = self.stack.last_mut()
        {
            if open.at >= open.page.items.len() {
                self.stack.pop();
                continue;
            }
            if !self.range.ends_after(open.page.keys.get(open.at)) {
                self.stack.clear();
                return;
            }
            if matches!(open.page.items, Items::Entries(_)) {
                return;
            }
            self.node = Node::child(&open.page, open.at, open.ordinal, open.until.as_deref());
            open.ordinal = open.ordinal.saturating_add(open.page.items.totals(open.at)[0]);
            open.at += 1;
        }
    }
}

/// The path of a key that came from a sound page.
pub fn path(key: &[u8]) -> EntryPath {
    key::decode(key).expect("a page does not decode when one of its keys does not")
}
