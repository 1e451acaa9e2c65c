//! Mending what `verify` names, from parity, from second copies, from the packs themselves; and deciding what nothing can mend.
//!
//! Invariant: nothing good is deleted; what is replaced was damaged, and its replacement was checked before and after.

pub mod index;
pub mod log;
pub mod objects;
pub mod rollback;
pub mod sessions;
