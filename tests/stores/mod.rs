//! Every backend against one suite, and what the local store owes on top of it: exclusion between processes, and durability.

mod conformance;
mod durability;
mod local;
mod race;
mod remote;
mod remote_faults;

use boveda::store::ObjectName;

/// The object name `text`.
fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}
