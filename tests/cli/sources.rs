//! What a snapshot takes in: lists of paths, rules that leave things out, and the explanation of both.

use super::{Place, Run, write};
use std::io::Write as _;

/// The paths below `folder` that the newest snapshot has, in its order.
fn taken(place: &Place, folder: &str) -> Vec<String> {
    let folder = place.path(folder);
    let run = place.admin(["--json", "ls", "-R", &format!("latest:{}", folder.display())]).ends(0);
    let below = |value: &serde_json::Value| {
        let path = value["path"].as_str()?;
        Some(path.strip_prefix(folder.to_str().unwrap())?.trim_start_matches('/').to_owned())
    };
    run.json().iter().filter_map(below).filter(|path| !path.is_empty()).collect()
}

fn with_input(place: &Place, arguments: &[&str], input: &[u8]) -> Run {
    Run::with_input(&mut place.admin_command(arguments), input)
}

#[test]
fn lists_name_paths_in_three_ways() {
    let place = Place::init();
    for file in ["s/a.txt", "s/b.txt", "s/c", "s/ d", "s/#e", "s/f\ng"] {
        write(&place.path(file), file);
    }
    write(&place.path("list"), "# texts\n  s/*.txt \n\ns/c\ns/none*\n");
    let run = place.admin(["snapshot", "--files-from", "list"]).ends(0);
    run.says("warning: --files-from list line 5: nothing fits s/none*");
    assert_eq!(taken(&place, "s"), ["a.txt", "b.txt", "c"]);
    write(&place.path("verbatim"), "s/ d\n\ns/#e\n");
    place.admin(["snapshot", "--files-from-verbatim", "verbatim", "s/c"]).ends(0);
    assert_eq!(taken(&place, "s"), [" d", "#e", "c"]);
    with_input(&place, &["snapshot", "--files-from-raw", "-"], b"s/f\ng\0s/c\0").ends(0);
    assert_eq!(taken(&place, "s"), ["c", "f\ng"]);
}

#[test]
fn lists_that_are_wrong_are_refused_before_anything_is_done() {
    let place = Place::init();
    write(&place.path("s/a"), "");
    for (list, option, says) in [
        (&b"s/["[..], "--files-from", "line 1"),
        (b"# nothing\n", "--files-from", "name nothing"),
        (b"s/a\0s/", "--files-from-raw", "cut short"),
        (b"s/a\0\0", "--files-from-raw", "empty"),
        (b"/\xff/\0a\n", "--files-from-verbatim", "no file can have"),
    ] {
        with_input(&place, &["snapshot", option, "-"], list).ends(2).says(says);
    }
    place.admin(["snapshot", "--files-from", "missing"]).ends(2).says("missing");
    place.admin(["snapshot", "--files-from", "-", "--files-from-raw", "-"]).ends(2).says("one list only");
    place.admin(["snapshot"]).ends(2).says("nothing is named");
    // A path that is not there is not everything.
    with_input(&place, &["snapshot", "--files-from", "-"], b"s/a\ns/gone\n").ends(3).says("s/gone");
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).json().len(), 1);
}

#[test]
fn rules_of_every_kind_leave_things_out() {
    let place = Place::init();
    for file in ["s/a.tmp", "s/B.TMP", "s/keep.tmp", "s/cache/x", "s/no/.nobackup", "s/no/x", "s/p/target/x", "s/p/src"]
    {
        write(&place.path(file), file);
    }
    write(&place.path("s/cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55");
    write(&place.path("s/large"), vec![1; 2049]);
    write(&place.path("s/p/.gitignore"), "target/\n");
    write(&place.path("rules"), "# mine\n$EXT\n!keep.tmp\n");
    let mut command =
        place.admin_command(["snapshot", "s", "--iexclude", "b.tmp", "--exclude-file", "rules", "--exclude-caches"]);
    command.args(["--exclude-if-present", ".nobackup", "--exclude-larger-than", "2K", "--ignore-file", ".gitignore"]);
    Run::of(command.env("EXT", "*.tmp")).ends(0);
    let expected = ["cache", "keep.tmp", "no", "p", "cache/CACHEDIR.TAG", "no/.nobackup", "p/.gitignore", "p/src"];
    assert_eq!(taken(&place, "s"), expected);
    let recorded = &place.admin(["--json", "snapshots"]).ends(0).json()[0]["excludes"];
    let expected = serde_json::json!([
        "*.tmp",
        "!keep.tmp",
        "--iexclude=b.tmp",
        "--ignore-file=.gitignore",
        "--exclude-caches",
        "--exclude-if-present=.nobackup",
        "--exclude-larger-than=2048"
    ]);
    assert_eq!(recorded, &expected);
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    let place = Place::init();
    write(&place.path("s/a"), "");
    write(&place.path("rules"), "ok\n[\n");
    write(&place.path("dollar"), "\n$RECYCLE.BIN\n");
    for (option, value, says) in [
        ("--exclude", "[", "not complete"),
        ("--iexclude", "a/../b", "never matches"),
        ("--exclude-file", "rules", "--exclude-file rules line 2"),
        ("--iexclude-file", "dollar", "line 2: the variable \"RECYCLE\" is not set"),
        ("--exclude-file", "missing", "missing"),
        ("--ignore-file", "a/b", "without a folder"),
        ("--exclude-if-present", ":x", "without a folder"),
        ("--exclude-larger-than", "2 MB", "no size"),
    ] {
        place.admin(["snapshot", "s", option, value]).ends(2).says(says);
    }
    assert!(place.admin(["--json", "snapshots"]).ends(0).json().is_empty());
}

#[test]
fn a_path_that_a_rule_leaves_out_although_it_was_named_is_no_success() {
    let place = Place::init();
    write(&place.path("s/a.tmp"), "");
    write(&place.path("s/b"), "");
    place.admin(["snapshot", "s/a.tmp", "s/b", "--exclude", "*.tmp"]).ends(3).says("asked for by name");
    assert_eq!(taken(&place, "s"), ["b"]);
}

#[test]
fn an_explanation_names_the_rule_and_takes_no_snapshot() {
    let place = Place::init();
    write(&place.path("s/a.o"), "");
    write(&place.path("s/\u{1b}[2J.o"), "");
    write(&place.path("s/t/.gitignore"), "deep\n");
    write(&place.path("s/t/deep/x"), "");
    write(&place.path("rules"), "\n*.o\n");
    let ask = |path: &str| {
        ["snapshot", "s", "--exclude-file", "rules", "--ignore-file", ".gitignore", "--explain", path]
            .map(str::to_owned)
    };
    let s = place.path("s").to_str().unwrap().to_owned();
    let line = |path: &str| place.admin(ask(path)).ends(0).out;
    assert_eq!(line("s/t"), format!("in   {s}/t: {s} was asked for\n"));
    assert_eq!(line("s/a.o"), format!("out  {s}/a.o: --exclude-file rules line 2: *.o\n"));
    let deep = format!("out  {s}/t/deep/x: {s}/t/deep: --ignore-file {s}/t/.gitignore line 1: deep\n");
    assert_eq!(line("s/t/deep/x"), deep);
    assert!(line("s/\u{1b}[2J.o").starts_with(&format!("out  {s}/\\u{{1b}}[2J.o: ")));
    assert!(line("elsewhere").ends_with("elsewhere: it was not asked for\n"));
    place.admin(ask("s/gone")).ends(3).says("s/gone");
    let json = place.admin(["--json".to_owned()].into_iter().chain(ask("s/t/deep/x"))).ends(0).message("explanation");
    assert_eq!((&json["included"], &json["line"], &json["rule"]), (&false.into(), &1.into(), &"deep".into()));
    assert_eq!((&json["decided_at"], &json["option"]), (&format!("{s}/t/deep").into(), &"--ignore-file".into()));
    assert!(place.admin(["--json", "snapshots"]).ends(0).json().is_empty());
}

#[test]
fn what_is_new_unchanged_or_left_out_is_told_as_much_as_asked() {
    let place = Place::init();
    write(&place.path("s/a"), "a");
    write(&place.path("s/b.tmp"), "b");
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let arguments = |verbose: &'static str| [verbose, "snapshot", "s", "--exclude", "*.tmp"];
    let first = place.admin(arguments("-v")).ends(0).err;
    assert!(first.contains("new       /") && !first.contains("excluded"), "{first}");
    let second = place.admin(arguments("-vv")).ends(0).err;
    assert!(second.contains("unchanged /") && second.contains("/s/b.tmp (--exclude: *.tmp)"), "{second}");
    let quiet = place.admin(arguments("-v")).ends(0).err;
    assert!(!quiet.contains("/s/a"), "{quiet}");
    write(&place.path("s/a"), "changed");
    let json = place.admin(["--json", "-vv", "snapshot", "s", "--exclude", "*.tmp"]).ends(0).json();
    let action = |path: &str| {
        let path = place.path(path);
        let found =
            json.iter().find(|line| line["message_type"] == "verbose_status" && line["item"] == path.to_str().unwrap());
        found.unwrap_or_else(|| panic!("nothing of {path:?} in {json:?}"))
    };
    assert_eq!((&action("s/a")["action"], &action("s/a")["data_size"]), (&"modified".into(), &7.into()));
    assert_eq!(
        (&action("s/b.tmp")["action"], &action("s/b.tmp")["rule"]),
        (&"excluded".into(), &"--exclude: *.tmp".into())
    );
}

#[test]
fn the_content_of_a_pipe_is_read_when_asked() {
    let place = Place::init();
    write(&place.path("s/a"), "a");
    let pipe = place.path("s/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("s/pipe", place.path("link")).unwrap();
    // Without the option it is a pipe, and nobody waits for it.
    place.admin(["snapshot", "s"]).ends(0);
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for name in ["s/pipe", "link"] {
        let (path, content) = (pipe.clone(), bytes.clone());
        let writer = std::thread::spawn(move || {
            // The reader is there first, and then waits in the middle.
            std::thread::sleep(std::time::Duration::from_millis(300));
            let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            let (first, second) = content.split_at(1_000_000);
            pipe.write_all(first).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            pipe.write_all(second).unwrap();
        });
        place.admin(["snapshot", "--read-special", name]).ends(0);
        writer.join().unwrap();
        let selector = format!("latest:{}", place.path(name).display());
        place.admin(["restore", &selector, "--target", &format!("out-{}", name.len())]).ends(0);
        let restored = std::fs::read(place.path(&format!("out-{}", name.len())).join(name.rsplit('/').next().unwrap()));
        assert!(restored.unwrap() == bytes, "{name}");
    }
}
