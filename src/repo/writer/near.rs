//! New chunks of a changed file, compressed against what the file held near there before: codec *delta*.
//!
//! A dump in which one row of a hundred changed shares no chunk with yesterday's, and nearly all of its bytes. Invariant:
//! whatever a delta builds on is at a place that may be relied on, in no delta itself, so that one step always leads to plain
//! bytes.

use super::{Lane, Shared};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks::{ChunkSource, Error};
use crate::repo::id::{ChunkId, ChunkKind};
use crate::repo::segment::{Base, SegmentBuilder, TARGET};
use memchr::memmem;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How far to each side of a stretch its earlier bytes are looked at: what was put in or taken out since moves the rest.
pub const MARGIN: u64 = 128 << 10;
/// The same where the chunk before stayed as it was, and so tells exactly where the stretch stood.
const NARROW: u64 = 8 << 10;
/// Bytes of bases of one segment, more or less: no chunk is added to so many.
pub const MOST: usize = 4 * TARGET;
/// Bytes that tell where a stretch stood before.
const SAMPLE: usize = 48;
/// From a place that is far away, what a file held before is fetched for so many new bytes: a request brings more than fewer could save.
pub const WORTH: usize = TARGET / 2;
/// Segments in a row that got no smaller before fewer are tried …
const PATIENCE: u32 = 4;
/// … down to one in 2^this.
const SELDOM: u32 = 5;

/// A chunk of a file's earlier version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// Bytes of the file before it.
    pub offset: u64,
    /// Its length.
    pub length: u32,
    /// Its id.
    pub id: ChunkId,
}

impl Earlier {
    fn meets(&self, range: &Range<i64>) -> bool {
        let start = offset(self.offset);
        start < range.end && range.start < start + i64::from(self.length)
    }
}

/// How well the deltas of one file go: many that gain nothing in a row make more attempts rare.
#[derive(Debug, Default)]
pub struct Luck(AtomicU32);

impl Luck {
    fn tries(&self, number: u64) -> bool {
        let seldom = self.0.load(Ordering::Relaxed).saturating_sub(PATIENCE).min(SELDOM);
        number.is_multiple_of(1 << seldom)
    }

    fn note(&self, good: bool) {
        if good {
            self.0.store(0, Ordering::Relaxed);
        } else {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a file held before, near a stretch of it.
#[derive(Clone)]
pub struct Near {
    /// Reads earlier chunks.
    pub source: Arc<dyn ChunkSource>,
    /// The earlier chunks near the stretch, in order.
    pub earlier: Vec<Earlier>,
    /// Where the stretch begins.
    pub start: u64,
    /// The number of the stretch in its file.
    pub number: u64,
    /// How far behind its place now the stretch stood before, as far as is known.
    pub drift: i64,
    /// Of the file.
    pub luck: Arc<Luck>,
}

/// New chunks one after another.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: u64,
    end: u64,
    /// How far off it stood before, if the chunk before it says.
    exactly: Option<i64>,
}

impl Stretch {
    /// Where it stood before, and that with what is looked at to each side.
    fn before(&self, drift: i64) -> (Range<i64>, Range<i64>) {
        let (drift, margin) = self.exactly.map_or((drift, MARGIN), |drift| (drift, NARROW));
        let inner = offset(self.start) + drift..offset(self.end) + drift;
        let outer = inner.start - offset(margin)..inner.end + offset(margin);
        (inner, outer)
    }
}

/// A base, and where in the earlier version it stood, if it is of that one.
struct Found {
    base: Base,
    offset: Option<u64>,
}

impl Near {
    /// What a delta of these stretches may build on.
    fn bases(&self, stretches: &[Stretch], index: &ChunkIndex) -> Vec<Found> {
        let (mut known, mut bytes, mut found) = (HashSet::new(), 0, Vec::new());
        let mut take = |id: ChunkId, offset| {
            if bytes < MOST && known.insert(id) && index.has_good_plain(ChunkKind::Data, &id) {
                // One that cannot be read is no base; that it is damaged, others have to say.
                if let Ok(read) = self.source.get(ChunkKind::Data, &id) {
                    bytes += read.len();
                    found.push(Found { base: Base { id, bytes: read }, offset });
                }
            }
        };
        let ranges: Vec<_> = stretches.iter().map(|stretch| stretch.before(self.drift)).collect();
        for earlier in self.earlier.iter().filter(|earlier| ranges.iter().any(|(_, outer)| earlier.meets(outer))) {
            if index.has_good_plain(ChunkKind::Data, &earlier.id) {
                take(earlier.id, Some(earlier.offset));
            } else if ranges.iter().any(|(inner, _)| earlier.meets(inner)) {
                // A delta already, so its bases, which reach as far to each side: deltas grow from one version to the
                // next, until the file by itself is no longer much larger than they are.
                let places = index.places(ChunkKind::Data, &earlier.id);
                let bases = places.iter().find(|place| place.pack.good).map(|place| &place.segment.bases);
                bases.into_iter().flatten().for_each(|id| take(*id, None));
            }
        }
        found
    }

    /// How far off the bytes that begin at `at` now stood in the earlier version.
    fn drift_of(bytes: &[u8], at: u64, found: &[Found]) -> Option<i64> {
        [1, 2, 3].into_iter().find_map(|quarter| {
            let from = bytes.len() / 4 * quarter;
            let finder = memmem::Finder::new(bytes.get(from..from + SAMPLE)?);
            found.iter().find_map(|Found { base, offset: before }| {
                let inside = finder.find(&base.bytes)?;
                Some(offset((*before)? + inside as u64) - offset(at + from as u64))
            })
        })
    }
}

impl Lane {
    /// As [`Lane::put`], of the data chunks of a stretch of a file, one after another; what is new of them as deltas to what
    /// the file held there before, where that pays. Also returns how far off the stretch stood before, if that was seen.
    ///
    /// # Errors
    /// [`Error::Stopped`] once the store has failed.
    pub fn put_near<'b>(
        &mut self,
        chunks: impl Iterator<Item = &'b [u8]>,
        near: &Near,
    ) -> Result<(Vec<ChunkId>, Option<i64>), Error> {
        let (mut ids, mut drift) = (Vec::new(), None);
        let (mut at, mut before, mut stretches) = (near.start, None, Vec::new());
        let tries = near.luck.tries(near.number);
        for chunk in chunks {
            let id = self.shared.keys.id(ChunkKind::Data, chunk);
            let next = at + chunk.len() as u64;
            let mut exactly = None;
            if !self.shared.claim(ChunkKind::Data, &id, chunk.len()) {
                let same = near.earlier.iter().find(|earlier| earlier.id == id);
                exactly = same.map(|earlier| offset(earlier.offset) - offset(at));
                drift = exactly.or(drift);
            } else if tries {
                let builder = self.near.get_or_insert_with(|| SegmentBuilder::new(ChunkKind::Data));
                match stretches.last_mut() {
                    Some(Stretch { end, .. }) if *end == at => *end = next,
                    _ => stretches.push(Stretch { start: at, end: next, exactly: before }),
                }
                builder.push(id, chunk);
                if builder.is_full() {
                    drift = self.settle(&stretches, near)?.or(drift);
                    stretches.clear();
                }
            } else {
                self.push(ChunkKind::Data, id, chunk)?;
            }
            (at, before) = (next, exactly);
            ids.push(id);
        }
        drift = self.settle(&stretches, near)?.or(drift);
        Ok((ids, drift))
    }

    /// Sends off what was collected, which is of these stretches: as a delta if that pays, else with whatever else is new.
    fn settle(&mut self, stretches: &[Stretch], near: &Near) -> Result<Option<i64>, Error> {
        let Some(first) = stretches.first() else { return Ok(None) };
        let Some(mut builder) = self.near.take() else { return Ok(None) };
        if builder.len() < self.shared.worth {
            builder.empty_into(|id, bytes| self.push(ChunkKind::Data, id, bytes))?;
            self.near = Some(builder);
            return Ok(None);
        }
        let found = near.bases(stretches, &self.shared.index);
        let drift = Near::drift_of(builder.first(), first.start, &found);
        let bases: Vec<Base> = found.into_iter().map(|found| found.base).collect();
        let sealing = &self.shared.options.data_sealing;
        let compression = self.shared.governor.compression();
        let delta = builder.finish_as_delta(sealing, compression, &bases);
        let delta = delta.map_err(|error| Error::Store(Arc::new(error)))?;
        near.luck.note(delta.is_some());
        match delta {
            Some(sealed) => {
                self.shared.added.deltas.fetch_add(1, Ordering::Relaxed);
                self.out.give(sealed)?;
            }
            None => builder.empty_into(|id, bytes| self.push(ChunkKind::Data, id, bytes))?,
        }
        self.near = Some(builder);
        Ok(drift)
    }
}

impl Shared {
    /// Whether the caller is the first of this session to bring a chunk that the repository lacks; it counts as added then.
    pub(super) fn claim(&self, kind: ChunkKind, id: &ChunkId, length: usize) -> bool {
        let fresh = self.is_fresh(kind, id);
        if fresh {
            let chunks = if kind == ChunkKind::Data { &self.added.data_chunks } else { &self.added.catalog_chunks };
            chunks.fetch_add(1, Ordering::Relaxed);
            self.added.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        fresh
    }
}

/// An offset as a number that can be subtracted from; files are far shorter than 2^63 bytes.
fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that repeat nowhere.
    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn where_a_stretch_stood_shows_in_any_quarter_of_it_that_is_left() {
        let stretch = noise(4000);
        let drift = |from: usize, offset| {
            let bytes = stretch[from..from + 200].to_vec().into();
            let found = Found { base: Base { id: ChunkId([1; 32]), bytes }, offset };
            Near::drift_of(&stretch, 70_000, &[found])
        };
        for quarter in [1000, 2000, 3000] {
            // What stood at 5000 begins 100 bytes before that quarter, which stands behind 70000 now.
            let from = quarter - 100;
            assert_eq!(drift(from, Some(5000)), Some(5000 - 70_000 - from as i64), "{quarter}");
            assert_eq!(drift(from, None), None, "it is of no version that says where");
        }
        assert_eq!(drift(1500, Some(5000)), None);
    }

    #[test]
    fn what_stood_before_is_looked_at_as_far_to_either_side() {
        let far = 1 << 30;
        for (exactly, drift, margin) in [(None, -7, MARGIN), (Some(40), 40, NARROW)] {
            let (inner, outer) = Stretch { start: far, end: far + 1000, exactly }.before(-7);
            let (start, end) = (offset(far) + drift, offset(far) + 1000 + drift);
            assert_eq!(inner, start..end);
            assert_eq!(outer, start - offset(margin)..end + offset(margin));
        }
    }
}
