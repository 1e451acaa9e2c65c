//! What differs between two snapshots, or two folders of snapshots, and how much that is.

use super::unreadable;
use crate::event::Sink;
use crate::repo::catalog::{self, Change, Tree, diff_below, key};
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, Timestamp};
use crate::repo::id::ChunkId;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::iter::Peekable;

/// One side of a comparison: a catalog, and where in it.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The catalog.
    pub tree: &'a Tree,
    /// The folder, or the root.
    pub path: &'a EntryPath,
}

/// One path that differs.
#[derive(Debug)]
pub struct Difference {
    /// The path: absolute if both sides look at the same one, else below what each looks at.
    pub path: EntryPath,
    /// `+` added, `-` removed, `M` other content, `T` another kind, `U` other attributes; `?` after `M`: the content changed
    /// although size and times did not.
    pub marks: &'static str,
    /// The entry before, if there was one.
    pub before: Option<Entry>,
    /// The entry after, if there is one.
    pub after: Option<Entry>,
}

/// Entries and data on one side only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Links, pipes, sockets, devices.
    pub others: u64,
    /// Chunks of changed files that those of the other side do not have.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The sum of all differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Entries whose content or kind changed.
    pub changed_files: u64,
    /// Only later.
    pub added: Tally,
    /// Only earlier.
    pub removed: Tally,
}

/// Tells every difference, in catalog order, and sums up. Those of attributes alone are told with `metadata` only. Parts that
/// cannot be read are reported and left out.
///
/// # Errors
/// Only what `tell` returns.
pub fn compare<E>(
    before: Side<'_>,
    after: Side<'_>,
    metadata: bool,
    sink: &dyn Sink,
    mut tell: impl FnMut(&Difference) -> Result<(), E>,
) -> Result<Statistics, E> {
    let mut statistics = Statistics::default();
    let mut chunks = [HashMap::new(), HashMap::new()];
    let trees = [before.tree, after.tree];
    for change in changes(before, after) {
        if sink.stopping() {
            break;
        }
        let difference = match change {
            Ok(change) => judge(change),
            Err(error) => {
                unreadable::report(sink, after.path.to_bytes(), &error);
                continue;
            }
        };
        statistics.count(&difference);
        for ((tree, entry), chunks) in trees.iter().zip([&difference.before, &difference.after]).zip(&mut chunks) {
            if let (Some(entry), true) = (entry, difference.marks != "U") {
                gather(tree, entry, &difference.path, chunks, sink);
            }
        }
        if difference.marks != "" && (metadata || difference.marks != "U") {
            tell(&difference)?;
        }
    }
    let [old, new] = chunks;
    statistics.added.data(&new, &old);
    statistics.removed.data(&old, &new);
    Ok(statistics)
}

impl Statistics {
    fn count(&mut self, difference: &Difference) {
        match (difference.marks, &difference.before, &difference.after) {
            ("+", _, Some(entry)) => self.added.entry(entry),
            ("-", Some(entry), _) => self.removed.entry(entry),
            ("" | "U", ..) => {}
            _ => self.changed_files += 1,
        }
    }
}

impl Tally {
    fn entry(&mut self, entry: &Entry) {
        match entry.kind {
            EntryKind::File(_) => self.files += 1,
            EntryKind::Directory => self.dirs += 1,
            _ => self.others += 1,
        }
    }

    fn data(&mut self, own: &HashMap<ChunkId, u32>, other: &HashMap<ChunkId, u32>) {
        for (_, length) in own.iter().filter(|(id, _)| !other.contains_key(*id)) {
            self.chunks += 1;
            self.bytes += u64::from(*length);
        }
    }
}

fn gather(tree: &Tree, entry: &Entry, path: &EntryPath, chunks: &mut HashMap<ChunkId, u32>, sink: &dyn Sink) {
    for placed in tree.extents(entry).into_iter().flatten() {
        match placed.map(|placed| placed.extent) {
            Ok(Extent::Chunk { id, length }) => drop(chunks.insert(id, length)),
            Ok(Extent::Hole { .. }) => {}
            Err(error) => unreadable::report(sink, path.to_bytes(), &error),
        }
    }
}

/// How a change is marked.
fn judge(change: Change) -> Difference {
    match change {
        Change::Added { path, entry } => Difference { path, marks: "+", before: None, after: Some(entry) },
        Change::Removed { path, entry } => Difference { path, marks: "-", before: Some(entry), after: None },
        Change::Changed { path, before, after } => {
            let marks = marks(&before, &after);
            Difference { path, marks, before: Some(*before), after: Some(*after) }
        }
    }
}

fn marks(before: &Entry, after: &Entry) -> &'static str {
    use EntryKind as K;
    let content = match (&before.kind, &after.kind) {
        (K::File(old), K::File(new)) => old != new || before.size != after.size,
        (K::Symlink(old), K::Symlink(new)) => old != new,
        (
            old @ (K::CharacterDevice { .. } | K::BlockDevice { .. }),
            new @ (K::CharacterDevice { .. } | K::BlockDevice { .. }),
        ) if std::mem::discriminant(old) == std::mem::discriminant(new) => old != new,
        (old, new) if std::mem::discriminant(old) == std::mem::discriminant(new) => false,
        _ => return "T",
    };
    let plain = |entry: &Entry| Entry { kind: K::File(Content::EMPTY), accessed: None, links: None, ..entry.clone() };
    let (old, new) = (plain(before), plain(after));
    if content && old == new && matches!(before.kind, K::File(_)) {
        return "M?";
    }
    if content {
        return "M";
    }
    // The moment of a status change, by itself, is nothing that anybody could see or restore.
    let lasting = |entry: Entry| Entry { changed: Timestamp::default(), ..entry };
    if lasting(old) == lasting(new) { "" } else { "U" }
}

fn changes<'a>(before: Side<'a>, after: Side<'a>) -> Box<dyn Iterator<Item = Result<Change, catalog::Error>> + 'a> {
    if before.path == after.path {
        Box::new(diff_below(before.tree, after.tree, before.path))
    } else {
        Box::new(Merge::new(before, after))
    }
}

/// Two folders with different paths, entry by entry: their pages cannot be equal.
struct Merge<A: Iterator, B: Iterator> {
    before: Peekable<A>,
    after: Peekable<B>,
    over: bool,
}

type Item = Result<(EntryPath, Entry), catalog::Error>;

impl<'a> Merge<Box<dyn Iterator<Item = Item> + 'a>, Box<dyn Iterator<Item = Item> + 'a>> {
    fn new(before: Side<'a>, after: Side<'a>) -> Self {
        let below = |side: Side<'a>| -> Box<dyn Iterator<Item = Item> + 'a> {
            let relative = |path: EntryPath| EntryPath(path.0[side.path.0.len()..].to_vec());
            let walk = side.tree.walk(side.path);
            Box::new(walk.map(move |item| item.map(|(path, entry)| (relative(path), entry))))
        };
        Self { before: below(before).peekable(), after: below(after).peekable(), over: false }
    }
}

impl<A: Iterator<Item = Item>, B: Iterator<Item = Item>> Iterator for Merge<A, B> {
    type Item = Result<Change, catalog::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.before.peek(), self.after.peek()) {
                _ if self.over => return None,
                // What one side cannot read may or may not be what the other side has: the rest is not compared.
                (Some(Err(error)), _) | (_, Some(Err(error))) => {
                    self.over = true;
                    return Some(Err(error.clone()));
                }
                (Some(Ok((a, _))), Some(Ok((b, _)))) => key::encode(a).cmp(&key::encode(b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let before = if order.is_le() { self.before.next()?.ok() } else { None };
            let after = if order.is_ge() { self.after.next()?.ok() } else { None };
            return Some(Ok(match (before, after) {
                (Some((_, before)), Some((_, after))) if before == after => continue,
                (Some((path, before)), Some((_, after))) => {
                    Change::Changed { path, before: Box::new(before), after: Box::new(after) }
                }
                (Some((path, entry)), None) => Change::Removed { path, entry },
                (None, Some((path, entry))) => Change::Added { path, entry },
                (None, None) => return None,
            }));
        }
    }
}
