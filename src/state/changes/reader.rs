//! Reads a change cache in step with a walk over the source, page by page.
//!
//! Keys are asked for in ascending order, each at most once. After the first damage there is no cache any more; what was
//! returned before was authenticated and stays good.

use super::page::{LIMIT, Page};
use super::{CachedEntry, ChangeCache, HEADER_LEN, HEADER_NUMBER, Header, MAGIC, SEALED_HEADER_LEN};
use crate::crypto::aead::{self, OVERHEAD, Suite};
use crate::crypto::secret::Secret;
use crate::repo::id::SnapshotId;
use crate::repo::wire;
use crate::state::Error;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::PathBuf;

/// A change cache that is being read.
pub struct CacheReader {
    path: PathBuf,
    file: BufReader<File>,
    suite: Suite,
    key: Secret,
    header: Header,
    decompressor: zstd::bulk::Decompressor<'static>,
    pages_read: u64,
    entries_read: u64,
    page: Page,
    sealed: Vec<u8>,
    plain: Vec<u8>,
    /// The key of the entry that the page stands before, unless that is still to be read.
    next_key: Vec<u8>,
    has_key: bool,
    over: bool,
    damage: Option<Error>,
}

impl CacheReader {
    pub(super) fn open(cache: &ChangeCache) -> Result<Option<Self>, Error> {
        let mut file = match File::open(&cache.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("open", &cache.path))?,
        };
        let length = file.metadata().map_err(Error::io("read", &cache.path))?.len();
        let mut head = [0; HEADER_LEN];
        file.read_exact(&mut head).map_err(|_| cache.error("it is cut short"))?;
        let (suite, key, header) = open_header(cache, &head)?;
        if header.length != length {
            return Err(cache.error("it is cut short"));
        }
        Ok(Some(Self {
            path: cache.path.clone(),
            file: BufReader::with_capacity(256 * 1024, file),
            suite,
            key,
            header,
            decompressor: zstd::bulk::Decompressor::new().map_err(Error::io("decompress", &cache.path))?,
            pages_read: 0,
            entries_read: 0,
            page: Page::default(),
            sealed: Vec::new(),
            plain: Vec::new(),
            next_key: Vec::new(),
            has_key: false,
            over: false,
            damage: None,
        }))
    }

    /// The snapshot that the cache describes.
    pub const fn snapshot(&self) -> SnapshotId {
        self.header.snapshot
    }

    /// How many entries the cache holds.
    pub const fn entries(&self) -> u64 {
        self.header.entries
    }

    /// The entry with this key of the catalog's order, if the cache has it. Smaller ones are passed over for good.
    pub fn advance_to(&mut self, key: &[u8]) -> Option<CachedEntry> {
        if self.over {
            return None;
        }
        self.try_advance(key).unwrap_or_else(|error| {
            self.over = true;
            self.damage = Some(error);
            None
        })
    }

    /// The damage that ended the cache, once.
    pub const fn take_damage(&mut self) -> Option<Error> {
        self.damage.take()
    }

    fn try_advance(&mut self, key: &[u8]) -> Result<Option<CachedEntry>, Error> {
        while self.fill()? {
            let order = self.next_key.as_slice().cmp(key);
            if order == Ordering::Greater {
                return Ok(None);
            }
            let entry = self.page.next_entry();
            let entry = self.sound(entry)?;
            self.has_key = false;
            if order == Ordering::Equal {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Sees to it that the key of the next entry is known; `false` at the end.
    fn fill(&mut self) -> Result<bool, Error> {
        if self.has_key {
            return Ok(true);
        }
        while self.page.is_done() {
            if self.pages_read == self.header.pages {
                self.over = true;
                let complete = self.entries_read == self.header.entries;
                return if complete { Ok(false) } else { Err(self.error("it lacks entries")) };
            }
            self.read_page()?;
        }
        let next = self.page.next_key(&mut self.next_key);
        self.sound(next)?;
        self.entries_read += 1;
        self.has_key = true;
        Ok(true)
    }

    fn read_page(&mut self) -> Result<(), Error> {
        let mut length = [0; 4];
        self.file.read_exact(&mut length).map_err(Error::io("read", &self.path))?;
        let length = u32::from_le_bytes(length) as usize;
        // Compression adds next to nothing where it saves nothing.
        if length > LIMIT + LIMIT / 128 + OVERHEAD {
            return Err(self.error("a page is too long"));
        }
        self.sealed.resize(length, 0);
        self.file.read_exact(&mut self.sealed).map_err(Error::io("read", &self.path))?;
        let number = self.pages_read.to_le_bytes();
        let opened = aead::open(self.suite, &self.key, &number, &self.sealed).map_err(|error| self.error(error))?;
        let (length, compressed) = opened.split_first_chunk::<4>().ok_or_else(|| self.error("a page is too short"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > LIMIT {
            return Err(self.error("a page is too long"));
        }
        self.plain.resize(length, 0);
        let unpacked = self.decompressor.decompress_to_buffer(compressed, &mut self.plain[..]);
        if unpacked.map_err(Error::io("decompress", &self.path))? != length {
            return Err(self.error("a page has not the length that it claims"));
        }
        self.pages_read += 1;
        // Every page begins with a whole key.
        self.next_key.clear();
        let started = self.page.start(&mut self.plain);
        self.sound(started)
    }

    fn sound<T>(&self, decoded: Result<T, wire::Error>) -> Result<T, Error> {
        decoded.map_err(|error| self.error(format!("a page {error}")))
    }

    fn error(&self, reason: impl ToString) -> Error {
        Error::Cache { path: self.path.clone(), reason: reason.to_string() }
    }
}

fn open_header(cache: &ChangeCache, head: &[u8; HEADER_LEN]) -> Result<(Suite, Secret, Header), Error> {
    let (clear, sealed) = head.split_at(HEADER_LEN - SEALED_HEADER_LEN);
    let rest = clear.strip_prefix(&MAGIC).ok_or_else(|| cache.error("it is not one of this version"))?;
    let (&suite, id) = rest.split_first().expect("the header's length is fixed");
    let suite = Suite::try_from(suite).map_err(|error| cache.error(error))?;
    let key = cache.file_key(suite, id.try_into().expect("the header's length is fixed"));
    let opened = aead::open(suite, &key, &HEADER_NUMBER.to_le_bytes(), sealed);
    let opened = opened.map_err(|_| cache.error("it is damaged, or belongs to another writer or source"))?;
    let header = Header::decode(&opened).map_err(|error| cache.error(error))?;
    Ok((suite, key, header))
}
