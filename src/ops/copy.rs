//! `copy`: snapshots of one repository, taken again in another one, which has keys of its own.
//!
//! Contents are read, cut and sealed anew, since neither ids nor keys mean anything in the other repository. A copy has the time, host, user,
//! paths and tags of its original, and says which that was: so it is not made twice.

use super::content::{self, Piece};
use super::host::Host;
use super::rewrite::statistics;
use super::snapshot;
use crate::event::{Event, Progress, Sink, Stage};
use crate::repo::catalog::{CatalogKeys, ExtentWriter, Tree, TreeRoot, TreeWriter};
use crate::repo::chunker::Chunker;
use crate::repo::chunks::ChunkSink;
use crate::repo::effort::Effort;
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::{ChunkKind, SnapshotId, WriterId};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::pack::{PackSize, PackSummary};
use crate::repo::reader::DEFAULT_CACHE;
use crate::repo::record::{Private, Structure, Tokens};
use crate::repo::repository::{self, Repository, Snapshot, WriteSession};
use crate::repo::writer::{Figures, SharedLane};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of an attribute's value that are one chunk, as `FORMAT.md` has it.
const VALUE_CHUNK: usize = 64 << 10;

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Write nothing, say what would be copied.
    pub dry_run: bool,
    /// How hard to compress.
    pub effort: Effort,
}

/// What became of one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is there now.
    Copied {
        /// The copy.
        snapshot: SnapshotId,
        /// Bytes of chunks that the other repository did not have.
        added: u64,
        /// Bytes that its store got.
        stored: u64,
    },
    /// It would be copied.
    WouldBe,
    /// There is a copy of it.
    Known {
        /// The copy.
        snapshot: SnapshotId,
    },
}

/// Files that were copied in this run, by their contents at the source: what is in several snapshots is read once.
#[derive(Debug, Default)]
pub struct Seen(HashMap<[u8; 32], Content>);

/// Whether a role may be copied from.
pub const fn may_give(role: Role) -> bool {
    role.reads_content()
}

/// Copies one snapshot of `source` to `target` as `writer`, whose lock the caller holds.
///
/// # Errors
/// When nothing was committed: a role does not allow it, something cannot be read in full, a store fails, or somebody asked to stop.
pub fn copy(
    host: &Host,
    source: &Repository,
    id: &SnapshotId,
    (target, writer): (&mut Repository, WriterId),
    seen: &mut Seen,
    options: &Options,
    events: &dyn Sink,
) -> Result<Outcome, snapshot::Error> {
    let role = source.bundle().role();
    if !may_give(role) {
        return Err(repository::Error::Role { role, action: "reading the snapshots to copy" }.into());
    }
    let known = |snapshot: &&Snapshot| snapshot.original() == Some(*id);
    if let Some(copy) = target.snapshots().iter().find(known) {
        return Ok(Outcome::Known { snapshot: copy.id });
    }
    if options.dry_run {
        return Ok(Outcome::WouldBe);
    }
    let found = source.snapshots().iter().find(|snapshot| snapshot.id == *id);
    let original = found.ok_or_else(|| repository::Error::Label(format!("snapshot {id} is gone")))?;
    let reader = Arc::new(host.reader(source, &IndexClass::BOTH, DEFAULT_CACHE)?);
    let tree = Tree::open(reader, original.structure.root);
    let session = target.begin(writer, false)?;
    let copied = store(&session, &tree, original, seen, options, events).and_then(|(root, packs, figures)| {
        let (structure, private) = record(&session, original, &root, &figures)?;
        let snapshot = session.commit(&packs, &structure, &private)?;
        Ok(Outcome::Copied { snapshot, added: figures.bytes, stored: figures.stored })
    });
    copied.inspect_err(|error| session.abort(&error.to_string()))
}

fn store(
    session: &WriteSession<'_>,
    tree: &Tree,
    original: &Snapshot,
    seen: &mut Seen,
    options: &Options,
    events: &dyn Sink,
) -> Result<(TreeRoot, Vec<PackSummary>, Figures), snapshot::Error> {
    let id_key = session.repository().bundle().id_key().expect("a session is begun with a writer's keys only");
    let keys = CatalogKeys::derive(id_key);
    let packs = session.pack_writer(options.effort, PackSize::default());
    let (data, pages) = (SharedLane::new(packs.lane()), SharedLane::new(packs.lane()));
    let structure = &original.structure;
    let progress = Progress { files_total: structure.entries, bytes_total: structure.bytes, ..Progress::default() };
    let mut copying = Copying {
        session,
        tree,
        data: &data,
        pages: &pages,
        chunker: session.chunker(),
        keys: &keys,
        seen,
        events,
        progress,
    };
    let root = copying.run().and_then(|root| {
        data.flush()?;
        pages.flush()?;
        Ok(root)
    });
    data.close();
    pages.close();
    // The pack thread's own error says more than "stopped" does.
    let (packs, figures) = packs.finish()?;
    Ok((root?, packs, figures))
}

struct Copying<'a> {
    session: &'a WriteSession<'a>,
    tree: &'a Tree,
    data: &'a SharedLane,
    pages: &'a SharedLane,
    chunker: Chunker,
    keys: &'a CatalogKeys,
    seen: &'a mut Seen,
    events: &'a dyn Sink,
    progress: Progress,
}

impl Copying<'_> {
    fn run(&mut self) -> Result<TreeRoot, snapshot::Error> {
        let mut writer = TreeWriter::new(self.pages, self.keys.clone());
        for found in self.tree.walk(&EntryPath::default()) {
            if self.events.stopping() {
                return Err(snapshot::Error::Stopped);
            }
            let (path, mut entry) = found?;
            if let EntryKind::File(content) = &entry.kind {
                entry.kind = EntryKind::File(self.file(content, &entry)?);
            }
            for (_, value) in &mut entry.xattrs {
                if let XattrValue::Chunks(chunks) = value {
                    *value = self.value(chunks)?;
                }
            }
            writer.push_path(&path, &entry)?;
            self.progress.files += 1;
            self.progress.bytes = self.progress.bytes.saturating_add(entry.size);
            self.events.emit(Event::Progress(Stage::Snapshot, self.progress));
        }
        Ok(writer.finish()?)
    }

    /// A file's content, cut anew. One that was met before in this run is not read again, as long as all of it is still there.
    fn file(&mut self, content: &Content, entry: &Entry) -> Result<Content, snapshot::Error> {
        let print = fingerprint(content);
        if let Some(known) = print.and_then(|print| self.seen.0.get(&print)).filter(|known| self.is_there(known)) {
            return Ok(known.clone());
        }
        let mut cutter = Cutter { chunker: &self.chunker, data: self.data, buffer: Vec::new() };
        let mut extents = ExtentWriter::new(self.pages, self.keys);
        for piece in content::pieces(self.tree, entry) {
            if self.events.stopping() {
                return Err(snapshot::Error::Stopped);
            }
            match piece.map_err(|(_, error)| unread(error))? {
                Piece::Bytes(bytes) => {
                    cutter.buffer.extend_from_slice(&bytes);
                    cutter.cut(false, &mut extents)?;
                }
                Piece::Hole(length) => {
                    cutter.cut(true, &mut extents)?;
                    extents.push(Extent::Hole { length })?;
                }
            }
        }
        cutter.cut(true, &mut extents)?;
        let made = extents.finish()?;
        if let (Some(print), Content::Extents(_)) = (print, &made) {
            self.seen.0.insert(print, made.clone());
        }
        Ok(made)
    }

    fn is_there(&self, content: &Content) -> bool {
        let Content::Extents(extents) = content else { return false };
        extents.iter().all(|extent| match extent {
            Extent::Chunk { id, .. } => self.session.index().has_good(ChunkKind::Data, id),
            Extent::Hole { .. } => true,
        })
    }

    fn value(&self, chunks: &[(crate::repo::id::ChunkId, u32)]) -> Result<XattrValue, snapshot::Error> {
        let mut bytes = Vec::new();
        for (id, _) in chunks {
            bytes.extend_from_slice(&self.tree.source().get(ChunkKind::Data, id)?);
        }
        let put = |part: &[u8]| Ok((self.data.put(ChunkKind::Data, part)?, part.len() as u32));
        Ok(XattrValue::Chunks(bytes.chunks(VALUE_CHUNK).map(put).collect::<Result<_, snapshot::Error>>()?))
    }
}

/// Bytes on their way into chunks.
struct Cutter<'a> {
    chunker: &'a Chunker,
    data: &'a SharedLane,
    buffer: Vec<u8>,
}

impl Cutter<'_> {
    /// Stores all chunks that can be cut from what is there; with `end`, all of it.
    fn cut(&mut self, end: bool, extents: &mut ExtentWriter<'_>) -> Result<(), snapshot::Error> {
        let mut start = 0;
        while let Some(length) = self.chunker.next_cut(&self.buffer[start..], end) {
            let id = self.data.put(ChunkKind::Data, &self.buffer[start..start + length])?;
            extents.push(Extent::Chunk { id, length: length as u32 })?;
            start += length;
        }
        self.buffer.drain(..start);
        Ok(())
    }
}

/// What tells one content from another in one repository; of large files, the root of their extents.
fn fingerprint(content: &Content) -> Option<[u8; 32]> {
    let Content::Extents(extents) = content else { return None };
    let mut bytes = Vec::with_capacity(extents.len() * 40);
    for extent in extents {
        match extent {
            Extent::Chunk { id, length } => {
                bytes.extend_from_slice(&id.0);
                bytes.extend_from_slice(&length.to_le_bytes());
            }
            Extent::Hole { length } => {
                bytes.push(0);
                bytes.extend_from_slice(&length.to_le_bytes());
            }
        }
    }
    Some(crate::crypto::hash::blake3(&bytes))
}

/// A copy is whole or it is not made.
fn unread(error: content::Error) -> snapshot::Error {
    match error {
        content::Error::Chunk { source, .. } => source.into(),
        content::Error::Pages(error) => error.into(),
        error => repository::Error::Label(error.to_string()).into(),
    }
}

fn record(
    session: &WriteSession<'_>,
    original: &Snapshot,
    root: &TreeRoot,
    figures: &Figures,
) -> Result<(Structure, Private), snapshot::Error> {
    let bundle = session.repository().bundle();
    let action = "reading this snapshot's record";
    let known = original.private.as_ref().ok_or(repository::Error::Role { role: bundle.role(), action })?;
    let structure = Structure {
        root: root.skeleton,
        entries: root.entries,
        bytes: root.bytes,
        tokens: Tokens::of(bundle.structure_key(), &known.host, &known.paths, &original.tags),
        heads: session.heads_digest(),
        // Parents are of the other repository.
        parent: None,
        ..original.structure.clone()
    };
    let private = Private {
        tags: original.tags.clone(),
        statistics: statistics(&known.statistics, figures),
        original: Some(original.id),
        ..known.clone()
    };
    Ok((structure, private))
}
