//! The search: every state that can be reached, breadth first, so that the first loss found is one of the shortest.

use crate::promises::broken_promise;
use crate::rules::{Steps, steps};
use crate::seen::{self, Seen};
use crate::setup::Setup;
use crate::state::State;
use crate::symmetry::canonical;
use crate::view::View;
use std::fmt::{self, Display, Formatter};

/// What a search came to.
#[derive(Debug)]
pub struct Report {
    /// How many states it looked at.
    pub states: usize,
    /// How many steps the farthest of them is from a beginning.
    pub depth: usize,
    /// Whether it looked at all that there are.
    pub complete: bool,
    /// The shortest way to a broken promise.
    pub loss: Option<Loss>,
}

/// A broken promise, and how it came to that.
#[derive(Debug)]
pub struct Loss {
    pub promise: String,
    pub steps: Vec<String>,
}

/// Tries every order of every step, until a promise is broken, nothing new happens, or more than `most` states were met.
pub fn search(setup: &Setup, most: usize) -> Report {
    let report = explore(setup, most, Seen::new(false));
    // Ways cost as much memory as the states do, and most searches need none.
    if report.loss.is_some() { explore(setup, most, Seen::new(true)) } else { report }
}

fn explore(setup: &Setup, most: usize, mut seen: Seen) -> Report {
    let mut edge = setup.beginnings();
    edge.retain(|state| seen.insert(fingerprint(setup, state), 0));
    let (mut report, mut found) = (Report { states: 0, depth: 0, complete: true, loss: None }, Steps::default());
    loop {
        let mut beyond = Vec::new();
        for state in &edge {
            report.states += 1;
            let view = View { setup, state };
            let here = fingerprint(setup, state);
            if let Some(promise) = broken_promise(&view) {
                report.loss = Some(Loss { promise, steps: retell(setup, &seen.way_to(here)) });
                return report;
            }
            found.0.clear();
            steps(&view, &mut found);
            let nexts = found.0.iter().map(|(_, next)| *next);
            beyond.extend(nexts.filter(|next| seen.insert(fingerprint(setup, next), here)));
        }
        report.complete = beyond.is_empty();
        if report.complete || report.states > most {
            return report;
        }
        edge = beyond;
        report.depth += 1;
    }
}

/// The fingerprint of a state, and of all that are like it.
fn fingerprint(setup: &Setup, state: &State) -> u64 {
    seen::fingerprint(&canonical(setup, state))
}

/// Walks a way again, from fingerprint to fingerprint, and says what happened.
fn retell(setup: &Setup, way: &[u64]) -> Vec<String> {
    let begin = setup.beginnings().into_iter().find(|state| Some(&fingerprint(setup, state)) == way.first());
    let Some(mut state) = begin else { return Vec::new() };
    let mut told = vec![beginning(&state)];
    for &next in &way[1..] {
        let mut found = Steps::default();
        steps(&View { setup, state: &state }, &mut found);
        let Some(step) = found.0.into_iter().find(|(_, state)| fingerprint(setup, state) == next) else { break };
        told.push(step.0.to_string());
        state = step.1;
    }
    told
}

fn beginning(state: &State) -> String {
    let held = |pack: usize| ["nothing", "a", "b", "a and b"][usize::from(state.holds.on(pack).chunks().0)];
    format!("at first pack P holds {} and P' {}; snapshot S needs a and b", held(0), held(1))
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match &self.loss {
            None => {
                let scope = if self.complete { "" } else { "the first " };
                write!(f, "{scope}{} states, at most {} steps away: no loss", self.states, self.depth)
            }
            Some(Loss { promise, steps }) => {
                writeln!(f, "{promise}: after {} steps, among {} states", self.depth, self.states)?;
                steps.iter().try_for_each(|step| writeln!(f, "    {step}"))
            }
        }
    }
}
