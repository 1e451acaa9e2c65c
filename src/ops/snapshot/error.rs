//! Why a snapshot cannot be taken.

use crate::repo::{catalog, chunks, repository};
use crate::source::Problem;

/// Why no snapshot was taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// None of the paths asked for can be found.
    #[error("{0}")]
    Source(Problem),
    /// A pattern that says nothing.
    #[error(transparent)]
    Pattern(#[from] crate::source::files::exclude::PatternError),
    /// A catalog page could not be written.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A chunk could not be written.
    #[error(transparent)]
    Chunk(#[from] chunks::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Standard input or a command's output cannot be relied on.
    #[error(transparent)]
    Stream(#[from] crate::source::stream::Error),
    /// Somebody asked to stop; what was uploaded is used by the next run.
    #[error("interrupted; what was stored so far will be used by the next snapshot")]
    Stopped,
}
