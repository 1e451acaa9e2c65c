//! What this host brings to a repository: what it saw of it before, which writer it is, where its caches are.
//!
//! Copies of a repository have its id and a history of their own: what this host remembers of a copy, it remembers by the copy's place.

mod readers;

use crate::event::{Event, Level, Sink};
use crate::repo::id::{RepositoryId, SnapshotId, WriterId};
use crate::repo::keys::credential::Credential;
use crate::repo::log::{self, Verdict};
use crate::repo::names::SessionName;
use crate::repo::reader::Keep;
use crate::repo::repository::{Error, Looked, Repository, look};
use crate::repo::session_view::Issue;
use crate::state::db::{Head, Known, StateDb};
use crate::state::lock::CommitLock;
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Processes of one installation that may take snapshots of one repository at the same time.
const LANES: u32 = 64;

/// This host.
pub struct Host {
    state_folder: PathBuf,
    cache_folder: PathBuf,
    state: StateDb,
    installation: Option<String>,
    /// Which segments are kept here, and how many bytes of them.
    keep: Option<(Keep, u64)>,
    events: Arc<dyn Sink>,
}

/// The right to write as one writer, for as long as it is held.
#[derive(Debug)]
pub struct WriterLock {
    /// The writer.
    pub writer: WriterId,
    lock: Option<CommitLock>,
}

impl WriterLock {
    /// Whether it keeps other processes of this host from writing: not where the state folder cannot be used.
    pub const fn is_held(&self) -> bool {
        self.lock.is_some()
    }
}

impl Host {
    /// A host that remembers in `state_folder` and caches in `cache_folder`. `installation` is what `BOVEDA_INSTALLATION`
    /// says.
    pub fn new(state_folder: &Path, cache_folder: &Path, installation: Option<String>, events: Arc<dyn Sink>) -> Self {
        let state = StateDb::open(state_folder, &*events);
        let (state_folder, cache_folder) = (state_folder.to_owned(), cache_folder.to_owned());
        Self { state_folder, cache_folder, state, installation, keep: None, events }
    }

    /// Keeps segments that are read from the repository in the cache folder, at most about `most` bytes of them.
    #[must_use]
    pub fn keeping(self, keep: Keep, most: u64) -> Self {
        Self { keep: Some((keep, most)), ..self }
    }

    /// Where caches go.
    pub fn cache_folder(&self) -> &Path {
        &self.cache_folder
    }

    /// What this host remembers.
    pub const fn state(&self) -> &StateDb {
        &self.state
    }

    /// Opens a repository, and compares it with what this host saw of it before.
    ///
    /// # Errors
    /// As [`Repository::open`]; [`Error::RolledBack`] when something is gone that was there.
    pub fn open(&self, store: Arc<dyn Store>, credential: &Credential) -> Result<Repository, Error> {
        self.open_looked(&look(&store, &*self.events)?, credential)
    }

    /// As [`Self::open`], where somebody looked.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_looked(&self, looked: &Looked, credential: &Credential) -> Result<Repository, Error> {
        let (repository, gone) = self.open_looked_despite_losses(looked, credential)?;
        if let Some((writer, id)) = gone.first() {
            let what = format!("snapshot {id} of writer {writer} was there and is gone");
            return Err(Error::RolledBack { what });
        }
        self.remember(&repository);
        Ok(repository)
    }

    /// As [`Self::open`], also where snapshots are gone that this host remembers: returns them. Remembers nothing.
    ///
    /// # Errors
    /// As [`Repository::open`]; a log that was rolled back is still an error.
    pub fn open_despite_losses(
        &self,
        store: Arc<dyn Store>,
        credential: &Credential,
    ) -> Result<(Repository, Vec<(WriterId, SnapshotId)>), Error> {
        self.open_looked_despite_losses(&look(&store, &*self.events)?, credential)
    }

    fn open_looked_despite_losses(
        &self,
        looked: &Looked,
        credential: &Credential,
    ) -> Result<(Repository, Vec<(WriterId, SnapshotId)>), Error> {
        let store = looked.store();
        let pin = |id: &RepositoryId| {
            let copy = self.copy_key_of(id, store);
            self.pin(&if self.is_known(&copy) { copy } else { *id })
        };
        let opened = Repository::open_looked(looked, credential, pin, Arc::clone(&self.events));
        let mut repository = match opened {
            // A copy that this host never saw has another history than the repository that it is a copy of.
            Err(error @ Error::Log(log::Error::RolledBack(_))) => {
                let unpinned = Repository::open(Arc::clone(store), credential, |_| None, Arc::clone(&self.events));
                let fresh = |copy: &Repository| self.key(copy) != copy.id() && !self.is_known(&self.copy_key(copy));
                unpinned.ok().filter(fresh).ok_or(error)?
            }
            opened => opened?,
        };
        self.lend_cache(&mut repository);
        let gone = self.gone(&repository);
        Ok((repository, gone))
    }

    /// Opens the copy of `source` in `store`, with the keys that opened the source, and compares it with what this host saw of that copy
    /// before.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_copy(&self, source: &Repository, store: Arc<dyn Store>) -> Result<Repository, Error> {
        let key = self.copy_key_of(&source.id(), &store);
        let mut copy = source.open_copy(store, |_| self.pin(&key), Arc::clone(&self.events))?;
        copy.keep_runs_in(self.cache_folder.join(key.to_string()));
        Ok(copy)
    }

    /// What this host's memory of a copy of a repository goes by: its id and its place.
    pub fn copy_key(&self, copy: &Repository) -> RepositoryId {
        self.copy_key_of(&copy.id(), copy.store())
    }

    fn copy_key_of(&self, id: &RepositoryId, store: &Arc<dyn Store>) -> RepositoryId {
        place_key(b"copy", id, &**store)
    }

    /// What this host's memory of a repository goes by. Where a repository was seen that was no copy, none is believed to be a copy later:
    /// somebody may have put one in its place.
    fn key(&self, repository: &Repository) -> RepositoryId {
        let first = place_key(b"first", &repository.id(), &**repository.store());
        let copy = repository.view().is_copy() && !self.is_known(&first);
        if copy || self.is_known(&self.copy_key(repository)) { self.copy_key(repository) } else { repository.id() }
    }

    /// The newest entry of the log that this host saw.
    fn pin(&self, key: &RepositoryId) -> Option<log::Head> {
        let head = self.state.known(key, &*self.events).log?;
        Some(log::Head { position: head.number, digest: head.hash })
    }

    fn is_known(&self, key: &RepositoryId) -> bool {
        self.state.known(key, &*self.events).log.is_some()
    }

    /// As [`Self::open`], whatever this host saw before. Nothing is remembered.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open_as_it_is(&self, store: Arc<dyn Store>, credential: &Credential) -> Result<Repository, Error> {
        let mut repository = Repository::open(store, credential, |_| None, Arc::clone(&self.events))?;
        self.lend_cache(&mut repository);
        Ok(repository)
    }

    fn lend_cache(&self, repository: &mut Repository) {
        repository.keep_runs_in(self.cache_folder.join(self.key(repository).to_string()));
    }

    /// Remembers what the repository shows now, and nothing of what it showed before: after somebody was told what is gone.
    pub fn accept(&self, repository: &Repository) {
        self.state.forget_heads(&self.key(repository), &*self.events);
        self.remember(repository);
    }

    /// The writers' newest records that this host saw and that are gone, without a word of the log.
    pub fn gone(&self, repository: &Repository) -> Vec<(WriterId, SnapshotId)> {
        self.gone_since(repository, &self.key(repository))
    }

    /// As [`Self::gone`] of a copy, also where nothing was brought to it so far.
    pub fn gone_from_copy(&self, copy: &Repository) -> Vec<(WriterId, SnapshotId)> {
        self.gone_since(copy, &self.copy_key(copy))
    }

    fn gone_since(&self, repository: &Repository, key: &RepositoryId) -> Vec<(WriterId, SnapshotId)> {
        let known = self.state.known(key, &*self.events);
        let (view, state) = (repository.view(), &repository.log().state);
        let given_up = given_up(repository, &known, &self.state.given_up(key, &*self.events));
        let gone = |(writer, id): &(WriterId, SnapshotId)| {
            !view.snapshots.contains_key(id)
                && !given_up.contains(writer)
                && !state.ledger().is_forgotten(id)
                && !view.issues.contains(&Issue::Revoked(*id))
                // Damage, and reported as that when the repository was opened: no reason to withhold all the rest.
                && !view.issues.iter().any(|issue| matches!(issue, Issue::BadEnd(end, _) if end.writer == *writer))
        };
        known.writers.into_iter().map(|(writer, head)| (writer, SnapshotId(head.hash))).filter(gone).collect()
    }

    /// Remembers what the repository shows now. Only what is durable: whoever put it may have died before it was, and a power
    /// cut that takes it away again is no rollback.
    pub fn remember(&self, repository: &Repository) {
        self.remember_as(repository, self.key(repository));
    }

    /// As [`Self::remember`] for what was brought to a copy, also where that is nothing so far.
    pub fn remember_copy(&self, copy: &Repository) {
        self.remember_as(copy, self.copy_key(copy));
    }

    fn remember_as(&self, repository: &Repository, key: RepositoryId) {
        let (mut known, seen) = (self.state.known(&key, &*self.events), seen(repository));
        // Heads only ever go forward, but for those that the log gave up; and each such decision says so once.
        let seen_before = self.state.given_up(&key, &*self.events);
        let sessions: BTreeSet<SessionName> = aborted(repository).collect();
        let writers = given_up(repository, &known, &seen_before);
        if !writers.is_empty() || !sessions.is_subset(&seen_before) {
            self.state.take_given_up(&key, &writers, &sessions, &*self.events);
            known = self.state.known(&key, &*self.events);
        }
        let new = seen.writers.iter().filter(|(writer, head)| known.writers.get(writer) != Some(head));
        let new: Vec<SnapshotId> = new.map(|(_, head)| SnapshotId(head.hash)).collect();
        if (seen.log == known.log && new.is_empty()) || self.settled(repository, seen.log != known.log, &new) {
            self.state.remember(&key, &seen, &*self.events);
            if key == repository.id() {
                let mark = Known { log: Some(Head { number: 0, hash: [0; 32] }), ..Known::default() };
                let first = place_key(b"first", &key, &**repository.store());
                self.state.remember(&first, &mark, &*self.events);
            }
        }
    }

    fn settled(&self, repository: &Repository, log: bool, heads: &[SnapshotId]) -> bool {
        let settled = repository.settle_heads(log, heads);
        settled
            .inspect_err(|error| {
                let text = format!("what this host sees of the repository is not remembered this time: {error}");
                self.events.emit(Event::Message(Level::Warning, text));
            })
            .is_ok()
    }

    /// The first writer of this installation that no other process uses now.
    ///
    /// # Errors
    /// When all of them are in use. Without a usable state folder the first is taken unlocked, with a warning.
    pub fn writer(&self, repository: &Repository) -> Result<WriterLock, Error> {
        let id = repository.id();
        let mut base = self.installation(repository);
        let forked = |issue: &Issue| match issue {
            Issue::Fork { writer, .. } => (0..LANES).any(|lane| lane_of(base, lane) == *writer),
            _ => false,
        };
        if repository.view().issues.iter().any(forked) {
            self.renew(repository);
            base = self.installation(repository);
        }
        self.free_lane(&id, base)
    }

    /// The first writer under whose name this installation brings snapshots to copies that no other process uses now. Its numbers are not
    /// those of the sessions that it has at the source.
    ///
    /// # Errors
    /// As [`Self::writer`].
    pub fn sync_writer(&self, copy: &Repository) -> Result<WriterLock, Error> {
        let base = self.installation(copy);
        let hash = crate::crypto::hash::blake3(&[&base.0[..], b"sync"].concat());
        self.free_lane(&copy.id(), WriterId(*hash.first_chunk().expect("a hash has more than 16 bytes")))
    }

    fn free_lane(&self, id: &RepositoryId, base: WriterId) -> Result<WriterLock, Error> {
        for lane in 0..LANES {
            let writer = lane_of(base, lane);
            match CommitLock::try_acquire(&self.state_folder, id, &writer) {
                Ok(Some(lock)) => return Ok(WriterLock { writer, lock: Some(lock) }),
                Ok(None) => {}
                Err(error) => {
                    let text = format!("{error}; take care that no second snapshot of this host runs at the same time");
                    self.events.emit(Event::Message(Level::Warning, text));
                    return Ok(WriterLock { writer, lock: None });
                }
            }
        }
        Err(Error::Label(format!("{LANES} snapshots of this host run already; wait for one of them")))
    }

    fn installation(&self, repository: &Repository) -> WriterId {
        let (id, principal) = (repository.id(), repository.bundle().principal_id());
        self.state.installation(&id, &principal, self.installation.as_deref(), &*self.events)
    }

    /// Makes this host a new writer, because its name is in use elsewhere too: [`Error::Cloned`]. What it stored so far stays
    /// good for it, since both names are of one principal.
    pub fn renew(&self, repository: &Repository) {
        let text = if self.installation.as_deref().is_some_and(|given| !given.is_empty()) {
            "another machine writes under the same BOVEDA_INSTALLATION: give each one its own".to_owned()
        } else {
            let (id, principal) = (repository.id(), repository.bundle().principal_id());
            let writer = self.state.renew_installation(&id, &principal, &*self.events);
            format!(
                "another machine writes under this one's name, as a clone of it does; this one is writer {writer} now"
            )
        };
        self.events.emit(Event::Message(Level::Warning, text));
    }
}

/// A key of this host's memory for what it knows of a repository at one place.
fn place_key(what: &[u8], id: &RepositoryId, store: &dyn Store) -> RepositoryId {
    RepositoryId(crate::crypto::hash::blake3(&[what, &id.0[..], store.place().as_bytes()].concat()))
}

/// The newest log entry and records that a repository shows.
fn seen(repository: &Repository) -> Known {
    let log = repository.log().state.head().map(|head| Head { number: head.position, hash: head.digest });
    // At a copy, those that were brought there too: if they go, it went back.
    let mut writers: BTreeMap<WriterId, Head> = BTreeMap::new();
    for (id, snapshot) in &repository.view().snapshots {
        let link = snapshot.record.link();
        let head = Head { number: link.number, hash: id.0 };
        let newest = writers.entry(link.session.writer).or_insert(head);
        if (newest.number, newest.hash) < (head.number, head.hash) {
            *newest = head;
        }
    }
    // What was committed just now need not be read back for that.
    for (writer, (number, id)) in repository.committed_here() {
        let head = Head { number, hash: id.0 };
        if writers.get(&writer).is_none_or(|newest| newest.number < number) {
            writers.insert(writer, head);
        }
    }
    Known { log, writers }
}

/// The sessions that the log gave up.
fn aborted(repository: &Repository) -> impl Iterator<Item = SessionName> {
    let resolved = repository.log().state.ledger().resolved.iter();
    resolved.filter(|(_, verdict)| matches!(verdict, Verdict::Abort { .. })).map(|(session, _)| *session)
}

/// Writers whose newest known record is gone, and of which the log says so: it gave up the session that would have committed that
/// record, which this host did not know `before`, or accepts the gap. A session before the record's predecessor is another one.
fn given_up(repository: &Repository, known: &Known, before: &BTreeSet<SessionName>) -> BTreeSet<WriterId> {
    let (view, ledger) = (repository.view(), repository.log().state.ledger());
    let seq_of = |writer: &WriterId, number: u64| {
        let links = view.snapshots.values().map(|snapshot| snapshot.record.link());
        links.filter(|link| link.session.writer == *writer && link.number == number).map(|link| link.session.seq).min()
    };
    let is_given_up = |(writer, head): &(&WriterId, &Head)| {
        let id = SnapshotId(head.hash);
        if view.snapshots.contains_key(&id) {
            return false;
        }
        let follows = match head.number.checked_sub(1) {
            Some(number) => seq_of(writer, number),
            None => Some(0),
        };
        let mut fresh = aborted(repository).filter(|session| session.writer == **writer && !before.contains(session));
        ledger.gaps.contains(&(**writer, id))
            || follows.is_some_and(|follows| fresh.any(|session| session.seq > follows))
    };
    known.writers.iter().filter(is_given_up).map(|(writer, _)| *writer).collect()
}

/// The writers of one installation: itself, and names derived from it for processes beside the first.
fn lane_of(base: WriterId, lane: u32) -> WriterId {
    if lane == 0 {
        return base;
    }
    let hash = crate::crypto::hash::blake3(&[&base.0[..], &lane.to_le_bytes()].concat());
    WriterId(*hash.first_chunk().expect("a hash has more than 16 bytes"))
}
