//! What is mounted where, as the kernel tells it in `/proc/self/mountinfo`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What our mounts call their file system.
pub const TYPE: &str = "fuse.boveda";

/// What is mounted at `path`, which must be absolute and without symbolic links: the type of the file system on top.
///
/// # Errors
/// When the table cannot be read.
pub fn mounted(path: &Path) -> io::Result<Option<OsString>> {
    Ok(find(&std::fs::read("/proc/self/mountinfo")?, path))
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

fn find(table: &[u8], path: &Path) -> Option<OsString> {
    let lines = table.split(|&byte| byte == b'\n');
    // What is mounted last lies on top.
    lines.filter_map(parse).rfind(|(at, _)| at == path).map(|(_, kind)| kind)
}

/// The place and the type of one line: `36 35 98:0 /root /place options optional… - type source options`.
fn parse(line: &[u8]) -> Option<(PathBuf, OsString)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let place = unescape(fields.nth(4)?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some((PathBuf::from(OsString::from_vec(place)), OsStr::from_bytes(kind).to_owned()))
}

/// Undoes the kernel's `\040` for characters that would end a field.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|digit| (b'0'..b'8').contains(digit)));
        if let Some(digits) = octal {
            bytes.push(digits.iter().fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = &after[3..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        90 22 0:50 / /mnt/my\\040place ro,nosuid shared:9 master:2 - fuse.boveda boveda ro\n\
        91 22 0:51 / /mnt/twice rw - tmpfs x rw\n\
        92 91 0:52 / /mnt/twice ro - fuse.boveda boveda ro\n";

    #[test]
    fn the_table_is_read_as_the_kernel_writes_it() {
        let at = |path: &str| find(TABLE, Path::new(path)).map(|kind| kind.into_string().unwrap());
        assert_eq!(at("/").as_deref(), Some("ext4"));
        assert_eq!(at("/mnt/my place").as_deref(), Some(TYPE));
        assert_eq!(at("/mnt/twice").as_deref(), Some(TYPE));
        assert_eq!(at("/mnt"), None);
        assert!(mounted(Path::new("/proc")).unwrap().is_some());
    }

    #[test]
    fn odd_lines_are_passed_over() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"1 2 3 4 /x rw -"), None);
        assert_eq!(unescape(b"a\\1b\\\\040\\"), b"a\\1b\\ \\");
    }
}
