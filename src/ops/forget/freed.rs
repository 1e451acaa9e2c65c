//! What forgetting gives back, from skeletons alone: no content and no names are read.
//!
//! Snapshots are walked in the order in which they stay longest, and everything that they reach belongs to the first who
//! reaches it: when the later ones go, just that stays. A chunk counts where it would be read from.

use super::Error;
use crate::event::{Event, Sink};
use crate::ops::host::Host;
use crate::repo::catalog::{References, references};
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunks::{self, ChunkSource as _};
use crate::repo::id::{ChunkId, ChunkKind, PackId};
use crate::repo::names::IndexClass;
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{self, Repository};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Nobody reaches it.
const NOBODY: u32 = u32::MAX;

/// Bytes that a new pack holds, about.
const PACK: u64 = 32 << 20;

/// What a prune can give back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Bytes that it frees with a maintainer's keys: those of packs that nothing needs any more, and of segments of which nothing
    /// is needed, in packs that are made anew without them.
    pub bytes: u64,
    /// Bytes that it frees besides with keys that read, about: what is not needed in segments that are.
    pub more_by_reading: u64,
    /// Packs that nothing needs any more.
    pub packs: u64,
    /// Packs that are made anew, to free a part of them.
    pub packs_rewritten: u64,
    /// What that costs.
    pub requests: Requests,
}

/// Requests to the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Reads.
    pub get: u64,
    /// Writes.
    pub put: u64,
    /// Deletions.
    pub delete: u64,
}

/// Who holds every segment longest.
pub(super) struct Weighed {
    index: Arc<ChunkIndex>,
    /// Where each segment's chunks stand in `owners`, by its number.
    starts: Vec<usize>,
    /// The place in the order of the first that reaches each chunk, segment by segment.
    owners: Vec<u32>,
    /// For each place in the order: bytes of the segments that nobody before it reaches.
    sums: Vec<u64>,
}

/// Walks the catalogs of `roots`, which stand in the order in which they stay longest.
///
/// # Errors
/// When the indexes cannot be read, the store fails, or somebody asked to stop. Pages that cannot be read are reported as
/// damage and left out.
pub(super) fn weigh(
    repository: &Repository,
    host: &Host,
    roots: &[ChunkId],
    events: &dyn Sink,
) -> Result<Weighed, Error> {
    let reader = host.reader(repository, &IndexClass::BOTH, DEFAULT_CACHE)?;
    let mut walk = Walk::new(&reader, roots.len())?;
    for (at, root) in (0..).zip(roots) {
        walk.take(*root, at, events)?;
    }
    let Walk { starts, owners, sums, .. } = walk;
    Ok(Weighed { index: Arc::clone(reader.index()), starts, owners, sums })
}

struct Walk<'a> {
    reader: &'a Reader,
    pages: HashSet<ChunkId>,
    /// Where each segment's chunks stand in `owners`, by its number.
    starts: Vec<usize>,
    owners: Vec<u32>,
    reached: Vec<bool>,
    sums: Vec<u64>,
}

impl<'a> Walk<'a> {
    fn new(reader: &'a Reader, roots: usize) -> Result<Self, repository::Error> {
        let (mut starts, mut chunks) = (vec![0; reader.index().numbers()], 0);
        for named in reader.index().numbered() {
            let (number, _, segment) = named?;
            starts[number] = chunks;
            chunks += segment.ids.len();
        }
        let reached = vec![false; starts.len()];
        let (owners, sums) = (vec![NOBODY; chunks], vec![0; roots]);
        Ok(Self { reader, pages: HashSet::new(), starts, owners, reached, sums })
    }

    fn take(&mut self, root: ChunkId, at: u32, events: &dyn Sink) -> Result<(), Error> {
        let mut pending = vec![root];
        while let Some(id) = pending.pop() {
            if !self.pages.insert(id) {
                continue;
            }
            if events.stopping() {
                return Err(repository::Error::from(chunks::Error::Stopped).into());
            }
            self.mark(ChunkKind::Skeleton, &id, at);
            match skeleton(self.reader, &id) {
                Ok(refers) => {
                    self.mark(ChunkKind::Payload, &refers.payload, at);
                    refers.data.iter().for_each(|data| self.mark(ChunkKind::Data, data, at));
                    pending.extend(refers.children);
                }
                Err(Fault::Store(error)) => return Err(repository::Error::from(error).into()),
                Err(Fault::Damage(what)) => {
                    events.emit(Event::Damage { object: format!("catalog page {id}"), what, healed: false });
                }
            }
        }
        Ok(())
    }

    fn mark(&mut self, kind: ChunkKind, id: &ChunkId, at: u32) {
        let mut pending = vec![(kind, *id)];
        while let Some((kind, id)) = pending.pop() {
            // One that is nowhere takes no room; verify names it.
            let Some(place) = self.reader.index().best_place(kind, &id) else { continue };
            let number = place.segment_number as usize;
            let owner = &mut self.owners[self.starts[number] + place.position as usize];
            if *owner != NOBODY {
                continue;
            }
            *owner = at;
            if !std::mem::replace(&mut self.reached[number], true) {
                self.sums[at as usize] += u64::from(place.segment.length);
                // What a delta is made from stays as long as the delta.
                pending.extend(place.segment.bases.iter().map(|base| (ChunkKind::Data, *base)));
            }
        }
    }
}

/// Why a page does not say what it refers to.
pub(in crate::ops) enum Fault {
    /// Nothing can be read at all.
    Store(chunks::Error),
    /// This page cannot.
    Damage(String),
}

/// What a page refers to.
pub(in crate::ops) fn skeleton(reader: &Reader, id: &ChunkId) -> Result<References, Fault> {
    match reader.get(ChunkKind::Skeleton, id) {
        Ok(bytes) => references(&bytes).map_err(|error| Fault::Damage(error.to_string())),
        Err(error @ chunks::Error::Store(_)) => Err(Fault::Store(error)),
        Err(error) => Err(Fault::Damage(error.to_string())),
    }
}

/// A pack, when those from some place in the order on are gone.
#[derive(Default)]
struct PackLeft {
    length: u64,
    needed: u64,
    freed: u64,
}

impl Weighed {
    /// Bytes of the segments that the snapshot at this place holds and none before it.
    pub(super) fn stored(&self, at: usize) -> u64 {
        self.sums[at]
    }

    /// What it gives back when all from this place on are forgotten.
    ///
    /// # Errors
    /// When this machine's cache of indexes turns out to be damaged.
    pub(super) fn freed(&self, from: usize) -> Result<Freed, repository::Error> {
        let first = u32::try_from(from).unwrap_or(NOBODY);
        let mut packs: BTreeMap<PackId, PackLeft> = BTreeMap::new();
        let mut freed = Freed::default();
        for named in self.index.numbered() {
            let (number, pack, segment) = named?;
            let owners = &self.owners[self.starts[number]..][..segment.ids.len()];
            let gone = owners.iter().filter(|&&owner| owner != NOBODY && owner >= first).count() as u64;
            let stays = owners.iter().any(|&owner| owner < first);
            let (left, length) = (packs.entry(pack.id).or_default(), u64::from(segment.length));
            left.length = pack.length;
            if stays {
                left.needed += length;
                freed.more_by_reading += length * gone / owners.len() as u64;
            } else if gone > 0 {
                left.freed += length;
            }
        }
        let mut moved = 0;
        for left in packs.values().filter(|left| left.freed > 0) {
            freed.requests.delete += 1;
            if left.needed == 0 {
                freed.packs += 1;
                freed.bytes += left.length;
            } else {
                freed.packs_rewritten += 1;
                freed.bytes += left.freed;
                freed.requests.get += 1;
                moved += left.needed;
            }
        }
        freed.requests.put = moved.div_ceil(PACK);
        Ok(freed)
    }
}
