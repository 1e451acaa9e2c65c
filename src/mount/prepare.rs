//! Before mounting: is the folder there, empty, and not entangled with the repository? A dead mount in the way is cleared.

use super::{Error, table, unmount};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The folder to mount at, without symbolic links.
///
/// # Errors
/// [`Error::Folder`], [`Error::Overlap`], [`Error::Mounted`], [`Error::NotEmpty`].
pub fn prepare(mountpoint: &Path, repository: Option<&Path>) -> Result<PathBuf, Error> {
    let folder = |source| Error::Folder { path: mountpoint.to_owned(), source };
    if unmount::is_dead(mountpoint) {
        unmount::unmount(mountpoint, true)?;
    }
    let path = mountpoint.canonicalize().map_err(folder)?;
    if !path.metadata().map_err(folder)?.is_dir() {
        return Err(folder(io::ErrorKind::NotADirectory.into()));
    }
    if let Some(repository) = repository {
        check_apart(&path, repository)?;
    }
    if table::mounted(&path).map_err(folder)?.as_deref() == Some(OsStr::new(table::TYPE)) {
        return Err(Error::Mounted(mountpoint.to_owned()));
    }
    match path.read_dir().map_err(folder)?.next() {
        None => Ok(path),
        Some(_) => Err(Error::NotEmpty(mountpoint.to_owned())),
    }
}

/// Reading a repository through a mount of itself would never end.
fn check_apart(path: &Path, repository: &Path) -> Result<(), Error> {
    let real = repository.canonicalize();
    let real = real.map_err(|source| Error::Folder { path: repository.to_owned(), source })?;
    if path.starts_with(&real) || real.starts_with(path) {
        return Err(Error::Overlap { path: path.to_owned(), repository: real });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    #[test]
    fn only_an_empty_folder_apart_from_the_repository_will_do() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in ["empty", "full", "repo/packs", "above/repo"] {
            create_dir_all(at(folder)).unwrap();
        }
        write(at("full/file"), b"").unwrap();
        std::os::unix::fs::symlink(at("repo/packs"), at("alias")).unwrap();
        let repo = at("repo");
        assert_eq!(prepare(&at("empty"), Some(&repo)).unwrap(), at("empty").canonicalize().unwrap());
        assert!(matches!(prepare(&at("missing"), None), Err(Error::Folder { .. })));
        assert!(matches!(prepare(&at("full/file"), None), Err(Error::Folder { .. })));
        assert!(matches!(prepare(&at("full"), Some(&repo)), Err(Error::NotEmpty(_))));
        for inside in ["repo", "repo/packs", "alias"] {
            assert!(matches!(prepare(&at(inside), Some(&repo)), Err(Error::Overlap { .. })), "{inside}");
        }
        assert!(matches!(prepare(&at("above"), Some(&at("above/repo"))), Err(Error::Overlap { .. })));
    }
}
