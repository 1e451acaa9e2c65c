//! The time axis, other faces, and what is known of entries.

use super::{SNAPSHOT, WHEN, code, eventually, names};
use crate::mount::Face;
use crate::mount::testing::{Mounted, Repository};
use crate::repo::catalog::testing::entry;
use crate::repo::entry::{Entry, EntryKind};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

const SECOND: &str = "1970-01-02T03-04-06Z";
const THIRD: &str = "1970-01-02T03-04-07Z";

fn first() -> &'static str {
    SNAPSHOT.strip_prefix("by-time/").unwrap()
}

fn xattr(path: &Path, name: &str) -> Result<String, rustix::io::Errno> {
    let mut value = vec![0; 100];
    let length = rustix::fs::getxattr(path, name, &mut value)?;
    Ok(String::from_utf8(value[..length].to_vec()).unwrap())
}

#[test]
fn every_content_of_a_path_stands_side_by_side() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let folder = |mode| Entry { mode, ..entry(EntryKind::Directory) };
    repository.snapshot(
        WHEN,
        "web",
        vec![("/d", folder(0o755)), ("/d/f", chunks.text(b"one")), ("/x", chunks.text(b"file"))],
    );
    repository.snapshot(WHEN + 1, "web", vec![("/d", folder(0o750)), ("/d/f", chunks.text(b"two"))]);
    let twice = Entry { mode: 0o600, ..chunks.text(b"one") };
    repository.snapshot(WHEN + 2, "web", vec![("/d/f", twice), ("/x/in", entry(EntryKind::Symlink(b"f".to_vec())))]);
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let at = |path: &str| mounted.at("versions").join(path);
    assert_eq!(names(&at("")), ["d", "x", "x@versions"]);
    assert_eq!(names(&at("d")), ["f"]);
    assert_eq!(names(&at("d/f")), [first(), SECOND]);
    assert_eq!(fs::read(at("d/f").join(first())).unwrap(), b"one");
    assert_eq!(fs::read(at("d/f").join(SECOND)).unwrap(), b"two");
    assert_eq!(fs::metadata(at("d/f").join(THIRD)).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(names(&at("x")), ["in"]);
    assert_eq!(fs::read_link(at("x/in").join(THIRD)).unwrap(), Path::new("f"));
    assert_eq!(names(&at("x@versions")), [first()]);
    assert!(fs::metadata(at("d@versions")).is_err() && fs::metadata(at("nothing")).is_err());
    assert_eq!(
        fs::metadata(at("d/f").join(SECOND)).unwrap().ino(),
        fs::metadata(mounted.at("by-time").join(SECOND).join("d/f")).unwrap().ino()
    );
    assert_eq!(fs::metadata(at("d")).unwrap().mode() & 0o777, 0o750, "nobody gets in who once did not");
    assert_eq!(code(&fs::write(at("d/new"), b"").unwrap_err()), rustix::io::Errno::ROFS);
    for entry in fs::read_dir(at("d/f")).unwrap() {
        use std::os::unix::fs::DirEntryExt as _;
        let entry = entry.unwrap();
        assert_eq!(entry.ino(), entry.metadata().unwrap().ino());
    }
    repository.snapshot(WHEN + 3, "db", vec![("/d/f", chunks.text(b"three")), ("/y", chunks.text(b""))]);
    eventually("the new version is there", || names(&at("d/f")).len() == 3 && names(&at("")).len() == 4);
}

#[test]
fn files_whose_names_look_like_versions_keep_them() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    repository.snapshot(WHEN, "web", vec![("/a", chunks.text(b"a")), ("/a@versions", chunks.text(b"own"))]);
    repository.snapshot(WHEN + 1, "web", vec![("/a/b", chunks.text(b"b"))]);
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let at = |path: &str| mounted.at("versions").join(path);
    assert_eq!(names(&at("")), ["a", "a@versions", "a@versions@versions"]);
    assert_eq!(fs::read(at("a@versions").join(first())).unwrap(), b"own");
    assert_eq!(fs::read(at("a@versions@versions").join(first())).unwrap(), b"a");
}

#[test]
fn what_is_known_of_an_entry_is_told_by_name_and_not_listed() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let file = chunks.text(&[7; 2500]);
    let own = chunks.xattr(chunks.text(b"x"), "user.boveda.chunks", b"stored");
    let entries = vec![("/d/f", file.clone()), ("/d/e/same", file), ("/d/other", chunks.text(b"abc")), ("/own", own)];
    repository.snapshot(WHEN, "web", entries);
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let get = |path: &str, name: &str| xattr(&mounted.at(SNAPSHOT).join(path), &format!("user.boveda.{name}"));
    assert_eq!(get("d/f", "snapshot").unwrap(), "01".repeat(32));
    assert_eq!(get("", "snapshot").unwrap(), "01".repeat(32));
    assert_eq!(get("d/f", "chunks").unwrap(), "3");
    assert_eq!(get("d/f", "content").unwrap(), get("d/e/same", "content").unwrap());
    assert_ne!(get("d/f", "content").unwrap(), get("d/other", "content").unwrap());
    assert_eq!((get("d", "size").unwrap(), get("d", "entries").unwrap()), ("5003".to_owned(), "4".to_owned()));
    assert_eq!((get("", "size").unwrap(), get("", "entries").unwrap()), ("5004".to_owned(), "6".to_owned()));
    assert_eq!(get("own", "chunks").unwrap(), "stored");
    for (path, name) in [("d", "chunks"), ("d/f", "size"), ("d/f", "nothing")] {
        assert_eq!(get(path, name).unwrap_err(), rustix::io::Errno::NODATA, "{path} {name}");
    }
    let mut listed = [0; 100];
    assert_eq!(rustix::fs::listxattr(mounted.at(SNAPSHOT).join("d/f"), &mut listed), Ok(0));
}

#[test]
fn owners_and_modes_are_shown_as_asked() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let private = |entry: Entry| Entry { mode: 0o700, uid: 70_000, gid: 70_001, ..entry };
    let file = chunks.xattr(chunks.text(b"x"), "system.posix_acl_access", b"");
    repository.snapshot(WHEN, "web", vec![("/d", private(entry(EntryKind::Directory))), ("/d/f", private(file))]);
    let look = |face: Face| {
        let mounted = Mounted::new(&repository, |options| options.face = face)?;
        let seen = ["by-time/1970-01-02T03-04-05Z/d", "by-time/1970-01-02T03-04-05Z/d/f", "versions/d"].map(|path| {
            let seen = fs::metadata(mounted.at(path)).unwrap();
            (seen.uid(), seen.gid(), seen.permissions().mode() & 0o7777)
        });
        Some(seen)
    };
    let Some(stored) = look(Face::default()) else { return };
    assert_eq!(stored, [(70_000, 70_001, 0o700); 3]);
    let theirs = Face { owner: Some((5, 6)), ..Face::default() };
    assert_eq!(look(theirs).unwrap(), [(5, 6, 0o700); 3]);
    assert_eq!(look(Face { readable: true, ..Face::default() }).unwrap(), [(70_000, 70_001, 0o755); 3]);
}
