//! The program as scripts meet it: exit codes, what is printed where, and that it works without a terminal.
//!
//! Every test runs the built program in a place of its own, with an environment of its own, without standard input.

mod apart;
mod attest;
mod audit;
mod config;
mod copies;
mod diff;
mod doctor;
mod dump;
mod face;
mod far;
mod find;
mod forget;
mod from_env;
mod golden;
mod habits;
mod hostile;
mod import;
mod index_cache;
mod inside;
mod keys;
mod machine;
mod mount;
mod mount_memory;
mod mount_programs;
mod mount_writable;
mod neighbour;
mod open;
mod partial;
mod piped;
mod privileged;
mod prune;
mod remote;
mod remote_cold;
mod remote_mount;
mod remote_refused;
mod remote_requests;
mod remote_retention;
mod repair;
mod restore;
mod restore_options;
mod rewrite;
mod schema;
mod setup;
mod snapshot;
mod snapshots;
mod sources;
mod stats;
mod tag;
mod verify;
mod versions;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A home with room for a repository, a key and sources, gone when dropped.
pub struct Place {
    folder: TempDir,
}

/// What one run of the program left.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Place {
    /// An empty place.
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with these arguments and nothing of the environment but a home, ready to run.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boveda"));
        command.env_clear().env("HOME", self.path("home")).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TZ", "UTC").current_dir(self.folder.path()).stdin(Stdio::null()).args(arguments);
        command
    }

    /// Runs it with the admin's key on the repository that [`Self::init`] made.
    pub fn admin<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        self.with_key("admin.key", arguments)
    }

    /// Runs it with a key file on that repository.
    pub fn with_key<A: AsRef<OsStr>>(&self, key: &str, arguments: impl IntoIterator<Item = A>) -> Run {
        let mut command = self.command(arguments);
        Run::of(command.env("BOVEDA_REPOSITORY", self.path("repository")).env("BOVEDA_KEY_FILE", self.path(key)))
    }

    /// The program with the admin's key on that repository, ready to run.
    pub fn admin_command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(arguments);
        command.env("BOVEDA_REPOSITORY", self.path("repository")).env("BOVEDA_KEY_FILE", self.path("admin.key"));
        command
    }

    /// A place with a repository, opened by `admin.key`.
    pub fn init() -> Self {
        let place = Self::new();
        let run =
            place.run(["-r", "repository", "init", "--new-key-file", "admin.key", "--recovery-key-file", "recovery"]);
        run.ends(0);
        place
    }

    /// Takes a snapshot of paths in this place; returns its id.
    pub fn snapshot(&self, paths: &[&str], options: &[&str]) -> String {
        let arguments = ["--json", "snapshot"].iter().chain(options).chain(paths);
        let run = self.admin(arguments).ends(0);
        run.message("summary")["snapshot_id"].as_str().unwrap().to_owned()
    }

    /// Runs it.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        Run::of(&mut self.command(arguments))
    }
}

impl Run {
    /// Runs a command to its end, with something on its standard input.
    pub fn with_input(command: &mut Command, input: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // What refuses its command line does not read it.
        let _ = child.stdin.take().unwrap().write_all(input);
        Self::ended(child.wait_with_output().unwrap())
    }

    fn ended(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("all output is UTF-8");
        Self { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        Self::ended(command.output().unwrap())
    }

    /// Insists on an exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }

    /// Insists that standard error says this.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.err.contains(part), "{part:?} is not in:\n{}", self.err);
        self
    }

    /// Insists that standard output says this.
    #[track_caller]
    pub fn tells(self, part: &str) -> Self {
        assert!(self.out.contains(part), "{part:?} is not in:\n{}", self.out);
        self
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }

    /// The first JSON line of this type.
    #[track_caller]
    pub fn message(&self, message_type: &str) -> Value {
        let found = self.json().into_iter().find(|value| value["message_type"] == message_type);
        found.unwrap_or_else(|| panic!("no {message_type} in:\n{}", self.out))
    }
}

/// Writes a file with all folders above it.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
