//! Whom a folder lets in that stands for the same folder of several snapshots: those whom each of them let in. So nobody gets further by
//! another way than in the snapshots.

use super::attr;
use super::face::Face;
use super::node::Node;
use crate::repo::entry::{Entry, Timestamp};
use fuser::FileAttr;

/// A folder as it was in several snapshots.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    mode: u32,
    uid: u32,
    gid: u32,
    modified: Timestamp,
}

impl Door {
    /// A folder of one snapshot.
    pub fn of(entry: &Entry) -> Self {
        // What a list of access says beyond the mode is left out, so it lets in fewer and never more.
        let listed = entry.xattrs.iter().any(|(name, _)| name == b"system.posix_acl_access");
        let mode = entry.mode & if listed { 0o700 } else { 0o777 };
        Self { mode, uid: entry.uid, gid: entry.gid, modified: entry.modified }
    }

    /// Both doors, one behind the other; `self` is the newer one.
    pub fn and(self, older: Self) -> Self {
        let owners = if self.uid == older.uid { 0o700 } else { 0 };
        let groups = if self.gid == older.gid { 0o070 } else { 0 };
        Self { mode: self.mode & older.mode & (owners | groups | 0o007), ..self }
    }

    /// Its attributes as `face` shows them, as those of `node`.
    pub fn attributes(self, node: Node, face: Face) -> FileAttr {
        face.of(attr::of_axis(node, self.modified, self.mode, (self.uid, self.gid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::catalog::testing::entry;
    use crate::repo::entry::EntryKind;

    #[test]
    fn a_folder_lets_in_whom_it_always_let_in() {
        let door = |mode, uid, gid| Door::of(&Entry { mode, uid, gid, ..entry(EntryKind::Directory) });
        let both = |newer: Door, older: Door| {
            let both = newer.and(older);
            (both.mode, both.uid, both.gid)
        };
        assert_eq!(both(door(0o755, 1, 1), door(0o750, 1, 1)), (0o750, 1, 1));
        assert_eq!(both(door(0o755, 1, 1), door(0o755, 2, 1)), (0o055, 1, 1));
        assert_eq!(both(door(0o755, 1, 1), door(0o755, 2, 2)), (0o005, 1, 1));
        assert_eq!(both(door(0o700, 1, 1), door(0o700, 2, 2)), (0, 1, 1));
    }
}
