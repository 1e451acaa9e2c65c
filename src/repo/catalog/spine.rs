//! The inner pages above a row of leaves, grown from the left as pages end; one page per level is in memory.
//!
//! The tree has the least height that its leaves ask for: a level of one page is the root. Not here: leaves.

use super::CatalogKeys;
use super::cut::{CHILD_WEIGHT, Cutter, Hashed};
use super::page::{PageWriter, Written};
use super::skeleton::{Family, Head};
use crate::repo::chunks::{self, ChunkSink};

/// An inner level and its last page.
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
