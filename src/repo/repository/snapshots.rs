//! Snapshots as people see them: accepted records, opened as far as the bundle allows.

use crate::repo::entry::Timestamp;
use crate::repo::id::{PrincipalId, SnapshotId};
use crate::repo::keys::bundle::Bundle;
use crate::repo::log::State;
use crate::repo::names::SessionName;
use crate::repo::record::{Completeness, Private, Structure};
use crate::repo::session_view::{self, View};

/// One snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The session that committed it.
    pub session: SessionName,
    /// Whose it is.
    pub principal: PrincipalId,
    /// Whether it came here by a copy: then what it holds was stored by whoever copied it.
    pub copied: bool,
    /// What everybody with a bundle sees.
    pub structure: Structure,
    /// What readers see; `None` with keys that do not read.
    pub private: Option<Private>,
    /// The tags now: those of the record, with what the log changed since. Without [`Self::private`] only
    /// those that the log added.
    pub tags: Vec<String>,
}

impl Snapshot {
    /// When it was taken, by its writer's word.
    pub const fn time(&self) -> Timestamp {
        self.structure.time
    }

    /// Whether it shows all that was asked for.
    pub fn is_complete(&self) -> bool {
        self.structure.completeness == Completeness::Complete
    }

    /// The snapshot that it was rewritten from, if it was; unknown with keys that do not read.
    pub fn original(&self) -> Option<SnapshotId> {
        self.private.as_ref()?.original
    }

    /// The host that it shows; empty with keys that do not read.
    pub fn host(&self) -> &str {
        self.private.as_ref().map_or("", |private| &private.host)
    }

    /// The paths that were asked for; none with keys that do not read.
    pub fn paths(&self) -> &[Vec<u8>] {
        self.private.as_ref().map_or(&[], |private| &private.paths)
    }
}

/// The view's live records as snapshots, oldest first; of one time, what was rewritten after what it was made from, and those of one
/// run in their order. One whose parts do not open is left out here and reported by verify.
pub(super) fn of(view: &View, bundle: &Bundle, state: &State) -> Vec<Snapshot> {
    in_order(view.live(), bundle, state)
}

/// As [`of`], those that were forgotten.
pub(super) fn forgotten(view: &View, bundle: &Bundle, state: &State) -> Vec<Snapshot> {
    in_order(view.snapshots.values().filter(|snapshot| snapshot.forgotten), bundle, state)
}

fn in_order<'v>(
    records: impl Iterator<Item = &'v session_view::Snapshot>,
    bundle: &Bundle,
    state: &State,
) -> Vec<Snapshot> {
    let mut snapshots: Vec<Snapshot> = records.filter_map(|record| opened(record, bundle, state)).collect();
    snapshots.sort_by_key(|snapshot| (snapshot.time(), snapshot.original().is_some(), snapshot.session, snapshot.id));
    snapshots
}

fn opened(live: &session_view::Snapshot, bundle: &Bundle, state: &State) -> Option<Snapshot> {
    let record = &live.record;
    let structure = record.structure(&bundle.epoch(record.epoch()).ok()?.index).ok()?;
    let data_key = record.wraps().iter().find_map(|wrap| wrap.open(bundle).ok());
    let private = data_key.and_then(|key| record.private(&key).ok());
    let (id, session) = (record.id(), record.link().session);
    let mut tags = private.as_ref().map_or_else(Vec::new, |private| private.tags.clone());
    if let Some(change) = state.ledger().tags.get(&id) {
        tags.retain(|tag| !change.removed.contains(tag));
        tags.extend(change.added.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>());
    }
    Some(Snapshot { id, session, principal: live.principal, copied: live.copied, structure, private, tags })
}
