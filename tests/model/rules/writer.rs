//! A writer: opens a session, lists, reads the log, uploads what is missing, commits, and looks again (I2, I3, I5, I10).

use super::Steps;
use crate::broken::Broken;
use crate::sets::{Packs, Places, Set};
use crate::state::{BOTH, End, Reading, SECOND, SESSIONS, State, Writer, Writing};
use crate::view::{View, covers, pack_of};
use crate::words::{Object, Step};

/// The three things that a writer does before it knows what to upload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Open,
    List,
    ReadLog,
}

/// One writer in its present session.
struct Me<'a> {
    view: &'a View<'a>,
    writer: usize,
    session: usize,
    own: Writer,
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
    /// I3: `open` first; then sessions and idx are listed; **then** log and census are read to the tail.
    fn order(&self) -> [Look; 3] {
        if self.view.breaks(Broken::ListsAfterLog) {
            [Look::Open, Look::ReadLog, Look::List]
        } else if self.view.breaks(Broken::ReadsLogBeforeOpen) {
            [Look::ReadLog, Look::Open, Look::List]
        } else {
            [Look::Open, Look::List, Look::ReadLog]
        }
    }

    fn look(&self, which: usize, steps: &mut Steps) {
        let after = [Writing::Second, Writing::Third, Writing::PutPack][which];
        let mut next = *self.view.state;
        next.writers[self.writer].phase = after;
        match self.order()[which] {
            Look::Open => self.open(next, steps),
            Look::List => {
                let listed = self.list();
                if which == 2 {
                    self.judge(next, listed, self.own.reading, steps);
                } else {
                    next.writers[self.writer].listed = listed;
                    steps.go(Step::List(self.session), next);
                }
            }
            // I10: it won its put of `open`, and looks whether a CHECKPOINT covers it.
            Look::ReadLog if which > 0 && self.view.covered(self.session) && !self.view.breaks(Broken::VoidCounts) => {
                self.goes_to(Writing::Over, Step::FindsVoid(self.session), steps);
            }
            Look::ReadLog => {
                let reading = self.read_log();
                if which == 2 {
                    self.judge(next, self.own.listed, reading, steps);
                } else {
                    next.writers[self.writer].reading = reading;
                    steps.go(Step::WriterReadsLog(self.session), next);
                }
            }
        }
    }

    /// I1: put if absent. A session that is open already was opened by somebody else, or by a put that arrived late.
    fn open(&self, mut next: State, steps: &mut Steps) {
        if !self.view.state.open.has(self.session) {
            next.open |= Set::of(self.session);
            steps.go(Step::Open(self.session), next);
            if self.view.setup.late_open && self.own.session == 0 {
                steps.go(
                    Step::PutTwice(Object::Open, self.session),
                    State { late_open: self.late(next.late_open), ..next },
                );
                let open = self.view.state.open;
                let late = State { open, late_open: self.late(next.late_open), ..next };
                self.crash(late, Object::Open, steps);
            }
        }
    }

    /// I3, I11: the idx of every session that has a commit.
    fn list(&self) -> [Packs; SESSIONS] {
        let state = self.view.state;
        let shown = |session| state.end[session] == End::Commit || self.view.breaks(Broken::AnyIdxCounts);
        std::array::from_fn(|session| if shown(session) { state.idx[session] } else { Set::EMPTY })
    }

    fn read_log(&self) -> Reading {
        let state = self.view.state;
        Reading {
            absent: state.condemned | state.known_finals,
            finals: state.finals,
            watermark: state.watermark,
            census_idx: state.census_idx,
            parent: self.has_parent(),
        }
    }

    /// I3: a parent's subtrees may be reused without a walk if it is not forgotten and every pending CONDEMN says it marked it.
    fn has_parent(&self) -> bool {
        let view = self.view;
        let told = |snapshot| view.state.condemned.packs().members().all(|pack| view.state.marked[pack].has(snapshot));
        view.live().members().any(|snapshot| {
            snapshot != self.session && view.needs(snapshot) == BOTH && (!view.setup.tells_marks() || told(snapshot))
        })
    }

    /// I3: every listed idx is judged by the CHECKPOINT that was read; what is condemned or ever FINAL counts as absent even if
    /// it is there; only good places count. What then has no place must be uploaded.
    fn judge(&self, mut next: State, listed: [Packs; SESSIONS], reading: Reading, steps: &mut Steps) {
        let view = self.view;
        let any = view.breaks(Broken::AnyIdxCounts) || view.breaks(Broken::VoidCounts);
        let above = (0..SESSIONS).filter(|&session| any || !covers(reading.watermark, session));
        let indexed = above.fold(reading.census_idx, |all, session| all | listed[session]);
        let resumed = self.resumable(&reading) - indexed;
        let mut usable = view.places(indexed | resumed) - self.absent(&reading);
        if !view.breaks(Broken::WriterTrustsAll) {
            usable = usable & Places::in_packs(view.good(self.session));
        }
        let missing = view.needs(self.session) - usable.chunks();
        let taken = (reading.absent | reading.finals).on(SECOND);
        let own = &mut next.writers[self.writer];
        *own = Writer {
            phase: own.phase,
            session: own.session,
            missing,
            resumes: !resumed.is_empty(),
            ..Writer::default()
        };
        own.keeps_name = view.setup.sync && (taken.is_empty() || view.breaks(Broken::SyncKeepsNames));
        let plain = Writer { resumes: false, ..*own };
        let log = self.order()[2] == Look::ReadLog;
        steps.go(Step::Judge(self.session, log, missing), next);
        if view.setup.reuse && reading.parent {
            next.writers[self.writer] = Writer { missing: Set::EMPTY, ..plain };
            steps.go(Step::Reuse(self.session), next);
        }
        if view.breaks(Broken::TrustsPartial) && self.own.session == 1 && view.state.acknowledged.has(self.session - 1)
        {
            next.writers[self.writer] = Writer { missing: missing - Set::of(0), ..plain };
            steps.go(Step::Trust(self.session), next);
        }
    }

    fn absent(&self, reading: &Reading) -> Places {
        if !self.view.breaks(Broken::UsesCondemnedSegments) {
            return reading.absent;
        }
        let whole = |pack: &usize| self.view.state.holds.on(*pack).within(reading.absent);
        reading.absent.packs().members().filter(whole).fold(Places::EMPTY, |all, pack| all | reading.absent.on(pack))
    }

    /// I5: the pack of the session before, if that died and no entry of the whole log ever made the pack absent.
    fn resumable(&self, reading: &Reading) -> Packs {
        if self.own.session == 0 || self.view.state.end[self.session - 1] == End::Commit {
            return Set::EMPTY;
        }
        let pack = pack_of(self.session - 1);
        let tail = self.view.breaks(Broken::ResumesByTail);
        let absent = if tail { reading.absent } else { reading.absent | reading.finals };
        let there = self.view.state.present.has(pack) && absent.on(pack).is_empty();
        if there { Set::of(pack) } else { Set::EMPTY }
    }

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

    /// The pack that it uploads. I14: a sync keeps a pack's name, unless it was condemned or ever FINAL here.
    fn pack(&self) -> usize {
        if self.own.keeps_name { SECOND } else { pack_of(self.session) }
    }

    fn puts_late(&self) -> bool {
        self.view.setup.late && self.own.session == 0
    }

    fn late(&self, others: Set) -> Set {
        others | Set::of(self.writer)
    }

    /// Dies with a put on its way.
    fn crash(&self, mut next: State, object: Object, steps: &mut Steps) {
        next.writers[self.writer].phase = Writing::Restart;
        steps.go(Step::CrashWhile(object, self.session), next);
    }

    fn goes_to(&self, phase: Writing, step: Step, steps: &mut Steps) {
        let mut next = *self.view.state;
        next.writers[self.writer].phase = phase;
        steps.go(step, next);
    }
}
