//! What a session that died had uploaded: found again by its packs' own tables, and named by the next session's indexes.
//!
//! A pack counts here only if this very writer signed its table, no index names it, and the log never condemned it: what
//! was ever condemned may be gone tomorrow, what was ever FINAL is gone (I5).

use super::{Error, Indexes, Repository};
use crate::event::{Event, Level};
use crate::repo::id::{DataKeyId, WriterId};
use crate::repo::names::Name;
use crate::repo::pack::PackSummary;
use crate::repo::segment::SegmentDescriptor;
use crate::store::ErrorKind;
use std::collections::{BTreeMap, HashSet};

/// Packs that this writer uploaded and no snapshot counts on yet.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// The packs, with their whole tables.
    pub packs: Vec<PackSummary>,
    /// Their data keys, wrapped for readers.
    pub wraps: BTreeMap<DataKeyId, Vec<u8>>,
}

impl Repository {
    /// Finds what died sessions of `writer` left, and adds it to the indexes as good.
    pub(super) fn resume(&self, writer: &WriterId, indexes: &mut Indexes) -> Result<Unfinished, Error> {
        let mut unfinished = Unfinished::default();
        let known: HashSet<_> = indexes.chunks.packs().filter(|pack| pack.good).map(|pack| pack.id).collect();
        let ledger = self.log.state.ledger();
        let own = |row: &SegmentDescriptor| row.origin.writer == *writer && self.relies_on(&row.origin);
        for (id, length) in self.list_packs()? {
            if known.contains(&id) || ledger.any_absent(&id) || ledger.suspects.contains(&id) {
                continue;
            }
            // The table is small: only a pack that says it is ours is read whole.
            let mine = self.read_table(&id, length).map(|table| table.signer == *writer);
            let table = match mine.and_then(|mine| mine.then(|| self.read_proven_table(&id)).transpose()) {
                // Somebody else may use this writer's name; and what a prune copied of others, this writer's indexes may not speak for: they
                // would count for nothing, with all that the next snapshot stored.
                Ok(Some(table)) if !table.rows.iter().all(own) => continue,
                Ok(Some(table)) => table,
                // Another writer's upload under way, or what a crash left of a pack.
                Ok(None) | Err(Error::Pack { .. }) => continue,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            match self.store.settle(&Name::Pack(id).object()).map_err(Error::from) {
                Err(error) if is_gone(&error) => continue,
                settled => settled?,
            }
            unfinished.wraps.extend(table.wraps.into_iter().map(|key| (key.id, key.wrap)));
            unfinished.packs.push(PackSummary { id, length, md5: None, rows: table.rows });
        }
        if !unfinished.packs.is_empty() {
            let bytes: u64 = unfinished.packs.iter().map(|pack| pack.length).sum();
            let text = format!("an earlier run stopped half-way; {bytes} bytes that it stored are used now");
            self.events.emit(Event::Message(Level::Info, text));
        }
        for pack in &unfinished.packs {
            indexes.add_own(pack.clone());
        }
        Ok(unfinished)
    }
}

/// Whether a pack was deleted since it was listed: by a prune for which this session is not alive.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Store(error) if error.kind == ErrorKind::NotFound)
}
