//! `restore` with its options: parts, policies, deletion, and going on after a kill.

use super::restore::place_with_snapshot;
use super::{Place, Run, write};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn patterns_come_from_options_and_files() {
    let place = place_with_snapshot();
    write(&place.path("patterns"), "# comment\n\nB\n");
    place.admin(["restore", "latest", "--target", "t", "--iinclude-file", "patterns"]).ends(0);
    let files = place.path("files");
    let below = place.path("t").join(files.strip_prefix("/").unwrap());
    assert!(below.join("deep/b").exists() && !below.join("a").exists());
    place.admin(["restore", "latest", "--target", "u", "-e", "deep", "-i", "files"]).ends(0);
    let below = place.path("u").join(files.strip_prefix("/").unwrap());
    assert!(!below.join("deep").exists() && below.join("a").exists());
    place.admin(["restore", "latest", "--target", "t", "--include", "["]).ends(2).says("means nothing");
    place.admin(["restore", "latest", "--target", "t", "--exclude-file", "none"]).ends(2).says("none");
    place.admin(["restore", "latest", "--target", "v", "--include", "nowhere"]).ends(0).says("nothing was restored");
}

#[test]
fn deletion_is_told_first_and_spares_the_repository() {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    // The repository lies in what is snapshotted: the snapshot leaves it out, and so must the deletion.
    place.snapshot(&["."], &["--exclude", "*.iso"]);
    write(&place.path("files/new\u{1b}[2J"), "new");
    write(&place.path("big.iso"), "never stored");
    let selector = format!("latest:{}", place.path(".").canonicalize().unwrap().display());
    let told = place.admin(["-v", "restore", &selector, "--target", ".", "--delete", "--dry-run"]).ends(0);
    assert!(told.err.contains("deleted   ") && told.err.contains("new\\u{1b}[2J"), "{}", told.err);
    assert!(place.path("files/new\u{1b}[2J").exists());
    let run = place
        .admin(["--json", "restore", &selector, "--target", ".", "--delete"])
        .ends(0)
        .says("holds stays: the repository");
    assert!(!place.path("files/new\u{1b}[2J").exists());
    assert!(place.path("big.iso").exists());
    assert!(run.message("summary")["files_deleted"].as_u64().unwrap() >= 1);
    place.admin(["verify"]).ends(0);
    place
        .admin(["restore", "latest", "--target", "/", "--delete", "--dry-run"])
        .ends(2)
        .says("root of the file system");
    place.admin(["restore", "latest", "--target", "t", "--delete", "--strip-components", "1"]).ends(2);
}

#[test]
fn an_incomplete_snapshot_deletes_nothing() {
    let place = Place::init();
    write(&place.path("files/a"), "a");
    // A path asked for by name that is not there leaves the snapshot incomplete.
    let run = place.admin(["snapshot", "files", "missing"]).ends(3);
    assert!(run.err.contains("missing"));
    write(&place.path("t/extra"), "x");
    let selector = format!("latest:{}", place.path("files").display());
    place.admin(["restore", &selector, "--target", "t", "--delete"]).ends(3).says("nothing is deleted");
    assert!(place.path("t/extra").exists() && place.path("t/a").exists());
}

#[test]
fn policies_stripping_and_reading_back() {
    let place = place_with_snapshot();
    let selector = format!("latest:{}", place.path("files").display());
    write(&place.path("t/a"), "mine");
    let run =
        place.admin(["--json", "restore", &selector, "--target", "t", "--overwrite", "never", "--verify"]).ends(0);
    let summary = run.message("summary");
    assert_eq!((&summary["files_kept"], &summary["files_verified"]), (&1.into(), &1.into()));
    assert_eq!(fs::read(place.path("t/a")).unwrap(), b"mine");
    place.admin(["restore", &selector, "--target", "s", "--strip-components", "1"]).ends(0);
    assert_eq!(fs::read(place.path("s/b")).unwrap(), vec![7; 300_000]);
    place.admin(["restore", &selector, "--target", "t", "--overwrite", "sometimes"]).ends(2);
}

#[test]
fn a_killed_restore_goes_on_where_it_was() {
    let place = Place::init();
    for n in 0..24u64 {
        let mut bytes = vec![0; 3 << 20];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut bytes);
        write(&place.path(&format!("files/f{n:02}")), bytes);
    }
    place.snapshot(&["files"], &[]);
    let selector = format!("latest:{}", place.path("files").display());
    let mut command = place.command(["restore", &selector, "--target", "t"]);
    command.env("BOVEDA_REPOSITORY", place.path("repository")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
    let mut child = command.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !place.path("t/f04").exists() {
        assert!(child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run: Run = place.admin(["--json", "restore", &selector, "--target", "t", "--verify"]).ends(0);
    let summary = run.message("summary");
    assert!(summary["files_unchanged"].as_u64().unwrap() >= 1, "{summary}");
    assert_eq!(summary["files_verified"], 24);
    for n in 0..24 {
        let name = format!("f{n:02}");
        assert!(fs::read(place.path("t").join(&name)).unwrap() == fs::read(place.path("files").join(&name)).unwrap());
    }
}

#[test]
fn a_snapshot_that_cannot_tell_what_it_left_out_deletes_nothing() {
    let place = Place::init();
    for file in ["files/a", "files/B.TMP", "files/x.iso"] {
        write(&place.path(file), "content");
    }
    let selector = format!("latest:{}", place.path("files").display());
    let restore =
        |options: &[&str]| place.admin([&["restore", &selector, "--target", "files", "--delete"], options].concat());
    // What the ignore files said then, nobody knows now.
    place.snapshot(&["files"], &["--ignore-file", ".ignore"]);
    restore(&[]).ends(3).says("--ignore-file=.ignore");
    assert!(place.path("files/x.iso").exists());
    // Patterns of both kinds are known.
    place.snapshot(&["files"], &["--iexclude", "*.tmp", "--exclude", "*.iso"]);
    write(&place.path("files/new"), "");
    restore(&[]).ends(0);
    assert!(
        place.path("files/B.TMP").exists() && place.path("files/x.iso").exists() && !place.path("files/new").exists()
    );
}

#[test]
fn holes_become_holes_again_where_a_shorter_file_ended() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let place = Place::init();
    write(&place.path("files/sparse"), "");
    let file = fs::OpenOptions::new().write(true).open(place.path("files/sparse")).unwrap();
    file.set_len(500_000).unwrap();
    file.write_all_at(&[7; 8192], 400 * 1024).unwrap();
    place.snapshot(&["files"], &[]);
    let selector = format!("latest:{}", place.path("files").display());
    place.admin(["restore", &selector, "--target", "fresh"]).ends(0);
    // It ends inside a block.
    write(&place.path("over/sparse"), vec![9; 284_000]);
    place.admin(["restore", &selector, "--target", "over"]).ends(0);
    let [fresh, over] = ["fresh/sparse", "over/sparse"].map(|name| place.path(name));
    assert!(fs::read(&fresh).unwrap() == fs::read(&over).unwrap());
    let blocks = |path: &std::path::Path| fs::metadata(path).unwrap().blocks();
    assert_eq!(blocks(&over), blocks(&fresh));
}
