//! Cutting a file where its earlier version was cut, as long as it holds the same there.
//!
//! Where a chunk ends depends on its bytes and the one after it, and on nothing else, so the same bytes are cut at the same
//! places. To see by their id that they are the same takes a third of the time that looking for the place takes. What differs
//! is cut by its content, until a chunk turns up that the earlier version had. Where the byte right after a chunk is the first
//! that changed, a cut may stay that the content alone would not give: the repository has the chunk already.

use super::former::Former;
use crate::repo::chunker::Chunker;
use crate::repo::entry::{Content, Extent};
use crate::repo::id::ChunkId;

/// The extents of an earlier version that may come next. Empty, it never says anything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Retrace<'a> {
    rest: &'a [Extent],
    /// The bytes that come next differ from those of `rest`, as far as is known.
    astray: bool,
}

impl<'a> Retrace<'a> {
    /// Follows a file that has few extents; one with a tree of them is cut by its content.
    pub fn of(former: Option<&'a Former>) -> Self {
        match former.map(|former| &former.content) {
            Some(Content::Extents(rest)) => Self { rest, astray: false },
            Some(Content::Tree { .. }) | None => Self::default(),
        }
    }

    /// The length and the id of the first chunk of `bytes`; `None` when more of them are needed to tell, or none are left.
    pub fn next_cut(
        &mut self,
        chunker: &Chunker,
        bytes: &[u8],
        at_end: bool,
        id_of: impl Fn(&[u8]) -> ChunkId,
    ) -> Option<(usize, ChunkId)> {
        if let Some((length, expected)) = self.expected(bytes.len(), at_end) {
            if id_of(&bytes[..length]) == expected {
                self.rest = &self.rest[1..];
                return Some((length, expected));
            }
            self.astray = true;
        }
        let length = chunker.next_cut(bytes, at_end)?;
        let id = id_of(&bytes[..length]);
        let same = |extent: &Extent| matches!(extent, Extent::Chunk { id: before, .. } if *before == id);
        match self.rest.iter().position(same) {
            Some(found) => *self = Self { rest: &self.rest[found + 1..], astray: false },
            None => self.astray = true,
        }
        Some((length, id))
    }

    /// Steps over a hole of the file.
    pub fn hole(&mut self, length: u64) {
        match self.rest.split_first() {
            Some((Extent::Hole { length: before }, rest)) if *before == length => self.rest = rest,
            _ => self.astray = true,
        }
    }

    /// What comes next if nothing changed, where that much is there and it would be cut there again: not what only the end of
    /// the file or a hole cut off, unless the file ends there now.
    fn expected(&self, available: usize, at_end: bool) -> Option<(usize, ChunkId)> {
        let (Extent::Chunk { id, length }, rest) = self.rest.split_first().filter(|_| !self.astray)? else {
            return None;
        };
        let length = usize::try_from(*length).ok()?;
        let by_content = matches!(rest.first(), Some(Extent::Chunk { .. }));
        let by_end = at_end && length == available;
        (length <= available && length > 0 && (by_content || by_end)).then_some((length, *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::repo::config::ChunkerParameters;
    use proptest::prelude::*;

    const SMALL: ChunkerParameters = ChunkerParameters { minimum: 64, average: 256, maximum: 1024, normalization: 1 };
    const OTHER: ChunkerParameters = ChunkerParameters { minimum: 256, average: 512, maximum: 2048, normalization: 1 };

    fn chunker(parameters: &ChunkerParameters) -> Chunker {
        Chunker::new(&Secret::new([7; 32]), *parameters)
    }

    fn id(bytes: &[u8]) -> ChunkId {
        ChunkId(*blake3::hash(bytes).as_bytes())
    }

    fn cut(parameters: &ChunkerParameters, mut bytes: &[u8], former: Option<&Former>) -> Vec<Extent> {
        let chunker = chunker(parameters);
        let mut trace = Retrace::of(former);
        let mut extents = Vec::new();
        while let Some((length, id)) = trace.next_cut(&chunker, bytes, true, id) {
            extents.push(Extent::Chunk { id, length: length as u32 });
            bytes = &bytes[length..];
        }
        extents
    }

    fn former(extents: Vec<Extent>) -> Former {
        let size = extents.iter().map(Extent::length).sum();
        Former { content: Content::Extents(extents), size, same: false }
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(b"retrace").finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_stayed_is_cut_where_it_was_cut_and_nobody_looks_for_the_place() {
        let bytes = noise(40_000);
        let before = former(cut(&SMALL, &bytes, None));
        // Somebody who looked would cut elsewhere.
        assert_ne!(cut(&OTHER, &bytes, None), cut(&SMALL, &bytes, None));
        assert_eq!(cut(&OTHER, &bytes, Some(&before)), cut(&SMALL, &bytes, None));
    }

    #[test]
    fn a_change_is_cut_by_its_content_and_after_it_the_trace_is_found_again() {
        let bytes = noise(40_000);
        let before = former(cut(&SMALL, &bytes, None));
        let mut edited = bytes.clone();
        edited.splice(20_000..20_000, *b"put in");
        let cuts = cut(&SMALL, &edited, Some(&before));
        assert_eq!(cuts, cut(&SMALL, &edited, None));
        let mut trace = Retrace::of(Some(&before));
        let (mut rest, mut led) = (&edited[..], 0);
        while let Some((length, _)) = {
            led += usize::from(trace.expected(rest.len(), true).is_some());
            trace.next_cut(&chunker(&SMALL), rest, true, id)
        } {
            rest = &rest[length..];
        }
        assert!(led > cuts.len() - 8, "led at {led} of {} cuts", cuts.len());
    }

    #[test]
    fn a_last_chunk_that_only_the_end_cut_off_does_not_bind_a_file_that_grew() {
        let bytes = noise(10_000);
        for end in [1, 63, 64, 5_000, 9_999] {
            let before = former(cut(&SMALL, &bytes[..end], None));
            assert_eq!(cut(&SMALL, &bytes, Some(&before)), cut(&SMALL, &bytes, None), "{end}");
        }
    }

    #[test]
    fn a_chunk_before_a_hole_binds_only_where_a_hole_follows_again() {
        let bytes = noise(5_000);
        let mut extents = cut(&SMALL, &bytes[..1_000], None);
        let ended = extents.len();
        extents.push(Extent::Hole { length: 4096 });
        extents.extend(cut(&SMALL, &bytes[1_000..], None));
        let before = former(extents.clone());
        assert_eq!(cut(&SMALL, &bytes, Some(&before)), cut(&SMALL, &bytes, None));
        // The same with the hole: other sizes show that both sides of it were followed.
        let chunker = chunker(&OTHER);
        let mut trace = Retrace::of(Some(&before));
        let mut found = Vec::new();
        for mut part in [&bytes[..1_000], &bytes[1_000..]] {
            while let Some((length, id)) = trace.next_cut(&chunker, part, true, id) {
                found.push(Extent::Chunk { id, length: length as u32 });
                part = &part[length..];
            }
            if found.len() == ended {
                trace.hole(4096);
                found.push(Extent::Hole { length: 4096 });
            }
        }
        assert_eq!(found, extents);
    }

    proptest! {
        #[test]
        fn all_bytes_are_in_chunks_and_nearly_all_chunks_are_those_of_the_content(
            length in 0_usize..20_000,
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..300, 0_usize..300), 0..4),
            buffered in 1_100_usize..4_000,
        ) {
            let bytes = noise(length);
            let before = former(cut(&SMALL, &bytes, None));
            let (mut edited, few) = (bytes, 16 * edits.len());
            for (at, removed, added) in edits {
                let at = at.index(edited.len() + 1);
                let end = edited.len().min(at + removed);
                edited.splice(at..end, vec![b'x'; added]);
            }
            let mut allowed = cut(&SMALL, &edited, None);
            if let Content::Extents(extents) = &before.content {
                allowed.extend(extents);
            }
            let whole = |found: &[Extent]| {
                let (mut rest, mut strange) = (&edited[..], 0);
                for extent in found {
                    let Extent::Chunk { id: found, length } = extent else { return false };
                    let (chunk, after) = rest.split_at(*length as usize);
                    if id(chunk) != *found {
                        return false;
                    }
                    strange += usize::from(!allowed.contains(extent));
                    rest = after;
                }
                rest.is_empty() && strange <= few
            };
            prop_assert!(whole(&cut(&SMALL, &edited, Some(&before))));
            // … and where only a part of the file is there at a time.
            let (chunker, mut trace) = (chunker(&SMALL), Retrace::of(Some(&before)));
            let (mut rest, mut found) = (&edited[..], Vec::new());
            loop {
                let part = &rest[..rest.len().min(buffered)];
                let Some((length, id)) = trace.next_cut(&chunker, part, part.len() == rest.len(), id) else { break };
                found.push(Extent::Chunk { id, length: length as u32 });
                rest = &rest[length..];
            }
            prop_assert!(whole(&found));
        }
    }
}
