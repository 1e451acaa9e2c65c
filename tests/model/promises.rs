//! What must hold in every state.

use crate::state::{OLD, Reader, Writing};
use crate::view::View;
use crate::words::snapshot_name;

/// The first promise that a state breaks, in words.
pub fn broken_promise(view: &View) -> Option<String> {
    lost_snapshot(view)
        .or_else(|| lost_word(view))
        .or_else(|| lost_link(view))
        .or_else(|| lost_undo(view))
        .or_else(|| lost_pin(view))
}

/// A snapshot that is valid and not forgotten can be read.
fn lost_snapshot(view: &View) -> Option<String> {
    let snapshot = view.live().members().find(|&snapshot| !view.readable(snapshot))?;
    Some(format!("snapshot {} is valid and not forgotten, and chunks of it are gone", snapshot_name(snapshot)))
}

/// A snapshot that its writer was told is safe exists until somebody forgets it, or revokes the writer.
fn lost_word(view: &View) -> Option<String> {
    let promised = view.state.acknowledged - view.state.forgotten;
    let theirs = |session: usize| view.state.revoked && session / 2 == 0;
    let lost = promised.members().find(|&session| !view.valid(session) && !theirs(session))?;
    Some(format!("snapshot {} was acknowledged, and does not exist", snapshot_name(lost)))
}

/// A writer does not take its valid snapshot for void: its chain would have a gap.
fn lost_link(view: &View) -> Option<String> {
    let voided = |&writer: &usize| view.state.writers[writer].phase == Writing::Void;
    let session = |writer: usize| 2 * writer + usize::from(view.state.writers[writer].session);
    let session = (0..view.setup.writers).filter(voided).map(session).find(|&session| view.valid(session))?;
    Some(format!("snapshot {} exists, and its writer took it for void", snapshot_name(session)))
}

/// As long as nothing is FINAL, a FORGET can be undone.
fn lost_undo(view: &View) -> Option<String> {
    let forgotten = view.setup.unforgets && view.state.forgotten.has(OLD);
    let gone = forgotten && !view.state.census.has(OLD) && view.state.finals.is_empty();
    gone.then(|| "nothing was FINAL, and the forgotten snapshot S can no longer be brought back".to_owned())
}

/// What a reader pinned stays readable.
fn lost_pin(view: &View) -> Option<String> {
    let reads = view.state.reader == Reader::Reads && view.state.pin;
    (reads && !view.readable(OLD)).then(|| "the reader's pin stands, and chunks of snapshot S are gone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::Set;
    use crate::setup::Setup;
    use crate::state::{End, State};

    #[test]
    fn a_promise_is_broken_by_what_breaks_it_alone() {
        let setup = Setup { unforgets: true, ..Setup::SMALLEST };
        let begun = setup.beginnings()[0];
        let says = |state: &State| broken_promise(&View { setup: &setup, state });
        assert_eq!(says(&begun), None);
        assert!(
            says(&State { present: Set::EMPTY, ..begun }).is_some_and(|words| words.contains("chunks of it are gone"))
        );
        let forgotten = State { present: Set::EMPTY, forgotten: Set::of(OLD), ..begun };
        assert_eq!(says(&forgotten), None);
        assert!(says(&State { census: Set::EMPTY, ..forgotten }).is_some_and(|words| words.contains("brought back")));
        assert!(says(&State { acknowledged: Set::of(0), ..begun }).is_some_and(|words| words.contains("acknowledged")));
        let committed = [End::Commit, End::Vacant, End::Vacant, End::Vacant];
        assert_eq!(says(&State { acknowledged: Set::of(0), end: committed, ..begun }), None);
        assert!(says(&State { reader: Reader::Reads, pin: true, present: Set::EMPTY, ..forgotten }).is_some());
    }
}
