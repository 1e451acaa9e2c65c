//! Snapshots of which parts cannot be read.

use super::*;
use crate::repo::catalog::{ExtentWriter, testing::keys};
use crate::repo::id::ChunkId;

/// Makes the chunk of `bytes` unreadable.
fn lose(snapshot: &Snapshot, bytes: &[u8]) {
    let Extent::Chunk { id, .. } = snapshot.chunk(bytes) else { unreachable!("a chunk was put") };
    snapshot.memory.lose(ChunkKind::Data, &id);
}

#[test]
fn what_is_lost_is_zero_and_named_and_the_rest_is_there() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let parts = [noise(1, 10_000), noise(2, 20_000), noise(3, 30_000)];
    snapshot.file("/hurt", &[&parts[0], &parts[1], &parts[2]]);
    snapshot.file("/whole", &[&parts[2]]);
    lose(&snapshot, &parts[1]);
    for old in [None, Some(vec![9; 100_000])] {
        if let Some(old) = old {
            std::fs::write(temp.path().join("hurt"), old).unwrap();
        }
        let listener = Listener::default();
        let summary = snapshot.restore("/", temp.path(), &listener);
        assert_eq!((summary.damaged, summary.problems, summary.files), (1, 0, 2));
        let problems = listener.problems();
        assert!(problems[0].starts_with("/hurt: content: 20000 of 60000 bytes"), "{problems:?}");
        assert!(problems[0].contains("offset 10000: data chunk"), "{problems:?}");
        let expected = [&parts[0][..], &[0; 20_000], &parts[2]].concat();
        assert_eq!(std::fs::read(temp.path().join("hurt")).unwrap(), expected);
        assert_eq!(std::fs::read(temp.path().join("whole")).unwrap(), parts[2]);
    }
}

#[test]
fn lengths_that_do_not_fit_are_damage() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let Extent::Chunk { id, .. } = snapshot.chunk(b"four") else { unreachable!("a chunk was put") };
    let wrong = |length| EntryKind::File(Content::Extents(vec![Extent::Chunk { id, length }]));
    snapshot.add("/wrong", wrong(5));
    snapshot.add("/short", wrong(4)).size = 10;
    snapshot.add("/long", wrong(4)).size = 3;
    snapshot.add("/surplus", wrong(4)).size = 0;
    let summary = snapshot.restore_unchecked(temp.path(), &Listener::default());
    assert_eq!(summary.damaged, 4);
    for (at, content) in [("wrong", &[0; 5][..]), ("short", b"four\0\0\0\0\0\0"), ("long", &[0; 3]), ("surplus", b"")] {
        assert_eq!(std::fs::read(temp.path().join(at)).unwrap(), content, "{at}");
    }
}

#[test]
fn an_attribute_value_that_is_lost_is_named() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let value = XattrValue::Chunks(vec![(ChunkId([7; 32]), 2000)]);
    snapshot.file("/f", &[b"x"]).xattrs = vec![(b"user.long".to_vec(), value)];
    let listener = Listener::default();
    assert_eq!(snapshot.restore("/", temp.path(), &listener).damaged, 1);
    assert!(listener.problems()[0].starts_with("/f: extended attributes: user.long: "));
    assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), b"x");
}

#[test]
fn entries_whose_directories_are_lost_still_come_back() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    snapshot.file("/a/b/c/file", &[b"orphan"]);
    snapshot.file("/a/d/file", &[b"another"]);
    snapshot.file("/z", &[b"last"]);
    let gap = Gap { path: path("/a"), reason: "page 123 is damaged".to_owned(), damage: true, archived: false };
    let entries = std::iter::once(Err(gap)).chain(snapshot.below(&path("/")).into_iter().map(Ok));
    let listener = Listener::default();
    let top = Top { path: path("/"), entry: None };
    let report = Report::new(&listener, 0, 0);
    let summary = run_once(top, entries, snapshot.memory.clone(), temp.path(), &Options::default(), report);
    assert_eq!((summary.damaged, summary.problems, summary.files), (1, 0, 3));
    assert_eq!(listener.problems(), ["/a: catalog: page 123 is damaged"]);
    assert_eq!(std::fs::read(temp.path().join("a/b/c/file")).unwrap(), b"orphan");
    assert_eq!(std::fs::read(temp.path().join("a/d/file")).unwrap(), b"another");
}

#[test]
fn what_is_below_something_that_failed_is_counted_and_the_rest_restored() {
    let temp = scratch();
    std::fs::create_dir_all(temp.path().join("a/full")).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.add("/a", EntryKind::Fifo);
    snapshot.directory("/z");
    snapshot.file("/z/file", &[b"x"]);
    let listener = Listener::default();
    let summary = snapshot.restore("/", temp.path(), &listener);
    assert_eq!((summary.files, summary.skipped, summary.problems), (1, 1, 1));
}

#[test]
fn catalog_pages_and_extent_pages_that_are_lost_cost_only_what_they_hold() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    for index in 0..3000 {
        snapshot.directory(&format!("/{index:04}"));
        snapshot.file(&format!("/{index:04}/file"), &[format!("{index}").as_bytes()]);
    }
    let tree = snapshot.tree();
    let root = tree.root();
    let pages = snapshot.memory.of(ChunkKind::Skeleton);
    let (leaf, _) = pages.into_iter().filter(|(id, _)| *id != root).min_by_key(|(id, length)| (*length, *id)).unwrap();
    snapshot.memory.lose(ChunkKind::Skeleton, &leaf);
    let listener = Listener::default();
    let options = Options::default();
    let summary = restore(&tree, snapshot.memory.clone(), &path("/"), temp.path(), &options, &listener).unwrap();
    assert_eq!((summary.damaged, summary.problems), (1, 0), "{:?}", listener.problems());
    assert!(summary.files + summary.directories > 4000, "{summary:?}");
    let made = gather(temp.path()).entries.iter().filter(|(_, entry)| entry.kind != EntryKind::Directory).count();
    assert_eq!(made as u64, summary.files);

    snapshot.memory.lose(ChunkKind::Skeleton, &root);
    let tree = Tree::open(snapshot.memory.clone(), root);
    let error = restore(&tree, snapshot.memory.clone(), &path("/"), temp.path(), &options, &listener).unwrap_err();
    assert!(matches!(error, Error::Catalog(_)));
}

#[test]
fn a_lost_page_of_extents_leaves_a_hole_of_its_length() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let keys = keys();
    let mut writer = ExtentWriter::new(&*snapshot.memory, &keys);
    let mut expected = Vec::new();
    for index in 0..20_000u32 {
        let bytes = index.to_be_bytes();
        writer.push(snapshot.chunk(&bytes)).unwrap();
        expected.extend(bytes);
    }
    let content = writer.finish().unwrap();
    let before = snapshot.memory.of(ChunkKind::Skeleton);
    let Content::Tree { root, .. } = content else { panic!("few extents make a tree") };
    snapshot.add("/long", EntryKind::File(content)).size = 80_000;
    snapshot.check(temp.path());

    let (page, _) = before.into_iter().filter(|(id, _)| *id != root).min().unwrap();
    snapshot.memory.lose(ChunkKind::Skeleton, &page);
    std::fs::remove_file(temp.path().join("long")).unwrap();
    let listener = Listener::default();
    assert_eq!(snapshot.restore("/", temp.path(), &listener).damaged, 1);
    let found = std::fs::read(temp.path().join("long")).unwrap();
    assert_eq!(found.len(), expected.len());
    let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert!((1..60_000).contains(&differing), "{differing} {:?}", listener.problems());
    assert!(found.iter().zip(&expected).all(|(a, b)| a == b || *a == 0));
}

/// A store that cannot be reached.
struct Unreachable;

impl ChunkSource for Unreachable {
    fn get(&self, _: ChunkKind, _: &ChunkId) -> Result<crate::repo::chunks::Bytes, crate::repo::chunks::Error> {
        Err(crate::repo::chunks::Error::Store(Arc::new(std::io::Error::other("timed out"))))
    }
}

#[test]
fn a_store_that_fails_is_a_problem_and_not_damage() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    snapshot.file("/f", &[b"x"]);
    let options = Options::default();
    let listener = Listener::default();
    let summary =
        restore(&snapshot.tree(), Arc::new(Unreachable), &path("/"), temp.path(), &options, &listener).unwrap();
    assert_eq!((summary.damaged, summary.problems), (0, 1));
    assert!(listener.problems()[0].ends_with("timed out"), "{:?}", listener.problems());
}

/// Asks to stop after so many restored entries.
struct Impatient(std::sync::atomic::AtomicI64);

impl Sink for Impatient {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Restored { .. }) {
            self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn stopping(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) <= 0
    }
}

#[test]
fn stopping_ends_soon_and_going_on_completes() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    for index in 0..2000 {
        snapshot.file(&format!("/{index:04}"), &[format!("{index}").as_bytes()]);
    }
    let impatient = Impatient(50.into());
    let result = snapshot.restore_with("/", temp.path(), &Options::default(), &impatient);
    assert!(matches!(result, Err(Error::Stopped)));
    assert!(std::fs::read_dir(temp.path()).unwrap().count() < 200);
    snapshot.check(temp.path());
}
