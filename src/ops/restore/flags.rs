//! The flags that `chattr` knows: which of them are restored, set, and taken off what stands in the way.
//!
//! File systems without flags are no problem unless the snapshot has some.

use rustix::fs::IFlags;
use std::io;
use std::os::fd::BorrowedFd;

/// The `chattr` flags that a restore sets or clears. The others describe how a file system stores the file (extents,
/// inline data, encryption, verity) and belong to it.
pub(super) const SETTABLE: u32 = 0x0000_0001 // secure removal
    | 0x0000_0002 // undeletable
    | 0x0000_0004 // compress
    | 0x0000_0008 // synchronous
    | 0x0000_0010 // immutable
    | 0x0000_0020 // append-only
    | 0x0000_0040 // no dump
    | 0x0000_0080 // no atime
    | 0x0000_0400 // no compression
    | 0x0000_4000 // data journalling
    | 0x0000_8000 // no tail merging
    | 0x0001_0000 // synchronous directory
    | 0x0002_0000 // top of a directory hierarchy
    | NO_COPY_ON_WRITE;

/// The flags after which nothing can be linked to or changed any more.
pub(super) const FREEZING: u32 = 0x0000_0030;

/// The flag that keeps a file system from writing changes elsewhere.
pub(super) const NO_COPY_ON_WRITE: u32 = 0x0080_0000;

/// Makes the settable flags of a file or directory `wanted`, all others stay.
pub(super) fn set(handle: BorrowedFd<'_>, wanted: u32) -> io::Result<()> {
    let current = match rustix::fs::ioctl_getflags(handle) {
        Ok(flags) => flags.bits(),
        // A file system without flags has none to clear.
        Err(_) if wanted == 0 => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let new = (current & !SETTABLE) | wanted;
    if new != current {
        rustix::fs::ioctl_setflags(handle, IFlags::from_bits_retain(new))?;
    }
    Ok(())
}

/// Sets further flags of a file, leaving all others as they are.
pub(super) fn add(handle: BorrowedFd<'_>, further: u32) -> io::Result<()> {
    let current = rustix::fs::ioctl_getflags(handle)?;
    Ok(rustix::fs::ioctl_setflags(handle, current | IFlags::from_bits_retain(further))?)
}

/// Whether a directory has flags that what is made inside may be born with.
pub(super) fn inheritable(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::ioctl_getflags(directory).is_ok_and(|flags| flags.bits() & SETTABLE != 0)
}

/// Takes the immutable and append-only flags off an open file or directory, so that it can be restored; the flags that
/// the snapshot has are set last of all. Returns whether there was anything to take off.
pub(super) fn release(handle: BorrowedFd<'_>) -> bool {
    let frozen = IFlags::IMMUTABLE | IFlags::APPEND;
    rustix::fs::ioctl_getflags(handle).is_ok_and(|flags| {
        flags.intersects(frozen) && rustix::fs::ioctl_setflags(handle, flags.difference(frozen)).is_ok()
    })
}
