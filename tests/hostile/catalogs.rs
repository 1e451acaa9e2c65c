//! Catalogs that no honest writer makes: rows of the matrix. Every chunk is what its id says.

use super::forger::Forger;
use super::matrix::{Act, Prune, Remedy, Verify, evil_snapshots};
use super::pages::{FILE, LONG_FILE, Page, SYMLINK, entry, entry_after, uints};
use super::scene::Scene;
use crate::world::Listener;
use boveda::ops::restore;
use boveda::repo::catalog::Tree;
use boveda::repo::entry::EntryPath;
use boveda::repo::id::{ChunkId, ChunkKind, WriterId};
use boveda::repo::names::IndexClass;
use std::sync::Arc;

const EVILS: Verify = Verify::Names(|scene| evil_snapshots(scene)[0].to_string());

pub const ACTS: [Act; 8] = [
    Act { what: "names that lead elsewhere", does: names, verify: Verify::NamesEach, prune: Prune::Goes },
    Act { what: "times before all and after all time", does: times, verify: well(), prune: Prune::Goes },
    Act { what: "a file of 2^63 bytes in a few pages", does: endless_file, verify: well(), prune: Prune::Goes },
    Act { what: "one beside a file that is nowhere", does: endless_and_lost, verify: lost(), prune: needs() },
    Act { what: "inner pages that miscount", does: inner_sums, verify: EVILS, prune: Prune::Goes },
    Act { what: "a page of the 255th level", does: deep, verify: EVILS, prune: unreadable() },
    Act { what: "keys that come to more than there is room for", does: long_keys, verify: EVILS, prune: Prune::Goes },
    Act { what: "links to nowhere", does: links, verify: well(), prune: Prune::Goes },
];

const fn well() -> Verify {
    Verify::Silent("what somebody says of their own files is theirs to say")
}

const fn lost() -> Verify {
    Verify::Names(|_| ChunkId([7; 32]).to_string())
}

const fn needs() -> Prune {
    Prune::Refuses("needs it", &[Remedy::Forget])
}

const fn unreadable() -> Prune {
    Prune::Refuses("cannot be read", &[Remedy::Forget])
}

/// Each catalog under a name of its own: none follows another.
fn own(scene: &Scene, number: u8) -> Forger<'_> {
    Forger::new(&scene.world, &scene.evil.key, WriterId([0xe0 + number; 16]))
}

/// Commits a catalog of one page with these entries.
fn leaf(scene: &Scene, number: u8, items: Vec<Vec<u8>>) {
    let forger = own(scene, number);
    let count = items.len() as u64;
    let root = Page::leaf(items).store(&forger);
    forger.commit_root(root.id, [count, 0], [root.pack]);
}

fn names(scene: &Scene) {
    let keys: [&[u8]; 7] = [b"..", b"\0\0..", b"\0\0.", b"\0\0", b"\0\0a/b", b"\0\0a\0b", b"a\0..\0b\0\0c"];
    for (number, key) in (1..).zip(keys) {
        leaf(scene, number, vec![entry(key, FILE, 0, &[0])]);
    }
    leaf(scene, 8, vec![entry(&[b"\0\0".as_slice(), &[b'n'; 256]].concat(), FILE, 0, &[0])]);
}

fn times(scene: &Scene) {
    let at = |name: &[u8], seconds| entry(&[b"\0\0", name].concat(), FILE, seconds, &[0]);
    leaf(scene, 9, vec![at(b"first", i64::MIN)]);
    leaf(scene, 10, vec![at(b"last", i64::MAX)]);
}

/// A tree of extents of which every page names the one below twice, and, if wished, a file beside it whose content is nowhere.
fn endless(scene: &Scene, lost: Option<ChunkId>) {
    let forger = own(scene, 1);
    let stored = b"again and again.".to_vec();
    let id = forger.id(ChunkKind::Data, &stored);
    let (mut bytes, mut chunks) = (stored.len() as u64, 1_u64);
    let segment = forger.segment(ChunkKind::Data, &[(id, stored)], forger.origin());
    let mut packs = vec![forger.pack(vec![segment], &forger.wrap())];
    let leaf = Page { family: 2, level: 0, children: vec![], data: vec![id], items: vec![uints(&[1, bytes])] };
    let mut below = leaf.store(&forger);
    packs.push(below.pack.clone());
    for level in 1..=58 {
        let child = |reference| uints(&[reference, bytes, bytes, chunks]);
        let items = vec![child(0), child(1)];
        let page = Page { family: 2, level, children: vec![below.id], data: vec![], items };
        below = page.store(&forger);
        packs.push(below.pack.clone());
        (bytes, chunks) = (bytes * 2, chunks * 2);
    }
    let mut files = vec![entry(b"\0\0endless", LONG_FILE, 0, &uints(&[bytes, chunks, 0]))];
    files.extend(lost.map(|_| entry_after(b"\0\0endless", b"\0\0lost", FILE, 0, &uints(&[1, 1, 1]))));
    let (entries, bytes) = (files.len() as u64, bytes + files.len() as u64 - 1);
    let data = lost.into_iter().collect();
    let root = Page { children: vec![below.id], data, ..Page::leaf(files) }.store(&forger);
    packs.push(root.pack);
    forger.commit_root(root.id, [entries, bytes], packs);
}

fn endless_file(scene: &Scene) {
    endless(scene, None);
}

fn endless_and_lost(scene: &Scene) {
    endless(scene, Some(ChunkId([7; 32])));
}

fn inner_sums(scene: &Scene) {
    let forger = own(scene, 1);
    let below = Page::leaf(vec![entry(b"\0\0a", FILE, 0, &[0])]).store(&forger);
    let child = [uints(&[0, 3]), b"\0\0a".to_vec(), uints(&[0, u64::MAX, u64::MAX])].concat();
    let root = Page { level: 1, children: vec![below.id], ..Page::leaf(vec![child]) }.store(&forger);
    forger.commit_root(root.id, [u64::MAX, u64::MAX], [below.pack, root.pack]);
}

fn deep(scene: &Scene) {
    let forger = own(scene, 1);
    let root = Page { level: 255, ..Page::empty() }.store(&forger);
    forger.commit_root(root.id, [0, 0], [root.pack]);
}

/// Each key is a little longer than the one before, and shares all of it: a few bytes that come to gigabytes.
fn long_keys(scene: &Scene) {
    let first = [b"\0\0".as_slice(), &vec![b'k'; 1 << 20]].concat();
    let mut items = vec![entry(&first, FILE, 0, &[0])];
    for more in 0..5_000 {
        let mut item = uints(&[first.len() as u64 + more, 1]);
        item.push(b'k');
        item.extend_from_slice(&entry(b"", FILE, 0, &[0])[2..]);
        items.push(item);
    }
    leaf(scene, 1, items);
}

fn links(scene: &Scene) {
    let targets: [&[u8]; 2] = [b"", b"a\0b"];
    for (number, target) in (11..).zip(targets) {
        let rest = [uints(&[target.len() as u64]), target.to_vec()].concat();
        leaf(scene, number, vec![entry(b"\0\0link", SYMLINK, 0, &rest)]);
    }
}

/// Who restores such a snapshot all the same finds nothing of it outside of the target.
#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let scene = Scene::of_writer(1, 1_000);
    names(&scene);
    links(&scene);
    times(&scene);
    let machine = scene.world.machine("victim");
    let repository = machine.open(&scene.world.store, &scene.world.admin).unwrap();
    let (mut refused, mut restored) = (0, 0);
    for id in evil_snapshots(&scene) {
        let root = repository.snapshots().iter().find(|one| one.id == id).unwrap().structure.root;
        let reader = Arc::new(machine.host.reader(&repository, &IndexClass::BOTH, 1 << 20).unwrap());
        let around = scene.world.path("around");
        let target = around.join("deep").join("target");
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let how = restore::Options { numeric_ids: true, threads: 1, ..restore::Options::default() };
        let listener = Listener::default();
        let tree = Tree::open(reader.clone(), root);
        let done = restore::restore(&tree, reader, &EntryPath::default(), &target, &how, &listener);
        let whole = done.is_ok_and(|summary| (summary.damaged, summary.skipped) == (0, 0));
        *(if whole && listener.complaints().is_empty() { &mut restored } else { &mut refused }) += 1;
        let folder = |path: &std::path::Path| std::fs::read_dir(path).unwrap().count();
        assert_eq!((folder(&around), folder(target.parent().unwrap())), (1, usize::from(target.exists())));
        std::fs::remove_dir_all(around).unwrap();
    }
    assert_eq!((refused + restored, restored > 0), (12, true));
    assert!(refused >= 8, "{refused}");
}
