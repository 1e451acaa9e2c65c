//! A place whose repository is on a real server, for tests that go there.

use std::path::Path;
use std::process::Command;

use super::{Place, Run};
use crate::servers::{Kind, Server};

/// A place whose repository is on a server.
pub struct Remote {
    pub place: Place,
    pub server: Server,
    pub location: String,
}

impl Remote {
    /// With a repository, opened by `admin.key`; `None` without the server.
    pub fn init(kind: Kind) -> Option<Self> {
        let server = Server::start(kind)?;
        Some(Self::init_at(server.location(), server))
    }

    /// The same at a location of a server.
    pub fn init_at(location: String, server: Server) -> Self {
        let remote = Self { place: Place::new(), location, server };
        remote.run(&["init", "--new-key-file", "admin.key", "--recovery-key-file", "recovery"]).ends(0);
        remote
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("BOVEDA_REPOSITORY", &self.location).env("BOVEDA_RETRY_FOR", "30");
        if self.place.path("admin.key").exists() {
            command.env("BOVEDA_KEY_FILE", self.place.path("admin.key"));
        }
        command.envs(self.server.variables());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    pub fn snapshot(&self) -> serde_json::Value {
        self.run(&["--json", "snapshot", "src"]).ends(0).message("summary").clone()
    }
}

/// Both folders hold the same.
pub fn same(a: &Path, b: &Path) {
    let diff = Command::new("diff").arg("-r").args([a, b]).output().unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
}

/// Bytes that do not compress.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}
