//! Whose the files of snapshots seem to be, and who may read them: as stored, or as is handy for whoever looks.

use fuser::{FileAttr, FileType};

/// How owners and modes are shown. The default shows what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Face {
    /// User and group that all belongs to, instead of the stored ones.
    pub owner: Option<(u32, u32)>,
    /// Whether everybody whom the mount lets in may read all files and enter all folders.
    pub readable: bool,
    /// Whether owners may write: what copies the files somewhere else before it changes them needs that.
    pub writable: bool,
}

impl Face {
    /// Attributes as this face shows them.
    pub fn of(self, mut attributes: FileAttr) -> FileAttr {
        if let Some((uid, gid)) = self.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        if self.readable {
            let enter = attributes.kind == FileType::Directory || attributes.perm & 0o111 != 0;
            attributes.perm |= if enter { 0o555 } else { 0o444 };
        }
        if self.writable {
            attributes.perm |= if attributes.kind == FileType::Directory { 0o700 } else { 0o600 };
        }
        attributes
    }

    /// Whether an extended attribute is shown. An access control list would take back what [`Self::readable`] gives.
    pub fn shows(self, xattr: &[u8]) -> bool {
        !(self.readable && xattr.starts_with(b"system.posix_acl_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::attr;
    use fuser::INodeNo;

    #[test]
    fn owners_and_modes_change_only_where_asked() {
        let of = |face: Face, kind, perm| {
            let shown = face.of(FileAttr { kind, perm, uid: 7, gid: 8, ..attr::none(INodeNo(5)) });
            (shown.uid, shown.gid, shown.perm)
        };
        let (file, folder) = (FileType::RegularFile, FileType::Directory);
        assert_eq!(of(Face::default(), file, 0o600), (7, 8, 0o600));
        assert_eq!(of(Face { owner: Some((1, 2)), ..Face::default() }, file, 0o600), (1, 2, 0o600));
        let readable = Face { readable: true, ..Face::default() };
        assert_eq!(of(readable, file, 0o600), (7, 8, 0o644));
        assert_eq!(of(readable, file, 0o4700), (7, 8, 0o4755));
        assert_eq!(of(readable, folder, 0o1700), (7, 8, 0o1755));
        let writable = Face { writable: true, ..Face::default() };
        assert_eq!((of(writable, file, 0o444).2, of(writable, folder, 0o555).2), (0o644, 0o755));
        assert!(Face::default().shows(b"system.posix_acl_access") && readable.shows(b"user.x"));
        assert!(!readable.shows(b"system.posix_acl_access"));
    }
}
