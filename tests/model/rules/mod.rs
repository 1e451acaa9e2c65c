//! What each process may do next.

mod checkpoint;
mod look;
mod operator;
mod prune;
mod reader;
mod store;
mod writer;

use crate::setup::Role;
use crate::state::State;
use crate::view::View;
use crate::words::Step;

/// The steps that a state allows, each with the state that it leads to.
#[derive(Default)]
pub struct Steps(pub Vec<(Step, State)>);

impl Steps {
    /// A step that leads to `next`.
    pub fn go(&mut self, step: Step, next: State) {
        self.0.push((step, next));
    }
}

/// Puts every step that a state allows into `steps`.
pub fn steps(view: &View, steps: &mut Steps) {
    store::steps(view, steps);
    for writer in 0..view.setup.writers {
        writer::steps(view, writer, steps);
    }
    for (maintainer, &role) in view.setup.maintainers.iter().enumerate() {
        if role != Role::Checkpoints {
            prune::steps(view, maintainer, steps);
        }
        if role != Role::Prunes {
            checkpoint::steps(view, maintainer, steps);
        }
    }
    operator::steps(view, steps);
    reader::steps(view, steps);
}
