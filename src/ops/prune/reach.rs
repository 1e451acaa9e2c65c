//! What the snapshots need, from skeletons alone: for each chunk, whose snapshots reach it.
//!
//! Whose matters: a copy of a chunk makes another one superfluous only if all who need the chunk may rely on that copy. Two bytes
//! are kept for each place of a chunk, and nothing else grows with the repository: they also tell which pages were read.

use super::Error;
use super::doubts::Doubt;
use super::seen::Seen;
use crate::event::{Event, Progress, Sink, Stage};
use crate::ops::forget::{Fault, skeleton};
use crate::ops::host::Host;
use crate::repo::chunk_index::{ChunkIndex, Place};
use crate::repo::chunks;
use crate::repo::id::{ChunkId, ChunkKind, PackId, PrincipalId, SnapshotId};
use crate::repo::names::{self, Name};
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{self, Indexes, Repository, Snapshot};
use crate::repo::segment::Origin;
use crate::store::Reading;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Whose snapshots reach a chunk: a number in [`Groups`], and whether a delta is made from it.
pub(super) type Mark = u16;

/// A delta is made from the chunk: only a plain copy will do.
const PLAIN: Mark = 1 << 15;
/// All the principals there are: where they come in too many groups to be told apart.
const EVERYBODY: Mark = PLAIN - 1;

/// Groups of principals, by numbers; 0 is nobody.
struct Groups {
    /// Everybody who has a snapshot.
    all: Vec<PrincipalId>,
    /// Whether they are told apart: not once they would come in too many groups.
    coarse: bool,
    groups: Vec<Vec<u16>>,
    numbers: HashMap<Vec<u16>, Mark>,
}

impl Groups {
    fn new(all: Vec<PrincipalId>) -> Self {
        let coarse = all.len() > usize::from(u16::MAX);
        Self { all, coarse, groups: vec![Vec::new()], numbers: HashMap::from([(Vec::new(), 0)]) }
    }

    /// The group `mark` with one more.
    fn with(&mut self, mark: Mark, one: u16) -> Mark {
        if self.coarse || mark == EVERYBODY {
            return EVERYBODY;
        }
        if self.groups[usize::from(mark)].contains(&one) {
            return mark;
        }
        let mut group = self.groups[usize::from(mark)].clone();
        group.push(one);
        group.sort_unstable();
        if let Some(number) = self.numbers.get(&group) {
            return *number;
        }
        let Some(number) = Mark::try_from(self.groups.len()).ok().filter(|number| *number < EVERYBODY) else {
            self.coarse = true;
            return EVERYBODY;
        };
        self.groups.push(group.clone());
        self.numbers.insert(group, number);
        number
    }

    fn members(&self, mark: Mark) -> Vec<PrincipalId> {
        match mark & !PLAIN {
            EVERYBODY => self.all.clone(),
            // A base is needed by whoever needs its deltas.
            group => self.groups[usize::from(group)].iter().map(|one| self.all[usize::from(*one)]).collect(),
        }
    }
}

/// What must be there of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// All of it.
    All,
    /// It is forgotten, and somebody may still show it: some of it may have gone before that.
    WhatIsThere,
}

/// What is needed, and where it lies.
pub(super) struct Reach<'a> {
    repository: &'a Repository,
    pub index: Arc<ChunkIndex>,
    /// Packs that are there now, and their lengths.
    pub stored: BTreeMap<PackId, u64>,
    starts: Vec<usize>,
    marks: Vec<Mark>,
    /// Data chunks that are marked for somebody, with what deltas there are made from.
    seen: Seen,
    groups: Groups,
    relied: RefCell<HashMap<(PrincipalId, Origin), bool>>,
    /// The one whose pages are read now.
    snapshot: SnapshotId,
}

/// A pack is read whole if so large a part of it, one in this many, is to be read.
const WORTH: u64 = 4;

/// Whose snapshot, its root page, and which it is.
type Root = (PrincipalId, ChunkId, SnapshotId);

impl<'a> Reach<'a> {
    /// Walks the catalogs of all snapshots that are not forgotten, and of those that were forgotten behind the position `pinned` of the
    /// log: of these, what is still there, since a prune before the pin may have taken the rest.
    ///
    /// # Errors
    /// [`Error::InDoubt`] when an index is lost, or a page or a chunk that a snapshot needs which is not forgotten; when the store fails, or somebody asked to stop.
    pub fn walk(
        repository: &'a Repository,
        host: &Host,
        pinned: Option<u64>,
        events: &dyn Sink,
    ) -> Result<Self, Error> {
        match Self::walk_over(repository, repository.packs_seen()?, host, pinned, events) {
            // Whatever an index names was put before, and is in a listing made after the sessions'; in one made with it, not always.
            Err(Error::InDoubt(_)) if repository.overview().covers(names::PACKS) => {
                Self::walk_over(repository, repository.list_packs()?, host, pinned, events)
            }
            walked => walked,
        }
    }

    fn walk_over(
        repository: &'a Repository,
        stored: BTreeMap<PackId, u64>,
        host: &Host,
        pinned: Option<u64>,
        events: &dyn Sink,
    ) -> Result<Self, Error> {
        let indexes = Indexes::readable(repository)?;
        if !indexes.problems.is_empty() {
            return Err(Error::InDoubt(indexes.problems.into_iter().map(Doubt::Index).collect()));
        }
        let reader = host.reader_of(repository, indexes, DEFAULT_CACHE, Arc::clone(repository.events()));
        let index = Arc::clone(reader.index());
        let root = |snapshot: &Snapshot| (snapshot.principal, snapshot.structure.root, snapshot.id);
        let mut roots: Vec<Root> = repository.snapshots().iter().map(root).collect();
        let mut shown: Vec<Root> = Vec::new();
        if let Some(pinned) = pinned {
            let forgotten = repository.forgotten().into_iter().filter(|one| one.position > pinned);
            shown.extend(forgotten.map(|one| root(&one.snapshot)));
        }
        // Whoever's turn it is reads each page once.
        roots.sort_unstable();
        shown.sort_unstable();
        let mut all: Vec<PrincipalId> = roots.iter().chain(&shown).map(|(principal, ..)| *principal).collect();
        all.sort_unstable();
        all.dedup();
        let (mut starts, mut chunks) = (vec![0; index.numbers()], 0);
        let mut skeletons: HashMap<PackId, u64> = HashMap::new();
        for named in index.numbered() {
            let (number, pack, segment) = named.map_err(repository::Error::from)?;
            starts[number] = chunks;
            chunks += segment.ids.len();
            if segment.kind == ChunkKind::Skeleton {
                *skeletons.entry(pack.id).or_default() += u64::from(segment.length);
            }
        }
        // All skeletons are read: of a pack with many, the rest comes with the same request.
        let many = |(id, bytes): &(PackId, u64)| stored.get(id).is_some_and(|length| *length / WORTH <= *bytes);
        let whole = skeletons.into_iter().filter(many).map(|(id, _)| Name::Pack(id).object()).collect();
        repository.store().expect(Reading::WholeOf(whole));
        let (marks, seen) = (vec![0; chunks], Seen::among(chunks));
        let (groups, relied) = (Groups::new(all), RefCell::default());
        let snapshot = SnapshotId([0; 32]);
        let mut reach = Self { repository, index, stored, starts, marks, seen, groups, relied, snapshot };
        let coarse = reach.groups.coarse;
        reach.take_all(&reader, [&roots, &shown], events)?;
        if reach.groups.coarse != coarse {
            // What was marked before does not say which pages were read for whom.
            reach.marks.fill(0);
            reach.seen.clear();
            reach.take_all(&reader, [&roots, &shown], events)?;
        }
        reach.check_damage()?;
        Ok(reach)
    }

    /// Everything of the first `roots`, and of the second what is there. The first come first: a page that was read for one of them is
    /// whole, and need not be read for the others.
    fn take_all(&mut self, reader: &Reader, roots: [&[Root]; 2], events: &dyn Sink) -> Result<(), Error> {
        let files_total = roots.iter().map(|roots| roots.len() as u64).sum();
        let each = roots.into_iter().zip([Need::All, Need::WhatIsThere]);
        let each = each.flat_map(|(roots, need)| roots.iter().map(move |root| (root, need)));
        for (files, ((principal, root, snapshot), need)) in (0..).zip(each) {
            self.snapshot = *snapshot;
            events.emit(Event::Progress(Stage::Prune, Progress { files, files_total, ..Progress::default() }));
            let who = self.groups.all.binary_search(principal).unwrap_or_default();
            self.take(reader, *root, u16::try_from(who).unwrap_or(u16::MAX), need, events)?;
        }
        Ok(())
    }

    /// As [`Self::mark`], and as `need` has it. What is marked stays marked, and is not looked up again.
    fn mark_for(&mut self, need: Need, kind: ChunkKind, id: ChunkId, who: u16) -> Result<bool, Error> {
        let data = kind == ChunkKind::Data;
        if data && self.seen.has(&id, who) {
            return Ok(false);
        }
        match self.mark(kind, id, who) {
            Err(Error::InDoubt(_)) if need == Need::WhatIsThere => Ok(false),
            marked => {
                let fresh = marked?;
                if data {
                    self.seen.add(id, who);
                }
                Ok(fresh)
            }
        }
    }

    fn take(&mut self, reader: &Reader, root: ChunkId, who: u16, need: Need, events: &dyn Sink) -> Result<(), Error> {
        let mut pending = vec![root];
        while let Some(id) = pending.pop() {
            if !self.mark_for(need, ChunkKind::Skeleton, id, who)? {
                continue;
            }
            if events.stopping() {
                return Err(repository::Error::from(chunks::Error::Stopped).into());
            }
            match skeleton(reader, &id) {
                Ok(refers) => {
                    self.mark_for(need, ChunkKind::Payload, refers.payload, who)?;
                    for data in refers.data {
                        self.mark_for(need, ChunkKind::Data, data, who)?;
                    }
                    pending.extend(refers.children);
                }
                Err(Fault::Store(error)) => return Err(repository::Error::from(error).into()),
                Err(Fault::Damage(_)) if need == Need::WhatIsThere => {}
                Err(Fault::Damage(why)) => {
                    return Err(Error::InDoubt(vec![Doubt::Page { page: id, snapshot: self.snapshot, why }]));
                }
            }
        }
        Ok(())
    }

    /// Marks a chunk at all its places, with what deltas there are made from. Returns whether that was not known.
    fn mark(&mut self, kind: ChunkKind, id: ChunkId, who: u16) -> Result<bool, Error> {
        let mut pending = vec![(kind, id, 0)];
        let mut fresh = false;
        while let Some((kind, id, plain)) = pending.pop() {
            let places = self.index.places(kind, &id);
            let of_use = |place: &&Place| match plain {
                0 => self.is_of_use(place),
                _ => self.is_there(place) && place.segment.bases.is_empty(),
            };
            let bases: Vec<ChunkId> =
                places.iter().filter(of_use).flat_map(|place| &place.segment.bases).copied().collect();
            if !places.iter().any(|place| of_use(&place)) {
                self.check_damage()?;
                return Err(Error::InDoubt(vec![Doubt::Lost { kind, id, snapshot: self.snapshot }]));
            }
            let mut changed = false;
            for place in &places {
                let at = self.starts[place.segment_number as usize] + place.position as usize;
                let before = self.marks[at];
                self.marks[at] = self.with(before, who) | plain;
                changed |= self.marks[at] != before;
            }
            if changed {
                pending.extend(bases.into_iter().map(|base| (ChunkKind::Data, base, PLAIN)));
            }
            // What comes first is what was asked for.
            fresh |= changed && plain == 0;
        }
        Ok(fresh)
    }

    fn with(&mut self, mark: Mark, who: u16) -> Mark {
        self.groups.with(mark & !PLAIN, who) | (mark & PLAIN)
    }

    /// The marks of a segment's chunks, by its number.
    pub fn marks(&self, number: usize, chunks: usize) -> &[Mark] {
        &self.marks[self.starts[number]..][..chunks]
    }

    /// Whether a place's pack is there, as long as it should be.
    fn is_there(&self, place: &Place) -> bool {
        self.stored.get(&place.pack.id) == Some(&place.pack.length)
    }

    /// Whether a place's pack is there, and all that a delta there is made from. What a hostile index says is made from nothing is of no
    /// use, and in nobody's way.
    fn is_of_use(&self, place: &Place) -> bool {
        let plain = |base: &ChunkId| {
            let places = self.index.places(ChunkKind::Data, base);
            places.iter().any(|place| place.segment.bases.is_empty() && self.is_there(place))
        };
        self.is_there(place) && place.segment.bases.iter().all(plain)
    }

    /// Whether all who need a chunk find it at places that they rely on, in packs that stay and are sound as far as is known: not `leaving`,
    /// and never condemned or FINAL, all or in part.
    pub fn lies_elsewhere(&self, kind: ChunkKind, id: &ChunkId, mark: Mark, leaving: &dyn Fn(&PackId) -> bool) -> bool {
        let suspects = &self.repository.log().state.ledger().suspects;
        let stays = |place: &Place| {
            let pack = &place.pack.id;
            self.is_there(place) && !leaving(pack) && !self.is_absent(pack) && !suspects.contains(pack)
        };
        let places: Vec<Place> = self.index.places(kind, id).into_iter().filter(stays).collect();
        let relied = |who: &PrincipalId, place: &Place| self.relies_on(*who, place.segment.origin);
        let based = |who: &PrincipalId, place: &Place| {
            place.segment.bases.iter().all(|base| {
                let bases = self.index.places(ChunkKind::Data, base);
                bases.iter().any(|base| stays(base) && base.segment.bases.is_empty() && relied(who, base))
            })
        };
        let does = |who: &PrincipalId, place: &Place| match place.segment.bases.is_empty() {
            true => relied(who, place),
            false => mark & PLAIN == 0 && relied(who, place) && based(who, place),
        };
        self.groups.members(mark).iter().all(|who| places.iter().any(|place| does(who, place)))
    }

    fn relies_on(&self, who: PrincipalId, origin: Origin) -> bool {
        *self.relied.borrow_mut().entry((who, origin)).or_insert_with(|| self.repository.good_for(&who, &origin))
    }

    /// Whether a pack, or a part of it, was condemned or given up before.
    pub fn is_absent(&self, pack: &PackId) -> bool {
        self.repository.log().state.ledger().any_absent(pack)
    }

    /// What this machine keeps of the indexes may have turned out to be damaged: then a place that is not found may be there.
    pub fn check_damage(&self) -> Result<(), Error> {
        let damage = self.index.damage().cloned();
        damage.map_or(Ok(()), |damaged| Err(repository::Error::from(damaged).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_numbered_once_and_become_everybody_when_there_are_too_many() {
        let all: Vec<PrincipalId> = (0..40).map(|number| PrincipalId([number; 16])).collect();
        let mut groups = Groups::new(all.clone());
        let one = groups.with(0, 3);
        let both = groups.with(one, 1);
        assert_eq!(groups.with(both, 3), both);
        let other = groups.with(0, 1);
        assert_eq!((groups.with(other, 3), groups.members(both)), (both, vec![all[1], all[3]]));
        assert_eq!((groups.members(0), groups.members(both | PLAIN)), (vec![], vec![all[1], all[3]]));
        assert!(!groups.coarse);
        // All subsets of sixteen are more than there are numbers.
        for subset in 0..=u16::MAX {
            let members = (0..16).filter(|bit| subset >> bit & 1 == 1);
            members.fold(0, |mark, one| groups.with(mark, one));
            if groups.coarse {
                break;
            }
        }
        assert!(groups.coarse);
        // No group has the number that stands for everybody, and from then on nobody is told apart, not even in groups that are known.
        assert_eq!(groups.groups.len(), usize::from(EVERYBODY));
        assert_eq!((groups.with(0, 3), groups.with(both, 3)), (EVERYBODY, EVERYBODY));
        let mark = groups.with(0, 39);
        assert_eq!(groups.members(mark), all);
    }
}
