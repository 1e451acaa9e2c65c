//! What differs between two catalogs, without opening what they share.
//!
//! Both are walked in step; where both come to the same page, neither opens it. Where one has a page that cannot be read, what the
//! other has there is left out: nothing is called added or removed that may be neither. Not here: how differences are shown.

use super::Error;
use super::cursor::{Cursor, path};
use super::key::KeyRange;
use super::reader::Tree;
use crate::repo::entry::{Entry, EntryPath};
use std::cmp::Ordering;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the later catalog has the entry.
    Added { path: EntryPath, entry: Entry },
    /// Only the earlier catalog has the entry.
    Removed { path: EntryPath, entry: Entry },
    /// Both have the entry, with other attributes or content.
    Changed { path: EntryPath, before: Box<Entry>, after: Box<Entry> },
}

/// The differences between two catalogs over the same chunks, in catalog order.
pub fn diff(before: &Tree, after: &Tree) -> Diff {
    in_range(before, after, &KeyRange::ALL)
}

/// As [`diff`], of what lies below the directory `path`, without its own entry; all there is for the root.
pub fn diff_below(before: &Tree, after: &Tree, path: &EntryPath) -> Diff {
    if path.0.is_empty() { diff(before, after) } else { in_range(before, after, &super::key::subtree(path)) }
}

fn in_range(before: &Tree, after: &Tree, range: &KeyRange) -> Diff {
    let start = |tree: &Tree| Cursor::new(tree.clone(), range.clone());
    Diff { before: start(before), after: start(after), unreadable: Some(Vec::new()) }
}

/// See [`diff`].
#[derive(Debug)]
pub struct Diff {
    before: Cursor,
    after: Cursor,
    /// Keys below this one lie in a page that one side cannot read; `None`: all that follow do.
    unreadable: Option<Vec<u8>>,
}

/// What comes next.
enum Step {
    End,
    SkipBoth,
    OpenBefore,
    OpenAfter,
    Compare(Ordering),
}

impl Diff {
    fn step(&self) -> Step {
        match (self.before.node(), self.after.node()) {
            (Some(a), Some(b)) if a.id == b.id => Step::SkipBoth,
            (Some(a), Some(b)) => {
                // The root's level is not known before it is opened: it counts as the highest.
                let height = |node: &super::cursor::Node| node.promised.map_or(u8::MAX, |(level, _)| level);
                let first = a.first.cmp(&b.first).then(height(b).cmp(&height(a)));
                if first.is_le() { Step::OpenBefore } else { Step::OpenAfter }
            }
            (Some(a), None) => match self.after.entry() {
                Some((_, key, _)) if key < a.first.as_slice() => Step::Compare(Ordering::Greater),
                _ => Step::OpenBefore,
            },
            (None, Some(b)) => match self.before.entry() {
                Some((_, key, _)) if key < b.first.as_slice() => Step::Compare(Ordering::Less),
                _ => Step::OpenAfter,
            },
            (None, None) => match (self.before.entry(), self.after.entry()) {
                (Some((_, a, _)), Some((_, b, _))) => Step::Compare(a.cmp(b)),
                (Some(_), None) => Step::Compare(Ordering::Less),
                (None, Some(_)) => Step::Compare(Ordering::Greater),
                (None, None) => Step::End,
            },
        }
    }

    /// Opens the page at one side's place, unless one side cannot read any of its keys.
    fn open(cursor: &mut Cursor, unreadable: &mut Option<Vec<u8>>) -> Result<(), Error> {
        let until = cursor.node().and_then(|node| node.until.clone());
        let hidden = match (&until, &*unreadable) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(until), Some(hidden)) => until <= hidden,
        };
        if hidden {
            cursor.skip();
            return Ok(());
        }
        cursor.open().inspect_err(|_| *unreadable = until)
    }

    /// Takes the entries at the places that come first; `None` if they are equal, or one side cannot be read there.
    fn compare(&mut self, order: Ordering) -> Option<Change> {
        let take = |cursor: &Cursor| cursor.entry().map(|(_, key, entry)| (key.to_vec(), entry.clone()));
        let before = order.is_le().then(|| take(&self.before)).flatten();
        let after = order.is_ge().then(|| take(&self.after)).flatten();
        if order.is_le() {
            self.before.skip();
        }
        if order.is_ge() {
            self.after.skip();
        }
        let (key, _) = before.as_ref().or(after.as_ref())?;
        if self.unreadable.as_ref().is_none_or(|until| key < until) {
            return None;
        }
        let path = path(key);
        match (before, after) {
            (Some((_, before)), Some((_, after))) => {
                (before != after).then(|| Change::Changed { path, before: Box::new(before), after: Box::new(after) })
            }
            (Some((_, entry)), None) => Some(Change::Removed { path, entry }),
            (None, Some((_, entry))) => Some(Change::Added { path, entry }),
            (None, None) => None,
        }
    }
}

impl Iterator for Diff {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let opened = match self.step() {
                Step::End => return None,
                Step::SkipBoth => {
                    self.before.skip();
                    self.after.skip();
                    Ok(())
                }
                Step::OpenBefore => Self::open(&mut self.before, &mut self.unreadable),
                Step::OpenAfter => Self::open(&mut self.after, &mut self.unreadable),
                Step::Compare(order) => match self.compare(order) {
                    Some(change) => return Some(Ok(change)),
                    None => Ok(()),
                },
            };
            if let Err(error) = opened {
                return Some(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryChunks, entry, file, forest, path, write};
    use super::*;
    use crate::repo::entry::EntryKind;
    use crate::repo::id::ChunkKind;
    use std::sync::Arc;

    type Entries = Vec<(EntryPath, Entry)>;

    fn trees(before: &Entries, after: &Entries) -> (Arc<MemoryChunks>, Tree, Tree) {
        let chunks = Arc::new(MemoryChunks::default());
        let [before, after] = [before, after].map(|entries| write(&chunks, entries).skeleton);
        let [before, after] = [before, after].map(|root| Tree::open(chunks.clone(), root));
        (chunks, before, after)
    }

    #[test]
    fn differences_are_found_and_the_rest_is_not_read() {
        let before = forest(60, 100);
        let mut after = before.clone();
        let removed = after.remove(4000);
        let changed = after[2000].clone();
        after[2000].1.mode = 0o600;
        let added = (path("/new"), entry(EntryKind::Fifo));
        after.push(added.clone());
        let (chunks, a, b) = trees(&before, &after);
        let all = chunks.of(ChunkKind::Skeleton).len();
        let changes: Vec<_> = diff(&a, &b).map(Result::unwrap).collect();
        let expected = [
            Change::Added { path: added.0, entry: added.1 },
            Change::Changed { path: changed.0, before: Box::new(changed.1), after: Box::new(after[2000].1.clone()) },
            Change::Removed { path: removed.0, entry: removed.1 },
        ];
        assert_eq!(changes, expected);
        assert!(chunks.gets() / 2 < all * 3 / 4, "{} pages of {all} read", chunks.gets() / 2);
        assert_eq!(diff(&a, &a).count(), 0);
    }

    #[test]
    fn a_part_is_compared_alone() {
        let before = forest(60, 100);
        let mut after = before.clone();
        after.iter_mut().for_each(|(_, entry)| entry.uid = 7);
        let (_, a, b) = trees(&before, &after);
        assert_eq!(diff_below(&a, &b, &path("/directory-00007")).map(Result::unwrap).count(), 100);
        assert_eq!(diff_below(&a, &b, &EntryPath::default()).map(Result::unwrap).count(), before.len());
    }

    #[test]
    fn any_two_trees_differ_as_their_lists_do() {
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..12 {
            let base = forest(1 + random(12), 1 + random(120));
            let mut other = base.clone();
            let start = random(other.len() as u64) as usize;
            other.drain(start..(start + random(400) as usize).min(base.len()));
            for at in 0..random(9) {
                other.push((path(&format!("/x{at}")), file(at, &[3])));
            }
            let (_, a, b) = trees(&base, &other);
            let added = other.iter().filter(|entry| !base.contains(entry)).count();
            let removed = base.iter().filter(|entry| !other.contains(entry)).count();
            let changes: Vec<_> = diff(&a, &b).map(Result::unwrap).collect();
            let is_added = |change: &&Change| matches!(change, Change::Added { .. });
            assert_eq!(changes.iter().filter(is_added).count(), added);
            assert_eq!(changes.len(), added + removed);
            assert_eq!(diff(&b, &a).count(), added + removed);
        }
    }

    #[test]
    fn what_cannot_be_read_is_neither_added_nor_removed() {
        let before = forest(60, 100);
        let mut after = before.clone();
        after.iter_mut().for_each(|(_, entry)| entry.uid = 7);
        let (chunks, a, _) = trees(&before, &before);
        let lost = chunks.of(ChunkKind::Payload);
        for (id, _) in lost {
            let (chunks, a2, b) = trees(&before, &after);
            chunks.lose(ChunkKind::Payload, &id);
            for (x, y) in [(&a2, &b), (&b, &a2)] {
                let (changes, errors): (Vec<_>, Vec<_>) = diff(x, y).partition(Result::is_ok);
                assert_eq!(errors.len(), 1);
                assert!(changes.iter().all(|change| matches!(change, Ok(Change::Changed { .. }))));
                assert!(changes.len() < before.len());
            }
        }
        assert_eq!(diff(&a, &a).count(), 0);
    }
}
