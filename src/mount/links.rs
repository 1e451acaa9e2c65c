//! Hard links: all names of one file share a node, made from the device and inode that they shared at the source.
//!
//! The number is a hash, so it is the same on every mount unless two groups of one snapshot collide; then the one met later
//! takes the next free number. Only groups that were looked at are kept, with the place of one of their names.

use super::node::{MAX_PLACE, Node, mixed};
use crate::repo::entry::LinkGroup;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

/// Groups by node number.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<u64, Group>>);

#[derive(Debug, Clone, Copy)]
struct Group {
    device: u64,
    inode: u64,
    ordinal: u64,
}

impl Links {
    /// The node of the entry at `ordinal`, which is one of `group`'s names.
    pub fn node(&self, snapshot: u32, ordinal: u64, group: &LinkGroup) -> Node {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = mixed(group.device, group.inode);
        loop {
            let node = Node::Link(snapshot, place);
            match groups.entry(node.number()) {
                Entry::Vacant(free) => {
                    free.insert(Group { device: group.device, inode: group.inode, ordinal });
                    return node;
                }
                Entry::Occupied(taken) if (taken.get().device, taken.get().inode) == (group.device, group.inode) => {
                    return node;
                }
                Entry::Occupied(_) => place = (place + 1) & MAX_PLACE,
            }
        }
    }

    /// The ordinal of one of the names that share `node`; `None` if none was looked at on this mount.
    pub fn ordinal(&self, node: Node) -> Option<u64> {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.get(&node.number()).map(|group| group.ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_file_share_a_node_and_others_do_not() {
        let links = Links::default();
        let group = |inode| LinkGroup { device: 1, inode, links: 2 };
        let first = links.node(5, 10, &group(100));
        assert_eq!(links.node(5, 20, &group(100)), first);
        assert_eq!(links.ordinal(first), Some(10));
        assert_ne!(links.node(5, 30, &group(101)), first);
        assert_ne!(links.node(6, 10, &group(100)), first);
        assert_eq!(Links::default().node(5, 99, &group(100)), first, "another mount finds the same number");
        assert_eq!(links.ordinal(Node::Link(5, first.number() + 1)), None);
    }

    #[test]
    fn groups_that_collide_stay_apart() {
        let links = Links::default();
        let group = LinkGroup { device: 1, inode: 7, links: 2 };
        let taken = Node::Link(1, mixed(1, 7));
        links.0.lock().unwrap().insert(taken.number(), Group { device: 9, inode: 9, ordinal: 3 });
        let node = links.node(1, 4, &group);
        assert_ne!(node, taken);
        assert_eq!(links.node(1, 8, &group), node);
        assert_eq!((links.ordinal(taken), links.ordinal(node)), (Some(3), Some(4)));
    }
}
