//! A mount that can be written to: an overlay over it takes what is written into a folder of the user's.
//!
//! The folder has two parts: `changed`, where what was written stays, under the names that the mount shows, and `work`, which the
//! overlay needs and which goes with it. Who mounts again with the same folder finds the changes again. The overlay is the
//! kernel's when root mounts, and `fuse-overlayfs` for everybody else. It lies on top at the mountpoint, so that it is there or
//! is not, and is the first to be taken away.

use super::table::OVERLAY_SOURCE;
use super::{Error, prepare};
use rustix::mount::MountFlags;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folders of an overlay.
#[derive(Debug)]
pub struct Layers {
    changed: PathBuf,
    work: PathBuf,
}

impl Layers {
    /// Makes the parts of `folder`, and itself if it is missing. The overlay's top gets its mode from them: `shared` lets others in.
    ///
    /// # Errors
    /// [`Error::Folder`]; [`Error::Overlap`] with the mountpoint or one of `apart`.
    pub fn make(
        folder: &Path,
        mountpoint: &Path,
        apart: &[(&'static str, PathBuf)],
        shared: bool,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Folder { path: folder.to_owned(), source };
        // Before anything is made: it would be made inside a repository, or what is mounted over.
        let folder = real(folder).map_err(failed)?;
        let apart = apart.iter().map(|(what, path)| (*what, path.as_path()));
        for (what, other) in apart.chain([("mountpoint", mountpoint)]) {
            prepare::check_apart(&folder, what, other)?;
        }
        let layers = Self { changed: folder.join("changed"), work: folder.join("work") };
        for part in [&layers.changed, &layers.work] {
            DirBuilder::new().recursive(true).mode(0o700).create(part).map_err(failed)?;
        }
        let mode = if shared { 0o755 } else { 0o700 };
        std::fs::set_permissions(&layers.changed, Permissions::from_mode(mode)).map_err(failed)?;
        Ok(layers)
    }

    /// Lays the overlay over the mount at `mountpoint`.
    ///
    /// # Errors
    /// [`Error::Overlay`].
    pub fn cover(&self, mountpoint: &Path) -> Result<(), Error> {
        let failed = |reason| Error::Overlay { path: mountpoint.to_owned(), reason };
        let options = self.options(mountpoint);
        if rustix::process::geteuid().is_root() {
            let options = CString::new(options.into_vec()).map_err(|error| failed(error.to_string()))?;
            let flags = MountFlags::NODEV | MountFlags::NOSUID;
            let mounted = rustix::mount::mount(OVERLAY_SOURCE, mountpoint, "overlay", flags, options.as_c_str());
            return mounted.map_err(|error| failed(io::Error::from(error).to_string()));
        }
        let mut named = OsString::from(format!("fsname={OVERLAY_SOURCE},"));
        named.push(options);
        let mut command = Command::new("fuse-overlayfs");
        let command = command.stdin(Stdio::null()).arg("-o").arg(named).arg(mountpoint);
        let output = command.output().map_err(|error| failed(format!("fuse-overlayfs cannot be run: {error}")))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }

    /// Removes what the overlay needed. It must be gone.
    pub fn tidy(&self) {
        // What stays is a folder without a use; the next overlay takes it again.
        let _ = std::fs::remove_dir_all(&self.work);
    }

    fn options(&self, mountpoint: &Path) -> OsString {
        let mut options = OsString::new();
        for (name, path) in [("lowerdir=", mountpoint), (",upperdir=", &self.changed), (",workdir=", &self.work)] {
            options.push(name);
            options.push(escaped(path));
        }
        options
    }
}

/// A path without symbolic links, as far as it exists.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(path)
}

/// A path as overlay's options have it: a comma would end it, a colon begin another.
fn escaped(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    let escaped = bytes.iter().flat_map(|byte| {
        let before = matches!(byte, b'\\' | b',' | b':').then_some(b'\\');
        before.into_iter().chain([*byte])
    });
    OsStr::from_bytes(&escaped.collect::<Vec<_>>()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_and_colons_stay_one_name() {
        let layers = Layers { changed: "/u,p/changed".into(), work: "/u,p/work".into() };
        let options = layers.options(Path::new("/m:1\\x"));
        assert_eq!(options, "lowerdir=/m\\:1\\\\x,upperdir=/u\\,p/changed,workdir=/u\\,p/work");
    }

    #[test]
    fn the_folder_is_apart_and_its_mode_says_who_is_let_in() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let at = |name: &str| top.join(name);
        std::fs::create_dir_all(at("mount")).unwrap();
        std::fs::create_dir_all(at("repository")).unwrap();
        let apart = [("repository", at("repository"))];
        let make = |name: &str, shared| Layers::make(&at(name), &at("mount"), &apart, shared);
        for wrong in ["mount/upper", "repository/upper", "repository"] {
            assert!(matches!(make(wrong, false), Err(Error::Overlap { .. })), "{wrong}");
        }
        let mode = || at("new/upper/changed").metadata().unwrap().permissions().mode() & 0o777;
        make("new/upper", true).unwrap();
        assert_eq!(mode(), 0o755);
        let layers = make("new/upper", false).unwrap();
        assert_eq!((mode(), at("new/upper/work").is_dir()), (0o700, true));
        layers.tidy();
        assert!(!at("new/upper/work").exists() && at("new/upper/changed").is_dir());
    }
}
