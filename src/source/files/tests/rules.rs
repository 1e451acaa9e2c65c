//! Rules that look at more than names: marked folders, ignore files, sizes, the no-dump flag; and what explains them.

use super::super::exclude::ExcludeSet;
use super::super::explain::{Outside, Verdict, explain};
use super::super::reason::Reason;
use super::super::rules::{Rules, Tag};
use super::super::stat::Stat;
use super::*;
use crate::source::Cause;
use rustix::fs::{CWD, IFlags, Mode};

fn walked(temp: &TempDir, rules: Rules) -> Walked {
    Walked::new(Options { rules, ..options(&[temp.path().to_owned()]) })
}

/// What is walked below `temp`.
fn left(temp: &TempDir, rules: Rules) -> Vec<String> {
    let walked = walked(temp, rules);
    assert!(walked.problems.is_empty(), "{:?}", walked.complaints());
    walked.below(temp.path())
}

fn write(temp: &TempDir, path: &str, content: &[u8]) {
    std::fs::write(temp.path().join(path), content).unwrap();
}

#[test]
fn marked_folders_keep_their_mark_alone() {
    let temp = temp();
    plant(
        temp.path(),
        &["cache/x", "cache/sub/y", "fake/CACHEDIR.TAG", "fake/z", "no/.nobackup", "no/x", "yes/.nobackup/x"],
    );
    write(&temp, "cache/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n# by a test\n");
    let caches = Rules { tags: vec![Tag::cache()], ..Rules::default() };
    let expected = [
        "cache",
        "fake",
        "no",
        "yes",
        "cache/CACHEDIR.TAG",
        "fake/CACHEDIR.TAG",
        "fake/z",
        "no/.nobackup",
        "no/x",
        "yes/.nobackup",
        "yes/.nobackup/x",
    ];
    assert_eq!(left(&temp, caches), expected);
    // Of any kind, as nothing is asked of its content.
    let present = Rules { tags: vec![Tag::parse(b".nobackup").unwrap()], ..Rules::default() };
    let found = left(&temp, present);
    assert!(!found.contains(&"no/x".to_owned()) && found.contains(&"no/.nobackup".to_owned()), "{found:?}");
    assert!(found.contains(&"yes/.nobackup/x".to_owned()), "the mark itself is taken in whole: {found:?}");
    // With a header it has to be a file that begins so.
    write(&temp, "no/.nobackup", b"because: I say so");
    for (tag, out) in [("because:", true), ("because: I say so", true), ("because: I say so!", false), ("x", false)] {
        let tag = Tag::parse(format!(".nobackup:{tag}").as_bytes()).unwrap();
        let found = left(&temp, Rules { tags: vec![tag], ..Rules::default() });
        assert_eq!(!found.contains(&"no/x".to_owned()), out, "{found:?}");
    }
}

#[test]
fn ignore_files_hold_where_they_lie_and_below() {
    let temp = temp();
    plant(temp.path(), &["a.o", "build/x", "s/a.o", "s/keep.o", "s/build", "s/t/keep.o", "s/t/only", "u/only"]);
    write(&temp, ".gitignore", b"*.o\nbuild/\n");
    write(&temp, "s/.gitignore", b"!keep.o\n/only\n");
    write(&temp, "s/t/.mine", b"only\n!a.o\n");
    let names =
        |names: &[&[u8]]| Rules { ignore_files: names.iter().map(|&bytes| name(bytes)).collect(), ..Rules::default() };
    let one = [
        "s",
        "u",
        ".gitignore",
        "s/.gitignore",
        "s/build",
        "s/keep.o",
        "s/t",
        "s/t/.mine",
        "s/t/keep.o",
        "s/t/only",
        "u/only",
    ];
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let expected = |list: &[&str]| sorted(list.iter().map(|&path| path.to_owned()).collect());
    assert_eq!(sorted(left(&temp, names(&[b".gitignore"]))), expected(&one));
    let both: Vec<&str> = one.into_iter().filter(|path| *path != "s/t/only").collect();
    assert_eq!(sorted(left(&temp, names(&[b".gitignore", b".mine"]))), expected(&both));
    // A root within is a root all the same, and none of the files above it holds.
    let rules = names(&[b".gitignore"]);
    let walked = Walked::new(Options { rules: rules.clone(), ..options(&[temp.path().join("build")]) });
    assert_eq!(walked.below(temp.path()), ["build", "build/x"]);
    // Within another root it is left out, and that is said.
    let walked = Walked::new(Options { rules, ..options(&[temp.path().to_owned(), temp.path().join("build/x")]) });
    assert_eq!(walked.problems.iter().map(|problem| problem.cause).collect::<Vec<_>>(), [Cause::Excluded]);
}

#[test]
fn ignore_files_that_are_none_do_no_harm() {
    let temp = temp();
    plant(temp.path(), &["a/.gitignore/", "b/x", "c/x", "rules"]);
    write(&temp, "rules", b"*");
    std::os::unix::fs::symlink("../rules", temp.path().join("b/.gitignore")).unwrap();
    std::fs::File::create(temp.path().join("c/.gitignore")).unwrap().set_len(17 << 20).unwrap();
    let walked = walked(&temp, Rules { ignore_files: vec![name(b".gitignore")], ..Rules::default() });
    assert!(walked.below(temp.path()).contains(&"b/x".to_owned()));
    assert_eq!(walked.complaints().len(), 1, "{:?}", walked.complaints());
    assert_eq!(walked.problems[0].path, temp.path().join("c/.gitignore").as_os_str().as_bytes());
}

#[test]
fn large_files_are_left_out_and_nothing_else_that_is_large() {
    let temp = temp();
    plant(temp.path(), &["folder/small"]);
    write(&temp, "exact", &[0; 100]);
    write(&temp, "large", &[0; 101]);
    std::os::unix::fs::symlink("x".repeat(200), temp.path().join("link")).unwrap();
    let rules = Rules { larger_than: Some(100), ..Rules::default() };
    assert_eq!(left(&temp, rules.clone()), ["exact", "folder", "link", "folder/small"]);
    let walked = Walked::new(Options { rules, ..options(&[temp.path().join("large")]) });
    assert_eq!(walked.problems[0].cause, Cause::Excluded);
}

#[test]
fn the_no_dump_flag_counts_when_asked() {
    let temp = temp();
    plant(temp.path(), &["file", "folder/x", "plain"]);
    for path in ["file", "folder"] {
        let file = std::fs::File::open(temp.path().join(path)).unwrap();
        if rustix::fs::ioctl_setflags(&file, IFlags::NODUMP).is_err() {
            eprintln!("SKIPPED: this file system keeps no flags");
            return;
        }
    }
    if !Stat::at(CWD, temp.path().join("file").as_os_str().as_bytes(), false).unwrap().nodump {
        eprintln!("SKIPPED: this file system does not tell of the flag");
        return;
    }
    assert_eq!(left(&temp, Rules { nodump: true, ..Rules::default() }), ["plain"]);
    assert_eq!(left(&temp, Rules::default()).len(), 4);
}

#[test]
fn a_link_to_a_pipe_stands_for_it_only_when_asked_and_only_as_a_root() {
    let temp = temp();
    plant(temp.path(), &["in/"]);
    rustix::fs::mkfifoat(CWD, temp.path().join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    for link in ["link", "in/link"] {
        std::os::unix::fs::symlink(temp.path().join("pipe"), temp.path().join(link)).unwrap();
    }
    let roots = options(&[temp.path().join("link"), temp.path().join("in")]);
    for (read_special, kind) in [(false, Kind::Symlink), (true, Kind::Fifo)] {
        let walked = Walked::new(Options { read_special, ..roots.clone() });
        assert_eq!(kind_of(&walked, &temp.path().join("link")), Some(kind));
        assert_eq!(kind_of(&walked, &temp.path().join("in/link")), Some(Kind::Symlink));
    }
}

#[test]
fn every_rule_explains_itself() {
    let temp = temp();
    plant(temp.path(), &["a.o", "keep.o", "no/.no", "no/x", "git/t/x", "git/keep.o", "plain"]);
    write(&temp, "git/.gitignore", b"\nt/\n");
    write(&temp, "large", &[0; 101]);
    let rules = Rules {
        patterns: ExcludeSet::new(["*.o", "!keep.o"]).unwrap(),
        ignore_files: vec![name(b".gitignore")],
        tags: vec![Tag::parse(b".no").unwrap()],
        larger_than: Some(100),
        nodump: true,
    };
    let all = Options { rules, ..options(&[temp.path().to_owned()]) };
    let root = entry_path(temp.path());
    let at = |path: &str| entry_path(&temp.path().join(path));
    let ask = |path: &str| explain(&all, &at(path)).unwrap();
    let out = |path: &str, reason: Reason| Verdict::Out { at: at(path), why: Outside::Rule(reason) };
    let full = |path: &str| temp.path().join(path).as_os_str().as_bytes().to_vec();
    assert_eq!(ask("plain"), Verdict::In { root: root.clone(), brought_back: None });
    assert_eq!(ask("a.o"), out("a.o", Reason::option("--exclude").text(b"*.o")));
    let brought_back = Some(Reason::option("--exclude").text(b"!keep.o"));
    assert_eq!(ask("git/keep.o"), Verdict::In { root: root.clone(), brought_back });
    assert_eq!(ask("no/x"), out("no/x", Reason::option("--exclude-if-present").text(b".no").file(&full("no/.no"))));
    assert_eq!(ask("no/.no"), Verdict::In { root: root.clone(), brought_back: None });
    let ignored = Reason::option("--ignore-file").text(b"t/").file(&full("git/.gitignore")).line(2);
    assert_eq!(ask("git/t/x"), out("git/t", ignored));
    assert_eq!(ask("large"), out("large", Reason::option("--exclude-larger-than").text(b"100")));
    // Above the root, beside it, and what is not there.
    assert_eq!(explain(&all, &EntryPath::default()).unwrap(), Verdict::Way { root: root.clone() });
    let aside = EntryPath::parse(b"/nowhere").unwrap();
    assert_eq!(explain(&all, &aside).unwrap(), Verdict::Out { at: aside.clone(), why: Outside::NotAsked });
    for absent in ["gone", "git/gone", "plain/below"] {
        assert!(explain(&all, &at(absent)).is_err(), "{absent}");
    }
    // The same rules, an explicit root below: out, and named as such.
    let beside = Options { roots: vec![at("a.o"), at("plain")], ..all.clone() };
    let verdict = explain(&beside, &at("a.o")).unwrap();
    assert_eq!(verdict, out("a.o", Reason::option("--exclude").text(b"*.o")));
    let skip = Options { skip: vec![Stat::at(CWD, &full("git"), false).unwrap().identity()], ..all.clone() };
    let verdict = explain(&skip, &at("git/keep.o")).unwrap();
    assert_eq!(verdict, Verdict::Out { at: at("git"), why: Outside::Repository });
    let everything = Options { roots: vec![EntryPath::default()], ..all };
    let verdict = explain(&everything, &EntryPath::parse(b"/proc/self/status").unwrap()).unwrap();
    assert_eq!(verdict, Verdict::Out { at: EntryPath::parse(b"/proc").unwrap(), why: Outside::KernelFileSystem });
}
