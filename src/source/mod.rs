//! What can be snapshotted.

pub mod files;
