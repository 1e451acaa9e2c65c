//! `snapshot` of a stream: what comes from standard input or a command becomes one file of a snapshot.
//!
//! There is no tree to walk and nothing to compare with: every byte is read and cut, and what the repository has already is
//! not stored again. Invariant: nothing is committed before the stream says that it came to a good end.

use super::former;
use super::slab::{Bytes, Slab, SlabReader};
use super::stage::{Failure, Stage};
use super::tally::Tally;
use super::{Counts, Error, Options, Summary};
use crate::event::{EntryStatus, Event, Progress, Sink};
use crate::ops::draft::Draft;
use crate::repo::catalog::{CatalogKeys, ExtentWriter, TreeRoot, TreeWriter};
use crate::repo::chunks::{self, ChunkSink};
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Timestamp};
use crate::repo::id::WriterId;
use crate::repo::pack::PackSummary;
use crate::repo::record::{Completeness, SnapshotKind, Statistics};
use crate::repo::repository::{Repository, WriteSession};
use crate::repo::writer::{Figures, PackWriter, SharedLane};
use crate::source::files::content::Read;
use crate::source::files::owners::Owners;
use crate::source::pace::Pace;
use crate::source::stream::{self, Stream};
use crossbeam_channel::bounded;
use std::time::Instant;

/// Takes a snapshot of what `stream` gives, as the file `path`, as `writer`, whose lock the caller holds. Of the options, the
/// roots must be that path alone, and those that are about files do not count.
///
/// # Errors
/// When nothing was committed.
pub fn snapshot_stream(
    repository: &mut Repository,
    writer: WriterId,
    options: &Options,
    path: &EntryPath,
    stream: &mut dyn Stream,
    events: &dyn Sink,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let session = repository.begin(writer, options.dry_run)?;
    let run = Run { session: &session, options, path, events, clock: Timestamp::now() };
    let taken = run.read(stream).and_then(|taken| {
        stream.finish(events)?;
        Ok(taken)
    });
    let taken = match taken {
        Ok(taken) => taken,
        Err(error) => {
            session.abort(&error.to_string());
            return Err(error);
        }
    };
    let mut summary = run.summary(&taken);
    if !options.dry_run {
        let (structure, private) = run.draft(&taken).record(&session);
        summary.snapshot = Some(session.commit(&taken.packs, &structure, &private)?);
    }
    events.emit(Event::Entry { path: path.to_bytes(), status: EntryStatus::New, size: taken.size });
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// One run.
struct Run<'a> {
    session: &'a WriteSession<'a>,
    options: &'a Options,
    path: &'a EntryPath,
    events: &'a dyn Sink,
    clock: Timestamp,
}

/// What came of the stream.
struct Taken {
    root: TreeRoot,
    size: u64,
    packs: Vec<PackSummary>,
    figures: Figures,
}

impl Run<'_> {
    fn read(&self, stream: &mut dyn Stream) -> Result<Taken, Error> {
        let id_key = self.session.repository().bundle().id_key().expect("a session is begun with a writer's keys only");
        let catalog_keys = CatalogKeys::derive(id_key);
        let writer = self.session.pack_writer(self.options.effort, self.options.pack_size);
        let pages = SharedLane::new(writer.lane());
        let read = self.store(stream, &writer, &pages, &catalog_keys).and_then(|(content, size)| {
            let root = self.catalog(content, size, &pages, catalog_keys.clone())?;
            pages.flush()?;
            Ok((root, size))
        });
        pages.close();
        // The stream's own error says why it stopped; the pack thread's says more than "stopped" does.
        let ((root, size), packs, figures) = match (read, writer.finish()) {
            (Err(error @ Error::Stream(_)), _) => return Err(error),
            (read, written) => {
                let (packs, figures) = written?;
                (read?, packs, figures)
            }
        };
        Ok(Taken { root, size, packs, figures })
    }

    /// Reads and stores all that comes.
    fn store(
        &self,
        stream: &mut dyn Stream,
        writer: &PackWriter,
        pages: &SharedLane,
        catalog_keys: &CatalogKeys,
    ) -> Result<(Content, u64), Error> {
        let threads = self.options.threads();
        let chunker = self.session.chunker();
        let tally = Tally::new(self.events, (0, 0));
        let pace = Pace::new(&self.options.pacing);
        let stage = Stage::new(threads, &chunker, catalog_keys, pages, &tally, self.events).at_pace(&pace);
        let former = former::of_stream(self.session, self.options, self.path);
        let mut bytes = StreamBytes { stream, events: self.events, size: 0, failed: None };
        let (to_slabs, slabs) = bounded::<Slab>(threads);
        let stored = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads)
                .map(|_| {
                    let (slabs, mut lane) = (slabs.clone(), writer.lane());
                    scope.spawn(move || {
                        slabs.iter().try_for_each(|slab| slab.process(&mut lane, stage.chunker))?;
                        lane.flush()
                    })
                })
                .collect();
            let mut lane = writer.lane();
            let mut extents = ExtentWriter::new(pages, catalog_keys);
            let mut reader = SlabReader::new(&stage, &slabs, &to_slabs, &mut lane).following(former);
            let read = loop {
                match reader.next(&mut bytes) {
                    Ok(Some(extent)) => match extents.push(extent) {
                        Ok(()) => {}
                        Err(error) => break Err(error.into()),
                    },
                    Ok(None) => break Ok(()),
                    Err(failure) => break Err(failure),
                }
            };
            drop(to_slabs);
            let flushed = lane.flush();
            // All are waited for before the first error counts.
            let helped: Vec<_> =
                helpers.into_iter().map(|helper| helper.join().expect("a helper does not panic")).collect();
            read?;
            helped.into_iter().chain([flushed]).collect::<Result<(), chunks::Error>>()?;
            Ok(extents.finish()?)
        });
        match (bytes.failed, stored) {
            (Some(stream::Error::Stopped), _) => Err(Error::Stopped),
            (Some(error), _) => Err(error.into()),
            (None, Ok(content)) => Ok((content, bytes.size)),
            (None, Err(_)) if self.events.stopping() => Err(Error::Stopped),
            (None, Err(Failure::Source(problem))) => Err(Error::Source(problem)),
            (None, Err(Failure::Sink(error))) => Err(error.into()),
        }
    }

    /// The catalog: the file, and the folders on the way to it.
    fn catalog(
        &self,
        content: Content,
        size: u64,
        pages: &dyn ChunkSink,
        keys: CatalogKeys,
    ) -> Result<TreeRoot, Error> {
        let owners = Owners::new();
        let mut tree = TreeWriter::new(pages, keys);
        tree.push_root(&self.entry(EntryKind::Directory, 0, &owners))?;
        let mut folder = EntryPath::default();
        let (name, way) = self.path.0.split_last().expect("the root is no file");
        for step in way {
            tree.push(&folder, step, &self.entry(EntryKind::Directory, 0, &owners))?;
            folder = folder.join(step.clone());
        }
        tree.push(&folder, name, &self.entry(EntryKind::File(content), size, &owners))?;
        Ok(tree.finish()?)
    }

    /// An entry that no file system has: of whoever runs this, and for them alone, as dumps are nobody else's business.
    fn entry(&self, kind: EntryKind, size: u64, owners: &Owners) -> Entry {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Entry {
            mode: if kind == EntryKind::Directory { 0o755 } else { 0o600 },
            kind,
            uid,
            gid,
            user: owners.user(uid).0,
            group: owners.group(gid).0,
            modified: self.clock,
            changed: self.clock,
            accessed: None,
            size,
            flags: 0,
            xattrs: Vec::new(),
            links: None,
        }
    }

    fn summary(&self, taken: &Taken) -> Summary {
        let folders = self.path.0.len() as u64 - 1;
        Summary {
            snapshot: None,
            parent: None,
            counts: Counts { files_new: 1, dirs_new: folders, bytes: taken.size, ..Counts::default() },
            bytes_added: taken.figures.bytes,
            bytes_stored: taken.figures.stored,
            chunks_added: taken.figures.data_chunks + taken.figures.catalog_chunks,
            data_chunks_added: taken.figures.data_chunks,
            packs: taken.packs.len() as u64,
            level: taken.figures.level(),
            deltas: taken.figures.deltas,
            partials: 0,
            unchanged: false,
            problems: 0,
            full: true,
            started: self.clock,
            seconds: 0.0,
        }
    }

    fn draft<'a>(&'a self, taken: &'a Taken) -> Draft<'a> {
        let options = self.options;
        Draft {
            root: &taken.root,
            host: &options.host,
            user: &options.user,
            paths: vec![self.path.to_bytes()],
            tags: &options.tags,
            excludes: Vec::new(),
            time: options.time,
            started: self.clock,
            kind: SnapshotKind::Full,
            completeness: Completeness::Complete,
            parent: None,
            statistics: self.statistics(taken),
        }
    }

    fn statistics(&self, taken: &Taken) -> Statistics {
        Statistics {
            files_new: 1,
            dirs_new: self.path.0.len() as u64 - 1,
            data_chunks: taken.figures.data_chunks,
            catalog_chunks: taken.figures.catalog_chunks,
            bytes_processed: taken.size,
            bytes_read: taken.size,
            bytes_added: taken.figures.bytes,
            bytes_stored: taken.figures.stored,
            ..Statistics::default()
        }
    }
}

/// The stream for whoever cuts large files.
struct StreamBytes<'a> {
    stream: &'a mut dyn Stream,
    events: &'a dyn Sink,
    size: u64,
    /// Why it cannot be read on.
    failed: Option<stream::Error>,
}

impl Bytes for StreamBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Read, Failure> {
        match self.stream.read(buffer, self.events) {
            Ok(0) => Ok(Read::End),
            Ok(count) => {
                self.size += count as u64;
                let progress = Progress { bytes: self.size, ..Progress::default() };
                self.events.emit(Event::Progress(crate::event::Stage::Snapshot, progress));
                Ok(Read::Data(count))
            }
            Err(error) => {
                self.failed = Some(error);
                Err(Failure::Sink(chunks::Error::Stopped))
            }
        }
    }
}
