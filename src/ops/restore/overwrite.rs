//! What becomes of something that stands in the target already, under the name of an entry.

use super::beneath;
use super::context::Context;
use super::folder::Folder;
use crate::repo::entry::{Entry, EntryKind, EntryName, Timestamp};
use rustix::fs::{FileType, Stat};
use std::os::fd::BorrowedFd;
use std::sync::PoisonError;

/// Which of the things that exist give way to the snapshot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// All; contents are compared, and what differs is written.
    #[default]
    Always,
    /// All, but a file of the same size and modification time is taken to have the same content.
    IfChanged,
    /// Those that are older than the snapshot's.
    IfNewer,
    /// None: what exists stays as it is. Folders are gone into all the same.
    Never,
}

/// What is done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is restored; what is there is compared.
    Write,
    /// Its content is there, without a look at it.
    Trust,
    /// What is there stays.
    Keep,
}

impl Overwrite {
    /// Decides about `entry`, where `there` stands.
    pub(super) fn decide(self, there: Option<&Stat>, entry: &Entry) -> Decision {
        let Some(there) = there else { return Decision::Write };
        let modified = Timestamp { seconds: there.st_mtime, nanoseconds: there.st_mtime_nsec as u32 };
        let regular = matches!(entry.kind, EntryKind::File(_)) && beneath::file_type(there) == FileType::RegularFile;
        match self {
            Self::Always => Decision::Write,
            Self::Never => Decision::Keep,
            Self::IfNewer if entry.modified > modified => Decision::Write,
            Self::IfNewer => Decision::Keep,
            Self::IfChanged if regular && there.st_size as u64 == entry.size && modified == entry.modified => {
                Decision::Trust
            }
            Self::IfChanged => Decision::Write,
        }
    }
}

/// Decides about the entry `name` of `folder` (whose handle is `dir`); anything but a directory. A directory that stands in
/// its place goes first, with all that is in it, if the restore deletes what the snapshot does not have.
pub(super) fn decide(
    context: &Context<'_>,
    folder: &Folder,
    dir: BorrowedFd<'_>,
    name: &EntryName,
    entry: &Entry,
) -> Decision {
    if context.overwrite == Overwrite::Always && context.sweep.is_none() {
        return Decision::Write;
    }
    let there = beneath::stat(dir, name).ok();
    let decision = context.overwrite.decide(there.as_ref(), entry);
    if decision == Decision::Keep {
        if let Some(kept) = &context.kept {
            let path = folder.location.path.join(name.clone());
            kept.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        }
    } else if there.is_some_and(|there| beneath::file_type(&there) == FileType::Directory) {
        super::sweep::clear(context, dir, &folder.location.path, name);
    }
    decision
}
