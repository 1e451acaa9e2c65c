//! The protocol of a repository (no locks, no clocks), as a model that is small enough to try every order of every step.
//!
//! Read [`rules`] as the protocol's second description: one function per step of a writer, a maintainer, an operator or a reader,
//! each naming the rule that it follows (I1–I14, told in `docs/protocol.md`). A step is one request that a store answers
//! at once, so everything may happen between two steps of the same process. A crash is a process that is never scheduled again.
//!
//! ```text
//! configurations  what is tried; `tests` tries it, and holds `docs/protocol.md` to what comes out
//! check           the search, and the shortest way to a loss
//! promises        what must hold in every state
//! rules           what each process may do next
//! view            what follows from what there is: what is valid, indexed, alive, good
//! state           what there is
//! setup, broken   who takes part, what may happen, which rule is left out
//! words           a step in words
//! sets            small sets of things
//! symmetry        states that are alike count once
//! packed, seen    a state in a few words; the table of those that were met
//! ```
//!
//! What is simplified, each towards more behaviour, never less:
//!
//! - Two chunks, *a* and *b*, in eight packs: two that were there before, one for each of two sessions of two writers, a repacked
//!   copy, and one by a hostile writer.
//! - The log is kept as its fold. "At exactly the next position" is a compare-and-set: whoever read the log is *fresh* until
//!   anybody appends. So the log may grow without bound, and there are no positions to count.
//! - There is no time. Any session that waits may be aborted at once, any snapshot be forgotten at any moment.

pub mod broken;
pub mod check;
pub mod configurations;
pub mod packed;
pub mod promises;
pub mod rules;
pub mod seen;
pub mod sets;
pub mod setup;
pub mod state;
pub mod symmetry;
#[cfg(test)]
mod tests;
pub mod view;
pub mod words;
