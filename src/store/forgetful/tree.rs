//! The files and folders of a forgetful disk: as they are now, and as far as they are durable.

use super::super::disk::Stat;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::SystemTime;

type Names = BTreeMap<OsString, u64>;

#[derive(Debug, Clone)]
enum Node {
    File { now: Arc<Vec<u8>>, durable: Arc<Vec<u8>>, modified: SystemTime },
    Folder { now: Names, durable: Names },
}

/// All nodes by number. Nodes without a name stay until the next crash, which may bring an old name back.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// Bytes that all files together may have.
    pub(super) room: Option<u64>,
}

const ROOT: u64 = 0;

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node::Folder { now: Names::new(), durable: Names::new() };
        Self { nodes: [(ROOT, root)].into(), next: ROOT + 1, room: None }
    }

    pub(super) fn add_file(&mut self, path: &Path) -> io::Result<u64> {
        let nothing = Arc::new(Vec::new());
        self.add(path, Node::File { now: nothing.clone(), durable: nothing, modified: SystemTime::now() })
    }

    pub(super) fn add_folder(&mut self, path: &Path) -> io::Result<()> {
        self.add(path, Node::Folder { now: Names::new(), durable: Names::new() }).map(|_| ())
    }

    pub(super) fn append(&mut self, file: u64, bytes: &[u8]) -> io::Result<()> {
        let content = |node: u64| self.nodes.get(&node).and_then(|node| node.content().ok());
        let used: u64 = self.reachable().into_iter().filter_map(content).map(|now| now.len() as u64).sum();
        let left = self.room.map_or(u64::MAX, |room| room.saturating_sub(used));
        let fits = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if let Some(Node::File { now, modified, .. }) = self.nodes.get_mut(&file) {
            Arc::make_mut(now).extend_from_slice(&bytes[..fits]);
            *modified = SystemTime::now();
        }
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Makes a node's content, or the names in it, durable.
    pub(super) fn sync(&mut self, node: u64) {
        match self.nodes.get_mut(&node) {
            Some(Node::File { now, durable, .. }) => durable.clone_from(now),
            Some(Node::Folder { now, durable }) => durable.clone_from(now),
            None => {}
        }
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path, over: bool) -> io::Result<()> {
        let node = self.find(from)?;
        let (names, name) = self.parent(to)?;
        if !over && names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.insert(name.to_owned(), node);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, over: bool) -> io::Result<()> {
        self.link(from, to, over)?;
        let (names, name) = self.parent(from)?;
        names.remove(name);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        self.nodes[&node].content()?;
        let (names, name) = self.parent(path)?;
        names.remove(name);
        Ok(())
    }

    pub(super) fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if !self.folder(node)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (names, name) = self.parent(path)?;
        names.remove(name);
        Ok(())
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                node = *self.folder(node)?.get(name).ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(node)
    }

    pub(super) fn names(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        let node = self.find(path)?;
        Ok(self.folder(node)?.keys().cloned().collect())
    }

    pub(super) fn stat(&mut self, path: &Path) -> io::Result<Stat> {
        let number = self.find(path)?;
        let (file, length, modified) = match &self.nodes[&number] {
            Node::File { now, modified, .. } => (true, now.len() as u64, *modified),
            Node::Folder { .. } => (false, 0, SystemTime::UNIX_EPOCH),
        };
        Ok(Stat { directory: !file, file, length, identity: (0, number), modified })
    }

    pub(super) fn read(&mut self, path: &Path) -> io::Result<Arc<Vec<u8>>> {
        let number = self.find(path)?;
        self.nodes[&number].content().cloned()
    }

    /// Leaves of every node what a power cut leaves of it; `seed` picks.
    pub(super) fn crash(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        self.nodes.values_mut().for_each(|node| node.forget(&mut dice));
        let reachable = self.reachable();
        self.nodes.retain(|number, _| reachable.contains(number));
    }

    /// The nodes that have a name now.
    fn reachable(&self) -> BTreeSet<u64> {
        let (mut reached, mut ahead) = (BTreeSet::new(), vec![ROOT]);
        while let Some(number) = ahead.pop() {
            if let (true, Some(Node::Folder { now, .. })) = (reached.insert(number), self.nodes.get(&number)) {
                ahead.extend(now.values());
            }
        }
        reached
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<u64> {
        let number = self.next;
        let (names, name) = self.parent(path)?;
        if names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.insert(name.to_owned(), number);
        self.nodes.insert(number, node);
        self.next += 1;
        Ok(number)
    }

    fn folder(&mut self, node: u64) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&node) {
            Some(Node::Folder { now, .. }) => Ok(now),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The names in the folder that holds `path`, and its name there.
    fn parent<'a>(&mut self, path: &'a Path) -> io::Result<(&mut Names, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.find(path.parent().unwrap_or(path))?;
        Ok((self.folder(parent)?, name))
    }
}

impl Node {
    fn content(&self) -> io::Result<&Arc<Vec<u8>>> {
        match self {
            Self::File { now, .. } => Ok(now),
            Self::Folder { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn forget(&mut self, dice: &mut Dice) {
        match self {
            Self::File { now, durable, .. } if !Arc::ptr_eq(now, durable) => {
                *now = match dice.roll(4) {
                    0 => durable.clone(),
                    1 => Arc::new(now[..now.len() / 2].to_vec()),
                    2 => Arc::new(vec![0; now.len()]),
                    _ => now.clone(),
                };
                *durable = now.clone();
            }
            Self::File { .. } => {}
            Self::Folder { now, durable } => {
                let names: BTreeSet<OsString> = now.keys().chain(durable.keys()).cloned().collect();
                for name in names {
                    let (new, old) = (now.get(&name).copied(), durable.get(&name).copied());
                    match if dice.roll(2) == 0 { old } else { new } {
                        Some(kept) => durable.insert(name, kept),
                        None => durable.remove(&name),
                    };
                }
                now.clone_from(durable);
            }
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): enough for picking.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}
