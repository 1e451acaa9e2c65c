//! `verify --attest`: what one writer stored, others may use once a reader has opened all of it.

use super::{Place, write};
use crate::world::noise;

const LENGTH: usize = 300_000;

/// A place with keys of two writers, a reader and a maintainer, and a file that both writers have.
fn place() -> Place {
    let place = Place::init();
    for (role, name) in [("writer", "laptop"), ("writer", "desktop"), ("reader", "auditor"), ("maintainer", "storage")]
    {
        let file = format!("{name}.key");
        place.admin(["key", "add", "--role", role, "--label", name, "--new-key-file", &file]).ends(0);
    }
    write(&place.path("files/file"), noise(1, LENGTH));
    place
}

fn added(place: &Place, name: &str) -> u64 {
    let run = place.with_key(&format!("{name}.key"), ["--json", "snapshot", "-H", name, "files"]).ends(0);
    run.message("summary")["data_added"].as_u64().unwrap()
}

#[test]
fn what_is_attested_is_not_stored_again_by_others() {
    let place = place();
    assert!(added(&place, "laptop") > LENGTH as u64 / 2);
    let run = place.with_key("auditor.key", ["--json", "verify", "--level", "full", "--attest"]).ends(0);
    assert_eq!(run.message("summary")["attested"], 1);
    write(&place.path("files/more"), "something that only one of them stored");
    assert!((1..LENGTH as u64 / 2).contains(&added(&place, "desktop")));
    // An admin may too; what was attested already, and what an admin stored, needs no word.
    place.snapshot(&["files"], &["-H", "admin"]);
    place.admin(["verify", "--level", "full", "--attest"]).ends(0).tells("2 sessions attested");
    place.admin(["verify", "--level", "full", "--attest"]).ends(0).tells("0 sessions attested");
    place.admin(["verify", "--level", "full"]).ends(0);
}

#[test]
fn only_who_may_attest_does_and_only_after_opening_everything() {
    let place = place();
    added(&place, "laptop");
    place.with_key("auditor.key", ["verify", "--attest"]).ends(2).says("--level full");
    place.with_key("auditor.key", ["verify", "--level", "scrub", "--keyless", "--attest"]).ends(2);
    for name in ["laptop", "storage"] {
        let key = format!("{name}.key");
        place.with_key(&key, ["verify", "--level", "full", "--attest"]).ends(5);
    }
    assert!(added(&place, "desktop") > LENGTH as u64 / 2, "nobody attested anything");
}
