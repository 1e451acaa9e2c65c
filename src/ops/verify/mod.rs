//! `verify`: proves that the repository holds what it promises, at a chosen depth, and names what it does not hold.
//!
//! Nothing is changed here, and one damaged object never ends the search for others.

mod affected;
mod attest;
mod catalogs;
mod content;
mod history;
mod mark;
pub(super) mod objects;
mod packs;
mod parallel;
mod scrub;

pub use affected::Affected;
pub use attest::{Attested, attest};
pub use mark::{Marked, mark, may_mark};
pub use scrub::{Scrubbed, scrub};

use super::host::Host;
use crate::event::{Event, Sink};
use crate::repo::chunks;
use crate::repo::id::{ChunkId, ChunkKind, PackId};
use crate::repo::keys::role::Role;
use crate::repo::reader::DEFAULT_CACHE;
use crate::repo::repository::{self, Again, Indexes, Repository};
use crate::store::ErrorKind;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How often it is begun anew, at most, because somebody pruned meanwhile.
const ATTEMPTS: u32 = 4;

/// Runs that it takes until every pack was scrubbed once, at the usual level.
pub const ROUNDS: u64 = 30;

/// How deep to look. Each but [`Self::Scrub`] includes those before it, `Scrub` itself only [`Self::Quick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Listings, lengths, chains.
    Quick,
    /// Every stored byte, without opening anything.
    Scrub,
    /// Every object but the packs, the packs' tables, every page of every catalog, and that every chunk has a place.
    Structure,
    /// Also a thirtieth of the packs, as [`Self::Scrub`] reads them; the next run of this host takes the next thirtieth.
    Usual,
    /// As [`Self::Structure`], and some packs as [`Self::Full`] does, drawn anew each time.
    Sample(Share),
    /// Every byte of every pack, and every chunk.
    Full,
}

/// A part of all packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// A share in percent: more than 0, 100 at most.
    pub fn percent(percent: f64) -> Option<Self> {
        // A float that is too large or no number at all becomes a number outside of the range.
        let millionths = (percent * 10_000.0).round();
        (1.0..=1_000_000.0).contains(&millionths).then_some(Self(millionths as u32))
    }

    /// How many of `all` that is: one at least, if there is one.
    pub fn of(self, all: usize) -> usize {
        let share = (all as u128 * u128::from(self.0)).div_ceil(1_000_000);
        usize::try_from(share).unwrap_or(all)
    }
}

impl Level {
    const fn allows(self, role: Role) -> bool {
        match self {
            Self::Quick | Self::Scrub => true,
            Self::Structure | Self::Usual => !matches!(role, Role::Writer),
            Self::Sample(_) | Self::Full => role.reads_content(),
        }
    }

    const fn opens(self) -> bool {
        !matches!(self, Self::Quick | Self::Scrub)
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object, or the chunk, concerned.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// Whether parity or a second copy still has what it should hold.
    pub healable: bool,
}

/// What a verification found.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Packs that the indexes name.
    pub packs: u64,
    /// Packs of which every byte was read.
    pub packs_read: u64,
    /// Packs that lie in an archive tier, so that what is in them was not looked at.
    pub packs_archived: u64,
    /// Chunks that were read.
    pub chunks: u64,
    /// Bytes of objects that were read whole.
    pub bytes: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
    /// What that costs.
    pub affected: Affected,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Verifies `repository` to `level`, with as many threads as there are processors.
///
/// # Errors
/// As [`verify_with`].
pub fn verify(
    repository: &Repository,
    host: &Host,
    level: Level,
    events: &dyn Sink,
) -> Result<Summary, repository::Error> {
    verify_with(0, repository, host, level, events)
}

/// Verifies `repository` to `level`, with so many threads; 0 for as many as there are processors.
///
/// # Errors
/// When the role does not allow the level, the store fails, or somebody asked to stop. Damage is no error but a finding.
pub fn verify_with(
    threads: usize,
    repository: &Repository,
    host: &Host,
    level: Level,
    events: &dyn Sink,
) -> Result<Summary, repository::Error> {
    let (role, start) = (repository.bundle().role(), Instant::now());
    if !level.allows(role) {
        return Err(repository::Error::Role {
            role,
            action: "verifying to this level; --level quick and --level scrub are for everybody",
        });
    }
    let mut newer: Option<Repository> = None;
    for _ in 1..ATTEMPTS {
        let now = newer.as_ref().unwrap_or(repository);
        let watch = Watch { again: now.again(), moved: AtomicBool::new(false) };
        let run = Run { watch: Some(&watch), ..Run::new(threads, now, events) };
        let outcome = once(run, host, level, start);
        let overtaken = match &outcome {
            Ok(_) => watch.moved.load(Ordering::Relaxed),
            Err(_) => !events.stopping() && watch.has_moved(),
        };
        if !overtaken {
            return outcome;
        }
        newer = Some(watch.again.open()?);
    }
    once(Run::new(threads, newer.as_ref().unwrap_or(repository), events), host, level, start)
}

/// Somebody decided something since the repository was read: what is missing may have been given up rightly, or lie elsewhere now.
#[derive(Debug)]
struct Watch {
    again: Again,
    moved: AtomicBool,
}

impl Watch {
    fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed) || {
            let moved = self.again.has_moved();
            self.moved.fetch_or(moved, Ordering::Relaxed);
            moved
        }
    }
}

/// One verification, of the repository as it was read.
fn once(run: Run<'_>, host: &Host, level: Level, start: Instant) -> Result<Summary, repository::Error> {
    let (repository, events) = (run.repository, run.events);
    let role = repository.bundle().role();
    run.history()?;
    run.census()?;
    let listed = run.listed()?;
    if level != Level::Quick {
        run.objects(&listed)?;
    }
    let indexes = Indexes::load_objects(repository)?;
    indexes.problems.iter().for_each(|problem| run.find(problem.name, &problem.reason, true));
    let packs = run.packs(&listed, &indexes, level != Level::Quick)?;
    if level.opens() {
        run.tables(&packs, &indexes.chunks)?;
    }
    let round = host.state().scrub_round(&repository.id(), events);
    let chosen = packs.chosen(level, round);
    run.whole_packs(&chosen, &packs)?;
    let heard = Arc::new(content::Heard::default());
    let reader = Arc::new(host.reader_of(repository, indexes, DEFAULT_CACHE, Arc::clone(&heard) as _));
    if level.opens() {
        run.catalogs(&reader)?;
        run.every_chunk(&reader, &chosen, level)?;
    }
    let affected = if role.reads_content() && level.opens() { run.affected(&reader) } else { Affected::default() };
    if let Some(damaged) = reader.index().damage() {
        return Err(damaged.clone().into());
    }
    run.heard(&heard);
    if level == Level::Usual {
        host.state().scrubbed(&repository.id(), round, events);
    }
    Ok(Summary {
        snapshots: repository.snapshots().len() as u64,
        packs: packs.named.len() as u64,
        packs_read: run.read.into_inner().map_or(0, |read| read.len() as u64),
        packs_archived: run.archived.into_inner().map_or(0, |archived| archived.len() as u64),
        chunks: run.chunks.into_inner(),
        bytes: run.bytes.into_inner(),
        findings: run.findings.into_inner().unwrap_or_else(PoisonError::into_inner),
        affected,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// One verification under way.
struct Run<'a> {
    /// Looked at before anything is reported; the last attempt goes without.
    watch: Option<&'a Watch>,
    threads: usize,
    repository: &'a Repository,
    events: &'a dyn Sink,
    findings: Mutex<Vec<Finding>>,
    /// Chunks that cannot be had.
    bad: Mutex<BTreeSet<(ChunkKind, ChunkId)>>,
    /// Packs that were read whole.
    read: Mutex<BTreeSet<PackId>>,
    /// Packs that are missing, or damaged beyond their parity.
    lost: Mutex<BTreeSet<PackId>>,
    /// Packs that cannot be read where they lie.
    archived: Mutex<BTreeSet<PackId>>,
    chunks: AtomicU64,
    bytes: AtomicU64,
}

impl<'a> Run<'a> {
    fn new(threads: usize, repository: &'a Repository, events: &'a dyn Sink) -> Self {
        Self {
            watch: None,
            threads,
            repository,
            events,
            findings: Mutex::default(),
            bad: Mutex::default(),
            read: Mutex::default(),
            lost: Mutex::default(),
            archived: Mutex::default(),
            chunks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn find(&self, object: impl ToString, what: impl ToString, healable: bool) {
        if self.watch.is_some_and(Watch::has_moved) {
            return;
        }
        let finding = Finding { object: object.to_string(), what: what.to_string(), healable };
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if !findings.contains(&finding) {
            let Finding { object, what, .. } = finding.clone();
            self.events.emit(Event::Damage { object, what, healed: healable });
            findings.push(finding);
        }
    }

    /// A chunk that cannot be had. Where its pack was named already, the chunk is not named again.
    fn bad_chunk(&self, kind: ChunkKind, id: ChunkId, why: &chunks::Error, explained: bool) {
        if self.bad.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, id)) && !explained {
            self.find(format!("{kind:?} chunk {id}"), why, false);
        }
    }

    fn has_found(&self, object: &str) -> bool {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|finding| finding.object == object)
    }

    fn is_lost(&self, pack: &PackId) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(pack)
    }

    fn lose(&self, pack: PackId) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(pack);
    }

    /// That a pack lies in an archive tier is no damage: it is left out, and counted.
    fn but_archived(&self, pack: &PackId, outcome: Result<(), repository::Error>) -> Result<(), repository::Error> {
        match outcome {
            Err(repository::Error::Store(error)) if error.kind == ErrorKind::Archived => {
                self.leave_out(*pack);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn leave_out(&self, pack: PackId) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).remove(&pack);
        self.archived.lock().unwrap_or_else(PoisonError::into_inner).insert(pack);
    }

    fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Long verifications look here between two pieces of work.
    fn go_on(&self) -> Result<(), repository::Error> {
        let moved = self.watch.is_some_and(|watch| watch.moved.load(Ordering::Relaxed));
        if moved || self.events.stopping() { Err(chunks::Error::Stopped.into()) } else { Ok(()) }
    }
}

/// Whether the store has what was asked for, and it must be asked back from an archive tier before.
fn is_archived(error: &chunks::Error) -> bool {
    chunks::failure_of_store(error).is_some_and(|failure| failure.kind == ErrorKind::Archived)
}
