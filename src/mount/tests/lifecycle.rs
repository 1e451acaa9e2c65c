//! Mounts as they begin, change and end.

use super::{SNAPSHOT, WHEN, eventually, names};
use crate::event::Silent;
use crate::mount::testing::{Mounted, Repository};
use crate::mount::{Error, Options, Session, unmount};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn new_snapshots_appear() {
    let repository = Arc::new(Repository::default());
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    assert_eq!(fs::read_link(mounted.at("latest")).unwrap_err().kind(), io::ErrorKind::NotFound);
    repository.snapshot(WHEN, "web", vec![("/a", repository.chunks.text(b"1"))]);
    eventually("the first is there", || fs::read(mounted.at("latest/a")).is_ok_and(|text| text == b"1"));
    let inode = fs::metadata(mounted.at(SNAPSHOT)).unwrap().ino();
    repository.snapshot(WHEN + 1, "db", vec![("/a", repository.chunks.text(b"2"))]);
    eventually("latest moves", || fs::read(mounted.at("latest/a")).is_ok_and(|text| text == b"2"));
    assert_eq!(names(&mounted.at("by-host")), ["db", "web"]);
    assert_eq!(fs::read(mounted.at(SNAPSHOT).join("a")).unwrap(), b"1");
    assert_eq!(fs::metadata(mounted.at(SNAPSHOT)).unwrap().ino(), inode);
}

#[test]
fn a_busy_mount_is_refused_or_detached() {
    let repository = Arc::new(Repository::default());
    repository.snapshot(WHEN, "web", vec![("/a", repository.chunks.text(b"1"))]);
    let Some(mut mounted) = Mounted::new(&repository, |_| {}) else { return };
    let file = File::open(mounted.at(SNAPSHOT).join("a")).unwrap();
    let Err(Error::Unmount { reason, .. }) = unmount(mounted.folder.path(), false) else { panic!("it is busy") };
    assert!(reason.contains(&format!("process {}", std::process::id())), "{reason}");
    let again = Session::start(&Options::new(mounted.folder.path()), repository.clone(), Arc::new(Silent));
    assert!(matches!(again, Err(Error::Mounted(_))));
    unmount(mounted.folder.path(), true).unwrap();
    assert_eq!(names(mounted.folder.path()), [] as [&str; 0]);
    let mut seen = [0];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"1", "whoever had it open goes on");
    drop(file);
    mounted.session.wait(&Silent).unwrap();
    assert!(matches!(unmount(mounted.folder.path(), false), Err(Error::NotMounted(_))));
}

/// Where the test below, run in a process of its own, is to mount.
const ELSEWHERE: &str = "BOVEDA_TEST_MOUNT_AT";

/// Not a test by itself: what `a_killed_process_leaves_nothing_that_cannot_be_cleared` runs and kills.
#[test]
fn serves_until_it_is_killed() {
    let Some(path) = std::env::var_os(ELSEWHERE) else { return };
    let _session = Session::start(&Options::new(path), Arc::new(Repository::default()), Arc::new(Silent)).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_process_leaves_nothing_that_cannot_be_cleared() {
    let folder = tempfile::tempdir().unwrap();
    if !Path::new("/dev/fuse").exists() {
        return println!("skipped: there is no /dev/fuse");
    }
    let leave_dead = || {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "mount::tests::lifecycle::serves_until_it_is_killed"])
            .env(ELSEWHERE, folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        eventually("the other process serves", || folder.path().join("by-time").exists());
        process.kill().unwrap();
        process.wait().unwrap();
        eventually("the mount is dead", || crate::mount::unmount::is_dead(folder.path()));
    };
    leave_dead();
    unmount(folder.path(), false).unwrap();
    assert_eq!(names(folder.path()), [] as [&str; 0]);
    leave_dead();
    let repository = Arc::new(Repository::default());
    let session = Session::start(&Options::new(folder.path()), repository, Arc::new(Silent)).unwrap();
    assert_eq!(names(&folder.path().join("by-time")), [] as [&str; 0]);
    drop(session);
    assert_eq!(names(folder.path()), [] as [&str; 0]);
}
