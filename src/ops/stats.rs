//! `stats`: how large snapshots are, what they share, what each alone holds, and what the store keeps for it.
//!
//! Pages that snapshots share are opened once or twice, however many share them: a page is the first snapshot's until a
//! second one meets it, and everybody's from then on, with all below it. Not here: what prune would give back, which also
//! depends on how chunks lie together.

use super::host::Host;
use crate::event::{Event, Sink};
use crate::repo::catalog::{self, Fault, PageItems, Sums, Tree, open_page};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks;
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::{ChunkId, ChunkKind, PackId, SnapshotId};
use crate::repo::names::IndexClass;
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{Error, Repository};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The owner of what several snapshots hold.
const SHARED: u32 = u32::MAX;

/// Chunks of file content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Their number.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their share of the sealed segments that hold them, in bytes.
    pub stored: u64,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    /// Which.
    pub snapshot: SnapshotId,
    /// Content that no other snapshot holds.
    pub data: Held,
    /// Catalog pages that no other snapshot holds.
    pub pages: u64,
}

/// The segments of one kind that the indexes name, copies included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segments {
    /// Their number.
    pub segments: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Their sealed bytes.
    pub stored: u64,
}

/// Objects of the store below one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objects {
    /// Their number.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a repository comes to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Entries and bytes of all snapshots together, as if nothing were shared.
    pub logical: Sums,
    /// Content of all snapshots together, each chunk once; none with keys that do not read.
    pub unique: Option<Held>,
    /// Each snapshot, oldest first; none with keys that do not read.
    pub each: Vec<Alone>,
    /// Segments by the kind of their chunks.
    pub kinds: BTreeMap<ChunkKind, Segments>,
    /// Objects by the first part of their names.
    pub rooms: BTreeMap<String, Objects>,
}

/// Adds up all that there is. Unreadable pages are reported as damage and left out.
///
/// # Errors
/// When the role does not list snapshots, the store fails, or somebody asked to stop.
pub fn stats(repository: &Repository, host: &Host, events: &dyn Sink) -> Result<Summary, Error> {
    let role = repository.bundle().role();
    if !role.reads_structure() {
        return Err(Error::Role { role, action: "counting what there is" });
    }
    let reader = host.reader(repository, &IndexClass::BOTH, DEFAULT_CACHE)?;
    let mut summary = Summary { rooms: rooms(repository)?, kinds: kinds(reader.index())?, ..Summary::default() };
    for snapshot in repository.snapshots() {
        let structure = &snapshot.structure;
        summary.logical = summary.logical.plus(Sums { entries: structure.entries, bytes: structure.bytes });
    }
    if role.reads_content() {
        let mut count = Count { reader: &reader, events, pages: HashMap::new(), chunks: HashMap::new() };
        for (number, snapshot) in (0..).zip(repository.snapshots()) {
            count.take(snapshot.structure.root, number)?;
        }
        count.finish(repository, &mut summary);
    }
    Ok(summary)
}

fn rooms(repository: &Repository) -> Result<BTreeMap<String, Objects>, Error> {
    let mut rooms: BTreeMap<String, Objects> = BTreeMap::new();
    for listed in repository.store().list("")? {
        let first = listed.name.as_str().split(['/', '.']).next().unwrap_or_default();
        let room = rooms.entry(first.to_owned()).or_default();
        room.objects += 1;
        room.bytes += listed.length;
    }
    Ok(rooms)
}

fn kinds(index: &ChunkIndex) -> Result<BTreeMap<ChunkKind, Segments>, Error> {
    let mut kinds: BTreeMap<ChunkKind, Segments> = BTreeMap::new();
    // Several indexes may name one segment; few do.
    let mut named: HashMap<PackId, u32> = HashMap::new();
    for pack in index.packs() {
        *named.entry(pack.id).or_default() += 1;
    }
    let mut seen = HashSet::new();
    for segment in index.segments() {
        let (pack, segment) = segment?;
        if named.get(&pack.id) == Some(&1) || seen.insert((pack.id, segment.offset)) {
            let kind = kinds.entry(segment.kind).or_default();
            kind.segments += 1;
            kind.chunks += segment.ids.len() as u64;
            kind.stored += u64::from(segment.length);
        }
    }
    Ok(kinds)
}

/// Whose each page and each chunk is: a snapshot's number, or [`SHARED`].
struct Count<'a> {
    reader: &'a Reader,
    events: &'a dyn Sink,
    pages: HashMap<ChunkId, u32>,
    /// Each data chunk's owner and length.
    chunks: HashMap<ChunkId, (u32, u32)>,
}

impl Count<'_> {
    /// Walks what is new below a page, or new to be shared.
    fn take(&mut self, root: ChunkId, snapshot: u32) -> Result<(), Error> {
        let mut pending = vec![(root, snapshot)];
        while let Some((id, owner)) = pending.pop() {
            let owner = match self.pages.get(&id) {
                None => owner,
                Some(&known) if known == owner || known == SHARED => continue,
                Some(_) => SHARED,
            };
            if self.events.stopping() {
                return Err(chunks::Error::Stopped.into());
            }
            self.pages.insert(id, owner);
            match open_page(self.reader, &id) {
                Ok(page) => {
                    self.items(&page.items, owner);
                    pending.extend(page.references.children.into_iter().map(|child| (child, owner)));
                }
                Err(Fault::Chunk(error @ chunks::Error::Store(_))) => return Err(error.into()),
                Err(fault) => {
                    let (object, what) = (format!("catalog page {id}"), fault.to_string());
                    self.events.emit(Event::Damage { object, what, healed: false });
                }
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &PageItems, owner: u32) {
        match items {
            PageItems::Entries(entries) => entries.iter().for_each(|(_, entry)| self.entry(entry, owner)),
            PageItems::Extents(extents) => self.extents(extents, owner),
            PageItems::Pages(_) | PageItems::ExtentPages(_) => {}
        }
    }

    fn entry(&mut self, entry: &Entry, owner: u32) {
        if let EntryKind::File(Content::Extents(extents)) = &entry.kind {
            self.extents(extents, owner);
        }
        for (_, value) in &entry.xattrs {
            if let XattrValue::Chunks(chunks) = value {
                chunks.iter().for_each(|(id, length)| self.chunk(*id, *length, owner));
            }
        }
    }

    fn extents(&mut self, extents: &[Extent], owner: u32) {
        for extent in extents {
            if let Extent::Chunk { id, length } = extent {
                self.chunk(*id, *length, owner);
            }
        }
    }

    fn chunk(&mut self, id: ChunkId, length: u32, owner: u32) {
        let (known, _) = self.chunks.entry(id).or_insert((owner, length));
        if *known != owner {
            *known = SHARED;
        }
    }

    fn finish(self, repository: &Repository, summary: &mut Summary) {
        let index = self.reader.index();
        let place = |id: &ChunkId| index.places(ChunkKind::Data, id).into_iter().next();
        let mut sums: HashMap<u32, u64> = HashMap::new();
        for (id, (_, length)) in &self.chunks {
            if let Some(place) = place(id) {
                *sums.entry(place.segment_number).or_default() += u64::from(*length);
            }
        }
        // A chunk's share of its segment is that of its length among all that is needed of the segment.
        let stored = |id: &ChunkId, length: u32| {
            let place = place(id)?;
            let share = u128::from(place.segment.length) * u128::from(length);
            u64::try_from(share / u128::from(sums.get(&place.segment_number).copied()?.max(1))).ok()
        };
        let alone = |snapshot: &crate::repo::repository::Snapshot| Alone {
            snapshot: snapshot.id,
            data: Held::default(),
            pages: 0,
        };
        summary.each = repository.snapshots().iter().map(alone).collect();
        let mut unique = Held::default();
        for (id, (owner, length)) in &self.chunks {
            let stored = stored(id, *length).unwrap_or_default();
            let own = summary.each.get_mut(*owner as usize).map(|alone| &mut alone.data);
            for held in [Some(&mut unique), own].into_iter().flatten() {
                held.chunks += 1;
                held.bytes += u64::from(*length);
                held.stored += stored;
            }
        }
        for owner in self.pages.values() {
            if let Some(alone) = summary.each.get_mut(*owner as usize) {
                alone.pages += 1;
            }
        }
        summary.unique = Some(unique);
    }
}

/// Gives `each` the sums of `path` and of every folder below it, down to `depth`, folders before what is in them.
/// Returns whether there is such a path.
///
/// # Errors
/// When a page cannot be read, or `each` fails.
pub fn folders<E: From<catalog::Error>>(
    tree: &Tree,
    path: &EntryPath,
    depth: usize,
    mut each: impl FnMut(&EntryPath, Sums) -> Result<(), E>,
) -> Result<bool, E> {
    let found = tree.get(path)?;
    if found.is_none() && !path.0.is_empty() {
        return Ok(false);
    }
    let mut pending = vec![path.clone()];
    while let Some(folder) = pending.pop() {
        each(&folder, tree.sums(&folder)?)?;
        if folder.0.len() - path.0.len() < depth {
            let mut below = Vec::new();
            for child in tree.children(&folder, None) {
                let (_, name, entry) = child?;
                if entry.kind == EntryKind::Directory {
                    below.push(folder.join(name));
                }
            }
            pending.extend(below.into_iter().rev());
        }
    }
    Ok(true)
}
