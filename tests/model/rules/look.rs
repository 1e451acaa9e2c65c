//! How a writer finds out what it must upload: it opens a session, lists, and reads the log (I3, I10, I11).

use super::Steps;
use super::writer::Me;
use crate::broken::Broken;
use crate::sets::{Packs, Places, Set};
use crate::state::{BOTH, End, Reading, SECOND, SESSIONS, State, Writer, Writing};
use crate::view::{covers, pack_of};
use crate::words::{Object, Step};

/// The three things that a writer does before it knows what to upload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Open,
    List,
    ReadLog,
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

    /// The first, second or third of these, and what it must upload after the third.
    pub(super) fn look(&self, which: usize, steps: &mut Steps) {
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
        let phase = next.writers[self.writer].phase;
        let plain = Writer {
            phase,
            session: self.own.session,
            missing,
            keeps_name: self.keeps_name(&reading),
            ..Writer::default()
        };
        next.writers[self.writer] = Writer { resumes: !resumed.is_empty(), ..plain };
        steps.go(Step::Judge(self.session, self.order()[2] == Look::ReadLog, missing), next);
        if view.setup.reuse && reading.parent {
            next.writers[self.writer] = Writer { missing: Set::EMPTY, ..plain };
            steps.go(Step::Reuse(self.session), next);
        }
        let follows = self.own.session == 1 && view.state.acknowledged.has(self.session - 1);
        if follows && view.breaks(Broken::TrustsPartial) {
            next.writers[self.writer] = Writer { missing: missing - Set::of(0), ..plain };
            steps.go(Step::Trust(self.session), next);
        }
    }

    /// I14: a sync puts a pack under the name that it has elsewhere, unless it was condemned or ever FINAL here.
    fn keeps_name(&self, reading: &Reading) -> bool {
        let taken = (reading.absent | reading.finals).on(SECOND);
        self.view.setup.sync && (taken.is_empty() || self.view.breaks(Broken::SyncKeepsNames))
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
}
