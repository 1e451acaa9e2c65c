//! The way back: from a chunk's id over its places to a decoded segment, healed in memory where a pack is damaged.
//!
//! Invariant: bytes leave here only after their keyed id was checked. Damage never ends a read while any other place, or
//! the pack's parity, still holds the chunk.

mod cache;
mod kept;
mod keyring;

pub use kept::{DEFAULT_KEPT, Keep, KeptSegments};
pub use keyring::KeyRing;

use super::chunk_index::{ChunkIndex, Place};
use super::chunk_keys::ChunkKeys;
use super::chunks::{Bytes, ChunkSource, Error};
use super::id::{ChunkId, ChunkKind, PackId, RepositoryId};
use super::names::Name;
use super::pack;
use super::segment::{self, Codec, DecodedSegment, MAX_BODY};
use crate::event::{Event, Sink};
use crate::store::{ErrorKind, Store};
use cache::SegmentCache;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of decoded segments kept in memory.
pub const DEFAULT_CACHE: usize = 96 << 20;

/// Reads chunks of one repository.
pub struct Reader {
    store: Arc<dyn Store>,
    repository: RepositoryId,
    keys: ChunkKeys,
    ring: KeyRing,
    index: Arc<ChunkIndex>,
    cache: SegmentCache,
    kept: Option<Arc<KeptSegments>>,
    events: Arc<dyn Sink>,
    /// The pack healed last: damage comes in clusters, and healing needs the whole pack.
    healed: Mutex<Option<(PackId, Arc<Vec<u8>>)>>,
    /// Packs that their parity could not heal, and why: reading a whole pack in vain once for each of its chunks would take
    /// hours. What is put back in the store meanwhile is seen all the same, since the stored bytes are always asked first.
    hopeless: Mutex<BTreeMap<PackId, String>>,
    renewal: Option<Renewal>,
    successor: Mutex<Option<Arc<Self>>>,
}

/// Gives a reader over what the repository holds by now, if anything was decided since.
pub type Renewal = Box<dyn Fn() -> Option<Reader> + Send + Sync>;

/// Why one place did not give the chunk.
enum Failure {
    /// Not this place's fault: asking another is of no use.
    Final(Error),
    /// This place lies in an archive tier; another may not.
    Archived(Error),
    /// This place is damaged; another may do.
    Damage(String),
    /// Nothing at hand opens the segment. Another place may lie in one that opens: somebody hostile may have named this one.
    Key(Error),
}

impl Failure {
    fn of_store(error: crate::store::Error) -> Self {
        let archived = error.kind == ErrorKind::Archived;
        let error = Error::Store(Arc::new(error));
        if archived { Self::Archived(error) } else { Self::Final(error) }
    }
}

impl Reader {
    /// A reader over the places of `index`; keeps about `cache` bytes of decoded segments.
    pub fn new(
        store: Arc<dyn Store>,
        repository: RepositoryId,
        keys: ChunkKeys,
        ring: KeyRing,
        index: Arc<ChunkIndex>,
        cache: usize,
        events: Arc<dyn Sink>,
    ) -> Self {
        Self {
            store,
            repository,
            keys,
            ring,
            index,
            cache: SegmentCache::new(cache),
            kept: None,
            events,
            healed: Mutex::default(),
            hopeless: Mutex::default(),
            renewal: None,
            successor: Mutex::default(),
        }
    }

    /// Asks for another reader where a chunk cannot be had: a prune may have put it into another pack meanwhile.
    #[must_use]
    pub fn renewed_by(self, renewal: Renewal) -> Self {
        Self { renewal: Some(renewal), ..self }
    }

    /// Looks for segments there before the store is asked, and leaves there what that gives.
    #[must_use]
    pub fn keeping(self, kept: Option<Arc<KeptSegments>>) -> Self {
        Self { kept, ..self }
    }

    fn successor(&self) -> Option<Arc<Self>> {
        let mut successor = self.successor.lock().unwrap_or_else(PoisonError::into_inner);
        if successor.is_none() {
            *successor = self.renewal.as_ref().and_then(|renew| renew()).map(Arc::new);
        }
        successor.clone()
    }

    /// The index behind it.
    pub const fn index(&self) -> &Arc<ChunkIndex> {
        &self.index
    }

    /// Wipes what is kept in memory: decoded segments hold plain content.
    pub fn clear_cache(&self) {
        self.cache.clear();
        if let Some(successor) = &*self.successor.lock().unwrap_or_else(PoisonError::into_inner) {
            successor.clear_cache();
        }
    }

    /// Opens a chunk at this very place, whatever other places there are.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not there what its id says, [`Error::NoKey`], or the store's failure.
    pub fn check_place(&self, place: &Place) -> Result<(), Error> {
        let (kind, position) = (place.segment.kind, place.position as usize);
        let id = place.segment.ids.get(position).copied().unwrap_or(ChunkId([0; 32]));
        match self.read_place(kind, &id, place) {
            Ok(_) => Ok(()),
            Err(Failure::Damage(reason)) => Err(Error::Damaged { kind, id, reason }),
            Err(Failure::Final(error) | Failure::Archived(error)) => Err(error),
            Err(Failure::Key(error)) => Err(unopened(kind, id, &error)),
        }
    }

    fn read_place(&self, kind: ChunkKind, id: &ChunkId, place: &Place) -> Result<Bytes, Failure> {
        let decoded = self.cache.get(place.segment_number, || self.decode(place))?;
        let position = place.position as usize;
        decoded
            .chunk(&place.segment, position, &self.keys)
            .map_err(|error| Failure::Damage(format!("{kind:?} chunk {id} in pack {}: {error}", place.pack.id)))
    }

    /// Fetches, opens and decompresses a segment; from the healed pack if the stored one is damaged there.
    fn decode(&self, place: &Place) -> Result<DecodedSegment, Failure> {
        let key = self.ring.key_of(&place.segment).map_err(|error| match error {
            Error::NoKey { .. } => Failure::Final(error),
            other => Failure::Key(other),
        })?;
        let bases = self.bases(place)?;
        let name = Name::Pack(place.pack.id).object();
        let (offset, length) = (place.segment.offset, u64::from(place.segment.length));
        let open = |sealed: Vec<u8>| segment::open(&place.segment, &self.repository, &key, sealed, &bases);
        let kept = self.kept.as_ref().and_then(|kept| kept.get(&place.segment));
        if let Some(decoded) = kept.and_then(|sealed| open(sealed).ok()) {
            return Ok(decoded);
        }
        let first = match self.store.get_within(&name, place.pack.length, offset, length) {
            Ok(sealed) => {
                // Opened where it lies, it is sealed no more.
                let kept = self.kept.as_ref().filter(|kept| kept.wants(&place.segment));
                let kept = kept.map(|kept| (kept, sealed.clone()));
                let opened = open(sealed).map_err(|error| error.to_string());
                if let Some((kept, sealed)) = kept.filter(|_| opened.is_ok()) {
                    kept.add(&place.segment, &sealed);
                }
                opened
            }
            Err(error) if error.kind == ErrorKind::NotFound => {
                return Err(Failure::Damage(format!("{name} is missing")));
            }
            Err(error) => return Err(Failure::of_store(error)),
        };
        let why = match first {
            Ok(decoded) => return Ok(decoded),
            Err(why) => why,
        };
        let pack = self.heal(&place.pack.id, &why)?;
        let slice =
            usize::try_from(offset).ok().and_then(|start| pack.get(start..)?.get(..place.segment.length as usize));
        slice
            .ok_or(why)
            .and_then(|sealed| open(sealed.to_vec()).map_err(|error| error.to_string()))
            .map_err(Failure::Damage)
    }

    /// The chunks that a delta segment builds on. A hostile row may name one and the same endlessly often.
    fn bases(&self, place: &Place) -> Result<Vec<Bytes>, Failure> {
        let (mut bases, mut bytes) = (Vec::new(), 0);
        for id in &place.segment.bases {
            let base = self.base(place.segment.kind, id)?;
            bytes += base.len();
            if bytes > MAX_BODY {
                let pack = Name::Pack(place.pack.id);
                return Err(Failure::Damage(format!("a delta in {pack} builds on more than a segment may")));
            }
            bases.push(base);
        }
        Ok(bases)
    }

    /// A base must be a plain copy: otherwise a hostile table could send us in circles.
    fn base(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, Failure> {
        let places = self.index.places(kind, id);
        let plain = places.iter().filter(|place| place.segment.codec != Codec::Delta);
        let mut failure = Failure::Damage(format!("no plain copy of base chunk {id}"));
        for place in plain {
            match self.read_place(kind, id, place) {
                Err(passed_over @ (Failure::Damage(_) | Failure::Key(_) | Failure::Archived(_))) => {
                    failure = passed_over
                }
                other => return other,
            }
        }
        Err(failure)
    }

    /// The pack's true bytes from what is left of it: accepted only when their SHA-256 is its name.
    fn heal(&self, id: &PackId, why: &str) -> Result<Arc<Vec<u8>>, Failure> {
        let mut last = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.as_ref().filter(|(healed, _)| healed == id) {
            return Ok(Arc::clone(bytes));
        }
        let name = Name::Pack(*id).object();
        let mut hopeless = self.hopeless.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = hopeless.get(id) {
            return Err(Failure::Damage(format!("{name}: {why}; {error}")));
        }
        let stored = self.store.get(&name).map_err(Failure::of_store)?;
        let report = |healed| {
            self.events.emit(Event::Damage { object: name.to_string(), what: why.to_owned(), healed });
        };
        // Every byte is what the name promises: nothing is healed by that, it is the index that says what is not there.
        if pack::is_intact(id, &stored) {
            let bytes = Arc::new(stored);
            *last = Some((*id, Arc::clone(&bytes)));
            return Ok(bytes);
        }
        match pack::heal(id, &stored) {
            Ok(bytes) => {
                report(true);
                let bytes = Arc::new(bytes);
                *last = Some((*id, Arc::clone(&bytes)));
                Ok(bytes)
            }
            Err(error) => {
                report(false);
                hopeless.insert(*id, error.to_string());
                Err(Failure::Damage(format!("{name}: {why}; {error}")))
            }
        }
    }
}

impl ChunkSource for Reader {
    fn get(&self, kind: ChunkKind, id: &ChunkId) -> Result<Bytes, Error> {
        let places = self.index.places(kind, id);
        let (mut reason, mut locked, mut archived) = (None, None, None);
        for place in &places {
            match self.read_place(kind, id, place) {
                Ok(bytes) => return Ok(bytes),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Archived(error)) => archived = Some(error),
                Err(Failure::Damage(why)) => reason = Some(why),
                Err(Failure::Key(error)) => locked = Some(error),
            }
        }
        // It is there, whatever another place lacks.
        if let Some(archived) = archived {
            return Err(archived);
        }
        if let Some(successor) = self.successor() {
            return successor.get(kind, id);
        }
        Err(match (reason, locked) {
            (Some(reason), _) => Error::Damaged { kind, id: *id, reason },
            (None, Some(error)) => unopened(kind, *id, &error),
            // It may be there all the same: nobody shall be told that it is lost.
            (None, None) if self.index.damage().is_some() => {
                Error::Store(Arc::new(self.index.damage().cloned().unwrap_or_default()))
            }
            (None, None) => Error::Unknown { kind, id: *id },
        })
    }

    fn get_cached(&self, kind: ChunkKind, id: &ChunkId) -> Option<Bytes> {
        self.index.places(kind, id).iter().find_map(|place| {
            let decoded = self.cache.peek(place.segment_number)?;
            decoded.chunk(&place.segment, place.position as usize, &self.keys).ok()
        })
    }

    fn warm(&self, kind: ChunkKind, id: &ChunkId) {
        // The first place is the one that `get` asks first; whatever is wrong with it, `get` will find and report.
        if let Some(place) = self.index.places(kind, id).first()
            && let Ok(decoded) = self.cache.get(place.segment_number, || self.decode(place))
        {
            // Its id is checked here, where nobody waits for it.
            let _ = decoded.chunk(&place.segment, place.position as usize, &self.keys);
        }
    }
}

/// What no key at hand opens is as good as damaged: whoever stored it may have wrapped nothing, and that is no failure of the store's.
fn unopened(kind: ChunkKind, id: ChunkId, why: &Error) -> Error {
    Error::Damaged { kind, id, reason: format!("nothing at hand opens it: {why}") }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({})", self.store.place())
    }
}

#[cfg(test)]
mod tests;
