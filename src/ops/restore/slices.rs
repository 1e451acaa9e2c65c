//! A regular file's content as slices of a few MiB that several threads may take in turn.
//!
//! Every byte of the file's size is in exactly one piece, in order; where the catalog's own pages cannot be read, the piece
//! says so. It reads no content.

use crate::repo::catalog::{Error, ExtentReader, Hidden, Placed};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Content, Extent};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of chunks in one slice: a few segments, so that threads that share a file seldom decode the same one.
const SLICE: u64 = 4 << 20;

/// Pieces in one slice, for files of holes and tiny chunks.
const PIECES: usize = 256;

/// Part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// What the catalog says.
    Extent(Extent),
    /// The catalog cannot be read here.
    Lost { length: u64, reason: String, damage: bool },
}

impl Piece {
    /// Bytes of the file.
    pub(super) const fn length(&self) -> u64 {
        match self {
            Self::Extent(extent) => extent.length(),
            Self::Lost { length, .. } => *length,
        }
    }
}

/// What is left of a file's content.
pub(super) struct Slices {
    cursor: Mutex<Cursor>,
}

struct Cursor {
    extents: Extents,
    /// What was read, but lies behind a gap that was given out first.
    ahead: Option<Extent>,
    offset: u64,
    size: u64,
}

/// Where extents come from: the entry itself, or pages of their own.
enum Extents {
    Own(std::vec::IntoIter<Extent>),
    Tree(ExtentReader),
    Over,
}

impl Slices {
    /// The whole of `content`, which should have `size` bytes.
    pub(super) fn new(source: &Arc<dyn ChunkSource>, content: Content, size: u64) -> Self {
        let extents = match content {
            Content::Extents(extents) => Extents::Own(extents.into_iter()),
            Content::Tree { .. } => Extents::Tree(ExtentReader::open(Arc::clone(source), &content, size)),
        };
        Self { cursor: Mutex::new(Cursor { extents, ahead: None, offset: 0, size }) }
    }

    /// The next slice: pieces with their offsets.
    pub(super) fn next(&self) -> Option<Vec<(u64, Piece)>> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        while bytes < SLICE && pieces.len() < PIECES {
            let offset = cursor.offset;
            let Some(piece) = cursor.piece() else { break };
            if matches!(piece, Piece::Extent(Extent::Chunk { .. })) {
                bytes += piece.length();
            }
            pieces.push((offset, piece));
        }
        (!pieces.is_empty()).then_some(pieces)
    }
}

impl Cursor {
    fn piece(&mut self) -> Option<Piece> {
        let left = self.size - self.offset;
        let piece = match self.extent() {
            Some(Ok(extent)) if extent.length() <= left => Piece::Extent(extent),
            Some(Ok(_)) => self.lose(left, "the extents are longer than the file"),
            Some(Err(Piece::Lost { length, reason, damage })) => {
                Piece::Lost { length: length.min(left), reason, damage }
            }
            Some(Err(piece)) => piece,
            None if left > 0 => self.lose(left, "the extents are shorter than the file"),
            None => return None,
        };
        self.offset += piece.length();
        Some(piece)
    }

    /// Gives up the rest.
    fn lose(&mut self, length: u64, reason: &str) -> Piece {
        self.extents = Extents::Over;
        Piece::Lost { length, reason: reason.to_owned(), damage: true }
    }

    /// The next extent, or what is lost before it.
    fn extent(&mut self) -> Option<Result<Extent, Piece>> {
        if let Some(extent) = self.ahead.take() {
            return Some(Ok(extent));
        }
        let placed = match &mut self.extents {
            Extents::Own(extents) => return extents.next().map(Ok),
            Extents::Tree(reader) => reader.next()?,
            Extents::Over => return None,
        };
        Some(match placed {
            Ok(Placed { offset, extent }) if offset == self.offset => Ok(extent),
            Ok(Placed { offset, extent }) if offset > self.offset => {
                self.ahead = Some(extent);
                let reason = "a page of extents left a gap".to_owned();
                Err(Piece::Lost { length: offset - self.offset, reason, damage: true })
            }
            Ok(_) => Err(self.lose(self.size - self.offset, "the extents overlap")),
            Err(error) => {
                let damage = super::is_damage(&error);
                Err(Piece::Lost { length: self.hidden(&error), reason: error.to_string(), damage })
            }
        })
    }

    /// Bytes from here on that an unreadable page of extents hides.
    fn hidden(&self, error: &Error) -> u64 {
        match error {
            Error::Page(page) => match page.hidden {
                Hidden::Bytes { start, length } => start.saturating_add(length).saturating_sub(self.offset),
                _ => self.size - self.offset,
            },
            _ => self.size - self.offset,
        }
    }
}
