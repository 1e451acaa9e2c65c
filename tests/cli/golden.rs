//! What the program prints, word for word: scripts with their output in `golden/`, run again and compared.
//!
//! A script is a text file, run from its top in a fresh place. `# ` begins a comment; `% ` a preparation, which must succeed
//! and whose output does not matter; `$ ` a command. Below a command stands what it printed: standard output behind two
//! spaces, standard error behind `! `, and the exit code in brackets unless it is 0. What differs from run to run stands as
//! `<id>`, `<time>` and their kin ([`masks`]). `BOVEDA_TEST_BLESS=1` writes down what is printed now: read it as somebody who
//! sees it for the first time, before it is committed.

mod masks;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::machine::verbs;
use super::{Place, Run};

/// Verbs whose results are not JSON lines: a shell's script, silence, and clap's own.
const WITHOUT_JSON: [&str; 3] = ["completions", "umount", "help"];

/// A test for each script, so that they run side by side, and the names of all.
macro_rules! scripts {
    ($($name:ident)*) => {
        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { check(stringify!($name)); })*
    };
}

scripts! {
    begin bring_back changes config copies damage forget inside keys look machine mistakes mount prune recovery refusals setup snapshot
    tar trouble usage
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden")
}

fn script(name: &str) -> String {
    let path = folder().join(format!("{name}.txt"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a script, and insists that it prints what it printed before.
#[track_caller]
fn check(name: &str) {
    if name == "mount" && !super::mount::has_fuse() {
        return;
    }
    let before = script(name);
    // A folder of one known depth: the folders above what is stored are counted.
    let place = Place { folder: tempfile::Builder::new().prefix("boveda-").tempdir_in("/tmp").unwrap() };
    let now = run(&before, &place);
    if std::env::var_os("BOVEDA_TEST_BLESS").is_some() {
        std::fs::write(folder().join(format!("{name}.txt")), now).unwrap();
    } else if now != before {
        let diff = similar::TextDiff::from_lines(&before, &now);
        let diff = diff.unified_diff().context_radius(4).header("before", "now").to_string();
        panic!("golden/{name}.txt; if this is better, bless it (BOVEDA_TEST_BLESS=1):\n{diff}");
    }
}

/// The script with what it prints now.
fn run(script: &str, place: &Place) -> String {
    let mut text = String::new();
    for line in script.lines().filter(|line| !is_output(line)) {
        writeln!(text, "{line}").unwrap();
        if let Some(command) = line.strip_prefix("% ") {
            let run = shell(command, place);
            assert_eq!(run.code, 0, "{command}: {run:?}");
        } else if let Some(command) = line.strip_prefix("$ ") {
            let run = shell(command, place);
            let masked = |text: &str| masks::masked(text, &place.path(""));
            masked(&run.out).lines().for_each(|line| writeln!(text, "  {line}").unwrap());
            masked(&run.err).lines().for_each(|line| writeln!(text, "! {line}").unwrap());
            if run.code != 0 {
                writeln!(text, "[{}]", run.code).unwrap();
            }
        }
    }
    text
}

fn is_output(line: &str) -> bool {
    ["  ", "! ", "["].iter().any(|mark| line.starts_with(mark))
}

fn shell(command: &str, place: &Place) -> Run {
    let program = Path::new(env!("CARGO_BIN_EXE_boveda"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("umask 022; {command}")]).current_dir(place.path("")).stdin(Stdio::null());
    shell.env_clear().env("PATH", path).env("HOME", place.path("home")).env("TZ", "UTC").env("P", place.path("files"));
    shell.env("BOVEDA_REPOSITORY", place.path("repository")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
    Run::of(shell.env("BOVEDA_HOST", "web"))
}

/// The commands of all scripts but the one about usage and help, with the exit codes that are shown.
fn commands() -> (Vec<String>, BTreeSet<String>) {
    let (mut commands, mut codes) = (Vec::new(), BTreeSet::new());
    for name in SCRIPTS {
        let text = script(name);
        let shown = text.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
        codes.extend(shown.map(str::to_owned));
        if *name != "usage" {
            commands.extend(text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned));
        }
    }
    (commands, codes)
}

#[test]
fn every_file_is_a_script_that_is_run() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let files: BTreeSet<_> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(files, SCRIPTS.iter().map(|&name| name.to_owned()).collect());
}

#[test]
fn every_verb_is_shown_for_people_and_for_scripts() {
    let (commands, _) = commands();
    let help = script("usage");
    for verb in verbs(&Place::new()) {
        let shown =
            help.contains(&format!("$ boveda {verb} --help")) || help.contains(&format!("$ boveda help {verb}"));
        assert!(shown, "golden/usage.txt lacks `$ boveda {verb} --help`");
        let of_verb = |command: &&String| {
            let mut words = command.split_whitespace().skip_while(|word| *word != "boveda").skip(1);
            words.next() == Some(&verb)
        };
        let (json, people): (Vec<_>, Vec<_>) =
            commands.iter().filter(of_verb).partition(|command| command.contains("--json"));
        assert!(verb == "help" || !people.is_empty(), "no script in golden/ has `$ boveda {verb} …`");
        let known = WITHOUT_JSON.contains(&verb.as_str());
        assert!(known || !json.is_empty(), "no script in golden/ has `$ boveda {verb} … --json`");
    }
}

#[test]
fn every_exit_code_is_shown() {
    let documented = include_str!("../../docs/exit-codes.md").lines().filter_map(|line| {
        let code = line.strip_prefix("| ")?.split(' ').next()?;
        code.parse::<u8>().ok()
    });
    let (_, shown) = commands();
    // Those above belong to signals: `tests/kill` and `face` send them.
    for code in documented.filter(|code| (1..128).contains(code)) {
        assert!(shown.contains(&code.to_string()), "no script in golden/ ends with {code}");
    }
}
