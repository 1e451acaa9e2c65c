//! `list` and `cat`: what is in a repository, object by object, and that no key is ever shown.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;

use super::{Place, Run, write};

/// A place with one snapshot of two small files, one with a name that would drive a terminal, and a large one.
fn place() -> (Place, String) {
    let place = Place::init();
    write(&place.path("source/plain"), "some text");
    write(&place.path("source").join(OsStr::from_bytes(b"bad\x1b[2J\xff\xe2\x80\xae")), "other text");
    let large: Vec<u8> = (0..3_000_000u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
    write(&place.path("source/large"), large);
    let id = place.snapshot(&["source"], &["--tag", "first"]);
    (place, id)
}

/// The ids that `list` gives.
fn ids(place: &Place, kind: &str) -> Vec<String> {
    let run = place.admin(["-q", "list", kind]).ends(0);
    run.out.lines().map(str::to_owned).collect()
}

fn cat(place: &Place, kind: &str, id: &str) -> Value {
    let run = place.admin(["--json", "cat", kind, id]).ends(0);
    serde_json::from_str(&run.out).unwrap()
}

#[test]
fn every_object_that_is_listed_can_be_shown() {
    let (place, _) = place();
    for (kind, least) in
        [("packs", 1), ("idx", 2), ("snapshots", 1), ("sessions", 1), ("slots", 2), ("log", 1), ("chunks", 5)]
    {
        let ids = ids(&place, kind);
        assert!(ids.len() >= least, "{kind}: {ids:?}");
        let singular = kind.trim_end_matches('s');
        for id in &ids {
            assert_eq!(cat(&place, singular, id)["id"].as_str().unwrap_or(id), id, "{kind}");
        }
        let lines = place.admin(["--json", "list", kind]).ends(0).json();
        assert!(lines.iter().all(|line| line["message_type"] == "object"), "{lines:?}");
        assert_eq!(lines.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    }
    assert_eq!(ids(&place, "keys").len() + ids(&place, "census").len(), 0);
}

#[test]
fn a_way_leads_from_the_snapshot_to_the_bytes() {
    let (place, id) = place();
    let record = cat(&place, "snapshot", "latest");
    assert_eq!((&record["id"], &record["tags_at_first"][0]), (&id.as_str().into(), &"first".into()));
    let root = cat(&place, "page", record["tree"].as_str().unwrap());
    assert_eq!(root["family"], "catalog");
    let tree = cat(&place, "tree", &format!("latest:{}", place.path("source/plain").display()));
    let chunk = tree["node"]["content"][0]["chunk"].as_str().unwrap();
    assert_eq!(place.admin(["cat", "chunk", &chunk[..12]]).ends(0).out, "some text");
    let places = cat(&place, "chunk", chunk);
    assert_eq!(places["kind"], "data");
    let pack = cat(&place, "pack", &places["places"][0]["pack"].as_str().unwrap()[..10]);
    let all = pack["segments"].as_array().unwrap().iter().flat_map(|segment| segment["chunks"].as_array().unwrap());
    assert!(all.clone().any(|one| one == chunk), "{pack:#}");
    let large = cat(&place, "tree", &format!("latest:{}", place.path("source/large").display()));
    assert!(large["node"]["content"].as_array().unwrap().len() > 20);
    let session = cat(&place, "session", &ids(&place, "sessions")[0]);
    assert_eq!((&session["state"], &session["end"]["snapshots"][0]), (&"committed".into(), &id.as_str().into()));
    let founding = cat(&place, "log", "0");
    assert_eq!((&founding["type"], &founding["author_label"]), (&"CERT".into(), &founding["decision"]["label"]));
    assert_eq!(cat(&place, "idx", &ids(&place, "idx")[0])["counts"], true);
}

#[test]
fn what_is_no_object_or_several_is_said() {
    let (place, _) = place();
    place.admin(["cat", "pack", "zz"]).ends(1).says("boveda list");
    place.admin(["cat", "log", "7"]).ends(1).says("no log entry `7`");
    place.admin(["cat", "slot", ""]).ends(1).says("fits 2");
    place.admin(["cat", "pack"]).ends(2).says("ID is missing");
    place.admin(["cat", "config", "x"]).ends(2);
    place.admin(["cat", "session", "abc"]).ends(2).says("WRITER/NUMBER");
    place.admin(["cat", "tree", "latest:/nowhere"]).ends(1).says("/nowhere");
    place.admin(["cat", "snapshot", "latest:/etc"]).ends(2);
    place.admin(["cat", "cupboard", "1"]).ends(2);
    place.admin(["list", "cupboards"]).ends(2);
}

#[test]
fn no_key_is_shown() {
    let (place, _) = place();
    let key = std::fs::read_to_string(place.path("admin.key")).unwrap();
    let mut all = place.admin(["cat", "config"]).ends(0).out;
    for kind in ["slots", "log", "sessions", "snapshots", "idx", "packs"] {
        for id in ids(&place, kind) {
            all += &place.admin(["cat", kind.trim_end_matches('s'), &id]).ends(0).out;
        }
    }
    assert!(!all.contains(key.trim()));
    for forbidden in ["sealed", "seed", "secret", "commitment", "salt"] {
        assert!(!all.contains(forbidden), "{forbidden} in {all}");
    }
}

#[test]
fn names_cannot_drive_a_terminal() {
    let (place, _) = place();
    let run = place.admin(["cat", "tree", &format!("latest:{}", place.path("source").display())]).ends(0);
    assert!(!run.out.contains(['\u{1b}', '\u{202e}']), "{}", run.out);
    let value: Value = serde_json::from_str(&run.out).unwrap();
    let names: Vec<_> = value["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"bad\u{1b}[2J\u{fffd}\u{202e}"), "{names:?}");
    assert_eq!(value["nodes"][0]["name_hex"], "6261641b5b324affe280ae");
}

#[test]
fn roles_look_as_far_as_their_keys_go() {
    let (place, id) = place();
    for role in ["writer", "maintainer"] {
        let key = format!("{role}.key");
        place.admin(["key", "add", "--role", role, "--label", role, "--new-key-file", &key]).ends(0);
    }
    let writer = |arguments: &[&str]| place.with_key("writer.key", arguments);
    writer(&["cat", "config"]).ends(0);
    writer(&["list", "slots"]).ends(0);
    writer(&["list", "packs"]).ends(5);
    writer(&["cat", "snapshot", &id]).ends(5);
    let maintainer = |arguments: &[&str]| place.with_key("maintainer.key", arguments);
    let record: Run = maintainer(&["cat", "snapshot", &id]).ends(0);
    assert!(!record.out.contains("hostname") && record.out.contains("tokens"), "{}", record.out);
    maintainer(&["cat", "tree", &id]).ends(5);
    let chunks = place.admin(["--json", "list", "chunks"]).json();
    let of = |kind: &str| {
        let found = chunks.iter().find(|chunk| chunk["chunk_kind"] == kind).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    assert!(maintainer(&["--json", "cat", "chunk", &of("skeleton")]).ends(0).out.contains("places"));
    maintainer(&["cat", "chunk", &of("data")]).ends(5);
}

#[test]
fn an_object_that_cannot_be_read_is_listed_and_ends_with_4() {
    let (place, _) = place();
    place.admin(["key", "add", "--role", "reader", "--label", "r", "--new-key-file", "r.key"]).ends(0);
    for slot in ids(&place, "slots") {
        let shown = cat(&place, "slot", &slot);
        if shown["role"] == "reader" {
            for copy in [slot.clone(), format!("{slot}.2")] {
                write(&place.path("repository/slots").join(copy), "rubbish");
            }
        }
    }
    let run = place.admin(["list", "slots"]).ends(4);
    assert!(run.out.contains("unreadable"), "{}", run.out);
}
