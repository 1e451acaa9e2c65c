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
        if !difference.marks.is_empty() && (metadata || difference.marks != "U") {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Silent};
    use crate::repo::catalog::testing::{MemoryChunks, entry, file, forest, path, write};
    use crate::repo::id::ChunkKind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering as Atomic};

    #[test]
    fn every_kind_of_change_has_its_mark() {
        let old = file(1, &[5]);
        let other = file(2, &[5]);
        let later = |entry: &Entry| Entry { changed: Timestamp { seconds: 9, nanoseconds: 0 }, ..entry.clone() };
        let link = |to: &[u8]| entry(EntryKind::Symlink(to.to_vec()));
        let device = |minor| entry(EntryKind::BlockDevice { major: 8, minor });
        for (before, after, expected) in [
            (old.clone(), other.clone(), "M?"),
            (old.clone(), later(&other), "M"),
            (old.clone(), file(1, &[5, 6]), "M"),
            (old.clone(), Entry { mode: 0o600, ..old.clone() }, "U"),
            (old.clone(), later(&old), ""),
            (old.clone(), Entry { accessed: Some(Timestamp::default()), ..old.clone() }, ""),
            (old.clone(), link(b"x"), "T"),
            (link(b"x"), link(b"y"), "M"),
            (device(1), device(2), "M"),
            (device(1), entry(EntryKind::CharacterDevice { major: 8, minor: 1 }), "T"),
            (entry(EntryKind::Directory), Entry { uid: 7, ..entry(EntryKind::Directory) }, "U"),
        ] {
            assert_eq!(marks(&before, &after), expected, "{before:?} {after:?}");
        }
    }

    fn compared(before: Side<'_>, after: Side<'_>, sink: &dyn Sink) -> (Vec<String>, Statistics) {
        let mut told = Vec::new();
        let statistics = compare(before, after, true, sink, |difference| {
            told.push(format!("{}{}", difference.marks, String::from_utf8_lossy(&difference.path.to_bytes())));
            Ok::<_, ()>(())
        });
        (told, statistics.unwrap())
    }

    #[test]
    fn folders_with_other_paths_compare_entry_by_entry() {
        let chunks = Arc::new(MemoryChunks::default());
        let folder = entry(EntryKind::Directory);
        let entries = [
            (path("/a"), folder.clone()),
            (path("/b"), folder.clone()),
            (path("/a/both"), file(1, &[5])),
            (path("/a/changed"), file(2, &[5])),
            (path("/a/old"), file(3, &[7])),
            (path("/b/both"), file(1, &[5])),
            (path("/b/changed"), file(4, &[6])),
            (path("/b/new"), folder),
        ];
        let tree = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        let (a, b) = (path("/a"), path("/b"));
        let (told, statistics) = compared(Side { tree: &tree, path: &a }, Side { tree: &tree, path: &b }, &Silent);
        assert_eq!(told, ["M/changed", "+/new", "-/old"]);
        assert_eq!((statistics.changed_files, statistics.added.dirs, statistics.removed.files), (1, 1, 1));
        assert_eq!((statistics.added.bytes, statistics.removed.bytes), (6, 12));
    }

    /// Counts complaints.
    #[derive(Default)]
    struct Complaints(AtomicUsize);

    impl Sink for Complaints {
        fn emit(&self, event: Event) {
            if matches!(event, Event::Damage { .. }) {
                self.0.fetch_add(1, Atomic::Relaxed);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_and_not_taken_for_a_difference() {
        let chunks = Arc::new(MemoryChunks::default());
        let entries = forest(40, 100);
        let tree = Tree::open(chunks.clone(), write(&chunks, &entries).skeleton);
        let mut other = entries.clone();
        other[1000].1.uid = 7;
        let pages = chunks.of(ChunkKind::Payload);
        let changed = Tree::open(chunks.clone(), write(&chunks, &other).skeleton);
        for (page, _) in chunks.of(ChunkKind::Payload) {
            if !pages.iter().any(|(known, _)| *known == page) {
                chunks.lose(ChunkKind::Payload, &page);
            }
        }
        let (complaints, root) = (Complaints::default(), EntryPath::default());
        let sides = [&tree, &changed].map(|tree| Side { tree, path: &root });
        let (told, _) = compared(sides[0], sides[1], &complaints);
        assert_eq!(told, [""; 0]);
        assert!(complaints.0.into_inner() > 0);
    }
}
