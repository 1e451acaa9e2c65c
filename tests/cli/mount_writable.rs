//! `mount --writable`: what is written stays in a folder, and the snapshots stay as they are.

use super::mount::{below, eventually, is_mounted, place, signal};
use super::privileged::is_root;
use super::{Place, write};
use std::fs;
use std::process::Stdio;

/// A place, where overlays can be mounted.
fn writable() -> Option<Place> {
    is_root().then(place).flatten()
}

#[test]
fn what_is_written_stays_in_the_folder_and_can_be_kept() {
    let Some(place) = writable() else { return };
    // Names that would end an option.
    let upper = "up,per:1";
    let run = place.admin(["mount", "there", "--writable", upper]).ends(0);
    assert!(run.out.contains(&format!("{upper}/changed")), "{}", run.out);
    let file = below(&place, "latest", "a");
    fs::write(&file, "tried").unwrap();
    fs::create_dir(below(&place, "latest", "new")).unwrap();
    fs::write(below(&place, "latest", "new/file"), "new").unwrap();
    fs::remove_file(below(&place, "latest", "deep/b")).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"tried");
    assert!(!below(&place, "latest", "deep/b").exists());
    let snapshot = fs::read_link(place.path("there/latest")).unwrap();
    let changed = place.path(upper).join("changed").join(&snapshot);
    assert_eq!(fs::read(changed.join(place.path("files/a").strip_prefix("/").unwrap())).unwrap(), b"tried");
    // A snapshot of what is shown now.
    let folder = below(&place, "latest", "").canonicalize().unwrap();
    let id = place.snapshot(&[folder.to_str().unwrap()], &[]);
    let kept = |name: &str| place.admin(["dump", &id, folder.join(name).to_str().unwrap()]);
    assert_eq!((kept("a").ends(0).out, kept("new/file").ends(0).out), ("tried".to_owned(), "new".to_owned()));
    assert_ne!(kept("deep/b").code, 0);
    // One of what lies around does not go into it.
    let listed = {
        place.admin(["snapshot", place.path("").to_str().unwrap(), "--exclude", "home", "--exclude", upper]).ends(0);
        place.admin(["ls", "latest"]).ends(0).out
    };
    assert!(listed.contains("/there\n") && !listed.contains("by-time"), "{listed}");
    place.admin(["mount", "there"]).ends(1).says("mounted already");
    place.run(["umount", "there"]).ends(0);
    assert!(!is_mounted(&place));
    eventually("the overlay's own folder goes", || !place.path(upper).join("work").exists());

    place.admin(["mount", "there"]).ends(0);
    let past = place.path("there").join(&snapshot).join(place.path("files").strip_prefix("/").unwrap());
    assert_eq!(fs::read(past.join("a")).unwrap(), b"first");
    assert!(past.join("deep/b").exists() && !past.join("new").exists());
    assert!(fs::write(past.join("a"), "x").is_err());
    place.run(["umount", "there"]).ends(0);
    place.admin(["mount", "there", "--writable", upper]).ends(0);
    assert_eq!(fs::read(past.join("a")).unwrap(), b"tried", "it goes on where it was");
    place.run(["umount", "there"]).ends(0);
}

#[test]
fn a_killed_process_leaves_nothing_that_cannot_be_cleared() {
    let Some(place) = writable() else { return };
    let start = || {
        let mut command = place.admin_command(["mount", "--foreground", "there", "--writable", "upper"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("it can be written to", || fs::write(below(&place, "latest", "mine"), "mine").is_ok());
        child
    };
    for clear in [&["umount", "there"][..], &["mount", "there", "--writable", "upper"]] {
        let mut child = start();
        signal(&child, "KILL");
        child.wait().unwrap();
        place.admin(clear).ends(0);
    }
    assert_eq!(fs::read(below(&place, "latest", "mine")).unwrap(), b"mine");
    place.run(["umount", "there"]).ends(0);
    assert!(!is_mounted(&place));
    // A signal takes both away.
    let mut child = start();
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!is_mounted(&place) && !place.path("upper/work").exists());
}

#[test]
fn a_folder_that_will_not_do_is_refused() {
    let Some(place) = place() else { return };
    for wrong in ["there/upper", "repository/upper", "home/.cache/boveda/upper"] {
        place.admin(["mount", "there", "--writable", wrong]).ends(2).says("one inside the other");
        assert!(!place.path(wrong).exists(), "{wrong}");
    }
    write(&place.path("file"), "x");
    place.admin(["mount", "there", "--writable", "file"]).ends(2).says("file");
    assert!(!is_mounted(&place));
    let unit = place.admin(["mount", "there", "--writable", "upper", "--print-unit"]).ends(0).out;
    assert!(unit.contains("--writable=/"), "{unit}");
}
