//! `dump`, `export-tar` and `import-tar`: streams out of snapshots, and archives into them.

use super::restore::packs;
use super::{Place, Run, write};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

fn place() -> (Place, String) {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    write(&place.path("files/deep/b"), vec![7; 300_000]);
    fs::hard_link(place.path("files/a"), place.path("files/hard")).unwrap();
    symlink("a", place.path("files/link")).unwrap();
    let sparse = fs::File::create(place.path("files/sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 2 << 20).unwrap();
    place.snapshot(&["files"], &[]);
    let files = place.path("files").display().to_string();
    (place, files)
}

/// Standard output as bytes.
fn stream(place: &Place, arguments: &[&str]) -> Vec<u8> {
    let mut command = place.command(arguments);
    command.env("BOVEDA_REPOSITORY", place.path("repository")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_file_goes_to_standard_output_or_into_a_file() {
    let (place, files) = place();
    assert_eq!(stream(&place, &["dump", "latest", &format!("{files}/deep/b")]), vec![7; 300_000]);
    assert_eq!(stream(&place, &["--json", "dump", &format!("latest:{files}"), "deep/b"]), vec![7; 300_000]);
    assert_eq!(stream(&place, &["dump", &format!("latest:{files}/a")]), b"first");
    assert_eq!(
        stream(&place, &["dump", &format!("latest:{files}"), "sparse"]),
        fs::read(place.path("files/sparse")).unwrap()
    );
    place.admin(["dump", &format!("latest:{files}/a"), "--target", "out"]).ends(0);
    assert_eq!(fs::read(place.path("out")).unwrap(), b"first");
    assert_eq!(fs::metadata(place.path("out")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn mistakes_are_named_and_leave_nothing() {
    let (place, files) = place();
    place.admin(["dump", "latest", "/no/such"]).ends(1).says("/no/such");
    place.admin(["dump", "latest", &format!("{files}/link")]).ends(1).says("symbolic link to a");
    place.admin(["dump", "latest", &files, "--archive", "rar"]).ends(2);
    place.admin(["dump", &format!("latest:{files}/a"), "-t", "no/folder/out"]).ends(1).says("no/folder/out");
    for pack in packs(&place) {
        fs::remove_file(pack).unwrap();
    }
    place.admin(["dump", &format!("latest:{files}/a"), "--target", "out"]).ends(4);
    let left: Vec<_> = fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("out")), "{left:?}");
    place.admin(["export-tar", "latest", "out"]).ends(4);
}

#[test]
fn folders_become_archives_that_other_programs_read() {
    let (place, files) = place();
    let list = |archive: &str| {
        let output = Command::new("tar").args(["-tf", archive]).current_dir(place.path(".")).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    place.admin(["dump", "latest", &files, "--target", "full.tar"]).ends(0);
    assert!(list("full.tar").contains(&format!("{}/deep/b\n", &files[1..])));
    let run = place.admin(["--json", "export-tar", &format!("latest:{files}"), "part.tar"]).ends(0);
    assert_eq!(run.message("summary")["files"], 4);
    assert!(list("part.tar").lines().any(|line| line == "deep/b"));
    assert!(place.path("part.tar").metadata().unwrap().len() < 1 << 20, "holes take no room");
    place.admin(["export-tar", &format!("latest:{files}/a"), "one.tar"]).ends(0);
    assert_eq!(list("one.tar"), "a\n");
    place.admin(["dump", "latest", &files, "-a", "zip", "-t", "out.zip"]).ends(0);
    assert!(fs::read(place.path("out.zip")).unwrap().starts_with(b"PK"));
}

#[test]
fn what_goes_out_as_tar_comes_back_the_same() {
    let (place, files) = place();
    let attribute =
        rustix::fs::setxattr(place.path("files/a"), "user.test", b"a\nb\0", rustix::fs::XattrFlags::empty());
    place.snapshot(&["files"], &[]);
    place.admin(["export-tar", &format!("latest:{files}"), "out.tar"]).ends(0);
    let run = place.admin(["--json", "import-tar", "out.tar", "--below", &files, "--tag", "imported"]).ends(0);
    let summary = run.message("summary");
    assert_eq!((&summary["files_new"], &summary["error_count"]), (&4.into(), &0.into()));
    // The content was there already, cut in the same places.
    assert!(summary["data_added"].as_u64().unwrap() < 50_000, "{summary}");
    let [old, new] = [format!("latest~1:{files}"), format!("latest:{files}")];
    let diff = place.admin(["--json", "diff", "--metadata", &old, &new]).ends(0);
    let changes: Vec<_> = diff.json().into_iter().filter(|line| line["message_type"] == "change").collect();
    // Flags of the file system (extents) are not in a tar.
    assert!(changes.iter().all(|change| change["modifier"] == "U"), "{changes:?}");
    place.admin(["restore", &new, "--target", "back", "--verify"]).ends(0);
    let back = |name: &str| place.path("back").join(name).metadata().unwrap();
    assert_eq!(back("a").ino(), back("hard").ino());
    assert!(back("sparse").blocks() < 100);
    let modified = |folder: &str| place.path(folder).join("a").metadata().unwrap().modified().unwrap();
    assert_eq!(modified("back"), modified("files"), "to the nanosecond");
    if attribute.is_ok() {
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(place.path("back/a"), "user.test", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"a\nb\0");
    }
}

#[test]
fn hostile_archives_are_refused_and_the_rest_is_kept() {
    let place = Place::init();
    write(&place.path("in/good"), "good");
    let script = "tar -P -cf ../evil.tar --transform 's,^bad,../../escape\u{1b}[2J,' good bad";
    write(&place.path("in/bad"), "bad");
    let made = Command::new("sh").args(["-c", script]).current_dir(place.path("in")).status();
    if !made.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: no GNU tar here");
    }
    let run = place.admin(["import-tar", "evil.tar"]).ends(3).says("leads up");
    assert!(run.err.contains("escape\\u{1b}[2J"), "{}", run.err);
    assert_eq!(stream(&place, &["dump", "latest", "good"]), b"good");
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn a_broken_archive_leaves_no_snapshot() {
    let place = Place::init();
    write(&place.path("cut.tar"), {
        write(&place.path("in/file"), vec![1; 100_000]);
        let output = Command::new("tar").args(["-cf", "-", "in"]).current_dir(place.path(".")).output().unwrap();
        output.stdout[..50_000].to_vec()
    });
    place.admin(["import-tar", "cut.tar"]).ends(1).says("cannot be read at byte");
    place.admin(["import-tar", "admin.key"]).ends(1);
    place.admin(["import-tar", "none.tar"]).ends(1).says("none.tar");
    place.admin(["import-tar", "cut.tar", "--below", "relative"]).ends(2).says("--below");
    write(&place.path("a.gz"), [&[0x1f, 0x8b][..], &[0; 1022]].concat());
    place.admin(["import-tar", "a.gz"]).ends(1).says("gzip -dc");
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).out, "");
}

#[test]
fn archives_come_through_pipes_and_dry_runs_store_nothing() {
    let place = Place::init();
    write(&place.path("in/file"), "content");
    let import = |arguments: &[&str]| {
        let mut tar = Command::new("tar");
        let mut tar = tar.args(["-cf", "-", "in"]).current_dir(place.path(".")).stdout(Stdio::piped()).spawn().unwrap();
        let mut command = place.command(arguments);
        command.env("BOVEDA_REPOSITORY", place.path("repository")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
        let run = Run::of(command.stdin(tar.stdout.take().unwrap()));
        tar.wait().unwrap();
        run
    };
    import(&["import-tar", "-", "--dry-run"]).ends(0);
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).out, "");
    import(&["import-tar", "-", "--host", "old", "--time", "2020-01-02"]).ends(0);
    let snapshot = place.admin(["--json", "snapshots"]).ends(0).message("snapshot");
    assert_eq!((&snapshot["hostname"], &snapshot["paths"][0]), (&"old".into(), &"/".into()));
    assert_eq!(stream(&place, &["dump", "latest", "in/file"]), b"content");
}

#[test]
fn an_archive_holds_what_patterns_mean_under_shorter_names() {
    let (place, files) = place();
    let whole = format!("latest:{files}");
    let names = |arguments: &[&str]| {
        let archive = stream(&place, arguments);
        let listed = Run::with_input(Command::new("tar").arg("-t"), &archive).ends(0);
        listed.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&["export-tar", &whole, "--exclude", "deep", "--exclude", "s*"]), ["a", "hard", "link"]);
    assert_eq!(names(&["export-tar", &whole, "--iinclude", "B"]), ["deep/b"]);
    // What has no second part has no name any more.
    assert_eq!(names(&["export-tar", &whole, "--strip-components", "1"]), ["b"]);
    place.admin(["export-tar", &whole, "out.tar", "--exclude", "[", "--include", "a"]).ends(2).says("means nothing");
    assert!(!place.path("out.tar").exists());
}
