//! What stands above the snapshots: `latest`, `by-time`, `by-host`, `by-tag`, `by-id`, and the way to `versions` and `changes`. Pure: a
//! list of snapshots in, folders out.
//!
//! Snapshots themselves are folders in `by-time` only; everywhere else they are relative links to there. Invariant: what two
//! layouts have in common has the same node in both, and a link that points elsewhere has another node, so that the kernel may
//! keep what it knows of a node.

use super::name;
use super::node::{MAX_SNAPSHOT, Node, mixed};
use super::snapshots::MountedSnapshot;
use crate::repo::entry::Timestamp;
use crate::repo::id::SnapshotId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

const BY_TIME: &str = "by-time";

/// Folders and links above the snapshots, by node number.
#[derive(Debug, Default)]
pub struct Layout {
    nodes: HashMap<u64, Above>,
    names: HashMap<SnapshotId, String>,
    roots: HashMap<u32, String>,
    /// Snapshots and those that follow them, by number.
    pairs: Vec<(u32, u32)>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Above {
    /// Its folder.
    pub parent: Node,
    /// What it is.
    pub kind: AboveKind,
    /// When its newest snapshot was taken.
    pub time: Timestamp,
}

/// A folder or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AboveKind {
    /// A folder and what is in it, by name.
    Folder(BTreeMap<OsString, Node>),
    /// A symbolic link and its target.
    Link(String),
}

impl Layout {
    /// The layout of these snapshots. Names that `before` gave are kept; a new snapshot of a second that is taken gets the
    /// first free suffix, in the order of the snapshots' numbers.
    pub fn new(snapshots: &[MountedSnapshot], before: &Self) -> Self {
        let mut layout = Self { names: names(snapshots, before), ..Self::default() };
        let mut sorted: Vec<_> = snapshots.iter().filter(|snapshot| shown(snapshot)).collect();
        sorted.sort_by_key(|snapshot| (snapshot.time, snapshot.number));
        layout.folder(Node::TOP, Node::TOP);
        for path in [BY_TIME, "by-host", "by-tag", "by-id"] {
            layout.make_folder(Node::TOP, path, path);
        }
        layout.put(Node::TOP, "versions", Node::AXIS);
        layout.put(Node::TOP, "changes", Node::CHANGES);
        for snapshot in &sorted {
            layout.add(snapshot);
        }
        layout.add_ids(&sorted);
        layout.pairs = pairs(&sorted);
        layout
    }

    /// What a node above the snapshots is.
    pub fn get(&self, node: Node) -> Option<&Above> {
        self.nodes.get(&node.number())
    }

    /// The name in `by-time` of the snapshot with this number.
    pub fn name(&self, snapshot: u32) -> Option<&str> {
        self.roots.get(&snapshot).map(String::as_str)
    }

    /// The number of the snapshot that has this name in `by-time`.
    pub fn number(&self, name: &[u8]) -> Option<u32> {
        self.roots.iter().find(|(_, root)| root.as_bytes() == name).map(|(number, _)| *number)
    }

    /// Each two snapshots of the same paths of one host that follow each other, by number, the oldest first.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }

    /// When the newest snapshot was taken.
    pub fn time(&self) -> Timestamp {
        self.get(Node::TOP).map_or_else(Timestamp::default, |top| top.time)
    }

    /// Where a node is below the mountpoint: empty for the root, and for a node that is not there.
    pub fn path(&self, node: Node) -> Vec<u8> {
        let Some((parent, children)) = self.get(node).and_then(|above| {
            let AboveKind::Folder(children) = &self.get(above.parent)?.kind else { return None };
            Some((above.parent, children))
        }) else {
            return Vec::new();
        };
        let Some((name, _)) = children.iter().find(|(_, child)| **child == node) else { return Vec::new() };
        let mut path = self.path(parent);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        path
    }

    /// The folder that holds the snapshots.
    pub fn by_time() -> Node {
        node_of(BY_TIME, "")
    }

    /// Names that this layout has not, or has for another node, with their folders: what the kernel has to forget when `self`
    /// takes the place of `before`.
    pub fn changed<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (Node, &'a OsStr)> {
        before.nodes.iter().flat_map(move |(number, above)| {
            let AboveKind::Folder(old) = &above.kind else { return Vec::new() };
            let new = self.nodes.get(number);
            let still = |name: &OsString, node: &Node| match new.map(|above| &above.kind) {
                Some(AboveKind::Folder(new)) => new.get(name) == Some(node),
                _ => false,
            };
            let gone = old.iter().filter(|(name, node)| !still(name, node));
            gone.map(|(name, _)| (Node::Above(*number), name.as_os_str())).collect()
        })
    }

    fn add(&mut self, snapshot: &MountedSnapshot) {
        let name = self.names[&snapshot.id].clone();
        self.touch(Node::TOP, snapshot.time);
        self.put(Self::by_time(), &name, Node::Root(snapshot.number));
        self.touch(Self::by_time(), snapshot.time);
        self.roots.insert(snapshot.number, name.clone());
        if snapshot.partial {
            return;
        }
        self.link(Node::TOP, "latest", "", &format!("{BY_TIME}/{name}"), snapshot.time);
        self.add_to_group("by-host", &snapshot.host, &name, snapshot.time);
        for tag in snapshot.tags.iter().collect::<BTreeSet<_>>() {
            self.add_to_group("by-tag", tag, &name, snapshot.time);
        }
    }

    fn add_to_group(&mut self, group: &str, of: &str, name: &str, time: Timestamp) {
        // What cannot be a name is still found by time and by id.
        let Some(of) = name::of_text(of) else { return };
        let path = format!("{group}/{of}");
        let parent = node_of(group, "");
        let folder = self.make_folder(parent, &of, &path);
        self.touch(parent, time);
        self.touch(folder, time);
        self.link(folder, name, &path, &format!("../../{BY_TIME}/{name}"), time);
        // In order of time, so the last one stays.
        self.link(folder, "latest", &path, name, time);
    }

    /// Ids as short as they can be and differ, but not below eight digits.
    fn add_ids(&mut self, sorted: &[&MountedSnapshot]) {
        let mut ids: Vec<_> = sorted.iter().map(|snapshot| (snapshot.id.to_string(), *snapshot)).collect();
        ids.sort_by(|a, b| a.0.cmp(&b.0));
        let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
        let length = ids.windows(2).map(|pair| common(&pair[0].0, &pair[1].0) + 1).max().unwrap_or(0).max(8);
        let folder = node_of("by-id", "");
        for (id, snapshot) in &ids {
            let target = format!("../{BY_TIME}/{}", self.names[&snapshot.id]);
            self.link(folder, &id[..length.min(id.len())], "by-id", &target, snapshot.time);
            self.touch(folder, snapshot.time);
        }
    }

    fn folder(&mut self, node: Node, parent: Node) {
        let kind = AboveKind::Folder(BTreeMap::new());
        self.nodes.entry(node.number()).or_insert(Above { parent, kind, time: Timestamp::default() });
    }

    fn make_folder(&mut self, parent: Node, name: &str, path: &str) -> Node {
        let node = node_of(path, "");
        self.folder(node, parent);
        self.put(parent, name, node);
        node
    }

    fn link(&mut self, parent: Node, name: &str, folder: &str, target: &str, time: Timestamp) {
        let node = node_of(&format!("{folder}/{name}"), target);
        self.nodes.insert(node.number(), Above { parent, kind: AboveKind::Link(target.to_owned()), time });
        self.put(parent, name, node);
    }

    fn put(&mut self, folder: Node, name: &str, node: Node) {
        if let Some(AboveKind::Folder(children)) = self.nodes.get_mut(&folder.number()).map(|above| &mut above.kind) {
            let replaced = children.insert(OsStr::from_bytes(name.as_bytes()).to_owned(), node);
            // A link that was replaced by a newer one of its name is reachable no more.
            if let Some(Node::Above(old)) = replaced.filter(|old| *old != node) {
                self.nodes.remove(&old);
            }
        }
    }

    fn touch(&mut self, node: Node, time: Timestamp) {
        if let Some(above) = self.nodes.get_mut(&node.number()) {
            above.time = above.time.max(time);
        }
    }
}

/// Whether a snapshot can be shown: its number must fit into node numbers.
pub fn shown(snapshot: &MountedSnapshot) -> bool {
    (1..=MAX_SNAPSHOT).contains(&snapshot.number)
}

/// The node of a path above the snapshots; of a link also its target. A collision of two of these few 39-bit hashes, once in
/// many millions of repositories, would show one of the two as the other.
fn node_of(path: &str, target: &str) -> Node {
    let fold = |text: &str| text.bytes().fold(text.len() as u64, |hash, byte| mixed(hash, u64::from(byte)));
    // 0 and the root's 1 are taken.
    Node::Above(mixed(fold(path), fold(target)).max(2))
}

fn pairs(sorted: &[&MountedSnapshot]) -> Vec<(u32, u32)> {
    let mut last: HashMap<(&str, &[Vec<u8>]), u32> = HashMap::new();
    let complete = sorted.iter().filter(|snapshot| !snapshot.partial);
    let follows = complete.filter_map(|snapshot| {
        let before = last.insert((&snapshot.host, &snapshot.paths), snapshot.number)?;
        Some((before, snapshot.number))
    });
    follows.collect()
}

fn names(snapshots: &[MountedSnapshot], before: &Layout) -> HashMap<SnapshotId, String> {
    let mut sorted: Vec<_> = snapshots.iter().filter(|snapshot| shown(snapshot)).collect();
    sorted.sort_by_key(|snapshot| snapshot.number);
    let known = |snapshot: &&&MountedSnapshot| before.names.get(&snapshot.id).map(|name| (snapshot.id, name.clone()));
    let mut names: HashMap<_, _> = sorted.iter().filter_map(|snapshot| known(&snapshot)).collect();
    let mut taken: BTreeSet<String> = names.values().cloned().collect();
    for snapshot in sorted {
        names.entry(snapshot.id).or_insert_with(|| {
            let base = name::of_time(snapshot.time);
            let suffixed = (2..).map(|suffix: u64| format!("{base}-{suffix}"));
            let mut free = std::iter::once(base.clone()).chain(suffixed).filter(|name| taken.insert(name.clone()));
            free.next().expect("there are more suffixes than snapshots")
        });
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::id::ChunkId;

    fn snapshot(number: u32, seconds: i64, host: &str, tags: &[&str]) -> MountedSnapshot {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        let time = Timestamp { seconds, nanoseconds: number };
        let id = SnapshotId([number as u8; 32]);
        let (host, root) = (host.to_owned(), ChunkId([0; 32]));
        MountedSnapshot { id, number, time, host, paths: vec![], tags, root, partial: false }
    }

    /// Every path with the target of a link, `=N` for the root of snapshot N, or nothing for a folder.
    fn paths(layout: &Layout, node: Node, path: &str, out: &mut Vec<String>) {
        let Some(above) = layout.get(node) else { return out.push(format!("{path}={}", node.snapshot())) };
        match &above.kind {
            AboveKind::Link(target) => out.push(format!("{path}>{target}")),
            AboveKind::Folder(children) => {
                out.push(path.to_owned());
                for (name, child) in children {
                    paths(layout, *child, &format!("{path}/{}", name.to_str().unwrap()), out);
                }
            }
        }
    }

    fn all(layout: &Layout) -> Vec<String> {
        let mut out = Vec::new();
        paths(layout, Node::TOP, "", &mut out);
        out
    }

    #[test]
    fn an_empty_repository_has_its_folders() {
        let layout = Layout::new(&[], &Layout::default());
        assert_eq!(all(&layout), ["", "/by-host", "/by-id", "/by-tag", "/by-time", "/changes=0", "/versions=0"]);
    }

    #[test]
    fn partial_snapshots_are_found_by_time_and_id_and_are_the_latest_of_nothing() {
        let partial = MountedSnapshot { partial: true, ..snapshot(2, 100, "web", &["daily"]) };
        let layout = Layout::new(&[snapshot(1, 50, "web", &[]), partial], &Layout::default());
        let all = all(&layout);
        assert!(all.contains(&"/by-time/1970-01-01T00-01-40Z=2".to_owned()), "{all:?}");
        assert!(all.contains(&"/by-id/02020202>../by-time/1970-01-01T00-01-40Z".to_owned()), "{all:?}");
        assert!(all.contains(&"/latest>by-time/1970-01-01T00-00-50Z".to_owned()), "{all:?}");
        assert_eq!(all.iter().filter(|path| path.contains("01-40Z")).count(), 2, "{all:?}");
    }

    #[test]
    fn snapshots_are_found_by_time_host_tag_and_id() {
        let layout = Layout::new(
            &[snapshot(2, 100, "web", &["daily", "a/b"]), snapshot(1, 50, "db", &["daily", "daily"])],
            &Layout::default(),
        );
        let expected = [
            "",
            "/by-host",
            "/by-host/db",
            "/by-host/db/1970-01-01T00-00-50Z>../../by-time/1970-01-01T00-00-50Z",
            "/by-host/db/latest>1970-01-01T00-00-50Z",
            "/by-host/web",
            "/by-host/web/1970-01-01T00-01-40Z>../../by-time/1970-01-01T00-01-40Z",
            "/by-host/web/latest>1970-01-01T00-01-40Z",
            "/by-id",
            "/by-id/01010101>../by-time/1970-01-01T00-00-50Z",
            "/by-id/02020202>../by-time/1970-01-01T00-01-40Z",
            "/by-tag",
            "/by-tag/a%2Fb",
            "/by-tag/a%2Fb/1970-01-01T00-01-40Z>../../by-time/1970-01-01T00-01-40Z",
            "/by-tag/a%2Fb/latest>1970-01-01T00-01-40Z",
            "/by-tag/daily",
            "/by-tag/daily/1970-01-01T00-00-50Z>../../by-time/1970-01-01T00-00-50Z",
            "/by-tag/daily/1970-01-01T00-01-40Z>../../by-time/1970-01-01T00-01-40Z",
            "/by-tag/daily/latest>1970-01-01T00-01-40Z",
            "/by-time",
            "/by-time/1970-01-01T00-00-50Z=1",
            "/by-time/1970-01-01T00-01-40Z=2",
            "/changes=0",
            "/latest>by-time/1970-01-01T00-01-40Z",
            "/versions=0",
        ];
        assert_eq!(all(&layout), expected);
        assert_eq!(layout.path(node_of("by-tag/daily", "")), b"by-tag/daily");
        assert_eq!((layout.path(Node::TOP), layout.path(Node::Above(7))), (vec![], vec![]));
        assert_eq!(layout.get(Node::TOP).unwrap().time.seconds, 100);
        assert_eq!(layout.nodes.len(), expected.len() - 4, "nothing is kept that no path leads to");
    }

    #[test]
    fn snapshots_follow_others_of_the_same_host_and_paths() {
        let of = |number, host| snapshot(number, i64::from(number), host, &[]);
        let other = MountedSnapshot { paths: vec![b"/etc".to_vec()], ..of(3, "web") };
        let partial = MountedSnapshot { partial: true, ..of(5, "web") };
        let all = [of(6, "web"), of(1, "web"), of(2, "db"), other, of(4, "web"), partial];
        let layout = Layout::new(&all, &Layout::default());
        assert_eq!(layout.pairs(), [(1, 4), (4, 6)]);
        assert_eq!((layout.number(b"1970-01-01T00-00-04Z"), layout.number(b"latest")), (Some(4), None));
    }

    #[test]
    fn snapshots_of_one_second_get_suffixes_and_keep_them() {
        let (a, b, c) = (snapshot(1, 9, "", &[]), snapshot(2, 9, "", &[]), snapshot(3, 9, "", &[]));
        let first = Layout::new(&[b.clone(), a], &Layout::default());
        assert_eq!((first.name(1), first.name(2)), (Some("1970-01-01T00-00-09Z"), Some("1970-01-01T00-00-09Z-2")));
        let second = Layout::new(&[c, b], &first);
        assert_eq!(second.name(2), Some("1970-01-01T00-00-09Z-2"), "though the first one is gone");
        assert_eq!(second.name(3), Some("1970-01-01T00-00-09Z"));
        assert_eq!(second.name(1), None);
        assert_eq!(second.roots.len(), 2);
    }

    #[test]
    fn what_changed_is_told_to_the_kernel_and_the_rest_is_not() {
        let (a, b) = (snapshot(1, 9, "web", &[]), snapshot(2, 10, "web", &[]));
        let before = Layout::new(std::slice::from_ref(&a), &Layout::default());
        let after = Layout::new(&[a, b], &before);
        let mut changed: Vec<_> = after.changed(&before).map(|(node, name)| (node, name.to_owned())).collect();
        changed.sort_by_key(|(node, _)| node.number());
        let mut expected =
            vec![(Node::TOP, OsString::from("latest")), (node_of("by-host/web", ""), OsString::from("latest"))];
        expected.sort_by_key(|(node, _)| node.number());
        assert_eq!(changed, expected);
        assert_eq!(after.changed(&after).count(), 0);
    }

    #[test]
    fn a_number_that_fits_no_node_is_not_shown() {
        let layout = Layout::new(&[snapshot(0, 1, "", &[]), snapshot(1 << 24, 1, "", &[])], &Layout::default());
        assert_eq!(layout.roots.len(), 0);
    }
}
