//! The steps of a prune, in their order; each can be begun anew, and goes on from what a prune before it left.

use super::reach::Reach;
use super::repack::Part;
use super::{Error, Options, Packs, Summary, doubts, heads, locks, pins, plan, repack, sessions, unindexed};
use crate::event::{Event, Level, Sink};
use crate::ops::cost::Requests;
use crate::ops::host::{Host, WriterLock};
use crate::repo::id::{ChunkId, ChunkKind, DataKeyId, PackId, WriterId};
use crate::repo::names;
use crate::repo::pack::PackSize;
use crate::repo::repository::{self, Repository, Wanted};
use crate::store::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What is listed with the sessions, before the log is read.
const SEEN: [&str; 3] = [names::PACKS, names::PINS, names::HOLDS];

/// A prune under way.
pub(super) struct Run<'a> {
    pub(super) repository: &'a mut Repository,
    pub(super) host: &'a Host,
    pub(super) options: &'a Options,
    pub(super) events: &'a dyn Sink,
    /// The newest position of the log that was read before the sessions were listed that all have ended.
    listed: u64,
    /// Held by who may write too: nobody else on this host is this writer meanwhile.
    lock: Option<WriterLock>,
    /// Packs that were made now: of two that hold the same they are the ones to stay.
    made: BTreeSet<PackId>,
    /// When copying ends, done or not.
    until: Option<Instant>,
    /// Packs of which the place was asked until when they are locked.
    pub(super) asked: usize,
    pub summary: Summary,
}

impl<'a> Run<'a> {
    pub fn new(repository: &'a mut Repository, host: &'a Host, options: &'a Options, events: &'a dyn Sink) -> Self {
        Self {
            repository,
            host,
            options,
            events,
            listed: 0,
            lock: None,
            made: BTreeSet::new(),
            until: options.max_time.and_then(|time| Instant::now().checked_add(time)),
            asked: 0,
            summary: Summary::default(),
        }
    }

    /// Says what would be done, and does nothing.
    pub fn look(&mut self) -> Result<(), Error> {
        let (packs, plan) = self.see(|run| {
            run.repository.refresh_seeing(&SEEN)?;
            doubts::check(run.repository, true)?;
            doubts::census(run.repository)
        })?;
        self.summary.stored = total(&packs);
        self.summary.condemned = plan.bytes;
        self.summary.repacked = Packs { packs: plan.repack.parts.len() as u64, bytes: plan.repack.bytes() };
        let ledger = self.repository.log().state.ledger();
        let pending = self.repository.condemned(u64::MAX);
        let mut gone = Vec::new();
        for (id, length) in &packs {
            if ledger.ever_final(id) {
                gone.push((*id, *length));
            } else if pending.contains(id) {
                self.summary.finished.count(*length);
            }
        }
        let gone = self.due(gone)?;
        gone.iter().for_each(|(_, length)| self.summary.deleted.count(*length));
        let going = packs.iter().filter(|(id, _)| pending.contains(id) || plan.condemn.contains(id));
        self.foresee(&gone, going.map(|(id, length)| (*id, *length)));
        self.summary.waiting = sessions::known(self.repository, self.host, self.options.now, self.events);
        let from = plan.repack.parts.iter().filter_map(|part| packs.get(&part.pack)).sum();
        self.summary.requests = requests(&self.summary, from, plan.repack.sessions());
        Ok(())
    }

    /// Stops where nothing may be pruned, and ends the dead sessions of this very host.
    pub fn begin(&mut self) -> Result<(), Error> {
        doubts::check(self.repository, false)?;
        doubts::census(self.repository)?;
        doubts::asked(self.repository)?;
        self.summary.stored = total(&self.repository.packs_seen()?);
        if !self.repository.bundle().role().writes() {
            return Ok(());
        }
        // As long as the lock is held, no session of this writer is alive.
        let lock = self.host.writer(self.repository)?;
        if !lock.is_held() {
            return Ok(());
        }
        let writer = lock.writer;
        self.lock = Some(lock);
        // Of those that came to an end since the sessions were listed, that stands.
        let dead = self.repository.view().unresolved().filter(|session| session.writer == writer);
        for session in dead.copied().collect::<Vec<_>>() {
            self.repository.abort_silent(session, "it died; a prune on the same host ended it")?;
        }
        Ok(())
    }

    /// Condemns what nothing needs, and what lies elsewhere too: also because it was copied just now.
    pub fn condemn(&mut self) -> Result<(), Error> {
        loop {
            let (_, plan) = self.see(Self::read_again)?;
            if self.repack(&plan)? {
                continue;
            }
            let heads = heads::heads(self.repository);
            if plan.condemn.is_empty() || self.repository.condemn(&plan.condemn, heads)? {
                self.summary.condemned = plan.bytes;
                return Ok(());
            }
        }
    }

    /// What packs there are, and what is to be done with them, after `read` read the sessions and the log anew: all of one moment, as
    /// far as prunes go.
    fn see(
        &mut self,
        read: impl Fn(&mut Self) -> Result<(), Error>,
    ) -> Result<(BTreeMap<PackId, u64>, plan::Plan), Error> {
        loop {
            let before = self.repository.log().state.next();
            read(self)?;
            // Another prune decided something meanwhile: what it made anew may not be in the list, and what it took still is.
            if self.repository.log().state.next() != before {
                continue;
            }
            // Not listed after the sessions: what belongs to one that began since is not to be taken for nobody's.
            let packs = self.repository.packs_seen()?;
            match self.plan(&packs) {
                Err(error) if self.is_overtaken(&error)? => {}
                plan => return Ok((packs, plan?)),
            }
        }
    }

    /// Whether something is missing because another prune came to its end meanwhile: then all is to be looked at again.
    ///
    /// # Errors
    /// When the store cannot tell: what seems lost may be no loss.
    fn is_overtaken(&self, error: &Error) -> Result<bool, Error> {
        let missing = match error {
            Error::InDoubt(_) => true,
            Error::Repository(repository::Error::Store(error)) => error.kind == ErrorKind::NotFound,
            _ => false,
        };
        Ok(missing && self.repository.again().moved().map_err(repository::Error::from)?)
    }

    /// Lists what is there, then reads the log.
    fn read_again(&mut self) -> Result<(), Error> {
        self.repository.refresh_seeing(&SEEN)?;
        doubts::check(self.repository, false)?;
        Ok(self.repository.settle_found()?)
    }

    /// Copies what is needed of packs of which much is not, some packs at a time. Returns whether anything was: then all is to be looked at
    /// again.
    fn repack(&mut self, plan: &plan::Plan) -> Result<bool, Error> {
        let Some(writer) = self.lock.as_ref().map(|lock| lock.writer) else { return Ok(false) };
        let before = self.made.len();
        for batch in plan.repack.batches() {
            if self.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            match self.repack_batch(writer, batch, plan) {
                // What nothing needs may make room: that goes all the same.
                Err(repository::Error::Store(error)) if error.kind == ErrorKind::Full => {
                    let text = format!("no more packs are made anew this time: {error}");
                    self.events.emit(Event::Message(Level::Warning, text));
                    self.until = Some(Instant::now());
                    break;
                }
                done => done?,
            }
        }
        Ok(self.made.len() > before)
    }

    fn repack_batch(&mut self, writer: WriterId, batch: &[Part], plan: &plan::Plan) -> Result<(), repository::Error> {
        let wrap = |id: &DataKeyId| plan.wraps.get(id).cloned().unwrap_or_default();
        let whole = batch.iter().filter(|part| !part.rows.is_empty());
        let wanted: Vec<Wanted> = whole.map(|part| Wanted { pack: part.pack, rows: part.rows.clone() }).collect();
        let mut passed_over = BTreeSet::new();
        if !wanted.is_empty() {
            let copied = self.repository.copy_segments(writer, &wanted, &wrap, None, self.events)?;
            self.summary.repacked.bytes += copied.bytes;
            self.made.extend(copied.made);
            passed_over = copied.passed_over;
        }
        // Of a pack that stays, copies would only be in the way.
        let done = || batch.iter().filter(|part| !passed_over.contains(&part.pack));
        let chunks: Vec<(ChunkKind, ChunkId)> = done().flat_map(|part| &part.chunks).copied().collect();
        let mut read = false;
        if !chunks.is_empty() {
            let rewritten = self.repository.rewrite_chunks(writer, &chunks, self.events)?;
            self.summary.repacked.bytes += rewritten.bytes;
            read = !rewritten.made.is_empty();
            self.made.extend(rewritten.made);
        }
        // Of a damaged pack there may be nothing to read.
        self.summary.repacked.packs += done().filter(|part| read || !part.rows.is_empty()).count() as u64;
        Ok(())
    }

    /// What can be condemned of these packs.
    fn plan(&mut self, packs: &BTreeMap<PackId, u64>) -> Result<plan::Plan, Error> {
        let (repository, summary, made) = (&*self.repository, &mut self.summary, &self.made);
        doubts::asked(repository)?;
        let pinned = pins::look(repository, self.host, self.options.now, self.events)?;
        let reach = Reach::walk(repository, self.host, pinned.behind, self.events)?;
        let ledger = repository.log().state.ledger();
        let mut unindexed: BTreeMap<PackId, u64> =
            packs.iter().filter(|(id, _)| !ledger.any_absent(id)).map(|(id, length)| (*id, *length)).collect();
        let mut candidates: BTreeSet<PackId> = unindexed.keys().filter(|id| !made.contains(*id)).copied().collect();
        for pack in reach.index.packs() {
            unindexed.remove(&pack.id);
        }
        for named in reach.index.numbered() {
            let (_, pack, segment) = named.map_err(repository::Error::from)?;
            if unindexed::is_open(repository, &segment.origin) {
                candidates.remove(&pack.id);
            }
        }
        (summary.open, summary.unknown) = (Packs::default(), Packs::default());
        let uses = plan::uses(&reach, &BTreeSet::new())?;
        let mut plan = plan::choose(&reach, &uses, &candidates, summary)?;
        if summary.repacked.packs == 0 {
            // Copies of what may be damaged would only come and go.
            candidates.retain(|id| !plan.condemn.contains(id) && !ledger.suspects.contains(id));
            let reads = repository.bundle().role().reads_content();
            plan.repack = repack::choose(&reach, &uses, &candidates, self.options, reads)?;
            summary.postponed = locks::leave(repository, &mut plan.repack, packs, self.options.now, self.events);
            plan.repack.parts.retain(|part| part.rows.iter().all(|row| repository.knows_origin(row)));
            let keys: BTreeSet<DataKeyId> =
                plan.repack.parts.iter().flat_map(|part| &part.rows).map(|row| row.key_id).collect();
            plan.wraps = keys.into_iter().map(|id| (id, repository.wrap_of(&reach.index, &id))).collect();
        }
        for id in unindexed::left_behind(repository, &unindexed, summary)? {
            plan.take(id, unindexed[&id]);
        }
        Ok(plan)
    }

    /// Lists the sessions that may not know what is condemned, and waits for their ends. Returns whether all have ended; if nothing is
    /// condemned, there is nothing to wait for.
    pub fn await_sessions(&mut self) -> Result<bool, Error> {
        let Some(head) = self.repository.log().state.head() else { return Ok(false) };
        if self.repository.condemned(head.position).is_empty() {
            return Ok(false);
        }
        self.listed = head.position;
        self.read_again()?;
        let open = sessions::known(self.repository, self.host, self.options.now, self.events);
        self.summary.waiting = sessions::settle(self.repository, open, self.options, self.events)?;
        Ok(self.summary.is_complete())
    }

    /// Looks at everything again, and decides about what was condemned: it is needed after all, or it is gone for good.
    pub fn settle_condemned(&mut self) -> Result<(), Error> {
        loop {
            // Pins are listed first, then the log is read: a reader pins, and then looks whether what it pinned is forgotten (I6, I12).
            self.read_again()?;
            doubts::asked(self.repository)?;
            let pinned = pins::look(self.repository, self.host, self.options.now, self.events)?;
            let condemned = self.repository.condemned(self.listed);
            if condemned.is_empty() {
                return Ok(());
            }
            let reach = match Reach::walk(self.repository, self.host, pinned.behind, self.events) {
                Err(error) if self.is_overtaken(&error)? => continue,
                reach => reach?,
            };
            let (gone, needed) = plan::judge(&reach, &condemned)?;
            let sizes = |packs: &BTreeSet<PackId>| {
                let there = packs.iter().filter_map(|id| reach.stored.get(id));
                there.fold(Packs::default(), |mut all, length| {
                    all.count(*length);
                    all
                })
            };
            let (finished, rescued) = (sizes(&gone), sizes(&needed));
            drop(reach);
            match self.settle_made() {
                Err(error) if self.is_overtaken(&error)? => continue,
                settled => settled?,
            }
            if !needed.is_empty() && !self.repository.rescue(&needed)? {
                continue;
            }
            add(&mut self.summary.rescued, rescued);
            if gone.is_empty() || self.repository.finish(&gone, self.listed)? {
                add(&mut self.summary.finished, finished);
                return Ok(());
            }
        }
    }

    /// Makes the new packs durable. Of those that another prune took since, nothing is expected any more.
    fn settle_made(&self) -> Result<(), Error> {
        let ledger = self.repository.log().state.ledger();
        let made = self.made.iter().filter(|pack| !ledger.ever_final(pack)).copied().collect();
        Ok(self.repository.settle_packs(&made)?)
    }
}

/// What the steps after the looking ask the store for; `read` bytes have the packs that are made anew, in sessions with so many indexes and bytes.
/// What they were made anew from goes as well, in this prune.
fn requests(summary: &Summary, read: u64, sessions: Vec<(u64, u64)>) -> Requests {
    let Summary { condemned, finished, deleted, repacked, .. } = summary;
    let mut requests = Requests { gets: repacked.packs, bytes_got: read, ..Requests::default() };
    let deletes = condemned.packs + finished.packs + deleted.packs + repacked.packs;
    requests.deletes = deletes;
    if repacked.packs > 0 {
        // In each session the new packs, their indexes, and its two objects.
        let puts = |(indexes, bytes): (u64, u64)| match bytes {
            0 => 0,
            bytes => bytes.div_ceil(PackSize::default().bytes() as u64) + indexes + 2,
        };
        requests.puts = sessions.into_iter().map(puts).sum();
        requests.bytes_put = repacked.bytes;
    }
    // That they are condemned, and that they are gone for good, are two entries of the log, with two copies each.
    requests.puts += if deletes > 0 { 4 } else { 0 };
    requests
}

const fn add(sum: &mut Packs, more: Packs) {
    sum.packs += more.packs;
    sum.bytes += more.bytes;
}

fn total(packs: &BTreeMap<PackId, u64>) -> Packs {
    Packs { packs: packs.len() as u64, bytes: packs.values().sum() }
}
