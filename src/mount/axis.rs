//! Nodes of `versions`, the time axis: folders that stand in no snapshot, known by what the kernel has looked up.
//!
//! A number is a hash of what the folder is, so it is the same on every mount unless two collide; then the one met later takes the
//! next free number. Kept only for as long as the kernel knows of it. Not here: what is in the folders.

use super::node::{MAX_PLACE, Node, mixed};
use crate::repo::entry::EntryPath;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a folder of the time axis shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// Every name that the folder at this path had in any snapshot.
    Folder(EntryPath),
    /// Every content that the file at this path had.
    File(EntryPath),
}

impl Side {
    /// Where it is in the snapshots.
    pub const fn path(&self) -> &EntryPath {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }

    /// The folder of the time axis that holds it; `None` for `versions` itself.
    pub fn parent(&self) -> Option<Self> {
        self.path().0.split_last().map(|(_, above)| Self::Folder(EntryPath(above.to_vec())))
    }

    fn hash(&self) -> u64 {
        let fold = |hash, bytes: &[u8]| bytes.iter().fold(hash, |hash, byte| mixed(hash, u64::from(*byte)));
        fold(u64::from(matches!(self, Self::File(_))), &self.path().to_bytes()).max(1)
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
        if node == Node::AXIS {
            return Some(Side::Folder(EntryPath::default()));
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
        if node != Node::AXIS {
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
        if *side == Side::Folder(EntryPath::default()) {
            return Node::AXIS;
        }
        let mut place = side.hash();
        loop {
            let node = Node::Axis(place);
            match known.get(&node.number()) {
                Some(taken) if taken.side != *side => place = (place + 1).min(MAX_PLACE) % MAX_PLACE + 1,
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
