//! One run: what it carries through all of its sessions.
//!
//! A short run has one session. A long one ends it with a partial snapshot whenever it has read enough, and goes on in the
//! next, where it stood: the walk, the catalog and the change cache stay as they are. The catalog then refers to pages and
//! chunks of earlier sessions; all of them belong to the partial snapshot, so that it may go on exactly as long as it could
//! reuse that (I3), or if every place that it relied on is still good.

use super::Error;
use super::assembler::Assembler;
use super::former;
use super::options::Options;
use super::parents::{self, Parents};
use super::planner::Planner;
use super::tally::Tally;
use crate::event::{Event, Level, Sink};
use crate::repo::catalog::{CatalogKeys, TreeRoot, TreeWriter, store_value};
use crate::repo::chunker::Chunker;
use crate::repo::chunks::ChunkSource;
use crate::repo::entry::{EntryPath, Timestamp};
use crate::repo::id::{PackId, SnapshotId};
use crate::repo::pack::PackSummary;
use crate::repo::record::Tokens;
use crate::repo::repository::{Snapshot, WriteSession};
use crate::repo::writer::{Figures, SharedLane};
use crate::source::files::attributes::read_directory;
use crate::source::files::owners::Owners;
use crate::source::files::walk::{self, Directory, Walk};
use crate::source::mounts;
use crate::source::pace::Pace;
use crate::state::changes::CacheWriter;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// One run, between or in its sessions.
pub(super) struct Run<'a> {
    pub options: &'a Options,
    pub events: &'a dyn Sink,
    /// Where catalog pages go.
    pub pages: &'a SharedLane,
    /// When it began.
    pub clock: Timestamp,
    pub tokens: Tokens,
    /// What the record names as the parent.
    pub parent: Option<Snapshot>,
    /// The complete snapshot that it is compared with.
    pub complete: Option<Snapshot>,
    pub chunker: Chunker,
    pub catalog_keys: CatalogKeys,
    pub owners: Owners,
    pub walk: Walk,
    pub planner: Planner<'a>,
    pub assembler: Assembler<'a>,
    pub tally: Tally<'a>,
    pub pace: Pace,
    /// Reads what changed files held before, if new chunks may be deltas to that.
    pub earlier: Option<Arc<dyn ChunkSource>>,
    /// What its sessions stored.
    pub figures: Figures,
    pub packs: u64,
    pub partials: u64,
    carried: Option<Carried>,
}

/// What a run relies on when it comes from one session into the next.
struct Carried {
    partial: SnapshotId,
    /// Packs that were good in the session before, its own included.
    good: HashSet<PackId>,
}

/// How far a session brought the run.
pub(super) struct Reached {
    pub how: Ended,
    /// The catalog of all that was walked so far.
    pub root: TreeRoot,
    /// The session's packs.
    pub packs: Vec<PackSummary>,
}

/// Why a run's stay in a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything was walked.
    Arrived,
    /// It is time for a partial snapshot.
    Paused,
    /// Everything was walked, nothing had changed, and no snapshot is wanted then.
    Unchanged,
    /// Somebody asked to stop.
    Stopped,
}

impl<'a> Run<'a> {
    /// A run that begins in this session; `pages` lead into it.
    ///
    /// # Errors
    /// When none of the paths is there, or the root's attributes cannot be stored.
    pub fn begin(
        session: &WriteSession<'_>,
        pages: &'a SharedLane,
        options: &'a Options,
        events: &'a dyn Sink,
    ) -> Result<Self, Error> {
        let clock = Timestamp::now();
        let bundle = session.repository().bundle();
        let tokens = Tokens::of(bundle.structure_key(), &options.host, &options.root_bytes(), &options.tags);
        let Parents { parent, complete, baselines } = parents::choose(session, &tokens, options, events);
        let expected = complete.as_ref().or(parent.as_ref());
        let expected = expected.map_or((0, 0), |snapshot| (snapshot.structure.entries, snapshot.structure.bytes));
        let tally = Tally::new(events, expected);
        let id_key = bundle.id_key().expect("a session is begun with a writer's keys only");
        let catalog_keys = CatalogKeys::derive(id_key);
        let owners = Owners::new();
        let mut walk =
            Walk::new(walk::Options { tell: events.wants_all(), ..options.walk() }).map_err(Error::Source)?;
        let top = walk.next_directory().expect("a walk begins with the root").map_err(Error::Source)?;
        tell_of_mounts(options, events);
        let mut tree = TreeWriter::new(pages, catalog_keys.clone());
        push_root(&mut tree, pages, &top, options, &owners, &tally)?;
        let cache = cache_writer(session, &tokens, options, events);
        let assembler = Assembler::new(tree, cache, &options.roots, events, clock);
        let mut planner = Planner::new(options, baselines, session.index().clone(), events);
        top.problems.iter().for_each(|problem| tally.problem(problem));
        planner.enter(top);
        Ok(Self {
            options,
            events,
            pages,
            clock,
            tokens,
            parent,
            complete,
            chunker: session.chunker(),
            catalog_keys,
            owners,
            walk,
            planner,
            assembler,
            tally,
            pace: Pace::new(&options.pacing),
            earlier: former::source(session, options),
            figures: Figures::default(),
            packs: 0,
            partials: 0,
            carried: None,
        })
    }

    /// The run in its next session; `None` when a prune took, meanwhile, what it relied on: then it has to begin anew.
    pub fn go_on(mut self, session: &WriteSession<'_>) -> Option<Self> {
        let Carried { partial, good } = self.carried.take()?;
        let now = || session.index().packs().filter(|pack| pack.good).map(|pack| pack.id).collect();
        if !session.may_reuse(&partial) && !good.is_subset(&now()) {
            return None;
        }
        self.earlier = former::source(session, self.options);
        self.planner.go_on(session.index().clone(), |snapshot| session.may_reuse(snapshot));
        Some(self)
    }

    /// Takes note that a session ended with a partial snapshot.
    pub fn left(&mut self, partial: SnapshotId, session: &WriteSession<'_>, packs: &[PackSummary]) {
        let good = session.index().packs().filter(|pack| pack.good).map(|pack| pack.id);
        let good = good.chain(packs.iter().map(|pack| pack.id)).collect();
        self.carried = Some(Carried { partial, good });
        self.planner.pause();
        self.earlier = None;
        self.partials += 1;
    }

    /// Whether nothing at or below the paths that were asked for is other than in the last complete snapshot.
    pub fn is_unchanged(&self, root: &TreeRoot) -> bool {
        let Some(before) = self.complete.as_ref().map(|snapshot| &snapshot.structure) else { return false };
        // Folders above the paths may have changed. A full run compares every byte, which only the catalog's root tells of.
        let same = !self.options.full && !self.assembler.figures().changed;
        root.skeleton == before.root || (same && (root.entries, root.bytes) == (before.entries, before.bytes))
    }
}

/// Says which mounted repositories lie below what was asked for, and so are not taken in.
fn tell_of_mounts(options: &Options, events: &dyn Sink) {
    for mount in mounts::shown().unwrap_or_default() {
        let Some(place) = EntryPath::parse(mount.place.as_os_str().as_bytes()) else { continue };
        let around = options.roots.iter().any(|root| root.contains(&place));
        if around && !options.roots.iter().any(|root| place.contains(root)) {
            let text = format!("{} shows snapshots and is not taken in (name it to have it)", mount.place.display());
            events.emit(Event::Message(Level::Info, text));
        }
    }
}

/// The entry of `/`, which no directory lists.
fn push_root(
    tree: &mut TreeWriter<'_>,
    pages: &SharedLane,
    top: &Directory,
    options: &Options,
    owners: &Owners,
    tally: &Tally<'_>,
) -> Result<(), Error> {
    let described = read_directory(top, owners);
    described.problems.iter().for_each(|problem| tally.problem(problem));
    let mut entry = described.entry;
    entry.accessed = options.with_atime.then_some(top.stat.accessed);
    for (name, value) in described.xattrs {
        entry.xattrs.push((name, store_value(pages, &value)?));
    }
    Ok(tree.push_root(&entry)?)
}

/// The cache only saves time, so that its failure is no failure of the run.
fn cache_writer(
    session: &WriteSession<'_>,
    tokens: &Tokens,
    options: &Options,
    events: &dyn Sink,
) -> Option<CacheWriter> {
    let cache = parents::cache_of(session, session.writer(), tokens, options).filter(|_| !options.dry_run)?;
    let warn = |error| {
        let text = format!("the change cache cannot be written, the next run reads every file: {error}");
        events.emit(Event::Message(Level::Warning, text));
    };
    cache.write().map_err(warn).ok()
}
