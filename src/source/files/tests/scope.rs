//! What is walked and what is not: roots, excludes, mount points, places that must not be entered.

use super::super::exclude::ExcludeSet;
use super::super::rules::Rules;
use super::super::stat::Stat;
use super::*;
use rustix::fs::CWD;
use rustix::mount::{MountFlags, UnmountFlags};

fn identity(path: &Path) -> (u64, u64) {
    Stat::at(CWD, path.as_os_str().as_bytes(), false).unwrap().identity()
}

#[test]
fn above_the_roots_only_the_way_is_listed() {
    let temp = temp();
    plant(temp.path(), &["way/one/x", "way/other", "way/two", "not/this", "way/one/sub/y"]);
    let way = temp.path().join("way");
    std::os::unix::fs::symlink("one", way.join("link")).unwrap();
    let roots = [way.join("one/sub"), way.join("one"), way.join("two"), way.join("link")];
    let walked = Walked::new(options(&roots));
    assert!(walked.problems.is_empty(), "{:?}", walked.complaints());
    let expected = ["way", "way/link", "way/one", "way/two", "way/one/sub", "way/one/x", "way/one/sub/y"];
    assert_eq!(walked.below(temp.path()), expected);
    assert_eq!(walked.directories[0].path(), &EntryPath::default());
    assert_eq!(walked.directories[0].children.len(), 1);
    assert_eq!(kind_of(&walked, &way.join("link")), Some(Kind::Symlink));
    assert_eq!(kind_of(&walked, &way.join("two")), Some(Kind::File));
    let ancestor = walked.directories.iter().flat_map(|dir| &dir.children).find(|child| child.name == name(b"way"));
    assert_eq!(ancestor.unwrap().stat, Stat::at(CWD, way.as_os_str().as_bytes(), false).unwrap());
}

#[test]
fn a_symlink_on_the_way_stands_for_its_directory() {
    let temp = temp();
    plant(temp.path(), &["real/root/x"]);
    std::os::unix::fs::symlink("real", temp.path().join("alias")).unwrap();
    let walked = Walked::new(options(&[temp.path().join("alias/root")]));
    assert_eq!(walked.below(temp.path()), ["alias", "alias/root", "alias/root/x"]);
    assert_eq!(kind_of(&walked, &temp.path().join("alias")), Some(Kind::Directory));
    let parent = walked.directories.iter().find(|dir| dir.path() == &entry_path(temp.path())).unwrap();
    let described = super::super::attributes::read_entry(&parent.handle, &parent.children[0], &Default::default());
    assert_eq!(described.unwrap().entry.kind, crate::repo::entry::EntryKind::Directory);
}

#[test]
fn roots_that_are_not_there_are_named() {
    let temp = temp();
    plant(temp.path(), &["here/x", "file"]);
    std::os::unix::fs::symlink("here", temp.path().join("link")).unwrap();
    let absent = ["gone", "gone/deeper", "file/below"].map(|path| temp.path().join(path));
    assert!(Walk::new(options(&absent)).is_err_and(|problem| problem.vanished()));
    let mut roots = absent.to_vec();
    roots.push(temp.path().join("here"));
    let walked = Walked::new(options(&roots));
    assert_eq!(walked.below(temp.path()), ["here", "here/x"]);
    assert_eq!(walked.problems.len(), 3, "{:?}", walked.complaints());
    // Below a root: found missing in its listing; a symlink inside of a root is a symlink.
    let roots = ["", "gone", "link/x"].map(|path| temp.path().join(path));
    let walked = Walked::new(options(&roots));
    assert_eq!(walked.below(temp.path()), ["file", "here", "link", "here/x"]);
    assert_eq!(walked.problems.len(), 2, "{:?}", walked.complaints());
}

#[test]
fn what_is_excluded_is_not_looked_into() {
    let temp = temp();
    plant(temp.path(), &["a/cache/x", "a/keep.o", "a/b.o", "a/sub/cache", "z/y"]);
    let excludes = ExcludeSet::new(["cache", "*.o", "!keep.o"]).unwrap();
    let walked = Walked::new(Options { rules: Rules::patterns(excludes), ..options(&[temp.path().to_owned()]) });
    assert_eq!(walked.below(temp.path()), ["a", "z", "a/keep.o", "a/sub", "z/y"]);
    assert!(walked.problems.is_empty());
    // A root that is excluded is not forgotten silently, wherever the pattern bites.
    for (pattern, roots) in [("cache", vec!["a/cache"]), ("a", vec!["a/cache", "z"]), ("cache", vec!["a", "a/cache"])] {
        let roots: Vec<_> = roots.iter().map(|path| temp.path().join(path)).collect();
        let excludes = ExcludeSet::new([pattern]).unwrap();
        let walked = Walked::new(Options { rules: Rules::patterns(excludes), ..options(&roots) });
        assert_eq!(walked.problems.len(), 1, "{pattern}");
        assert_eq!(walked.problems[0].cause, crate::source::Cause::Excluded);
    }
}

#[test]
fn the_repository_is_listed_and_stays_empty() {
    let temp = temp();
    plant(temp.path(), &["data/x", "repo/packs/y"]);
    let skip = vec![identity(&temp.path().join("repo"))];
    let walked = Walked::new(Options { skip: skip.clone(), ..options(&[temp.path().to_owned()]) });
    assert_eq!(walked.below(temp.path()), ["data", "repo", "data/x"]);
    assert!(walked.problems.is_empty());
    let walked = Walked::new(Options { skip, ..options(&[temp.path().join("repo/packs")]) });
    assert_eq!(walked.problems[0].cause, crate::source::Cause::Repository);
}

#[test]
fn a_mounted_repository_is_entered_only_when_it_is_named() {
    if !root_or_skip("mount points") {
        return;
    }
    let temp = temp();
    plant(temp.path(), &["past/", "plain/x"]);
    let mounted = Mounted::new("tmpfs", temp.path().join("past"));
    plant(&mounted.0, &["latest/etc/x", "latest/home/y"]);
    let repositories = vec![identity(&mounted.0).0];
    let below = |roots: &[&str]| {
        let roots: Vec<_> = roots.iter().map(|root| temp.path().join(root)).collect();
        let walked = Walked::new(Options { repositories: repositories.clone(), ..options(&roots) });
        assert!(walked.problems.is_empty(), "{:?}", walked.complaints());
        walked.below(temp.path())
    };
    assert_eq!(below(&[""]), ["past", "plain", "plain/x"]);
    assert_eq!(below(&["past/latest/etc"]), ["past", "past/latest", "past/latest/etc", "past/latest/etc/x"]);
    let both = below(&["", "past/latest/etc"]);
    assert!(
        both.contains(&"past/latest/etc/x".to_owned()) && !both.contains(&"past/latest/home".to_owned()),
        "{both:?}"
    );
    let roots = [temp.path().to_owned()];
    let all = Walked::new(options(&roots)).below(temp.path());
    assert!(all.contains(&"past/latest/home/y".to_owned()), "it is the list that keeps it out: {all:?}");
}

/// Something that is mounted until the end of the test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(kind: &str, path: PathBuf) -> Self {
        rustix::mount::mount(kind, &path, kind, MountFlags::empty(), None).unwrap();
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn mount_points_are_entered_only_when_they_may() {
    if !root_or_skip("mount points") {
        return;
    }
    let temp = temp();
    plant(temp.path(), &["mounted/", "proc/", "plain/x"]);
    let mounted = Mounted::new("tmpfs", temp.path().join("mounted"));
    let _proc = Mounted::new("proc", temp.path().join("proc"));
    plant(&mounted.0, &["deep/x", "y"]);
    let all = options(&[temp.path().to_owned()]);
    let walked = Walked::alone(all.clone());
    let everything = ["mounted", "plain", "proc", "mounted/deep", "mounted/y", "mounted/deep/x", "plain/x"];
    assert_eq!(walked.below(temp.path()), everything);
    let walked = Walked::alone(Options { one_file_system: true, ..all });
    assert_eq!(walked.below(temp.path()), ["mounted", "plain", "proc", "plain/x"]);
    // Asked for by name, or with something below asked for by name.
    for (root, expected) in [("mounted", vec!["deep", "y", "deep/x"]), ("mounted/deep", vec!["deep", "deep/x"])] {
        let options = options(&[temp.path().to_owned(), temp.path().join(root)]);
        let walked = Walked::alone(Options { one_file_system: true, ..options });
        assert_eq!(walked.below(&mounted.0), expected, "{root}");
        assert!(walked.problems.is_empty(), "{:?}", walked.complaints());
    }
    let walked = Walked::alone(options(&[temp.path().join("proc/self/fdinfo")]));
    assert!(walked.below(&temp.path().join("proc/self/fdinfo")).contains(&"0".to_owned()));
}

#[test]
fn a_directory_that_may_not_be_read_is_named_and_the_walk_goes_on() {
    if !root_or_skip("unreadable directories") {
        return;
    }
    let temp = temp();
    plant(temp.path(), &["closed/x", "open/y", "way/root/z"]);
    let path = temp.path().to_owned();
    let chmod =
        |path: &Path, mode| std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    for (dir, mode) in [("", 0o755), ("closed", 0o700), ("open", 0o755), ("way", 0o711), ("way/root", 0o755)] {
        chmod(&path.join(dir), mode);
    }
    let handle = std::thread::spawn(move || {
        // This thread alone.
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
        let walked = Walked::new(options(&[path.join("closed"), path.join("open"), path.join("way/root")]));
        let expected = ["closed", "open", "way", "open/y", "way/root", "way/root/z"];
        assert_eq!(walked.below(&path), expected);
        assert_eq!(walked.problems.len(), 1);
        assert_eq!(walked.problems[0].path, path.join("closed").as_os_str().as_bytes());
        let parent = walked.directories.iter().find(|dir| dir.path() == &entry_path(&path)).unwrap();
        let described = super::super::attributes::read_entry(&parent.handle, &parent.children[0], &Default::default());
        let described = described.unwrap();
        assert_eq!((described.entry.mode, described.problems.len()), (0o700, 0));
    });
    handle.join().unwrap();
}
