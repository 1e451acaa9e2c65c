//! Writing a catalog: entries in key order go in, pages go out as they end; one page per level is in memory.
//!
//! Equal entries give equal trees, whoever writes them and from whatever history. Not here: the order of a walk, which is the
//! caller's to follow (see [`key`]).

use super::cut::{Cutter, Hashed};
use super::page::PageWriter;
use super::rules::{self, INLINE_VALUE};
use super::skeleton::{Family, Head};
use super::spine::Spine;
use super::{CatalogKeys, Error, TreeRoot, key, value};
use crate::repo::chunks::ChunkSink;
use crate::repo::entry::{Entry, EntryName, EntryPath, XattrValue};
use std::borrow::Cow;

/// A catalog being written.
#[derive(Clone)]
pub struct TreeWriter<'a> {
    sink: &'a dyn ChunkSink,
    keys: CatalogKeys,
    leaf: PageWriter,
    cutter: Cutter,
    spine: Spine<'a>,
    key: Vec<u8>,
    last: Option<Vec<u8>>,
}

impl<'a> TreeWriter<'a> {
    /// An empty catalog whose pages go to `sink`.
    pub fn new(sink: &'a dyn ChunkSink, keys: CatalogKeys) -> Self {
        Self {
            sink,
            keys,
            leaf: PageWriter::new(Head { family: Family::Entries, level: 0 }),
            cutter: Cutter::default(),
            spine: Spine::new(sink, Family::Entries),
            key: Vec::new(),
            last: None,
        }
    }

    /// Adds the root's own attributes. They come first.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_root(&mut self, entry: &Entry) -> Result<(), Error> {
        self.key.clear();
        self.add(entry)
    }

    /// Adds the entry `name` of the directory `parent`. Keys must ascend: a directory's entries in byte order of their names,
    /// then, in the same order, what lies below each. Attribute values longer than 1 KiB are put out of line here if
    /// the caller has not done so.
    ///
    /// # Errors
    /// [`Error::Order`], [`Error::Entry`] when the entry contradicts itself, [`Error::Sink`].
    pub fn push(&mut self, parent: &EntryPath, name: &EntryName, entry: &Entry) -> Result<(), Error> {
        key::encode_child(parent, name, &mut self.key);
        self.add(entry)
    }

    /// Adds an entry by its path, the root's included.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_path(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), Error> {
        key::encode_into(path, &mut self.key);
        self.add(entry)
    }

    /// A catalog of the entries added so far; this one goes on. Pages that had ended are shared by both.
    ///
    /// # Errors
    /// [`Error::Sink`].
    pub fn so_far(&self) -> Result<TreeRoot, Error> {
        self.clone().finish()
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`Error::Sink`].
    pub fn finish(self) -> Result<TreeRoot, Error> {
        let root = self.spine.finish(&self.keys, self.leaf)?;
        Ok(TreeRoot { skeleton: root.id, entries: root.totals[0], bytes: root.totals[1] })
    }

    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.last.as_ref().is_some_and(|last| *last >= self.key) {
            return Err(Error::Order(self.path()));
        }
        let entry = with_long_values_out(self.sink, entry)?;
        rules::check(&entry).map_err(|reason| Error::Entry { path: self.path(), reason })?;
        let weight = self.key.len() as u64 + self.leaf.entry(&self.key, &entry);
        if self.cutter.ends_after(&self.keys, 0, weight, &Hashed::Key(&self.key)) {
            self.spine.add(&self.keys, self.leaf.finish(self.sink)?)?;
        }
        std::mem::swap(&mut self.key, self.last.get_or_insert_default());
        Ok(())
    }

    fn path(&self) -> EntryPath {
        key::decode(&self.key).unwrap_or_default()
    }
}

/// The entry with every long attribute value stored as chunks.
fn with_long_values_out<'e>(sink: &dyn ChunkSink, entry: &'e Entry) -> Result<Cow<'e, Entry>, Error> {
    let long = |value: &XattrValue| matches!(value, XattrValue::Inline(bytes) if bytes.len() > INLINE_VALUE);
    let mut entry = Cow::Borrowed(entry);
    if entry.xattrs.iter().any(|(_, value)| long(value)) {
        for (_, value) in &mut entry.to_mut().xattrs {
            if let XattrValue::Inline(bytes) = value {
                *value = value::store_value(sink, bytes)?;
            }
        }
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::super::reader::Tree;
    use super::super::testing::{MemoryChunks, entry, file, forest, keys, path};
    use super::*;
    use crate::repo::entry::{Content, EntryKind, Extent};
    use crate::repo::id::{ChunkId, ChunkKind};
    use std::sync::Arc;

    #[test]
    fn order_is_kept_strictly() {
        let chunks = MemoryChunks::default();
        let mut writer = TreeWriter::new(&chunks, keys());
        let directory = entry(EntryKind::Directory);
        writer.push_root(&directory).unwrap();
        assert!(matches!(writer.push_root(&directory), Err(Error::Order(_))));
        writer.push_path(&path("/b"), &directory).unwrap();
        for late in ["/", "/a", "/b"] {
            assert!(matches!(writer.push_path(&path(late), &directory), Err(Error::Order(p)) if p == path(late)));
        }
        writer.push_path(&path("/b/c"), &directory).unwrap();
        assert_eq!(writer.finish().unwrap().entries, 3);
    }

    #[test]
    fn entries_that_contradict_themselves_are_refused() {
        let chunks = MemoryChunks::default();
        let mut writer = TreeWriter::new(&chunks, keys());
        let good = file(1, &[5]);
        let empty = Extent::Chunk { id: ChunkId([0; 32]), length: 0 };
        let bad = [
            Entry { size: 6, ..good.clone() },
            Entry { mode: 0o10000, ..good.clone() },
            Entry { kind: EntryKind::File(Content::Extents(vec![empty])), size: 0, ..good.clone() },
            Entry { size: 1, ..entry(EntryKind::Fifo) },
            Entry { xattrs: [b"b", b"a"].map(|n| (n.to_vec(), XattrValue::Inline(vec![]))).to_vec(), ..good.clone() },
        ];
        for bad in bad {
            assert!(matches!(writer.push_path(&path("/a"), &bad), Err(Error::Entry { .. })), "{bad:?}");
        }
        writer.push_path(&path("/a"), &good).unwrap();
    }

    #[test]
    fn what_was_added_so_far_is_a_catalog_and_the_writing_goes_on() {
        let chunks = MemoryChunks::default();
        let entries = forest(20, 300);
        let (first, all) = (&entries[..2_000], &entries[..]);
        let mut writer = TreeWriter::new(&chunks, keys());
        first.iter().for_each(|(path, entry)| writer.push_path(path, entry).unwrap());
        let so_far = writer.so_far().unwrap();
        entries[2_000..].iter().for_each(|(path, entry)| writer.push_path(path, entry).unwrap());
        let whole = writer.finish().unwrap();
        assert_eq!(so_far, super::super::testing::write(&chunks, first));
        assert_eq!(whole, super::super::testing::write(&chunks, all));
        assert_eq!((so_far.entries, whole.entries), (2_000, entries.len() as u64));
    }

    #[test]
    fn long_values_leave_their_entry() {
        let chunks = Arc::new(MemoryChunks::default());
        let long: Vec<u8> = (0..3000u32).map(|at| at as u8).collect();
        let mut given = file(1, &[5]);
        given.xattrs = vec![(b"user.long".to_vec(), XattrValue::Inline(long.clone()))];
        let mut writer = TreeWriter::new(&*chunks, keys());
        writer.push_path(&path("/a"), &given).unwrap();
        let tree = Tree::open(chunks.clone(), writer.finish().unwrap().skeleton);
        let read = tree.get(&path("/a")).unwrap().unwrap().entry;
        assert_eq!(value::read_value(&*chunks, &read.xattrs[0].1).unwrap(), long);
    }

    #[test]
    fn one_change_among_many_entries_touches_one_page_per_level() {
        let chunks = MemoryChunks::default();
        let mut entries = forest(100, 300);
        let first = super::super::testing::write(&chunks, &entries);
        let before = chunks.of(ChunkKind::Skeleton).len();
        assert!(before > 50);
        entries[15_000].1.mode = 0o600;
        let changed = super::super::testing::write(&chunks, &entries);
        assert_ne!(first, changed);
        assert!(chunks.of(ChunkKind::Skeleton).len() - before <= 4);
        entries.remove(20_000);
        let before = chunks.of(ChunkKind::Skeleton).len();
        super::super::testing::write(&chunks, &entries);
        assert!(chunks.of(ChunkKind::Skeleton).len() - before <= 8);
    }
}
