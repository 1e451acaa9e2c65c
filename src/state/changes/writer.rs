//! Writes a change cache page by page into a temporary file, and puts it in place once the snapshot has an id.
//!
//! Not synced: what a power cut leaves of it does not open, and then files are read again.

use super::page::{LIMIT, PageBuilder};
use super::{ChangeCache, HEADER_LEN, HEADER_NUMBER, Header, MAGIC};
use crate::crypto::aead::{self, Suite};
use crate::crypto::secret::{Secret, random};
use crate::repo::entry::Entry;
use crate::repo::id::SnapshotId;
use crate::state::{Error, make_own};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How old an unfinished cache must be to count as left over.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A change cache that is being written. Dropped unfinished, it leaves nothing behind.
pub struct CacheWriter {
    target: PathBuf,
    /// Taken when the file has got its real name.
    temporary: Option<PathBuf>,
    file: BufWriter<File>,
    suite: Suite,
    id: [u8; 32],
    key: Secret,
    compressor: zstd::bulk::Compressor<'static>,
    page: PageBuilder,
    last_key: Option<Vec<u8>>,
    header: Header,
}

impl CacheWriter {
    pub(super) fn create(cache: &ChangeCache) -> Result<Self, Error> {
        let folder = cache.path.parent().expect("caches lie in the repository's folder");
        make_own(folder)?;
        remove_left_overs(folder);
        let (suite, id) = (Suite::fastest_here(), random());
        let temporary = cache.path.with_extension(format!("new-{}", u128::from_le_bytes(random())));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let mut writer = Self {
            target: cache.path.clone(),
            file: BufWriter::with_capacity(256 * 1024, file.map_err(Error::io("make", &temporary))?),
            temporary: Some(temporary),
            suite,
            id,
            key: cache.file_key(suite, &id),
            compressor: zstd::bulk::Compressor::new(1).map_err(Error::io("compress", &cache.path))?,
            page: PageBuilder::default(),
            last_key: None,
            header: Header { snapshot: SnapshotId([0; 32]), pages: 0, entries: 0, length: HEADER_LEN as u64 },
        };
        writer.append(&[0; HEADER_LEN])?;
        Ok(writer)
    }

    /// Adds the entry with this key of the catalog's order; keys must ascend.
    ///
    /// # Errors
    /// When the key does not come after the one before, or writing fails. The snapshot does not depend on it: report the
    /// error and go on without the cache.
    pub fn push(&mut self, key: &[u8], device: u64, inode: u64, entry: &Entry) -> Result<(), Error> {
        match &mut self.last_key {
            Some(last) if last.as_slice() >= key => return Err(self.error("keys do not ascend")),
            Some(last) => {
                last.clear();
                last.extend_from_slice(key);
            }
            None => self.last_key = Some(key.to_vec()),
        }
        self.page.push(key, device, inode, entry);
        self.header.entries += 1;
        if self.page.is_full() { self.close_page() } else { Ok(()) }
    }

    /// Leaves what was pushed so far in `place` as the description of `snapshot`, a partial one, and goes on. `place` is
    /// the [`ChangeCache::partial`] of this very cache.
    ///
    /// # Errors
    /// When that fails; this cache is of no use then either, if it could not be written.
    pub fn describe_partial(&mut self, place: &ChangeCache, snapshot: &SnapshotId) -> Result<(), Error> {
        if !self.page.is_empty() {
            self.close_page()?;
        }
        self.file.flush().map_err(Error::io("write", &self.target))?;
        let temporary = self.temporary.as_ref().expect("only finishing takes it, once");
        let mut copy = Copied(place.path.with_extension(format!("new-{}", u128::from_le_bytes(random()))), false);
        std::fs::copy(temporary, &copy.0).map_err(Error::io("make", &copy.0))?;
        let file = OpenOptions::new().write(true).open(&copy.0).map_err(Error::io("open", &copy.0))?;
        file.write_all_at(&self.head(snapshot), 0).map_err(Error::io("write", &copy.0))?;
        std::fs::rename(&copy.0, &place.path).map_err(Error::io("replace", &place.path))?;
        copy.1 = true;
        Ok(())
    }

    /// Completes the cache as the description of `snapshot` and puts it in the place of the one before.
    ///
    /// # Errors
    /// When that fails; the one before then stays.
    pub fn finish(mut self, snapshot: &SnapshotId) -> Result<(), Error> {
        if !self.page.is_empty() {
            self.close_page()?;
        }
        let head = self.head(snapshot);
        self.file.rewind().map_err(Error::io("write", &self.target))?;
        self.append(&head)?;
        self.file.flush().map_err(Error::io("write", &self.target))?;
        let temporary = self.temporary.as_ref().expect("only finishing takes it, once");
        std::fs::rename(temporary, &self.target).map_err(Error::io("replace", &self.target))?;
        self.temporary = None;
        Ok(())
    }

    /// The file's beginning, for what was pushed so far.
    fn head(&self, snapshot: &SnapshotId) -> Vec<u8> {
        let header = Header { snapshot: *snapshot, ..self.header };
        let mut head = Vec::with_capacity(HEADER_LEN);
        head.extend_from_slice(&MAGIC);
        head.push(self.suite as u8);
        head.extend_from_slice(&self.id);
        head.extend_from_slice(&self.seal(HEADER_NUMBER, &header.encode()));
        head
    }

    fn close_page(&mut self) -> Result<(), Error> {
        let plain = self.page.take();
        let length = u32::try_from(plain.len()).ok().filter(|_| plain.len() <= LIMIT);
        let length = length.ok_or_else(|| self.error("an entry is too long"))?;
        let compressed = self.compressor.compress(&plain).map_err(Error::io("compress", &self.target))?;
        let sealed = self.seal(self.header.pages, &[&length.to_le_bytes(), compressed.as_slice()].concat());
        let stored = u32::try_from(sealed.len()).expect("pages are far below 4 GiB");
        self.append(&stored.to_le_bytes())?;
        self.append(&sealed)?;
        self.header.pages += 1;
        self.header.length += 4 + sealed.len() as u64;
        Ok(())
    }

    fn seal(&self, number: u64, plain: &[u8]) -> Vec<u8> {
        aead::seal(self.suite, &self.key, &number.to_le_bytes(), plain)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.target))
    }

    fn error(&self, reason: &str) -> Error {
        Error::Cache { path: self.target.clone(), reason: reason.to_owned() }
    }
}

/// A copy under way, and whether it got its real name: else it leaves nothing behind.
struct Copied(PathBuf, bool);

impl Drop for Copied {
    fn drop(&mut self) {
        if !self.1 {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

impl Drop for CacheWriter {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // If it cannot be removed now, it will be as a left-over.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Removes unfinished caches of runs that were killed. Failures only leave them for next time.
fn remove_left_overs(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let unfinished = entry.path().extension().is_some_and(|name| name.as_encoded_bytes().starts_with(b"new-"));
        let age = entry.metadata().and_then(|stat| stat.modified()).ok().and_then(|modified| modified.elapsed().ok());
        if unfinished && age.is_some_and(|age| age > LEFT_OVER_AFTER) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
