//! `versions`, the time axis: for any path a folder with one entry for each content that it had, named by the first snapshot
//! that has it.
//!
//! Folders below `versions` have every name that was ever there. Where a name was a folder at one time and something else at
//! another, the folder keeps the name and the other's versions are in `NAME@versions`. Nobody gets further here than in the
//! snapshots: a folder lets in whom it let in at every time.

use super::attr::{self, Keeper};
use super::axis::Side;
use super::door::Door;
use super::errno::Failure;
use super::node::Node;
use super::view::{Patience, View};
use crate::repo::catalog::history;
use crate::repo::entry::{Entry, EntryKind, EntryName, EntryPath};
use fuser::FileAttr;
use std::collections::BTreeMap;

/// What distinguishes a file's versions from a folder of the same name.
const SUFFIX: &[u8] = b"@versions";

/// What a name was at all times.
#[derive(Debug, Clone, Default)]
struct Name {
    folder: Option<Door>,
    other: bool,
}

impl Name {
    fn add(&mut self, entry: &Entry) {
        match entry.kind {
            EntryKind::Directory => {
                let door = Door::of(entry);
                self.folder = Some(self.folder.map_or(door, |newer| newer.and(door)));
            }
            _ => self.other = true,
        }
    }
}

/// One content of a file.
#[derive(Debug, Clone)]
pub struct Version {
    /// The number of the first snapshot that has it.
    pub snapshot: u32,
    /// The entry there.
    pub entry: Entry,
}

/// Every content that the file at `path` had, oldest first.
pub fn of_file(view: &View, path: &EntryPath, patience: Patience) -> Result<Vec<Version>, Failure> {
    let trees = view.trees(patience)?;
    let mut versions: Vec<Version> = Vec::new();
    let found = history::entries(trees.iter().map(|(_, tree)| tree), path);
    for ((snapshot, _), entry) in trees.iter().zip(found) {
        let Some(entry) = entry? else { continue };
        if entry.kind != EntryKind::Directory && !versions.iter().any(|version| version.entry.kind == entry.kind) {
            versions.push(Version { snapshot: *snapshot, entry: (*entry).clone() });
        }
    }
    Ok(versions)
}

/// The attributes of a folder of the time axis; those of `versions` itself are as of all that stands above the snapshots.
pub fn attributes(view: &View, side: &Side, owner: Keeper, patience: Patience) -> Result<FileAttr, Failure> {
    match side {
        Side::Folder(path) if path.0.is_empty() => Ok(attr::of_axis_top(Node::AXIS, view.layout.time(), owner)),
        Side::Folder(path) => {
            let door = name(view, path, patience)?.folder.ok_or(Failure::NotFound)?;
            Ok(shown(view, side, Some(door), owner))
        }
        _ => Ok(shown(view, side, None, owner)),
    }
}

/// The child `name` of a folder of the time axis: another such folder, or a version with its node.
pub fn lookup(view: &View, side: &Side, name: &[u8], patience: Patience) -> Result<Child, Failure> {
    match side {
        Side::Folder(path) => folder_child(view, path, name, patience).map(Child::Axis),
        Side::File(path) => {
            let named = |version: &Version| view.layout.name(version.snapshot).map(str::as_bytes) == Some(name);
            let version = of_file(view, path, patience)?.into_iter().find(named).ok_or(Failure::NotFound)?;
            let found = view.find_path(version.snapshot, path.clone(), patience)?;
            Ok(Child::Entry(found.node, Box::new(found.entry)))
        }
        _ => Err(Failure::NotFound),
    }
}

/// What a name below the time axis leads to.
#[derive(Debug)]
pub enum Child {
    /// A folder of the axis.
    Axis(Side),
    /// An entry of a snapshot.
    Entry(Node, Box<Entry>),
}

/// The names of a folder of the time axis, in order.
///
/// # Errors
/// What cannot be read; with it, the names that can.
pub fn list(view: &View, path: &EntryPath, owner: Keeper, patience: Patience) -> Listed {
    let mut names: BTreeMap<EntryName, Name> = BTreeMap::new();
    let trees = match view.trees(patience) {
        Ok(trees) => trees,
        Err(failure) => return (Vec::new(), Some(failure)),
    };
    // The newest comes first: what it says of a folder goes before what others say.
    let seen = history::children(trees.iter().rev().map(|(_, tree)| tree), path, |name, entry| {
        names.entry(name).or_default().add(entry);
    });
    let mut listed = Vec::new();
    for (name, was) in &names {
        if let Some(door) = was.folder {
            let side = Side::Folder(path.join(name.clone()));
            listed.push((name.as_bytes().to_vec(), side.clone(), shown(view, &side, Some(door), owner)));
        }
        if was.other {
            let side = Side::File(path.join(name.clone()));
            let own = match was.folder {
                Some(_) => free(name.as_bytes(), SUFFIX, |name| {
                    EntryName::new(name).is_some_and(|name| names.contains_key(&name))
                }),
                None => name.as_bytes().to_vec(),
            };
            listed.push((own, side.clone(), shown(view, &side, None, owner)));
        }
    }
    listed.sort_by(|a, b| a.0.cmp(&b.0));
    (listed, seen.err().map(Failure::from))
}

/// Names with what they lead to, and what could not be read.
pub type Listed = (Vec<(Vec<u8>, Side, FileAttr)>, Option<Failure>);

/// A name with a suffix, which comes once more for as long as that is taken.
pub fn free(name: &[u8], suffix: &[u8], taken: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut own = [name, suffix].concat();
    while taken(&own) {
        own.extend_from_slice(suffix);
    }
    own
}

fn folder_child(view: &View, path: &EntryPath, text: &[u8], patience: Patience) -> Result<Side, Failure> {
    let was = |text: &[u8]| match EntryName::new(text) {
        Some(entry) => name(view, &path.join(entry), patience),
        None => Ok(Name::default()),
    };
    let join = |text: &[u8]| EntryName::new(text).map(|name| path.join(name)).ok_or(Failure::NotFound);
    let here = was(text)?;
    if here.folder.is_some() {
        return Ok(Side::Folder(join(text)?));
    }
    if here.other {
        return Ok(Side::File(join(text)?));
    }
    // Nothing has this name; it may stand for the file of a name without the suffix, as often as the rest is taken.
    let mut base = text;
    while let Some(shorter) = base.strip_suffix(SUFFIX) {
        base = shorter;
        let short = was(base)?;
        if short.folder.is_some() && short.other {
            return Ok(Side::File(join(base)?));
        }
        if short.folder.is_none() && !short.other {
            break;
        }
    }
    Err(Failure::NotFound)
}

/// What `path` was at all times.
fn name(view: &View, path: &EntryPath, patience: Patience) -> Result<Name, Failure> {
    let trees = view.trees(patience)?;
    let mut name = Name::default();
    for entry in history::entries(trees.iter().rev().map(|(_, tree)| tree), path) {
        if let Some(entry) = entry? {
            name.add(&entry);
        }
    }
    Ok(name)
}

fn shown(view: &View, side: &Side, door: Option<Door>, owner: Keeper) -> FileAttr {
    let node = view.axis().node(side);
    match door {
        Some(door) => door.attributes(node, view.face()),
        None => attr::of_axis_top(node, view.layout.time(), owner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_repeated_until_the_name_is_free() {
        assert_eq!(free(b"a", SUFFIX, |_| false), b"a@versions");
        assert_eq!(free(b"a", SUFFIX, |name| name == b"a@versions"), b"a@versions@versions");
    }
}
