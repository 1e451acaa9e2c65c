//! Folders: can they be read or written, is there room, who else may look.

use super::Finding;
use rustix::fs::{Access, access, statvfs};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Free bytes below which the next snapshot may fail.
const HARDLY_ANY: u64 = 64 << 20;
/// Free bytes below which somebody should look.
const LITTLE: u64 = 1 << 30;

/// Whether files can be made in a folder, or, where it is not there yet, the folder itself. `name` is what it is for.
pub fn writable(check: &'static str, name: &str, folder: &Path) -> Finding {
    let there = existing(folder);
    let shown = folder.display();
    let other_file = !there.is_dir();
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if !other_file => Finding::ok(check, format!("the {name} {shown} can be written to")),
        Ok(()) => {
            Finding::broken(check, format!("the {name} {shown}: {} is no folder", there.display()), "move it away")
        }
        Err(error) => Finding::broken(
            check,
            format!("the {name} {shown} cannot be written to: {}", std::io::Error::from(error)),
            format!("check owner and mode of {}, and whether its file system is mounted read-only", there.display()),
        ),
    }
}

/// Whether something that is to be kept can be read.
pub fn readable(path: &Path) -> Finding {
    let need = if path.is_dir() { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
    match access(path, need) {
        Ok(()) => Finding::ok("sources", format!("{} can be read", path.display())),
        Err(error) => Finding::warning(
            "sources",
            format!("{} cannot be read: {}", path.display(), std::io::Error::from(error)),
            "run boveda as a user who may read it, or take it out of `paths` in [snapshot]",
        ),
    }
}

/// How much room there is where `folder` is or will be.
pub fn free(name: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    match statvfs(existing(folder)) {
        Ok(disk) => judge_free(name, &shown.to_string(), disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Finding::warning(
            "space",
            format!("cannot tell how much room the {name} {shown} has: {}", std::io::Error::from(error)),
            "check that its file system is there",
        ),
    }
}

fn judge_free(name: &str, shown: &str, free: u64) -> Finding {
    let room = if free >> 30 < 10 { format!("{} MiB", free >> 20) } else { format!("{} GiB", free >> 30) };
    let text = format!("the {name} {shown} has {room} of room");
    let cure = "make room there, or move it to a larger disk";
    match free {
        0..HARDLY_ANY => Finding::broken("space", text, cure),
        HARDLY_ANY..LITTLE => Finding::warning("space", text, cure),
        _ => Finding::ok("space", text),
    }
}

/// Whether nobody else may look at what is for its owner alone. `None` when it is not there.
pub fn closed(name: &str, path: &Path) -> Option<Finding> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    let shown = path.display();
    Some(match mode & 0o077 {
        0 => Finding::ok("permissions", format!("the {name} {shown} is for its owner alone")),
        _ => Finding::warning(
            "permissions",
            format!("the {name} {shown} has mode {mode:03o}: others on this machine may look"),
            format!("chmod go= {shown}"),
        ),
    })
}

/// The path, or the nearest folder above it that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
        let top = tempfile::tempdir().unwrap();
        assert_eq!(writable("state", "state folder", &top.path().join("a/b")).status, Status::Ok);
        write(top.path().join("file"), "").unwrap();
        let finding = writable("state", "state folder", &top.path().join("file/b"));
        assert_eq!(finding.status, Status::Broken, "{finding:?}");
        assert_eq!(readable(top.path()).status, Status::Ok);
        assert_eq!(readable(&top.path().join("missing")).status, Status::Warning);
    }

    #[test]
    fn little_room_is_said_in_time() {
        assert_eq!(free("repository", Path::new("/")).check, "space");
        for (free, status) in [(0, Status::Broken), (HARDLY_ANY, Status::Warning), (LITTLE, Status::Ok)] {
            assert_eq!(judge_free("repository", "/r", free).status, status);
        }
    }

    #[test]
    fn what_others_may_read_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, status) in [(0o600, Status::Ok), (0o640, Status::Warning), (0o601, Status::Warning)] {
            set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(closed("key file", file.path()).unwrap().status, status, "{mode:o}");
        }
        assert!(closed("key file", Path::new("/no/such")).is_none());
    }
}
