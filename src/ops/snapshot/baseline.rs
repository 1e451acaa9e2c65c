//! What an earlier snapshot says of every entry, met in step with the walk: from this host's change cache, or, for a parent that
//! was chosen by hand and has no cache here, from its catalog.

use super::planner::UNTRUSTED;
use crate::event::{Event, Level, Sink};
use crate::repo::catalog::{Tree, Walk, key};
use crate::repo::entry::{Entry, EntryPath};
use crate::repo::id::SnapshotId;
use crate::source::files::stat::Stat;
use crate::state::changes::{CacheReader, CachedEntry};

/// An earlier snapshot's entries.
pub(super) struct Baseline {
    /// The snapshot that they are of.
    pub snapshot: SnapshotId,
    /// Whether what lies below the pages of a long file may be taken over unseen (I3): it may if the same principal took the
    /// snapshot here, and so found or left all of it at places that it relies on.
    pub own: bool,
    from: From,
}

enum From {
    Cache(Box<CacheReader>),
    Catalog(Box<CatalogReader>),
}

impl Baseline {
    /// By the change cache that describes the snapshot.
    pub fn cache(reader: CacheReader, own: bool) -> Self {
        Self { snapshot: reader.snapshot(), own, from: From::Cache(Box::new(reader)) }
    }

    /// By its catalog. Stamps from the second `distrust` on may hide a later change.
    pub fn catalog(snapshot: SnapshotId, own: bool, tree: &Tree, distrust: i64) -> Self {
        let reader = CatalogReader { walk: tree.walk(&EntryPath::default()), next: None, distrust };
        Self { snapshot, own, from: From::Catalog(Box::new(reader)) }
    }

    /// The entry with this key of the catalog's order, if there is one; keys must ascend. `stat` is what is there now.
    pub fn advance_to(&mut self, key: &[u8], stat: &Stat, events: &dyn Sink) -> Option<CachedEntry> {
        match &mut self.from {
            From::Cache(reader) => {
                let found = reader.advance_to(key);
                if let Some(damage) = reader.take_damage() {
                    let text = format!("the change cache is of no use from here on, files are read again: {damage}");
                    events.emit(Event::Message(Level::Warning, text));
                }
                found
            }
            From::Catalog(reader) => reader.advance_to(key, stat, events),
        }
    }
}

struct CatalogReader {
    walk: Walk,
    /// An entry that lies ahead, and its key.
    next: Option<(Vec<u8>, Entry)>,
    distrust: i64,
}

impl CatalogReader {
    fn advance_to(&mut self, key: &[u8], stat: &Stat, events: &dyn Sink) -> Option<CachedEntry> {
        while self.next.as_ref().is_none_or(|(next, _)| next.as_slice() < key) {
            match self.walk.next()? {
                Ok((path, entry)) => self.next = Some((key::encode(&path), entry)),
                Err(error) => {
                    let text = format!("a part of the parent cannot be read, its files are read again: {error}");
                    events.emit(Event::Message(Level::Warning, text));
                }
            }
        }
        let (_, entry) = self.next.take_if(|(next, _)| next == key)?;
        // A catalog has no inode numbers of its own: size and times must do, the time of the last status change included.
        let settled = entry.changed.seconds < self.distrust && entry.modified.seconds < self.distrust;
        let inode = if settled { stat.ino } else { UNTRUSTED };
        Some(CachedEntry { device: stat.dev, inode, entry })
    }
}
