//! An open folder: its names in order, from any place on.
//!
//! A place in a listing is a number that means the same on every mount: 1 and 2 stand for `.` and `..`, after an entry it is
//! the entry's ordinal + 3. What was looked up and did not fit into a reply waits here for the next one. Damage does not end a
//! listing: all names that can be read come first, then the error.

use super::answers;
use super::attr::{self, Keeper};
use super::axis::{Axis, Side};
use super::changes;
use super::errno::Failure;
use super::layout::AboveKind;
use super::node::Node;
use super::versions;
use super::view::{Patience, View};
use crate::repo::entry::{Entry, EntryKind, EntryName};
use fuser::{FileAttr, FileType};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Names looked up at once.
const BATCH: usize = 256;
/// Places of `.` and `..`.
const DOTS: u64 = 2;

/// One name.
#[derive(Debug, Clone)]
pub struct Item {
    /// The place after it.
    pub place: u64,
    /// The name.
    pub name: OsString,
    /// What it names.
    pub node: Node,
    /// What kind of thing that is.
    pub kind: FileType,
    /// Its attributes, if asked for.
    pub attributes: Option<FileAttr>,
    /// What it shows, if it is a folder of the time axis.
    pub side: Option<Side>,
}

/// An open folder.
pub struct Folder {
    node: Node,
    view: Arc<View>,
    owner: Keeper,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The place before the items.
    after: u64,
    items: Vec<Item>,
    damage: Option<Damage>,
}

/// Why a listing is not complete.
type Damage = Arc<Failure>;

impl Folder {
    /// Opens a folder as `view` shows it; `owner` is whose the folders above the snapshots are.
    pub fn open(node: Node, view: Arc<View>, owner: Keeper) -> Self {
        Self { node, view, owner, kept: Mutex::default() }
    }

    /// The folders of the time axis that the kernel knows.
    pub fn axis(&self) -> &Axis {
        self.view.axis()
    }

    /// Some names after `place`, none at the end; with attributes if `full`. Without patience it may be fewer than there are.
    ///
    /// # Errors
    /// At the end, if something could not be read on the way; earlier, if nothing can be.
    pub fn list(&self, place: u64, full: bool, patience: Patience) -> Result<Vec<Item>, Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if place == 0 {
            *kept = Kept::default();
        }
        let items = std::mem::take(&mut kept.items);
        let usable = kept.after == place && (!full || items.iter().all(|item| item.attributes.is_some()));
        if usable && !items.is_empty() {
            return Ok(items);
        }
        let mut batch = Batch { view: &self.view, full, patience, owner: self.owner, items: Vec::new() };
        match self.node {
            Node::Above(_) => batch.add_above(self.node, place)?,
            Node::Axis(_) => batch.add_axis(self.node, place, &mut kept.damage)?,
            _ => batch.add_entries(self.node, place, &mut kept.damage)?,
        }
        match &kept.damage {
            Some(failure) if batch.items.is_empty() => Err(Failure::Listing(Arc::clone(failure))),
            _ => Ok(batch.items),
        }
    }

    /// How many entries of the snapshot stand before the last of these names; `None` above the snapshots.
    pub fn ordinal_of(&self, last: &Item) -> Option<(u32, u64)> {
        let ordinal = last.place.checked_sub(DOTS + 1)?;
        matches!(self.node, Node::Root(_) | Node::Entry(..)).then_some((self.node.snapshot(), ordinal))
    }

    /// Takes back the items that come after `place` and did not fit.
    pub fn keep(&self, place: u64, items: Vec<Item>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.after, kept.items) = (place, items);
    }
}

/// Items on their way.
struct Batch<'a> {
    view: &'a View,
    full: bool,
    patience: Patience,
    owner: Keeper,
    items: Vec<Item>,
}

impl Batch<'_> {
    fn dot(&mut self, place: u64, name: &str, node: Node) {
        let attributes = self.full.then(|| attr::none(node.ino()));
        let item = Item { place, name: name.into(), node, kind: FileType::Directory, attributes, side: None };
        self.items.push(item);
    }

    fn dots(&mut self, after: u64, node: Node, parent: Node) {
        if after < 1 {
            self.dot(1, ".", node);
        }
        if after < DOTS {
            self.dot(2, "..", parent);
        }
    }

    fn add_above(&mut self, node: Node, place: u64) -> Result<(), Failure> {
        let above = self.view.layout.get(node).ok_or(Failure::Stale)?;
        let AboveKind::Folder(children) = &above.kind else { return Err(Failure::Kind) };
        self.dots(place, node, above.parent);
        let skipped = usize::try_from(place.saturating_sub(DOTS)).unwrap_or(usize::MAX);
        for (place, (name, child)) in (DOTS + 1..).zip(children).skip(skipped).take(BATCH) {
            let (kind, attributes) = self.describe(*child)?;
            self.items.push(Item { place, name: name.clone(), node: *child, kind, attributes, side: None });
        }
        Ok(())
    }

    /// What a folder above the snapshots says of one of its children. A snapshot whose catalog cannot be read is listed all
    /// the same.
    fn describe(&self, child: Node) -> Result<(FileType, Option<FileAttr>), Failure> {
        if let Some(above) = self.view.layout.get(child) {
            let attributes = attr::of_above(child, above, self.owner);
            return Ok((attributes.kind, self.full.then_some(attributes)));
        }
        if let Node::Axis(_) = child {
            let attributes = answers::attributes(self.view, child, self.owner, self.patience)?;
            return Ok((attributes.kind, self.full.then_some(attributes)));
        }
        if !self.full {
            return Ok((FileType::Directory, None));
        }
        let found = self.view.find(child, self.patience);
        match found.and_then(|found| self.view.attributes(child, &found.entry, self.patience)) {
            Ok(attributes) => Ok((FileType::Directory, Some(attributes))),
            Err(_) if self.patience == Patience::Wait => Ok((FileType::Directory, Some(attr::none(child.ino())))),
            Err(failure) => Err(failure),
        }
    }

    /// Everything at once: a folder of the time axis is put together from all snapshots, one of changes from two.
    fn add_axis(&mut self, node: Node, place: u64, damage: &mut Option<Damage>) -> Result<(), Failure> {
        let side = answers::side(self.view, node)?;
        let above = side.parent().map_or(Node::TOP, |above| self.view.axis().node(&above));
        self.dots(place, node, above);
        let skipped = usize::try_from(place.saturating_sub(DOTS)).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        match &side {
            Side::Folder(path) => {
                let (names, failure) = versions::list(self.view, path, self.owner, self.patience);
                match failure {
                    Some(failure) if self.patience == Patience::None => return Err(failure),
                    failure => *damage = failure.map(Arc::new),
                }
                for (name, side, attributes) in names {
                    let (node, name) = (Node::of(attributes.ino), OsStr::from_bytes(&name).to_owned());
                    items.push((name, node, attributes, Some(side)));
                }
            }
            Side::Pairs | Side::Between(_) => {
                let (names, failure) = changes::list(self.view, &side, self.owner, self.patience);
                match failure {
                    Some(failure) if self.patience == Patience::None => return Err(failure),
                    failure => *damage = failure.map(Arc::new),
                }
                for (name, attributes, side) in names {
                    items.push((OsStr::from_bytes(&name).to_owned(), Node::of(attributes.ino), attributes, side));
                }
            }
            Side::File(path) => {
                for version in versions::of_file(self.view, path, self.patience)? {
                    let found = self.view.find_path(version.snapshot, path.clone(), self.patience)?;
                    let attributes = self.view.attributes(found.node, &found.entry, self.patience)?;
                    let name = self.view.layout.name(version.snapshot).unwrap_or_default().into();
                    items.push((name, found.node, attributes, None));
                }
            }
        }
        for (place, (name, node, attributes, side)) in (DOTS + 1..).zip(items).skip(skipped) {
            let (kind, attributes) = (attributes.kind, self.full.then_some(attributes));
            self.items.push(Item { place, name, node, kind, attributes, side });
        }
        Ok(())
    }

    fn add_entries(&mut self, node: Node, place: u64, damage: &mut Option<Damage>) -> Result<(), Failure> {
        let found = self.view.find(node, self.patience)?;
        if found.entry.kind != EntryKind::Directory {
            return Err(Failure::Kind);
        }
        if place < DOTS {
            let parent = self.view.parent(&found, self.patience)?;
            self.dots(place, node, parent);
        }
        let snapshot = node.snapshot();
        let tree = self.view.tree(snapshot, self.patience)?;
        let after = match place.checked_sub(DOTS + 1) {
            None => None,
            Some(ordinal) => tree.by_ordinal(ordinal)?.and_then(|(path, _)| path.0.last().cloned()),
        };
        let (view, full, patience) = (self.view, self.full, self.patience);
        let describe = |ordinal: u64, name: EntryName, entry: &Entry| {
            let node = view.node(snapshot, ordinal, entry);
            let attributes = full.then(|| view.attributes(node, entry, patience)).transpose()?;
            let (place, kind) = (ordinal + DOTS + 1, attr::kind(&entry.kind));
            Ok(Item { place, name: OsStr::from_bytes(name.as_bytes()).to_owned(), node, kind, attributes, side: None })
        };
        let mut children = tree.children(&found.path, after.as_ref());
        while let Some(child) = children.next_with(describe) {
            match child.map_err(Failure::from).flatten() {
                Ok(item) => self.items.push(item),
                // What is in memory is enough for a reply; the rest can wait for the next one.
                Err(_) if self.patience == Patience::None && !self.items.is_empty() => break,
                Err(failure @ Failure::Catalog(_)) if self.patience == Patience::Wait => {
                    *damage = Some(Arc::new(failure));
                }
                Err(failure) => return Err(failure),
            }
            if self.items.len() >= BATCH {
                break;
            }
        }
        Ok(())
    }
}
