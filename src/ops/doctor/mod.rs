//! `doctor`: looks at what boveda needs of this machine, and says what to do where something is missing.
//!
//! Nothing is changed. What cannot be looked at is a finding too.

mod clock;
mod folders;
mod fuse;
mod limits;

pub use clock::clock;
pub use folders::{closed, free, readable, writable};
pub use fuse::fuse;
pub use limits::limits;

use std::path::{Path, PathBuf};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Snapshots and restores work; something else does not, or soon will not.
    Warning,
    /// Snapshots or restores fail.
    Broken,
}

impl Status {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `fuse`, `space` …
    pub check: &'static str,
    /// How bad it is.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub cure: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), cure: None }
    }

    /// Something works less well.
    pub fn warning(check: &'static str, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, message: message.into(), cure: Some(cure.into()) }
    }

    /// Snapshots or restores fail.
    pub fn broken(check: &'static str, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check, status: Status::Broken, message: message.into(), cure: Some(cure.into()) }
    }
}

/// The program of this name in the first of these folders that has it.
pub fn program(name: &str, search: &[PathBuf]) -> Option<PathBuf> {
    let path = Path::new(name);
    if name.contains('/') {
        return runs(path).then(|| path.to_owned());
    }
    search.iter().map(|folder| folder.join(name)).find(|path| runs(path))
}

fn runs(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plain"), "").unwrap();
        let search = [folder.path().to_owned(), "/bin".into(), "/usr/bin".into()];
        assert!(program("sh", &search).unwrap().ends_with("sh"));
        assert!(program("/bin/sh", &[]).is_some());
        assert_eq!((program("plain", &search), program("sh", &search[..1])), (None, None));
    }
}
