//! What happens in the store without any plan: deletion of what may be deleted, and puts that arrive late.

use super::Steps;
use crate::broken::Broken;
use crate::sets::Set;
use crate::state::{End, SESSIONS};
use crate::view::{View, pack_of};
use crate::words::{Object, Step};

pub fn steps(view: &View, steps: &mut Steps) {
    for pack in view.state.present.members() {
        delete_pack(view, pack, steps);
    }
    for session in 0..SESSIONS {
        collect_session(view, session, steps);
    }
    for writer in 0..view.setup.writers {
        late_puts(view, writer, steps);
    }
}

/// I7: a FINAL pack is deleted, by anyone, at any time, as often as it re-appears. Every segment of it must be FINAL (I8).
fn delete_pack(view: &View, pack: usize, steps: &mut Steps) {
    let places = view.state.holds.on(pack);
    let mut deletable = places.within(view.state.finals);
    if view.breaks(Broken::DeletesForOneSegment) {
        deletable |= !(places & view.state.finals).is_empty();
    }
    if view.breaks(Broken::DeletesCondemned) {
        deletable |= places.within(view.state.finals | view.state.condemned);
    }
    if deletable {
        let mut next = *view.state;
        next.present -= Set::of(pack);
        steps.go(Step::Delete(pack), next);
    }
}

/// I10: sessions at or below the watermark lose their `open` and `end`.
fn collect_session(view: &View, session: usize, steps: &mut Steps) {
    let there = view.state.open.has(session) || view.state.end[session] != End::Vacant;
    if there && view.covered(session) {
        let mut next = *view.state;
        next.open -= Set::of(session);
        next.end[session] = End::Vacant;
        steps.go(Step::Collect(session), next);
    }
}

/// A put whose writer is dead, or has long gone on, arrives. Everything is create-only (I1), so it changes nothing that is there.
fn late_puts(view: &View, writer: usize, steps: &mut Steps) {
    let (state, session, it) = (view.state, 2 * writer, Set::of(writer));
    if state.late_open.has(writer) {
        let mut next = *state;
        next.late_open -= it;
        next.open |= Set::of(session);
        steps.go(Step::Late(Object::Open, session), next);
    }
    if state.late_pack.has(writer) {
        let mut next = *state;
        next.late_pack -= it;
        next.present |= Set::of(pack_of(session));
        steps.go(Step::Late(Object::Pack, session), next);
    }
    if state.late_idx.has(writer) {
        let mut next = *state;
        next.late_idx -= it;
        next.idx[session] |= Set::of(pack_of(session));
        steps.go(Step::Late(Object::Idx, session), next);
    }
    if state.late_end.has(writer) {
        let mut next = *state;
        next.late_end -= it;
        if next.end[session] == End::Vacant {
            next.end[session] = End::Commit;
        }
        steps.go(Step::Late(Object::End, session), next);
    }
}
