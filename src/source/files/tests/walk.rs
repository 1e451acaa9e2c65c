//! The order of the walk, names of all kinds, deep trees, trees that change under the walk.

use super::*;
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;

/// The catalog's order: parent path with 0x00 for `/`, two more, the name.
fn catalog_key(path: &Path) -> Vec<u8> {
    let parent = path.parent().unwrap().as_os_str().as_bytes();
    let parent = parent.strip_prefix(b"/").filter(|rest| rest.is_empty()).unwrap_or(parent);
    let mut key: Vec<u8> = parent.iter().map(|&b| if b == b'/' { 0 } else { b }).collect();
    key.extend([0, 0]);
    key.extend(path.file_name().unwrap().as_bytes());
    key
}

fn plant_names(root: &Path, paths: &BTreeSet<Vec<Vec<u8>>>) {
    for names in paths {
        let dir: PathBuf = names[..names.len() - 1].iter().map(|name| os(name)).collect();
        // A file of an earlier path may be in the way; then there is one path less.
        if std::fs::create_dir_all(root.join(&dir)).is_ok() {
            let _ = std::fs::write(root.join(dir).join(os(&names[names.len() - 1])), b"");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn entries_come_in_catalog_order_and_none_is_left_out(
        paths in prop::collection::btree_set(
            prop::collection::vec(prop::sample::select(vec![&b"a"[..], b"a.b", b"a\x01", b"ab", b"\xff\xfe", b"-", b" ", b"\n"]).prop_map(<[u8]>::to_vec), 1..5),
            0..40,
        )
    ) {
        let temp = temp();
        plant_names(temp.path(), &paths);
        let walked = Walked::new(options(&[temp.path().to_owned()]));
        let keys: Vec<_> = walked.paths().iter().map(|path| catalog_key(path)).collect();
        prop_assert!(keys.is_sorted_by(|a, b| a < b));
        let output = std::process::Command::new("find").arg(temp.path()).args(["-mindepth", "1", "-print0"]).output().unwrap();
        let expected: BTreeSet<PathBuf> = output.stdout.split(|&b| b == 0).filter(|p| !p.is_empty()).map(|p| os(p).into()).collect();
        let found = walked.paths().into_iter().filter(|path| path.starts_with(temp.path()) && path != temp.path()).collect();
        prop_assert_eq!(expected, found);
        prop_assert!(walked.problems.is_empty());
    }
}

#[test]
fn every_kind_and_every_name_is_listed() {
    let temp = temp();
    let longest = [b'n'; 255];
    for odd in [&b"\n"[..], b"\xff\xfe", b"...", b" ", b"-rf", b"\x1b[31m", &longest] {
        std::fs::write(temp.path().join(os(odd)), b"x").unwrap();
    }
    std::os::unix::fs::symlink("loop-b", temp.path().join("loop-a")).unwrap();
    std::os::unix::fs::symlink("loop-a", temp.path().join("loop-b")).unwrap();
    std::os::unix::fs::symlink(".", temp.path().join("self")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
    rustix::fs::mkfifoat(CWD, temp.path().join("fifo"), Mode::RUSR).unwrap();
    let walked = Walked::new(options(&[temp.path().to_owned()]));
    assert!(walked.problems.is_empty(), "{:?}", walked.complaints());
    let listed = walked.directories.last().unwrap();
    assert_eq!(listed.children.len(), 12);
    for (wanted, kind) in
        [("loop-a", Kind::Symlink), ("self", Kind::Symlink), ("socket", Kind::Socket), ("fifo", Kind::Fifo)]
    {
        assert_eq!(kind_of(&walked, &temp.path().join(wanted)), Some(kind), "{wanted}");
    }
}

/// Makes `depth` directories one in the other, each beside two files and an empty directory that comes after it.
fn plant_deep(root: &Path, depth: usize, long: &[u8]) {
    let open = |dir: &rustix::fd::OwnedFd| {
        rustix::fs::openat(dir, long, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    };
    let mut dir = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&dir, long, Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&dir, "z", Mode::RWXU).unwrap();
        rustix::fs::openat(&dir, "f", OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR).unwrap();
        dir = open(&dir);
    }
}

fn descriptors_below(root: &Path) -> usize {
    let targets =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    // The kernel cannot name the deeper ones, and says so.
    targets.filter(|target| target.starts_with(root) || target.as_os_str().len() > 4000).count()
}

#[test]
fn a_tree_deeper_than_a_path_may_be_is_walked_with_few_descriptors() {
    let temp = temp();
    let long = [b'd'; 40];
    plant_deep(temp.path(), 300, &long);
    // Those listed before their turn keep as many open again, and what they lie in.
    for (ahead, limits) in [(0, 60..=64 + 3), (2, 60..=3 * 64 + 8)] {
        let most = most_descriptors(temp.path(), ahead);
        assert!(limits.contains(&most), "{most} descriptors");
    }
    remove_deep(temp.path(), &long);
}

fn most_descriptors(root: &Path, ahead: usize) -> usize {
    let mut walk = Walk::new(Options { ahead, ..options(&[root.to_owned()]) }).unwrap();
    let (mut entries, mut directories, mut most) = (0, 0, 0);
    while let Some(found) = walk.next_directory() {
        let directory = found.unwrap();
        assert!(directory.problems.is_empty());
        if directory.path().0.len() >= entry_path(root).0.len() {
            entries += directory.children.len();
            directories += 1;
        }
        if directories % 50 == 0 {
            most = most.max(descriptors_below(root));
        }
    }
    assert_eq!((entries, directories), (900, 601));
    most
}

#[test]
fn a_walk_that_ends_early_leaves_no_thread_and_no_descriptor() {
    let temp = temp();
    let names: Vec<String> = (0..200).map(|number| format!("d{number:03}/x")).collect();
    plant(temp.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    for stop in [1, 30, 150] {
        let mut walk = Walk::new(Options { ahead: 2, ..options(&[temp.path().to_owned()]) }).unwrap();
        while let Some(found) = walk.next_directory() {
            if found.unwrap().path() == &entry_path(&temp.path().join(format!("d{stop:03}"))) {
                break;
            }
        }
        drop(walk);
        assert_eq!(descriptors_below(temp.path()), 0);
    }
}

/// The standard library's removal keeps a descriptor per level.
fn remove_deep(root: &Path, long: &[u8]) {
    let open = |path: &Path| rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let top = open(root);
    for round in 0.. {
        let here = format!("moved{round}");
        match rustix::fs::renameat(&top, if round == 0 { long } else { b"next" }, &top, &here) {
            Err(Errno::NOENT) => break,
            other => other.unwrap(),
        }
        let dir = open(&root.join(&here));
        match rustix::fs::renameat(&dir, long, &top, "next") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => panic!("{error}"),
        }
        for (inside, flags) in [("f", AtFlags::empty()), ("z", AtFlags::REMOVEDIR)] {
            let _ = rustix::fs::unlinkat(&dir, inside, flags);
        }
        rustix::fs::unlinkat(&top, &here, AtFlags::REMOVEDIR).unwrap();
    }
}

#[test]
fn what_vanishes_or_moves_under_the_walk_is_skipped_or_named() {
    let temp = temp();
    plant(temp.path(), &["a/b/x", "c/x", "d/x"]);
    let mut walk = Walk::new(options(&[temp.path().to_owned()])).unwrap();
    while walk.next_directory().unwrap().unwrap().path() != &entry_path(temp.path()) {}
    // Listed with their parent, gone or replaced when their turn comes.
    std::fs::remove_dir_all(temp.path().join("a")).unwrap();
    std::fs::remove_dir_all(temp.path().join("c")).unwrap();
    std::os::unix::fs::symlink("/etc", temp.path().join("c")).unwrap();
    let problem = walk.next_directory().unwrap().unwrap_err();
    assert_eq!(problem.path, temp.path().join("c").as_os_str().as_bytes());
    assert!(
        walk.next_directory().unwrap().is_ok_and(|directory| directory.path() == &entry_path(&temp.path().join("d")))
    );
    assert!(walk.next_directory().is_none());
}

#[test]
fn coming_back_to_a_directory_that_was_replaced_is_refused() {
    let temp = temp();
    let long = [b'd'; 10];
    plant_deep(temp.path(), 120, &long);
    let mut walk = Walk::new(options(&[temp.path().to_owned()])).unwrap();
    let top = entry_path(temp.path()).0.len();
    // Down to the bottom, where the upper directories are closed again.
    while walk.next_directory().unwrap().unwrap().path().0.len() < top + 120 {}
    std::fs::rename(temp.path().join(os(&long)), temp.path().join("moved")).unwrap();
    std::fs::create_dir(temp.path().join(os(&long))).unwrap();
    let mut problems = Vec::new();
    while let Some(found) = walk.next_directory() {
        problems.extend(found.err());
    }
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(
            matches!(problem.cause, crate::source::Cause::Replaced | crate::source::Cause::System(Errno::NOENT)),
            "{problem}"
        );
    }
    std::fs::remove_dir(temp.path().join(os(&long))).unwrap();
    std::fs::rename(temp.path().join("moved"), temp.path().join(os(&long))).unwrap();
    remove_deep(temp.path(), &long);
}
