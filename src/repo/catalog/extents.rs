//! Writing the extents of one file: few stay in its entry, many become a tree whose inner pages carry the lengths below them.
//!
//! One page per level is in memory, whatever the file's size. Not here: the chunks themselves.

use super::cut::{Cutter, Hashed};
use super::page::PageWriter;
use super::rules::INLINE_EXTENTS;
use super::skeleton::{Family, Head};
use super::spine::Spine;
use super::{CatalogKeys, Error};
use crate::repo::chunks::ChunkSink;
use crate::repo::entry::{Content, Extent};

/// Takes a file's extents in order.
pub struct ExtentWriter<'a> {
    sink: &'a dyn ChunkSink,
    keys: &'a CatalogKeys,
    few: Vec<Extent>,
    /// Length of a hole at the end that may still grow.
    hole: u64,
    tree: Option<ExtentTree<'a>>,
    length: u64,
}

impl<'a> ExtentWriter<'a> {
    /// No extents yet; pages, if it comes to that, go to `sink`.
    pub fn new(sink: &'a dyn ChunkSink, keys: &'a CatalogKeys) -> Self {
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
            Some(tree) => tree.finish(self.keys),
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
            tree.add(self.keys, &extent)?;
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

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, keys};
    use super::*;
    use crate::repo::id::ChunkId;

    #[test]
    fn holes_that_touch_become_one_and_empty_extents_none() {
        let chunks = MemoryChunks::default();
        let chunk = |length| Extent::Chunk { id: ChunkId([1; 32]), length };
        let hole = |length| Extent::Hole { length };
        let keys = keys();
        let mut writer = ExtentWriter::new(&chunks, &keys);
        for extent in [hole(1), chunk(0), hole(2), chunk(5), hole(0), chunk(6), hole(7), hole(8)] {
            writer.push(extent).unwrap();
        }
        assert_eq!(writer.length(), 29);
        let expected = Content::Extents(vec![hole(3), chunk(5), chunk(6), hole(15)]);
        assert_eq!(writer.finish().unwrap(), expected);
        let mut writer = ExtentWriter::new(&chunks, &keys);
        writer.push(hole(u64::MAX)).unwrap();
        assert!(matches!(writer.push(chunk(1)), Err(Error::Extent(_))));
    }
}
