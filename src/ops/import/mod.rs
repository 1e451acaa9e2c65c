//! `import-tar`: a snapshot of what a tar archive holds, as if its files had been read from a disk.
//!
//! One pass over the archive, so that it may come from a pipe: contents are cut and stored as they come, entries are kept in memory
//! (some hundred bytes each) and go into the catalog at the end, in its own order. A cut or damaged archive leaves no snapshot.

mod gather;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;

pub use reader::Error as ArchiveError;

use crate::event::{Event, Progress, Sink, Stage};
use crate::ops::draft::Draft;
use crate::repo::catalog::{self, CatalogKeys, ExtentWriter, TreeRoot, TreeWriter};
use crate::repo::chunker::Chunker;
use crate::repo::chunks::{self, ChunkSink};
use crate::repo::effort::Effort;
use crate::repo::entry::{Content, EntryKind, EntryPath, Extent, Timestamp};
use crate::repo::id::{ChunkKind, SnapshotId, WriterId};
use crate::repo::pack::PackSize;
use crate::repo::record::{Completeness, SnapshotKind, Statistics};
use crate::repo::repository::{self, Repository, WriteSession};
use crate::repo::writer::{Figures, SharedLane};
use crate::source::pace::{Pace, Pacing};
use gather::Gathered;
use reader::{Member, Reader};
use std::io::Read;
use tar::EntryType;

/// Bytes read at a time.
const BUFFER: usize = 4 << 20;

/// How to import.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the snapshot that stands for the archive's root.
    pub below: EntryPath,
    /// The host that the snapshot shows.
    pub host: String,
    /// The user who imports.
    pub user: String,
    /// Tags.
    pub tags: Vec<String>,
    /// The time that the snapshot shows, if not now.
    pub time: Option<Timestamp>,
    /// Write nothing, say what would be written.
    pub dry_run: bool,
    /// How hard to compress.
    pub effort: Effort,
    /// How fast the archive is read.
    pub pacing: Pacing,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// The new snapshot; `None` after a dry run.
    pub snapshot: Option<SnapshotId>,
    /// Regular files, further names of one inode included.
    pub files: u64,
    /// Folders.
    pub directories: u64,
    /// Links, pipes and devices.
    pub others: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Members that were refused.
    pub refused: u64,
    /// Bytes of chunks that the repository did not have.
    pub bytes_added: u64,
    /// Bytes that the store got.
    pub bytes_stored: u64,
    /// The level of compression that was used on average; 0 when nothing became smaller.
    pub level: f64,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive cannot be read to its end.
    #[error(transparent)]
    Archive(#[from] reader::Error),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// A catalog page could not be written.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A chunk could not be written.
    #[error(transparent)]
    Chunk(#[from] chunks::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Somebody asked to stop; what was uploaded is used by the next run.
    #[error("interrupted; what was stored so far will be used by the next run")]
    Stopped,
}

/// Makes a snapshot of the archive `input` as `writer`, whose lock the caller holds. Members that cannot be taken are reported.
///
/// # Errors
/// When nothing was committed.
pub fn import(
    repository: &mut Repository,
    writer: WriterId,
    input: impl Read,
    options: &Options,
    events: &dyn Sink,
) -> Result<Summary, Error> {
    let started = Timestamp::now();
    let session = repository.begin(writer, options.dry_run)?;
    let imported = take_in(&session, input, options, started, events).and_then(|mut taken| {
        if !options.dry_run {
            let (structure, private) = draft(&taken, options, started).record(&session);
            taken.summary.snapshot = Some(session.commit(&taken.packs, &structure, &private)?);
        }
        Ok(taken.summary)
    });
    imported.inspect_err(|error| session.abort(&error.to_string()))
}

/// An archive whose contents are in packs.
struct Taken {
    root: TreeRoot,
    packs: Vec<crate::repo::pack::PackSummary>,
    figures: Figures,
    summary: Summary,
}

fn take_in(
    session: &WriteSession<'_>,
    input: impl Read,
    options: &Options,
    now: Timestamp,
    events: &dyn Sink,
) -> Result<Taken, Error> {
    let id_key = session.repository().bundle().id_key().expect("a session is begun with a writer's keys only");
    let catalog_keys = CatalogKeys::derive(id_key);
    let packs = session.pack_writer(options.effort, PackSize::default());
    let (data, pages) = (SharedLane::new(packs.lane()), SharedLane::new(packs.lane()));
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mut import = Import {
        reader: Reader::new(input),
        gathered: Gathered::new(options.below.clone(), now, uid, gid),
        store: Storing { data: &data, pages: &pages, chunker: session.chunker(), keys: &catalog_keys },
        events,
        pace: Pace::new(&options.pacing),
        summary: Summary::default(),
        buffer: vec![0; BUFFER],
    };
    let outcome = import.members().and_then(|()| {
        let mut tree = TreeWriter::new(&pages, catalog_keys.clone());
        let mut summary = import.summary;
        for (path, entry) in import.gathered.finish() {
            match entry.kind {
                EntryKind::File(_) => summary.files += 1,
                EntryKind::Directory => summary.directories += 1,
                _ => summary.others += 1,
            }
            summary.bytes = summary.bytes.saturating_add(entry.size);
            tree.push_path(&path, &entry)?;
        }
        let root = tree.finish()?;
        data.flush()?;
        pages.flush()?;
        Ok((root, summary))
    });
    drop((data, pages));
    // The pack thread's own error says more than "stopped" does.
    let (packs, figures) = packs.finish()?;
    let (root, mut summary) = outcome?;
    (summary.bytes_added, summary.bytes_stored, summary.level) = (figures.bytes, figures.stored, figures.level());
    Ok(Taken { root, packs, figures, summary })
}

/// Where content goes.
struct Storing<'a> {
    data: &'a SharedLane,
    pages: &'a dyn ChunkSink,
    chunker: Chunker,
    keys: &'a CatalogKeys,
}

struct Import<'a, R> {
    reader: Reader<R>,
    gathered: Gathered,
    store: Storing<'a>,
    events: &'a dyn Sink,
    pace: Pace,
    summary: Summary,
    buffer: Vec<u8>,
}

impl<R: Read> Import<'_, R> {
    fn members(&mut self) -> Result<(), Error> {
        let mut progress = Progress::default();
        while let Some(member) = self.reader.next()? {
            if !self.pace.go_on(self.events) {
                return Err(Error::Stopped);
            }
            (progress.files, progress.bytes) = (progress.files + 1, progress.bytes.saturating_add(member.size));
            let name = member.name.clone();
            if let Err(reason) = self.member(member)? {
                self.summary.refused += 1;
                progress.errors += 1;
                self.events.emit(Event::Problem { path: name, during: "import", error: reason.to_owned() });
            }
            self.events.emit(Event::Progress(Stage::Snapshot, progress));
        }
        Ok(())
    }

    /// Takes a member, or says why not.
    fn member(&mut self, member: Member) -> Result<Result<(), gather::Refused>, Error> {
        let path = match self.gathered.path(&member.name) {
            Ok(path) => path,
            Err(reason) => return Ok(Err(reason)),
        };
        if member.kind == EntryType::Link {
            let way = self.gathered.make_way(&path, false);
            return Ok(way.and_then(|()| self.gathered.link(path, &member.link)));
        }
        let (size, sparse) = (member.size, member.sparse.clone());
        let mut entry = match gather::entry(member) {
            Ok(entry) => entry,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Err(reason) = self.gathered.make_way(&path, entry.kind == EntryKind::Directory) {
            return Ok(Err(reason));
        }
        if matches!(entry.kind, EntryKind::File(_)) {
            let stretches = sparse.unwrap_or_else(|| vec![(0, size)]);
            entry.kind = EntryKind::File(self.content(&stretches, size)?);
            entry.size = size;
        }
        self.gathered.put(path, entry);
        Ok(Ok(()))
    }

    /// Cuts and stores the present member's content.
    fn content(&mut self, stretches: &[sparse::Stretch], size: u64) -> Result<Content, Error> {
        let mut extents = ExtentWriter::new(self.store.pages, self.store.keys);
        let mut end = 0;
        for (start, length) in stretches {
            extents.push(Extent::Hole { length: start - end })?;
            self.stretch(*length, &mut extents)?;
            end = start + length;
        }
        extents.push(Extent::Hole { length: size - end })?;
        Ok(extents.finish()?)
    }

    fn stretch(&mut self, mut left: u64, extents: &mut ExtentWriter<'_>) -> Result<(), Error> {
        let mut filled = 0;
        loop {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len() - filled);
            let room = self.pace.gulp(room);
            let read = self.reader.read(&mut self.buffer[filled..filled + room])?;
            (filled, left) = (filled + read, left - read as u64);
            if !self.pace.spend(read, self.events) || !self.pace.go_on(self.events) {
                return Err(Error::Stopped);
            }
            let mut start = 0;
            while let Some(length) = self.store.chunker.next_cut(&self.buffer[start..filled], left == 0) {
                let id = self.store.data.put(ChunkKind::Data, &self.buffer[start..start + length])?;
                extents.push(Extent::Chunk { id, length: length as u32 })?;
                start += length;
            }
            self.buffer.copy_within(start..filled, 0);
            filled -= start;
            if left == 0 {
                return Ok(());
            }
        }
    }
}

fn draft<'a>(taken: &'a Taken, options: &'a Options, started: Timestamp) -> Draft<'a> {
    let summary = &taken.summary;
    let statistics = Statistics {
        files_new: summary.files,
        dirs_new: summary.directories,
        data_chunks: taken.figures.data_chunks,
        catalog_chunks: taken.figures.catalog_chunks,
        bytes_processed: summary.bytes,
        bytes_read: summary.bytes,
        bytes_added: taken.figures.bytes,
        bytes_stored: taken.figures.stored,
        errors: summary.refused,
        ..Statistics::default()
    };
    Draft {
        root: &taken.root,
        host: &options.host,
        user: &options.user,
        paths: vec![options.below.to_bytes()],
        tags: &options.tags,
        excludes: Vec::new(),
        time: options.time,
        started,
        kind: SnapshotKind::Full,
        completeness: Completeness::Complete,
        parent: None,
        statistics,
    }
}
