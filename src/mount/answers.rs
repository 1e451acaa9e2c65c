//! The answers to single questions about a node, from a view: what `fs` asks for and sends.

use super::attr;
use super::errno::Failure;
use super::file::File;
use super::layout::{Above, AboveKind, Layout};
use super::node::Node;
use super::view::{Found, Patience, View};
use crate::repo::catalog::read_value;
use crate::repo::entry::{EntryKind, EntryName, EntryPath};
use fuser::FileAttr;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// The unit of [`Totals::blocks`], in bytes.
pub const BLOCK: u32 = 4096;

/// `FS_IOC_GETFLAGS`, for 64 and for 32 bits.
const GET_FLAGS: [u32; 2] = [0x8008_6601, 0x8004_6601];
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// What a node above the snapshots or in one is, as `stat` shows it.
pub fn attributes(view: &View, node: Node, owner: (u32, u32), patience: Patience) -> Result<FileAttr, Failure> {
    match node {
        Node::Above(_) => Ok(attr::of_above(node, above(view, node)?, owner)),
        _ => {
            let found = view.find(node, patience)?;
            view.attributes(found.node, &found.entry, patience)
        }
    }
}

/// The child `name` of a folder. `None`: inside a snapshot there is none, and never will be.
///
/// # Errors
/// [`Failure::NotFound`] above the snapshots, where there may be one soon.
pub fn lookup(
    view: &View,
    parent: Node,
    name: &OsStr,
    owner: (u32, u32),
    patience: Patience,
) -> Result<Option<FileAttr>, Failure> {
    let child = match parent {
        Node::Above(_) => child_above(view, parent, name)?,
        Node::Root(_) if name == ".." => Layout::by_time(),
        _ => {
            let Some(found) = child_entry(view, parent, name, patience)? else { return Ok(None) };
            return view.attributes(found.node, &found.entry, patience).map(Some);
        }
    };
    attributes(view, child, owner, patience).map(Some)
}

fn child_above(view: &View, parent: Node, name: &OsStr) -> Result<Node, Failure> {
    let folder = above(view, parent)?;
    let AboveKind::Folder(children) = &folder.kind else { return Err(Failure::Kind) };
    match name.as_bytes() {
        b"." => Ok(parent),
        b".." => Ok(folder.parent),
        _ => children.get(name).copied().ok_or(Failure::NotFound),
    }
}

fn child_entry(view: &View, parent: Node, name: &OsStr, patience: Patience) -> Result<Option<Found>, Failure> {
    let found = view.find(parent, patience)?;
    let path = match name.as_bytes() {
        b"." => return Ok(Some(found)),
        b".." => EntryPath(found.path.0.split_last().map_or_else(Vec::new, |(_, above)| above.to_vec())),
        name => {
            let Some(name) = EntryName::new(name) else { return Ok(None) };
            found.path.join(name)
        }
    };
    match view.find_path(parent.snapshot(), path, patience) {
        Ok(found) => Ok(Some(found)),
        Err(Failure::NotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The target of a symbolic link.
pub fn link(view: &View, node: Node, patience: Patience) -> Result<Vec<u8>, Failure> {
    if let Node::Above(_) = node {
        let AboveKind::Link(target) = &above(view, node)?.kind else { return Err(Failure::Kind) };
        return Ok(target.clone().into_bytes());
    }
    match view.find(node, patience)?.entry.kind {
        EntryKind::Symlink(target) => Ok(target),
        _ => Err(Failure::Kind),
    }
}

/// A regular file, opened.
pub fn file(view: &View, node: Node, patience: Patience) -> Result<File, Failure> {
    let found = view.find(node, patience)?;
    let path = view.shown_path(node, Some(&found.path));
    File::open(path, &found.entry, Arc::clone(view.pages())).ok_or(Failure::Kind)
}

/// Where data or a hole starts in an open file.
pub fn seek(file: &File, view: &View, offset: i64, whence: i32, patience: Patience) -> Result<i64, Failure> {
    let offset = u64::try_from(offset).map_err(|_| Failure::BeyondEnd)?;
    let data = match whence {
        SEEK_DATA => true,
        SEEK_HOLE => false,
        _ => return Err(Failure::Kind),
    };
    let found = file.seek(view.source(patience), offset, data)?;
    i64::try_from(found).map_err(|_| Failure::BeyondEnd)
}

/// The value of an extended attribute.
pub fn xattr(view: &View, node: Node, name: &OsStr, patience: Patience) -> Result<Vec<u8>, Failure> {
    if let Node::Above(_) = node {
        return Err(Failure::NoAttribute);
    }
    let found = view.find(node, patience)?;
    let value = found.entry.xattrs.iter().find(|(known, _)| known == name.as_bytes());
    let (_, value) = value.ok_or(Failure::NoAttribute)?;
    Ok(read_value(&**view.source(patience), value)?)
}

/// The names of all extended attributes, each with a NUL behind it. Those of the `trusted` class are for root, as on any other
/// file system.
pub fn xattr_names(view: &View, node: Node, root: bool, patience: Patience) -> Result<Vec<u8>, Failure> {
    if let Node::Above(_) = node {
        return Ok(Vec::new());
    }
    let found = view.find(node, patience)?;
    let names = found.entry.xattrs.iter().map(|(name, _)| name.as_slice());
    let seen = names.filter(|name| root || !name.starts_with(b"trusted."));
    Ok(seen.flat_map(|name| name.iter().copied().chain([0])).collect())
}

/// What `lsattr` shows.
pub fn flags(view: &View, node: Node, command: u32, patience: Patience) -> Result<u32, Failure> {
    if !GET_FLAGS.contains(&command) || matches!(node, Node::Above(_)) {
        return Err(Failure::Unknown);
    }
    Ok(view.find(node, patience)?.entry.flags)
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Blocks of [`BLOCK`] bytes, at least one: some programs take an empty file system for a broken one.
    pub blocks: u64,
    /// Entries, at least one.
    pub entries: u64,
}

/// The totals of the newest snapshot.
pub fn totals(view: &View, patience: Patience) -> Result<Totals, Failure> {
    let sums = match view.newest(patience) {
        Ok(tree) => tree.sums(&EntryPath::default())?,
        Err(Failure::NotFound) => Default::default(),
        Err(failure) => return Err(failure),
    };
    Ok(Totals { blocks: sums.bytes.div_ceil(u64::from(BLOCK)).max(1), entries: sums.entries.max(1) })
}

fn above(view: &View, node: Node) -> Result<&Above, Failure> {
    view.layout.get(node).ok_or(Failure::Stale)
}
