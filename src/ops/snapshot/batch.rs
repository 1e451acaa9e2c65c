//! What travels between the stages of a snapshot: the walk makes batches, workers fill them, the assembler takes them in order.

use super::former::Former;
use crate::event::EntryStatus;
use crate::repo::entry::{Content, Entry, EntryName, EntryPath};
use crate::source::files::dir::DirHandle;
use crate::source::files::stat::Kind;
use crate::source::files::walk::Child;
use std::sync::Arc;

/// Some of one directory's children, in order.
#[derive(Debug)]
pub(super) struct Batch {
    /// Position in the walk; the assembler goes by it.
    pub number: u64,
    /// The directory.
    pub directory: Arc<EntryPath>,
    /// Its handle, to open children by.
    pub handle: Arc<DirHandle>,
    /// The children.
    pub items: Vec<Item>,
}

/// One child and what has to be done about it.
#[derive(Debug)]
pub(super) enum Item {
    /// Nothing: the parent's entry still holds.
    Known(Finished),
    /// Read its attributes; its content too, unless the parent's still holds. `former` is what the file held before.
    Read { child: Child, content: Option<Content>, former: Option<Former>, status: EntryStatus },
}

/// A child whose entry is complete.
#[derive(Debug)]
pub(super) struct Finished {
    /// Its name.
    pub name: EntryName,
    /// Everything about it.
    pub entry: Entry,
    /// Where it was: part of the stamp that tells later whether it changed.
    pub device: u64,
    /// As above.
    pub inode: u64,
    /// Compared with the parent.
    pub status: EntryStatus,
    /// Its content was taken from the parent.
    pub reused: bool,
}

/// A batch after its workers: entries that could not be read at all are gone.
#[derive(Debug)]
pub(super) struct FilledBatch {
    /// As in the [`Batch`].
    pub number: u64,
    /// As in the [`Batch`].
    pub directory: Arc<EntryPath>,
    /// How many items the batch had: what the gate gets back.
    pub units: usize,
    /// The complete entries, in order.
    pub entries: Vec<Finished>,
}

impl Batch {
    /// Bytes of files that have to be read for it.
    pub fn bytes_to_read(&self) -> u64 {
        let bytes = |item: &Item| match item {
            Item::Read { child, content: None, .. } if child.stat.kind == Kind::File => child.stat.size,
            _ => 0,
        };
        self.items.iter().map(bytes).sum()
    }

    /// The batch as it is, if nothing of it has to be read.
    ///
    /// # Errors
    /// Gives the batch back otherwise.
    pub fn into_filled(self) -> Result<FilledBatch, Self> {
        if self.items.iter().any(|item| matches!(item, Item::Read { .. })) {
            return Err(self);
        }
        let units = self.items.len();
        let known = |item| match item {
            Item::Known(finished) => Some(finished),
            Item::Read { .. } => None,
        };
        let entries = self.items.into_iter().filter_map(known).collect();
        Ok(FilledBatch { number: self.number, directory: self.directory, units, entries })
    }
}
