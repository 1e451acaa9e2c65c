//! The change-detection cache: what the last snapshot found in a source, so that the next one reads only what changed.
//!
//! One file per repository, writer and source, sealed under a key that only the writer's principal can derive, and bound to
//! all three and to the snapshot it describes. It is used or it is not: any damage means that files are read again, never
//! that wrong content is taken over. `FORMAT.md` ("Change cache") has the bytes.
//!
//! The caller sees to what the cache cannot know: that the snapshot is committed and the writer's newest of the source, and
//! that entries whose times lie within two seconds of being read are not pushed, for they may change again unseen.

mod entry;
mod page;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::CacheReader;
pub use writer::CacheWriter;

use super::Error;
use crate::crypto::aead::{OVERHEAD, Suite};
use crate::crypto::{hash, secret::Secret};
use crate::repo::entry::Entry;
use crate::repo::id::{RepositoryId, SnapshotId, WriterId};
use crate::repo::wire::{Decoder, Encoder};
use std::path::{Path, PathBuf};

/// First bytes of every change cache; the last one is the version.
const MAGIC: [u8; 8] = *b"bvcache\x01";
/// Bytes of a sealed header: snapshot, pages, entries, length of the file.
const SEALED_HEADER_LEN: usize = 32 + 3 * 8 + OVERHEAD;
/// Bytes before the first page: magic, suite, the cache's random id, sealed header.
const HEADER_LEN: usize = MAGIC.len() + 1 + 32 + SEALED_HEADER_LEN;
/// The number that the header has among the pages.
const HEADER_NUMBER: u64 = u64::MAX;

/// What a change cache belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The repository.
    pub repository: RepositoryId,
    /// The installation that wrote it.
    pub writer: WriterId,
    /// The source, by whatever the caller derives its identity from.
    pub source: [u8; 32],
}

/// One entry as the source showed it when it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEntry {
    /// Device number of its file system at that time.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Everything that the catalog holds about it.
    pub entry: Entry,
}

/// The place of one change cache.
#[derive(Debug)]
pub struct ChangeCache {
    path: PathBuf,
    secret: Secret,
    binding: Binding,
}

impl ChangeCache {
    /// The cache of `binding` below the folder `cache`, sealed under the writing principal's key for change caches.
    pub fn new(cache: &Path, key: Secret, binding: Binding) -> Self {
        let source: String = binding.source.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = cache.join(binding.repository.to_string()).join(format!("changes-{}-{source}", binding.writer));
        Self { path, secret: key, binding }
    }

    /// The place beside it for what a partial snapshot of the same source has: the cache of the complete one stays, since
    /// it has what the partial one did not come to.
    pub fn partial(&self) -> Self {
        let mut path = self.path.clone().into_os_string();
        path.push(".partial");
        Self { path: PathBuf::from(path), secret: self.secret.clone(), binding: self.binding }
    }

    /// Removes the cache, if there is one.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::io("remove", &self.path)),
        }
    }

    /// Opens the cache for reading; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged, cut short or bound to something else: worth a message, and then as if absent.
    pub fn read(&self) -> Result<Option<CacheReader>, Error> {
        CacheReader::open(self)
    }

    /// Begins a new cache beside the one there is, which [`CacheWriter::finish`] will replace.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn write(&self) -> Result<CacheWriter, Error> {
        CacheWriter::create(self)
    }

    /// The key of one cache file: nothing opens under it that was bound otherwise.
    fn file_key(&self, suite: Suite, id: &[u8; 32]) -> Secret {
        let mut bound = Encoder::new();
        bound.raw(&MAGIC).u8(suite as u8).raw(id);
        bound.raw(&self.binding.repository.0).raw(&self.binding.writer.0).raw(&self.binding.source);
        Secret::new(hash::keyed(&self.secret, &bound.into_bytes()))
    }

    fn error(&self, reason: impl ToString) -> Error {
        Error::Cache { path: self.path.clone(), reason: reason.to_string() }
    }
}

/// What the header seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    snapshot: SnapshotId,
    pages: u64,
    entries: u64,
    length: u64,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.raw(&self.snapshot.0).raw(&self.pages.to_le_bytes());
        encoder.raw(&self.entries.to_le_bytes()).raw(&self.length.to_le_bytes());
        encoder.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, crate::repo::wire::Error> {
        Decoder::whole(bytes, |decoder| {
            let snapshot = SnapshotId(decoder.array()?);
            let mut number = || decoder.array().map(u64::from_le_bytes);
            Ok(Self { snapshot, pages: number()?, entries: number()?, length: number()? })
        })
    }
}
