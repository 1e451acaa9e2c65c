//! A writer: looks (see [`super::look`]), uploads what is missing, commits, and looks again (I2, I5, I10).

use super::Steps;
use crate::broken::Broken;
use crate::sets::{Places, Set};
use crate::state::{BOTH, End, SECOND, State, Writer, Writing};
use crate::view::{View, pack_of};
use crate::words::{Object, Step};

/// One writer in its present session.
pub(super) struct Me<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) writer: usize,
    pub(super) session: usize,
    pub(super) own: Writer,
}

pub fn steps(view: &View, writer: usize, steps: &mut Steps) {
    let own = view.state.writers[writer];
    if own.session >= view.setup.sessions {
        return;
    }
    let me = Me { view, writer, session: 2 * writer + usize::from(own.session), own };
    match own.phase {
        Writing::First => me.look(0, steps),
        Writing::Second => me.look(1, steps),
        Writing::Third => me.look(2, steps),
        Writing::PutPack => me.put_pack(steps),
        Writing::PutIdx => me.put_idx(steps),
        Writing::PutEnd => me.put_end(steps),
        Writing::Recheck => me.recheck(steps),
        Writing::Void => me.goes_to(Writing::Over, Step::Accepts(me.session), steps),
        Writing::Restart => me.restart(steps),
        Writing::Over => me.next_session(steps),
    }
    let uploads = matches!(own.phase, Writing::PutPack | Writing::PutIdx | Writing::PutEnd);
    if uploads && own.session == 0 && view.setup.sessions > 1 {
        me.goes_to(Writing::Restart, Step::Crash(me.session), steps);
    }
}

impl Me<'_> {
    /// I2: packs first.
    fn put_pack(&self, steps: &mut Steps) {
        let mut next = *self.view.state;
        if self.own.missing.is_empty() {
            let phase = if self.own.resumes { Writing::PutIdx } else { Writing::PutEnd };
            return self.goes_to(phase, Step::NothingToPut(self.session), steps);
        }
        let pack = self.pack();
        let holds = if pack == SECOND { BOTH } else { self.own.missing };
        next.holds |= Places::of_chunks(pack, holds);
        next.writers[self.writer].phase = Writing::PutIdx;
        let landed = State { present: next.present | Set::of(pack), ..next };
        steps.go(Step::Put(Object::Pack, self.session), landed);
        if self.puts_late() {
            let late_pack = self.late(next.late_pack);
            steps.go(Step::PutTwice(Object::Pack, self.session), State { late_pack, ..landed });
            self.crash(State { late_pack, ..next }, Object::Pack, steps);
        }
        if self.view.breaks(Broken::CommitsEarly) {
            self.goes_to(Writing::PutEnd, Step::Hurries(self.session), steps);
        }
    }

    /// I2: then their idx; of a pack that is taken up again too (I5).
    fn put_idx(&self, steps: &mut Steps) {
        let (old, mut next) = (*self.view.state, *self.view.state);
        if !self.own.missing.is_empty() {
            next.idx[self.session] |= Set::of(self.pack());
        }
        if self.own.resumes {
            next.idx[self.session] |= Set::of(pack_of(self.session - 1));
        }
        next.writers[self.writer].phase = Writing::PutEnd;
        steps.go(Step::Put(Object::Idx, self.session), next);
        if self.puts_late() && !self.own.missing.is_empty() {
            let late_idx = self.late(old.late_idx);
            steps.go(Step::PutTwice(Object::Idx, self.session), State { late_idx, ..next });
            self.crash(State { late_idx, ..old }, Object::Idx, steps);
        }
    }

    /// I2: then `end`, once: whoever comes second has lost.
    fn put_end(&self, steps: &mut Steps) {
        let mut next = *self.view.state;
        if next.end[self.session] == End::Vacant || self.view.breaks(Broken::OverwritesEnd) {
            next.end[self.session] = End::Commit;
            next.writers[self.writer].phase = Writing::Recheck;
            steps.go(Step::Put(Object::End, self.session), next);
        } else {
            self.goes_to(Writing::Over, Step::LosesEnd(self.session), steps);
        }
        if self.puts_late() {
            let old = *self.view.state;
            self.crash(State { late_end: self.late(old.late_end), ..old }, Object::End, steps);
        }
    }

    /// I10: after its `end` it reads the newest CHECKPOINT again. Covered and not listed: void. Only now it tells anybody.
    fn recheck(&self, steps: &mut Steps) {
        let view = self.view;
        let listed = view.state.census.has(self.session) && !view.breaks(Broken::VoidThoughListed);
        let looks = !view.breaks(Broken::SkipsRecheck) && !view.breaks(Broken::VoidCounts);
        if looks && view.covered(self.session) && !listed {
            return self.goes_to(Writing::Void, Step::FindsVoid(self.session), steps);
        }
        let mut next = *view.state;
        next.acknowledged |= Set::of(self.session);
        next.writers[self.writer].phase = Writing::Over;
        steps.go(Step::Acknowledge(self.session), next);
    }

    /// I5: a writer that starts aborts its own dead sessions.
    fn restart(&self, steps: &mut Steps) {
        let mut next = *self.view.state;
        if next.end[self.session] == End::Vacant {
            next.end[self.session] = End::Abort;
        }
        next.writers[self.writer].phase = Writing::Over;
        steps.go(Step::Restart(self.session), next);
    }

    fn next_session(&self, steps: &mut Steps) {
        let mut next = *self.view.state;
        next.writers[self.writer] = Writer { session: self.own.session + 1, ..Writer::default() };
        steps.go(Step::NextSession(self.session), next);
    }

    /// The pack that it uploads.
    fn pack(&self) -> usize {
        if self.own.keeps_name { SECOND } else { pack_of(self.session) }
    }

    fn puts_late(&self) -> bool {
        self.view.setup.late && self.own.session == 0
    }

    pub(super) fn late(&self, others: Set) -> Set {
        others | Set::of(self.writer)
    }

    /// Dies with a put on its way.
    pub(super) fn crash(&self, mut next: State, object: Object, steps: &mut Steps) {
        next.writers[self.writer].phase = Writing::Restart;
        steps.go(Step::CrashWhile(object, self.session), next);
    }

    pub(super) fn goes_to(&self, phase: Writing, step: Step, steps: &mut Steps) {
        let mut next = *self.view.state;
        next.writers[self.writer].phase = phase;
        steps.go(step, next);
    }
}
