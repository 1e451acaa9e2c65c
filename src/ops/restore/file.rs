//! One regular file: what it is written into, and what follows once its content is there.
//!
//! A file that was there is worked on in place only if nobody could read more through it than the snapshot allows, and
//! no other name leads to it; else it makes way for a new one. New files can be read by their owner alone until the end.

use super::attributes::{Attributes, Inode};
use super::beneath::{self, Identity};
use super::content::{self, Filling};
use super::context::Context;
use super::flags;
use super::folder::Folder;
use super::links::{self, Group, Leader};
use super::report::Done;
use crate::repo::entry::{Content, Entry, EntryKind, EntryName};
use rustix::fs::{FileType, Stat};
use std::fs::File;
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

/// What a file's bytes are written into.
struct Output {
    file: File,
    /// Bytes that were there; 0 for a new file.
    old: u64,
    fresh: bool,
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
        let group = context.links.group(&entry);
        let attributes = Attributes::take(context, &mut entry);
        let mut leader = match Claim::new(context, group.as_deref(), folder, dir, name) {
            Claim::Linked => {
                context.report.advance(entry.size);
                context.report.done(
                    &folder.location.path.join(name.clone()),
                    Done::File { unchanged: false },
                    entry.size,
                );
                return None;
            }
            Claim::Lead(leader) => leader,
        };
        let EntryKind::File(content) = entry.kind else { unreachable!("only regular files come here") };
        match output(context, dir, name, &attributes, &content, leader.is_some()) {
            Ok(output) => {
                let leader = leader.as_deref_mut().map(|slot| {
                    // A failing fstat on an open file: links to it will fail their check and be written as copies.
                    let identity = rustix::fs::fstat(&output.file).ok().map(|stat| Identity::from(&stat));
                    *slot = identity.map(|identity| Leader::new(folder, name, identity));
                    slot.clone()
                });
                let filling = Filling::new(context, output.file, output.old, content, entry.size);
                Some(Self { filling, attributes, fresh: output.fresh, size: entry.size, leader: leader.flatten() })
            }
            Err(error) => {
                context.report.problem(&folder.location.path.join(name.clone()), "create", error);
                context.report.skipped(entry.size);
                None
            }
        }
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
        if let Some(error) = filled.failed {
            context.report.problem(&path, "write", error);
        }
        let freezing = if self.leader.is_some() { self.attributes.take_freezing() } else { 0 };
        let inode = Inode::open(filled.file.as_fd(), FileType::RegularFile).made(self.fresh, folder.inherits);
        self.attributes.apply(context, &inode, &path);
        if let (Some(leader), true) = (self.leader, freezing != 0) {
            context.links.freeze_later(leader, freezing);
        }
        context.report.done(&path, Done::File { unchanged: filled.unchanged }, self.size);
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
                Ok(()) => return Self::Linked,
                Err(error) => context.report.problem(&folder.location.path.join(name.clone()), "link", error),
            }
        }
        Self::Lead(Some(slot))
    }
}

/// The file to write into: the one that is there if it will do, else a new one.
fn output(
    context: &Context<'_>,
    dir: BorrowedFd<'_>,
    name: &EntryName,
    wanted: &Attributes,
    content: &Content,
    linked: bool,
) -> io::Result<Output> {
    match beneath::create_new_file(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && flags::release(dir) => {}
        other => return other.map(|file| Output { file: file.into(), old: 0, fresh: true }),
    }
    if let Some((file, old)) = existing(context, dir, name, wanted, content, linked) {
        return Ok(Output { file, old, fresh: false });
    }
    beneath::create_file(dir, name).map(|file| Output { file: file.into(), old: 0, fresh: true })
}

/// The file at `name`, and its size, if it may be worked on in place. Whatever keeps it from being opened (it is being
/// executed, say) is no error: it will be replaced.
fn existing(
    context: &Context<'_>,
    dir: BorrowedFd<'_>,
    name: &EntryName,
    wanted: &Attributes,
    content: &Content,
    linked: bool,
) -> Option<(File, u64)> {
    let stat = beneath::stat(dir, name).ok()?;
    if beneath::file_type(&stat) != FileType::RegularFile || !discreet(context, &stat, wanted) {
        return None;
    }
    let file = beneath::open_file(dir, name)
        .or_else(|error| if beneath::release_name(dir, name) { beneath::open_file(dir, name) } else { Err(error) })
        .map(File::from)
        .ok()?;
    let opened = rustix::fs::fstat(&file).ok()?;
    let same = Identity::from(&opened) == Identity::from(&stat) && opened.st_mode == stat.st_mode;
    // Other names of this inode would change with it. They may be those of the snapshot's own group, from an earlier
    // restore; but that is only sure if there is nothing to change.
    let size = opened.st_size as u64;
    let alone =
        opened.st_nlink == 1 || (linked && wanted.equal(&opened) && content::equals(context, &file, size, content));
    (same && alone).then_some((file, size))
}

/// Whether nobody can read through this inode what the snapshot would not let them read: handles that others opened
/// before stay open whatever its mode becomes.
fn discreet(context: &Context<'_>, stat: &Stat, wanted: &Attributes) -> bool {
    let open_to_others = stat.st_mode & !wanted.mode & 0o077 != 0;
    let owner = stat.st_uid == wanted.uid || stat.st_uid == rustix::process::geteuid().as_raw();
    let group = stat.st_gid == wanted.gid || stat.st_mode & 0o070 == 0 || !context.root;
    owner && group && !open_to_others
}
