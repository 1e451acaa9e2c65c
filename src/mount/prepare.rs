//! Before mounting: is the folder there, empty, and not entangled with what the mount reads? A dead mount in the way is cleared.

use super::{Error, table, unmount};
use std::io;
use std::path::{Path, PathBuf};

/// The folder to mount at, without symbolic links; `apart` are folders that it must not overlap, with what is in them.
///
/// # Errors
/// [`Error::Folder`], [`Error::Overlap`], [`Error::Mounted`], [`Error::NotEmpty`].
pub fn prepare(mountpoint: &Path, apart: &[(&'static str, PathBuf)]) -> Result<PathBuf, Error> {
    let folder = |source| Error::Folder { path: mountpoint.to_owned(), source };
    if unmount::is_dead(mountpoint) {
        unmount::unmount(mountpoint, true)?;
    }
    let path = mountpoint.canonicalize().map_err(folder)?;
    if !path.metadata().map_err(folder)?.is_dir() {
        return Err(folder(io::ErrorKind::NotADirectory.into()));
    }
    for (what, other) in apart {
        check_apart(&path, what, other)?;
    }
    if table::mounted(&path).map_err(folder)?.is_some() {
        return Err(Error::Mounted(mountpoint.to_owned()));
    }
    match path.read_dir().map_err(folder)?.next() {
        None => Ok(path),
        Some(_) => Err(Error::NotEmpty(mountpoint.to_owned())),
    }
}

/// Reading a repository, or its caches, through a mount of itself would never end.
pub(super) fn check_apart(path: &Path, what: &'static str, other: &Path) -> Result<(), Error> {
    let real = match other.canonicalize() {
        Ok(real) => real,
        // What is not there yet will not be made below a mount, which cannot be written to.
        Err(error) if error.kind() == io::ErrorKind::NotFound => other.to_owned(),
        Err(source) => return Err(Error::Folder { path: other.to_owned(), source }),
    };
    if path.starts_with(&real) || real.starts_with(path) {
        return Err(Error::Overlap { path: path.to_owned(), what, other: real });
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
        let repo = [("repository", at("repo")), ("caches", at("not/there/yet"))];
        assert_eq!(prepare(&at("empty"), &repo).unwrap(), at("empty").canonicalize().unwrap());
        assert!(matches!(prepare(&at("missing"), &[]), Err(Error::Folder { .. })));
        assert!(matches!(prepare(&at("full/file"), &[]), Err(Error::Folder { .. })));
        assert!(matches!(prepare(&at("full"), &repo), Err(Error::NotEmpty(_))));
        for inside in ["repo", "repo/packs", "alias"] {
            assert!(matches!(prepare(&at(inside), &repo), Err(Error::Overlap { .. })), "{inside}");
        }
        let above = [("caches", at("above/repo"))];
        assert!(matches!(prepare(&at("above"), &above), Err(Error::Overlap { what: "caches", .. })));
    }
}
