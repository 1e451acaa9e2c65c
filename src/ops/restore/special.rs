//! Symbolic links, pipes, sockets and devices: made anew unless the same thing is there already.

use super::attributes::{Attributes, Inode};
use super::beneath::{self, Identity, PRIVATE};
use super::context::Context;
use super::file::Claim;
use super::folder::Folder;
use super::links::Leader;
use super::overwrite::{self, Decision};
use super::report::Done;
use crate::event::RestoreAction;
use crate::repo::entry::{Entry, EntryKind, EntryName};
use rustix::fs::{FileType, makedev};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Restores `name` in `folder` (whose handle is `dir`): anything but a file or directory.
pub(super) fn restore(context: &Context<'_>, folder: &Folder, dir: BorrowedFd<'_>, name: &EntryName, mut entry: Entry) {
    let group = context.links.group(&entry);
    let path = folder.location.path.join(name.clone());
    if overwrite::decide(context, folder, dir, name, &entry) == Decision::Keep {
        return context.report.done(&path, Done::Other(RestoreAction::Kept), 0);
    }
    let attributes = Attributes::take(context, &mut entry);
    let mut action = RestoreAction::Restored;
    if let Claim::Lead(mut leader) = Claim::new(context, group.as_deref(), folder, dir, name) {
        let made = make(dir, name, &entry.kind).and_then(|fresh| {
            let node = beneath::open_node(dir, name)?;
            let stat = rustix::fs::fstat(&node)?;
            if beneath::file_type(&stat) != file_type(&entry.kind) {
                return Err(io::Error::other("it was replaced by something else during the restore"));
            }
            if let Some(slot) = leader.as_deref_mut() {
                let leader = Leader::new(folder, name, Identity::from(&stat));
                leader.settle(context, None);
                *slot = Some(leader);
            }
            Ok((node, fresh))
        });
        drop(leader);
        match made {
            Ok((node, fresh)) => {
                if !fresh {
                    action = RestoreAction::Unchanged;
                }
                let inode = Inode::node(node.as_fd(), file_type(&entry.kind)).made(fresh, folder.inherits);
                attributes.apply(context, &inode, &path);
            }
            Err(error) => {
                context.report.problem(&path, "create", error);
                return context.report.skipped(0);
            }
        }
    }
    context.report.done(&path, Done::Other(action), 0);
}

/// Makes it, and returns whether it is new.
fn make(dir: BorrowedFd<'_>, name: &EntryName, kind: &EntryKind) -> io::Result<bool> {
    if is_there(dir, name, kind) {
        return Ok(false);
    }
    if let EntryKind::Symlink(to) = kind {
        beneath::replacing(dir, name, || rustix::fs::symlinkat(&to[..], dir, name.as_bytes()))?;
    } else {
        let device = device(kind);
        beneath::replacing(dir, name, || rustix::fs::mknodat(dir, name.as_bytes(), file_type(kind), PRIVATE, device))?;
    }
    Ok(true)
}

/// Whether the same thing stands at `name`, and no other name leads to it.
pub(super) fn is_there(dir: BorrowedFd<'_>, name: &EntryName, kind: &EntryKind) -> bool {
    let Ok(stat) = beneath::stat(dir, name) else { return false };
    if beneath::file_type(&stat) != file_type(kind) || stat.st_nlink != 1 {
        return false;
    }
    match kind {
        EntryKind::Symlink(to) => {
            rustix::fs::readlinkat(dir, name.as_bytes(), Vec::new()).is_ok_and(|found| found.as_bytes() == to)
        }
        kind => stat.st_rdev == device(kind),
    }
}

fn device(kind: &EntryKind) -> u64 {
    match kind {
        EntryKind::CharacterDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            makedev(*major, *minor)
        }
        _ => 0,
    }
}

pub(super) const fn file_type(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::File(_) => FileType::RegularFile,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink(_) => FileType::Symlink,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::Socket => FileType::Socket,
        EntryKind::CharacterDevice { .. } => FileType::CharacterDevice,
        EntryKind::BlockDevice { .. } => FileType::BlockDevice,
    }
}
