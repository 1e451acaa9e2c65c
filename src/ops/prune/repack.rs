//! Which packs are made anew, because much of them is not needed, and what of them is copied.

use super::plan::{Use, is_rewritable, segments_of};
use super::reach::Reach;
use super::{Error, Options};
use crate::repo::id::{ChunkId, ChunkKind, PackId};
use crate::repo::names::IndexClass;
use crate::repo::segment::SegmentDescriptor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pack of less than this is small: a quarter of what packs usually have.
const SMALL: u64 = 8 << 20;

/// What is to be copied in a go, in bytes: when it is done, the packs that it came from can go.
const BATCH: u64 = 512 << 20;

/// What is to be copied.
#[derive(Debug, Default)]
pub(super) struct Repack {
    /// By the packs that it lies in.
    pub parts: Vec<Part>,
}

/// What is to be copied of one pack.
#[derive(Debug)]
pub(super) struct Part {
    /// The pack.
    pub pack: PackId,
    /// Whole segments, as they are sealed.
    pub rows: Vec<Arc<SegmentDescriptor>>,
    /// Chunks out of segments of which much is not needed, in the order in which they lie.
    pub chunks: Vec<(ChunkKind, ChunkId)>,
    /// About how many bytes of segments these chunks take.
    rewritten: u64,
}

impl Part {
    /// Bytes that are copied, about.
    fn bytes(&self) -> u64 {
        self.rows.iter().map(|row| u64::from(row.length)).sum::<u64>() + self.rewritten
    }
}

impl Repack {
    /// Bytes that are copied, about.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(Part::bytes).sum()
    }

    /// Packs that are done with together.
    pub fn batches(&self) -> impl Iterator<Item = &[Part]> {
        let mut bytes = 0;
        self.parts.chunk_by(move |part, _| {
            bytes += part.bytes();
            let full = bytes >= BATCH;
            if full {
                bytes = 0;
            }
            !full
        })
    }

    /// The sessions that this takes: how many indexes each has, and about how many bytes.
    pub fn sessions(&self) -> Vec<(u64, u64)> {
        let number = |classes: BTreeSet<IndexClass>| classes.len() as u64;
        let of = |batch: &[Part]| {
            let rows = || batch.iter().flat_map(|part| &part.rows);
            let chunks = batch.iter().flat_map(|part| &part.chunks);
            let whole = number(rows().map(|row| IndexClass::of(row.kind)).collect());
            let parts = number(chunks.map(|(kind, _)| IndexClass::of(*kind)).collect());
            let copied = rows().map(|row| u64::from(row.length)).sum();
            [(whole, copied), (parts, batch.iter().map(|part| part.rewritten).sum())]
        };
        self.batches().flat_map(of).filter(|(_, bytes)| *bytes > 0).collect()
    }
}

/// Chooses what is copied, and of which packs.
///
/// # Errors
/// When this machine's cache of indexes turns out to be damaged.
pub(super) fn choose(
    reach: &Reach<'_>,
    uses: &BTreeMap<PackId, Use>,
    candidates: &BTreeSet<PackId>,
    options: &Options,
    reads: bool,
) -> Result<Repack, Error> {
    wanted(reach, pick(uses, candidates, options, reads), reads)
}

/// Those packs first that have the most to give back for what is copied, until no more stays that is not needed than is allowed to, or as
/// much is copied; and then small ones, if that is wished and there are several.
fn pick(
    uses: &BTreeMap<PackId, Use>,
    candidates: &BTreeSet<PackId>,
    options: &Options,
    reads: bool,
) -> BTreeSet<PackId> {
    let spare = |one: &Use| one.dead + if reads { one.rewritable } else { 0 };
    // What nothing needs goes anyway; of the others, packs of which nothing can be given back are not looked at.
    let partly = uses.iter().filter(|(id, one)| one.live > 0 && spare(one) > 0 && candidates.contains(*id));
    let mut partly: Vec<(PackId, Use)> = partly.map(|(id, one)| (*id, *one)).collect();
    let needed: u64 = uses.values().filter(|one| one.live > 0).map(|one| one.length).sum();
    let mut dead: u64 = uses.values().filter(|one| one.live > 0).map(spare).sum();
    let allowed = options.max_unused.of(needed.saturating_sub(dead));
    // By the share that is not needed: u128, since the products of two lengths do not fit otherwise.
    partly.sort_by(|(a, one), (b, other)| {
        let share = |of: &Use, by: &Use| u128::from(spare(of)) * u128::from(by.length);
        share(other, one).cmp(&share(one, other)).then(a.cmp(b))
    });
    let (mut chosen, mut copied) = (BTreeSet::new(), 0);
    for (id, one) in partly {
        let costs = one.length.saturating_sub(spare(&one));
        if dead <= allowed {
            break;
        }
        if options.max_repack.is_some_and(|most| copied + costs > most) {
            continue;
        }
        dead -= spare(&one);
        copied += costs;
        chosen.insert(id);
    }
    let small = uses.iter().filter(|(id, one)| one.live > 0 && one.length < SMALL && candidates.contains(*id));
    let small: Vec<_> = small.filter(|(id, _)| !chosen.contains(*id)).collect();
    // One alone is copied for nothing.
    if options.repack_small && small.len() + chosen.len() > 1 {
        for (id, one) in small {
            let costs = one.length.saturating_sub(spare(one));
            if options.max_repack.is_none_or(|most| copied + costs <= most) {
                copied += costs;
                chosen.insert(*id);
            }
        }
    }
    chosen
}

/// The segments of these packs of which something is needed, in their order, each once; out of those worth it, with `reads`, the chunks.
fn wanted(reach: &Reach<'_>, chosen: BTreeSet<PackId>, reads: bool) -> Result<Repack, Error> {
    let mut repack = Repack::default();
    for (pack, mut segments) in segments_of(&reach.index, chosen)? {
        // Two indexes may name one segment.
        segments.sort_by_key(|(_, row)| row.offset);
        segments.dedup_by(|(_, one), (_, other)| one == other);
        let mut part = Part { pack, rows: Vec::new(), chunks: Vec::new(), rewritten: 0 };
        for (number, segment) in segments {
            let marks = reach.marks(number, segment.ids.len());
            let live = segment.ids.iter().zip(marks).filter(|(_, mark)| **mark != 0).map(|(id, _)| (segment.kind, *id));
            if reads && is_rewritable(&segment, marks) {
                let before = part.chunks.len();
                part.chunks.extend(live);
                let share = (part.chunks.len() - before) as u64;
                part.rewritten += u64::from(segment.length) * share / marks.len() as u64;
            } else if live.count() > 0 {
                part.rows.push(segment);
            }
        }
        repack.parts.push(part);
    }
    Ok(repack)
}

#[cfg(test)]
mod tests;
