//! Where a repository is mounted when nobody says where: a folder of the user's that the next start of the machine clears away.

use rustix::io::Errno;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::Failure;

/// What a repository that has no name in the configuration is called.
const UNNAMED: &str = "repository";

/// The place of the repository that is meant.
///
/// # Errors
/// When no repository is meant, or there is no folder to mount in.
pub fn place(context: &Context) -> Result<PathBuf, Failure> {
    let name = context.section()?.map_or(UNNAMED, |(name, _)| name.as_str()).to_owned();
    let folder = match context.variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(own) => own.join("boveda"),
        None if rustix::process::geteuid().is_root() && Path::new("/run").is_dir() => PathBuf::from("/run/boveda"),
        None => context.state_folder()?.join("mounted"),
    };
    Ok(folder.join(name))
}

/// Makes the place, for its owner only. It may be there, and even hold a dead mount.
///
/// # Errors
/// When the system refuses.
pub fn make(place: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(place);
    match made {
        // Behind a dead mount nothing can be looked at; what clears it away comes next.
        Err(error) if place.symlink_metadata().is_ok() || Errno::from_io_error(&error) == Some(Errno::NOTCONN) => {
            Ok(())
        }
        Err(error) => Err(Failure::usage(format!("cannot make {}: {error}", place.display()))),
        Ok(()) => Ok(()),
    }
}
