//! The verbs, as free functions over a repository: `op(inputs, &Options, &dyn Sink) -> Result<Summary, Error>`.

pub mod follow;
pub mod host;
pub mod recover;
pub mod restore;
pub mod rewrite;
pub mod snapshot;
pub mod stats;
pub mod tag;
pub mod tree_copy;
pub mod verify;
