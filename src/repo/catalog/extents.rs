//! The extents of one file: few stay in its entry, many become a tree whose inner pages carry the lengths below them.
//!
//! Neither side holds more than one page per level, whatever the file's size. Not here: the chunks themselves.

use super::cache::PageCache;
use super::codec::INLINE_EXTENTS;
use super::cut::{Cutter, Hashed};
use super::page::{Child, Items, Page, PageWriter, Totals};
use super::skeleton::{Family, Head};
use super::spine::Spine;
use super::{CatalogKeys, Error, Fault, Hidden, Unreadable};
use crate::repo::chunks::{ChunkSink, ChunkSource};
use crate::repo::entry::{Content, Extent};
use crate::repo::id::ChunkId;
use std::sync::Arc;

/// Takes a file's extents in order.
pub struct ExtentWriter<'a> {
    sink: &'a dyn ChunkSink,
    keys: CatalogKeys,
    few: Vec<Extent>,
    /// Length of a hole at the end that may still grow.
    hole: u64,
    tree: Option<ExtentTree<'a>>,
    length: u64,
}

impl<'a> ExtentWriter<'a> {
    /// No extents yet; pages, if it comes to that, go to `sink`.
    pub fn new(sink: &'a dyn ChunkSink, keys: CatalogKeys) -> Self {
        Self { sink, keys, few: Vec::new(), hole: 0, tree: None, length: 0 }
    }

    /// Adds the next extent. Holes that touch become one; empty extents are left out.
    ///
    /// # Errors
    /// [`Error::Extent`] when the file grows beyond 2^64 bytes, [`Error::Sink`].
    pub fn push(&mut self, extent: Extent) -> Result<(), Error> {
        self.length =
            self.length.checked_add(extent.length()).ok_or(Error::Extent("the file is longer than a file can be"))?;
        match extent {
            Extent::Hole { length } => self.hole += length,
            Extent::Chunk { length: 0, .. } => {}
            Extent::Chunk { .. } => {
                self.flush_hole()?;
                self.add(extent)?;
            }
        }
        Ok(())
    }

    /// Bytes so far: the file's size, once all extents were pushed.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// What the file's entry keeps.
    ///
    /// # Errors
    /// [`Error::Sink`].
    pub fn finish(mut self) -> Result<Content, Error> {
        self.flush_hole()?;
        match self.tree {
            None => Ok(Content::Extents(self.few)),
            Some(tree) => tree.finish(&self.keys),
        }
    }

    fn flush_hole(&mut self) -> Result<(), Error> {
        match std::mem::take(&mut self.hole) {
            0 => Ok(()),
            length => self.add(Extent::Hole { length }),
        }
    }

    fn add(&mut self, extent: Extent) -> Result<(), Error> {
        if self.tree.is_none() && self.few.len() < INLINE_EXTENTS {
            self.few.push(extent);
            return Ok(());
        }
        let tree = self.tree.get_or_insert_with(|| ExtentTree::new(self.sink));
        for extent in self.few.drain(..).chain([extent]) {
            tree.add(&self.keys, &extent)?;
        }
        Ok(())
    }
}

/// A file's extents, too many for its entry.
struct ExtentTree<'a> {
    sink: &'a dyn ChunkSink,
    leaf: PageWriter,
    cutter: Cutter,
    spine: Spine<'a>,
}

impl<'a> ExtentTree<'a> {
    fn new(sink: &'a dyn ChunkSink) -> Self {
        let leaf = PageWriter::new(Head { family: Family::Extents, level: 0 });
        Self { sink, leaf, cutter: Cutter::default(), spine: Spine::new(sink, Family::Extents) }
    }

    fn add(&mut self, keys: &CatalogKeys, extent: &Extent) -> Result<(), Error> {
        let weight = self.leaf.extent(extent);
        let hashed = match extent {
            Extent::Chunk { id, .. } => Hashed::Id(&id.0),
            Extent::Hole { .. } => Hashed::Never,
        };
        if self.cutter.ends_after(keys, 0, weight, &hashed) {
            self.spine.add(keys, self.leaf.finish(self.sink)?)?;
        }
        Ok(())
    }

    fn finish(self, keys: &CatalogKeys) -> Result<Content, Error> {
        let root = self.spine.finish(keys, self.leaf)?;
        Ok(Content::Tree { root: root.id, chunks: root.totals[2] })
    }
}

/// An extent and where in the file it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Bytes of the file before it.
    pub offset: u64,
    /// The extent.
    pub extent: Extent,
}

/// A page of an extent tree that was not opened yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExtentNode {
    /// Its skeleton.
    pub id: ChunkId,
    /// Bytes of the file before it.
    pub start: u64,
    /// Its level, unless it is the root.
    pub level: Option<u8>,
    /// What lies below; of the root, how many bytes are in chunks is not known.
    pub totals: Totals,
}

impl ExtentNode {
    /// The root of the extent tree of a file with this size and number of chunks.
    pub const fn root(id: ChunkId, size: u64, chunks: u64) -> Self {
        Self { id, start: 0, level: None, totals: [size, 0, chunks] }
    }
}

/// Gives a file's extents in order, from any offset.
///
/// As an iterator it goes on behind a page that cannot be read, whose bytes the error names ([`Hidden::Bytes`]).
pub struct ExtentReader {
    source: Arc<dyn ChunkSource>,
    cache: Option<Arc<PageCache>>,
    start: Start,
    node: Option<ExtentNode>,
    /// Open pages from the root down, each with its next item and the offset where that starts.
    stack: Vec<(Arc<Page>, usize, u64)>,
    from: u64,
}

/// Where reading starts.
enum Start {
    /// An entry's own extents, as if they were a page.
    Own(Arc<Page>),
    /// The root of an extent tree.
    Tree(ExtentNode),
}

impl ExtentReader {
    /// Reads the extents of an entry with this content and size. Nothing is read yet.
    pub fn open(source: Arc<dyn ChunkSource>, content: &Content, size: u64) -> Self {
        Self::start(source, content, size, None)
    }

    /// As [`Self::open`], with a cache that others over the same chunks share: for reading here and there.
    pub fn with_cache(source: Arc<dyn ChunkSource>, content: &Content, size: u64, cache: Arc<PageCache>) -> Self {
        Self::start(source, content, size, Some(cache))
    }

    fn start(source: Arc<dyn ChunkSource>, content: &Content, size: u64, cache: Option<Arc<PageCache>>) -> Self {
        let start = match content {
            Content::Extents(extents) => Start::Own(Arc::new(Page::of_extents(extents.clone()))),
            Content::Tree { root, chunks } => Start::Tree(ExtentNode::root(*root, size, *chunks)),
        };
        let mut reader = Self { source, cache, start, node: None, stack: Vec::new(), from: 0 };
        reader.seek(0);
        reader
    }

    /// Makes the next extent the one that holds byte `offset`; none if the file ends before.
    pub fn seek(&mut self, offset: u64) {
        self.from = offset;
        self.node = None;
        self.stack.clear();
        match &self.start {
            Start::Own(page) => self.stack.push(positioned(Arc::clone(page), 0, offset)),
            Start::Tree(root) => self.node = Some(*root),
        }
    }

    /// Bytes of the file that are in chunks, holes left out.
    ///
    /// # Errors
    /// [`Error::Page`] when the root of the extent tree cannot be read.
    pub fn stored_bytes(&self) -> Result<u64, Error> {
        match &self.start {
            Start::Own(page) => Ok(page.totals[1]),
            Start::Tree(root) => Ok(self.load(root)?.totals[1]),
        }
    }

    fn load(&self, node: &ExtentNode) -> Result<Arc<Page>, Error> {
        let loaded = match &self.cache {
            Some(cache) => cache.load(&*self.source, &node.id),
            None => Page::load(&*self.source, &node.id).map(Arc::new),
        };
        let checked = loaded.and_then(|page| match mismatch(node, &page) {
            Some(difference) => Err(Fault::Mismatch(difference)),
            None => Ok(page),
        });
        checked.map_err(|cause| {
            let hidden = Hidden::Bytes { start: node.start, length: node.totals[0] };
            Error::Page(Box::new(Unreadable { page: node.id, hidden, cause }))
        })
    }

    /// The next item of the innermost open page: an extent, or a page that becomes `self.node`, or the page's end.
    fn step(&mut self) -> Option<Placed> {
        let (page, at, start) = self.stack.last_mut()?;
        if *at == page.items.len() {
            self.stack.pop();
            return None;
        }
        let (item, offset) = (*at, *start);
        *at += 1;
        *start = start.saturating_add(page.items.totals(item)[0]);
        match &page.items {
            Items::Extents(extents) => return Some(Placed { offset, extent: extents[item] }),
            Items::Children(children) => {
                let Child { id, totals } = children[item];
                self.node = Some(ExtentNode { id, start: offset, level: Some(page.head.level - 1), totals });
            }
            // Such a page is refused when it is opened.
            Items::Entries(_) => {}
        }
        None
    }
}

impl Iterator for ExtentReader {
    type Item = Result<Placed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(node) = self.node.take() {
                match self.load(&node) {
                    Ok(page) => self.stack.push(positioned(page, node.start, self.from)),
                    Err(error) => return Some(Err(error)),
                }
            } else if self.stack.is_empty() {
                return None;
            } else if let Some(placed) = self.step() {
                return Some(Ok(placed));
            }
        }
    }
}

/// A page that starts at offset `start`, at its first item that ends after byte `from`.
fn positioned(page: Arc<Page>, mut start: u64, from: u64) -> (Arc<Page>, usize, u64) {
    let mut at = 0;
    while at < page.items.len() {
        let end = start.saturating_add(page.items.totals(at)[0]);
        if end > from {
            break;
        }
        (at, start) = (at + 1, end);
    }
    (page, at, start)
}

/// What `page` is otherwise than the page above it, or the entry, says.
pub(super) fn mismatch(node: &ExtentNode, page: &Page) -> Option<&'static str> {
    if page.head.family != Family::Extents {
        return Some("it holds no extents");
    }
    match node.level {
        Some(level) if page.head.level != level => Some("it lies on another level"),
        Some(_) if page.totals != node.totals => Some("its totals differ"),
        None if page.totals[0] != node.totals[0] => Some("the extents are not as long as the file"),
        None if page.totals[2] != node.totals[2] => Some("the file has another number of chunks"),
        _ => None,
    }
}
