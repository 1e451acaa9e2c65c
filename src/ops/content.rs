//! The bytes of one file of a snapshot, from front to back.
//!
//! Whoever reads a stream cannot tell what is missing in its middle, so the first byte that cannot be had ends it; only
//! inside an archive, which has more to give, zeros stand in for it.

use crate::repo::catalog::{self, Placed, Tree};
use crate::repo::chunks::{self, Bytes};
use crate::repo::entry::{Entry, EntryKind, Extent};
use crate::repo::id::ChunkKind;
use std::io::{self, Write};

/// Zeros written at a time for a hole.
const ZEROS: usize = 64 << 10;

/// Why a file's bytes end early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A page of its extents cannot be read.
    #[error("the list of its pieces cannot be read")]
    Pages(#[source] catalog::Error),
    /// A chunk cannot be read.
    #[error("the bytes at {offset} cannot be read")]
    Chunk {
        /// Where in the file the chunk begins.
        offset: u64,
        /// Why.
        #[source]
        source: chunks::Error,
    },
    /// Its pieces do not add up to its size.
    #[error("its pieces contradict its size, first at {0}")]
    Size(u64),
    /// Whoever takes the bytes does not.
    #[error("cannot write")]
    Write(#[source] io::Error),
}

/// Writes the content of the regular file `entry` of `tree` to `out`, holes as zeros. Nothing for any other kind.
///
/// # Errors
/// At the first byte that cannot be read or written.
pub fn copy(tree: &Tree, entry: &Entry, out: &mut dyn Write) -> Result<(), Error> {
    for piece in pieces(tree, entry) {
        match piece.map_err(|(_, error)| error)? {
            Piece::Bytes(bytes) => out.write_all(&bytes),
            Piece::Hole(length) => zeros(length, out),
        }
        .map_err(Error::Write)?;
    }
    Ok(())
}

/// As [`copy`], but what cannot be read is zeros, and told to `lost`. Without `holes`, only what lies between them.
///
/// # Errors
/// When `out` takes no more.
pub fn copy_what_is_there(
    tree: &Tree,
    entry: &Entry,
    holes: bool,
    out: &mut dyn Write,
    lost: &mut dyn FnMut(Error),
) -> io::Result<()> {
    for piece in pieces(tree, entry) {
        match piece {
            Ok(Piece::Bytes(bytes)) => out.write_all(&bytes)?,
            Ok(Piece::Hole(length)) if holes => zeros(length, out)?,
            Ok(Piece::Hole(_)) => {}
            Err((length, error)) => {
                lost(error);
                zeros(length, out)?;
            }
        }
    }
    Ok(())
}

/// The stretches of data between holes, as offsets and lengths; `None` when the file has no hole.
///
/// # Errors
/// When the list of its pieces cannot be read.
pub fn stretches(tree: &Tree, entry: &Entry) -> Result<Option<Vec<(u64, u64)>>, Error> {
    let (mut stretches, mut holes) = (Vec::<(u64, u64)>::new(), false);
    for placed in extents(tree, entry) {
        let Placed { offset, extent } = placed?;
        match extent {
            Extent::Hole { .. } => holes = true,
            Extent::Chunk { length, .. } => match stretches.last_mut() {
                Some((start, long)) if *start + *long == offset => *long += u64::from(length),
                _ => stretches.push((offset, length.into())),
            },
        }
    }
    Ok(holes.then_some(stretches))
}

/// The content in memory; the caller has looked at its size.
///
/// # Errors
/// As [`copy`].
pub fn read(tree: &Tree, entry: &Entry) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    copy(tree, entry, &mut bytes)?;
    Ok(bytes)
}

/// A piece of a file.
pub(super) enum Piece {
    /// Content.
    Bytes(Bytes),
    /// As many bytes of nothing.
    Hole(u64),
}

/// The pieces of a file, in order; what cannot be read, with its length.
pub(super) fn pieces(tree: &Tree, entry: &Entry) -> impl Iterator<Item = Result<Piece, (u64, Error)>> {
    let (source, size) = (std::sync::Arc::clone(tree.source()), entry.size);
    let mut at = 0;
    extents(tree, entry).map(move |placed| {
        // After an error of the list itself nothing more comes: the rest of the file is lost.
        let Placed { offset, extent } = placed.map_err(|error| (size - at, error))?;
        let length = extent.length();
        at = offset + length;
        let Extent::Chunk { id, .. } = extent else { return Ok(Piece::Hole(length)) };
        match source.get(ChunkKind::Data, &id) {
            Ok(bytes) if bytes.len() as u64 == length => Ok(Piece::Bytes(bytes)),
            Ok(_) => Err((length, Error::Size(offset))),
            Err(source) => Err((length, Error::Chunk { offset, source })),
        }
    })
}

/// The extents of a file, checked to follow on each other up to its size.
fn extents(tree: &Tree, entry: &Entry) -> impl Iterator<Item = Result<Placed, Error>> {
    let mut extents = tree.extents(entry);
    let size = if matches!(entry.kind, EntryKind::File(_)) { entry.size } else { 0 };
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let at = next?;
        let placed = match extents.as_mut().and_then(Iterator::next) {
            Some(Ok(placed)) if placed.offset == at && placed.extent.length() <= size - at => Ok(placed),
            Some(Ok(_)) => Err(Error::Size(at)),
            Some(Err(error)) => Err(Error::Pages(error)),
            None if at == size => return None,
            None => Err(Error::Size(at)),
        };
        next = placed.as_ref().ok().and_then(|placed| at.checked_add(placed.extent.length()));
        Some(placed)
    })
}

fn zeros(mut length: u64, out: &mut dyn Write) -> io::Result<()> {
    let zeros = [0; ZEROS];
    while length > 0 {
        let now = length.min(ZEROS as u64);
        out.write_all(&zeros[..now as usize])?;
        length -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::catalog::testing::{MemoryChunks, entry, path, write};
    use crate::repo::chunks::ChunkSink;
    use crate::repo::entry::Content;
    use crate::repo::id::ChunkId;
    use std::sync::Arc;

    fn tree(extents: Vec<Extent>) -> (Arc<MemoryChunks>, Tree, Entry) {
        let chunks = Arc::new(MemoryChunks::default());
        chunks.put(ChunkKind::Data, b"data").unwrap();
        let size = extents.iter().map(Extent::length).sum();
        let file = Entry { size, ..entry(EntryKind::File(Content::Extents(extents))) };
        let root = write(&chunks, &[(path("/f"), file.clone())]);
        (chunks.clone(), Tree::open(chunks, root.skeleton), file)
    }

    #[test]
    fn holes_are_zeros_and_data_can_be_had_without_them() {
        let id = MemoryChunks::default().put(ChunkKind::Data, b"data").unwrap();
        let chunk = Extent::Chunk { id, length: 4 };
        let (_, tree, file) = tree(vec![chunk, chunk, Extent::Hole { length: 100_000 }, chunk]);
        let bytes = read(&tree, &file).unwrap();
        assert_eq!((bytes.len(), &bytes[..10], &bytes[100_006..]), (100_012, &b"datadata\0\0"[..], &b"\0\0data"[..]));
        assert_eq!(stretches(&tree, &file).unwrap(), Some(vec![(0, 8), (100_008, 4)]));
        let mut data = Vec::new();
        copy_what_is_there(&tree, &file, false, &mut data, &mut |error| panic!("{error}")).unwrap();
        assert_eq!(data, b"datadatadata");
        assert_eq!(read(&tree, &entry(EntryKind::Fifo)).unwrap(), b"");
    }

    #[test]
    fn what_is_missing_ends_the_stream() {
        let id = MemoryChunks::default().put(ChunkKind::Data, b"data").unwrap();
        let lost = Extent::Chunk { id: ChunkId([9; 32]), length: 4 };
        let (_, tree, mut file) = tree(vec![Extent::Chunk { id, length: 4 }, lost]);
        let mut out = Vec::new();
        assert!(matches!(copy(&tree, &file, &mut out), Err(Error::Chunk { offset: 4, .. })));
        assert_eq!(out, b"data");
        let (mut out, mut told) = (Vec::new(), 0);
        copy_what_is_there(&tree, &file, true, &mut out, &mut |_| told += 1).unwrap();
        assert_eq!((&out[..], told), (&b"data\0\0\0\0"[..], 1));
        file.size = 9;
        file.kind = EntryKind::File(Content::Extents(vec![Extent::Chunk { id, length: 4 }]));
        assert!(matches!(copy(&tree, &file, &mut out), Err(Error::Size(4))));
    }
}
