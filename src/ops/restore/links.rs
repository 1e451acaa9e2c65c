//! Hard links: the first name of a group that comes along is written, the others are linked to it.
//!
//! The first name is the *leader*; whoever makes it holds the group's lock until its inode exists, so that the others
//! know what to link to, and no longer. A link counts only if it led to the leader's inode, whoever renamed what meanwhile.
//! Flags that forbid further links are kept back until all names are there.

use super::beneath::{self, Identity};
use super::context::Context;
use super::folder::{Folder, Location};
use crate::repo::entry::{Entry, EntryKind, EntryName, EntryPath, LinkGroup};
use rustix::fs::AtFlags;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// The groups that more names may still come for.
#[derive(Default)]
pub(super) struct Links {
    groups: Mutex<HashMap<(LinkGroup, u64), Open>>,
    frozen: Mutex<Vec<(Leader, u32)>>,
}

struct Open {
    group: Arc<Group>,
    seen: u32,
}

/// A group's leader, once there is one.
pub(super) type Group = Mutex<Option<Leader>>;

/// What came of a leader's content, for the other names of it.
#[derive(Debug)]
enum Fate {
    /// It is being written; these names were linked meanwhile.
    UnderWay(Vec<EntryPath>),
    /// It is all there.
    Whole,
    /// Something could not be read, or not be written: why, and whether it is damage.
    Lacking(String, bool),
}

/// The name that the others are linked to.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    /// The directory that it is in.
    pub(super) folder: Location,
    /// Its name there.
    pub(super) name: EntryName,
    /// The inode that was made.
    pub(super) identity: Identity,
    fate: Arc<Mutex<Fate>>,
}

impl Leader {
    /// The name `name` in `folder`, which leads to the inode `identity`.
    pub(super) fn new(folder: &Folder, name: &EntryName, identity: Identity) -> Self {
        let fate = Arc::new(Mutex::new(Fate::UnderWay(Vec::new())));
        Self { folder: folder.location.clone(), name: name.clone(), identity, fate }
    }

    /// Says what came of the content: it is whole, or why not and whether that is damage. Names that were linked before are
    /// reported now, later ones when they are linked.
    pub(super) fn settle(&self, context: &Context<'_>, lacking: Option<(String, bool)>) {
        let fate = lacking.map_or(Fate::Whole, |(why, damage)| Fate::Lacking(why, damage));
        let mut known = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Fate::UnderWay(waiting) = std::mem::replace(&mut *known, fate) {
            waiting.iter().for_each(|path| known.tell(context, path));
        }
    }

    /// Another name was linked.
    pub(super) fn joined(&self, context: &Context<'_>, path: EntryPath) {
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *fate {
            Fate::UnderWay(waiting) => waiting.push(path),
            known => known.tell(context, &path),
        }
    }
}

impl Fate {
    /// Content that lacks something is no better under another name.
    fn tell(&self, context: &Context<'_>, path: &EntryPath) {
        if let Self::Lacking(why, damage) = self {
            context.report.unreadable(path, "content", why, *damage);
        }
    }
}

impl Links {
    /// The group that `entry` belongs to, if it shares its inode. Each name asks once.
    ///
    /// Entries that claim one inode but differ in kind or content (the number was used again while the snapshot was
    /// taken) are of different groups.
    pub(super) fn group(&self, entry: &Entry) -> Option<Arc<Group>> {
        let links = entry.links?;
        let key = (links, fingerprint(entry));
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let open = groups.entry(key).or_insert_with(|| Open { group: Arc::default(), seen: 0 });
        open.seen += 1;
        let group = open.group.clone();
        if open.seen >= links.links {
            groups.remove(&key);
        }
        Some(group)
    }

    /// Keeps `flags` back until every name of the leader's group is there.
    pub(super) fn freeze_later(&self, leader: Leader, flags: u32) {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).push((leader, flags));
    }

    /// Sets the flags that were kept back. Called once, when everything else is done.
    pub(super) fn freeze(context: &Context<'_>) {
        let frozen = std::mem::take(&mut *context.links.frozen.lock().unwrap_or_else(PoisonError::into_inner));
        for (leader, flags) in frozen {
            let result = context.handles.get(&leader.folder).and_then(|dir| {
                let file = beneath::open_to_read(dir.as_fd(), &leader.name)?;
                check(Identity::from(&rustix::fs::fstat(&file)?), leader.identity)?;
                super::flags::add(file.as_fd(), flags)
            });
            if let Err(error) = result {
                context.report.problem(&leader.folder.path.join(leader.name), "flags", error);
            }
        }
    }
}

/// Makes `name` in `dir` another name of the leader's inode, unless it is one already.
pub(super) fn link(context: &Context<'_>, leader: &Leader, dir: BorrowedFd<'_>, name: &EntryName) -> io::Result<()> {
    if beneath::stat(dir, name).is_ok_and(|stat| Identity::from(&stat) == leader.identity) {
        return Ok(());
    }
    let from = context.handles.get(&leader.folder)?;
    beneath::replacing(dir, name, || {
        rustix::fs::linkat(&from, leader.name.as_bytes(), dir, name.as_bytes(), AtFlags::empty())
    })?;
    let linked = Identity::from(&beneath::stat(dir, name)?);
    check(linked, leader.identity).or_else(|error| {
        beneath::remove(dir, name)?;
        Err(error)
    })
}

fn check(found: Identity, expected: Identity) -> io::Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(io::Error::other("the first name of this inode was replaced during the restore"))
}

/// Tells entries of one inode number apart that cannot be one inode.
pub(in crate::ops) fn fingerprint(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(&entry.kind).hash(&mut hasher);
    match &entry.kind {
        EntryKind::File(content) => super::content::hash(content, &mut hasher),
        EntryKind::Symlink(to) => to.hash(&mut hasher),
        EntryKind::CharacterDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            (major, minor).hash(&mut hasher);
        }
        EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => {}
    }
    entry.size.hash(&mut hasher);
    hasher.finish()
}
