//! What is mounted at a place: a repository, perhaps with an overlay over it, or something else.

use crate::source::mounts::{self, Mount};
use std::io;
use std::path::{Path, PathBuf};

pub use crate::source::mounts::OVERLAY_SOURCE;

/// What of ours lies on top at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// A mounted repository.
    Plain,
    /// A mounted repository below an overlay that takes what is written.
    Writable,
    /// An overlay below which the repository is mounted no more.
    Overlay,
}

/// What of ours is mounted at `path`, which must be absolute and without symbolic links; `None` when something else lies on top.
///
/// # Errors
/// When the kernel's table cannot be read.
pub fn mounted(path: &Path) -> io::Result<Option<Ours>> {
    Ok(find(&mounts::table()?, path))
}

/// `path` as the table has it. The folder itself is not looked at: behind a dead mount that would fail.
///
/// # Errors
/// When the folder above it cannot be looked at.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(path), _, _) => Ok(path),
        (Err(_), Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        (Err(error), _, _) => Err(error),
    }
}

fn find(table: &[Mount], path: &Path) -> Option<Ours> {
    // What is mounted last lies on top.
    let mut here = table.iter().rev().filter(|mount| mount.place == path);
    let top = here.next()?;
    match (top.is_repository(), top.is_overlay()) {
        (true, _) => Some(Ours::Plain),
        (_, true) if here.next().is_some_and(Mount::is_repository) => Some(Ours::Writable),
        (_, true) => Some(Ours::Overlay),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_top_counts() {
        let table = mounts::parse(
            b"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
            90 22 0:50 / /mnt/plain ro - fuse.boveda boveda ro\n\
            91 22 0:51 / /mnt/twice rw - tmpfs x rw\n\
            92 91 0:52 / /mnt/twice ro - fuse.boveda boveda ro\n\
            93 92 0:53 / /mnt/twice rw - overlay boveda-writable rw\n\
            94 22 0:54 / /mnt/hidden ro - fuse.boveda boveda ro\n\
            95 94 0:55 / /mnt/hidden rw - tmpfs x rw\n\
            96 22 0:56 / /mnt/left rw - overlay boveda-writable rw\n\
            97 22 0:57 / /mnt/other rw - overlay overlay rw\n",
        );
        let at = |path: &str| find(&table, Path::new(path));
        assert_eq!((at("/mnt/plain"), at("/mnt/twice")), (Some(Ours::Plain), Some(Ours::Writable)));
        assert_eq!((at("/mnt/left"), at("/mnt/hidden")), (Some(Ours::Overlay), None));
        assert_eq!((at("/"), at("/mnt"), at("/mnt/other")), (None, None, None));
        assert!(mounted(Path::new("/proc")).unwrap().is_none());
    }
}
