//! What a change costs: pages written and pages read, counted, for one changed file among very many.

use super::testing::{MemoryChunks, entry, file, keys, path};
use super::{Change, Tree, TreeWriter, diff};
use crate::repo::entry::{Entry, EntryKind};
use crate::repo::id::{ChunkId, ChunkKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries in a folder.
const FILES: u64 = 100;

/// Writes a catalog of so many folders of files, in catalog order, each file as `change` leaves it.
fn write(chunks: &MemoryChunks, folders: u64, change: impl Fn(u64, &mut Entry)) -> ChunkId {
    let folder = |number: u64| format!("/usr/share/folder-{number:06}");
    let mut writer = TreeWriter::new(chunks, keys());
    for above in ["/", "/usr", "/usr/share"] {
        writer.push_path(&path(above), &entry(EntryKind::Directory)).unwrap();
    }
    for number in 0..folders {
        writer.push_path(&path(&folder(number)), &entry(EntryKind::Directory)).unwrap();
    }
    for number in 0..folders * FILES {
        let mut entry = file(number, &[4000]);
        change(number, &mut entry);
        let name = format!("{}/some-file-name-{:03}.txt", folder(number / FILES), number % FILES);
        writer.push_path(&path(&name), &entry).unwrap();
    }
    writer.finish().unwrap().skeleton
}

/// Every page with its bytes.
fn pages(chunks: &MemoryChunks) -> BTreeMap<ChunkId, usize> {
    [ChunkKind::Skeleton, ChunkKind::Payload].into_iter().flat_map(|kind| chunks.of(kind)).collect()
}

#[test]
fn one_changed_file_costs_one_way_from_the_root() {
    // Two million entries at full scale. The bounds are the same: the way is one page longer at most.
    let folders = if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 20_000 } else { 2_000 };
    let chunks = Arc::new(MemoryChunks::default());
    let before = write(&chunks, folders, |_, _| ());
    let old = pages(&chunks);
    let changed = folders * FILES / 3;
    let after = write(&chunks, folders, |number, entry| {
        if number == changed {
            *entry = file(u64::MAX, &[4000, 17]);
        }
    });
    let added: Vec<usize> =
        pages(&chunks).into_iter().filter(|(id, _)| !old.contains_key(id)).map(|(_, length)| length).collect();
    // Two chunks a page: a leaf, and the pages above it.
    assert!(added.len() <= 10, "{} chunks are new of {}", added.len(), old.len());
    assert!(added.iter().sum::<usize>() < 256 << 10, "{added:?} bytes are new");

    let read = chunks.gets();
    let [before, after] = [before, after].map(|root| Tree::open(chunks.clone(), root));
    let changes: Vec<_> = diff(&before, &after).map(Result::unwrap).collect();
    assert!(matches!(&changes[..], [Change::Changed { .. }]), "{changes:?}");
    // Both sides of each page on the way.
    assert!(chunks.gets() - read <= 2 * added.len(), "{} chunks were read", chunks.gets() - read);
}
