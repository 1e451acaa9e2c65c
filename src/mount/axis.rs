//! Nodes of `versions`, the time axis, and of `changes`: folders that stand in no snapshot, known by what the kernel has looked up.
//!
//! A number is a hash of what the folder is, so it is the same on every mount unless two collide; then the one met later takes the
//! next free number. Kept only for as long as the kernel knows of it. Not here: what is in the folders.

use super::node::{MAX_PLACE, Node, mixed};
use crate::repo::entry::EntryPath;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a folder that stands in no snapshot shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// Every name that the folder at this path had in any snapshot.
    Folder(EntryPath),
    /// Every content that the file at this path had.
    File(EntryPath),
    /// A folder for each snapshot and the one before it.
    Pairs,
    /// What differs below a folder between two snapshots.
    Between(Between),
}

/// A folder of two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Between {
    /// The number of the earlier one.
    pub before: u32,
    /// The number of the later one.
    pub after: u32,
    /// The folder in both.
    pub path: EntryPath,
}

impl Side {
    /// Where it is below the mountpoint, by the names that `name` gives to snapshots.
    pub fn shown<'n>(&self, name: impl Fn(u32) -> Option<&'n str>) -> Vec<u8> {
        match self {
            Self::Folder(path) | Self::File(path) => [b"versions".as_slice(), &path.to_bytes()].concat(),
            Self::Pairs => b"changes".to_vec(),
            Self::Between(Between { before, after, path }) => {
                let [before, after] = [before, after].map(|number| name(*number).unwrap_or("?"));
                [format!("changes/{before}..{after}").as_bytes(), &path.to_bytes()].concat()
            }
        }
    }

    /// The folder of its kind that holds it; `None` for `versions` and `changes` themselves.
    pub fn parent(&self) -> Option<Self> {
        let above = |path: &EntryPath| path.0.split_last().map(|(_, above)| EntryPath(above.to_vec()));
        match self {
            Self::Folder(path) | Self::File(path) => above(path).map(Self::Folder),
            Self::Pairs => None,
            Self::Between(between) => Some(match above(&between.path) {
                Some(path) => Self::Between(Between { path, ..*between }),
                None => Self::Pairs,
            }),
        }
    }

    /// The node of those that are always there.
    fn fixed(&self) -> Option<Node> {
        match self {
            Self::Folder(path) if path.0.is_empty() => Some(Node::AXIS),
            Self::Pairs => Some(Node::CHANGES),
            _ => None,
        }
    }

    fn hash(&self) -> u64 {
        let fold =
            |hash, path: &EntryPath| path.to_bytes().iter().fold(hash, |hash, byte| mixed(hash, u64::from(*byte)));
        let hash = match self {
            Self::Folder(path) => fold(0, path),
            Self::File(path) => fold(1, path),
            Self::Pairs => 0,
            Self::Between(Between { before, after, path }) => {
                fold(mixed(mixed(2, u64::from(*before)), u64::from(*after)), path)
            }
        };
        // The others are taken.
        hash.max(2)
    }
}

/// The folders that the kernel knows, by node number.
#[derive(Debug, Default)]
pub struct Axis(Mutex<HashMap<u64, Known>>);

#[derive(Debug)]
struct Known {
    side: Side,
    /// How often the kernel was told of it and has not forgotten it.
    lookups: u64,
}

impl Axis {
    /// What `node` shows; `None` when the kernel should not know of it.
    pub fn side(&self, node: Node) -> Option<Side> {
        match node {
            Node::AXIS => return Some(Side::Folder(EntryPath::default())),
            Node::CHANGES => return Some(Side::Pairs),
            _ => {}
        }
        self.lock().get(&node.number()).map(|known| known.side.clone())
    }

    /// The node of `side`, for looking at it.
    pub fn node(&self, side: &Side) -> Node {
        self.place(side, &self.lock())
    }

    /// Notes that the kernel is told of `side`, and returns its node: [`Self::forget`] must follow as often.
    pub fn hold(&self, side: &Side) -> Node {
        let mut known = self.lock();
        let node = self.place(side, &known);
        if side.fixed().is_none() {
            known.entry(node.number()).or_insert_with(|| Known { side: side.clone(), lookups: 0 }).lookups += 1;
        }
        node
    }

    /// Notes that the kernel has forgotten `lookups` of the times it was told of `node`.
    pub fn forget(&self, node: Node, lookups: u64) {
        let mut known = self.lock();
        if let Some(here) = known.get_mut(&node.number()) {
            here.lookups = here.lookups.saturating_sub(lookups);
            if here.lookups == 0 {
                known.remove(&node.number());
            }
        }
    }

    fn place(&self, side: &Side, known: &HashMap<u64, Known>) -> Node {
        if let Some(node) = side.fixed() {
            return node;
        }
        let mut place = side.hash();
        loop {
            let node = Node::Axis(place);
            match known.get(&node.number()) {
                Some(taken) if taken.side != *side => {
                    place = if place < MAX_PLACE { place + 1 } else { 2 };
                }
                _ => return node,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn folders_are_known_for_as_long_as_the_kernel_knows_them() {
        let axis = Axis::default();
        let (folder, file) = (Side::Folder(path("/home/ana")), Side::File(path("/home/ana")));
        let node = axis.hold(&folder);
        assert_eq!(axis.hold(&folder), node);
        assert_ne!(axis.node(&file), node);
        assert_eq!(axis.side(axis.node(&file)), None, "nobody was told of it");
        axis.forget(node, 1);
        assert_eq!(axis.side(node), Some(folder.clone()));
        axis.forget(node, 1);
        assert_eq!(axis.side(node), None);
        assert_eq!(Axis::default().hold(&folder), node, "the same on another mount");
        assert_eq!(folder.parent(), Some(Side::Folder(path("/home"))));
        assert_eq!(Side::Folder(path("/")).parent(), None);
        assert_eq!((axis.hold(&Side::Pairs), axis.side(Node::CHANGES)), (Node::CHANGES, Some(Side::Pairs)));
        let between = |before, after, at| Side::Between(Between { before, after, path: path(at) });
        let nodes =
            [between(1, 2, "/a"), between(2, 1, "/a"), between(1, 2, "/b")].map(|side| axis.node(&side).number());
        assert!(nodes[0] != nodes[1] && nodes[0] != nodes[2]);
        assert_eq!(between(1, 2, "/a").parent(), Some(between(1, 2, "/")));
        assert_eq!(between(1, 2, "/").parent(), Some(Side::Pairs));
        axis.forget(Node::AXIS, 5);
        assert_eq!(axis.side(Node::AXIS), Some(Side::Folder(path("/"))));
    }

    #[test]
    fn folders_that_collide_stay_apart() {
        let axis = Axis::default();
        let (side, other) = (Side::File(path("/a")), Side::File(path("/b")));
        let taken = axis.node(&side);
        axis.lock().insert(taken.number(), Known { side: other.clone(), lookups: 1 });
        let node = axis.hold(&side);
        assert_ne!(node, taken);
        assert_eq!((axis.side(node), axis.side(taken)), (Some(side), Some(other)));
    }
}
