//! Which packs nothing needs, and which are needed for nothing that does not lie elsewhere too.

use super::reach::{Mark, Reach};
use super::repack::Repack;
use super::{Error, Packs, Summary};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::id::{DataKeyId, PackId};
use crate::repo::repository;
use crate::repo::segment::{Codec, SegmentDescriptor};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is needed of a pack.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Use {
    pub length: u64,
    /// Chunks that are needed.
    pub live: u64,
    /// Whether one of them lies nowhere else where all rely on it.
    only: bool,
    /// Bytes of segments of which nothing is needed.
    pub dead: u64,
    /// Bytes of segments of which something is needed, that are not: about.
    waste: u64,
    /// Of these, those that whoever reads can give back.
    pub rewritable: u64,
}

/// How much of a segment must not be needed for it to be made anew without that: an eighth. Less is not worth the reading.
const WORTH: usize = 8;

/// Chunks that nothing needs.
fn dead(marks: &[Mark]) -> usize {
    marks.iter().filter(|mark| **mark == 0).count()
}

/// Of a segment's bytes, about those that nothing needs.
fn waste(length: u64, marks: &[Mark]) -> u64 {
    length * dead(marks) as u64 / marks.len() as u64
}

/// Whether a segment is worth to be made anew by who reads it. Deltas are not: plain, their chunks would take more.
pub(super) fn is_rewritable(segment: &SegmentDescriptor, marks: &[Mark]) -> bool {
    let dead = dead(marks);
    dead < marks.len() && dead * WORTH >= marks.len() && segment.codec != Codec::Delta
}

/// A segment's number, what it is, and its chunks' marks.
type Numbered = (usize, Arc<SegmentDescriptor>);

/// What every named pack is needed for. Packs that are `leaving` anyway count for nothing else.
pub(super) fn uses(reach: &Reach<'_>, leaving: &BTreeSet<PackId>) -> Result<BTreeMap<PackId, Use>, Error> {
    let mut uses: BTreeMap<PackId, Use> = BTreeMap::new();
    for named in reach.index.numbered() {
        let (number, pack, segment) = named.map_err(repository::Error::from)?;
        let marks = reach.marks(number, segment.ids.len());
        let live = marks.iter().filter(|mark| **mark != 0).count() as u64;
        let one = uses.entry(pack.id).or_default();
        let length = u64::from(segment.length);
        (one.length, one.live) = (pack.length, one.live + live);
        match live {
            0 => one.dead += length,
            _ => {
                let waste = waste(length, marks);
                one.waste += waste;
                one.rewritable += if is_rewritable(&segment, marks) { waste } else { 0 };
            }
        }
        if !one.only {
            let elsewhere = |id: &PackId| *id == pack.id || leaving.contains(id);
            one.only = !all_elsewhere(reach, &segment, marks, &elsewhere);
        }
    }
    reach.check_damage()?;
    Ok(uses)
}

fn all_elsewhere(
    reach: &Reach<'_>,
    segment: &SegmentDescriptor,
    marks: &[Mark],
    leaving: &dyn Fn(&PackId) -> bool,
) -> bool {
    let needed = segment.ids.iter().zip(marks).filter(|(_, mark)| **mark != 0);
    needed.into_iter().all(|(id, mark)| reach.lies_elsewhere(segment.kind, id, *mark, leaving))
}

/// What can go, and what is there.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Packs to condemn.
    pub condemn: BTreeSet<PackId>,
    /// Bytes of these.
    pub bytes: Packs,
    /// What to copy of packs that are to be made anew.
    pub repack: Repack,
    /// The data keys of that, as they are wrapped for readers.
    pub wraps: BTreeMap<DataKeyId, Vec<u8>>,
}

/// Chooses what to condemn of the packs that indexes name and that are `candidates`; fills in what is needed.
///
/// Of packs that hold the same, those go first of which the most is not needed, then the shorter ones, one after the other: each only if
/// what goes already leaves enough.
///
/// # Errors
/// When this machine's cache of indexes turns out to be damaged.
pub(super) fn choose(
    reach: &Reach<'_>,
    uses: &BTreeMap<PackId, Use>,
    candidates: &BTreeSet<PackId>,
    summary: &mut Summary,
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut doubles = Vec::new();
    (summary.needed, summary.unneeded_segments, summary.unneeded_chunks) = (Packs::default(), 0, 0);
    for (id, one) in uses {
        let there = reach.stored.contains_key(id);
        match (candidates.contains(id) && there, one.live, one.only) {
            (true, 0, _) => plan.take(*id, one.length),
            (true, _, false) => doubles.push((Reverse(one.dead), one.length, *id)),
            _ if reach.is_absent(id) => {}
            _ => summary.need(one),
        }
    }
    doubles.sort_unstable();
    let mut segments = segments_of(&reach.index, doubles.iter().map(|(_, _, id)| *id).collect())?;
    for (_, length, id) in doubles {
        let own = segments.remove(&id).unwrap_or_default();
        let leaving = |other: &PackId| *other == id || plan.condemn.contains(other);
        let spare = own
            .iter()
            .all(|(number, segment)| all_elsewhere(reach, segment, reach.marks(*number, segment.ids.len()), &leaving));
        if spare {
            plan.take(id, length);
        } else {
            summary.needed.count(length);
        }
    }
    reach.check_damage()?;
    Ok(plan)
}

/// Of condemned packs, those whose last hour has come, and those that are needed after all. Nothing that is condemned is relied on,
/// not even on what will be rescued.
///
/// # Errors
/// As [`choose`].
pub(super) fn judge(
    reach: &Reach<'_>,
    condemned: &BTreeSet<PackId>,
) -> Result<(BTreeSet<PackId>, BTreeSet<PackId>), Error> {
    let uses = uses(reach, condemned)?;
    let needed = |id: &PackId| uses.get(id).is_some_and(|one| one.only);
    Ok(condemned.iter().copied().partition(|id| !needed(id)))
}

/// The segments of these packs.
pub(super) fn segments_of(
    index: &ChunkIndex,
    packs: BTreeSet<PackId>,
) -> Result<BTreeMap<PackId, Vec<Numbered>>, Error> {
    let mut segments: BTreeMap<PackId, Vec<Numbered>> = BTreeMap::new();
    if packs.is_empty() {
        return Ok(segments);
    }
    for named in index.numbered() {
        let (number, pack, segment) = named.map_err(repository::Error::from)?;
        if packs.contains(&pack.id) {
            segments.entry(pack.id).or_default().push((number, segment));
        }
    }
    Ok(segments)
}

impl Plan {
    /// One more to condemn.
    pub fn take(&mut self, id: PackId, length: u64) {
        if self.condemn.insert(id) {
            self.bytes.count(length);
        }
    }
}

impl Summary {
    fn need(&mut self, one: &Use) {
        if one.live > 0 {
            self.needed.count(one.length);
            self.unneeded_segments += one.dead;
            self.unneeded_chunks += one.waste;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::Suite;
    use crate::repo::id::{ChunkKind, WriterId};
    use crate::repo::segment::Origin;

    #[test]
    fn a_segment_is_made_anew_if_an_eighth_of_it_is_not_needed() {
        let mut segment = SegmentDescriptor {
            kind: ChunkKind::Data,
            suite: Suite::Aes256Gcm,
            codec: Codec::Zstd,
            epoch: 0,
            offset: 0,
            length: 1 << 20,
            hash: [0; 32],
            key_id: DataKeyId([0; 32]),
            origin: Origin { writer: WriterId([0; 16]), seq: 0 },
            ids: Vec::new(),
            bases: Vec::new(),
        };
        let worth = |segment: &SegmentDescriptor, dead: usize, live: usize| {
            is_rewritable(segment, &[vec![0; dead], vec![1; live]].concat())
        };
        assert!(worth(&segment, 1, 7) && worth(&segment, 3, 1));
        assert!(!worth(&segment, 1, 8), "less");
        assert!(!worth(&segment, 8, 0), "all of it goes");
        segment.codec = Codec::Delta;
        assert!(!worth(&segment, 3, 1));
    }

    #[test]
    fn each_chunk_of_a_segment_counts_the_same() {
        assert_eq!((waste(1000, &[1, 0, 2, 1]), waste(1000, &[0, 3, 0, 0]), waste(1000, &[5])), (250, 750, 0));
        assert_eq!(waste(10, &[0, 1, 1]), 3);
    }

    #[test]
    fn a_pack_is_condemned_once_and_counted_once() {
        let mut plan = Plan::default();
        plan.take(PackId([1; 32]), 10);
        plan.take(PackId([1; 32]), 10);
        plan.take(PackId([2; 32]), 5);
        assert_eq!((plan.condemn.len(), plan.bytes), (2, Packs { packs: 2, bytes: 15 }));
    }

    #[test]
    fn what_is_not_needed_is_told_of_packs_that_are() {
        let mut summary = Summary::default();
        summary.need(&Use { length: 100, live: 3, only: true, dead: 20, waste: 7, rewritable: 0 });
        summary.need(&Use { length: 50, live: 1, only: true, dead: 2, waste: 1, rewritable: 1 });
        summary.need(&Use { length: 1000, live: 0, only: false, dead: 900, waste: 0, rewritable: 0 });
        assert_eq!(summary.needed, Packs { packs: 2, bytes: 150 });
        assert_eq!((summary.unneeded_segments, summary.unneeded_chunks), (22, 8));
    }
}
