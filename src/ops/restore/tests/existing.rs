//! Targets that hold something already.

use super::*;
use std::os::unix::fs::MetadataExt;

fn blocks(path: &Path) -> u64 {
    path.metadata().unwrap().blocks() * 512
}

#[test]
fn only_what_differs_is_written_and_the_inode_stays() {
    let temp = scratch();
    let at = temp.path().join("file");
    let (a, b, c) = (noise(1, 100_000), noise(2, 70_001), noise(3, 4096));
    let mut snapshot = Snapshot::new();
    snapshot.file("/file", &[&a, &b, &c]);
    assert_eq!(snapshot.check(temp.path()).unchanged, 0);
    let inode = at.metadata().unwrap().ino();
    assert_eq!(snapshot.check(temp.path()).unchanged, 1);

    let whole = [a, b, c].concat();
    let mut damaged = whole.clone();
    damaged[120_000] ^= 1;
    for content in [damaged.clone(), whole[..50_000].to_vec(), [&whole[..], b"tail"].concat(), Vec::new()] {
        std::fs::write(&at, content).unwrap();
        assert_eq!(snapshot.check(temp.path()).unchanged, 0);
        assert_eq!(at.metadata().unwrap().ino(), inode);
    }
}

#[test]
fn holes_stay_holes_and_zeros_stay_zeros() {
    let temp = scratch();
    let at = temp.path().join("sparse");
    let mut snapshot = Snapshot::new();
    let data = snapshot.chunk(&noise(1, 65536));
    let zeros = snapshot.chunk(&[0; 65536]);
    let hole = |length| Extent::Hole { length };
    let extents = vec![hole(1 << 20), data, zeros, hole(4 << 20), data, hole(1 << 20)];
    snapshot.add("/sparse", EntryKind::File(Content::Extents(extents)));
    snapshot.add("/only a hole", EntryKind::File(Content::Extents(vec![hole(1 << 26)])));
    snapshot.check(temp.path());
    assert!((3 * 65536..3 * 65536 + 32768).contains(&blocks(&at)), "{}", blocks(&at));
    assert_eq!(snapshot.check(temp.path()).unchanged, 2);

    // Written out in full it shrinks again; as one hole it gets its zeros back.
    std::fs::write(&at, vec![0; at.metadata().unwrap().len() as usize]).unwrap();
    snapshot.check(temp.path());
    let file = std::fs::File::create(&at).unwrap();
    file.set_len(8 << 20).unwrap();
    snapshot.check(temp.path());
}

#[test]
fn what_is_of_another_kind_is_replaced() {
    if !root() {
        return;
    }
    let temp = scratch();
    let kinds: [fn(&mut Snapshot, &str); 6] = [
        |s, at| {
            s.file(at, &[b"x"]);
        },
        |s, at| {
            s.directory(at);
        },
        |s, at| s.add(at, EntryKind::Symlink(b"x".to_vec())).mode = 0o777,
        |s, at| {
            s.add(at, EntryKind::Fifo);
        },
        |s, at| {
            s.add(at, EntryKind::CharacterDevice { major: 1, minor: 3 });
        },
        |s, at| {
            s.add(at, EntryKind::CharacterDevice { major: 1, minor: 5 });
        },
    ];
    for turn in 0..kinds.len() {
        let mut snapshot = Snapshot::new();
        for (index, _) in kinds.iter().enumerate() {
            kinds[(index + turn) % kinds.len()](&mut snapshot, &format!("/{index}"));
        }
        snapshot.check(temp.path());
    }
}

#[test]
fn a_full_directory_is_not_deleted_for_a_file() {
    let temp = scratch();
    std::fs::create_dir_all(temp.path().join("thing/of value")).unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.file("/thing", &[b"x"]);
    snapshot.file("/zebra", &[b"x"]);
    let listener = Listener::default();
    let summary = snapshot.restore("/", temp.path(), &listener);
    assert_eq!((summary.files, summary.skipped, summary.problems), (1, 1, 1));
    assert!(
        listener.problems()[0].starts_with("/thing: create: a directory that is not empty"),
        "{:?}",
        listener.problems()
    );
    assert!(temp.path().join("thing/of value").is_dir());
}

#[test]
fn foreign_files_stay() {
    let temp = scratch();
    std::fs::create_dir(temp.path().join("d")).unwrap();
    std::fs::write(temp.path().join("d/mine"), "kept").unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.directory("/d");
    snapshot.file("/d/theirs", &[b"x"]);
    snapshot.restore("/", temp.path(), &Listener::default());
    assert_eq!(std::fs::read(temp.path().join("d/mine")).unwrap(), b"kept");
}

#[test]
fn a_running_program_is_replaced() {
    let temp = scratch();
    let at = temp.path().join("sleep");
    std::fs::copy("/bin/sleep", &at).unwrap();
    let mut child = std::process::Command::new(&at).arg("60").spawn().unwrap();
    let mut snapshot = Snapshot::new();
    snapshot.file("/sleep", &[b"a newer version"]).mode = 0o755;
    snapshot.check(temp.path());
    child.kill().unwrap();
    child.wait().unwrap();
}
