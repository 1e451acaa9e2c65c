//! What somebody hostile may do: with a writer's keys and a program of their own, or with the store alone.

pub mod forger;
mod store;
mod sums;
mod tables;
