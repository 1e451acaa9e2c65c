//! What somebody hostile may do: with a writer's keys and a program of their own, or with the store alone.

mod catalogs;
mod claims;
mod copies;
pub mod forger;
mod matrix;
mod pages;
mod scene;
mod sessions;
mod squatters;
mod store;
mod sums;
mod tables;
