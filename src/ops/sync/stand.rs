//! How old a copy is by itself: what can be said of it while its source cannot be asked.

use crate::event::Sink;
use crate::ops::host::Host;
use crate::repo::entry::Timestamp;
use crate::repo::repository::Repository;

/// What a copy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Its snapshots.
    pub snapshots: u64,
    /// The time of the newest.
    pub newest: Option<Timestamp>,
    /// How many snapshots this machine saw at the source that are newer than what their writers have here; some of them may be forgotten
    /// since. `None` where this machine knows nothing of the source.
    pub behind: Option<u64>,
}

/// Tells how a copy stands.
pub fn stand(host: &Host, copy: &Repository, events: &dyn Sink) -> Stand {
    let known = host.state().known(&copy.id(), events);
    let links = || copy.view().snapshots.values().map(|snapshot| snapshot.record.link());
    let behind = known.writers.iter().map(|(writer, head)| {
        let newest = links().filter(|link| link.session.writer == *writer).map(|link| link.number).max();
        // Numbers begin with 0.
        newest.map_or(head.number.saturating_add(1), |newest| head.number.saturating_sub(newest))
    });
    Stand {
        snapshots: copy.snapshots().len() as u64,
        newest: copy.snapshots().iter().map(|snapshot| snapshot.time()).max(),
        behind: known.log.map(|_| behind.fold(0, u64::saturating_add)),
    }
}
