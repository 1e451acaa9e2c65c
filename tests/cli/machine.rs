//! What needs no repository: `cache`, `unlock`, `completions`, `man`, and the hidden `reference`.

use std::collections::BTreeSet;

use super::{Place, write};

#[test]
fn caches_are_listed_and_cleared() {
    let place = Place::init();
    assert!(place.run(["cache", "list"]).ends(0).out.contains("no caches"));
    write(&place.path("a/file"), "a");
    place.snapshot(&["a"], &[]);
    let folder = place.path("home/.cache/boveda");
    write(&folder.join("note"), "not a cache");
    std::os::unix::fs::symlink("/", folder.join("0".repeat(64))).unwrap();
    let run = place.run(["--json", "cache", "list"]).ends(0);
    let id = run.message("cache")["repository"].as_str().unwrap().to_owned();
    assert_eq!(run.json().len(), 1);
    assert!(place.run(["cache", "list"]).ends(0).out.starts_with(&id[..8]));
    place.run(["cache", "clear"]).ends(2);
    place.run(["cache", "clear", "ffffffffff"]).ends(1).says("cache list");
    let run = place.run(["--json", "cache", "clear", &id[..10]]).ends(0);
    assert_eq!(run.message("cleared")["caches"], 1);
    assert!(place.run(["--json", "cache", "list"]).ends(0).out.is_empty());
    assert!(folder.join("note").exists() && folder.join("0".repeat(64)).symlink_metadata().is_ok());
    // The next snapshot does without.
    let run = place.admin(["--json", "snapshot", "a"]).ends(0);
    assert_eq!(run.message("summary")["files_new"], 1);
    place.run(["cache", "clear", "--all"]).ends(0);
    assert!(!folder.join(&id).exists());
}

#[test]
fn unlock_does_nothing_and_says_why() {
    let place = Place::new();
    for arguments in [&["unlock"][..], &["unlock", "--remove-all"]] {
        assert!(place.run(arguments).ends(0).out.contains("no locks"));
    }
    assert_eq!(place.run(["--json", "unlock"]).ends(0).message("unlocked")["locks"], 0);
}

#[test]
fn completions_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(["completions", shell]).ends(0).out;
        for word in ["snapshot", "verify", "password-file"] {
            assert!(script.contains(word), "{word} is not in the script for {shell}");
        }
    }
    place.run(["completions", "cobol"]).ends(2);
    place.run(["completions"]).ends(2);
}

#[test]
fn manual_pages_are_printed_or_written() {
    let place = Place::new();
    let page = place.run(["man"]).ends(0).out;
    assert!(page.contains(".TH boveda 1") && page.contains("snapshot"), "{page}");
    place.run(["man", "--dir", "man/man1"]).ends(0);
    for name in ["boveda", "boveda-snapshot", "boveda-key", "boveda-key-add"] {
        let page = std::fs::read_to_string(place.path(&format!("man/man1/{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
    }
    assert!(!place.path("man/man1/boveda-reference.1").exists());
    write(&place.path("file"), "");
    place.run(["man", "--dir", "file/below"]).ends(1).says("file/below");
}

#[test]
fn the_reference_is_what_the_program_says() {
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md")).unwrap();
    let made = Place::new().run(["reference"]).ends(0).out;
    let differs = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert!(made == kept, "stale: run `boveda reference > docs/reference.md`; first difference: {differs:?}");
}

#[test]
fn the_reference_names_every_command_of_the_help() {
    let place = Place::new();
    let reference = place.run(["reference"]).ends(0).out;
    let verbs = verbs(&place);
    assert!(verbs.contains("snapshot") && !verbs.contains("reference"), "{verbs:?}");
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        assert!(reference.contains(&format!("### boveda {verb}\n")), "{verb}");
    }
}

/// The commands that the help shows.
pub fn verbs(place: &Place) -> BTreeSet<String> {
    let help = place.run(["help"]).ends(0).out;
    let contents = help.split("Options of every command:").next().unwrap().lines().skip_while(|line| *line != "Begin:");
    let verb = |line: &str| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
    contents.filter_map(verb).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}
