//! What is written for the user goes nowhere into the repository: there it could stand in the place of an object.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::context::Context;
use super::error::Failure;
use super::escape;

impl Context {
    /// Refuses to write at `target`, which need not exist, when that is the repository or lies in it.
    ///
    /// # Errors
    /// A usage error then, and when no repository is meant.
    pub fn refuse_inside_repository(&self, target: &Path) -> Result<(), Failure> {
        let location = self.location()?;
        let Some(repository) = location.local() else { return Ok(()) };
        match lies_in(target, repository) {
            false => Ok(()),
            true => Err(Failure::usage(format!(
                "{} lies in the repository {}: what is written there could destroy it",
                escape::name(target.as_os_str().as_bytes()),
                escape::name(repository.as_os_str().as_bytes())
            ))
            .hint("choose a place somewhere else")),
        }
    }
}

/// Whether `target`, or the nearest folder above it that exists, is `folder` or lies below it, symbolic links followed.
/// What cannot be looked at is left to whoever opens it.
fn lies_in(target: &Path, folder: &Path) -> bool {
    let (Ok(folder), Ok(target)) = (folder.canonicalize(), std::path::absolute(target)) else { return false };
    target.ancestors().find_map(|path| path.canonicalize().ok()).is_some_and(|real| real.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_what_is_not_there_yet_are_seen_through() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        std::fs::create_dir_all(at("repo/packs")).unwrap();
        std::fs::create_dir(at("repository")).unwrap();
        symlink(at("repo"), at("link")).unwrap();
        for inside in ["repo", "repo/packs", "repo/new/er", "link", "link/packs/x", "repository/../repo/x"] {
            assert!(lies_in(&at(inside), &at("repo")), "{inside}");
        }
        for outside in ["", "new", "repository", "repo/..", "repo/../x"] {
            assert!(!lies_in(&at(outside), &at("repo")), "{outside}");
        }
        assert!(!lies_in(&at("x"), &at("no repository")));
    }
}
