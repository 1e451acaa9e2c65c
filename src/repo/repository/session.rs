//! A session for writing: opened, filled, and then committed or aborted exactly once (I2, I3, I10 in `FORMAT.md`).
//!
//! The order is the protocol: `open` is put; then sessions and indexes are listed; then the log is read to its tail, and
//! everything listed is judged by it. At the end: packs, then indexes, then `end`. Whatever dies before `end` leaves
//! nothing that counts, and packs that the next session finds and uses.

use super::heart::{self, Heart};
use super::indexes::{portions, signed_body};
use super::resuming::Unfinished;
use super::{Error, Indexes, Repository, Snapshot};
use crate::crypto::hash;
use crate::event::{Event, Level};
use crate::repo::armour::Parity;
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::chunker::Chunker;
use crate::repo::effort::Effort;
use crate::repo::entry::Timestamp;
use crate::repo::frame;
use crate::repo::id::{IndexId, SnapshotId, WriterId};
use crate::repo::index_object::IndexBody;
use crate::repo::keys::data_key::{DataKey, Wrap};
use crate::repo::keys::installation::Installation;
use crate::repo::names::{IndexClass, Name, SessionName};
use crate::repo::pack::{PackSealing, PackSize, PackSummary};
use crate::repo::reader::{KeyRing, Reader};
use crate::repo::record::{Link, Private, Record, Structure, Tokens, heads_digest};
use crate::repo::segment::{Origin, Sealing};
use crate::repo::session::{Beat, Certified, End, IndexRef, Signer, Verdict};
use crate::repo::wire::{Encoder, Extensions};
use crate::repo::writer::{PackWriter, WriterOptions};
use crate::store::{FAR, Put};
use std::path::Path;
use std::sync::{Arc, PoisonError};

pub(super) const PROGRAM: &str = concat!("boveda ", env!("CARGO_PKG_VERSION"));

/// An open session. The caller holds this writer's lock for as long as it lives, so that no two sessions of one writer
/// ever run at once.
pub struct WriteSession<'a> {
    repository: &'a Repository,
    name: SessionName,
    installation: Installation,
    data_key: DataKey,
    wrap: Wrap,
    index: Arc<ChunkIndex>,
    /// Packs of earlier sessions that died, to be named by this one's indexes.
    unfinished: Unfinished,
    dry_run: bool,
    /// Nothing but a dry run goes without.
    _heart: Option<Heart>,
}

impl Repository {
    /// Opens a session of `writer`, and takes the repository's state as it is then. A dry run leaves no trace in the store.
    ///
    /// # Errors
    /// When the role does not write, the log is in doubt, or the store fails.
    pub fn begin(&mut self, writer: WriterId, dry_run: bool) -> Result<WriteSession<'_>, Error> {
        let role = self.bundle.role();
        if !role.writes() {
            return Err(Error::Role { role, action: "taking snapshots" });
        }
        let installation = Installation::derive(&self.bundle, writer);
        let name = self.open_session(&installation, dry_run)?;
        let heart = (!dry_run).then(|| self.heart(&installation, name));
        if let Some(doubt) = self.log.stopped() {
            return Err(Error::Log(crate::repo::log::Error::Stopped(doubt.clone())));
        }
        if !dry_run {
            if self.abort_dead_sessions(&installation, name)? {
                self.refresh()?;
            }
            self.settle()?;
            self.complete_copies();
        }
        let mut indexes = Indexes::load_for_writing(self)?;
        let unfinished = match self.left_unfinished(&writer, name) {
            true => self.resume(&writer, &mut indexes)?,
            false => Unfinished::default(),
        };
        let data_key = DataKey::generate();
        let wrap = data_key.wrap(&self.bundle, writer, name.seq)?;
        Ok(WriteSession {
            repository: self,
            name,
            installation,
            data_key,
            wrap,
            index: Arc::new(indexes.chunks),
            unfinished,
            dry_run,
            _heart: heart,
        })
    }

    /// Beats for a session from now on.
    pub(super) fn heart(&self, installation: &Installation, session: SessionName) -> Heart {
        let (repository, suite, key) = (self.id(), self.config.suite, installation.key.clone());
        let (epoch, index_key) = (self.sealing().epoch, self.sealing().index_key.clone());
        let beat = move |number| {
            let name = Name::Beat(session, number);
            let body = Beat { time: Timestamp::now().seconds, extensions: Extensions::default() }.encode();
            let sealing = frame::Sealing { epoch, suite, index_key: &index_key };
            (name.object(), frame::write(&repository, &name, b"", Some((sealing, &body)), &key).stored)
        };
        Heart::start(Arc::clone(&self.store), Arc::clone(&self.events), heart::EVERY, beat)
    }

    pub(super) fn certified(&self, installation: &Installation) -> Certified {
        Certified { principal: self.bundle.principal_id(), certificate: installation.certificate }
    }
}

impl WriteSession<'_> {
    /// The repository, as of the session's opening.
    pub const fn repository(&self) -> &Repository {
        self.repository
    }

    /// The writer.
    pub const fn writer(&self) -> WriterId {
        self.name.writer
    }

    /// What is where, packs that died sessions left included.
    pub const fn index(&self) -> &Arc<ChunkIndex> {
        &self.index
    }

    /// Reads what the repository holds, and keeps about `cache` bytes of decoded segments; `None` when the keys at hand read no
    /// content.
    pub fn reader(&self, cache: usize) -> Option<Reader> {
        let Repository { bundle, store, .. } = self.repository;
        let keys = bundle.chunk_keys().filter(|_| bundle.role().reads_content())?;
        let (ring, events) = (KeyRing::new(Arc::clone(bundle), Arc::clone(&self.index)), self.repository.events());
        let (id, index) = (self.repository.id(), Arc::clone(&self.index));
        Some(Reader::new(Arc::clone(store), id, keys, ring, index, cache, Arc::clone(events)))
    }

    /// The chunker for files.
    ///
    /// # Panics
    /// Never: a session is begun with a writer's keys only.
    pub fn chunker(&self) -> Chunker {
        let key = self.repository.bundle.chunker_key().expect("a session is begun with a writer's keys only");
        Chunker::new(key, self.repository.config.files)
    }

    /// This principal's snapshots of the same host and paths, complete and partial ones, by whichever of its writers: those
    /// trust each other, so that this session may rely on what they stored. Not those that were rewritten from another:
    /// they are not what the source was like.
    pub fn relatives(&self, tokens: &Tokens) -> impl Iterator<Item = &Snapshot> {
        let (me, same) = (self.repository.bundle.principal_id(), (tokens.host, tokens.paths));
        self.repository.snapshots.iter().filter(move |snapshot| {
            let theirs = &snapshot.structure.tokens;
            snapshot.principal == me && snapshot.original().is_none() && (theirs.host, theirs.paths) == same
        })
    }

    /// Whether what the snapshot holds may be taken over without looking at every page of it (I3).
    pub fn may_reuse(&self, snapshot: &SnapshotId) -> bool {
        let there = self.repository.snapshots.iter().any(|known| known.id == *snapshot);
        there && self.repository.log.state.ledger().reusable_parent(snapshot)
    }

    /// One value for every writer's newest record that this session saw.
    pub fn heads_digest(&self) -> [u8; 32] {
        heads_digest(&self.repository.view.heads())
    }

    /// The session's name.
    pub(super) const fn name(&self) -> SessionName {
        self.name
    }

    /// Who signs what it stores.
    pub(super) const fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Starts putting chunks into packs.
    ///
    /// # Panics
    /// Never: a session is begun with a writer's keys only.
    pub fn pack_writer(&self, effort: Effort, pack_size: PackSize) -> PackWriter {
        let options = self.writer_options(effort, pack_size);
        let keys = self.repository.bundle.chunk_keys().expect("a session is begun with a writer's keys only");
        PackWriter::start(Arc::clone(&self.repository.store), Arc::clone(&self.index), keys, options)
    }

    /// How this session seals what it stores.
    pub(super) fn writer_options(&self, effort: Effort, pack_size: PackSize) -> WriterOptions {
        let (repository, bundle) = (self.repository, &self.repository.bundle);
        let epoch = bundle.current();
        let (suite, origin) = (repository.config.suite, Origin { writer: self.name.writer, seq: self.name.seq });
        let data_sealing = Sealing {
            suite,
            repository: repository.id(),
            epoch: epoch.epoch,
            key: self.data_key.secret().clone(),
            key_id: self.data_key.id(),
            origin,
        };
        let skeleton_sealing = Sealing { key: epoch.index.clone(), ..data_sealing.clone() };
        let pack_sealing = PackSealing {
            suite,
            repository: repository.id(),
            epoch: epoch.epoch,
            index_key: epoch.index.clone(),
            signer: self.name.writer,
            signing_key: self.installation.key.clone(),
            parity: Parity { data_per_parity: repository.config.parity.into() },
            md5: false,
        };
        WriterOptions {
            effort,
            pack_size,
            data_sealing,
            skeleton_sealing,
            wrap: encoded(&self.wrap),
            pack_sealing,
            dry_run: self.dry_run,
        }
    }

    /// Commits: indexes of the packs, then the one-shot `end`. The snapshot exists when this returns.
    ///
    /// # Errors
    /// When the store fails (then the snapshot exists or does not: the next listing tells), or somebody aborted the session.
    pub fn commit(&self, packs: &[PackSummary], structure: &Structure, private: &Private) -> Result<SnapshotId, Error> {
        let repository = self.repository;
        if let Some(path) = self.index.damage().map(|damaged| damaged.path.as_deref().unwrap_or_else(|| Path::new("")))
        {
            let text =
                format!("the cache of indexes {} is damaged; what it did not tell was stored again", path.display());
            repository.events.emit(Event::Message(Level::Warning, text));
        }
        let indexes = self.put_indexes(packs)?;
        let before = repository.view.own_head(&repository.bundle.principal_id(), &self.name.writer);
        let link = Link {
            repository: repository.id(),
            session: self.name,
            // Only who holds these very keys can have counted that far; it is told, and goes on.
            number: before.map_or(0, |head| head.record.link().number.saturating_add(1)),
            previous: before.map(|head| head.record.id()),
        };
        let data_key = (&self.data_key, vec![self.wrap.clone()]);
        let record = Record::write(&link, (structure, private), repository.sealing(), data_key, &self.installation.key);
        let verdict = Verdict::Commit { record: record.bytes().to_vec(), indexes };
        let written = repository.end(&self.installation, self.name, verdict);
        let name = Name::End(self.name);
        if repository.store.put(&name.object(), &written.stored)? == Put::Exists {
            self.check_own_end(&written)?;
        }
        self.check_not_void(&record.id())?;
        let mut committed = repository.committed.lock().unwrap_or_else(PoisonError::into_inner);
        committed.insert(self.name.writer, (link.number, record.id()));
        Ok(record.id())
    }

    /// "Exists" was our own put, repeated, or somebody's abort.
    pub(super) fn check_own_end(&self, written: &frame::Written) -> Result<(), Error> {
        let repository = self.repository;
        let name = Name::End(self.name);
        let frame = frame::Frame::read(&name, &repository.store.get(&name.object())?)?;
        if frame.digest() == written.digest {
            return Ok(());
        }
        let plain = frame.unseal(&repository.id(), repository.sealing().index_key)?;
        let end = End::decode(&plain).map_err(|source| Error::Body { object: name.to_string(), source })?;
        match (end.signer, end.verdict) {
            (Signer::Principal(_), Verdict::Abort { reason }) => Err(Error::Aborted { session: self.name, reason }),
            // The caller holds this writer's lock: no other process of this host can have ended the session.
            _ => Err(Error::Cloned { session: self.name }),
        }
    }

    /// I10: a checkpoint that covers this session without its record makes the put void. So does a REVOKE that came before it.
    fn check_not_void(&self, id: &SnapshotId) -> Result<(), Error> {
        let reason = self.repository.is_void(self.name, id)?;
        reason.map_or(Ok(()), |reason| Err(Error::Aborted { session: self.name, reason: reason.to_owned() }))
    }

    pub(super) fn put_indexes(&self, packs: &[PackSummary]) -> Result<Vec<IndexRef>, Error> {
        let mut wraps = self.unfinished.wraps.clone();
        wraps.insert(self.data_key.id(), encoded(&self.wrap));
        let all: Vec<PackSummary> = self.unfinished.packs.iter().chain(packs).cloned().collect();
        let put = |class| -> Result<Vec<IndexRef>, Error> {
            let bodies = portions(&all, class).map(|packs| IndexBody::new(class, packs, &wraps));
            bodies.filter(|body| !body.packs.is_empty()).map(|body| self.put_index(class, &body)).collect()
        };
        let [first, second] = IndexClass::BOTH;
        if self.repository.store.in_flight() < FAR {
            return Ok([put(first)?, put(second)?].concat());
        }
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| put(first));
            let other = put(second);
            (one.join().expect("putting an index does not panic"), other)
        });
        Ok([one?, other?].concat())
    }

    fn put_index(&self, class: IndexClass, body: &IndexBody) -> Result<IndexRef, Error> {
        let repository = self.repository;
        let checkpoint = repository.log.state.ledger().checkpoint_number();
        let name = |id| Name::Index { checkpoint, class, id };
        let body = signed_body(&self.name.writer, body);
        let sealed = Some((repository.sealing(), &body[..]));
        let written = frame::write(&repository.id(), &name(IndexId([0; 32])), b"", sealed, &self.installation.key);
        let id = IndexId(hash::sha256(&written.stored));
        // The name is fresh: "exists" can only be our own put, repeated.
        repository.store.put(&name(id).object(), &written.stored)?;
        Ok(IndexRef { checkpoint, class, id })
    }

    /// Gives the session up. What was uploaded stays, for the next session of this writer to use.
    pub fn abort(self, reason: &str) {
        if self.dry_run {
            return;
        }
        if let Err(error) = self.repository.put_abort(&self.installation, self.name, reason) {
            let text = format!("{} could not be aborted, the next snapshot of this host does it: {error}", self.name);
            self.repository.events.emit(Event::Message(Level::Warning, text));
        }
    }
}

fn encoded(wrap: &Wrap) -> Vec<u8> {
    let mut encoder = Encoder::new();
    wrap.encode(&mut encoder);
    encoder.into_bytes()
}
