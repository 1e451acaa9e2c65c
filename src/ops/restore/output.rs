//! What a regular file's bytes are written into: the file that is there, if it will do, else a new one.
//!
//! A file that was there is worked on in place only if nobody could read more through it than the snapshot allows, and
//! no other name leads to it; else it makes way. New files can be read by their owner alone until the end.

use super::attributes::{Attributes, Inode};
use super::beneath::{self, Identity};
use super::content;
use super::context::Context;
use super::flags;
use super::xattrs;
use crate::repo::entry::{Content, EntryName};
use rustix::fs::{FileType, Mode, Stat};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// An open file, and what was in it.
pub(super) struct Output {
    /// Open for reading and writing.
    pub(super) file: File,
    /// Bytes that were there; 0 for a new file.
    pub(super) old: u64,
    /// It was made just now.
    pub(super) fresh: bool,
}

impl Output {
    fn new(file: std::os::fd::OwnedFd, wanted: &Attributes) -> Self {
        // Copy-on-write can only be switched off while a file is empty. Where that fails, setting all flags at the end
        // fails again, and is reported.
        if wanted.flags() & flags::NO_COPY_ON_WRITE != 0 {
            drop(flags::add(file.as_fd(), flags::NO_COPY_ON_WRITE));
        }
        Self { file: file.into(), old: 0, fresh: true }
    }
}

/// What the file should become.
pub(super) struct Wanted<'a> {
    /// Its attributes.
    pub(super) attributes: &'a Attributes,
    /// Its content.
    pub(super) content: &'a Content,
    /// It has more names in the snapshot.
    pub(super) linked: bool,
    /// What is there is taken to have that content.
    pub(super) trusted: bool,
}

/// Opens or makes the file `name` in `dir`.
///
/// # Errors
/// When no file can be made there.
pub(super) fn open(
    context: &Context<'_>,
    dir: BorrowedFd<'_>,
    name: &EntryName,
    wanted: &Wanted<'_>,
) -> io::Result<Output> {
    match beneath::create_new_file(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && flags::release(dir) => {}
        other => return other.map(|file| Output::new(file, wanted.attributes)),
    }
    if let Some((file, old)) = existing(context, dir, name, wanted) {
        return Ok(Output { file, old, fresh: false });
    }
    beneath::create_file(dir, name).map(|file| Output::new(file, wanted.attributes))
}

/// The file at `name`, and its size, if it may be worked on in place. Whatever keeps it from being opened (it is being
/// executed, say) is no error: it will be replaced.
fn existing(context: &Context<'_>, dir: BorrowedFd<'_>, name: &EntryName, wanted: &Wanted<'_>) -> Option<(File, u64)> {
    let before = beneath::stat(dir, name).ok()?;
    if beneath::file_type(&before) != FileType::RegularFile {
        return None;
    }
    let opened = beneath::open_file(dir, name);
    let file = File::from(
        opened.or_else(|error| unlock(dir, name).map_or(Err(error), |()| beneath::open_file(dir, name))).ok()?,
    );
    let stat = rustix::fs::fstat(&file).ok()?;
    let size = stat.st_size as u64;
    if Identity::from(&stat) != Identity::from(&before) || !discreet(context, &file, &stat, wanted.attributes) {
        return None;
    }
    // Other names of this inode would change with it. They may be those of the snapshot's own group, from an earlier
    // restore; but that is only sure if there is nothing to change.
    let same = || wanted.trusted || content::equals(context, &file, size, wanted.content);
    let alone = stat.st_nlink == 1 || (wanted.linked && wanted.attributes.equal(&stat) && same());
    alone.then_some((file, size))
}

/// Makes a file that may not be opened writable: takes it out of its freeze, or gives its owner the right that its mode
/// denies.
fn unlock(dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<()> {
    if beneath::release_name(dir, name) {
        return Ok(());
    }
    let node = beneath::open_node(dir, name)?;
    let stat = rustix::fs::fstat(&node)?;
    if beneath::file_type(&stat) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mode = Mode::from_raw_mode(stat.st_mode) | beneath::PRIVATE;
    Inode::node(node.as_fd(), FileType::RegularFile).set_mode(mode)
}

/// Whether nobody can read through this inode what the snapshot would not let them read: handles that others opened
/// before stay open whatever its mode becomes.
fn discreet(context: &Context<'_>, file: &File, stat: &Stat, wanted: &Attributes) -> bool {
    let owner = stat.st_uid == wanted.uid || stat.st_uid == rustix::process::geteuid().as_raw();
    let group = stat.st_gid == wanted.gid || stat.st_mode & 0o070 == 0 || !context.root;
    let open_to_others = stat.st_mode & !wanted.mode & 0o077 != 0;
    // Without group bits an ACL gives nobody anything: they are its mask.
    let acl = || xattrs::acl(file.as_fd()).is_none_or(|acl| wanted.acl() == Some(&acl));
    owner && group && !open_to_others && (stat.st_mode & 0o070 == 0 || acl())
}
