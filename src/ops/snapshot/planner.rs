//! The walk's side of a snapshot: meets each directory's children with what earlier snapshots have, in step, and decides what
//! has to be read.

use super::Options;
use super::baseline::Baseline;
use super::batch::{Batch, Finished, Item};
use super::former::Former;
use crate::event::{EntryStatus, Event, Sink};
use crate::repo::catalog::key;
use crate::repo::chunk_index::{Along, ChunkIndex};
use crate::repo::entry::{Content, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::{ChunkKind, SnapshotId};
use crate::source::files::dir::DirHandle;
use crate::source::files::stat::{Kind, Stamp, Stat};
use crate::source::files::walk::{Child, Directory};
use crate::state::changes::CachedEntry;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

/// A batch ends after this many children …
const BATCH_ITEMS: usize = 128;
/// … or this many bytes to read, so that workers share one folder's large files.
const BATCH_BYTES: u64 = 8 << 20;

/// Decides, child by child, what the repository already holds.
pub(super) struct Planner<'a> {
    options: &'a Options,
    /// What earlier snapshots have, the newest first.
    baselines: Vec<Baseline>,
    index: Arc<ChunkIndex>,
    along: Along,
    events: &'a dyn Sink,
    directory: Option<Current>,
    next_number: u64,
    key: Vec<u8>,
}

/// The directory whose children are being planned.
struct Current {
    path: Arc<EntryPath>,
    handle: Arc<DirHandle>,
    children: Peekable<IntoIter<Child>>,
}

/// What a baseline has of a child.
struct Known {
    cached: CachedEntry,
    own: bool,
}

impl<'a> Planner<'a> {
    /// A planner; without a baseline everything is read.
    pub fn new(options: &'a Options, baselines: Vec<Baseline>, index: Arc<ChunkIndex>, events: &'a dyn Sink) -> Self {
        let along = Along::default();
        Self { options, baselines, index, along, events, directory: None, next_number: 0, key: Vec::new() }
    }

    /// Lets go of the session's index, so that the next one's does not come on top of it.
    pub fn pause(&mut self) {
        (self.index, self.along) = <_>::default();
    }

    /// Goes on in another session, by what that one found: some of the baselines may no longer be relied on.
    pub fn go_on(&mut self, index: Arc<ChunkIndex>, may_reuse: impl Fn(&SnapshotId) -> bool) {
        self.index = index;
        self.baselines.retain(|baseline| may_reuse(&baseline.snapshot));
    }

    /// Turns to the next directory.
    pub fn enter(&mut self, directory: Directory) {
        self.tell_excluded(&directory);
        let path = Arc::new(directory.path().clone());
        let children = directory.children.into_iter().peekable();
        self.directory = Some(Current { path, handle: directory.handle, children });
    }

    /// The next of the directory's children, `None` after the last.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let mut current = self.directory.take()?;
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < BATCH_ITEMS && bytes < BATCH_BYTES {
            let Some(child) = current.children.next() else { break };
            let item = self.plan_child(&current.path, child);
            bytes += match &item {
                Item::Read { child, content: None, .. } => child.stat.size,
                _ => 0,
            };
            items.push(item);
        }
        if items.is_empty() {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        let batch = Batch { number, directory: Arc::clone(&current.path), handle: Arc::clone(&current.handle), items };
        // Not kept without need: it holds a file descriptor.
        if current.children.peek().is_some() {
            self.directory = Some(current);
        }
        Some(batch)
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
        let Some(known) = self.known(directory, &child) else {
            return Item::Read { child, content: None, former: None, status: EntryStatus::New };
        };
        let cached = &known.cached;
        let same = self.same_content(cached, &child.stat);
        if self.options.full || !same || !self.all_there(&known) {
            let status = if same { EntryStatus::Unchanged } else { EntryStatus::Changed };
            let former = former(known.cached, same);
            return Item::Read { child, content: None, former, status };
        }
        if same_attributes(cached, &child.stat) {
            return Item::Known(self.finished(known.cached, child));
        }
        let content = match known.cached.entry.kind {
            EntryKind::File(content) => Some(content),
            _ => None,
        };
        Item::Read { child, content, former: None, status: EntryStatus::Changed }
    }

    /// What the newest baseline that has the child says of it.
    fn known(&mut self, directory: &EntryPath, child: &Child) -> Option<Known> {
        key::encode_child(directory, &child.name, &mut self.key);
        let mut newest = None;
        // All of them keep in step with the walk.
        for baseline in &mut self.baselines {
            let found = baseline.advance_to(&self.key, &child.stat, self.events);
            newest = newest.or(found.map(|cached| Known { cached, own: baseline.own }));
        }
        newest
    }

    /// The entry as it stands now: device numbers and the last access may have moved while the entry did not change.
    fn finished(&self, cached: CachedEntry, child: Child) -> Finished {
        let mut entry = cached.entry;
        entry.links = child.stat.links();
        entry.accessed = self.options.with_atime.then_some(child.stat.accessed);
        let (device, inode) = (child.stat.dev, child.stat.ino);
        Finished { name: child.name, entry, device, inode, status: EntryStatus::Unchanged, reused: true }
    }

    /// Whether the child's content is what the cache describes, by its stamp.
    fn same_content(&self, cached: &CachedEntry, stat: &Stat) -> bool {
        let entry = &cached.entry;
        let size = if stat.kind == Kind::File { entry.size } else { stat.size };
        let before = Stamp { size, modified: entry.modified, changed: entry.changed, inode: cached.inode };
        cached.inode != UNTRUSTED && same_kind(&entry.kind, stat) && stat.stamp().unchanged(&before, self.options.stamp)
    }

    /// Whether the repository still holds everything that the entry needs, at places that may be relied on.
    fn all_there(&mut self, Known { cached, own }: &Known) -> bool {
        let mut has = |id| self.index.has_good_along(ChunkKind::Data, id, &mut self.along);
        let content = match &cached.entry.kind {
            EntryKind::File(Content::Extents(extents)) => extents.iter().all(|extent| match extent {
                Extent::Chunk { id, .. } => has(id),
                Extent::Hole { .. } => true,
            }),
            // The tree's pages are not walked here: they stand and fall with the snapshot that has them.
            EntryKind::File(Content::Tree { root, .. }) => {
                *own && self.index.is_whole() && self.index.has_good(ChunkKind::Skeleton, root)
            }
            _ => true,
        };
        content
            && cached.entry.xattrs.iter().all(|(_, value)| match value {
                XattrValue::Inline(_) => true,
                XattrValue::Chunks(chunks) => chunks.iter().all(|(id, _)| has(id)),
            })
    }
}

/// What the file held that the cache describes.
fn former(cached: CachedEntry, same: bool) -> Option<Former> {
    let size = cached.entry.size;
    match cached.entry.kind {
        EntryKind::File(content) => Some(Former { content, size, same }),
        _ => None,
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

/// The inode number of cache entries whose stamp could hide a change: no file system uses it.
pub(super) const UNTRUSTED: u64 = 0;
