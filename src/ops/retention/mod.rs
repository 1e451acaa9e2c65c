//! Retention: the rules that say which snapshots stay, with the names and meanings that restic's users know, and what they
//! come to for given snapshots.
//!
//! Pure: snapshots, rules, the time and its zone go in; for each snapshot comes out whether it stays and why. Nothing is read or
//! forgotten here.

mod budget;
mod calendar;
mod candidate;
mod decide;
mod guards;
mod judge;
mod reason;
mod rules;
mod span;
#[cfg(test)]
mod tests;

pub use budget::{Order, over_budget};
pub use candidate::{Candidate, Progress, Source};
pub use decide::{Decided, Group, GroupKey, Grouping, Question, decide};
pub use guards::{Guard, guard_clock, guard_groups, guard_last};
pub use reason::{Cause, Reason, Verdict};
pub use rules::{DAMAGED_TAG, KEEP_TAG, Rules, Size};
pub use span::Span;
