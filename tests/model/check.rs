//! The search: every state that can be reached, breadth first, so that the first loss found is one of the shortest.

use crate::packed::packed;
use crate::promises::broken_promise;
use crate::rules::{Steps, steps};
use crate::seen::{self, Seen};
use crate::setup::Setup;
use crate::state::State;
use crate::view::View;
use std::fmt::{self, Display, Formatter};

/// What a search came to.
#[derive(Debug)]
pub struct Report {
    /// How many states it looked at.
    pub states: usize,
    /// How many steps the farthest of them is from a beginning.
    pub depth: usize,
    /// The shortest way to a broken promise.
    pub loss: Option<Loss>,
}

/// A broken promise, and how it came to that.
#[derive(Debug)]
pub struct Loss {
    pub promise: String,
    pub steps: Vec<String>,
}

/// The fingerprint of a state.
fn fingerprint(state: &State) -> u64 {
    seen::fingerprint(&packed(state))
}

/// Tries every order of every step, until a promise is broken or nothing new happens.
pub fn search(setup: &Setup) -> Report {
    let report = explore(setup, Seen::new(false));
    // Ways cost as much memory as the states do, and most searches need none.
    if report.loss.is_some() { explore(setup, Seen::new(true)) } else { report }
}

fn explore(setup: &Setup, mut seen: Seen) -> Report {
    let mut edge = setup.beginnings();
    edge.retain(|state| seen.insert(fingerprint(state), 0));
    let (mut states, mut depth, mut found) = (0, 0, Steps::default());
    loop {
        let mut beyond = Vec::new();
        for state in &edge {
            states += 1;
            let view = View { setup, state };
            let here = fingerprint(state);
            if let Some(promise) = broken_promise(&view) {
                return Report {
                    states,
                    depth,
                    loss: Some(Loss { promise, steps: retell(setup, &seen.way_to(here)) }),
                };
            }
            found.0.clear();
            steps(&view, &mut found);
            beyond.extend(found.0.iter().map(|(_, next)| *next).filter(|next| seen.insert(fingerprint(next), here)));
        }
        if beyond.is_empty() {
            return Report { states, depth, loss: None };
        }
        edge = beyond;
        depth += 1;
    }
}

/// Walks a way again, from fingerprint to fingerprint, and says what happened.
fn retell(setup: &Setup, way: &[u64]) -> Vec<String> {
    let begin = setup.beginnings().into_iter().find(|state| Some(&fingerprint(state)) == way.first());
    let Some(mut state) = begin else { return Vec::new() };
    let mut told = vec![beginning(&state)];
    for &next in &way[1..] {
        let mut found = Steps::default();
        steps(&View { setup, state: &state }, &mut found);
        let Some(step) = found.0.into_iter().find(|(_, state)| fingerprint(state) == next) else { break };
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
            None => write!(f, "{} states, at most {} steps away: no loss", self.states, self.depth),
            Some(Loss { promise, steps }) => {
                writeln!(f, "{promise}: after {} steps, among {} states", self.depth, self.states)?;
                steps.iter().try_for_each(|step| writeln!(f, "    {step}"))
            }
        }
    }
}
