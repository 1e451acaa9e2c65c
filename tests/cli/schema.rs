//! `docs/json-schema.json` against what the program prints: every line of every command fits the definition of its
//! `message_type`, and says nothing that the definition does not know.

use std::collections::BTreeSet;

use serde_json::Value;

use super::machine::verbs;
use super::{Place, Run, write};
use crate::world::noise;

/// Commands whose results are not JSON lines, and why.
const WITHOUT: [&str; 3] = [
    // A script for a shell.
    "completions",
    // Says nothing when it succeeds.
    "umount",
    // clap's own.
    "help",
];

/// What was run and seen.
struct Seen {
    schema: Value,
    /// The commands that the help shows.
    shown: BTreeSet<String>,
    verbs: BTreeSet<String>,
    types: BTreeSet<String>,
}

impl Seen {
    /// Runs a command and holds all that it prints to the schema. The command's name stands first.
    fn run(&mut self, place: &Place, arguments: &[&str], code: i32) -> Run {
        self.take(place.admin(arguments.iter().chain(&["--json"])), arguments, code)
    }

    /// As [`Self::run`], unless the program has no such command.
    fn run_if_there(&mut self, place: &Place, arguments: &[&str], code: i32) {
        if self.shown.contains(arguments[0]) {
            self.run(place, arguments, code);
        }
    }

    fn take(&mut self, run: Run, arguments: &[&str], code: i32) -> Run {
        let run = run.ends(code);
        self.verbs.insert(arguments[0].to_owned());
        for line in run.out.lines().chain(run.err.lines()) {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{arguments:?}: no JSON: {line}"));
            let name = value["message_type"].as_str().expect("every line has a type").to_owned();
            let definition = &self.schema["$defs"][&name];
            assert!(definition.is_object(), "{arguments:?}: docs/json-schema.json knows no {name}");
            if let Err(why) = check(&self.schema, definition, &value) {
                panic!("{arguments:?}: {name}{why}\n{value:#}");
            }
            self.types.insert(name);
        }
        run
    }
}

/// As much of JSON Schema (2020-12) as our schema uses; unlike there, properties that are not named are wrong: additions are
/// to be described.
fn check(schema: &Value, rule: &Value, value: &Value) -> Result<(), String> {
    if let Some(name) = rule["$ref"].as_str() {
        let target = schema.pointer(name.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{name} leads nowhere"));
        return check(schema, target, value);
    }
    if let Some(any) = rule["anyOf"].as_array() {
        let failures: Vec<_> = any.iter().filter_map(|rule| check(schema, rule, value).err()).collect();
        return if failures.len() < any.len() { Ok(()) } else { Err(format!(" fits nothing: {failures:?}")) };
    }
    if let Some(wanted) = rule.get("const") {
        return if wanted == value { Ok(()) } else { Err(format!(" is {value} and not {wanted}")) };
    }
    if let Some(wanted) = rule["enum"].as_array() {
        return if wanted.contains(value) { Ok(()) } else { Err(format!(" is {value}, none of {wanted:?}")) };
    }
    match (rule["type"].as_str().expect("a rule has a type"), value) {
        ("object", Value::Object(fields)) => {
            for name in rule["required"].as_array().into_iter().flatten() {
                if !fields.contains_key(name.as_str().unwrap()) {
                    return Err(format!(" lacks {name}"));
                }
            }
            fields.iter().try_for_each(|(name, field)| {
                let rule = rule["properties"].get(name).or_else(|| rule.get("additionalProperties"));
                let here = |why| format!(".{name}{why}");
                match rule {
                    Some(Value::Bool(true)) => Ok(()),
                    Some(rule) => check(schema, rule, field).map_err(here),
                    None => Err(here(" is described nowhere".to_owned())),
                }
            })
        }
        ("array", Value::Array(items)) => (0..)
            .zip(items)
            .try_for_each(|(at, item)| check(schema, &rule["items"], item).map_err(|why| format!("[{at}]{why}"))),
        ("string", Value::String(text)) => match rule["pattern"].as_str() {
            Some(pattern) if !fits(pattern, text) => Err(format!(" is {text:?}, not {pattern}")),
            _ => Ok(()),
        },
        ("integer", Value::Number(number)) if number.is_u64() || number.is_i64() => {
            let negative = rule["minimum"] == 0 && !number.is_u64();
            if negative { Err(format!(" is {number}")) } else { Ok(()) }
        }
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) | ("null", Value::Null) => Ok(()),
        (wanted, _) => Err(format!(" is {value}, no {wanted}")),
    }
}

/// The four patterns that the schema has.
fn fits(pattern: &str, text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^[0-9a-f]{32}([0-9a-f]{32})?$" => matches!(text.len(), 32 | 64) && hex(text),
        "^[0-9a-f]{8}$" => text.len() == 8 && hex(text),
        "^([0-9a-f]{2})*$" => text.len().is_multiple_of(2) && hex(text),
        "^[0-9a-f]{32}/[0-9]+$" => text
            .split_once('/')
            .is_some_and(|(writer, number)| writer.len() == 32 && hex(writer) && number.parse::<u64>().is_ok()),
        other => panic!("the schema has a new pattern, that this test must learn: {other}"),
    }
}

#[test]
fn every_command_prints_what_the_schema_says() {
    let schema = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json-schema.json")).unwrap();
    let place = Place::new();
    let schema = serde_json::from_slice(&schema).unwrap();
    let mut seen = Seen { schema, shown: verbs(&place), verbs: BTreeSet::new(), types: BTreeSet::new() };
    let init =
        place.run(["-r", "repository", "init", "--new-key-file", "admin.key", "--recovery-key-file", "r", "--json"]);
    seen.take(init, &["init"], 0);
    sources(&place);
    snapshots(&mut seen, &place);
    inside(&mut seen, &place);
    compared(&mut seen, &place);
    keys(&mut seen, &place);
    repair(&mut seen, &place);
    changes(&mut seen, &place);
    machine(&mut seen, &place);
    setup(&mut seen);
    damage(&mut seen, &place);
    let missing: Vec<_> = seen.shown.iter().filter(|verb| !seen.verbs.contains(*verb)).collect();
    let missing: Vec<_> = missing.iter().filter(|verb| !WITHOUT.contains(&verb.as_str())).collect();
    assert!(missing.is_empty(), "no test holds the output of these commands to the schema: {missing:?}");
    // Definitions that nothing prints grow stale. What is left out here would take long, or a terminal, or damage. A
    // definition's description begins with its command.
    let known = |name: &&&str| {
        let about = seen.schema["$defs"][**name]["description"].as_str().unwrap_or_default();
        let verb = about.split([' ', ':', ',']).next().unwrap_or_default();
        ["Every", "The"].contains(&verb) || seen.shown.contains(verb)
    };
    let rare = "access bad_end census epoch_keys explanation gap log_entry message mounted recovery_key_checked repaired revoked \
                slot_replaced status trusted";
    let defined = seen.schema["anyOf"].as_array().unwrap().iter();
    let types: BTreeSet<_> = defined.map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    let unseen: Vec<_> = types
        .iter()
        .filter(known)
        .filter(|name| !seen.types.contains(**name) && !rare.split(' ').any(|rare| rare == **name))
        .collect();
    assert!(unseen.is_empty(), "no command printed these: {unseen:?}");
}

fn sources(place: &Place) {
    use std::os::unix::ffi::OsStrExt as _;
    write(&place.path("a/text"), "some text");
    write(&place.path("a").join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x");
    write(&place.path("a/large"), noise(5, 400_000));
    std::fs::hard_link(place.path("a/text"), place.path("a/again")).unwrap();
    std::os::unix::fs::symlink("text", place.path("a/link")).unwrap();
    let holes = std::fs::File::create(place.path("a/holes")).unwrap();
    holes.set_len(1 << 20).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("a/pipe"), rustix::fs::Mode::RUSR).unwrap();
}

fn snapshots(seen: &mut Seen, place: &Place) {
    seen.run(place, &["snapshot", "a", "-vv", "--tag", "x"], 0);
    seen.run(place, &["snapshot", "a", "missing", "-n"], 3);
    seen.run(place, &["snapshot", "--debug-memory"], 0);
    write(&place.path("a/more"), "more");
    seen.run(place, &["snapshot", "a", "--exclude", "*.tmp"], 0);
    seen.run(place, &["snapshots"], 0);
    seen.run(place, &["snapshots", "--group-by", "host,paths,tags", "--latest", "1"], 0);
    seen.run(place, &["ls", "latest", "-R"], 0);
    seen.run(place, &["restore", "latest", "--target", "out", "-v"], 0);
    seen.run(place, &["restore", "latest", "--target", "out", "--thaw", "ask"], 0);
    seen.run(place, &["verify", "--level", "full"], 0);
    seen.run(place, &["stats"], 0);
    seen.run(place, &["stats", "latest", "-d", "9"], 0);
    seen.run(place, &["ls", "latest:/nowhere"], 1);
    // Without a file system in user space there is nothing but the failure.
    seen.run(place, &["mount", "missing-folder"], 2);
    seen.run(place, &["mount", "somewhere", "--print-unit"], 0);
    // What it prints about looks is held to the schema where there are looks: `audit`.
    seen.run(place, &["audit"], 0);
    seen.run(place, &["store", "probe", "--policies", "--size", "1M", "probed"], 0);
}

/// What compares snapshots, and what carries them elsewhere.
fn compared(seen: &mut Seen, place: &Place) {
    let text = format!("latest:{}", place.path("a/text").display());
    for arguments in [
        &["find", "text"][..],
        &["versions", "a/text"],
        &["diff", "latest~1", "latest", "-p"],
        &["dump", &text, "--target", "dumped"],
        &["export-tar", "latest", "out.tar"],
        &["import-tar", "out.tar", "--below", "/imported", "-n"],
    ] {
        seen.run_if_there(place, arguments, 0);
    }
}

fn inside(seen: &mut Seen, place: &Place) {
    for kind in ["packs", "idx", "snapshots", "sessions", "slots", "log", "keys", "census", "chunks"] {
        let run = seen.run(place, &["list", kind], 0);
        for line in run.json() {
            seen.run(place, &["cat", kind.trim_end_matches('s'), line["id"].as_str().unwrap()], 0);
        }
    }
    seen.run(place, &["cat", "config"], 0);
    seen.run(place, &["cat", "tree", &format!("latest:{}", place.path("a").display())], 0);
    let tree = place.admin(["--json", "snapshots"]).json()[0]["tree"].as_str().unwrap().to_owned();
    seen.run(place, &["cat", "page", &tree], 0);
}

fn keys(seen: &mut Seen, place: &Place) {
    seen.run(place, &["key", "add", "--role", "writer", "--label", "web", "--new-key-file", "web.key"], 0);
    let slot = seen.run(place, &["key", "slot", "add", "--new-key-file", "second.key"], 0).message("slot_added");
    seen.run(place, &["key", "remove", &slot["slot"].as_str().unwrap()[..12]], 0);
    seen.run(place, &["key", "list"], 0);
    seen.take(place.with_key("web.key", ["--json", "snapshots"]), &["snapshots"], 5);
}

fn changes(seen: &mut Seen, place: &Place) {
    seen.run(place, &["tag", "latest", "--add", "y"], 0);
    seen.run(place, &["rewrite", "latest", "--exclude", "large"], 0);
    seen.run(place, &["forget", "--keep-last", "1", "-g", "host,tags", "--keep-size", "1G", "-n"], 0);
    seen.run(place, &["forget", "latest~2"], 0);
    seen.run(place, &["snapshots", "--forgotten"], 0);
    seen.run(place, &["forget", "--undo"], 0);
    seen.run(place, &["prune", "-n"], 0);
    seen.run(place, &["prune"], 0);
    let copy = place.path("copy").into_os_string().into_string().unwrap();
    seen.run(place, &["sync", &copy, "-n"], 0);
    seen.run(place, &["sync", &copy], 0);
    seen.run(place, &["sync", "-r", "nowhere", &copy], 10);
    let made = place.run(["-r", "other", "init", "--new-key-file", "other.key", "--recovery-key-file", "other.words"]);
    made.ends(0);
    let (repository, other) = (place.path("repository"), place.path("other"));
    let (repository, other) = (repository.to_str().unwrap(), other.to_str().unwrap());
    let key = place.path("other.key").into_os_string().into_string().unwrap();
    seen.run(place, &["copy", repository, other, "latest", "--to-key-file", &key], 0);
    seen.run(place, &["copy", repository, other, "latest", "--to-key-file", &key], 0);
    let hold = seen.run(place, &["hold", "--why", "look"], 0).message("hold");
    seen.run(place, &["forget", "latest"], 5);
    seen.run(place, &["release", hold["id"].as_str().unwrap()], 0);
    let record = place.admin(["--json", "cat", "snapshot", "latest~1"]).message("snapshot_record");
    let (writer, number) = record["session"].as_str().unwrap().split_once('/').unwrap();
    std::fs::remove_file(place.path(&format!("repository/sess/{writer}/{number:0>20}/end"))).unwrap();
    // The lost record is named as damage.
    seen.run(place, &["recover"], 0);
}

/// What mends, where there is nothing to mend.
fn repair(seen: &mut Seen, place: &Place) {
    for what in ["objects", "index", "log", "sessions", "rollback"] {
        seen.run(place, &["repair", what], 0);
    }
}

fn machine(seen: &mut Seen, place: &Place) {
    seen.run(place, &["config", "check"], 0);
    seen.run(place, &["config", "show"], 0);
    // What is broken depends on the machine.
    let doctor = place.admin(["doctor", "--json"]);
    let code = doctor.code;
    assert!(matches!(code, 0 | 1), "{doctor:?}");
    seen.take(doctor, &["doctor"], code);
    for arguments in
        [&["cache", "list"][..], &["cache", "clear", "--all"], &["unlock"], &["man", "--dir", "man"], &["version"]]
    {
        seen.run_if_there(place, arguments, 0);
    }
}

/// A place of its own: what it makes is there already elsewhere.
fn setup(seen: &mut Seen) {
    if !seen.shown.contains("setup") {
        return;
    }
    let place = Place::new();
    write(&place.path("a/text"), "some text");
    let arguments = ["setup", "-r", "repository", "--yes", "--source", "a", "--json"];
    seen.take(place.run(arguments), &arguments, 0);
}

/// Last: all packs are gone.
fn damage(seen: &mut Seen, place: &Place) {
    std::fs::remove_dir_all(place.path("repository/packs")).unwrap();
    std::fs::create_dir(place.path("repository/packs")).unwrap();
    seen.run(place, &["verify", "--level", "quick"], 4);
}
