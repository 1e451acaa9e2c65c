//! The verbs, as free functions over a repository: `op(inputs, &Options, &dyn Sink) -> Result<Summary, Error>`.

pub mod follow;
pub mod host;
pub mod repair;
pub mod restore;
pub mod snapshot;
pub mod verify;
