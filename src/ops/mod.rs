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
pub mod snapshot;
pub mod tag;
pub mod unreadable;
pub mod verify;
