//! Copies a catalog into a session, entry by entry: for snapshots that are made of others.
//!
//! Invariant: what the new catalog needs is at places that the session may rely on: chunks that are at none are read where
//! they are and stored anew. What `excludes` names is left out with all below it, and a folder left out is not entered.

use super::snapshot;
use crate::event::{Event, Sink};
use crate::repo::catalog::{self, CatalogKeys, ExtentWriter, Sums, Tree, TreeRoot, TreeWriter};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks::{self, ChunkSink};
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::{ChunkId, ChunkKind};
use crate::source::files::exclude::ExcludeSet;

/// A copy under way.
pub struct TreeCopy<'a> {
    /// What is copied, with where its chunks are read.
    pub tree: &'a Tree,
    /// What is where, as the session sees it.
    pub index: &'a ChunkIndex,
    /// Where pages and chunks go.
    pub sink: &'a dyn ChunkSink,
    /// What decides where pages end.
    pub keys: &'a CatalogKeys,
    /// What is left out.
    pub excludes: &'a ExcludeSet,
    /// Whether an entry whose content is lost is reported and left out, and not the end of the copy.
    pub lenient: bool,
    /// Who listens.
    pub events: &'a dyn Sink,
}

/// What was copied.
#[derive(Debug, Clone, Copy)]
pub struct Copied {
    /// The new catalog.
    pub root: TreeRoot,
    /// What was left out by a pattern.
    pub left_out: Sums,
    /// Entries and folders whose content or list is lost.
    pub lost: u64,
}

impl TreeCopy<'_> {
    /// Copies.
    ///
    /// # Errors
    /// When something cannot be read or written, or somebody asked to stop.
    pub fn run(&self) -> Result<Copied, snapshot::Error> {
        let mut writer = TreeWriter::new(self.sink, self.keys.clone());
        let (mut left_out, mut lost) = (Sums::default(), 0);
        if let Some(root) = self.tree.root_entry()? {
            writer.push_root(&root.entry)?;
        }
        let mut pending = vec![EntryPath::default()];
        while let Some(folder) = pending.pop() {
            let inside = self.excludes.inside(&folder);
            let mut below = Vec::new();
            for child in self.tree.children(&folder, None) {
                if self.events.stopping() {
                    return Err(snapshot::Error::Stopped);
                }
                let (name, entry) = match child {
                    Ok((_, name, entry)) => (name, entry),
                    Err(error) => {
                        self.lose(&folder, error.into())?;
                        lost += 1;
                        continue;
                    }
                };
                let path = folder.join(name.clone());
                if inside.excludes(name.as_bytes()) {
                    left_out = left_out.plus(self.tree.sums(&path)?);
                    continue;
                }
                match self.entry(entry) {
                    Ok(entry) => {
                        writer.push(&folder, &name, &entry)?;
                        if entry.kind == EntryKind::Directory {
                            below.push(path);
                        }
                    }
                    Err(error) => {
                        self.lose(&path, error)?;
                        lost += 1;
                    }
                }
            }
            pending.extend(below.into_iter().rev());
        }
        Ok(Copied { root: writer.finish()?, left_out, lost })
    }

    /// Reports what cannot be read, if that may be; else gives the error back.
    fn lose(&self, path: &EntryPath, error: snapshot::Error) -> Result<(), snapshot::Error> {
        if !self.lenient || !is_loss(&error) {
            return Err(error);
        }
        let (path, error) = (path.to_bytes(), error.to_string());
        self.events.emit(Event::Problem { path, during: "reading what is stored", error });
        Ok(())
    }

    /// The entry, with all that it needs at places that may be relied on.
    fn entry(&self, mut entry: Entry) -> Result<Entry, snapshot::Error> {
        match &entry.kind {
            EntryKind::File(Content::Extents(extents)) => extents.iter().try_for_each(|extent| self.extent(extent))?,
            EntryKind::File(Content::Tree { .. }) => {
                let extents = self.tree.extents(&entry).into_iter().flatten();
                let mut writer = ExtentWriter::new(self.sink, self.keys);
                for placed in extents {
                    let extent = placed?.extent;
                    self.extent(&extent)?;
                    writer.push(extent)?;
                }
                entry.kind = EntryKind::File(writer.finish()?);
            }
            _ => {}
        }
        for (_, value) in &entry.xattrs {
            if let XattrValue::Chunks(chunks) = value {
                chunks.iter().try_for_each(|(id, _)| self.chunk(id))?;
            }
        }
        Ok(entry)
    }

    fn extent(&self, extent: &Extent) -> Result<(), snapshot::Error> {
        match extent {
            Extent::Chunk { id, .. } => self.chunk(id),
            Extent::Hole { .. } => Ok(()),
        }
    }

    fn chunk(&self, id: &ChunkId) -> Result<(), snapshot::Error> {
        if !self.index.has_good(ChunkKind::Data, id) {
            let bytes = self.tree.source().get(ChunkKind::Data, id)?;
            self.sink.put(ChunkKind::Data, &bytes)?;
        }
        Ok(())
    }
}

/// Whether an error says that something stored is lost, and not that reading or writing failed.
fn is_loss(error: &snapshot::Error) -> bool {
    let lost = |error: &chunks::Error| matches!(error, chunks::Error::Unknown { .. } | chunks::Error::Damaged { .. });
    match error {
        snapshot::Error::Chunk(error) => lost(error),
        snapshot::Error::Catalog(catalog::Error::Page(page)) => match &page.cause {
            catalog::Fault::Chunk(error) => lost(error),
            catalog::Fault::Format(_) | catalog::Fault::Mismatch(_) => true,
        },
        _ => false,
    }
}

/// What the patterns would leave out.
///
/// # Errors
/// When a page cannot be read.
pub fn left_out(tree: &Tree, excludes: &ExcludeSet) -> Result<Sums, catalog::Error> {
    let mut sums = Sums::default();
    let mut pending = vec![EntryPath::default()];
    while let Some(folder) = pending.pop() {
        let inside = excludes.inside(&folder);
        for child in tree.children(&folder, None) {
            let (_, name, entry) = child?;
            let excluded = inside.excludes(name.as_bytes());
            let path = folder.join(name);
            if excluded {
                sums = sums.plus(tree.sums(&path)?);
            } else if entry.kind == EntryKind::Directory {
                pending.push(path);
            }
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::Suite;
    use crate::event::Silent;
    use crate::repo::catalog::testing::{MemoryChunks, any_extents, entry, file, forest, keys, path, write};
    use crate::repo::chunk_index::IndexedPack;
    use crate::repo::id::{DataKeyId, PackId, WriterId};
    use crate::repo::segment::{Codec, Origin, SegmentDescriptor};
    use std::sync::Arc;

    /// An index that knows good places of these chunks.
    fn index(ids: Vec<ChunkId>) -> ChunkIndex {
        let row = SegmentDescriptor {
            kind: ChunkKind::Data,
            suite: Suite::Aes256Gcm,
            codec: Codec::Stored,
            epoch: 1,
            offset: 0,
            length: 64,
            hash: [0; 32],
            key_id: DataKeyId([0; 32]),
            origin: Origin { writer: WriterId([0; 16]), seq: 1 },
            ids,
            bases: Vec::new(),
        };
        let mut index = ChunkIndex::new();
        index.add(IndexedPack { id: PackId([1; 32]), length: 64, good: true }, [row]);
        index
    }

    fn data_of(entry: &Entry) -> Vec<ChunkId> {
        let EntryKind::File(Content::Extents(extents)) = &entry.kind else { return Vec::new() };
        let chunk = |extent: &Extent| match extent {
            Extent::Chunk { id, .. } => Some(*id),
            Extent::Hole { .. } => None,
        };
        extents.iter().filter_map(chunk).collect()
    }

    /// A forest with a file so long that its extents are a tree, and all chunks that it needs.
    fn long_forest(chunks: &MemoryChunks) -> (Vec<(EntryPath, Entry)>, Vec<ChunkId>) {
        let mut entries = forest(20, 30);
        let (keys, mut ids) = (keys(), entries.iter().flat_map(|(_, entry)| data_of(entry)).collect::<Vec<_>>());
        let mut writer = ExtentWriter::new(chunks, &keys);
        for extent in any_extents(2000) {
            if let Extent::Chunk { id, .. } = extent {
                ids.push(id);
            }
            writer.push(extent).unwrap();
        }
        let size = writer.length();
        let content = writer.finish().unwrap();
        assert!(matches!(content, Content::Tree { .. }));
        entries.push((path("/directory-00003/long"), Entry { size, ..entry(EntryKind::File(content)) }));
        (entries, ids)
    }

    fn copy(
        chunks: &Arc<MemoryChunks>,
        root: ChunkId,
        index: &ChunkIndex,
        excludes: &[&str],
        lenient: bool,
    ) -> Result<Copied, snapshot::Error> {
        let tree = Tree::open(chunks.clone(), root);
        let (keys, excludes) = (keys(), ExcludeSet::new(excludes).unwrap());
        let events = &Silent;
        TreeCopy { tree: &tree, index, sink: &**chunks, keys: &keys, excludes: &excludes, lenient, events }.run()
    }

    #[test]
    fn a_copy_is_the_tree_that_the_entries_that_stay_would_give() {
        let chunks = Arc::new(MemoryChunks::default());
        let (entries, ids) = long_forest(&chunks);
        let (root, index) = (write(&chunks, &entries), index(ids));
        let same = copy(&chunks, root.skeleton, &index, &[], false).unwrap();
        assert_eq!((same.root, same.left_out, same.lost), (root, Sums::default(), 0));
        let gone = |path: &EntryPath| {
            let text = String::from_utf8(path.to_bytes()).unwrap();
            text.starts_with("/directory-00007") || text.ends_with("file-00004.txt")
        };
        let stays: Vec<_> = entries.iter().filter(|(path, _)| !gone(path)).cloned().collect();
        let patterns = ["/directory-00007", "file-00004.txt"];
        let copied = copy(&chunks, root.skeleton, &index, &patterns, false).unwrap();
        assert_eq!(copied.root, write(&chunks, &stays));
        assert_eq!(copied.left_out.entries, (entries.len() - stays.len()) as u64);
        let tree = Tree::open(chunks.clone(), root.skeleton);
        assert_eq!(left_out(&tree, &ExcludeSet::new(patterns).unwrap()).unwrap(), copied.left_out);
    }

    #[test]
    fn lost_content_ends_a_copy_or_only_costs_its_entry() {
        let chunks = Arc::new(MemoryChunks::default());
        let entries = vec![
            (path("/"), entry(EntryKind::Directory)),
            (path("/good"), file(1, &[5])),
            (path("/lost"), file(2, &[5])),
        ];
        let (root, index) = (write(&chunks, &entries), index(data_of(&entries[1].1)));
        let strict = copy(&chunks, root.skeleton, &index, &[], false);
        assert!(matches!(strict, Err(snapshot::Error::Chunk(chunks::Error::Unknown { .. }))), "{strict:?}");
        let lenient = copy(&chunks, root.skeleton, &index, &[], true).unwrap();
        assert_eq!((lenient.lost, lenient.root), (1, write(&chunks, &entries[..2])));
    }
}
