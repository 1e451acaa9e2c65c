//! Reading the extents of one file, from its entry or from its extent tree, in order or from any offset.
//!
//! Every page is held against what led to it; one that fails hides its own bytes and no others. Not here: the chunks themselves.

use super::cache::PageCache;
use super::page::{Child, Items, Page, Totals};
use super::skeleton::Family;
use super::{Error, Fault, Hidden, Unreadable};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Content, Extent};
use crate::repo::id::ChunkId;
use std::sync::Arc;

/// An extent and where in the file it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Bytes of the file before it.
    pub offset: u64,
    /// The extent.
    pub extent: Extent,
}

/// A page of an extent tree that was not opened yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

#[cfg(test)]
mod tests {
    use super::super::extents::ExtentWriter;
    use super::super::page::extent_totals;
    use super::super::testing::{MemoryChunks, keys};
    use super::*;
    use crate::repo::id::ChunkKind;

    /// Extents of many lengths; `repeat` chunks are one and the same.
    fn extents(count: u64, repeat: bool) -> Vec<Extent> {
        let extent = |at: u64| match at % 11 {
            10 => Extent::Hole { length: 1 + at },
            _ => {
                let seed = if repeat { 0 } else { at };
                Extent::Chunk { id: ChunkId(*blake3::hash(&seed.to_le_bytes()).as_bytes()), length: 1 + at as u32 % 70 }
            }
        };
        (0..count).map(extent).collect()
    }

    fn write(chunks: &MemoryChunks, extents: &[Extent]) -> (Content, u64) {
        let keys = keys();
        let mut writer = ExtentWriter::new(chunks, &keys);
        extents.iter().for_each(|extent| writer.push(*extent).unwrap());
        let length = writer.length();
        (writer.finish().unwrap(), length)
    }

    fn read(reader: ExtentReader) -> Vec<Extent> {
        let mut end = None;
        let mut check = |placed: Placed| {
            assert_eq!(placed.offset, end.unwrap_or(placed.offset));
            end = Some(placed.offset + placed.extent.length());
            placed.extent
        };
        reader.map(|placed| check(placed.unwrap())).collect()
    }

    #[test]
    fn few_extents_stay_and_many_become_a_tree() {
        let chunks = Arc::new(MemoryChunks::default());
        for (count, repeat) in [(0, false), (1, false), (512, false), (513, false), (20_000, false), (20_000, true)] {
            let given = extents(count, repeat);
            let (content, size) = write(&chunks, &given);
            assert_eq!(matches!(content, Content::Tree { .. }), count > 512);
            if let Content::Tree { chunks, .. } = content {
                assert_eq!(chunks, given.iter().filter(|extent| matches!(extent, Extent::Chunk { .. })).count() as u64);
            }
            let reader = ExtentReader::open(chunks.clone(), &content, size);
            let stored = given.iter().map(|extent| extent_totals(extent)[1]).sum::<u64>();
            assert_eq!(reader.stored_bytes().unwrap(), stored);
            assert_eq!(read(reader), given);
        }
    }

    #[test]
    fn any_offset_can_be_sought() {
        let chunks = Arc::new(MemoryChunks::default());
        for count in [300, 9000] {
            let given = extents(count, false);
            let (content, size) = write(&chunks, &given);
            let cache = Arc::new(PageCache::new(1 << 20));
            let mut reader = ExtentReader::with_cache(chunks.clone(), &content, size, cache);
            for offset in (0..size).step_by(size as usize / 97).chain([size - 1]) {
                reader.seek(offset);
                let Placed { offset: start, extent } = reader.next().unwrap().unwrap();
                assert!((start..start + extent.length()).contains(&offset));
            }
            for end in [size, u64::MAX] {
                reader.seek(end);
                assert!(reader.next().is_none());
            }
            reader.seek(0);
            assert_eq!(read(reader), given);
        }
    }

    #[test]
    fn a_lost_page_hides_its_own_bytes_and_no_others() {
        let chunks = Arc::new(MemoryChunks::default());
        let given = extents(20_000, false);
        let (content, size) = write(&chunks, &given);
        let Content::Tree { root, .. } = content else { panic!("a tree") };
        for (page, _) in chunks.of(ChunkKind::Skeleton).into_iter().filter(|(id, _)| *id != root) {
            let chunks = Arc::new(MemoryChunks::default());
            write(&chunks, &given);
            chunks.lose(ChunkKind::Skeleton, &page);
            let (found, lost): (Vec<_>, Vec<_>) = ExtentReader::open(chunks, &content, size).partition(Result::is_ok);
            let [Err(Error::Page(unreadable))] = &lost[..] else { panic!("one error, not {lost:?}") };
            let Hidden::Bytes { start, length } = unreadable.hidden else { panic!("{unreadable:?}") };
            let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
            assert_eq!(found.iter().map(|placed| placed.extent.length()).sum::<u64>(), size - length);
            assert!(found.iter().all(|p| p.offset + p.extent.length() <= start || p.offset >= start + length));
        }
    }

    #[test]
    fn a_size_that_the_extents_do_not_have_is_damage() {
        let chunks = Arc::new(MemoryChunks::default());
        let (content, size) = write(&chunks, &extents(2000, false));
        let Content::Tree { root, chunks: count } = content else { panic!("a tree") };
        for (size, count) in [(size + 1, count), (size, count + 1)] {
            let mut reader = ExtentReader::open(chunks.clone(), &Content::Tree { root, chunks: count }, size);
            assert!(matches!(reader.next(), Some(Err(Error::Page(_)))));
            assert!(reader.next().is_none());
        }
    }
}
