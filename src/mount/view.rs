//! What the mount shows at this moment: the layout, and behind it a catalog for every snapshot.
//!
//! Invariant: a view never changes; when the repository has new snapshots, another takes its place, and whoever works on the
//! old one finishes with it. Every catalog comes in two forms: one that gives only what is in memory, for the loops that listen
//! to the kernel, and one that fetches, for the pool.

use super::attr;
use super::axis::Axis;
use super::changes::Recent;
use super::errno::Failure;
use super::face::Face;
use super::layout::{self, Layout};
use super::links::Links;
use super::node::Node;
use super::snapshots::{Listing, MountedSnapshot};
use crate::repo::catalog::{PageCache, Tree};
use crate::repo::chunks::{self, Bytes, ChunkSource};
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, Timestamp};
use crate::repo::id::{ChunkId, ChunkKind, SnapshotId};
use fuser::FileAttr;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes of decoded catalog pages that all snapshots share.
const PAGES: usize = 32 << 20;

/// Whether a request may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Only what is in memory.
    None,
    /// Until it is there.
    Wait,
}

/// One moment of the repository.
pub struct View {
    /// What stands above the snapshots.
    pub layout: Layout,
    source: Arc<dyn ChunkSource>,
    cached: Arc<dyn ChunkSource>,
    pages: Arc<PageCache>,
    links: Arc<Links>,
    axis: Arc<Axis>,
    changes: Arc<Recent>,
    face: Face,
    snapshots: HashMap<u32, Snapshot>,
    listed: Vec<MountedSnapshot>,
}

struct Snapshot {
    id: SnapshotId,
    root: ChunkId,
    time: Timestamp,
    partial: bool,
}

/// An entry, looked up.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its node.
    pub node: Node,
    /// Where it is in its snapshot.
    pub path: EntryPath,
    /// What it is.
    pub entry: Entry,
}

impl View {
    /// A view of `listing` with this face, which takes the place of `before`.
    pub fn new(listing: &Listing, face: Face, before: Option<&Self>) -> Self {
        let empty = Layout::default();
        let layout = Layout::new(&listing.snapshots, before.map_or(&empty, |before| &before.layout));
        let shown = listing.snapshots.iter().filter(|snapshot| layout::shown(snapshot));
        let snapshots = shown.map(|&MountedSnapshot { id, number, root, time, partial, .. }| {
            (number, Snapshot { id, root, time, partial })
        });
        Self {
            layout,
            source: Arc::clone(&listing.source),
            cached: Arc::new(InMemory(Arc::clone(&listing.source))),
            pages: before.map_or_else(|| Arc::new(PageCache::new(PAGES)), |before| Arc::clone(&before.pages)),
            links: before.map_or_else(Arc::default, |before| Arc::clone(&before.links)),
            axis: before.map_or_else(Arc::default, |before| Arc::clone(&before.axis)),
            changes: before.map_or_else(Arc::default, |before| Arc::clone(&before.changes)),
            face,
            snapshots: snapshots.collect(),
            listed: listing.snapshots.clone(),
        }
    }

    /// Whether a view of `listing` would be the same.
    pub fn shows(&self, listing: &Listing) -> bool {
        Arc::ptr_eq(&self.source, &listing.source) && self.listed == listing.snapshots
    }

    /// Where chunks come from.
    pub fn source(&self, patience: Patience) -> &Arc<dyn ChunkSource> {
        match patience {
            Patience::None => &self.cached,
            Patience::Wait => &self.source,
        }
    }

    /// The folders in no snapshot that the kernel knows.
    pub fn axis(&self) -> &Axis {
        &self.axis
    }

    /// What differs between snapshots, as far as it was looked up.
    pub fn changes(&self) -> &Recent {
        &self.changes
    }

    /// How owners and modes are shown.
    pub const fn face(&self) -> Face {
        self.face
    }

    /// The id of the snapshot with this number.
    pub fn id(&self, snapshot: u32) -> Option<SnapshotId> {
        self.snapshots.get(&snapshot).map(|snapshot| snapshot.id)
    }

    /// The catalogs of all complete snapshots with their numbers, oldest first.
    pub fn trees(&self, patience: Patience) -> Result<Vec<(u32, Tree)>, Failure> {
        if patience == Patience::None {
            // Whoever asks for all of them looks into each.
            return Err(Failure::Slow);
        }
        let mut complete: Vec<_> = self.snapshots.iter().filter(|(_, snapshot)| !snapshot.partial).collect();
        complete.sort_by_key(|(number, snapshot)| (snapshot.time, **number));
        complete.into_iter().map(|(number, _)| Ok((*number, self.tree(*number, patience)?))).collect()
    }

    /// Decoded pages.
    pub const fn pages(&self) -> &Arc<PageCache> {
        &self.pages
    }

    /// The catalog of the snapshot with this number.
    pub fn tree(&self, snapshot: u32, patience: Patience) -> Result<Tree, Failure> {
        let root = self.snapshots.get(&snapshot).ok_or(Failure::Stale)?.root;
        Ok(Tree::with_cache(Arc::clone(self.source(patience)), root, Arc::clone(&self.pages)))
    }

    /// The catalog of the newest snapshot.
    pub fn newest(&self, patience: Patience) -> Result<Tree, Failure> {
        let newest = self.snapshots.iter().max_by_key(|(number, snapshot)| (snapshot.time, **number));
        newest.map_or(Err(Failure::NotFound), |(number, _)| self.tree(*number, patience))
    }

    /// The entry behind a node of a snapshot.
    pub fn find(&self, node: Node, patience: Patience) -> Result<Found, Failure> {
        let ordinal = match node {
            Node::Above(_) | Node::Axis(_) => return Err(Failure::Kind),
            Node::Root(snapshot) => return self.find_root(snapshot, patience),
            Node::Entry(_, ordinal) => ordinal,
            Node::Link(..) => self.links.ordinal(node).ok_or(Failure::Stale)?,
        };
        let found = self.tree(node.snapshot(), patience)?.by_ordinal(ordinal)?;
        let (path, entry) = found.ok_or(Failure::Stale)?;
        Ok(Found { node, path, entry })
    }

    /// The entry at `path` of a snapshot.
    pub fn find_path(&self, snapshot: u32, path: EntryPath, patience: Patience) -> Result<Found, Failure> {
        if path.0.is_empty() {
            return self.find_root(snapshot, patience);
        }
        let found = self.tree(snapshot, patience)?.get(&path)?.ok_or(Failure::NotFound)?;
        Ok(Found { node: self.node(snapshot, found.ordinal, &found.entry), path, entry: found.entry })
    }

    /// The node of the entry that `ordinal` others stand before.
    pub fn node(&self, snapshot: u32, ordinal: u64, entry: &Entry) -> Node {
        match &entry.links {
            Some(group) if entry.kind != EntryKind::Directory => self.links.node(snapshot, ordinal, group),
            _ => Node::Entry(snapshot, ordinal),
        }
    }

    /// The folder that holds an entry of a snapshot.
    pub fn parent(&self, found: &Found, patience: Patience) -> Result<Node, Failure> {
        match found.path.0.split_last() {
            None => Ok(Layout::by_time()),
            Some((_, above)) => {
                let above = EntryPath(above.to_vec());
                Ok(self.find_path(found.node.snapshot(), above, patience)?.node)
            }
        }
    }

    /// What `stat` shows of an entry.
    pub fn attributes(&self, node: Node, entry: &Entry, patience: Patience) -> Result<FileAttr, Failure> {
        let stored = match &entry.kind {
            EntryKind::File(Content::Extents(extents)) => extents.iter().map(stored_length).sum(),
            EntryKind::File(Content::Tree { .. }) => self.stored_bytes(node, entry, patience)?,
            _ => 0,
        };
        Ok(attr::of_entry(node, entry, stored, self.face))
    }

    /// The bytes of a long file that are not holes.
    fn stored_bytes(&self, node: Node, entry: &Entry, patience: Patience) -> Result<u64, Failure> {
        match self.tree(node.snapshot(), patience)?.extents(entry).map(|extents| extents.stored_bytes()) {
            None => Ok(0),
            Some(Ok(stored)) => Ok(stored),
            // How much of a file is holes is not worth failing for.
            Some(Err(_)) if patience == Patience::Wait => Ok(entry.size),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Where something is, for people: below the mount, as far as known.
    pub fn shown_path(&self, node: Node, path: Option<&EntryPath>) -> Vec<u8> {
        if let Some(side) = self.axis.side(node) {
            return side.shown(|number| self.layout.name(number));
        }
        let mut shown = self.layout.path(node);
        if let Some(name) = self.layout.name(node.snapshot()) {
            shown.extend_from_slice(b"by-time/");
            shown.extend_from_slice(name.as_bytes());
        }
        if let Some(path) = path {
            shown.extend_from_slice(&path.to_bytes());
        }
        shown
    }

    /// A snapshot's root; one that was not stored is a folder like those above it.
    fn find_root(&self, snapshot: u32, patience: Patience) -> Result<Found, Failure> {
        let time = self.snapshots.get(&snapshot).ok_or(Failure::Stale)?.time;
        let stored = self.tree(snapshot, patience)?.root_entry()?;
        let entry = stored.map_or_else(|| plain_folder(time), |found| found.entry);
        Ok(Found { node: Node::Root(snapshot), path: EntryPath::default(), entry })
    }
}

const fn stored_length(extent: &Extent) -> u64 {
    match extent {
        Extent::Chunk { length, .. } => *length as u64,
        Extent::Hole { .. } => 0,
    }
}

fn plain_folder(time: Timestamp) -> Entry {
    Entry {
        kind: EntryKind::Directory,
        mode: 0o555,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        modified: time,
        changed: time,
        accessed: None,
        size: 0,
        flags: 0,
        xattrs: Vec::new(),
        links: None,
    }
}

/// A source without patience.
struct InMemory(Arc<dyn ChunkSource>);

impl ChunkSource for InMemory {
    fn get(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, chunks::Error> {
        // The error is never shown: whoever gets it asks again with patience.
        self.0.get_cached(kind, id).ok_or(chunks::Error::Unknown { kind, id: *id })
    }
}

/// The view of this moment.
pub struct Current(RwLock<Arc<View>>);

impl Current {
    /// Starts with `view`.
    pub fn new(view: View) -> Self {
        Self(RwLock::new(Arc::new(view)))
    }

    /// The view of now.
    pub fn get(&self) -> Arc<View> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `view` in the place of the one before.
    pub fn set(&self, view: Arc<View>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = view;
    }
}
