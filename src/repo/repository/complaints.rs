//! What is said when a repository is opened that does not show all that it held: a listing that lacks something is never silent.
//!
//! Only what may cost a snapshot or a decision. All else, and whole reports, are verify's.

use crate::event::{Event, Sink};
use crate::repo::log::Log;
use crate::repo::names::{Copy, Name};
use crate::repo::session_view::{Issue, View};

/// Tells `events` of entries of the log and ends of sessions that do not count though they are there, and of snapshots that are gone
/// from a chain.
pub(super) fn report(log: &Log, view: &View, events: &dyn Sink) {
    let damage = |object: String, what: String| events.emit(Event::Damage { object, what, healed: false });
    for doubt in log.doubts.iter().chain(&log.beyond) {
        damage(Name::Log(doubt.position, Copy::First).to_string(), doubt.to_string());
    }
    for issue in &view.issues {
        match issue {
            Issue::BadEnd(session, flaw) => {
                damage(Name::End(*session).to_string(), format!("what this session stored does not count: {flaw}"));
            }
            Issue::BadRecord(id, flaw) => damage(format!("record of snapshot {id}"), flaw.to_string()),
            Issue::Gap { missing, after, .. } => {
                damage(format!("snapshot {missing}"), format!("it is gone; {after} came after it"));
            }
            _ => {}
        }
    }
}
