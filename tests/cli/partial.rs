//! Partial snapshots, parents of one's own choice, and how snapshots are kept.

use super::{Place, Run, write};
use std::path::Path;

/// Files of `count` MiB in folders of their own.
fn fill(folder: &Path, count: u64) {
    for n in 0..count {
        let mut bytes = vec![0; 1 << 20];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut bytes);
        write(&folder.join(format!("part{:02}/file\u{1b}[2J{n:02}", n / 4)), bytes);
    }
}

/// A place whose newest snapshot took so long that it left partial ones; their ids, and that of the whole.
fn long_run() -> (Place, Vec<String>, String) {
    let place = Place::init();
    fill(&place.path("files"), 12);
    let options = ["--partial-after", "4M"];
    let run = place.admin(["--json", "snapshot", "files"].iter().chain(&options)).ends(0);
    let summary = run.message("summary");
    let whole = summary["snapshot_id"].as_str().unwrap().to_owned();
    let listed = place.admin(["--json", "snapshots", "--partial"]).ends(0).json();
    let partial = listed.iter().filter(|line| line["partial"] == true);
    let partial: Vec<String> = partial.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(summary["partial_snapshots"], partial.len());
    assert!(partial.len() >= 2, "{listed:?}");
    (place, partial, whole)
}

#[test]
fn partial_snapshots_are_shown_and_used_only_when_asked_for() {
    let (place, partial, whole) = long_run();
    let listed = place.admin(["--json", "snapshots"]).ends(0).json();
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &whole.clone().into()));
    assert!(!place.admin(["snapshots"]).ends(0).out.contains("partial"));
    assert!(place.admin(["snapshots", "--partial"]).ends(0).out.contains("full (partial)"));

    let id = &partial[0][..12];
    let part = place.admin(["ls", "--partial", id]).ends(0).out;
    assert!(part.contains("file\\u{1b}[2J00") && !part.contains("[2J11"), "{part}");
    for refused in [&["ls", id][..], &["restore", id, "--target", "restored"]] {
        place.admin(refused).ends(1).says("is a partial snapshot").says("--partial");
    }
    let latest = place.admin(["--json", "ls", "--partial", "latest"]).ends(0).message("snapshot");
    assert_eq!(latest["id"], whole);

    // It restores what it claims, and nothing else.
    let listed = place.admin(["--json", "ls", "--partial", id]).ends(0).json();
    let claimed: Vec<_> = listed.iter().filter(|node| node["type"] == "file").collect();
    let summary =
        place.admin(["--json", "restore", "--partial", id, "--target", "restored"]).ends(0).message("summary");
    let bytes = claimed.iter().map(|node| node["size"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(summary["total_bytes"], bytes);
    for node in claimed {
        let path = Path::new(node["path"].as_str().unwrap());
        let restored = place.path("restored").join(path.strip_prefix("/").unwrap());
        assert!(std::fs::read(restored).unwrap() == std::fs::read(path).unwrap(), "{}", path.display());
    }
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn a_mount_shows_partial_snapshots_by_time_and_id() {
    if !Path::new("/dev/fuse").exists() {
        assert!(std::env::var_os("CI").is_none(), "/dev/fuse is needed to prove this");
        return;
    }
    let (place, partial, whole) = long_run();
    let folder = place.path("mount");
    std::fs::create_dir(&folder).unwrap();
    let ids = |options: &[&str]| {
        place.admin(["mount", "mount"].iter().chain(options)).ends(0);
        let names = std::fs::read_dir(folder.join("by-id")).unwrap();
        let count = names.count();
        let latest = std::fs::canonicalize(folder.join("latest")).unwrap();
        assert_eq!(latest, std::fs::canonicalize(folder.join("by-id").join(&whole[..8])).unwrap());
        let hosts = std::fs::read_dir(folder.join("by-host"))
            .unwrap()
            .flat_map(|host| std::fs::read_dir(host.unwrap().path()).unwrap());
        assert_eq!(hosts.count(), 2, "the snapshot and `latest`");
        let umounted = || place.run(["umount", "mount"]).code == 0;
        let mut tries = 0;
        while !umounted() {
            tries += 1;
            assert!(tries < 100, "the mount stays busy");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        count
    };
    assert_eq!(ids(&[]), 1);
    assert_eq!(ids(&["--partial"]), 1 + partial.len());
}

#[test]
fn a_parent_can_be_chosen() {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let old = place.snapshot(&["files"], &[]);
    write(&place.path("files/b"), "second");
    let new = place.snapshot(&["files"], &[]);
    let with =
        |parent: &str| place.admin(["--json", "snapshot", "files", "--parent", parent]).ends(0).message("summary");
    let of_old = with(&old[..10]);
    assert_eq!((&of_old["parent"], &of_old["files_unmodified"]), (&old.clone().into(), &1.into()));
    assert_eq!(with("latest")["parent"], of_old["snapshot_id"]);
    assert_eq!(with("latest~2")["parent"], new);
    place.admin(["snapshot", "files", "--parent", "ffffffffff"]).ends(1).says(&old[..8]);
    place.admin(["snapshot", "files", "--parent", "newest"]).ends(2).says("names no snapshot");
    place.admin(["snapshot", "files", "--parent", "latest:/etc"]).ends(2).says("without a path");
}

#[test]
fn an_unchanged_source_can_do_without_a_snapshot() {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let run = || place.admin(["--json", "snapshot", "--skip-if-unchanged", "files"]).ends(0).message("summary");
    let first = run();
    assert_eq!((&first["skipped"], first["snapshot_id"].is_string()), (&false.into(), true));
    let second = run();
    assert_eq!((&second["skipped"], second.get("snapshot_id")), (&true.into(), None));
    let told = place.admin(["snapshot", "--skip-if-unchanged", "files"]).ends(0).out;
    assert!(told.contains("nothing changed: no snapshot was taken"), "{told}");
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).json().len(), 1);
    write(&place.path("files/a"), "second");
    assert_eq!(run()["skipped"], false);
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).json().len(), 2);
}

#[test]
fn access_times_and_sizes_of_packs_are_as_asked_for() {
    let place = Place::init();
    fill(&place.path("files"), 12);
    let file = place.path("files/part00");
    let node = |run: Run| run.ends(0).message("node");
    place.snapshot(&["files"], &["--pack-size", "4MiB"]);
    let seen = || place.admin(["--json", "ls", &format!("latest:{}", file.display())]);
    assert!(node(seen()).get("atime").is_none());
    let packs = std::fs::read_dir(place.path("repository/packs")).unwrap().count();
    assert!(packs >= 3, "{packs}");
    place.snapshot(&["files"], &["--with-atime"]);
    assert!(node(seen())["atime"].is_string());
    for bad in ["3M", "129M", "4X", ""] {
        place.admin(["snapshot", "files", "--pack-size", bad]).ends(2).says("--pack-size");
    }
}
