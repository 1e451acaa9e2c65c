//! What went into a change cache comes out, and nothing else ever does.

use super::*;
use crate::repo::entry::{Content, EntryKind, Extent, LinkGroup, Timestamp, XattrValue};
use crate::repo::golden;
use crate::repo::id::ChunkId;
use proptest::prelude::*;

const BINDING: Binding = Binding { repository: RepositoryId([1; 32]), writer: WriterId([2; 16]), source: [3; 32] };
const SNAPSHOT: SnapshotId = SnapshotId([4; 32]);

fn secret() -> Secret {
    Secret::new([5; 32])
}

fn write(folder: &Path, entries: &[(Vec<u8>, CachedEntry)]) -> ChangeCache {
    let cache = ChangeCache::new(folder, secret(), BINDING);
    let mut writer = cache.write().unwrap();
    for (key, cached) in entries {
        writer.push(key, cached.device, cached.inode, &cached.entry).unwrap();
    }
    writer.finish(&SNAPSHOT).unwrap();
    cache
}

fn time() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), any::<u32>()).prop_map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds })
}

fn chunk() -> impl Strategy<Value = ChunkId> {
    any::<[u8; 32]>().prop_map(ChunkId)
}

fn kind() -> impl Strategy<Value = EntryKind> {
    let extent = prop_oneof![
        (chunk(), any::<u32>()).prop_map(|(id, length)| Extent::Chunk { id, length }),
        any::<u64>().prop_map(|length| Extent::Hole { length }),
    ];
    let device = (any::<u32>(), any::<u32>());
    prop_oneof![
        prop::collection::vec(extent, 0..4).prop_map(|extents| EntryKind::File(Content::Extents(extents))),
        (chunk(), any::<u64>()).prop_map(|(root, chunks)| EntryKind::File(Content::Tree { root, chunks })),
        Just(EntryKind::Directory),
        any::<Vec<u8>>().prop_map(EntryKind::Symlink),
        Just(EntryKind::Fifo),
        Just(EntryKind::Socket),
        device.prop_map(|(major, minor)| EntryKind::CharacterDevice { major, minor }),
        device.prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

fn cached() -> impl Strategy<Value = CachedEntry> {
    let value = prop_oneof![
        any::<Vec<u8>>().prop_map(XattrValue::Inline),
        prop::collection::vec((chunk(), any::<u32>()), 0..3).prop_map(XattrValue::Chunks),
    ];
    let links = any::<(u64, u64, u32)>().prop_map(|(device, inode, links)| LinkGroup { device, inode, links });
    let owner = (0..3_u32, any::<u32>(), "[a-c]{0,2}", "[a-c]{0,2}");
    let rest = (prop::option::of(time()), any::<[u32; 2]>(), any::<[u64; 3]>());
    let xattrs = prop::collection::vec((any::<Vec<u8>>(), value), 0..3);
    (kind(), owner, time(), time(), rest, xattrs, prop::option::of(links)).prop_map(
        |(kind, (uid, gid, user, group), modified, changed, (accessed, [mode, flags], numbers), xattrs, links)| {
            let [device, inode, size] = numbers;
            let (user, group) = (user.into_bytes(), group.into_bytes());
            let entry =
                Entry { kind, mode, uid, gid, user, group, modified, changed, accessed, size, flags, xattrs, links };
            CachedEntry { device, inode, entry }
        },
    )
}

fn simple(number: u64) -> CachedEntry {
    let time = Timestamp { seconds: 1_700_000_000 + number as i64, nanoseconds: 5 };
    let id = ChunkId(hash::blake3(&number.to_le_bytes()));
    let entry = Entry {
        kind: EntryKind::File(Content::Extents(vec![Extent::Chunk { id, length: 7 }])),
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: b"ana".to_vec(),
        group: b"ana".to_vec(),
        modified: time,
        changed: time,
        accessed: None,
        size: 7,
        flags: 0,
        xattrs: Vec::new(),
        links: None,
    };
    CachedEntry { device: 64_769, inode: 100 + number, entry }
}

fn many(count: u64) -> Vec<(Vec<u8>, CachedEntry)> {
    (0..count).map(|n| (format!("dir{:03}\0\0file{:07}", n / 1000, n).into_bytes(), simple(n))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_pushed_is_found_again(
        entries in prop::collection::btree_map(any::<Vec<u8>>(), cached(), 0..20),
        asked in prop::collection::btree_set(any::<Vec<u8>>(), 0..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let cache = write(folder.path(), &entries.clone().into_iter().collect::<Vec<_>>());
        let mut reader = cache.read().unwrap().unwrap();
        let keys: std::collections::BTreeSet<_> = entries.keys().chain(&asked).collect();
        for key in keys {
            prop_assert_eq!(reader.advance_to(key), entries.get(key).cloned());
        }
        prop_assert!(reader.take_damage().is_none());
        let mut skipping = cache.read().unwrap().unwrap();
        if let Some((key, cached)) = entries.last_key_value() {
            prop_assert_eq!(skipping.advance_to(key), Some(cached.clone()));
        }
    }

    #[test]
    fn any_bytes_in_a_page_give_an_error_at_worst(bytes in any::<Vec<u8>>()) {
        let mut page = page::Page::default();
        let mut key = Vec::new();
        if page.start(&mut bytes.clone()).is_ok() {
            while !page.is_done() && page.next_key(&mut key).is_ok() && page.next_entry().is_ok() {}
        }
        let _ = Header::decode(&bytes);
    }
}

#[test]
fn damage_anywhere_ends_the_cache_and_never_lies() {
    let folder = tempfile::tempdir().unwrap();
    let entries = many(3000);
    let cache = write(folder.path(), &entries);
    let sound = std::fs::read(&cache.path).unwrap();
    assert!(Header::decode(&[0; 56]).is_ok());
    for position in (0..HEADER_LEN).chain((HEADER_LEN..sound.len()).step_by(997)).chain([sound.len() - 1]) {
        let mut broken = sound.clone();
        broken[position] ^= 0x10;
        std::fs::write(&cache.path, &broken).unwrap();
        let Ok(reader) = cache.read() else { continue };
        let mut reader = reader.unwrap();
        for (key, cached) in &entries {
            assert!(reader.advance_to(key).is_none_or(|found| found == *cached));
        }
        assert!(reader.take_damage().is_some(), "byte {position}");
        assert!(reader.advance_to(b"zzz").is_none());
    }
    for length in [0, 1, HEADER_LEN - 1, HEADER_LEN, sound.len() / 2, sound.len() - 1] {
        std::fs::write(&cache.path, &sound[..length]).unwrap();
        assert!(cache.read().is_err(), "cut to {length}");
    }
    std::fs::write(&cache.path, [sound.as_slice(), b"x"].concat()).unwrap();
    assert!(cache.read().is_err());
}

#[test]
fn swapped_pages_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let entries = many(3000);
    let cache = write(folder.path(), &entries);
    let sound = std::fs::read(&cache.path).unwrap();
    let page_at = |at: usize| at..at + 4 + u32::from_le_bytes(*sound[at..].first_chunk().unwrap()) as usize;
    let first = page_at(HEADER_LEN);
    let second = page_at(first.end);
    let swapped = [&sound[..HEADER_LEN], &sound[second.clone()], &sound[first], &sound[second.end..]].concat();
    std::fs::write(&cache.path, swapped).unwrap();
    let mut reader = cache.read().unwrap().unwrap();
    assert!(reader.advance_to(&entries[0].0).is_none());
    assert!(reader.take_damage().is_some());
}

#[test]
fn a_cache_opens_for_its_owner_and_purpose_only() {
    let folder = tempfile::tempdir().unwrap();
    let cache = write(folder.path(), &many(3));
    assert_eq!(cache.read().unwrap().unwrap().snapshot(), SNAPSHOT);
    assert_eq!(cache.read().unwrap().unwrap().entries(), 3);
    let others = [
        (Secret::new([6; 32]), BINDING),
        (secret(), Binding { repository: RepositoryId([9; 32]), ..BINDING }),
        (secret(), Binding { writer: WriterId([9; 16]), ..BINDING }),
        (secret(), Binding { source: [9; 32], ..BINDING }),
    ];
    for (secret, binding) in others {
        let other =
            ChangeCache { path: cache.path.clone(), ..ChangeCache::new(folder.path(), secret.clone(), binding) };
        assert!(other.read().is_err());
    }
}

#[test]
fn an_unfinished_cache_leaves_the_old_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ChangeCache::new(folder.path(), secret(), BINDING);
    assert!(cache.read().unwrap().is_none());
    write(folder.path(), &many(3));
    let mut writer = cache.write().unwrap();
    writer.push(b"b", 1, 1, &simple(1).entry).unwrap();
    assert!(writer.push(b"b", 1, 1, &simple(1).entry).is_err());
    drop(writer);
    assert_eq!(cache.read().unwrap().unwrap().entries(), 3);
    assert_eq!(std::fs::read_dir(cache.path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_partial_cache_has_what_was_pushed_by_then_and_the_writing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ChangeCache::new(folder.path(), secret(), BINDING);
    let entries = many(3000);
    let mut writer = cache.write().unwrap();
    let partial = SnapshotId([8; 32]);
    for (at, (key, cached)) in entries.iter().enumerate() {
        if at == 1000 || at == 2000 {
            writer.describe_partial(&cache.partial(), &partial).unwrap();
        }
        writer.push(key, cached.device, cached.inode, &cached.entry).unwrap();
    }
    writer.finish(&SNAPSHOT).unwrap();
    for (place, snapshot, count) in [(cache.partial(), partial, 2000), (cache, SNAPSHOT, 3000)] {
        let mut reader = place.read().unwrap().unwrap();
        assert_eq!((reader.snapshot(), reader.entries()), (snapshot, count as u64));
        for (at, (key, cached)) in entries.iter().enumerate() {
            assert_eq!(reader.advance_to(key), (at < count).then(|| cached.clone()), "{at}");
        }
        assert!(reader.take_damage().is_none());
        place.remove().unwrap();
        place.remove().unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path().join(BINDING.repository.to_string())).unwrap().count(), 0);
}

#[test]
fn bytes_are_those_of_the_format() {
    let mut page = page::PageBuilder::default();
    let mut link = simple(2);
    link.entry.kind = EntryKind::Symlink(b"b".to_vec());
    page.push(b"a\0\0b", 64_769, 101, &simple(1).entry);
    page.push(b"a\0\0c", 64_769, 102, &link.entry);
    assert_eq!(page.take(), golden::bytes("change-cache-page"));

    let folder = tempfile::tempdir().unwrap();
    let cache =
        ChangeCache::new(folder.path(), hash::derive_key(crate::crypto::context::CHANGE_CACHE, &secret()), BINDING);
    crate::state::make_own(cache.path.parent().unwrap()).unwrap();
    std::fs::write(&cache.path, golden::bytes("change-cache-file")).unwrap();
    let mut reader = cache.read().unwrap().unwrap();
    assert_eq!(reader.snapshot(), SNAPSHOT);
    assert_eq!(reader.advance_to(b"a\0\0b"), Some(simple(1)));
    assert_eq!(reader.advance_to(b"a\0\0c"), Some(link));
    assert!(reader.advance_to(b"a\0\0d").is_none() && reader.take_damage().is_none());
}
