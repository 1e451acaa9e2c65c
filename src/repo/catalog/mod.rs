//! The catalog: one snapshot's entries in a search tree whose shape depends on its content alone.
//!
//! A page is two chunks: a **skeleton**, which holds every reference and so all that says what is alive, and a
//! **payload**, which holds names and attributes and points into the skeleton by position. Equal entries give equal pages
//! whatever the history, so equal parts of two snapshots are stored, compared and listed once. Long files keep their extents
//! in a tree of the same kind. This folder knows chunks only through [`ChunkSink`](super::chunks::ChunkSink) and
//! [`ChunkSource`](super::chunks::ChunkSource); where they are stored and who may read them is not its business.

mod cache;
mod check;
mod codec;
#[cfg(test)]
mod cost;
mod cursor;
mod cut;
mod diff;
mod extent_reader;
mod extents;
pub mod history;
mod inside;
pub mod key;
mod keys;
mod page;
mod reader;
mod refs;
mod rules;
mod skeleton;
mod spine;
#[cfg(test)]
pub mod testing;
mod value;
mod writer;

use super::chunks;
use super::entry::EntryPath;
use super::id::ChunkId;
use super::wire;
use crate::crypto::{context, hash, secret::Secret};
use std::fmt;

pub use cache::PageCache;
pub use check::{Checked, Expected, check_page};
pub use diff::{Change, Diff, diff, diff_below};
pub use extent_reader::{ExtentReader, Placed};
pub use extents::ExtentWriter;
pub use inside::{OpenPage, PageItems, open_page};
pub use reader::{Children, Found, Tree, Walk};
pub use skeleton::{References, references};
pub use value::{read_value, store_value};
pub use writer::TreeWriter;

/// The keys that decide where pages end. Who lacks them cannot choose names that never cut, nor guess at boundaries.
#[derive(Debug, Clone)]
pub struct CatalogKeys {
    page: Secret,
    extent: Secret,
}

impl CatalogKeys {
    /// Derives them from a bundle's id key.
    pub fn derive(id_key: &Secret) -> Self {
        Self {
            page: hash::derive_key(context::PAGE_CUT, id_key),
            extent: hash::derive_key(context::EXTENT_CUT, id_key),
        }
    }
}

/// What lies below a page or a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sums {
    /// Entries.
    pub entries: u64,
    /// Bytes of regular files; every name of a hard-linked file counts. Stops at the largest number instead of wrapping.
    pub bytes: u64,
}

impl Sums {
    /// Both added up.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { entries: self.entries.saturating_add(other.entries), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

/// A finished catalog: what a snapshot record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeRoot {
    /// The skeleton of the root page.
    pub skeleton: ChunkId,
    /// Entries in the tree.
    pub entries: u64,
    /// Bytes of regular files in the tree, as [`Sums::bytes`].
    pub bytes: u64,
}

/// What goes wrong with catalogs. Reading errors name the page and, as far as it is known, what they hide.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A page cannot be had or is not what it must be; everything that it covers is out of reach.
    #[error(transparent)]
    Page(Box<Unreadable>),
    /// A long attribute value cannot be read.
    #[error("an attribute's value cannot be read: {0}")]
    Value(#[source] chunks::Error),
    /// An entry was pushed out of order, or twice.
    #[error("{} does not belong after the entry before it", shown(.0))]
    Order(EntryPath),
    /// An entry that the format has no place for.
    #[error("{} cannot be stored: {reason}", shown(.path))]
    Entry {
        /// The entry.
        path: EntryPath,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// An extent that the format has no place for.
    #[error("an extent cannot be stored: {0}")]
    Extent(&'static str),
    /// A page could not be handed on.
    #[error("a catalog page cannot be written: {0}")]
    Sink(#[from] chunks::Error),
}

/// A page that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("catalog page {page} {hidden} cannot be read: {cause}")]
pub struct Unreadable {
    /// The page's skeleton.
    pub page: ChunkId,
    /// What it covers.
    pub hidden: Hidden,
    /// Why.
    #[source]
    pub cause: Fault,
}

/// Why a page is no good.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// One of its chunks cannot be had.
    #[error(transparent)]
    Chunk(#[from] chunks::Error),
    /// Its bytes do not decode.
    #[error(transparent)]
    Format(#[from] wire::Error),
    /// It decodes, but is not what the page above it says.
    #[error("it contradicts the page above it: {0}")]
    Mismatch(&'static str),
}

/// What an unreadable page covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    /// Nobody knows: it was read on its own, or is a root.
    Unknown,
    /// Entries in catalog order, from one path up to (without) another, or to the end.
    Entries {
        /// The first entry.
        from: EntryPath,
        /// The first entry after it.
        until: Option<EntryPath>,
        /// Their number.
        count: u64,
    },
    /// Bytes of one file.
    Bytes {
        /// First byte.
        start: u64,
        /// Their number.
        length: u64,
    },
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("(what it covers is not known)"),
            Self::Entries { from, until, count } => {
                write!(f, "({count} {} from {}", if *count == 1 { "entry" } else { "entries" }, shown(from))?;
                match until {
                    Some(until) => write!(f, " up to {})", shown(until)),
                    None => f.write_str(" on)"),
                }
            }
            Self::Bytes { start, length } => write!(f, "(bytes {start} to {})", start.saturating_add(*length)),
        }
    }
}

/// A path as messages show it: what is printable as it is, the rest escaped.
fn shown(path: &EntryPath) -> String {
    String::from_utf8_lossy(&path.to_bytes()).escape_debug().to_string()
}
