//! `mount` and `umount`: snapshots as folders, and that nothing stays behind whatever ends the serving process.

use super::{Place, write};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Whether there is FUSE, which CI must have.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn has_fuse() -> bool {
    let there = Path::new("/dev/fuse").exists();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "/dev/fuse is needed for this test");
        println!("skipped: there is no /dev/fuse");
    }
    there
}

/// A place with a snapshot of `files` and an empty folder `there`; `None` where there is no FUSE.
pub fn place() -> Option<Place> {
    if !has_fuse() {
        return None;
    }
    let place = super::restore::place_with_snapshot();
    fs::create_dir(place.path("there")).unwrap();
    Some(place)
}

/// A path of `files` in a snapshot of the mount.
pub fn below(place: &Place, snapshot: &str, name: &str) -> PathBuf {
    let files = place.path("files");
    place.path("there").join(snapshot).join(files.strip_prefix("/").unwrap()).join(name)
}

pub fn is_mounted(place: &Place) -> bool {
    place.path("there/by-time").exists()
}

pub fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(30), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn foreground(place: &Place) -> Child {
    let mut command = place.command(["mount", "--foreground", "there"]);
    command.env("BOVEDA_REPOSITORY", place.path("repository")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("mounted", || is_mounted(place));
    child
}

pub fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn mount_returns_when_the_folder_can_be_used_and_follows_new_snapshots() {
    let Some(place) = place() else { return };
    place.admin(["mount", "there"]).ends(0);
    assert_eq!(fs::read(below(&place, "latest", "a")).unwrap(), b"first");
    assert_eq!(fs::read(below(&place, "latest", "deep/b")).unwrap(), vec![7; 300_000]);
    let first = fs::read_link(place.path("there/latest")).unwrap();
    assert!(first.starts_with("by-time"), "{first:?}");
    write(&place.path("files/a"), "second");
    place.snapshot(&["files"], &[]);
    eventually("latest moves", || fs::read(below(&place, "latest", "a")).is_ok_and(|text| text == b"second"));
    assert_eq!(fs::read(below(&place, first.to_str().unwrap(), "a")).unwrap(), b"first");
    // What is forgotten is gone from here too, and comes back.
    place.admin(["forget", "latest"]).ends(0);
    eventually("latest goes back", || fs::read(below(&place, "latest", "a")).is_ok_and(|text| text == b"first"));
    place.admin(["forget", "--undo"]).ends(0);
    eventually("it is back", || fs::read(below(&place, "latest", "a")).is_ok_and(|text| text == b"second"));
    place.admin(["mount", "there"]).ends(1).says("mounted already");
    place.run(["umount", "there"]).ends(0);
    assert!(!is_mounted(&place));
    place.run(["umount", "there"]).ends(1).says("nothing of boveda is mounted");
}

#[test]
fn only_snapshots_that_pass_the_filters_are_shown() {
    let Some(place) = place() else { return };
    let other = place.snapshot(&["files"], &["--time", "2026-01-02", "-H", "other", "--tag", "kept"]);
    place.admin(["mount", "there", "-H", "other", "--tag", "kept"]).ends(0);
    let shown = || {
        let names = fs::read_dir(place.path("there/by-time")).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(shown(), ["2026-01-02T00-00-00Z"]);
    assert_eq!(fs::read_link(place.path("there/latest")).unwrap(), Path::new("by-time/2026-01-02T00-00-00Z"));
    assert!(fs::read_dir(place.path("there/by-id")).unwrap().count() > 0, "{other}");
    // New snapshots appear only if they pass.
    place.snapshot(&["files"], &["--time", "2026-01-03"]);
    place.snapshot(&["files"], &["--time", "2026-01-04", "-H", "other", "--tag", "kept"]);
    eventually("the new one", || shown().len() == 2);
    assert!(!shown().contains(&"2026-01-03T00-00-00Z".to_owned()));
    place.run(["umount", "there"]).ends(0);
}

#[test]
fn what_is_wrong_is_said_before_the_command_returns() {
    let Some(place) = place() else { return };
    place.admin(["mount", "files"]).ends(2).says("not empty");
    place.admin(["mount", "no-such-folder"]).ends(2).says("no-such-folder");
    place.admin(["mount", "repository"]).ends(2).says("one inside the other");
    write(&place.path("wrong"), "00".repeat(32));
    place.with_key("wrong", ["mount", "there"]).ends(12);
    let key = ["key", "add", "--role", "writer", "--label", "w", "--new-key-file", "writer.key"];
    place.admin(key).ends(0);
    place.with_key("writer.key", ["mount", "there"]).ends(5);
    assert!(!is_mounted(&place));
}

#[test]
fn signals_unmount_and_a_killed_process_leaves_nothing_that_cannot_be_cleared() {
    let Some(place) = place() else { return };
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut child = foreground(&place);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        assert!(!is_mounted(&place));
    }
    let mut child = foreground(&place);
    place.run(["umount", "there"]).ends(0);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for clear in ["umount", "mount"] {
        let mut child = foreground(&place);
        signal(&child, "KILL");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(fs::read_dir(place.path("there/by-time")).is_err());
        place.admin([clear, "there"]).ends(0);
    }
    assert_eq!(fs::read(below(&place, "latest", "a")).unwrap(), b"first");
    place.run(["umount", "there"]).ends(0);
}

#[test]
fn lost_packs_are_errors_where_they_are_missed() {
    let Some(place) = place() else { return };
    place.admin(["mount", "there"]).ends(0);
    assert_eq!(fs::read(below(&place, "latest", "a")).unwrap(), b"first");
    place.run(["umount", "there"]).ends(0);
    for pack in super::restore::packs(&place) {
        fs::remove_file(pack).unwrap();
    }
    place.admin(["mount", "there"]).ends(0);
    assert!(fs::read(below(&place, "latest", "a")).is_err());
    assert!(fs::read_link(place.path("there/latest")).is_ok());
    place.run(["umount", "there"]).ends(0);
    let log = fs::read_to_string(place.path("home/.local/state/boveda/mount.log")).unwrap();
    assert!(log.contains("by-time/"), "{log}");
}

#[test]
fn a_place_is_picked_and_printed() {
    let Some(place) = place() else { return };
    let run = |arguments: &[&str]| {
        let mut command = place.admin_command(arguments);
        super::Run::of(command.env("XDG_RUNTIME_DIR", place.path("runtime")))
    };
    fs::create_dir(place.path("runtime")).unwrap();
    let picked = run(&["mount"]).ends(0).out;
    let picked = Path::new(picked.trim_end());
    assert_eq!(picked, place.path("runtime/boveda/repository"));
    assert!(fs::read_dir(picked.join("by-time")).unwrap().count() > 0);
    run(&["mount"]).ends(1).says("mounted already");
    run(&["umount"]).ends(0);
    assert!(!picked.join("by-time").exists());
    run(&["umount"]).ends(1).says("nothing of boveda is mounted");
}

#[test]
fn a_snapshot_of_what_lies_around_a_mount_does_not_go_into_it() {
    let Some(place) = place() else { return };
    place.admin(["mount", "there"]).ends(0);
    let top = place.path("").canonicalize().unwrap();
    let run = place.admin(["snapshot", top.to_str().unwrap(), "--exclude", "home"]).ends(0).says("shows snapshots");
    assert!(run.err.contains("/there "), "{}", run.err);
    let listed = place.admin(["ls", "latest"]).ends(0).out;
    assert!(listed.contains("/there\n") && listed.contains("/files/a\n") && !listed.contains("by-time"), "{listed}");
    let inside = place.path("there/by-time").canonicalize().unwrap();
    let why = place.admin(["snapshot", top.to_str().unwrap(), "--explain", inside.to_str().unwrap()]).ends(0).out;
    assert!(why.contains("a mount of boveda's"), "{why}");
    // Whoever names it means it.
    let named = below(&place, "latest", "deep");
    place.admin(["snapshot", named.to_str().unwrap()]).ends(0);
    place.run(["umount", "there"]).ends(0);
}

#[test]
fn owners_and_modes_are_as_asked_and_caches_stay_apart() {
    use std::os::unix::fs::MetadataExt as _;
    let Some(place) = place() else { return };
    place.admin(["mount", "there", "--owner", "77:78", "--perms", "readable"]).ends(0);
    let seen = fs::metadata(below(&place, "latest", "a")).unwrap();
    assert_eq!((seen.uid(), seen.gid(), seen.mode() & 0o444), (77, 78, 0o444));
    place.run(["umount", "there"]).ends(0);
    place.admin(["mount", "there", "--owner", "nobody"]).ends(2).says("1000:1000");
    place.admin(["mount", "there", "--perms", "all"]).ends(2);
    fs::create_dir_all(place.path("home/.cache/boveda/new")).unwrap();
    place.admin(["mount", "home/.cache/boveda/new"]).ends(2).says("caches");
    assert!(!is_mounted(&place));
}

#[test]
fn a_service_is_printed_and_fstab_understood() {
    let Some(place) = place() else { return };
    let mut command = place.command(["mount", "there", "--print-unit", "--perms", "readable"]);
    let key = place.path("admin.key");
    let run =
        super::Run::of(command.arg("--key-file").arg(&key).env("BOVEDA_REPOSITORY", place.path("repository"))).ends(0);
    let folder = place.path("there").canonicalize().unwrap_or_else(|_| place.path("there"));
    let start = run.out.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    for part in [" -r ", "/repository ", " mount ", "--perms=readable", &format!("--key-file {}", key.display())] {
        assert!(start.contains(part), "{part}: {start}");
    }
    assert!(start.ends_with("/there") && run.out.contains("umount --lazy "), "{}", run.out);
    place.admin(["mount", "there", "--print-unit"]).ends(0).says("will not be able to ask");
    // As `mount` calls it.
    let helper = place.path("mount.boveda");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_boveda"), &helper).unwrap();
    let mount = |options: &str| {
        let mut command = std::process::Command::new(&helper);
        command.env_clear().env("HOME", place.path("home")).env("PATH", std::env::var_os("PATH").unwrap());
        super::Run::of(command.arg(place.path("repository")).arg(&folder).args(["-o", options]))
    };
    let key = format!("rw,noauto,key_file={}", key.display());
    mount("frobnicate").ends(2).says("frobnicate");
    mount(&key).ends(0);
    assert_eq!(fs::read(below(&place, "latest", "a")).unwrap(), b"first");
    place.run(["umount", "there"]).ends(0);
}

#[test]
fn a_mount_leaves_no_pin_behind_however_short_it_is() {
    if !has_fuse() {
        return;
    }
    let place = Place::init();
    write(&place.path("files/a"), "one");
    place.snapshot(&["files"], &[]);
    fs::create_dir(place.path("there")).unwrap();
    let pins = || fs::read_dir(place.path("repository/pins")).map_or(0, Iterator::count);
    for _ in 0..8 {
        place.admin(["mount", "there"]).ends(0);
        assert!(pins() > 0);
        place.run(["umount", "there"]).ends(0);
        let start = Instant::now();
        while pins() > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "{} pins stay", pins());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
