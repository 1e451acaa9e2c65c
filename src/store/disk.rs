//! The few system calls that the local store is made of, behind a trait, so that tests can put a disk underneath that
//! forgets whatever was not synced ([`super::forgetful`]).
//!
//! Every call does one thing and reports the system's error as it is. Which calls make an object durable, and in what
//! order, is the local store's knowledge and not the disk's.

mod direct;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

/// What a disk tells about a file or folder, symbolic links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Whether it is a folder.
    pub directory: bool,
    /// Whether it is a regular file.
    pub file: bool,
    /// Bytes of a file.
    pub length: u64,
    /// Which file it is, whatever its name: device and inode number.
    pub identity: (u64, u64),
    /// When its content last changed.
    pub modified: SystemTime,
}

/// The system calls of the local store. Paths are absolute; calls may come from many threads at once.
#[allow(clippy::missing_errors_doc, reason = "every call fails as the system call that it names does")]
pub trait Disk: Send + Sync {
    /// A file open for writing.
    type File;

    /// Creates a file that only its owner may read and write. Fails if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Appends bytes.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Makes a file's content durable; its name is another matter.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives a file a second name. Fails if that is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames; fails if the new name is taken.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames over whatever file has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder that only its owner may enter. Its parent must exist.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a file's content durable, or the names in a folder and the absence of those removed.
    fn sync_path(&self, path: &Path) -> io::Result<()>;

    /// What the path leads to.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Whether the name itself is gone, as against a symbolic link that leads nowhere.
    fn is_gone(&self, path: &Path) -> io::Result<bool>;

    /// All names in a folder but `.` and `..`, in no order; complete or an error.
    fn names(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// As [`Self::names`], with what each leads to where that costs nothing more to tell.
    fn entries(&self, dir: &Path) -> io::Result<Vec<(OsString, Option<Stat>)>> {
        Ok(self.names(dir)?.into_iter().map(|name| (name, None)).collect())
    }

    /// How messages name the folder `root`.
    fn place(&self, root: &Path) -> String {
        root.display().to_string()
    }

    /// How many large objects are worth putting at once, with all that is to be done to them before.
    fn in_flight(&self) -> usize {
        1
    }

    /// The bytes `offset..offset + length` of a file, cut short only where it ends.
    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>>;
}

/// The machine's own file systems.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl RealDisk {
    /// How many large objects are worth putting at once.
    pub const IN_FLIGHT: usize = 2;
}

impl Disk for RealDisk {
    type File = File;

    /// One is hashed while another is written.
    fn in_flight(&self) -> usize {
        Self::IN_FLIGHT
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let written = direct::write(file, bytes)?;
        file.write_all(&bytes[written..])
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some network and FUSE file systems have no way to sync a folder: their names are the server's business.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            outcome => outcome,
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let stat = std::fs::metadata(path)?;
        Ok(Stat {
            directory: stat.is_dir(),
            file: stat.is_file(),
            length: stat.len(),
            identity: (stat.dev(), stat.ino()),
            modified: stat.modified()?,
        })
    }

    fn is_gone(&self, path: &Path) -> io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let left = file.metadata()?.len().saturating_sub(offset).min(length);
        let left = usize::try_from(left).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // Into memory that nobody has filled with zeros first: that takes as long as reading from the page cache.
        let mut bytes = Vec::with_capacity(left);
        while bytes.len() < left {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(&file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(left);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        let mut file = RealDisk.create(path).unwrap();
        RealDisk.write(&mut file, bytes).unwrap();
        RealDisk.sync(&file).unwrap();
    }

    #[test]
    fn names_that_are_taken_stay_as_they_are() {
        let top = tempfile::tempdir().unwrap();
        let (a, b, c) = (top.path().join("a"), top.path().join("b"), top.path().join("c"));
        write(&a, b"a");
        write(&b, b"b");
        let taken = |outcome: io::Result<()>| outcome.unwrap_err().kind() == io::ErrorKind::AlreadyExists;
        assert!(taken(RealDisk.create(&a).map(|_| ())));
        assert!(taken(RealDisk.link(&a, &b)));
        assert!(taken(RealDisk.rename_new(&a, &b)));
        assert!(taken(RealDisk.make_dir(&b)));
        assert_eq!(RealDisk.read(&b, 0, u64::MAX).unwrap(), b"b");
        RealDisk.rename_new(&a, &c).unwrap();
        assert!(RealDisk.is_gone(&a).unwrap());
        RealDisk.link(&c, &a).unwrap();
        assert_eq!(RealDisk.stat(&a).unwrap().identity, RealDisk.stat(&c).unwrap().identity);
        RealDisk.rename(&b, &c).unwrap();
        assert_eq!(RealDisk.read(&c, 0, 9).unwrap(), b"b");
        RealDisk.sync_path(top.path()).unwrap();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_gone() {
        let top = tempfile::tempdir().unwrap();
        let link = top.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(RealDisk.stat(&link).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!RealDisk.is_gone(&link).unwrap());
        assert_eq!(RealDisk.names(top.path()).unwrap(), ["link"]);
    }
}
