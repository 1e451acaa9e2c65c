//! Words that users of other programs type, and that mean the same here.

use super::{Place, write};

fn level(place: &Place, arguments: &[&str]) -> String {
    let run = place.admin(["--json"].iter().chain(arguments)).ends(0);
    run.message("summary")["level"].as_str().unwrap().to_owned()
}

#[test]
fn check_is_verify_and_reads_data() {
    let place = Place::init();
    write(&place.path("a/file"), "a");
    place.snapshot(&["a"], &[]);
    assert_eq!(level(&place, &["check"]), "usual");
    assert_eq!(level(&place, &["check", "--read-data"]), "full");
    assert_eq!(level(&place, &["verify", "--read-data-subset", "50%"]), "sample");
    for wrong in ["0%", "1/5", "100M", "%"] {
        place.admin(["check", "--read-data-subset", wrong]).ends(2);
    }
    place.admin(["check", "--read-data", "--level", "quick"]).ends(2);
    place.admin(["check", "--read-data", "--keyless"]).ends(2);
    place.admin(["check", "--read-data", "--read-data-subset", "5%"]).ends(2);
}

#[test]
fn force_reads_every_byte_again() {
    let place = Place::init();
    write(&place.path("a/file"), "a");
    place.snapshot(&["a"], &[]);
    for option in ["--force", "-f", "--full"] {
        let run = place.admin(["--json", "backup", option, "a"]).ends(0);
        assert_eq!(run.message("summary")["kind"], "full", "{option}");
    }
}

#[test]
fn what_is_said_about_locks_is_taken_and_means_nothing() {
    let place = Place::init();
    write(&place.path("a/file"), "a");
    place.admin(["--no-lock", "backup", "a"]).ends(0);
    place.admin(["snapshots", "--retry-lock", "5m"]).ends(0);
    place.admin(["--lock-wait", "600", "check", "--bypass-lock"]).ends(0);
    let help = place.run(["snapshots", "--help"]).ends(0);
    assert!(!help.out.contains("lock"), "{}", help.out);
}
