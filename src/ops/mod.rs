//! The verbs, as free functions over a repository: `op(inputs, &Options, &dyn Sink) -> Result<Summary, Error>`.

pub mod archive;
pub mod checkpoint;
pub mod content;
pub mod diff;
pub mod doctor;
mod draft;
pub mod find;
pub mod follow;
pub mod forget;
pub mod host;
pub mod import;
pub mod neighbour;
pub mod patch;
pub mod prune;
pub mod recover;
pub mod repair;
pub mod restore;
pub mod retention;
pub mod rewrite;
pub mod select;
pub mod snapshot;
pub mod stats;
pub mod tag;
pub mod tree_copy;
pub mod unreadable;
pub mod verify;
pub mod versions;
