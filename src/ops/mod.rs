//! The verbs, as free functions over a repository: `op(inputs, &Options, &dyn Sink) -> Result<Summary, Error>`.

pub mod content;
pub mod diff;
pub mod find;
pub mod follow;
pub mod host;
pub mod repair;
pub mod patch;
pub mod restore;
pub mod select;
pub mod retention;
pub mod recover;
pub mod restore;
pub mod rewrite;
pub mod snapshot;
pub mod stats;
pub mod tag;
pub mod unreadable;
pub mod tree_copy;
pub mod verify;
