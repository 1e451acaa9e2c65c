//! The files that need a chunk which cannot be had, and the parts of catalogs that cannot be read: what damage costs.

use super::Run;
use crate::event::Event;
use crate::repo::catalog::{Tree, references};
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::{ChunkId, ChunkKind, SnapshotId};
use crate::repo::reader::Reader;
use crate::repo::repository::Snapshot;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, PoisonError};

/// Paths named for one snapshot at most: beyond that the number says enough.
const MOST_PATHS: usize = 1_000;

/// What damage costs, as far as it can be told.
#[derive(Debug, Clone, Default)]
pub struct Affected {
    /// Paths that lose something, each with its snapshot: as many as are named.
    pub files: BTreeSet<(SnapshotId, Vec<u8>)>,
    /// Snapshots whose catalog cannot be read in full: what they lose besides, nobody can tell.
    pub catalogs: BTreeSet<SnapshotId>,
}

/// Chunks that cannot be had.
type Bad = BTreeSet<(ChunkKind, ChunkId)>;

impl Run<'_> {
    /// Names them.
    pub(super) fn affected(&self, reader: &Arc<Reader>) -> Affected {
        let mut affected = Affected::default();
        let bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for snapshot in self.repository.snapshots().iter().filter(|_| !bad.is_empty()) {
            self.affected_in(snapshot, reader, &bad, &mut affected);
        }
        affected
    }

    fn affected_in(&self, snapshot: &Snapshot, reader: &Arc<Reader>, bad: &Bad, affected: &mut Affected) {
        let source: Arc<dyn ChunkSource> = Arc::<Reader>::clone(reader);
        let tree = Tree::open(source, snapshot.structure.root);
        let mut named = 0;
        for item in tree.walk(&EntryPath::default()) {
            match item {
                Ok((path, entry)) if named < MOST_PATHS && needs(&**tree.source(), &entry, bad) => {
                    named += 1;
                    let path = path.to_bytes();
                    let error = format!("it needs damaged parts of the repository (snapshot {})", snapshot.id.short());
                    self.events.emit(Event::Problem { path: path.clone(), during: "verifying", error });
                    affected.files.insert((snapshot.id, path));
                }
                Ok(_) => {}
                Err(error) => {
                    affected.catalogs.insert(snapshot.id);
                    self.find(format!("catalog of snapshot {}", snapshot.id), error, false);
                }
            }
        }
    }
}

/// Whether the entry's content or attributes need a bad chunk.
fn needs(source: &dyn ChunkSource, entry: &Entry, bad: &Bad) -> bool {
    let is_bad = |id: &ChunkId| bad.contains(&(ChunkKind::Data, *id));
    let values = entry.xattrs.iter().any(|(_, value)| match value {
        XattrValue::Inline(_) => false,
        XattrValue::Chunks(chunks) => chunks.iter().any(|(id, _)| is_bad(id)),
    });
    values
        || match &entry.kind {
            EntryKind::File(Content::Extents(extents)) => {
                extents.iter().any(|extent| matches!(extent, Extent::Chunk { id, .. } if is_bad(id)))
            }
            EntryKind::File(Content::Tree { root, .. }) => tree_needs(source, *root, bad),
            _ => false,
        }
}

/// Whether a tree of extents needs a bad chunk. Each page is looked at once, however often it is named: a few hostile ones may come to
/// more extents than anybody can count.
fn tree_needs(source: &dyn ChunkSource, root: ChunkId, bad: &Bad) -> bool {
    let (mut pending, mut seen) = (vec![root], HashSet::new());
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        let page = source.get(ChunkKind::Skeleton, &id).ok().and_then(|bytes| references(&bytes).ok());
        // One that is no good was found to be so, with its payload, when every page was looked at.
        let Some(page) = page.filter(|page| !bad.contains(&(ChunkKind::Payload, page.payload))) else { return true };
        if bad.contains(&(ChunkKind::Skeleton, id)) || page.data.iter().any(|id| bad.contains(&(ChunkKind::Data, *id)))
        {
            return true;
        }
        pending.extend(page.children);
    }
    false
}
