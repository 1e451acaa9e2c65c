//! Trees of unusual shape, and random ones.

use super::*;
use proptest::prelude::*;

#[test]
fn a_tree_deeper_than_a_path_may_be() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let mut at = EntryPath::default();
    for level in 0..600 {
        at = at.join(name(&format!("{level:03}{}", "x".repeat(20))));
        let mut directory = entry(EntryKind::Directory);
        directory.modified.seconds = level;
        snapshot.entries.push((at.clone(), directory));
    }
    let file = entry(EntryKind::File(Content::Extents(vec![snapshot.chunk(b"at the bottom")])));
    snapshot.entries.push((at.join(name("file")), file));
    snapshot.check(temp.path());
    assert_eq!(snapshot.check(temp.path()).unchanged, 1);
}

#[test]
fn names_of_any_bytes_and_wide_directories() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    for (index, bytes) in
        [&b"\n"[..], b"\xff\xfe", b"-rf", b" ", b"\x1b[31m", b"...", &[b'n'; 255]].into_iter().enumerate()
    {
        let at = EntryPath(vec![EntryName::new(bytes).unwrap()]);
        snapshot.entries.push((at.clone(), entry(EntryKind::Directory)));
        let file = entry(EntryKind::File(Content::Extents(vec![snapshot.chunk(&[index as u8])])));
        snapshot.entries.push((at.join(EntryName::new(bytes).unwrap()), file));
    }
    for index in 0..500 {
        snapshot.directory(&format!("/wide-{index}"));
        snapshot.file(&format!("/file-{index}"), &[b"x"]);
    }
    snapshot.check(temp.path());
}

#[test]
fn large_files_are_shared_among_threads() {
    let temp = scratch();
    let mut snapshot = Snapshot::new();
    let parts: Vec<_> = (0..40).map(|seed| noise(seed, 1 << 20)).collect();
    let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
    snapshot.directory("/d").mode = 0o500;
    snapshot.file("/d/large", &parts).mode = 0o440;
    for at in ["/one", "/two"] {
        snapshot.file(at, &parts[3..30]).links = group(1, 2);
    }
    snapshot.check(temp.path());
    let again = snapshot.check(temp.path());
    assert_eq!((again.files, again.bytes), (3, (40 + 27 + 27) << 20));
}

/// What a random tree is made of, before paths and link groups are given.
#[derive(Debug, Clone)]
enum Shape {
    Directory(Vec<Shape>),
    File { pieces: Vec<(u8, u32)>, links: u32 },
    Other(u8),
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let piece = (0u8..6, prop_oneof![1u32..100, 1000u32..10_000, Just(65_536u32)]);
    let file = (prop::collection::vec(piece, 0..6), prop_oneof![4 => Just(1u32), 1 => 2u32..4]);
    let leaf = prop_oneof![
        4 => file.prop_map(|(pieces, links)| Shape::File { pieces, links }),
        1 => (0u8..4).prop_map(Shape::Other),
    ];
    let tree = leaf.prop_recursive(4, 40, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Shape::Directory));
    prop::collection::vec(tree, 0..8)
}

fn build(snapshot: &mut Snapshot, parent: &str, shapes: &[Shape], random: &mut impl FnMut() -> u32) {
    for (index, shape) in shapes.iter().enumerate() {
        let at = format!("{parent}/{}{index}", char::from(b'a' + (random() % 26) as u8));
        let mode = random() & 0o7777;
        let modified = Timestamp { seconds: i64::from(random()) - (1 << 31), nanoseconds: random() % 1_000_000_000 };
        let owner = random() % 3;
        let dress = |entry: &mut Entry| {
            (entry.mode, entry.modified) = (mode, modified);
            if rustix::process::geteuid().is_root() {
                (entry.uid, entry.gid) = (owner, owner * 7);
            }
        };
        match shape {
            Shape::Directory(inner) => {
                dress(snapshot.directory(&at));
                build(snapshot, &at, inner, random);
            }
            Shape::File { pieces, links } => {
                // Holes of whole blocks on whole blocks: nothing else stays a hole on every file system.
                let extent = |&(seed, length): &(u8, u32)| match seed {
                    0 => Extent::Hole { length: 65_536 },
                    seed => snapshot.chunk(&noise(seed, length as usize)),
                };
                let aligned = pieces.iter().all(|piece| piece.0 == 0 || piece.1 == 65_536);
                let kept = pieces.iter().filter(|piece| aligned || piece.0 != 0);
                let extents: Vec<_> = kept.map(extent).collect();
                let group =
                    (*links > 1).then(|| group(u64::from(random()) << 32 | u64::from(random()), *links)).flatten();
                for link in 0..*links {
                    let file =
                        snapshot.add(&format!("{at}.{link}"), EntryKind::File(Content::Extents(extents.clone())));
                    dress(file);
                    file.links = group;
                }
            }
            Shape::Other(kind) => {
                let kind = match kind {
                    0 => EntryKind::Fifo,
                    1 => EntryKind::Socket,
                    _ => EntryKind::Symlink(at.clone().into_bytes()),
                };
                let symlink = matches!(kind, EntryKind::Symlink(_));
                let entry = snapshot.add(&at, kind);
                dress(entry);
                entry.mode = if symlink { 0o777 } else { entry.mode };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever was in the target, after a restore it holds what the snapshot says; a file is never left as it was by mistake.
    #[test]
    fn random_trees_come_back_over_each_other(first in shapes(), second in shapes(), seed: u64) {
        // Modes without read permission need root to be read back.
        prop_assume!(root());
        let temp = scratch();
        let mut state = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut random = || {
            let mut bytes = [0; 4];
            state.fill(&mut bytes);
            u32::from_le_bytes(bytes)
        };
        let mut snapshots = [Snapshot::new(), Snapshot::new()];
        build(&mut snapshots[0], "", &first, &mut random);
        build(&mut snapshots[1], "", &second, &mut random);
        snapshots[0].check(temp.path());
        let other = scratch();
        snapshots[1].check(other.path());
        // Again, over itself, after the other's files got mixed in where nothing stands in the way.
        let listener = Listener::default();
        snapshots[1].restore("/", temp.path(), &listener);
        snapshots[0].restore("/", temp.path(), &listener);
        let found = gather(temp.path()).plain();
        let full = listener.problems().len();
        for expected in snapshots[0].plain() {
            let same = found.iter().any(|plain| plain.path == expected.path && plain.hash == expected.hash);
            prop_assert!(same || full > 0, "{}", expected.path);
        }
    }
}
