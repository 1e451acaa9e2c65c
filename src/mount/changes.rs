//! `changes`: of any two snapshots a folder `EARLIER..LATER`, in which is only what differs, where it differs. What was added or changed is
//! there as the later snapshot has it, what was removed as the earlier one had it, by the name `NAME@removed`.
//!
//! Listed are each snapshot and the one before it of the same host and paths; any other two are there for whoever names them. That a file
//! was only read, or that a folder's time is another since something in it changed, is no difference.

use super::attr::{self, Keeper};
use super::axis::{Between, Side};
use super::door::Door;
use super::errno::Failure;
use super::node::Node;
use super::versions::{Child, free};
use super::view::{Patience, View};
use crate::repo::catalog::{Change, diff_below};
use crate::repo::entry::{Entry, EntryKind, EntryName, EntryPath, Timestamp};
use fuser::FileAttr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What distinguishes what was removed from something else of that name.
const SUFFIX: &[u8] = b"@removed";
/// Folders whose differences are kept: whoever lists one looks up its names, and those of the folders above.
const KEPT: usize = 32;

/// What a name in a folder of differences leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// Such a folder again: both snapshots have one there.
    Below(EntryName),
    /// An entry of the snapshot with this number.
    In(u32, EntryName),
}

/// What differs in a folder, by the names that are shown.
type Differences = BTreeMap<Vec<u8>, Target>;

/// Differences that were looked up: snapshots never change.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Vec<(Between, Arc<Differences>)>>);

impl Recent {
    fn get(&self, folder: &Between) -> Option<Arc<Differences>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == folder)?;
        let found = kept.remove(at);
        let differences = Arc::clone(&found.1);
        kept.push(found);
        Some(differences)
    }

    fn keep(&self, folder: &Between, differences: &Arc<Differences>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((folder.clone(), Arc::clone(differences)));
    }
}

/// The attributes of `changes`, or of a folder below it.
pub fn attributes(view: &View, side: &Side, owner: Keeper, patience: Patience) -> Result<FileAttr, Failure> {
    let Side::Between(Between { before, after, path }) = side else {
        return Ok(attr::of_axis_top(Node::CHANGES, view.layout.time(), owner));
    };
    let door = |snapshot: u32| {
        let found = view.find_path(snapshot, path.clone(), patience)?;
        if found.entry.kind == EntryKind::Directory { Ok(Door::of(&found.entry)) } else { Err(Failure::NotFound) }
    };
    Ok(door(*after)?.and(door(*before)?).attributes(view.axis().node(side), view.face()))
}

/// The child `name` of `changes`, or of a folder below it.
pub fn lookup(view: &View, side: &Side, name: &[u8], patience: Patience) -> Result<Child, Failure> {
    let Side::Between(folder) = side else {
        let pair = pair_named(view, name).ok_or(Failure::NotFound)?;
        return Ok(Child::Axis(pair));
    };
    let (differences, failure) = differences(view, folder, patience)?;
    match differences.get(name) {
        Some(target) => child(view, folder, target, patience),
        // It may be where nothing can be read.
        None => Err(failure.unwrap_or(Failure::NotFound)),
    }
}

/// The names of `changes` or of a folder below it, in order, with what they lead to.
///
/// # Errors
/// What cannot be read; with it, the names that can.
pub fn list(view: &View, side: &Side, owner: Keeper, patience: Patience) -> Listed {
    let mut listed = Vec::new();
    let Side::Between(folder) = side else {
        let mut failure = None;
        for (before, after) in view.layout.pairs() {
            let pair = Side::Between(Between { before: *before, after: *after, path: EntryPath::default() });
            match (pair_name(view, *before, *after), attributes(view, &pair, owner, patience)) {
                (Some(name), Ok(attributes)) => listed.push((name, attributes, Some(pair))),
                (_, Err(error)) => failure = Some(error),
                (None, _) => {}
            }
        }
        return (listed, failure);
    };
    let (differences, mut failure) = match differences(view, folder, patience) {
        Ok(found) => found,
        Err(failure) => return (listed, Some(failure)),
    };
    for (name, target) in differences.iter() {
        let described = child(view, folder, target, patience).and_then(|child| match child {
            Child::Axis(side) => Ok((attributes(view, &side, owner, patience)?, Some(side))),
            Child::Entry(node, entry) => Ok((view.attributes(node, &entry, patience)?, None)),
        });
        match described {
            Ok((attributes, side)) => listed.push((name.clone(), attributes, side)),
            Err(error) => failure = Some(error),
        }
    }
    (listed, failure)
}

/// Names with what they lead to, and what could not be read.
pub type Listed = (Vec<(Vec<u8>, FileAttr, Option<Side>)>, Option<Failure>);

fn pair_name(view: &View, before: u32, after: u32) -> Option<Vec<u8>> {
    let name = |snapshot| view.layout.name(snapshot);
    Some(format!("{}..{}", name(before)?, name(after)?).into_bytes())
}

fn pair_named(view: &View, name: &[u8]) -> Option<Side> {
    // Names of snapshots have no full stop in them.
    let middle = name.windows(2).position(|two| two == b"..")?;
    let (before, after) = (view.layout.number(&name[..middle])?, view.layout.number(&name[middle + 2..])?);
    Some(Side::Between(Between { before, after, path: EntryPath::default() }))
}

fn child(view: &View, folder: &Between, target: &Target, patience: Patience) -> Result<Child, Failure> {
    match target {
        Target::Below(name) => {
            Ok(Child::Axis(Side::Between(Between { path: folder.path.join(name.clone()), ..*folder })))
        }
        Target::In(snapshot, name) => {
            let found = view.find_path(*snapshot, folder.path.join(name.clone()), patience)?;
            Ok(Child::Entry(found.node, Box::new(found.entry)))
        }
    }
}

/// What differs in a folder, as far as it can be read, and what cannot.
fn differences(
    view: &View,
    folder: &Between,
    patience: Patience,
) -> Result<(Arc<Differences>, Option<Failure>), Failure> {
    if let Some(known) = view.changes().get(folder) {
        return Ok((known, None));
    }
    if patience == Patience::None {
        return Err(Failure::Slow);
    }
    let Between { before, after, path } = folder;
    let (earlier, later) = (view.tree(*before, patience)?, view.tree(*after, patience)?);
    let mut names: BTreeMap<EntryName, Own> = BTreeMap::new();
    let mut failure = None;
    for change in diff_below(&earlier, &later, path) {
        match change {
            Ok(change) => note(&mut names, path.0.len(), change),
            Err(error) => failure = Some(Failure::Catalog(error)),
        }
    }
    let differences = Arc::new(shown(&names, *before, *after));
    if failure.is_none() {
        view.changes().keep(folder, &differences);
    }
    Ok((differences, failure))
}

/// What became of a name.
#[derive(Debug, Default)]
struct Own {
    /// It was there, and is not there as what it was.
    removed: bool,
    /// It is there, new or other than before.
    present: bool,
    /// It is a folder in both, in which something differs, or that differs itself.
    folder: bool,
}

/// Notes a difference at a folder of this depth.
fn note(names: &mut BTreeMap<EntryName, Own>, depth: usize, change: Change) {
    let (Change::Added { path, .. } | Change::Removed { path, .. } | Change::Changed { path, .. }) = &change;
    let Some(name) = path.0.get(depth).cloned() else { return };
    if path.0.len() > depth + 1 {
        if matters(&change) {
            names.entry(name).or_default().folder = true;
        }
        return;
    }
    let is_folder = |entry: &Entry| entry.kind == EntryKind::Directory;
    let (removed, present, folder) = match &change {
        Change::Added { .. } => (false, true, false),
        Change::Removed { .. } => (true, false, false),
        Change::Changed { before, after, .. } if is_folder(before) == is_folder(after) => {
            let folder = is_folder(after);
            (false, !folder && matters(&change), folder && matters(&change))
        }
        Change::Changed { .. } => (true, true, false),
    };
    if removed || present || folder {
        let own = names.entry(name).or_default();
        (own.removed, own.present, own.folder) = (removed, present, own.folder || folder);
    }
}

/// Whether somebody who asks what changed wants to hear of it.
fn matters(change: &Change) -> bool {
    let Change::Changed { before, after, .. } = change else { return true };
    let plain = |entry: &Entry| {
        let folder = entry.kind == EntryKind::Directory;
        let modified = if folder { Timestamp::default() } else { entry.modified };
        // The time of a change of attributes says less than these do.
        Entry { modified, changed: Timestamp::default(), accessed: None, links: None, ..entry.clone() }
    };
    plain(before) != plain(after)
}

fn shown(names: &BTreeMap<EntryName, Own>, before: u32, after: u32) -> Differences {
    let mut shown = Differences::new();
    for (name, own) in names {
        let bytes = name.as_bytes().to_vec();
        if own.present {
            shown.insert(bytes, Target::In(after, name.clone()));
        } else if own.folder && !own.removed {
            shown.insert(bytes, Target::Below(name.clone()));
        }
    }
    for (name, _) in names.iter().filter(|(_, own)| own.removed) {
        let free = free(name.as_bytes(), SUFFIX, |taken| shown.contains_key(taken));
        shown.insert(free, Target::In(before, name.clone()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::catalog::testing::{entry, path};

    fn name(text: &str) -> EntryName {
        EntryName::new(text.as_bytes()).unwrap()
    }

    fn of(changes: Vec<Change>) -> Vec<(String, Target)> {
        let mut names = BTreeMap::new();
        changes.into_iter().for_each(|change| note(&mut names, 1, change));
        shown(&names, 1, 2).into_iter().map(|(name, target)| (String::from_utf8(name).unwrap(), target)).collect()
    }

    fn changed(at: &str, before: Entry, after: Entry) -> Change {
        Change::Changed { path: path(at), before: Box::new(before), after: Box::new(after) }
    }

    #[test]
    fn what_was_removed_has_a_name_that_is_free() {
        let file = || entry(EntryKind::Fifo);
        let added = |at: &str| Change::Added { path: path(at), entry: file() };
        let removed = |at: &str| Change::Removed { path: path(at), entry: file() };
        assert_eq!(of(vec![removed("/d/a")]), [("a@removed".to_owned(), Target::In(1, name("a")))]);
        assert_eq!(
            of(vec![removed("/d/a"), added("/d/a@removed")]),
            [
                ("a@removed".to_owned(), Target::In(2, name("a@removed"))),
                ("a@removed@removed".to_owned(), Target::In(1, name("a")))
            ]
        );
    }

    #[test]
    fn a_folder_is_there_when_it_or_something_in_it_differs() {
        let folder = |mode, seconds| {
            let modified = Timestamp { seconds, nanoseconds: 0 };
            Entry { mode, modified, ..entry(EntryKind::Directory) }
        };
        let below = [("f".to_owned(), Target::Below(name("f")))];
        assert_eq!(of(vec![changed("/d/f", folder(0o755, 1), folder(0o755, 2))]), []);
        assert_eq!(of(vec![changed("/d/f", folder(0o755, 1), folder(0o700, 2))]), below);
        let inside = Change::Removed { path: path("/d/f/x/y"), entry: entry(EntryKind::Fifo) };
        assert_eq!(of(vec![changed("/d/f", folder(0o755, 1), folder(0o755, 2)), inside.clone()]), below);
        // A folder in the place of a file, and one that is gone with all that was in it.
        let gone = Change::Removed { path: path("/d/f"), entry: folder(0o755, 1) };
        assert_eq!(of(vec![gone, inside.clone()]), [("f@removed".to_owned(), Target::In(1, name("f")))]);
        assert_eq!(
            of(vec![changed("/d/f", folder(0o755, 1), entry(EntryKind::Fifo)), inside]),
            [("f".to_owned(), Target::In(2, name("f"))), ("f@removed".to_owned(), Target::In(1, name("f")))]
        );
    }

    #[test]
    fn that_a_file_was_read_is_no_difference() {
        let read = |seconds| Entry { accessed: Some(Timestamp { seconds, nanoseconds: 0 }), ..entry(EntryKind::Fifo) };
        assert_eq!(of(vec![changed("/d/f", read(1), read(2))]), []);
        let mode = Entry { mode: 0o600, ..read(2) };
        assert_eq!(of(vec![changed("/d/f", read(1), mode)]).len(), 1);
    }
}
