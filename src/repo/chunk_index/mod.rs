//! Which chunk lies where: every place that the accepted indexes name, and which of them may be relied on.
//!
//! Readers ask for all places, good ones first. Writers ask only whether a *good* place exists: deduplicating against a
//! place that somebody hostile made up would lose data. The index is derived; the packs' own tables can always rebuild it.
//!
//! What indexes say lies in *runs*: files that are sorted once, mapped, and never changed; a new one takes the small ones in.
//! A hash map is quicker, 0.6 µs for a chunk that is there and 0.2 for one that is not, but costs 80 bytes of private memory
//! for each; a run takes 1.5 and 0.4 µs (ten million chunks, processor time, look-ups at random), 50 bytes of disk, and memory
//! only while the system has nothing better to do with it. A database on disk takes 3 µs and far longer to fill. A hundred
//! million chunks were sorted in 40 seconds of processor time and 32 MiB of private memory, and opened in 22 ms and none. Chunks that are
//! not there are told by two bytes of each that is: a filter of its own would say nothing more.
//!
//! Whether a place is good is never written down: trust and condemnations change with every entry of the log. It is judged
//! anew at every opening, for each pack and session, and not for each chunk.

mod along;
mod build;
mod folder;
mod format;
mod judged;
mod loose;
mod ordered;
mod output;
mod recent;
mod run;
mod said;
mod spool;
#[cfg(test)]
mod tests;

pub use along::Along;
pub use build::{Covered, RunBuilder};
pub use folder::RunFolder;
pub use format::{IndexRow, PackRow, RunKey, Section, SignerBytes};
pub use judged::{Judged, Standing};
pub use run::Run;
pub use said::Said;

use super::id::{ChunkId, ChunkKind, DataKeyId, PackId};
use super::segment::{SegmentDescriptor, WrappedKey};
use loose::Loose;
use recent::Recent;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A run is not what was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cache of indexes{} is damaged; it is made anew when the repository is opened next: run the command again",
    path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
)]
pub struct Damaged {
    /// The file, if it has a name.
    pub path: Option<PathBuf>,
}

/// Why a run could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A pack that some index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedPack {
    /// Its name.
    pub id: PackId,
    /// Its length in bytes.
    pub length: u64,
    /// Whether its chunks may be relied on by this writer: origin trusted, and neither condemned nor ever final.
    pub good: bool,
}

/// One place of one chunk.
#[derive(Debug, Clone)]
pub struct Place {
    /// The pack.
    pub pack: IndexedPack,
    /// The segment inside it, with what opening it needs.
    pub segment: Arc<SegmentDescriptor>,
    /// The segment's number in this index: what caches key decoded segments by.
    pub segment_number: u32,
    /// Which chunk of the segment.
    pub position: u32,
}

/// A run in use.
struct Attached {
    run: Arc<Run>,
    judged: Judged,
    /// The number of its first segment.
    first: u32,
}

/// All places of all chunks.
#[derive(Default)]
pub struct ChunkIndex {
    runs: Vec<Attached>,
    loose: Loose,
    /// Whether a pack that an index names is gone.
    gaps: bool,
    recent: Recent,
    damage: OnceLock<Damaged>,
}

impl ChunkIndex {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one pack's segments.
    pub fn add(&mut self, pack: IndexedPack, rows: impl IntoIterator<Item = SegmentDescriptor>) {
        self.loose.add(pack, rows);
    }

    /// Adds a data key as it is wrapped for readers.
    pub fn add_wrap(&mut self, wrap: &WrappedKey) {
        self.loose.add_wrap(wrap);
    }

    /// Adds a run, with what its rows come to.
    pub fn attach(&mut self, run: Arc<Run>, judged: Judged) {
        let first = self.loose_from();
        self.runs.push(Attached { run, judged, first });
    }

    /// Takes those runs out again that shall not `stay`. Segments get other numbers.
    pub fn retain(&mut self, stay: impl Fn(&Arc<Run>) -> bool) {
        for Attached { run, judged, .. } in std::mem::take(&mut self.runs) {
            if stay(&run) {
                self.attach(run, judged);
            }
        }
    }

    /// The runs in use, and what their rows come to.
    pub fn runs(&self) -> impl Iterator<Item = (&Arc<Run>, &Judged)> {
        self.runs.iter().map(|one| (&one.run, &one.judged))
    }

    /// The number of the first segment that lies in no run.
    fn loose_from(&self) -> u32 {
        let after = |one: &Attached| u64::from(one.first) + one.run.count(Section::Segments);
        let all = self.runs.last().map_or(0, after);
        u32::try_from(all).expect("fewer than 2^32 segments: more than any repository has")
    }

    /// Says that a pack which was added is not in the store.
    pub const fn mark_gap(&mut self) {
        self.gaps = true;
    }

    /// Whether every pack is there, as far as somebody looked: if not, what a snapshot holds may not be there either.
    pub const fn is_whole(&self) -> bool {
        !self.gaps
    }

    /// What was found to be damaged since: then a place that is not found may be there all the same.
    pub fn damage(&self) -> Option<&Damaged> {
        self.damage.get()
    }

    /// A damaged file is good for nothing more: the next opening makes another.
    fn note(&self, found: Result<(), Damaged>) {
        if let Err(damaged) = found {
            if let Some(path) = &damaged.path {
                // If it cannot be removed, the next opening finds the damage again.
                let _ = std::fs::remove_file(path);
            }
            self.damage.get_or_init(|| damaged);
        }
    }

    /// Whether a place of the chunk may be relied on. One in a delta may if all that the delta builds on is at such places, in
    /// no delta.
    pub fn has_good(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        let base = |base: &ChunkId| self.has_good_plain(kind, base);
        self.loose.has_good(kind, id, |row| row.bases.iter().all(base))
            || self.any(kind, id, |one, spot| {
                one.standing_of(spot.pack) == Standing::Good
                    && self.bases_of(one, spot).is_some_and(|bases| bases.iter().all(|id| base(&ChunkId(*id))))
            })
    }

    /// Whether a place of the chunk that is in no delta may be relied on: deltas may build on it.
    pub fn has_good_plain(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        self.loose.has_good(kind, id, |row| row.bases.is_empty())
            || self.any(kind, id, |one, spot| {
                one.standing_of(spot.pack) == Standing::Good && self.bases_of(one, spot).is_some_and(<[_]>::is_empty)
            })
    }

    /// The bases of the segment that a place is in; `None` where the run turns out to be damaged.
    fn bases_of<'a>(&self, one: &'a Attached, spot: run::Spot) -> Option<&'a [[u8; 32]]> {
        let bases = one.run.segment(spot.segment).and_then(|row| one.run.bases(&row));
        bases.map_err(|damaged| self.note(Err(damaged))).ok()
    }

    /// Whether any place of the chunk is known.
    pub fn has(&self, kind: ChunkKind, id: &ChunkId) -> bool {
        self.loose.has(kind, id) || self.any(kind, id, |one, spot| one.standing_of(spot.pack) != Standing::Masked)
    }

    fn any(&self, kind: ChunkKind, id: &ChunkId, wanted: impl Fn(&Attached, run::Spot) -> bool) -> bool {
        self.of_class(kind).any(|one| {
            let mut found = false;
            self.note(one.run.find(kind, id, |spot| {
                found = wanted(one, spot);
                if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }));
            found
        })
    }

    fn of_class(&self, kind: ChunkKind) -> impl Iterator<Item = &Attached> {
        let class = super::names::IndexClass::of(kind);
        self.runs.iter().filter(move |one| one.run.class() == class)
    }

    /// Every place of a chunk, good ones first.
    pub fn places(&self, kind: ChunkKind, id: &ChunkId) -> Vec<Place> {
        let mut places = Vec::new();
        for one in self.of_class(kind) {
            let mut spots = Vec::new();
            self.note(one.run.find(kind, id, |spot| {
                spots.push(spot);
                ControlFlow::Continue(())
            }));
            for spot in spots.into_iter().filter(|spot| one.standing_of(spot.pack) != Standing::Masked) {
                let place = self.place(one, spot);
                self.note(place.map(|place| places.push(place)));
            }
        }
        let loose_from = self.loose_from();
        places.extend(self.loose.places(kind, id).map(|(pack, spot)| Place {
            pack,
            segment: Arc::clone(self.loose.segment(spot.segment)),
            segment_number: loose_from + spot.segment,
            position: spot.position,
        }));
        places.sort_by_key(|place| !place.pack.good);
        places
    }

    /// The best place of a chunk.
    pub fn best_place(&self, kind: ChunkKind, id: &ChunkId) -> Option<Place> {
        self.places(kind, id).into_iter().next()
    }

    fn place(&self, one: &Attached, spot: run::Spot) -> Result<Place, Damaged> {
        let segment_number = one.first + spot.segment;
        let segment = self.recent.get(segment_number, || Ok(one.run.descriptor(spot.segment)?.1))?;
        Ok(Place { pack: one.pack(spot.pack)?, segment, segment_number, position: spot.position })
    }

    /// Whether an index names this very segment in this pack. One without chunks is no matter.
    pub fn names(&self, pack: &PackId, row: &SegmentDescriptor) -> bool {
        let same = |place: &Place| place.pack.id == *pack && *place.segment == *row;
        row.ids.first().is_none_or(|first| self.places(row.kind, first).iter().any(same))
    }

    /// Packs named so far; one that several indexes name, or that has segments of several sessions, more than once.
    pub fn packs(&self) -> impl Iterator<Item = IndexedPack> {
        let of = |one: &Attached| {
            let numbered = (0_u32..).zip(&one.judged.packs).filter(|(_, standing)| **standing != Standing::Masked);
            numbered.filter_map(|(number, _)| one.pack(number).ok()).collect::<Vec<_>>()
        };
        // Rows of packs were proven when the run was opened.
        self.runs.iter().flat_map(of).chain(self.loose.packs.iter().copied())
    }

    /// Segments named so far, each with its pack, in no particular order; an error where a run turns out to be damaged.
    pub fn segments(&self) -> impl Iterator<Item = Result<(IndexedPack, Arc<SegmentDescriptor>), Damaged>> {
        self.numbered().map(|named| named.map(|(_, pack, segment)| (pack, segment)))
    }

    /// One more than the number of the last segment.
    pub fn numbers(&self) -> usize {
        self.loose_from() as usize + self.loose.segments().count()
    }

    /// As [`Self::segments`], each with the number that places have; not all numbers occur.
    pub fn numbered(&self) -> impl Iterator<Item = Result<(usize, IndexedPack, Arc<SegmentDescriptor>), Damaged>> {
        let loose = (self.loose_from() as usize..).zip(self.loose.segments());
        let loose = loose.map(|(number, (pack, segment))| Ok((number, pack, Arc::clone(segment))));
        self.runs.iter().flat_map(Attached::numbered).chain(loose)
    }

    /// Packs named so far, each with its segments; one that several indexes name more than once.
    pub fn by_pack(&self) -> impl Iterator<Item = Result<(IndexedPack, Vec<Arc<SegmentDescriptor>>), Damaged>> {
        let mut segments = self.segments().peekable();
        std::iter::from_fn(move || {
            let (first, row) = match segments.next()? {
                Ok(named) => named,
                Err(damaged) => return Some(Err(damaged)),
            };
            let mut rows = vec![row];
            // Of one pack there is a row for each session, one after the other.
            let same =
                |named: &Result<(IndexedPack, _), Damaged>| named.as_ref().is_ok_and(|(pack, _)| pack.id == first.id);
            while let Some(Ok((_, row))) = segments.next_if(same) {
                rows.push(row);
            }
            Some(Ok((first, rows)))
        })
    }

    /// The data keys of all segments, wrapped for readers.
    ///
    /// # Errors
    /// When a run is damaged.
    pub fn wraps(&self) -> Result<Vec<WrappedKey>, Damaged> {
        let mut wraps: Vec<WrappedKey> = self.loose.wraps().collect();
        for one in &self.runs {
            for number in 0..one.run.count(Section::Keys) {
                let row = one.run.key(number)?;
                wraps.push(WrappedKey { id: row.id, wrap: one.run.wrap(&row)?.to_vec() });
            }
        }
        Ok(wraps)
    }

    /// One data key, as often as it was wrapped for readers.
    pub fn wraps_of(&self, id: &DataKeyId) -> Vec<Vec<u8>> {
        let mut wraps = self.loose.wraps_of(id).to_vec();
        for one in &self.runs {
            self.note(one.run.wraps_of(id).map(|found| wraps.extend(found)));
        }
        wraps
    }

    /// Whether no chunk is named.
    pub fn is_empty(&self) -> bool {
        self.packs().next().is_none()
    }
}

impl Attached {
    fn standing_of(&self, pack: u32) -> Standing {
        self.judged.packs.get(pack as usize).copied().unwrap_or(Standing::Masked)
    }

    fn pack(&self, number: u32) -> Result<IndexedPack, Damaged> {
        let PackRow { id, length, .. } = self.run.pack(number)?;
        Ok(IndexedPack { id, length, good: self.standing_of(number) == Standing::Good })
    }

    fn numbered(&self) -> impl Iterator<Item = Result<(usize, IndexedPack, Arc<SegmentDescriptor>), Damaged>> {
        let all = 0..u32::try_from(self.run.count(Section::Segments)).unwrap_or(u32::MAX);
        all.filter_map(|number| {
            let row = match self.run.segment(number) {
                Ok(row) => row,
                Err(damaged) => return Some(Err(damaged)),
            };
            let counts = self.standing_of(row.pack) != Standing::Masked;
            let place = self.first as usize + number as usize;
            let described = || Ok((place, self.pack(row.pack)?, Arc::new(self.run.descriptor(number)?.1)));
            counts.then(described)
        })
    }
}

impl std::fmt::Debug for ChunkIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let runs: Vec<_> = self.runs.iter().map(|one| &one.run).collect();
        f.debug_struct("ChunkIndex").field("runs", &runs).field("gaps", &self.gaps).finish_non_exhaustive()
    }
}
