//! What differs between two snapshots, as a folder.

use super::{SNAPSHOT, WHEN, code, names};
use crate::mount::testing::{Mounted, Repository};
use crate::repo::catalog::testing::entry;
use crate::repo::entry::{Entry, EntryKind};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::sync::Arc;

fn pair(later: &str) -> String {
    format!("changes/{}..1970-01-02T03-04-{later}Z", SNAPSHOT.strip_prefix("by-time/").unwrap())
}

#[test]
fn only_what_differs_is_there() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let folder = |mode| Entry { mode, ..entry(EntryKind::Directory) };
    let same = || ("/etc/same", chunks.text(b"same"));
    let shadow = || Entry { mode: 0o600, ..chunks.text(b"secret") };
    repository.snapshot(
        WHEN,
        "web",
        vec![
            same(),
            ("/etc/fstab", chunks.text(b"old")),
            ("/etc/gone", chunks.text(b"gone")),
            ("/old/deep/file", chunks.text(b"1")),
            ("/quiet/file", chunks.text(b"2")),
            ("/private", folder(0o700)),
            ("/private/shadow", shadow()),
            ("/turns", chunks.text(b"a file")),
        ],
    );
    repository.snapshot(WHEN + 1, "db", vec![same()]);
    repository.snapshot(
        WHEN + 2,
        "web",
        vec![
            same(),
            ("/etc/fstab", chunks.text(b"new")),
            ("/etc/added", chunks.text(b"added")),
            ("/new/deep/file", chunks.text(b"3")),
            ("/quiet/file", chunks.text(b"2")),
            ("/private", folder(0o755)),
            ("/private/shadow", Entry { mode: 0o644, ..shadow() }),
            ("/turns/into", chunks.text(b"a folder")),
        ],
    );
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    // The snapshot between them is of another host.
    assert_eq!(names(&mounted.at("changes")), [pair("07").strip_prefix("changes/").unwrap()]);
    let at = |path: &str| mounted.at(&pair("07")).join(path);
    assert_eq!(names(&at("")), ["etc", "new", "old@removed", "private", "turns", "turns@removed"]);
    assert_eq!(names(&at("etc")), ["added", "fstab", "gone@removed"]);
    assert_eq!(fs::read(at("etc/fstab")).unwrap(), b"new");
    assert_eq!(fs::read(at("etc/gone@removed")).unwrap(), b"gone");
    assert_eq!(fs::read(at("new/deep/file")).unwrap(), b"3");
    assert_eq!(fs::read(at("old@removed/deep/file")).unwrap(), b"1");
    assert_eq!(
        (fs::read(at("turns/into")).unwrap(), fs::read(at("turns@removed")).unwrap()),
        (b"a folder".into(), b"a file".into())
    );
    for absent in ["etc/same", "etc/gone", "quiet", "etc/added@removed", "nothing", "old"] {
        assert_eq!(fs::metadata(at(absent)).unwrap_err().kind(), std::io::ErrorKind::NotFound, "{absent}");
    }
    // Nobody gets in here who did not get in both times.
    assert_eq!(fs::metadata(at("private")).unwrap().permissions().mode() & 0o777, 0o700);
    let file = fs::metadata(mounted.at("by-time/1970-01-02T03-04-07Z/etc/fstab")).unwrap();
    assert_eq!(fs::metadata(at("etc/fstab")).unwrap().ino(), file.ino(), "the entry itself");
    assert_eq!(code(&fs::write(at("etc/own"), b"").unwrap_err()), rustix::io::Errno::ROFS);
    assert_eq!(fs::metadata(at("etc/..")).unwrap().ino(), fs::metadata(at("")).unwrap().ino());
    let found = Command::new("find").arg(mounted.at("changes")).args(["-type", "f"]).output().unwrap();
    assert!(found.status.success(), "{found:?}");
    assert_eq!(found.stdout.split(|byte| *byte == b'\n').count() - 1, 8);

    // Any other two are there for whoever names them, in either order.
    let back = format!("changes/1970-01-02T03-04-07Z..{}", SNAPSHOT.strip_prefix("by-time/").unwrap());
    assert_eq!(names(&mounted.at(&back).join("etc")), ["added@removed", "fstab", "gone"]);
    assert_eq!(
        names(&mounted.at(&pair("06"))),
        ["etc", "old@removed", "private@removed", "quiet@removed", "turns@removed"]
    );
    assert_eq!(names(&mounted.at(&pair("05"))), [""; 0], "nothing differs from itself");
    for wrong in ["changes/latest", "changes/..1970-01-02T03-04-07Z", "changes/a..b"] {
        assert!(
            fs::read_dir(mounted.at(wrong)).is_err_and(|error| code(&error) == rustix::io::Errno::NOENT),
            "{wrong}"
        );
    }
}

#[test]
fn long_listings_are_whole() {
    let repository = Arc::new(Repository::default());
    for (seconds, changed) in [(WHEN, false), (WHEN + 2, true)] {
        let text = |at: usize| repository.chunks.text(format!("{at} {}", changed && at.is_multiple_of(2)).as_bytes());
        let entries: Vec<_> = (0..3000).map(|at| (format!("/{}/{at:04}", at % 3), text(at))).collect();
        repository.snapshot(seconds, "web", entries.iter().map(|(at, entry)| (at.as_str(), entry.clone())).collect());
    }
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    for folder in ["0", "1", "2"] {
        let seen = names(&mounted.at(&pair("07")).join(folder));
        assert_eq!(seen.len(), 500);
        assert!(seen.iter().all(|name| name.parse::<u32>().unwrap() % 2 == 0));
    }
}
