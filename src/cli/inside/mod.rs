//! For people who look inside: single objects as JSON, and lists of what there is.

pub mod cat;
mod kinds;
pub mod list;
mod objects;
mod pages;
mod segments;

pub use kinds::session_id;
