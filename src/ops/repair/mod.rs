//! Mending what `verify` names, from parity, from second copies, from the packs themselves.
//!
//! Invariant: nothing good is deleted; what is replaced was damaged, and its replacement was checked before and after.

pub mod index;
pub mod log;
pub mod objects;
pub mod rollback;
