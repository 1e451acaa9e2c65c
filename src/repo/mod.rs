//! The repository: ids, keys, chunks, segments, packs, indexes, catalogs, snapshots, sessions, the log.
//!
//! `FORMAT.md` in this folder is the authority on every byte. Verbs live in `ops`; this room only knows how things are
//! stored and which rules keep them.

pub mod armour;
pub mod catalog;
pub mod census;
pub mod chunk_index;
pub mod chunk_keys;
pub mod chunker;
pub mod chunks;
pub mod config;
pub mod effort;
pub mod entry;
pub mod examine;
pub mod frame;
#[cfg(test)]
pub mod golden;
pub mod id;
pub mod index_object;
pub mod keys;
pub mod log;
pub mod names;
pub mod pack;
pub mod pin;
pub mod reader;
pub mod record;
pub mod repository;
pub mod segment;
pub mod session;
pub mod session_view;
pub mod wire;
pub mod writer;
