//! An open regular file: from a range of bytes over extents and chunks to one slice, if possible without a copy.
//!
//! A file's new chunks lie one after another in a segment, so a read is nearly always one slice of one decoded segment; only
//! what crosses segments, or touches a hole, is put together. Damage makes the reads fail that touch it, and no others.

use super::ahead::Readers;
use super::errno::Failure;
use crate::repo::catalog::{ExtentReader, PageCache, Placed};
use crate::repo::chunks::{self, Bytes, ChunkSource};
use crate::repo::entry::{Content, Entry, EntryKind, Extent};
use crate::repo::id::{ChunkId, ChunkKind};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// An open file.
pub struct File {
    /// Where it is, for people.
    pub path: Vec<u8>,
    /// Its length.
    pub size: u64,
    /// How it is read.
    pub readers: Mutex<Readers>,
    extents: Extents,
    pages: Arc<PageCache>,
}

enum Extents {
    /// With where each one ends.
    Few(Vec<(u64, Extent)>),
    Tree(Content),
}

impl File {
    /// Opens the content of `entry`; `None` if it is no regular file.
    pub fn open(path: Vec<u8>, entry: &Entry, pages: Arc<PageCache>) -> Option<Self> {
        let EntryKind::File(content) = &entry.kind else { return None };
        let extents = match content {
            Content::Extents(few) => {
                let ends = few.iter().scan(0u64, |end, extent| {
                    *end = end.saturating_add(extent.length());
                    Some((*end, *extent))
                });
                Extents::Few(ends.collect())
            }
            tree @ Content::Tree { .. } => Extents::Tree(tree.clone()),
        };
        Some(Self { path, size: entry.size, readers: Mutex::default(), extents, pages })
    }

    /// The bytes of `range`, which is cut at the file's end.
    pub fn read(&self, source: &Arc<dyn ChunkSource>, range: Range<u64>) -> Result<Bytes, Failure> {
        let range = range.start.min(self.size)..range.end.min(self.size);
        let mut data = Assembly::default();
        for piece in self.pieces(source, &range)? {
            let end = piece.offset.saturating_add(piece.extent.length());
            let (from, to) = (piece.offset.max(range.start) - piece.offset, end.min(range.end) - piece.offset);
            match piece.extent {
                Extent::Hole { .. } => data.zeros(as_usize(to - from)),
                Extent::Chunk { id, length } => {
                    let chunk = source.get(ChunkKind::Data, &id)?;
                    check_length(&id, &chunk, length)?;
                    data.add(chunk.slice(as_usize(from)..as_usize(to)));
                }
            }
        }
        Ok(data.finish())
    }

    /// Brings the chunks of `range` into memory.
    pub fn warm(&self, source: &Arc<dyn ChunkSource>, range: &Range<u64>) {
        // What cannot be read is found by whoever reads it.
        let Ok(pieces) = self.pieces(source, range) else { return };
        for piece in pieces {
            if let Extent::Chunk { id, .. } = piece.extent {
                source.warm(ChunkKind::Data, &id);
            }
        }
    }

    /// The first byte at or after `offset` that is (`data`) or is not (`!data`) in a chunk; the end counts as a hole.
    pub fn seek(&self, source: &Arc<dyn ChunkSource>, offset: u64, data: bool) -> Result<u64, Failure> {
        if offset >= self.size {
            return Err(Failure::BeyondEnd);
        }
        let mut reader = self.reader(source);
        if reader.stored_bytes()? == self.size {
            return Ok(if data { offset } else { self.size });
        }
        reader.seek(offset);
        for placed in reader {
            let placed = placed?;
            if matches!(placed.extent, Extent::Chunk { .. }) == data {
                return Ok(placed.offset.max(offset));
            }
        }
        if data { Err(Failure::BeyondEnd) } else { Ok(self.size) }
    }

    /// The extents that touch `range`, in order and without gaps.
    fn pieces(&self, source: &Arc<dyn ChunkSource>, range: &Range<u64>) -> Result<Vec<Placed>, Failure> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        match &self.extents {
            Extents::Few(few) => {
                let first = few.partition_point(|(end, _)| *end <= range.start);
                let placed =
                    few[first..].iter().map(|(end, extent)| Placed { offset: end - extent.length(), extent: *extent });
                Ok(placed.take_while(|placed| placed.offset < range.end).collect())
            }
            Extents::Tree(_) => {
                let mut reader = self.reader(source);
                reader.seek(range.start);
                let inside =
                    |placed: &Result<Placed, _>| placed.as_ref().map_or(true, |placed| placed.offset < range.end);
                Ok(reader.take_while(inside).collect::<Result<_, _>>()?)
            }
        }
    }

    fn reader(&self, source: &Arc<dyn ChunkSource>) -> ExtentReader {
        match &self.extents {
            Extents::Tree(content) => {
                ExtentReader::with_cache(Arc::clone(source), content, self.size, Arc::clone(&self.pages))
            }
            Extents::Few(few) => {
                let content = Content::Extents(few.iter().map(|(_, extent)| *extent).collect());
                ExtentReader::open(Arc::clone(source), &content, self.size)
            }
        }
    }
}

fn check_length(id: &ChunkId, chunk: &Bytes, length: u32) -> Result<(), Failure> {
    if chunk.len() as u64 == u64::from(length) {
        return Ok(());
    }
    let reason = format!("it has {} bytes instead of {length}", chunk.len());
    Err(chunks::Error::Damaged { kind: ChunkKind::Data, id: *id, reason }.into())
}

fn as_usize(length: u64) -> usize {
    usize::try_from(length).expect("a read is shorter than memory")
}

/// Bytes put together, copied only when they have to be.
#[derive(Default)]
struct Assembly {
    one: Option<Bytes>,
    copied: Vec<u8>,
}

impl Assembly {
    fn add(&mut self, bytes: Bytes) {
        if !self.copied.is_empty() {
            return self.copied.extend_from_slice(&bytes);
        }
        self.one = match self.one.take() {
            None => Some(bytes),
            Some(before) => before.join(&bytes).or_else(|| {
                self.copied.extend_from_slice(&before);
                self.copied.extend_from_slice(&bytes);
                None
            }),
        };
    }

    fn zeros(&mut self, length: usize) {
        if let Some(before) = self.one.take() {
            self.copied.extend_from_slice(&before);
        }
        self.copied.resize(self.copied.len() + length, 0);
    }

    fn finish(self) -> Bytes {
        self.one.unwrap_or_else(|| Bytes::from(self.copied))
    }
}
