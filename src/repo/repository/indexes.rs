//! Loading the indexes that count: which chunk lies where, whom it is from, and what opens it.
//!
//! An index that is lost beyond its parity costs a reading of the packs' own tables, never a chunk. What an index says is
//! fetched and verified once on a machine that keeps caches: see [`super::index_runs`].

use super::index_runs::{Judge, Source};
use super::{Error, Repository, objects};
use crate::crypto::hash;
use crate::crypto::sign::PublicKey;
use crate::event::{Event, Level};
use crate::repo::chunk_index::{ChunkIndex, Covered, IndexedPack, SignerBytes};
use crate::repo::frame::{Cause, Frame};
use crate::repo::id::{IndexId, PackId, PrincipalId, WriterId};
use crate::repo::index_object::IndexBody;
use crate::repo::keys::data_key::Wrap;
use crate::repo::names::{self, IndexClass, Name, SessionName};
use crate::repo::pack::PackSummary;
use crate::repo::segment::{Origin, SegmentDescriptor};
use crate::repo::session::IndexRef;
use crate::repo::session_view::Outcome;
use crate::repo::wire::{self, Decoder};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// An index that could not be used.
#[derive(Debug, Clone)]
pub struct IndexProblem {
    /// The object.
    pub name: Name,
    /// What is wrong with it.
    pub reason: String,
}

/// Everything that the indexes say.
#[derive(Debug, Default)]
pub struct Indexes {
    /// Which chunk lies where, and the data keys of all segments, wrapped.
    pub chunks: ChunkIndex,
    /// Indexes that are lost; the packs' tables stood in for them.
    pub problems: Vec<IndexProblem>,
    /// The packs that are there, and their lengths; `None` while nobody looked.
    pub(super) stored: Option<BTreeMap<PackId, u64>>,
    /// Indexes that a maintainer's or an admin's stands in for.
    pub(super) replaced: HashSet<IndexId>,
    /// Packs that are named and not there as they should be.
    pub(super) lost: BTreeSet<PackId>,
    /// Whether this machine's cache turned out to be of no use, which was said.
    pub(super) uncached: bool,
}

/// Whose index it is, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexSigner {
    /// A writer's installation.
    Installation(WriterId),
    /// A maintainer or an admin.
    Principal(PrincipalId),
}

impl IndexSigner {
    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, wire::Error> {
        match decoder.u8()? {
            1 => Ok(Self::Installation(WriterId(decoder.array()?))),
            2 => Ok(Self::Principal(PrincipalId(decoder.array()?))),
            _ => Err(wire::Error::Invalid("an unknown kind of signer")),
        }
    }

    /// As indexes have it, filled with zeros.
    pub(super) fn bytes(self) -> SignerBytes {
        let (kind, id) = match self {
            Self::Installation(writer) => (1, writer.0),
            Self::Principal(principal) => (2, principal.0),
        };
        let mut bytes = SignerBytes::default();
        bytes[0] = kind;
        bytes[1..=id.len()].copy_from_slice(&id);
        bytes
    }
}

/// What an index seals when an installation signs it: the signer, then the body.
pub(super) fn signed_body(writer: &WriterId, body: &IndexBody) -> Vec<u8> {
    [&[1], &writer.0[..], &body.encode()].concat()
}

/// Chunks that one index names before the next one begins: whoever reads an index holds all of it, some 100 bytes a chunk.
const PORTION: usize = 256 << 10;

/// The packs, in portions that make an index of the class each.
pub(super) fn portions(packs: &[PackSummary], class: IndexClass) -> impl Iterator<Item = &[PackSummary]> {
    let mut chunks = 0;
    packs.chunk_by(move |pack, _| {
        let rows = pack.rows.iter().filter(|row| IndexClass::of(row.kind) == class);
        chunks += rows.map(|row| row.ids.len()).sum::<usize>();
        let full = chunks >= PORTION;
        if full {
            chunks = 0;
        }
        !full
    })
}

impl Indexes {
    /// Loads every index of these classes that counts. Places are good as the principal in use sees it.
    ///
    /// # Errors
    /// When the store fails. A damaged index is no error: see [`Self::problems`].
    pub fn load(repository: &Repository, classes: &[IndexClass]) -> Result<Self, Error> {
        Self::default().fill(repository, classes, Source::Cache)
    }

    /// As [`Self::load`] for both classes, from the index objects themselves and not from what this machine keeps of them: for
    /// who wants to know whether they are sound.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_objects(repository: &Repository) -> Result<Self, Error> {
        Self::default().fill(repository, &IndexClass::BOTH, Source::Objects)
    }

    /// As [`Self::load`] for both classes, for who will build on what is there: a pack that is gone, of another length, or known to be damaged
    /// beyond repair, is no good place, so that what the source still has of it is stored again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn load_for_writing(repository: &Repository) -> Result<Self, Error> {
        let suspects = &repository.log.state.ledger().suspects;
        let load = |mut stored: BTreeMap<PackId, u64>| {
            stored.retain(|pack, _| !suspects.contains(pack));
            Self { stored: Some(stored), ..Self::default() }.fill(repository, &IndexClass::BOTH, Source::Cache)
        };
        let mut loaded = load(repository.packs_seen()?)?;
        // Whatever an index names was put before, and is in a listing made after the sessions'; in one made with it, not always.
        if repository.overview.covers(names::PACKS) && !loaded.lost.is_subset(suspects) {
            loaded = load(repository.list_packs()?)?;
        }
        let loaded = Self { stored: None, ..loaded };
        for pack in &loaded.lost {
            let object = Name::Pack(*pack).to_string();
            if suspects.contains(pack) {
                let text =
                    format!("{object} is damaged beyond repair; what the source still has of it is stored again");
                repository.events.emit(Event::Message(Level::Info, text));
                continue;
            }
            let what = "it is missing, or cut short; what the source still has of it is stored again".to_owned();
            repository.events.emit(Event::Damage { object, what, healed: false });
        }
        Ok(loaded)
    }

    /// What the index objects say that can be read, without what only the packs' tables know.
    ///
    /// # Errors
    /// When the store fails.
    pub fn readable(repository: &Repository) -> Result<Self, Error> {
        Self::default().read_all(repository, &IndexClass::BOTH, Source::Objects)
    }

    /// The data keys of all segments, as they are wrapped for readers; those of a later version's kind left out.
    ///
    /// # Errors
    /// When this machine's cache turns out to be damaged.
    pub fn wraps(&self) -> Result<Vec<Wrap>, Error> {
        let mut wraps: Vec<Wrap> = Vec::new();
        for wrapped in self.chunks.wraps()? {
            let wrap = Decoder::whole(&wrapped.wrap, Wrap::decode).ok().filter(|wrap| wrap.id == wrapped.id);
            wraps.extend(wrap.filter(|wrap| !wraps.contains(wrap)));
        }
        Ok(wraps)
    }

    fn fill(self, repository: &Repository, classes: &[IndexClass], source: Source) -> Result<Self, Error> {
        let mut loaded = self.read_all(repository, classes, source)?;
        for IndexProblem { reason, .. } in &loaded.problems {
            let text = format!("{reason}; the packs' own tables are read instead, which takes longer");
            repository.events.emit(Event::Message(Level::Warning, text));
        }
        if !loaded.problems.is_empty() {
            loaded.read_tables(repository, classes)?;
        }
        Ok(loaded)
    }

    /// Loads every index that counts, and what no index names from the packs' own tables: all packs are looked at, and those
    /// that no index names are read whole.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with_all_packs(repository: &Repository) -> Result<Self, Error> {
        let mut loaded = Self::load(repository, &IndexClass::BOTH)?;
        if loaded.problems.is_empty() {
            loaded.read_tables(repository, &IndexClass::BOTH)?;
        }
        Ok(loaded)
    }

    fn read_all(mut self, repository: &Repository, classes: &[IndexClass], source: Source) -> Result<Self, Error> {
        let (mut judge, mut failed) = (Judge::new(repository), Vec::new());
        for class in classes {
            failed.extend(self.read_class(&mut judge, *class, source)?);
        }
        for (index, error) in failed.iter().filter(|(index, _)| !self.replaced.contains(&index.id)) {
            self.problems.push(IndexProblem { name: index.name(), reason: error.to_string() });
        }
        Ok(self)
    }

    /// Adds a pack's rows, those of origins to rely on, as far as they are `named`, apart from the others.
    fn add(&mut self, repository: &Repository, pack: PackSummary, named: impl Fn(&Origin) -> bool) {
        let ledger = repository.log.state.ledger();
        // What was ever FINAL is gone, whatever says or shows that it is there.
        if ledger.ever_final(&pack.id) {
            return;
        }
        let absent = ledger.any_absent(&pack.id);
        let there = self.stored.as_ref().is_none_or(|stored| stored.get(&pack.id) == Some(&pack.length));
        let is_good = |row: &SegmentDescriptor| !absent && named(&row.origin) && repository.relies_on(&row.origin);
        let (mut good, mut others): (Vec<_>, Vec<_>) = pack.rows.into_iter().partition(is_good);
        if !there && !good.is_empty() {
            others.append(&mut good);
            self.lost.insert(pack.id);
            self.chunks.mark_gap();
        }
        for (good, rows) in [(true, good), (false, others)] {
            if !rows.is_empty() {
                self.chunks.add(IndexedPack { id: pack.id, length: pack.length, good }, rows);
            }
        }
    }

    /// Adds a pack of one's own that no index names yet.
    pub(super) fn add_own(&mut self, pack: PackSummary) {
        self.chunks.add(IndexedPack { id: pack.id, length: pack.length, good: true }, pack.rows);
    }

    /// Reads the tables of all packs, and adds what no index says: an index of one class may be lost and that of the other
    /// not, and what a hostile index says of a pack is no reason to pass that pack over.
    fn read_tables(&mut self, repository: &Repository, classes: &[IndexClass]) -> Result<(), Error> {
        for (id, length) in repository.list_packs()? {
            let fresh =
                |row: &SegmentDescriptor| classes.contains(&IndexClass::of(row.kind)) && !self.chunks.names(&id, row);
            let mut outcome = repository.read_table(&id, length);
            // Who stores must not rely on a table that somebody may have copied into a pack of other bytes.
            if repository.bundle.role().writes() && matches!(&outcome, Ok(table) if table.rows.iter().any(fresh)) {
                outcome = repository.read_proven_table(&id);
            }
            match outcome {
                Ok(mut table) => {
                    table.wraps.iter().for_each(|wrap| self.chunks.add_wrap(wrap));
                    table
                        .rows
                        .retain(|row| classes.contains(&IndexClass::of(row.kind)) && !self.chunks.names(&id, row));
                    let pack = PackSummary { id, length, md5: None, rows: table.rows };
                    // Any pack can be read from; but only one that a committed session names will still be found, and
                    // kept, once the index is mended.
                    self.add(repository, pack, |origin| repository.committed(origin));
                }
                Err(error @ Error::Store(_)) => return Err(error),
                Err(error) => {
                    let text = format!("{error}; it is left out");
                    repository.events.emit(Event::Message(Level::Warning, text));
                }
            }
        }
        self.chunks.damage().map_or(Ok(()), |damaged| Err(damaged.clone().into()))
    }
}

impl Repository {
    /// Fetches an index object, and verifies it.
    pub(super) fn read_index(&self, judge: &mut Judge<'_>, index: &IndexRef) -> Result<(Covered, IndexBody), Error> {
        let name = index.name();
        let invalid = |what| Error::Body { object: name.to_string(), source: wire::Error::Invalid(what) };
        let fail = |source| Error::Body { object: name.to_string(), source };
        let (plain, signer, key) = self.open_index(judge, index)?;
        let mut decoder = Decoder::new(&plain);
        IndexSigner::decode(&mut decoder).map_err(fail)?;
        let body = IndexBody::decode(decoder.rest()).map_err(fail)?;
        if body.class != index.class {
            return Err(invalid("it holds another class than its name says"));
        }
        let mut rows = body.packs.iter().flat_map(|pack| &pack.rows);
        if !rows.all(|row| self.may_name(&signer, &key, &row.origin)) {
            return Err(invalid("it speaks for another writer"));
        }
        let replaces = match signer {
            IndexSigner::Principal(_) => body.replaces().collect(),
            IndexSigner::Installation(_) => Vec::new(),
        };
        Ok((Covered { index: *index, signer: signer.bytes(), key: key.0, replaces }, body))
    }

    /// What an index object seals, and who signed it. The stored bytes are let go of here: indexes can be large.
    fn open_index(&self, judge: &mut Judge<'_>, index: &IndexRef) -> Result<(Vec<u8>, IndexSigner, PublicKey), Error> {
        let name = index.name();
        let invalid = |what| Error::Body { object: name.to_string(), source: wire::Error::Invalid(what) };
        let stored = objects::get(&*self.store, &name)?.ok_or_else(|| invalid("it is missing"))?;
        let frame = Frame::read(&name, &stored)?;
        if let Some(healed) = frame.healed() {
            let sound = hash::sha256(healed) == index.id.0;
            let what = "some of its bytes are damaged".to_owned();
            self.events.emit(Event::Damage { object: name.to_string(), what, healed: sound });
        }
        if hash::sha256(frame.healed().unwrap_or(&stored)) != index.id.0 {
            return Err(invalid("its bytes are not what its name promises"));
        }
        let epoch = frame.epoch().ok_or_else(|| frame.fail(Cause::NotSealed))?;
        let plain = frame.unseal(&self.id(), &self.bundle.epoch(epoch)?.index)?;
        let fail = |source| Error::Body { object: name.to_string(), source };
        let signer = IndexSigner::decode(&mut Decoder::new(&plain)).map_err(fail)?;
        let key = judge.keys(&signer).iter().find(|key| frame.verify(&self.id(), key).is_ok()).copied();
        let key = key.ok_or_else(|| invalid("it is signed by nobody that the log knows"))?;
        Ok((plain, signer, key))
    }

    /// Whether an index may name segments of this origin. A writer speaks for itself only (I11): otherwise it could claim that
    /// others stored what it stored.
    pub(super) fn may_name(&self, signer: &IndexSigner, key: &PublicKey, origin: &Origin) -> bool {
        match signer {
            IndexSigner::Installation(writer) => self.is_own(writer, key, origin),
            IndexSigner::Principal(_) => true,
        }
    }

    /// The keys under which an index of this signer may be signed.
    pub(super) fn signer_keys(&self, signer: &IndexSigner) -> Vec<PublicKey> {
        match signer {
            IndexSigner::Installation(writer) => self.installations(writer).into_iter().map(|(_, key)| key).collect(),
            IndexSigner::Principal(id) => {
                let active = self.log.state.trust().active(id).filter(|active| active.cert.role.may_maintain());
                active.map(|active| active.cert.signing).into_iter().collect()
            }
        }
    }

    /// Whether a session is known to have committed, so that its indexes name all that it stored.
    fn committed(&self, origin: &Origin) -> bool {
        let session = SessionName { writer: origin.writer, seq: origin.seq };
        matches!(self.view.sessions.get(&session), Some(Outcome::Committed(_))) || self.view.is_elsewhere(&session)
    }

    /// Whether what a session stored may be relied on by the principal in use.
    pub(super) fn relies_on(&self, origin: &Origin) -> bool {
        let session = SessionName { writer: origin.writer, seq: origin.seq };
        self.view.good_for(&self.bundle.principal_id(), &session, &self.log.state)
    }
}
