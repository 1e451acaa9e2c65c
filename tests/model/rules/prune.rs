//! A maintainer that prunes: condemns, waits for every session that it lists, marks again, makes FINAL or rescues (I4–I6, I13).

use super::Steps;
use crate::broken::Broken;
use crate::sets::{Places, Sessions, Set};
use crate::state::{End, Maintainer, Maintaining, SESSIONS, State};
use crate::view::{View, session_of};
use crate::words::Step;

/// One maintainer.
struct Me<'a> {
    view: &'a View<'a>,
    number: usize,
    own: Maintainer,
}

pub fn steps(view: &View, number: usize, steps: &mut Steps) {
    let me = Me { view, number, own: view.state.maintainers[number] };
    match me.own.phase {
        Maintaining::Idle => me.begin(steps),
        Maintaining::Plan => me.plan(steps),
        Maintaining::Condemn => me.condemn(steps),
        Maintaining::ListSessions => me.list_sessions(steps),
        Maintaining::Wait => me.wait(steps),
        Maintaining::ReadLog => me.read_log(steps),
        Maintaining::Mark => me.mark(steps),
        Maintaining::Decide => me.decide(steps),
        Maintaining::BuildCensus | Maintaining::Checkpoint => {}
    }
    let midway =
        [Maintaining::Condemn, Maintaining::ListSessions, Maintaining::Wait, Maintaining::ReadLog, Maintaining::Mark];
    if midway.contains(&me.own.phase) {
        me.becomes(Maintainer::default(), Step::GivesUp(number), steps);
    }
}

impl Me<'_> {
    /// It reads the log, for packs to condemn, or to go on with what somebody condemned before (I7: anyone may finish it).
    fn begin(&self, steps: &mut Steps) {
        let fresh = Maintainer { fresh: true, ..Maintainer::default() };
        self.becomes(Maintainer { phase: Maintaining::Plan, ..fresh }, Step::ReadsLog(self.number), steps);
        let condemned = self.view.state.condemned;
        if !condemned.is_empty() {
            let goes_on = Maintainer { phase: Maintaining::ListSessions, eligible: condemned, ..fresh };
            self.becomes(goes_on, Step::TakesOver(self.number), steps);
        }
        if self.view.setup.seal {
            self.seal(steps);
        }
    }

    /// I4: packs of unresolved sessions are no candidates. A careful one names only packs whose live chunks have other good places.
    fn plan(&self, steps: &mut Steps) {
        let (view, state) = (self.view, self.view.state);
        let (taken, indexed) = (state.condemned | state.known_finals, view.indexed());
        let unresolved = |session| view.vacant(session) && !view.breaks(Broken::CondemnsUnresolved);
        for pack in state.present.members().filter(|&pack| !session_of(pack).is_some_and(unresolved)) {
            for planned in self.units(state.holds.on(pack) - taken) {
                let needed = || !view.dispensable(planned, view.roots(), indexed, taken | planned);
                if view.setup.careful && indexed.has(pack) && needed() {
                    continue;
                }
                let marks = if view.setup.tells_marks() { view.roots() } else { Set::EMPTY };
                let early = view.breaks(Broken::ListsBeforeCondemn);
                let awaited = if early { view.unresolved() } else { Set::EMPTY };
                let next = Maintainer { phase: Maintaining::Condemn, planned, marks, awaited, ..self.own };
                self.becomes(next, Step::Plans(self.number, planned), steps);
            }
        }
    }

    /// I9: appended at exactly the next position, or not at all.
    fn condemn(&self, steps: &mut Steps) {
        if !self.own.fresh {
            return self.becomes(Maintainer::default(), Step::Conflict(self.number), steps);
        }
        let mut next = *self.view.state;
        next.append();
        next.condemned |= self.own.planned;
        let own = &mut next.maintainers[self.number];
        let listed = self.view.breaks(Broken::ListsBeforeCondemn);
        own.phase = if listed { Maintaining::Wait } else { Maintaining::ListSessions };
        (own.eligible, own.planned, own.marks) = (next.condemned, Places::EMPTY, Set::EMPTY);
        if self.view.setup.tells_marks() {
            for pack in self.own.planned.packs().members() {
                // Of another segment of the pack one may be pending, which marked for itself.
                let pending = !self.view.state.condemned.on(pack).is_empty();
                next.marked[pack] = self.own.marks & if pending { next.marked[pack] } else { Set(u8::MAX) };
            }
        }
        steps.go(Step::Condemn(self.number, self.own.planned), next);
    }

    /// I4: sessions are listed after CONDEMN was appended.
    fn list_sessions(&self, steps: &mut Steps) {
        let awaited = self.view.unresolved();
        let next = Maintainer { phase: Maintaining::Wait, awaited, ..self.own };
        self.becomes(next, Step::ListsSessions(self.number, awaited), steps);
        if self.view.breaks(Broken::StaleListing) && !awaited.is_empty() {
            let blind = Maintainer { awaited: Set::EMPTY, ..next };
            self.becomes(blind, Step::ListsSessions(self.number, Set::EMPTY), steps);
        }
    }

    /// I5: every listed session must resolve. It waits, or puts `end` = abort, and that may arrive late too.
    fn wait(&self, steps: &mut Steps) {
        let waits: Sessions =
            self.own.awaited.members().filter(|&s| self.view.vacant(s)).fold(Set::EMPTY, |all, s| all | Set::of(s));
        for session in waits.members() {
            steps.go(Step::Aborts(self.number, session), self.abort(session));
        }
        if waits.is_empty() {
            let next = Maintainer { phase: Maintaining::ReadLog, awaited: Set::EMPTY, ..self.own };
            self.becomes(next, Step::AllResolved(self.number), steps);
        }
        // The session was collected meanwhile: its register is vacant again, and the CHECKPOINT that covers it makes void what comes.
        let collected = |&s: &usize| self.view.state.end[s] == End::Vacant && self.view.covered(s);
        for session in self.own.awaited.members().filter(collected) {
            let mut next = self.abort(session);
            next.maintainers[self.number].awaited -= Set::of(session);
            steps.go(Step::Aborts(self.number, session), next);
        }
    }

    fn abort(&self, session: usize) -> State {
        let mut next = *self.view.state;
        next.end[session] = End::Abort;
        next
    }

    /// I6: it reads the log again.
    fn read_log(&self, steps: &mut Steps) {
        let next = Maintainer { phase: Maintaining::Mark, fresh: true, ..self.own };
        self.becomes(next, Step::ReadsLog(self.number), steps);
    }

    /// I6: it marks from every committed, not forgotten, or pinned snapshot, and takes packs whose last entry is a CONDEMN older
    /// than its listing. All live chunks have other good, indexed, uncondemned places: FINAL; else RESCUE.
    fn mark(&self, steps: &mut Steps) {
        let (view, state) = (self.view, self.view.state);
        let older =
            if view.breaks(Broken::FinalIgnoresAge) { state.condemned } else { self.own.eligible & state.condemned };
        if older.is_empty() {
            return self.becomes(Maintainer::default(), Step::NothingLeft(self.number), steps);
        }
        let absent = state.condemned | state.known_finals;
        for planned in older.packs().members().flat_map(|pack| self.units(older.on(pack))) {
            let unmarked = view.breaks(Broken::FinalUnmarked);
            let rescues = !unmarked && !view.dispensable(planned, view.roots(), view.indexed(), absent);
            let next = Maintainer { phase: Maintaining::Decide, planned, rescues, ..self.own };
            self.becomes(next, Step::Marks(self.number, planned), steps);
        }
    }

    /// I6, I9: FINAL or RESCUE, at exactly the next position. A conflict means: read again.
    fn decide(&self, steps: &mut Steps) {
        let again = Maintainer { phase: Maintaining::ReadLog, planned: Places::EMPTY, rescues: false, ..self.own };
        if !self.own.fresh && !self.view.breaks(Broken::FinalAnywhere) {
            return self.becomes(again, Step::Conflict(self.number), steps);
        }
        let mut next = *self.view.state;
        next.append();
        let planned = self.own.planned;
        next.condemned -= planned;
        if !self.own.rescues {
            next.finals |= planned;
            next.known_finals |= planned;
        }
        for pack in planned.packs().members().filter(|&pack| next.condemned.on(pack).is_empty()) {
            next.marked[pack] = Set::EMPTY;
        }
        for maintainer in &mut next.maintainers {
            maintainer.eligible -= planned;
        }
        let eligible = next.maintainers[self.number].eligible;
        let rest = Maintainer { eligible, fresh: false, ..again };
        next.maintainers[self.number] = if eligible.is_empty() { Maintainer::default() } else { rest };
        let step = if self.own.rescues { Step::Rescue } else { Step::Final };
        steps.go(step(self.number, planned), next);
    }

    /// A session that was never opened is resolved like any other, before a CHECKPOINT may cover it.
    fn seal(&self, steps: &mut Steps) {
        let view = self.view;
        let unopened = |&session: &usize| view.vacant(session) && !view.state.open.has(session);
        let theirs = (0..SESSIONS).filter(|s| s / 2 < view.setup.writers && s % 2 < usize::from(view.setup.sessions));
        for session in theirs.filter(unopened) {
            steps.go(Step::Aborts(self.number, session), self.abort(session));
        }
    }

    /// What one entry may name: what is left of a pack as a whole; or with segments, each of them alone as well.
    fn units(&self, places: Places) -> Vec<Places> {
        let mut units = if places.is_empty() { vec![] } else { vec![places] };
        if self.view.setup.segments && places.chunks().members().count() > 1 {
            units.extend((0..16).filter(|&place| places.has(place)).map(Places::of));
        }
        units
    }

    fn becomes(&self, own: Maintainer, step: Step, steps: &mut Steps) {
        let mut next = *self.view.state;
        next.maintainers[self.number] = own;
        steps.go(step, next);
    }
}
