//! Writing large files past the page cache.
//!
//! What a pack's bytes would push out of the page cache is more useful there, and copying them into it costs: of 512 MiB in a virtual machine,
//! 0.5 to 1.3 seconds of processor time instead of 0.1 to 0.25 (`dd bs=1M oflag=direct conv=fsync` beside `dd bs=32M conv=fsync`, ext4).

use rustix::fs::{FsWord, OFlags, fcntl_getfl, fcntl_setfl, fstatfs};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write as _};

/// What is shorter goes through the page cache: folders are read again soon, and one write more or less counts there.
const FROM: usize = 8 << 20;
/// Bytes to a write.
const STEP: usize = 1 << 20;
/// What addresses in memory and in the file are multiples of. No file system below asks for more on any disk in use; one that does is not
/// written to this way.
const ALIGNMENT: usize = 4096;

/// The file systems that are known to gain by it, by the magic numbers of statfs(2): ext2 to ext4, and XFS. Others go through the page cache whatever
/// one asks for, or check and compress on the way; over a network each write would wait for the server.
const KINDS: [FsWord; 2] = [0xEF53, 0x5846_5342];

/// Writes as much of `bytes` as can be written this way to a file that is empty so far. Returns how much that is, maybe nothing: the rest is the caller's
/// to write, as usual.
///
/// # Errors
/// As write(2), but for what only means that this way is barred.
pub(super) fn write(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    if bytes.len() < FROM || !fstatfs(&*file).is_ok_and(|system| KINDS.contains(&system.f_type)) {
        return Ok(0);
    }
    let Ok(flags) = fcntl_getfl(&*file) else { return Ok(0) };
    if fcntl_setfl(&*file, flags | OFlags::DIRECT).is_err() {
        return Ok(0);
    }
    let written = write_aligned(file, bytes);
    // What comes next is no multiple of anything.
    fcntl_setfl(&*file, flags)?;
    written
}

fn write_aligned(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    let mut buffer = vec![0; STEP + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT);
    let buffer = &mut buffer[start..start + STEP];
    let whole = bytes.len() - bytes.len() % ALIGNMENT;
    let mut written = 0;
    while written < whole {
        let step = &bytes[written..whole.min(written + STEP)];
        buffer[..step.len()].copy_from_slice(step);
        match file.write(&buffer[..step.len()]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                written += count;
                if !count.is_multiple_of(ALIGNMENT) {
                    return Ok(written);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // This disk wants something else.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => return Ok(written),
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::super::{Disk as _, RealDisk};
    use super::*;
    use std::path::Path;

    #[test]
    fn files_of_any_length_are_what_was_written() {
        // Beside the program, which lies on a disk, where the folder for temporary files may not.
        let beside = std::env::current_exe().unwrap();
        for top in [tempfile::tempdir().unwrap(), tempfile::tempdir_in(beside.parent().unwrap()).unwrap()] {
            for (number, length) in [0, 1, FROM - 1, FROM, FROM + 1, FROM + STEP + 4095, FROM + 4096, 2 * FROM + 12_345]
                .into_iter()
                .enumerate()
            {
                let bytes: Vec<u8> = (0..length + 1).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
                // Wherever in memory it begins.
                let bytes = &bytes[number % 2..number % 2 + length];
                let path = top.path().join(length.to_string());
                let mut file = RealDisk.create(&path).unwrap();
                RealDisk.write(&mut file, bytes).unwrap();
                RealDisk.sync(&file).unwrap();
                assert!(!fcntl_getfl(&file).unwrap().contains(OFlags::DIRECT), "{length}");
                assert!(std::fs::read(&path).unwrap() == bytes, "{length}");
            }
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let mut file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = RealDisk.write(&mut file, &vec![1; FROM + 7]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
