//! What is mounted where, as the kernel tells it in `/proc/self/mountinfo`, and which of it is boveda's own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// What our mounts call their file system.
pub const TYPE: &str = "fuse.boveda";
/// What lies over a mount of ours to take what is written: the kernel's, and the one for ordinary users.
const OVERLAYS: [&str; 2] = ["overlay", "fuse.fuse-overlayfs"];
/// What our overlays say that they are mounted of.
pub const OVERLAY_SOURCE: &str = "boveda-writable";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub place: PathBuf,
    /// The type of the file system.
    pub kind: OsString,
    /// What it is mounted of, as it says itself.
    pub source: OsString,
    /// Its device number, as the C library composes it.
    pub device: u64,
}

impl Mount {
    /// Whether it shows a repository.
    pub fn is_repository(&self) -> bool {
        self.kind == TYPE
    }

    /// Whether it takes what is written to a mounted repository.
    pub fn is_overlay(&self) -> bool {
        self.source == OVERLAY_SOURCE && OVERLAYS.iter().any(|kind| self.kind == *kind)
    }
}

/// Every mount that this process sees, in the order in which they were made: of two at one place the later lies on top.
///
/// # Errors
/// When the kernel's table cannot be read.
pub fn table() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// Mounts that show snapshots: of repositories, and what lies over them to take what is written.
///
/// # Errors
/// As [`table`].
pub fn shown() -> io::Result<Vec<Mount>> {
    let mut mounts = table()?;
    mounts.retain(|mount| mount.is_repository() || mount.is_overlay());
    Ok(mounts)
}

/// The mounts of a table; odd lines are passed over.
pub fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|&byte| byte == b'\n').filter_map(line).collect()
}

/// One line: `36 35 98:0 /root /place options optional… - type source options`.
fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let (major, minor) = std::str::from_utf8(fields.nth(2)?).ok()?.split_once(':')?;
    let device = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
    let place = unescape(fields.nth(1)?);
    let mut rest = fields.skip_while(|field| *field != b"-");
    let kind = rest.nth(1)?;
    let source = OsString::from_vec(unescape(rest.next().unwrap_or_default()));
    Some(Mount {
        place: PathBuf::from(OsString::from_vec(place)),
        kind: OsStr::from_bytes(kind).to_owned(),
        source,
        device,
    })
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

    #[test]
    fn the_table_is_read_as_the_kernel_writes_it() {
        let mounts = parse(
            b"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
            90 22 0:50 / /mnt/my\\040place ro,nosuid shared:9 master:2 - fuse.boveda boveda ro\n\
            91 90 0:52 / /mnt/my\\040place rw - overlay boveda-writable rw,lowerdir=x\n",
        );
        let shown: Vec<_> = mounts.iter().map(|mount| (mount.place.to_str().unwrap(), mount.device)).collect();
        let device = rustix::fs::makedev;
        assert_eq!(shown, [("/", device(254, 1)), ("/mnt/my place", device(0, 50)), ("/mnt/my place", device(0, 52))]);
        let ours = |mount: &Mount| (mount.is_repository(), mount.is_overlay());
        assert_eq!(mounts.iter().map(ours).collect::<Vec<_>>(), [(false, false), (true, false), (false, true)]);
        assert!(table().unwrap().iter().any(|mount| mount.place.as_os_str() == "/proc"));
    }

    #[test]
    fn odd_lines_are_passed_over() {
        assert_eq!(parse(b"\n1 2 3 4 /x rw -\n1 2 0:3 4 /x rw -\nx"), []);
        assert_eq!(unescape(b"a\\1b\\\\040\\"), b"a\\1b\\ \\");
    }
}
