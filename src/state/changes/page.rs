//! A page of the change cache before it is compressed and sealed: a table of owners, then entries in ascending order of
//! their keys, each key without the bytes that it shares with the one before.

use super::CachedEntry;
use super::entry::{self, Owner};
use crate::repo::entry::Entry;
use crate::repo::wire::{Decoder, Encoder, Error};

/// A page is closed when it has grown to this many bytes.
pub(super) const TARGET: usize = 64 * 1024;
/// No page is longer: an entry has at most some hundred extents.
pub(super) const LIMIT: usize = 16 * 1024 * 1024;

/// A page that is being filled.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    owners: Vec<Owner>,
    /// The owner of the entry before: most often that of the next, too.
    last_owner: usize,
    last_key: Vec<u8>,
    entries: Encoder,
}

impl PageBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= TARGET
    }

    pub(super) fn push(&mut self, key: &[u8], device: u64, inode: u64, entry: &Entry) {
        let shared = key.iter().zip(&self.last_key).take_while(|(a, b)| a == b).count();
        self.entries.uint(shared as u64).bytes(&key[shared..]);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        let owner = self.owner(entry);
        entry::encode(&mut self.entries, device, inode, owner, entry);
    }

    /// The page's bytes; the builder is empty again.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let page = std::mem::take(self);
        let mut encoder = Encoder::new();
        encoder.list(&page.owners, |encoder, owner| owner.encode(encoder)).raw(&page.entries.into_bytes());
        encoder.into_bytes()
    }

    fn owner(&mut self, entry: &Entry) -> usize {
        if !self.owners.get(self.last_owner).is_some_and(|owner| owner.owns(entry)) {
            let known = self.owners.iter().position(|owner| owner.owns(entry));
            self.last_owner = known.unwrap_or_else(|| {
                self.owners.push(Owner::of(entry));
                self.owners.len() - 1
            });
        }
        self.last_owner
    }
}

/// A page that is being read, entry after entry.
#[derive(Debug, Default)]
pub(super) struct Page {
    bytes: Vec<u8>,
    at: usize,
    owners: Vec<Owner>,
}

impl Page {
    /// Begins to read a page; the buffer of the one before is given back through `bytes`.
    pub(super) fn start(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        std::mem::swap(&mut self.bytes, bytes);
        let mut decoder = Decoder::new(&self.bytes);
        self.owners = decoder.list(Owner::decode)?;
        self.at = self.bytes.len() - decoder.rest().len();
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Turns `key`, that of the entry before, into that of the next. Empty keys come first of all if at all.
    pub(super) fn next_key(&mut self, key: &mut Vec<u8>) -> Result<(), Error> {
        self.take(|decoder, _| {
            let shared: usize = decoder.uint_as()?;
            let suffix = decoder.bytes()?;
            if shared > key.len() {
                return Err(Error::Invalid("shares more than there is"));
            }
            key.truncate(shared);
            key.extend_from_slice(suffix);
            Ok(())
        })
    }

    /// The entry whose key was just read.
    pub(super) fn next_entry(&mut self) -> Result<CachedEntry, Error> {
        self.take(entry::decode)
    }

    fn take<T>(&mut self, read: impl FnOnce(&mut Decoder<'_>, &[Owner]) -> Result<T, Error>) -> Result<T, Error> {
        let mut decoder = Decoder::new(&self.bytes[self.at..]);
        let value = read(&mut decoder, &self.owners)?;
        self.at = self.bytes.len() - decoder.rest().len();
        Ok(value)
    }
}
