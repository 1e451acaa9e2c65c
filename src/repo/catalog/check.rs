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
#[derive(Debug, Clone)]
pub struct Expected(Role);

#[derive(Debug, Clone)]
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
