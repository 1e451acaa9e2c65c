//! The paths that were asked for, as a tree: what lies on the way to them, and what is one of them.
//!
//! Pure: it knows names, not files.

use crate::repo::entry::{EntryName, EntryPath};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One directory name of the tree; the topmost stands for `/`.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Whether this path itself was asked for, with all below it.
    pub wanted: bool,
    /// Names below that lead to paths asked for, in byte order.
    pub below: BTreeMap<EntryName, Arc<Node>>,
}

impl Node {
    /// The tree of `roots`.
    pub fn new(roots: &[EntryPath]) -> Self {
        let mut top = Self::default();
        for root in roots {
            let mut node = &mut top;
            for name in &root.0 {
                // Nobody shares the nodes yet, so nothing is cloned.
                node = Arc::make_mut(node.below.entry(name.clone()).or_default());
            }
            node.wanted = true;
        }
        top
    }

    /// The paths asked for at or below this node, which itself is `path`.
    pub fn wanted_paths(&self, path: &EntryPath) -> Vec<EntryPath> {
        let mut found = if self.wanted { vec![path.clone()] } else { Vec::new() };
        for (name, node) in &self.below {
            found.extend(node.wanted_paths(&path.join(name.clone())));
        }
        found
    }

    /// Whether `path` lies strictly above every path asked for that it leads to, so that only the way is listed there.
    pub fn is_way(&self, path: &[EntryName]) -> bool {
        let mut node = self;
        for name in path {
            match node.below.get(name) {
                Some(next) if !node.wanted => node = next,
                _ => return false,
            }
        }
        !node.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_tree_knows_ways_and_roots() {
        let top = Node::new(&[path("/a/b"), path("/a/b/c/d"), path("/x")]);
        for way in ["/", "/a"] {
            assert!(top.is_way(&path(way).0), "{way}");
        }
        for other in ["/a/b", "/a/b/c", "/x", "/x/y", "/nowhere"] {
            assert!(!top.is_way(&path(other).0), "{other}");
        }
        assert_eq!(top.wanted_paths(&path("/")), ["/a/b", "/a/b/c/d", "/x"].map(path));
    }
}
