//! The verbs, as free functions over a repository: `op(inputs, &Options, &dyn Sink) -> Result<Summary, Error>`.

pub mod doctor;
pub mod follow;
pub mod host;
pub mod restore;
pub mod retention;
pub mod snapshot;
pub mod verify;
