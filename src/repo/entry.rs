//! One entry of a snapshot: a name with everything that a file system keeps about it.

use super::id::ChunkId;

/// One path component as the file system knows it: any bytes but `/` and NUL, 1 to 255 of them, not `.` and not `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName(Box<[u8]>);

impl EntryName {
    /// Checks and takes a name; `None` when no file system entry can have it.
    pub fn new(name: impl Into<Box<[u8]>>) -> Option<Self> {
        let name = name.into();
        let valid = (1..=255).contains(&name.len()) && !name.iter().any(|&b| b == b'/' || b == 0);
        (valid && &*name != b"." && &*name != b"..").then_some(Self(name))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for EntryName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A path below the snapshot's root: names, outermost first. No names: the root itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath(pub Vec<EntryName>);

impl EntryPath {
    /// Parses an absolute path; repeated and trailing slashes and `.` are dropped, `..` is taken back lexically (at the
    /// root it stays there). `None` when it is not absolute or holds an impossible name.
    pub fn parse(path: &[u8]) -> Option<Self> {
        let rest = path.strip_prefix(b"/")?;
        let mut names = Vec::new();
        for part in rest.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    names.pop();
                }
                name => names.push(EntryName::new(name)?),
            }
        }
        Some(Self(names))
    }

    /// This path with one more name.
    #[must_use]
    pub fn join(&self, name: EntryName) -> Self {
        let mut names = self.0.clone();
        names.push(name);
        Self(names)
    }

    /// The absolute path as bytes: `/` for the root.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return b"/".to_vec();
        }
        self.0.iter().flat_map(|name| std::iter::once(&b'/').chain(name.as_bytes())).copied().collect()
    }

    /// Whether `self` is `other` or lies above it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

/// A moment with nanoseconds; before 1970 the seconds are negative, the nanoseconds always count forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Nanoseconds after that, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Now, by this machine's clock.
    pub fn now() -> Self {
        let now = crate::system::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Self { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() },
            // A clock before 1970 is wrong by decades; what matters is only that nothing stops.
            Err(_) => Self::default(),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file and its content.
    File(Content),
    /// A directory.
    Directory,
    /// A symbolic link and its target's bytes.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A Unix socket's name.
    Socket,
    /// A character device.
    CharacterDevice { major: u32, minor: u32 },
    /// A block device.
    BlockDevice { major: u32, minor: u32 },
}

/// One piece of a file, in order; together they give the file's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// `length` bytes of one data chunk.
    Chunk { id: ChunkId, length: u32 },
    /// `length` bytes that were never written.
    Hole { length: u64 },
}

impl Extent {
    /// Bytes of the file that this extent covers.
    pub const fn length(&self) -> u64 {
        match self {
            Self::Chunk { length, .. } => *length as u64,
            Self::Hole { length } => *length,
        }
    }
}

/// Where a regular file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The extents themselves.
    Extents(Vec<Extent>),
    /// The skeleton of the root page of an extent tree, for files with many extents, and its number of data chunks.
    Tree { root: ChunkId, chunks: u64 },
}

impl Content {
    /// No bytes at all.
    pub const EMPTY: Self = Self::Extents(Vec::new());
}

/// An extended attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XattrValue {
    /// Up to 1 KiB, inside the entry.
    Inline(Vec<u8>),
    /// Longer: data chunks one after another.
    Chunks(Vec<(ChunkId, u32)>),
}

/// A set of names that share one inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkGroup {
    /// Device number at the source.
    pub device: u64,
    /// Inode number at the source.
    pub inode: u64,
    /// Links that the source counted, those outside the snapshot included.
    pub links: u32,
}

/// One name and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: 0o7777 at most.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The owner's name at the source, empty if it had none.
    pub user: Vec<u8>,
    /// The group's name at the source, empty if it had none.
    pub group: Vec<u8>,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Last access, when asked for.
    pub accessed: Option<Timestamp>,
    /// Bytes of a regular file, 0 for all else.
    pub size: u64,
    /// `chattr` flags (FS_IOC_GETFLAGS), 0 where they cannot be read.
    pub flags: u32,
    /// Extended attributes, POSIX ACLs and capabilities among them, sorted by name.
    pub xattrs: Vec<(Vec<u8>, XattrValue)>,
    /// The names that share its inode, if it had more than one; every member carries the content.
    pub links: Option<LinkGroup>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_do_not_exist() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", &[b'x'; 256]] {
            assert!(EntryName::new(bad).is_none(), "{bad:?}");
        }
        for good in [&b"a"[..], b"...", b"\xff\n\x1b", &[b'x'; 255]] {
            assert!(EntryName::new(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn paths_are_made_absolute_lexically() {
        for (given, expected) in
            [("/", "/"), ("//a//b/", "/a/b"), ("/a/./b/../c", "/a/c"), ("/../..", "/"), ("/a/..", "/")]
        {
            assert_eq!(EntryPath::parse(given.as_bytes()).unwrap().to_bytes(), expected.as_bytes());
        }
        assert!(EntryPath::parse(b"a").is_none());
    }
}
