//! `repair`: mends what `verify` names, and never deletes good data. A file per kind of damage.

pub mod log;
pub mod rollback;
