//! Real directories as a source: the walk in catalog order, attributes, and content.
//!
//! Everything is opened relative to the handle of its directory, never by a whole path, so that trees deeper than
//! `PATH_MAX` are nothing special and no symlink that appears during the run is ever followed. Nothing here blocks on a
//! FIFO, changes an access time where the system lets us avoid it, or decides what is stored.

mod ahead;
pub mod attributes;
mod behind;
pub mod content;
pub mod dir;
pub mod exclude;
pub mod expand;
pub mod explain;
mod glob;
mod ignore;
mod list;
pub mod owners;
mod pseudo;
pub mod reason;
mod resident;
mod roots;
pub mod rules;
pub mod sieve;
pub mod special;
pub mod stat;
mod visit;
pub mod walk;
mod xattrs;

#[cfg(test)]
mod tests;
