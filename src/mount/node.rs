//! Node numbers: a snapshot's number above, an entry's place in its catalog below.
//!
//! Invariant: the same entry of the same snapshot has the same number on every mount of this host, and no table is needed to
//! get from the number to the entry. Only hard links have numbers of their own kind, made from what they share (see `links`).
//!
//! ```text
//! 24 bits snapshot | 1 bit link | 39 bits: 0 = the snapshot's root, else ordinal + 1, or the link group's hash
//! snapshot 0: folders above the snapshots; 1 = the mount's root, else a hash of the path; with the link bit, folders that stand in
//! no snapshot: 0 = `versions`, 1 = `changes`, else a hash
//! ```

use fuser::INodeNo;

const SNAPSHOT_SHIFT: u32 = 40;
const LINK_BIT: u64 = 1 << 39;
/// The largest place below a snapshot.
pub const MAX_PLACE: u64 = LINK_BIT - 1;
/// The largest number of a snapshot.
pub const MAX_SNAPSHOT: u32 = (1 << 24) - 1;

/// What a node number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Node {
    /// A folder or link above the snapshots.
    Above(u64),
    /// A snapshot's own root.
    Root(u32),
    /// A folder of the time axis, or of changes.
    Axis(u64),
    /// An entry: the snapshot's number and how many entries stand before it.
    Entry(u32, u64),
    /// All names of one file: the snapshot's number and the group's.
    Link(u32, u64),
}

impl Node {
    /// The mount's root.
    pub const TOP: Self = Self::Above(1);
    /// `versions`.
    pub const AXIS: Self = Self::Axis(0);
    /// `changes`.
    pub const CHANGES: Self = Self::Axis(1);

    /// Its number.
    pub const fn number(self) -> u64 {
        match self {
            Self::Above(number) => number,
            Self::Axis(place) => LINK_BIT | place,
            Self::Root(snapshot) => above(snapshot),
            Self::Entry(snapshot, ordinal) => above(snapshot) | (ordinal + 1),
            Self::Link(snapshot, group) => above(snapshot) | LINK_BIT | group,
        }
    }

    /// Its number, as the kernel is told.
    pub const fn ino(self) -> INodeNo {
        INodeNo(self.number())
    }

    /// What a number from the kernel stands for.
    pub const fn of(number: INodeNo) -> Self {
        let INodeNo(number) = number;
        let (snapshot, place) = ((number >> SNAPSHOT_SHIFT) as u32, number & MAX_PLACE);
        match (snapshot, number & LINK_BIT, place) {
            (0, 0, _) => Self::Above(number),
            (0, _, _) => Self::Axis(place),
            (_, 0, 0) => Self::Root(snapshot),
            (_, 0, _) => Self::Entry(snapshot, place - 1),
            _ => Self::Link(snapshot, place),
        }
    }

    /// The snapshot's number, 0 above the snapshots.
    pub const fn snapshot(self) -> u32 {
        match self {
            Self::Above(_) | Self::Axis(_) => 0,
            Self::Root(snapshot) | Self::Entry(snapshot, _) | Self::Link(snapshot, _) => snapshot,
        }
    }
}

const fn above(snapshot: u32) -> u64 {
    (snapshot as u64) << SNAPSHOT_SHIFT
}

/// A well-mixed number below 2^39 made from two: the finaliser of SplitMix64, twice. Nodes must not change from one version
/// to the next, so this is spelled out here and not left to a library.
pub const fn mixed(a: u64, b: u64) -> u64 {
    const fn finish(mut x: u64) -> u64 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    finish(finish(a.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ b) & MAX_PLACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_both_ways() {
        let nodes = [
            Node::TOP,
            Node::AXIS,
            Node::Axis(MAX_PLACE),
            Node::Root(1),
            Node::Root(MAX_SNAPSHOT),
            Node::Entry(7, 0),
            Node::Entry(MAX_SNAPSHOT, MAX_PLACE - 1),
            Node::Link(3, 0),
            Node::Link(MAX_SNAPSHOT, MAX_PLACE),
        ];
        for node in nodes {
            assert_eq!(Node::of(node.ino()), node);
        }
        assert_eq!(Node::Entry(2, 4).number(), 2 << 40 | 5);
    }

    #[test]
    fn mixing_never_changes_between_versions() {
        assert_eq!(mixed(0, 0), 167_490_933_951);
        assert_ne!(mixed(1, 2), mixed(2, 1));
    }
}
