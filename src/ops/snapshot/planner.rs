//! The walk's side of a snapshot: meets each directory's children with the last snapshot's cache, in step, and decides what
//! has to be read.

use super::Options;
use super::batch::{Batch, Finished, Item};
use crate::event::{EntryStatus, Event, Level, Sink};
use crate::repo::catalog::key;
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::entry::{Content, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::ChunkKind;
use crate::source::files::stat::{Kind, Stamp, Stat};
use crate::source::files::walk::{Child, Directory};
use crate::state::changes::{CacheReader, CachedEntry};
use std::sync::Arc;

/// A batch ends after this many children …
const BATCH_ITEMS: usize = 128;
/// … or this many bytes to read, so that workers share one folder's large files.
const BATCH_BYTES: u64 = 8 << 20;

/// Decides, child by child, what the last snapshot already holds.
pub(super) struct Planner<'a> {
    options: &'a Options,
    cache: Option<CacheReader>,
    index: &'a ChunkIndex,
    events: &'a dyn Sink,
    next_number: u64,
    key: Vec<u8>,
}

impl<'a> Planner<'a> {
    /// A planner; without a cache everything is read.
    pub fn new(options: &'a Options, cache: Option<CacheReader>, index: &'a ChunkIndex, events: &'a dyn Sink) -> Self {
        Self { options, cache, index, events, next_number: 0, key: Vec::new() }
    }

    /// Splits a directory into batches.
    pub fn plan(&mut self, directory: Directory, mut each: impl FnMut(Batch) -> bool) -> bool {
        let path = Arc::new(directory.path().clone());
        self.tell_excluded(&directory);
        let mut items = Vec::new();
        let mut bytes = 0;
        let mut children = directory.children.into_iter().peekable();
        while let Some(child) = children.next() {
            let item = self.plan_child(&path, child);
            bytes += match &item {
                Item::Read { child, content: None, .. } => child.stat.size,
                _ => 0,
            };
            items.push(item);
            if items.len() >= BATCH_ITEMS || bytes >= BATCH_BYTES || children.peek().is_none() {
                let number = self.next_number;
                self.next_number += 1;
                bytes = 0;
                let items = std::mem::take(&mut items);
                if !each(Batch { number, directory: Arc::clone(&path), handle: Arc::clone(&directory.handle), items }) {
                    return false;
                }
            }
        }
        true
    }

    fn tell_excluded(&self, directory: &Directory) {
        if !self.events.wants_all() {
            return;
        }
        for excluded in &directory.excluded {
            let (path, rule) = (directory.handle.path_of(&excluded.name), excluded.reason.to_string());
            self.events.emit(Event::Excluded { path, rule });
        }
    }

    fn plan_child(&mut self, directory: &EntryPath, child: Child) -> Item {
        let Some(cached) = self.cached(directory, &child) else {
            return Item::Read { child, content: None, status: EntryStatus::New };
        };
        let same = self.same_content(&cached, &child.stat);
        if self.options.full || !same || !self.all_there(&cached) {
            let status = if same { EntryStatus::Unchanged } else { EntryStatus::Changed };
            return Item::Read { child, content: None, status };
        }
        if same_attributes(&cached, &child.stat) {
            return Item::Known(known(cached, child));
        }
        let content = match cached.entry.kind {
            EntryKind::File(content) => Some(content),
            _ => None,
        };
        Item::Read { child, content, status: EntryStatus::Changed }
    }

    /// The cache's entry of the child, if it has one.
    fn cached(&mut self, directory: &EntryPath, child: &Child) -> Option<CachedEntry> {
        let cache = self.cache.as_mut()?;
        key::encode_child(directory, &child.name, &mut self.key);
        let found = cache.advance_to(&self.key);
        if let Some(damage) = cache.take_damage() {
            let text = format!("the change cache is of no use from here on, files are read again: {damage}");
            self.events.emit(Event::Message(Level::Warning, text));
        }
        found
    }

    /// Whether the child's content is what the cache describes, by its stamp.
    fn same_content(&self, cached: &CachedEntry, stat: &Stat) -> bool {
        let entry = &cached.entry;
        let size = if stat.kind == Kind::File { entry.size } else { stat.size };
        let before = Stamp { size, modified: entry.modified, changed: entry.changed, inode: cached.inode };
        cached.inode != UNTRUSTED && same_kind(&entry.kind, stat) && stat.stamp().unchanged(&before, self.options.stamp)
    }

    /// Whether the repository still holds everything that the entry needs, at places that may be relied on.
    fn all_there(&self, cached: &CachedEntry) -> bool {
        let has = |id| self.index.has_good(ChunkKind::Data, id);
        let content = match &cached.entry.kind {
            EntryKind::File(Content::Extents(extents)) => extents.iter().all(|extent| match extent {
                Extent::Chunk { id, .. } => has(id),
                Extent::Hole { .. } => true,
            }),
            // The tree's pages are not walked here: they stand and fall with the snapshot that the cache describes.
            EntryKind::File(Content::Tree { root, .. }) => self.index.has_good(ChunkKind::Skeleton, root),
            _ => true,
        };
        content
            && cached.entry.xattrs.iter().all(|(_, value)| match value {
                XattrValue::Inline(_) => true,
                XattrValue::Chunks(chunks) => chunks.iter().all(|(id, _)| has(id)),
            })
    }
}

/// Whether the inode is still of the kind that the cache has; a device node's numbers are part of its kind.
fn same_kind(kind: &EntryKind, stat: &Stat) -> bool {
    match *kind {
        EntryKind::File(_) => stat.kind == Kind::File,
        EntryKind::Directory => stat.kind == Kind::Directory,
        EntryKind::Symlink(_) => stat.kind == Kind::Symlink,
        EntryKind::Fifo => stat.kind == Kind::Fifo,
        EntryKind::Socket => stat.kind == Kind::Socket,
        EntryKind::CharacterDevice { major, minor } => {
            stat.kind == Kind::CharacterDevice && stat.rdev == (major, minor)
        }
        EntryKind::BlockDevice { major, minor } => stat.kind == Kind::BlockDevice && stat.rdev == (major, minor),
    }
}

/// Whether nothing about the entry changed: the kernel moves ctime with every change of attributes.
fn same_attributes(cached: &CachedEntry, stat: &Stat) -> bool {
    let entry = &cached.entry;
    entry.changed == stat.changed
        && cached.inode == stat.ino
        && (entry.mode, entry.uid, entry.gid) == (stat.mode, stat.uid, stat.gid)
}

/// The cache's entry as it stands now: device numbers may have moved while the entry did not change.
fn known(cached: CachedEntry, child: Child) -> Finished {
    let mut entry = cached.entry;
    entry.links = child.stat.links();
    let (device, inode) = (child.stat.dev, child.stat.ino);
    Finished { name: child.name, entry, device, inode, status: EntryStatus::Unchanged, reused: true }
}

/// The inode number of cache entries whose stamp could hide a change: no file system uses it.
pub(super) const UNTRUSTED: u64 = 0;
