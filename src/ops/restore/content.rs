//! Bringing a regular file's bytes to what the snapshot says, one slice of extents after another, by any number of threads.
//!
//! A new file gets every chunk written and every hole left out. A file that was there is compared block by block, and only
//! what differs is written; holes become holes again. What cannot be read from the repository is left as a hole, counted
//! and told once for the file; everything else is restored all the same.

use super::context::Context;
use super::output::Output;
use super::report::{is_archived, is_damage};
use super::slices::{Piece, Slices};
use crate::repo::entry::{Content, EntryPath, Extent};
use crate::repo::id::ChunkKind;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Bytes that are compared, and written if they differ, as one: a page, and the block of most file systems.
const BLOCK: usize = 4096;

/// A regular file in the target while its content is brought to what it should be.
pub(super) struct Filling {
    file: File,
    /// Bytes that were there before; 0 for a new file.
    old: u64,
    size: u64,
    slices: Slices,
    /// Where the last byte written so far ends.
    end: AtomicU64,
    changed: AtomicBool,
    missing: Mutex<Missing>,
    failed: Mutex<Option<io::Error>>,
}

/// What cannot be read from the repository.
#[derive(Debug, Default)]
struct Missing {
    bytes: u64,
    first: Option<(u64, String)>,
    damage: bool,
    archived: bool,
}

/// How a file came out.
#[derive(Debug)]
pub(super) struct Filled {
    /// The file.
    pub(super) file: File,
    /// Every byte was there already.
    pub(super) unchanged: bool,
    /// What could not be read, and whether that is damage.
    pub(super) lacking: Option<(String, bool)>,
    /// What the target's file system refused; the content is incomplete.
    pub(super) failed: Option<io::Error>,
}

impl Filling {
    /// Starts on `output`, which should hold `content` of `size` bytes.
    pub(super) fn new(context: &Context<'_>, output: Output, content: Content, size: u64) -> Self {
        Self {
            file: output.file,
            old: output.old,
            size,
            slices: Slices::new(&context.source, content, size),
            end: AtomicU64::new(0),
            changed: AtomicBool::new(output.fresh),
            missing: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// A file whose content is taken to be what it should be: there is nothing to do.
    pub(super) fn trusted(context: &Context<'_>, output: Output) -> Self {
        let size = output.old;
        Self { size, ..Self::new(context, output, Content::EMPTY, 0) }
    }

    /// Works on slices until none is left, something failed, or somebody asked to stop.
    pub(super) fn work(&self, context: &Context<'_>) {
        let mut scratch = Vec::new();
        while self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_none() && !context.report.stopping() {
            let Some(slice) = self.slices.next() else { return };
            for (offset, piece) in slice {
                let length = piece.length();
                if let Err(error) = self.piece(context, offset, piece, &mut scratch) {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    return;
                }
                context.report.advance(length);
            }
        }
    }

    /// Ends the work: sets the size, and reports what is missing. Called once all threads have left [`Self::work`].
    pub(super) fn finish(self, context: &Context<'_>, path: &EntryPath) -> Filled {
        let mut failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut changed = self.changed.into_inner();
        if self.old.max(self.end.into_inner()) != self.size && failed.is_none() {
            changed = true;
            failed = rustix::fs::ftruncate(&self.file, self.size).err().map(Into::into);
        }
        let missing = self.missing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lacking = missing.first.map(|(offset, reason)| {
            let error = format!(
                "{} of {} bytes cannot be read and are zero now, the first at offset {offset}: {reason}",
                missing.bytes, self.size
            );
            context.report.unreadable(path, "content", &error, missing.damage);
            if missing.archived {
                context.report.archived();
            }
            (error, missing.damage)
        });
        Filled { file: self.file, unchanged: !changed, lacking, failed }
    }

    fn piece(&self, context: &Context<'_>, offset: u64, piece: Piece, scratch: &mut Vec<u8>) -> io::Result<()> {
        let (length, reason, damage) = match piece {
            Piece::Extent(Extent::Hole { length }) => return self.hole(offset, length),
            Piece::Extent(Extent::Chunk { id, length }) => match context.source.get(ChunkKind::Data, &id) {
                Ok(bytes) if bytes.len() == length as usize => return self.bytes(offset, &bytes, scratch),
                Ok(bytes) => (length.into(), format!("chunk {id} has {} bytes instead of {length}", bytes.len()), true),
                Err(error) => {
                    self.missing.lock().unwrap_or_else(PoisonError::into_inner).archived |= is_archived(&error);
                    (length.into(), error.to_string(), is_damage(&error))
                }
            },
            Piece::Lost { length, reason, damage } => (length, reason, damage),
        };
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.bytes += length;
        missing.damage |= damage;
        if missing.first.as_ref().is_none_or(|(first, _)| offset < *first) {
            missing.first = Some((offset, reason));
        }
        drop(missing);
        self.hole(offset, length)
    }

    /// Makes `bytes` stand at `offset`.
    fn bytes(&self, offset: u64, bytes: &[u8], scratch: &mut Vec<u8>) -> io::Result<()> {
        let there = usize::try_from(self.old.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        if there == 0 {
            return self.write(offset, bytes);
        }
        scratch.resize(there, 0);
        self.file.read_exact_at(scratch, offset)?;
        // Zeros that were written at the source are written here, not left as a hole that happens to read the same.
        if scratch[..] == bytes[..there] && !(is_zero(bytes) && has_hole(&self.file, offset, there as u64)) {
            return if there < bytes.len() { self.write(offset + there as u64, &bytes[there..]) } else { Ok(()) };
        }
        if is_zero(bytes) {
            return self.write(offset, bytes);
        }
        for (start, end) in differing(scratch, bytes, (offset % BLOCK as u64) as usize) {
            self.write(offset + start as u64, &bytes[start..end])?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.changed.store(true, Relaxed);
        self.end.fetch_max(offset + bytes.len() as u64, Relaxed);
        self.file.write_all_at(bytes, offset)
    }

    /// Makes `length` bytes at `offset` a hole.
    fn hole(&self, offset: u64, length: u64) -> io::Result<()> {
        let end = offset.saturating_add(length).min(self.old);
        if offset >= end || !has_data(&self.file, offset, end - offset) {
            return Ok(());
        }
        self.changed.store(true, Relaxed);
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Beyond the old end too, or the block that the file ended in would stay, full of zeros.
        let whole = offset.saturating_add(length).min(self.size).max(end) - offset;
        match rustix::fs::fallocate(&self.file, punch, offset, whole) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.zero(offset, end),
            other => Ok(other?),
        }
    }

    fn zero(&self, mut offset: u64, end: u64) -> io::Result<()> {
        let zeros = [0; 16 * BLOCK];
        while offset < end {
            let length = (end - offset).min(zeros.len() as u64);
            self.file.write_all_at(&zeros[..length as usize], offset)?;
            offset += length;
        }
        Ok(())
    }
}

/// Whether `file` of `length` bytes holds exactly `content`, holes included.
pub(super) fn equals(context: &Context<'_>, file: &File, length: u64, content: &Content) -> bool {
    let slices = Slices::new(&context.source, content.clone(), length);
    let same = |(offset, piece): (u64, Piece)| match piece {
        Piece::Extent(Extent::Hole { length }) => !has_data(file, offset, length),
        Piece::Extent(Extent::Chunk { id, length }) => context.source.get(ChunkKind::Data, &id).is_ok_and(|bytes| {
            let mut there = vec![0; length as usize];
            file.read_exact_at(&mut there, offset).is_ok() && there[..] == bytes[..]
        }),
        Piece::Lost { .. } => false,
    };
    std::iter::from_fn(|| slices.next()).flatten().all(same)
}

/// Where `file` first differs from `content` of `size` bytes, holes counting as zeros; what the repository cannot give is
/// passed over.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn first_difference(
    source: &std::sync::Arc<dyn crate::repo::chunks::ChunkSource>,
    file: &File,
    content: Content,
    size: u64,
) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    if length != size {
        return Ok(Some(length.min(size)));
    }
    let slices = Slices::new(source, content, size);
    let mut there = Vec::new();
    for (offset, piece) in std::iter::from_fn(|| slices.next()).flatten() {
        let found = match piece {
            Piece::Extent(Extent::Chunk { id, length }) => {
                there.resize(length as usize, 0);
                file.read_exact_at(&mut there, offset)?;
                let Ok(bytes) = source.get(ChunkKind::Data, &id) else { continue };
                there.iter().zip(bytes.iter()).position(|(a, b)| a != b).map(|at| at as u64)
            }
            Piece::Extent(Extent::Hole { length }) => first_data(file, offset, length, &mut there)?,
            Piece::Lost { .. } => None,
        };
        if let Some(at) = found {
            return Ok(Some(offset + at));
        }
    }
    Ok(None)
}

/// Where in what should be a hole the first byte lies that is not zero.
fn first_data(file: &File, offset: u64, length: u64, there: &mut Vec<u8>) -> io::Result<Option<u64>> {
    if !has_data(file, offset, length) {
        return Ok(None);
    }
    let mut at = 0;
    while at < length {
        there.resize((length - at).min(1 << 20) as usize, 0);
        file.read_exact_at(there, offset + at)?;
        if let Some(found) = there.iter().position(|&byte| byte != 0) {
            return Ok(Some(at + found as u64));
        }
        at += there.len() as u64;
    }
    Ok(None)
}

fn has_data(file: &File, offset: u64, length: u64) -> bool {
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data < offset + length,
        Err(error) => error != Errno::NXIO,
    }
}

fn has_hole(file: &File, offset: u64, length: u64) -> bool {
    rustix::fs::seek(file, SeekFrom::Hole(offset)).is_ok_and(|hole| hole < offset + length)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The ranges of `new` whose blocks differ from those of `old`, or lie behind its end; neighbours joined. Blocks are those
/// of the file, in which `new` starts `skew` bytes after a block's start.
fn differing(old: &[u8], new: &[u8], skew: usize) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    while start < new.len() {
        let end = (start + BLOCK - (start + skew) % BLOCK).min(new.len());
        if old.get(start..end) != Some(&new[start..end]) {
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        start = end;
    }
    ranges
}

/// Feeds what tells contents apart into `hasher`.
pub(super) fn hash(content: &Content, hasher: &mut impl Hasher) {
    match content {
        Content::Extents(extents) => extents.hash(hasher),
        Content::Tree { root, chunks } => (root, chunks).hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differing_blocks_are_named() {
        let old = vec![1; 5 * BLOCK];
        let mut new = vec![1; 6 * BLOCK + 10];
        assert_eq!(differing(&old, &new[..5 * BLOCK], 0), []);
        assert_eq!(differing(&old, &new, 0), [(5 * BLOCK, 6 * BLOCK + 10)]);
        new[BLOCK] = 2;
        new[3 * BLOCK - 1] = 2;
        assert_eq!(differing(&old, &new[..5 * BLOCK], 0), [(BLOCK, 3 * BLOCK)]);
        // Starting one byte into a block of the file, blocks end one byte earlier in the chunk.
        assert_eq!(differing(&old, &new[..5 * BLOCK], 1), [(BLOCK - 1, 2 * BLOCK - 1), (3 * BLOCK - 1, 4 * BLOCK - 1)]);
    }
}
