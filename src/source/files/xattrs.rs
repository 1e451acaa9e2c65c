//! Extended attributes of one inode, ACLs and capabilities among them, as the kernel hands them out.
//!
//! Whatever the kernel lists is taken, in every name space. Values are not interpreted.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Where the attributes are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Inode<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// A path whose last name is not followed: for what cannot be opened.
    Path(&'a [u8]),
}

/// All attributes, and what went wrong: with the name of the attribute, or with the whole list when there is none.
pub fn read(inode: Inode<'_>) -> (Xattrs, Vec<(Vec<u8>, Errno)>) {
    let list = match list(inode) {
        Ok(list) => list,
        Err(Errno::NOTSUP) => return Default::default(),
        Err(error) => return (Vec::new(), vec![(Vec::new(), error)]),
    };
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in list.split(|&b| b == 0).filter(|name| !name.is_empty()) {
        match value(inode, name) {
            Ok(value) => found.push((name.to_vec(), value)),
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => failures.push((name.to_vec(), error)),
        }
    }
    found.sort_unstable();
    (found, failures)
}

/// The most that the kernel ever gives (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LIMIT: usize = 64 * 1024;

fn list(inode: Inode<'_>) -> Result<Vec<u8>, Errno> {
    // Nearly every file has no or few attributes: one call, no allocation.
    let mut small = [0; 512];
    let length = match list_into(inode, &mut small) {
        Err(Errno::RANGE) => {
            let mut large = vec![0; LIMIT];
            let length = list_into(inode, &mut large)?;
            large.truncate(length);
            return Ok(large);
        }
        other => other?,
    };
    Ok(small[..length].to_vec())
}

fn value(inode: Inode<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 512];
    let length = match value_into(inode, name, &mut small) {
        Err(Errno::RANGE) => {
            let mut large = vec![0; LIMIT];
            let length = value_into(inode, name, &mut large)?;
            large.truncate(length);
            large.shrink_to_fit();
            return Ok(large);
        }
        other => other?,
    };
    Ok(small[..length].to_vec())
}

fn list_into(inode: Inode<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    match inode {
        Inode::Open(fd) => rustix::fs::flistxattr(fd, buffer),
        Inode::Path(path) => rustix::fs::llistxattr(path, buffer),
    }
}

fn value_into(inode: Inode<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
    match inode {
        Inode::Open(fd) => rustix::fs::fgetxattr(fd, name, buffer),
        Inode::Path(path) => rustix::fs::lgetxattr(path, name, buffer),
    }
}
