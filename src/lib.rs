//! boveda keeps the history of a machine in an encrypted, deduplicated repository, and shows every snapshot as a folder.
//!
//! The map of the house. A room imports only from floors below it; `tests/layers.rs` holds every `crate::` path to this list.
//!
//! ```text
//! cli       a file per verb: its arguments, one call into ops, printing; exit codes and hints
//! config    one TOML file: repositories, sources, retention; its sections are the options of the rooms below
//! ops       the verbs as free functions: snapshot, restore, verify …
//! mount     the FUSE face of a repository
//! source    what can be snapshotted: files
//! state     what this host remembers: known heads, snapshot numbers, the change cache (SQLite and files)
//! repo      the repository: ids, keys, chunks, segments, packs, indexes, catalogs, sessions, the log
//! store     objects in places: the local directory, memory; decorators
//! secrets   where a secret comes from: environment, file, command
//! crypto    keys, password hashing, ciphers, hashes, signatures; no I/O
//! event     what happened, and who listens
//! system    what only the system can say: random bytes, the time
//! ```

pub mod cli;
pub mod config;
pub mod crypto;
pub mod event;
pub mod mount;
pub mod ops;
pub mod repo;
pub mod secrets;
pub mod source;
pub mod state;
pub mod store;
pub mod system;
