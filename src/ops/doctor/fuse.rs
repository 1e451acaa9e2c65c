//! Whether snapshots can be mounted. All else works without.

use super::{Finding, program};
use rustix::fs::{Access, access};
use std::path::{Path, PathBuf};

/// Looks for the device and, for an ordinary user, the helper that mounts. `search` is where programs are.
pub fn fuse(device: &Path, search: &[PathBuf], root: bool) -> Finding {
    let shown = device.display();
    if device.symlink_metadata().is_err() {
        return Finding::warning(
            "fuse",
            format!("there is no {shown}: `mount` will not work, all else does"),
            "modprobe fuse; in a container, give it the device (--device /dev/fuse --cap-add SYS_ADMIN)",
        );
    }
    if let Err(error) = access(device, Access::READ_OK | Access::WRITE_OK) {
        let text = format!("{shown} cannot be used: {}", std::io::Error::from(error));
        return Finding::warning(
            "fuse",
            text,
            format!("chmod 666 {shown}, as root; distributions do so by themselves"),
        );
    }
    if !root && program("fusermount3", search).is_none() {
        return Finding::warning(
            "fuse",
            "there is no fusermount3, without which an ordinary user cannot mount",
            "install the package fuse3",
        );
    }
    Finding::ok("fuse", "snapshots can be mounted")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn each_missing_part_has_its_own_cure() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("fuse");
        assert!(fuse(&device, &[], true).cure.unwrap().contains("modprobe"));
        std::fs::write(&device, "").unwrap();
        assert_eq!(fuse(&device, &[], true).status, Status::Ok);
        assert!(fuse(&device, &[], false).cure.unwrap().contains("fuse3"));
        let helper = folder.path().join("fusermount3");
        std::os::unix::fs::symlink("/bin/sh", &helper).unwrap();
        assert_eq!(fuse(&device, &[folder.path().to_owned()], false).status, Status::Ok);
    }
}
