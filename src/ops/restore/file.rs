//! One regular file: what it is written into, and what follows once its content is there.
//!
//! Several threads may share one; its attributes are applied when the last of them is done. A file whose content could not
//! be written in full keeps the private mode that it was made with.

use super::attributes::{Attributes, Inode};
use super::beneath::Identity;
use super::content::Filling;
use super::context::Context;
use super::folder::Folder;
use super::links::{self, Group, Leader};
use super::output;
use super::overwrite::{self, Decision};
use super::report::Done;
use crate::event::RestoreAction;
use crate::repo::entry::{Entry, EntryKind, EntryName};
use rustix::fs::FileType;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, MutexGuard, PoisonError};

/// A regular file that is being restored, by one or several threads.
pub(super) struct Job {
    filling: Filling,
    attributes: Attributes,
    fresh: bool,
    size: u64,
    /// Set for a file with several names: what to do at the end is done by its leader.
    leader: Option<Leader>,
}

impl Job {
    /// Makes or opens the file `name` in `folder` (whose handle is `dir`). `None`: nothing is left to do, because it was
    /// linked to a name that is there already, or because it failed, which was reported.
    pub(super) fn start(
        context: &Context<'_>,
        folder: &Arc<Folder>,
        dir: BorrowedFd<'_>,
        name: &EntryName,
        mut entry: Entry,
    ) -> Option<Self> {
        let path = || folder.location.path.join(name.clone());
        let group = context.links.group(&entry);
        let decision = overwrite::decide(context, folder, dir, name, &entry);
        if decision == Decision::Keep {
            context.report.advance(entry.size);
            context.report.done(&path(), Done::File(RestoreAction::Kept), entry.size);
            return None;
        }
        let attributes = Attributes::take(context, &mut entry);
        let claim = Claim::new(context, group.as_deref(), folder, dir, name);
        let Claim::Lead(leader) = claim else {
            context.report.advance(entry.size);
            context.report.done(&path(), Done::File(RestoreAction::Restored), entry.size);
            return None;
        };
        let size = entry.size;
        Self::make(context, folder, dir, name, entry, attributes, leader, decision == Decision::Trust)
            .map_err(|error| {
                context.report.problem(&path(), "create", error);
                context.report.skipped(size);
            })
            .ok()
    }

    /// Makes or opens the file, and enters it as the leader of its group, whose lock this holds so long.
    #[allow(clippy::too_many_arguments)]
    fn make(
        context: &Context<'_>,
        folder: &Folder,
        dir: BorrowedFd<'_>,
        name: &EntryName,
        entry: Entry,
        attributes: Attributes,
        mut slot: Option<MutexGuard<'_, Option<Leader>>>,
        trusted: bool,
    ) -> io::Result<Self> {
        let EntryKind::File(content) = entry.kind else { unreachable!("only regular files come here") };
        let wanted = output::Wanted { attributes: &attributes, content: &content, linked: slot.is_some(), trusted };
        let output = output::open(context, dir, name, &wanted)?;
        let mut leader = None;
        if let Some(slot) = slot.as_deref_mut() {
            let identity = Identity::from(&rustix::fs::fstat(&output.file)?);
            leader = Some(Leader::new(folder, name, identity));
            slot.clone_from(&leader);
        }
        let (fresh, size) = (output.fresh, entry.size);
        let filling = if trusted && !fresh {
            context.report.advance(size);
            Filling::trusted(context, output)
        } else {
            Filling::new(context, output, content, size)
        };
        Ok(Self { filling, attributes, fresh, size, leader })
    }

    /// Writes content, beside others that do the same, until none is left.
    pub(super) fn work(&self, context: &Context<'_>) {
        self.filling.work(context);
    }

    /// Applies the attributes. Called once, when all content is written.
    pub(super) fn finish(mut self, context: &Context<'_>, folder: &Folder, name: &EntryName) {
        if context.report.stopping() {
            return;
        }
        let path = folder.location.path.join(name.clone());
        let filled = self.filling.finish(context, &path);
        if let Some(leader) = &self.leader {
            let failed = filled.failed.as_ref().map(|error| (error.to_string(), false));
            leader.settle(context, filled.lacking.or(failed));
        }
        if let Some(error) = filled.failed {
            context.report.problem(&path, "write", error);
            return context.report.skipped(0);
        }
        let freezing = if self.leader.is_some() { self.attributes.take_freezing() } else { 0 };
        let inode = Inode::open(filled.file.as_fd(), FileType::RegularFile).made(self.fresh, folder.inherits);
        self.attributes.apply(context, &inode, &path);
        if let (Some(leader), true) = (self.leader, freezing != 0) {
            context.links.freeze_later(leader, freezing);
        }
        let action = match (self.fresh, filled.unchanged) {
            (true, _) => RestoreAction::Restored,
            (false, true) => RestoreAction::Unchanged,
            (false, false) => RestoreAction::Updated,
        };
        context.report.done(&path, Done::File(action), self.size);
    }
}

/// What a name of a group has to do.
pub(super) enum Claim<'g> {
    /// Nothing more: it is linked.
    Linked,
    /// Make the inode, and enter it here if there is a group; the others of the group wait until this is dropped.
    Lead(Option<MutexGuard<'g, Option<Leader>>>),
}

impl<'g> Claim<'g> {
    /// Links `name` to its group's leader, or takes the lead. A link that fails is reported, and a copy made instead.
    pub(super) fn new(
        context: &Context<'_>,
        group: Option<&'g Group>,
        folder: &Folder,
        dir: BorrowedFd<'_>,
        name: &EntryName,
    ) -> Self {
        let Some(group) = group else { return Self::Lead(None) };
        let slot = group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = &*slot {
            match links::link(context, leader, dir, name) {
                Ok(()) => {
                    leader.joined(context, folder.location.path.join(name.clone()));
                    return Self::Linked;
                }
                Err(error) => context.report.problem(&folder.location.path.join(name.clone()), "link", error),
            }
        }
        Self::Lead(Some(slot))
    }
}
