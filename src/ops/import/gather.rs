//! From members in the order of the archive to entries in the order of a catalog, and what is refused on the way.
//!
//! Nothing of an archive can leave it: a catalog's names know neither `..` nor links that are followed. Absolute names are
//! taken from the root; names that lead up, links to nothing and files below something that is no folder are refused.

use super::reader::Member;
use crate::repo::catalog::key;
use crate::repo::entry::{Content, Entry, EntryKind, EntryName, EntryPath, LinkGroup, Timestamp, XattrValue};
use std::collections::{BTreeMap, HashMap};
use tar::EntryType;

/// Entries by catalog key.
pub(super) struct Gathered {
    entries: BTreeMap<Vec<u8>, (EntryPath, Entry)>,
    /// Numbers of inodes with several names, by the key of each name.
    groups: HashMap<Vec<u8>, u64>,
    last_group: u64,
    below: EntryPath,
    /// What folders get that the archive does not name itself.
    implied: Entry,
}

/// Why a member is not taken.
pub(super) type Refused = &'static str;

impl Gathered {
    /// Nothing yet; everything will lie below `below`. Folders that no member describes belong to `uid` and `gid`.
    pub(super) fn new(below: EntryPath, now: Timestamp, uid: u32, gid: u32) -> Self {
        let implied = Entry {
            kind: EntryKind::Directory,
            mode: 0o755,
            uid,
            gid,
            user: Vec::new(),
            group: Vec::new(),
            modified: now,
            changed: now,
            accessed: None,
            size: 0,
            flags: 0,
            xattrs: Vec::new(),
            links: None,
        };
        let mut gathered = Self { entries: BTreeMap::new(), groups: HashMap::new(), last_group: 0, below, implied };
        let below = gathered.below.clone();
        for depth in 0..=below.0.len() {
            let path = EntryPath(below.0[..depth].to_vec());
            gathered.entries.insert(key::encode(&path), (path, gathered.implied.clone()));
        }
        gathered
    }

    /// The path that a member's name means.
    pub(super) fn path(&self, name: &[u8]) -> Result<EntryPath, Refused> {
        let mut path = self.below.clone();
        for part in name.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("its name leads up, out of the archive"),
                part => path.0.push(EntryName::new(part).ok_or("its name is one that no file can have")?),
            }
        }
        Ok(path)
    }

    /// Whether there is a place for an entry of that kind at `path`; makes the folders above it.
    pub(super) fn make_way(&mut self, path: &EntryPath, directory: bool) -> Result<(), Refused> {
        for depth in self.below.0.len()..path.0.len() {
            let above = EntryPath(path.0[..depth].to_vec());
            let implied = &self.implied;
            let (_, there) = self.entries.entry(key::encode(&above)).or_insert_with(|| (above, implied.clone()));
            if there.kind != EntryKind::Directory {
                return Err("something that is no folder stands above it in the archive");
            }
        }
        if *path == self.below && !directory {
            return Err("it has no name of its own");
        }
        if !directory && self.is_full(path) {
            return Err("a folder with something in it has its name");
        }
        Ok(())
    }

    fn is_full(&self, path: &EntryPath) -> bool {
        let range = key::children(path);
        let mut below = self.entries.range(range.start.clone()..);
        below.next().is_some_and(|(key, _)| range.end.as_ref().is_none_or(|end| key < end))
    }

    /// Adds an entry; an earlier one of the same name makes way.
    pub(super) fn put(&mut self, path: EntryPath, entry: Entry) {
        let key = key::encode(&path);
        self.groups.remove(&key);
        self.entries.insert(key, (path, entry));
    }

    /// Adds another name of the inode that an earlier member made.
    pub(super) fn link(&mut self, path: EntryPath, target: &[u8]) -> Result<(), Refused> {
        let target = key::encode(&self.path(target)?);
        let key = key::encode(&path);
        let Some((_, entry)) = self.entries.get(&target) else {
            return Err("it is a further name of something that is not in the archive before it");
        };
        if entry.kind == EntryKind::Directory {
            return Err("it is a further name of a folder");
        }
        if key == target {
            return Ok(());
        }
        let entry = entry.clone();
        let last = &mut self.last_group;
        let group = *self.groups.entry(target).or_insert_with(|| {
            *last += 1;
            *last
        });
        self.groups.insert(key.clone(), group);
        self.entries.insert(key, (path, entry));
        Ok(())
    }

    /// All entries in catalog order.
    pub(super) fn finish(mut self) -> impl Iterator<Item = (EntryPath, Entry)> {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        self.groups.values().for_each(|group| *counts.entry(*group).or_default() += 1);
        let groups = self.groups;
        for (key, group) in groups {
            let links = counts[&group];
            if let (Some((_, entry)), true) = (self.entries.get_mut(&key), links > 1) {
                entry.links = Some(LinkGroup { device: 0, inode: group, links });
            }
        }
        self.entries.into_values()
    }
}

/// The entry of a member, without content.
pub(super) fn entry(member: Member) -> Result<Entry, Refused> {
    let kind = match member.kind {
        EntryType::Symlink if member.link.is_empty() => return Err("a symbolic link to nothing"),
        EntryType::Symlink => EntryKind::Symlink(member.link),
        EntryType::Directory => EntryKind::Directory,
        EntryType::Fifo => EntryKind::Fifo,
        EntryType::Char => EntryKind::CharacterDevice { major: member.device.0, minor: member.device.1 },
        EntryType::Block => EntryKind::BlockDevice { major: member.device.0, minor: member.device.1 },
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse if member.name.ends_with(b"/") => {
            EntryKind::Directory
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => EntryKind::File(Content::EMPTY),
        _ => return Err("it is of a kind that is not known"),
    };
    let xattrs = member.xattrs.into_iter().map(|(name, value)| (name, XattrValue::Inline(value)));
    Ok(Entry {
        mode: if matches!(kind, EntryKind::Symlink(_)) { 0o777 } else { member.mode },
        kind,
        uid: member.owner.0,
        gid: member.owner.1,
        user: member.names.0,
        group: member.names.1,
        modified: member.modified,
        changed: member.changed.unwrap_or(member.modified),
        accessed: member.accessed,
        size: 0,
        flags: 0,
        xattrs: xattrs.collect(),
        links: None,
    })
}
