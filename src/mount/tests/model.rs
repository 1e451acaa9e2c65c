//! Random questions about random trees, answered by a mount and by a reference in memory.

use super::{WHEN, names};
use crate::mount::Options;
use crate::mount::testing::{Mounted, Repository};
use crate::repo::catalog::testing::entry;
use crate::repo::entry::{Entry, EntryKind, Extent};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

/// SplitMix64: the same questions in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % sides as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.throw(256) as u8).collect()
    }
}

/// What the reference knows of a path.
#[derive(Debug, Clone)]
enum Thing {
    Folder,
    File(Vec<u8>),
    Link(Vec<u8>),
}

type Tree = BTreeMap<String, Thing>;

/// A file of chunks and holes of any length, and its content.
fn file(dice: &mut Dice, repository: &Repository) -> (Entry, Vec<u8>) {
    let mut content = Vec::new();
    let mut extents = Vec::new();
    for _ in 0..dice.throw(6) {
        // Two holes never lie side by side.
        if dice.throw(4) == 0 && !matches!(extents.last(), Some(Extent::Hole { .. })) {
            let length = 1 + dice.throw(20_000);
            extents.push(Extent::Hole { length: length as u64 });
            content.resize(content.len() + length, 0);
        } else {
            let length = 1 + dice.throw(9_000);
            let piece = dice.bytes(length);
            extents.push(repository.chunks.put(&piece));
            content.extend(piece);
        }
    }
    (repository.chunks.file(extents), content)
}

fn grow(dice: &mut Dice, repository: &Repository) -> (Vec<(String, Entry)>, Tree) {
    let (mut entries, mut tree) = (Vec::new(), Tree::from([(String::new(), Thing::Folder)]));
    let mut folders = vec![String::new()];
    for number in 0..120 {
        let path = format!("{}/n{number}", folders[dice.throw(folders.len())]);
        let (stored, thing) = match dice.throw(5) {
            0 if path.len() < 60 => {
                folders.push(path.clone());
                (Entry { mode: 0o755, ..entry(EntryKind::Directory) }, Thing::Folder)
            }
            1 => {
                let length = 1 + dice.throw(40);
                let target: Vec<u8> = (0..length).map(|_| b'a' + dice.throw(26) as u8).collect();
                (entry(EntryKind::Symlink(target.clone())), Thing::Link(target))
            }
            _ => {
                let (stored, content) = file(dice, repository);
                (stored, Thing::File(content))
            }
        };
        entries.push((path.clone(), stored));
        tree.insert(path, thing);
    }
    (entries, tree)
}

fn ask(dice: &mut Dice, mounted: &Mounted, root: &str, tree: &Tree) {
    let (path, thing) = tree.iter().nth(dice.throw(tree.len())).unwrap();
    let at = mounted.at(&format!("{root}{path}"));
    let seen = fs::symlink_metadata(&at).unwrap();
    match thing {
        Thing::Folder => {
            let below = |other: &&String| other.rsplit_once('/').is_some_and(|(parent, _)| parent == path);
            let mut expected: Vec<_> =
                tree.keys().filter(below).map(|child| child.rsplit_once('/').unwrap().1.to_owned()).collect();
            expected.sort();
            assert!(seen.is_dir());
            assert_eq!(names(&at), expected, "{path}");
        }
        Thing::Link(target) => {
            assert_eq!(seen.len(), target.len() as u64);
            assert_eq!(fs::read_link(&at).unwrap().as_os_str().as_bytes(), target, "{path}");
        }
        Thing::File(content) => {
            assert!(seen.is_file() && seen.len() == content.len() as u64, "{path}");
            assert!(seen.blocks() * 512 <= content.len().next_multiple_of(4096) as u64, "{path}");
            let open = File::open(&at).unwrap();
            let start = dice.throw(content.len() + 10);
            let mut bytes = vec![0; dice.throw(30_000)];
            let count = open.read_at(&mut bytes, start as u64).unwrap();
            let expected = &content[start.min(content.len())..content.len().min(start + bytes.len())];
            assert!(bytes[..count] == *expected, "{path} from {start}");
        }
    }
    let absent = mounted.at(&format!("{root}{path}/x{}", dice.throw(9)));
    let kind = fs::symlink_metadata(&absent).unwrap_err().kind();
    let expected = if seen.is_dir() { io::ErrorKind::NotFound } else { io::ErrorKind::NotADirectory };
    assert!(kind == expected || seen.is_symlink(), "{path}: {kind}");
}

#[test]
fn a_mount_answers_as_the_reference_does() {
    let mut dice = Dice(20);
    let repository = Arc::new(Repository::default());
    let mut trees = Vec::new();
    let take = |dice: &mut Dice, trees: &mut Vec<Tree>| {
        let (entries, tree) = grow(dice, &repository);
        let entries = entries.iter().map(|(path, entry)| (path.as_str(), entry.clone())).collect();
        repository.snapshot(WHEN + trees.len() as i64, "web", entries);
        trees.push(tree);
    };
    (0..3).for_each(|_| take(&mut dice, &mut trees));
    // With the access log files are opened by asking, and small ones handed over whole.
    let log = tempfile::tempdir().unwrap();
    let watched = |options: &mut Options| options.audit = Some(log.path().to_owned());
    let Some(mounted) = Mounted::new(&repository, watched) else { return };
    for round in 0..4 {
        for _ in 0..400 {
            let at = dice.throw(trees.len());
            ask(&mut dice, &mounted, &format!("by-time/1970-01-02T03-04-{:02}Z", 5 + at), &trees[at]);
        }
        // One more appears while it is looked at.
        take(&mut dice, &mut trees);
        let new = format!("by-time/1970-01-02T03-04-{:02}Z", 5 + 3 + round);
        super::eventually("the new snapshot is there", || mounted.at(&new).exists());
    }
    assert_eq!(mounted.told.problems(), []);
}
