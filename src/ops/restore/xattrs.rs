//! Extended attributes, POSIX ACLs and capabilities among them: what the snapshot has is set, what else is there goes.
//!
//! Labels that belong to this system and not to the data (SELinux and the like) are never removed.

use super::attributes::Inode;
use super::context::Context;
use super::report::is_damage;
use crate::repo::catalog::{self, read_value};
use crate::repo::entry::{EntryPath, XattrValue};
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::borrow::Cow;
use std::io;
use std::os::fd::BorrowedFd;

/// The kernel's limit on a list of names, and on a value: 64 KiB.
const LIMIT: usize = 64 << 10;

/// The attribute that is a file's POSIX ACL.
pub(super) const ACL: &str = "system.posix_acl_access";

/// Makes the set of attributes of `inode` the `wanted` one; failures are reported under `path`.
pub(super) fn apply(context: &Context<'_>, inode: &Inode<'_>, wanted: &[(Vec<u8>, XattrValue)], path: &EntryPath) {
    let problem = |name: &[u8], error: io::Error| {
        context.report.problem(path, "extended attributes", format!("{}: {error}", name.escape_ascii()));
    };
    match list(inode) {
        Ok(names) => {
            for name in names.iter().filter(|name| removable(name) && !wanted.iter().any(|(kept, _)| kept == *name)) {
                if let Err(error) = remove(inode, name) {
                    problem(name, error);
                }
            }
        }
        Err(error) => context.report.problem(path, "extended attributes", error),
    }
    for (name, value) in wanted {
        let Some(value) = load(context, name, value, path) else { continue };
        if let Err(error) = set(inode, name, &value) {
            problem(name, error);
        }
    }
}

/// Whether what is made in this directory starts with an ACL of its own.
pub(super) fn has_default_acl(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::fgetxattr_query(directory, "system.posix_acl_default").is_ok_and(|length| length > 0)
}

/// The ACL of an open file, if it has one beyond its mode.
pub(super) fn acl(file: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; LIMIT];
    let length = rustix::fs::fgetxattr(file, ACL, &mut bytes[..]).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// Whether an attribute that the snapshot does not have may be taken away.
fn removable(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || name.starts_with(b"system.posix_acl_")
        || name == b"security.capability"
}

/// A value's bytes; `None`, and reported, when they cannot be read from the repository.
fn load<'v>(context: &Context<'_>, name: &[u8], value: &'v XattrValue, path: &EntryPath) -> Option<Cow<'v, [u8]>> {
    if let XattrValue::Inline(bytes) = value {
        return Some(Cow::Borrowed(bytes));
    }
    match read_value(&*context.source, value) {
        Ok(bytes) => Some(Cow::Owned(bytes)),
        Err(error) => {
            let damage = !matches!(&error, catalog::Error::Value(error) if !is_damage(error));
            let error = format!("{}: {error}", name.escape_ascii());
            context.report.unreadable(path, "extended attributes", error, damage);
            None
        }
    }
}

fn list(inode: &Inode<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = vec![0u8; 1024];
    let length = loop {
        let result = match inode.proc_path() {
            Some(path) => rustix::fs::listxattr(path, &mut names[..]),
            None => rustix::fs::flistxattr(inode.fd, &mut names[..]),
        };
        match result {
            Ok(length) => break length,
            Err(Errno::RANGE) if names.len() < LIMIT => names.resize(LIMIT, 0),
            // A file system without attributes has none to remove.
            Err(Errno::OPNOTSUPP) => break 0,
            Err(error) => return Err(error.into()),
        }
    };
    Ok(names[..length].split(|&b| b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

fn set(inode: &Inode<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
    match inode.proc_path() {
        Some(path) => rustix::fs::setxattr(path, name, value, XattrFlags::empty())?,
        None => rustix::fs::fsetxattr(inode.fd, name, value, XattrFlags::empty())?,
    }
    Ok(())
}

fn remove(inode: &Inode<'_>, name: &[u8]) -> io::Result<()> {
    let result = match inode.proc_path() {
        Some(path) => rustix::fs::removexattr(path, name),
        None => rustix::fs::fremovexattr(inode.fd, name),
    };
    match result {
        Err(Errno::NODATA) => Ok(()),
        other => Ok(other?),
    }
}
