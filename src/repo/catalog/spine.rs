//! The inner pages above a row of leaves, grown from the left as pages end; one page per level is in memory.
//!
//! The tree has the least height that its leaves ask for: a level of one page is the root. Not here: leaves.

use super::CatalogKeys;
use super::cut::{CHILD_WEIGHT, Cutter, Hashed};
use super::page::{PageWriter, Written};
use super::skeleton::{Family, Head};
use crate::repo::chunks::{self, ChunkSink};

/// An inner level and its last page.
#[derive(Clone)]
struct Level {
    page: PageWriter,
    cutter: Cutter,
    last: Option<Written>,
}

impl Level {
    fn new(head: Head) -> Self {
        Self { page: PageWriter::new(head), cutter: Cutter::default(), last: None }
    }

    /// Adds a page below; returns whether this page ends with it.
    fn add(&mut self, keys: &CatalogKeys, child: Written) -> bool {
        let hashed = match self.page.head().family {
            Family::Entries => Hashed::Key(&child.key),
            Family::Extents => Hashed::Id(&child.id.0),
        };
        let weight = child.key.len() as u64 + CHILD_WEIGHT;
        let ends = self.cutter.ends_after(keys, self.page.head().level, weight, &hashed);
        self.page.child(&child);
        self.last = Some(child);
        ends
    }
}

/// All inner levels, the lowest first.
#[derive(Clone)]
pub struct Spine<'a> {
    sink: &'a dyn ChunkSink,
    family: Family,
    levels: Vec<Level>,
}

impl<'a> Spine<'a> {
    /// No inner page yet.
    pub fn new(sink: &'a dyn ChunkSink, family: Family) -> Self {
        Self { sink, family, levels: Vec::new() }
    }

    /// Takes over a leaf that ended.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn add(&mut self, keys: &CatalogKeys, leaf: Written) -> Result<(), chunks::Error> {
        let mut child = leaf;
        for at in 0.. {
            if at == self.levels.len() {
                let level =
                    u8::try_from(at + 1).expect("pages double from level to level, so there are never 256 levels");
                self.levels.push(Level::new(Head { family: self.family, level }));
            }
            let level = &mut self.levels[at];
            if !level.add(keys, child) {
                break;
            }
            child = level.page.finish(self.sink)?;
        }
        Ok(())
    }

    /// Takes over the last leaf, which may be empty, and ends every level; returns the root.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn finish(self, keys: &CatalogKeys, mut leaf: PageWriter) -> Result<Written, chunks::Error> {
        if self.levels.is_empty() {
            return leaf.finish(self.sink);
        }
        let mut below = if leaf.count() > 0 { Some(leaf.finish(self.sink)?) } else { None };
        let top = self.levels.len() - 1;
        for (at, mut level) in self.levels.into_iter().enumerate() {
            if let Some(child) = below.take() {
                level.add(keys, child);
            }
            below = match (level.page.count(), level.last) {
                (0, _) => None,
                (1, only) if at == top => only,
                _ => Some(level.page.finish(self.sink)?),
            };
        }
        Ok(below.expect("a level exists because a page ended below it, and it holds that page or handed it on"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, file, forest, keys, path, write};
    use super::super::{TreeWriter, references};
    use crate::repo::chunks::ChunkSource as _;
    use crate::repo::entry::{EntryName, EntryPath};
    use crate::repo::id::{ChunkId, ChunkKind};
    use std::collections::HashSet;

    fn pages(chunks: &MemoryChunks, root: ChunkId) -> HashSet<ChunkId> {
        let mut pages = HashSet::from([root]);
        let mut open = vec![root];
        while let Some(page) = open.pop() {
            let below = references(&chunks.get(ChunkKind::Skeleton, &page).unwrap()).unwrap().children;
            open.extend(below.into_iter().filter(|child| pages.insert(*child)));
        }
        pages
    }

    #[test]
    fn pages_have_their_size_on_every_level() {
        let chunks = MemoryChunks::default();
        let root = write(&chunks, &forest(150, 300)).skeleton;
        assert!(pages(&chunks, root).len() > 80);
        let mut sizes = Vec::new();
        for (skeleton, length) in chunks.of(ChunkKind::Skeleton) {
            let payload = references(&chunks.get(ChunkKind::Skeleton, &skeleton).unwrap()).unwrap().payload;
            sizes.push(length + chunks.get(ChunkKind::Payload, &payload).unwrap().len());
        }
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((24 << 10..56 << 10).contains(&mean), "mean {mean}");
        assert!(sizes.iter().all(|&size| size < 100 << 10), "{:?}", sizes.iter().max());
    }

    #[test]
    fn edits_anywhere_leave_nearly_all_pages_shared() {
        let chunks = MemoryChunks::default();
        let entries = forest(100, 200);
        let before = pages(&chunks, write(&chunks, &entries).skeleton);
        for at in (1..entries.len()).step_by(4001) {
            let mut edited = entries.clone();
            edited.remove(at);
            let removed = pages(&chunks, write(&chunks, &edited).skeleton);
            assert!(removed.difference(&before).count() <= 8, "{} new pages", removed.difference(&before).count());
            let name = entries[at].0.to_bytes();
            edited.push((path(&format!("{}x", String::from_utf8_lossy(&name))), file(at as u64, &[9])));
            edited.push(entries[at].clone());
            let added = pages(&chunks, write(&chunks, &edited).skeleton);
            assert!(added.difference(&before).count() <= 8, "{} new pages", added.difference(&before).count());
        }
    }

    #[test]
    fn keys_longer_than_pages_make_a_tree_all_the_same() {
        let chunks = MemoryChunks::default();
        let deep = vec![EntryName::new([b'x'; 250]).unwrap(); 900];
        let mut writer = TreeWriter::new(&chunks, keys());
        let parent = EntryPath(deep);
        for at in 0..40u8 {
            writer.push(&parent, &EntryName::new([b'a' + at]).unwrap(), &file(1, &[1])).unwrap();
        }
        let root = writer.finish().unwrap();
        assert_eq!(root.entries, 40);
        assert!(pages(&chunks, root.skeleton).len() < 100);
        let chunks = std::sync::Arc::new(chunks);
        let tree = super::super::Tree::open(chunks, root.skeleton);
        assert_eq!(tree.children(&parent, None).filter(Result::is_ok).count(), 40);
    }
}
