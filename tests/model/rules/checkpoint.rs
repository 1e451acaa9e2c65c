//! A maintainer that makes checkpoints: builds a census and names it by a CHECKPOINT (I10, I11); and copies packs (I8).

use super::Steps;
use crate::broken::Broken;
use crate::sets::{Packs, Places, Set};
use crate::state::{COPY, Draft, End, Maintainer, Maintaining, OLD, SESSIONS};
use crate::view::{View, covers};
use crate::words::Step;

pub fn steps(view: &View, number: usize, steps: &mut Steps) {
    match view.state.maintainers[number].phase {
        Maintaining::Idle => begin(view, number, steps),
        Maintaining::BuildCensus => build(view, number, steps),
        Maintaining::Checkpoint => append(view, number, steps),
        _ => {}
    }
}

fn begin(view: &View, number: usize, steps: &mut Steps) {
    let own = Maintainer { phase: Maintaining::BuildCensus, fresh: true, ..Maintainer::default() };
    becomes(view, number, own, Step::ReadsLog(number), steps);
    if view.setup.repack && view.state.holds.on(COPY).is_empty() {
        (0..2).for_each(|pack| repack(view, number, pack, steps));
    }
}

/// I8: the copy is published before the original is condemned; it may leave out what is FINAL, and nothing else.
fn repack(view: &View, number: usize, pack: usize, steps: &mut Steps) {
    let copied = view.state.holds.on(pack) - view.state.finals;
    if view.state.present.has(pack) && !copied.is_empty() {
        let mut next = *view.state;
        next.present |= Set::of(COPY);
        next.holds |= Places::of_chunks(COPY, copied.chunks());
        steps.go(Step::Repack(number, pack), next);
    }
}

/// I10: the census lists every valid snapshot record that the new watermarks cover, their idx, and the FINALs not yet deleted.
fn build(view: &View, number: usize, steps: &mut Steps) {
    let (state, own) = (view.state, view.state.maintainers[number]);
    let watermark = watermarks(view);
    let mut snapshots = view.valid_snapshots();
    if view.breaks(Broken::DropsForgotten) {
        snapshots -= state.forgotten;
    }
    let above = (0..SESSIONS).filter(|&session| !covers(watermark, session));
    let listed = above.fold(snapshots, |all, session| all - Set::of(session));
    debug_assert!(listed.has(OLD) || !snapshots.has(OLD));
    let draft = Draft { watermark, snapshots: listed, idx: indexed(view, watermark), finals: undeleted(view) };
    let changes = watermark != state.watermark
        || draft.idx != state.census_idx
        || draft.snapshots != state.census
        || draft.finals != state.known_finals;
    if own.fresh && changes {
        let own = Maintainer { phase: Maintaining::Checkpoint, draft, ..own };
        becomes(view, number, own, Step::BuildsCensus(number, watermark), steps);
    } else {
        becomes(view, number, Maintainer::default(), Step::NothingLeft(number), steps);
    }
}

/// I10: a watermark goes up over sessions that are resolved.
fn watermarks(view: &View) -> [u8; 2] {
    let mut watermark = view.state.watermark;
    for (writer, covered) in watermark.iter_mut().enumerate().take(view.setup.writers) {
        while *covered < 2 && may_cover(view, 2 * writer + usize::from(*covered)) {
            *covered += 1;
        }
    }
    watermark
}

fn may_cover(view: &View, session: usize) -> bool {
    let theirs = session % 2 < usize::from(view.setup.sessions);
    let unopened = theirs && view.breaks(Broken::CoversUnopened) && !view.state.open.has(session);
    view.state.end[session] != End::Vacant || unopened
}

/// I11: the packs of the census before, of commits that are now covered, and a repacked copy that is neither condemned nor FINAL;
/// without those that are FINAL and deleted.
fn indexed(view: &View, watermark: [u8; 2]) -> Packs {
    let state = view.state;
    let covered = (0..SESSIONS).filter(|&session| covers(watermark, session) && view.idx_counts(session));
    let mut packs = covered.fold(state.census_idx, |all, session| all | state.idx[session]);
    let copy = state.holds.on(COPY);
    if state.present.has(COPY) && (copy & (state.condemned | state.finals)).is_empty() {
        packs |= Set::of(COPY);
    }
    packs - (state.known_finals.packs() - state.present)
}

/// FINAL places of packs that are still there: they stay in the census until they are deleted (I7).
fn undeleted(view: &View) -> Places {
    view.state.known_finals & Places::in_packs(view.state.present)
}

/// I9: CHECKPOINT at exactly the next position. From now on idx of covered sessions count by the census alone.
fn append(view: &View, number: usize, steps: &mut Steps) {
    let own = view.state.maintainers[number];
    if !own.fresh {
        return becomes(view, number, Maintainer::default(), Step::Conflict(number), steps);
    }
    let mut next = *view.state;
    next.append();
    let Draft { watermark, snapshots, idx, finals } = own.draft;
    let deleted = (view.state.known_finals - finals).packs();
    for session in 0..SESSIONS {
        let gone = if covers(watermark, session) { next.idx[session] } else { deleted };
        next.idx[session] -= gone;
    }
    (next.watermark, next.census, next.census_idx, next.known_finals) = (watermark, snapshots, idx, finals);
    next.maintainers[number] = Maintainer::default();
    steps.go(Step::Checkpoint(number), next);
}

fn becomes(view: &View, number: usize, own: Maintainer, step: Step, steps: &mut Steps) {
    let mut next = *view.state;
    next.maintainers[number] = own;
    steps.go(step, next);
}
