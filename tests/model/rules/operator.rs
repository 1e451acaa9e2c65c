//! Whoever decides: FORGET and UNFORGET, REVOKE, ATTEST. All but UNFORGET hold wherever in the log they stand.

use super::Steps;
use crate::broken::Broken;
use crate::sets::Set;
use crate::state::{OLD, Operator, STRANGE};
use crate::view::View;
use crate::words::Step;

pub fn steps(view: &View, steps: &mut Steps) {
    if view.setup.forgets {
        forget(view, steps);
    }
    if view.setup.unforgets && !view.state.operator.checked {
        check(view, steps);
    }
    if view.state.operator.checked {
        unforget(view, steps);
    }
    if view.setup.revoke && !view.state.revoked {
        revoke(view, steps);
    }
    if view.setup.attest && !view.state.attested {
        attest(view, steps);
    }
}

/// Anything that is there is forgotten, at any moment.
fn forget(view: &View, steps: &mut Steps) {
    for snapshot in view.live().members() {
        let mut next = *view.state;
        next.forgotten |= Set::of(snapshot);
        next.append();
        steps.go(Step::Forget(snapshot), next);
    }
}

/// I12: UNFORGET only if every chunk has a valid place that is not FINAL …
fn check(view: &View, steps: &mut Steps) {
    let places = view.places(view.indexed() & view.good(OLD)) - view.state.known_finals;
    let there = view.needs(OLD).within(places.chunks());
    if view.valid(OLD) && view.state.forgotten.has(OLD) && there {
        let mut next = *view.state;
        next.operator = Operator { checked: true, fresh: true, snapshot: OLD as u8 };
        steps.go(Step::ChecksUnforget(OLD), next);
    }
}

/// … and at exactly the next position. Pending CONDEMNs that say they marked the snapshot did so before it was forgotten: the other
/// place that a chunk had may be gone since, so it does not count as marked any longer (I3).
fn unforget(view: &View, steps: &mut Steps) {
    let Operator { fresh, snapshot, .. } = view.state.operator;
    let snapshot = usize::from(snapshot);
    let mut next = *view.state;
    next.operator = Operator::default();
    if !fresh && !view.breaks(Broken::UnforgetAnywhere) {
        return steps.go(Step::LosesUnforget(snapshot), next);
    }
    if view.valid(snapshot) {
        next.forgotten -= Set::of(snapshot);
        if !view.breaks(Broken::UndoneStaysMarked) {
            next.marked.iter_mut().for_each(|marked| *marked -= Set::of(snapshot));
        }
        next.append();
    }
    steps.go(Step::Unforget(snapshot), next);
}

/// The admin revokes writer A's principal and accepts none of its records.
fn revoke(view: &View, steps: &mut Steps) {
    let mut next = *view.state;
    next.revoked = true;
    next.append();
    steps.go(Step::Revoke, next);
}

/// A reader opened every chunk of the stranger's session, and says so.
fn attest(view: &View, steps: &mut Steps) {
    let opened = view.state.present.has(STRANGE) && view.state.strange_is_true;
    if opened || view.breaks(Broken::AttestsUnread) {
        let mut next = *view.state;
        next.attested = true;
        next.append();
        steps.go(Step::Attest, next);
    }
}
