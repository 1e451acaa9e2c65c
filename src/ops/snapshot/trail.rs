//! Where a large file that did not change was cut before, so that one worker reads it and the others compare.
//!
//! To look for cuts is the one thing that cannot be shared among workers. A full run of a file whose stamp says that it stayed
//! as it was takes the cuts from the earlier snapshot instead, and each worker sees by the ids whether that was right. Where it
//! was not, the bytes at hand are cut by their content at once, and what follows is, too.

use super::former::Former;
use crate::repo::catalog::ExtentReader;
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::Extent;
use crate::repo::id::ChunkId;
use std::iter::Peekable;
use std::sync::Arc;

/// The extents of the earlier version that are to come.
pub(super) struct Trail(Peekable<Box<dyn Iterator<Item = Extent>>>);

/// What a trail says of bytes that may be the next chunk.
pub(super) enum Step {
    /// A chunk of this length was there.
    Chunk(usize, ChunkId),
    /// It takes more bytes to tell.
    More,
    /// The file goes on in another way.
    Lost,
}

impl Trail {
    /// The cuts of what `former` was, as far as `source` reads them.
    pub fn of(former: &Former, source: &Arc<dyn ChunkSource>) -> Self {
        let extents = ExtentReader::open(Arc::clone(source), &former.content, former.size);
        // Where a page cannot be read, the trail ends.
        let extents = extents.map_while(Result::ok).map(|placed| placed.extent);
        Self((Box::new(extents) as Box<dyn Iterator<Item = Extent>>).peekable())
    }

    /// What comes next, if `available` bytes are there, up to the file's end, or a hole, or not.
    pub fn step(&mut self, available: usize, at_end: bool) -> Step {
        let Some(&Extent::Chunk { id, length }) = self.0.peek() else { return Step::Lost };
        let length = length as usize;
        if length > available {
            return if at_end { Step::Lost } else { Step::More };
        }
        self.0.next();
        // What only the end of the file cut off, or a hole, has to end there again.
        let by_content = matches!(self.0.peek(), Some(Extent::Chunk { .. }));
        if by_content || (at_end && length == available) { Step::Chunk(length, id) } else { Step::Lost }
    }

    /// Steps over a hole; whether there was one.
    pub fn hole(&mut self, length: u64) -> bool {
        self.0.next() == Some(Extent::Hole { length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::catalog::testing::MemoryChunks;
    use crate::repo::entry::Content;

    fn trail(extents: &[Extent]) -> Trail {
        let size = extents.iter().map(Extent::length).sum();
        let source: Arc<dyn ChunkSource> = Arc::new(MemoryChunks::default());
        Trail::of(&Former { content: Content::Extents(extents.to_vec()), size, same: true }, &source)
    }

    fn chunk(length: u32) -> Extent {
        Extent::Chunk { id: ChunkId([length as u8; 32]), length }
    }

    fn lengths(trail: &mut Trail, mut available: usize, at_end: bool) -> (Vec<usize>, bool) {
        let mut lengths = Vec::new();
        loop {
            match trail.step(available, at_end) {
                Step::Chunk(length, _) => (available, _) = (available - length, lengths.push(length)),
                Step::More => return (lengths, true),
                Step::Lost => return (lengths, false),
            }
        }
    }

    #[test]
    fn it_leads_through_chunks_and_holes_to_the_end() {
        let extents = [chunk(10), chunk(20), Extent::Hole { length: 100 }, chunk(30), chunk(5)];
        let mut trail = trail(&extents);
        assert_eq!(lengths(&mut trail, 15, false), (vec![10], true));
        // Up to the hole.
        assert!(matches!(trail.step(20, true), Step::Chunk(20, _)));
        assert!(trail.hole(100));
        assert_eq!(lengths(&mut trail, 35, true), (vec![30, 5], false));
    }

    #[test]
    fn it_is_lost_where_the_file_ends_elsewhere() {
        // Longer than it was, shorter than it was, with a hole or without one.
        assert_eq!(lengths(&mut trail(&[chunk(10), chunk(20)]), 40, true), (vec![10], false));
        assert_eq!(lengths(&mut trail(&[chunk(10), chunk(20)]), 40, false), (vec![10], false));
        assert_eq!(lengths(&mut trail(&[chunk(10), chunk(20)]), 29, true), (vec![10], false));
        assert_eq!(lengths(&mut trail(&[chunk(10), Extent::Hole { length: 9 }, chunk(1)]), 40, false), (vec![], false));
        assert!(!trail(&[Extent::Hole { length: 9 }]).hole(10));
        assert!(!trail(&[chunk(9)]).hole(9));
    }
}
