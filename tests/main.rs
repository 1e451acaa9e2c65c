//! All integration tests, as one binary: a module per kind of proof.
#![allow(clippy::unwrap_used)]

mod cli;
mod crash;
mod damage;
mod decode;
mod docs;
mod formats;
mod history;
mod hostile;
mod indexes;
mod kill;
mod layers;
mod peers;
mod prune;
mod retention;
mod roles;
mod runs;
mod servers;
mod stores;
mod sync;
mod world;
