//! `snapshot`, `snapshots`, `ls`: what is stored, what is listed, which snapshot is meant.

use super::{Place, write};

fn place_with_files() -> Place {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    write(&place.path("files/deep/b"), "second");
    place
}

#[test]
fn a_snapshot_counts_what_is_new_and_what_changed() {
    let place = place_with_files();
    let first = place.admin(["--json", "snapshot", "files"]).ends(0).message("summary");
    assert_eq!((&first["files_new"], &first["kind"], &first["dry_run"]), (&2.into(), &"full".into(), &false.into()));
    assert_eq!(first["total_bytes_processed"], 11);
    write(&place.path("files/a"), "first, changed");
    // Stamps younger than two seconds are not relied on, and whole seconds are counted.
    std::thread::sleep(std::time::Duration::from_millis(3100));
    place.snapshot(&["files"], &[]);
    let third = place.admin(["--json", "backup", "files"]).ends(0).message("summary");
    assert_eq!((&third["files_unmodified"], &third["files_changed"]), (&2.into(), &0.into()));
    assert_eq!(
        (&third["kind"], &third["data_added"].as_u64().map(|n| n < 65536)),
        (&"incremental".into(), &Some(true))
    );
    let full = place.admin(["--json", "snapshot", "--full", "files"]).ends(0).message("summary");
    assert_eq!(full["kind"], "full");
}

#[test]
fn a_dry_run_stores_nothing() {
    let place = place_with_files();
    let run = place.admin(["--json", "-v", "snapshot", "--dry-run", "files"]).ends(0);
    assert!(run.message("summary").get("snapshot_id").is_none());
    assert!(run.out.contains("\"item\":\"") && run.out.contains("/files/deep/b"), "{}", run.out);
    assert!(place.admin(["--json", "snapshots"]).ends(0).json().is_empty());
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_stored() {
    let place = place_with_files();
    place.admin(["snapshot", "files", "missing"]).ends(3).says("missing");
    assert_eq!(place.admin(["--json", "snapshots"]).ends(0).json().len(), 1);
    place.admin(["snapshot", "missing"]).ends(1).says("missing");
}

#[test]
fn snapshots_are_listed_and_filtered() {
    let place = place_with_files();
    let old = ["--host", "web", "--tag", "a,b", "--time", "2020-01-02 03:04:05"];
    let id = place.snapshot(&["files"], &old);
    place.snapshot(&["files/deep"], &["--host", "db"]);
    let all = place.admin(["--json", "snapshots"]).ends(0).json();
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0]["id"], &all[0]["hostname"]), (&id.clone().into(), &"web".into()));
    assert_eq!((&all[0]["time"], &all[0]["tags"]), (&"2020-01-02T03:04:05Z".into(), &serde_json::json!(["a", "b"])));
    assert_eq!(all[0]["paths"][0], place.path("files").to_str().unwrap());
    let only = |filter: &[&str]| place.admin(["--json", "snapshots"].iter().chain(filter)).ends(0).json().len();
    let files = place.path("files");
    let filters = [&["-H", "web"][..], &["--tag", "a,b"], &["--path", files.to_str().unwrap()]];
    for filter in filters {
        assert_eq!(only(filter), 1, "{filter:?}");
    }
    assert_eq!(only(&["--tag", "a,c"]), 0);
    let table = place.admin(["snapshots"]).ends(0).out;
    assert!(table.contains(&id[..8]) && table.contains("2020-01-02 03:04:05"), "{table}");
}

#[test]
fn selectors_name_one_snapshot_or_list_candidates() {
    let place = place_with_files();
    let old = place.snapshot(&["files"], &["--time", "2020-01-02 03:04:05"]);
    let new = place.snapshot(&["files/deep"], &[]);
    let shown = |selector: &str| place.admin(["--json", "ls", selector]).ends(0).message("snapshot")["id"].clone();
    for (selector, id) in
        [("latest", &new), ("latest~1", &old), ("@2020-01-02", &old), ("@2020-01-02T03:04", &old), (&old[..10], &old)]
    {
        if selector != "@2020-01-02T03:04" {
            assert_eq!(shown(selector), **id, "{selector}");
        }
    }
    place.admin(["ls", "@2020-01-02T03:04"]).ends(1).says(&old[..8]);
    place.admin(["ls", "latest~2"]).ends(1).says(&new[..8]);
    place.admin(["ls", "nonsense"]).ends(2);
    place.admin(["ls", "latest:/no/such/file"]).ends(1).says("/no/such/file");
}

#[test]
fn ls_lists_folders_and_everything() {
    let place = place_with_files();
    place.snapshot(&["files"], &["--exclude", "*.tmp"]);
    let files = place.path("files");
    let files = files.to_str().unwrap();
    let folder = place.admin(["ls", &format!("latest:{files}")]).ends(0).out;
    assert_eq!(folder, format!("{files}/a\n{files}/deep\n"));
    let several = place.admin(["ls", "latest", files, &format!("{files}/deep")]).ends(0).out;
    assert_eq!(several, format!("{files}/a\n{files}/deep\n{files}/deep/b\n"));
    let below = place.admin(["ls", &format!("latest:{files}"), "deep", "a"]).ends(0).out;
    assert_eq!(below, format!("{files}/deep/b\n{files}/a\n"));
    place.admin(["ls", "latest", "/no/such"]).ends(1).says("there is no /no/such");
    let everything = place.admin(["ls", "latest"]).ends(0).out;
    assert!(everything.contains(&format!("{files}/deep/b\n")), "{everything}");
    let long = place.admin(["ls", "-l", &format!("latest:{files}/a")]).ends(0).out;
    assert!(long.starts_with("-rw") && long.contains(" 5 "), "{long}");
    let node = place.admin(["--json", "ls", &format!("latest:{files}/a")]).ends(0).message("node");
    assert_eq!((&node["type"], &node["size"], &node["name"]), (&"file".into(), &5.into(), &"a".into()));
}

#[test]
fn names_cannot_drive_the_terminal() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::init();
    let name = std::ffi::OsStr::from_bytes(b"a\x1b[2J\n\xff");
    write(&place.path("files").join(name), "");
    place.snapshot(&["files"], &[]);
    let run = place.admin(["ls", "latest"]).ends(0);
    assert!(run.out.contains("a\\u{1b}[2J\\n\\xff"), "{}", run.out);
    let nodes = place.admin(["--json", "ls", "latest"]).ends(0).json();
    assert!(nodes.iter().any(|node| node["name_hex"] == "611b5b324a0aff"));
}
