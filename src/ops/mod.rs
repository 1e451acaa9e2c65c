//! The verbs, as free functions over a repository: `op(inputs, &Options, &dyn Sink) -> Result<Summary, Error>`.

pub mod archive;
pub mod content;
pub mod diff;
pub mod find;
pub mod follow;
pub mod host;
pub mod import;
pub mod patch;
pub mod restore;
pub mod select;
pub mod snapshot;
pub mod unreadable;
pub mod verify;
