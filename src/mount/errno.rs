//! Why a request cannot be answered, and the error number that the kernel is told. The only place that knows error numbers.

use crate::repo::{catalog, chunks};
use fuser::Errno;
use std::sync::Arc;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No such name.
    #[error("no such entry")]
    NotFound,
    /// The node's snapshot is no longer in the repository, or the node is of a time before this mount.
    #[error("the snapshot is no longer there")]
    Stale,
    /// Not what this request is for.
    #[error("not possible with this kind of entry")]
    Kind,
    /// An operation that there is not.
    #[error("no such operation")]
    Unknown,
    /// No such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The value is longer than the buffer offered.
    #[error("the buffer is too small")]
    TooSmall,
    /// Nothing more behind this offset.
    #[error("no data or hole behind this offset")]
    BeyondEnd,
    /// The catalog cannot be read there.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The content cannot be read there.
    #[error(transparent)]
    Chunk(#[from] chunks::Error),
    /// It is in memory, perhaps, but takes too long for a loop that listens to the kernel.
    #[error("this takes a while")]
    Slow,
    /// Some of a folder's names cannot be read.
    #[error("the listing is not complete: {0}")]
    Listing(Arc<Failure>),
    /// The mount's policy does not let them look.
    #[error("not allowed to look here")]
    Refused,
    /// The store did not answer in time.
    #[error("the repository did not answer within {0} seconds")]
    Late(u64),
}

impl Failure {
    /// Whether there is no answer yet, so that waiting for it might help, and a person should know if not.
    pub const fn is_unread(&self) -> bool {
        matches!(self, Self::Catalog(_) | Self::Chunk(_) | Self::Slow | Self::Listing(_) | Self::Late(_))
    }

    /// The error number.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::NotFound => Errno::ENOENT,
            Self::Stale => Errno::ESTALE,
            Self::Kind => Errno::EINVAL,
            Self::Unknown => Errno::ENOTTY,
            Self::NoAttribute => Errno::NO_XATTR,
            Self::TooSmall => Errno::ERANGE,
            Self::BeyondEnd => Errno::ENXIO,
            Self::Refused | Self::Chunk(chunks::Error::NoKey { .. }) => Errno::EACCES,
            Self::Catalog(_) | Self::Chunk(_) | Self::Slow | Self::Listing(_) | Self::Late(_) => Errno::EIO,
        }
    }
}
