//! The answers to single questions about a node, from a view: what `fs` asks for and sends.

use super::attr::{self, Keeper};
use super::axis::Side;
use super::changes;
use super::errno::Failure;
use super::file::File;
use super::known;
use super::layout::{Above, AboveKind, Layout};
use super::node::Node;
use super::versions::{self, Child as Axial};
use super::view::{Found, Patience, View};
use crate::repo::catalog::read_value;
use crate::repo::entry::{EntryKind, EntryName, EntryPath};
use fuser::FileAttr;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// The unit of [`Totals::blocks`], in bytes.
pub const BLOCK: u32 = 4096;

/// Bytes of a name, at most, as other file systems have it.
pub const LONGEST_NAME: usize = 255;
/// Classes of extended attributes.
const CLASSES: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system."];

/// `FS_IOC_GETFLAGS`, for 64 and for 32 bits.
const GET_FLAGS: [u32; 2] = [0x8008_6601, 0x8004_6601];
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// What a node above the snapshots or in one is, as `stat` shows it.
pub fn attributes(view: &View, node: Node, owner: Keeper, patience: Patience) -> Result<FileAttr, Failure> {
    match node {
        Node::Above(_) => Ok(attr::of_above(node, above(view, node)?, owner)),
        Node::Axis(_) => attributes_of_side(view, &side(view, node)?, owner, patience),
        _ => {
            let found = view.find(node, patience)?;
            view.attributes(found.node, &found.entry, patience)
        }
    }
}

/// What a name leads to.
#[derive(Debug)]
pub struct Child {
    /// Its attributes.
    pub attributes: FileAttr,
    /// What it shows, if it is a folder of the time axis.
    pub side: Option<Side>,
}

/// The child `name` of a folder. `None`: inside a snapshot there is none, and never will be.
///
/// # Errors
/// [`Failure::NotFound`] above the snapshots, where there may be one soon; [`Failure::LongName`].
pub fn lookup(
    view: &View,
    parent: Node,
    name: &OsStr,
    owner: Keeper,
    patience: Patience,
) -> Result<Option<Child>, Failure> {
    let plain = |attributes| Child { attributes, side: None };
    let child = match parent {
        Node::Above(_) => child_above(view, parent, name)?,
        Node::Axis(_) => return child_of_axis(view, parent, name, owner, patience).map(Some),
        Node::Root(_) if name == ".." => Layout::by_time(),
        _ => {
            let Some(found) = child_entry(view, parent, name, patience)? else {
                return if name.len() > LONGEST_NAME { Err(Failure::LongName) } else { Ok(None) };
            };
            return view.attributes(found.node, &found.entry, patience).map(plain).map(Some);
        }
    };
    attributes(view, child, owner, patience).map(plain).map(Some)
}

fn child_of_axis(view: &View, parent: Node, name: &OsStr, owner: Keeper, patience: Patience) -> Result<Child, Failure> {
    let here = side(view, parent)?;
    let child = match (name.as_bytes(), here.parent()) {
        (b".", _) => Axial::Axis(here),
        (b"..", Some(above)) => Axial::Axis(above),
        (b"..", None) => return Ok(Child { attributes: attributes(view, Node::TOP, owner, patience)?, side: None }),
        (name, _) if of_changes(&here) => changes::lookup(view, &here, name, patience)?,
        (name, _) => versions::lookup(view, &here, name, patience)?,
    };
    match child {
        Axial::Entry(node, entry) => Ok(Child { attributes: view.attributes(node, &entry, patience)?, side: None }),
        Axial::Axis(side) => {
            Ok(Child { attributes: attributes_of_side(view, &side, owner, patience)?, side: Some(side) })
        }
    }
}

/// Whether a folder is `changes` or below it.
const fn of_changes(side: &Side) -> bool {
    matches!(side, Side::Pairs | Side::Between(_))
}

fn attributes_of_side(view: &View, side: &Side, owner: Keeper, patience: Patience) -> Result<FileAttr, Failure> {
    if of_changes(side) {
        changes::attributes(view, side, owner, patience)
    } else {
        versions::attributes(view, side, owner, patience)
    }
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

/// Where a folder is, for people; of one that cannot be read, where its snapshot is.
pub fn folder_path(view: &View, node: Node, patience: Patience) -> Result<Vec<u8>, Failure> {
    let path = match (node, patience) {
        (Node::Above(_) | Node::Axis(_), _) => None,
        (_, Patience::None) => Some(view.find(node, patience)?.path),
        // That it cannot be read is said to whoever lists it.
        (_, Patience::Wait) => view.find(node, patience).ok().map(|found| found.path),
    };
    Ok(view.shown_path(node, path.as_ref()))
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
    if let Node::Above(_) | Node::Axis(_) = node {
        return Err(Failure::NoAttribute);
    }
    let (name, found) = (name.as_bytes(), view.find(node, patience)?);
    let value = found.entry.xattrs.iter().find(|(stored, _)| stored == name && view.face().shows(name));
    match value {
        Some((_, value)) => Ok(read_value(&**view.source(patience), value)?),
        None if CLASSES.iter().any(|class| name.starts_with(class)) => known::value(view, &found, name, patience),
        None => Err(Failure::NoClass),
    }
}

/// The names of all extended attributes, each with a NUL behind it. Those of the `trusted` class are for root, as on any other
/// file system.
pub fn xattr_names(view: &View, node: Node, root: bool, patience: Patience) -> Result<Vec<u8>, Failure> {
    if let Node::Above(_) | Node::Axis(_) = node {
        return Ok(Vec::new());
    }
    let found = view.find(node, patience)?;
    let names = found.entry.xattrs.iter().map(|(name, _)| name.as_slice());
    let seen = names.filter(|name| view.face().shows(name) && (root || !name.starts_with(b"trusted.")));
    Ok(seen.flat_map(|name| name.iter().copied().chain([0])).collect())
}

/// What `lsattr` shows.
pub fn flags(view: &View, node: Node, command: u32, patience: Patience) -> Result<u32, Failure> {
    if !GET_FLAGS.contains(&command) || matches!(node, Node::Above(_) | Node::Axis(_)) {
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

/// What a folder of the time axis shows.
pub fn side(view: &View, node: Node) -> Result<Side, Failure> {
    view.axis().side(node).ok_or(Failure::Stale)
}

fn above(view: &View, node: Node) -> Result<&Above, Failure> {
    view.layout.get(node).ok_or(Failure::Stale)
}
