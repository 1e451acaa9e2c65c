//! The steps of a prune, in their order; each can be begun anew, and goes on from what a prune before it left.

use super::reach::Reach;
use super::{Error, Options, Packs, Summary, doubts, heads, plan, repack, sessions, unindexed};
use crate::event::{Event, Level, Progress, Sink, Stage};
use crate::ops::cost::Requests;
use crate::ops::host::{Host, WriterLock};
use crate::repo::chunks;
use crate::repo::id::{DataKeyId, PackId};
use crate::repo::names::IndexClass;
use crate::repo::pack::PackSize;
use crate::repo::repository::{self, Repository};
use crate::store::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A prune under way.
pub(super) struct Run<'a> {
    repository: &'a mut Repository,
    host: &'a Host,
    options: &'a Options,
    events: &'a dyn Sink,
    /// The newest position of the log that was read before the sessions were listed that all have ended.
    listed: u64,
    /// Held by who may write too: nobody else on this host is this writer meanwhile.
    lock: Option<WriterLock>,
    /// Packs that were made now: of two that hold the same they are the ones to stay.
    made: BTreeSet<PackId>,
    /// When copying ends, done or not.
    until: Option<Instant>,
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
            summary: Summary::default(),
        }
    }

    /// Says what would be done, and does nothing.
    pub fn look(&mut self) -> Result<(), Error> {
        let packs = self.repository.list_packs()?;
        self.repository.refresh()?;
        doubts::check(self.repository, true)?;
        doubts::census(self.repository)?;
        let plan = self.plan(&packs)?;
        self.summary.stored = total(&packs);
        self.summary.condemned = plan.bytes;
        let copied = plan.repack.iter().flat_map(|one| &one.rows).map(|row| u64::from(row.length)).sum();
        self.summary.repacked = Packs { packs: plan.repack.len() as u64, bytes: copied };
        let ledger = self.repository.log().state.ledger();
        let pending = self.repository.condemned(u64::MAX);
        for (id, length) in &packs {
            if ledger.ever_final(id) {
                self.summary.deleted.count(*length);
            } else if pending.contains(id) {
                self.summary.finished.count(*length);
            }
        }
        self.summary.waiting = sessions::known(self.repository, self.host, self.options.now, self.events);
        let from = plan.repack.iter().filter_map(|one| packs.get(&one.pack)).sum();
        let rows = plan.repack.iter().flat_map(|one| &one.rows);
        let classes: BTreeSet<IndexClass> = rows.map(|row| IndexClass::of(row.kind)).collect();
        self.summary.requests = requests(&self.summary, from, classes.len() as u64);
        Ok(())
    }

    /// Stops where nothing may be pruned, and ends the dead sessions of this very host.
    pub fn begin(&mut self) -> Result<(), Error> {
        doubts::check(self.repository, false)?;
        doubts::census(self.repository)?;
        doubts::wishes(self.repository)?;
        self.summary.stored = total(&self.repository.list_packs()?);
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
        self.repository.refresh()?;
        let dead = self.repository.view().unresolved().filter(|session| session.writer == writer);
        for session in dead.copied().collect::<Vec<_>>() {
            self.repository.abort_silent(session, "it died; a prune on the same host ended it")?;
        }
        Ok(())
    }

    /// Condemns what nothing needs, and what lies elsewhere too: also because it was copied just now.
    pub fn condemn(&mut self) -> Result<(), Error> {
        loop {
            // Before the sessions are read: of whatever is in this list, the session is in that one.
            let packs = self.repository.list_packs()?;
            self.read_again()?;
            let plan = match self.plan(&packs) {
                Err(error) if self.is_overtaken(&error) => continue,
                plan => plan?,
            };
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

    /// Whether something is missing because another prune came to its end meanwhile: then all is to be looked at again.
    fn is_overtaken(&self, error: &Error) -> bool {
        let missing = match error {
            Error::InDoubt(_) => true,
            Error::Repository(repository::Error::Store(error)) => error.kind == ErrorKind::NotFound,
            _ => false,
        };
        missing && self.repository.again().has_moved()
    }

    fn read_again(&mut self) -> Result<(), Error> {
        self.repository.refresh()?;
        doubts::check(self.repository, false)?;
        Ok(self.repository.settle_found()?)
    }

    /// Copies what is needed of packs of which much is not. Returns whether anything was: then all is to be looked at again.
    fn repack(&mut self, plan: &plan::Plan) -> Result<bool, Error> {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        let Some(lock) = self.lock.as_ref().filter(|_| !late && !plan.repack.is_empty()) else { return Ok(false) };
        let wrap = |id: &DataKeyId| plan.wraps.get(id).cloned().unwrap_or_default();
        let copied = self.repository.copy_segments(lock.writer, &plan.repack, &wrap, self.until, self.events)?;
        self.summary.repacked = Packs { packs: copied.from, bytes: copied.bytes };
        self.made.extend(copied.made);
        Ok(copied.from > 0)
    }

    /// What can be condemned of these packs.
    fn plan(&mut self, packs: &BTreeMap<PackId, u64>) -> Result<plan::Plan, Error> {
        let (repository, summary, made) = (&*self.repository, &mut self.summary, &self.made);
        let pinned = doubts::wishes(repository)?;
        let reach = Reach::walk(repository, self.host, pinned, self.events)?;
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
            candidates.retain(|id| !plan.condemn.contains(id));
            plan.repack = repack::choose(&reach, &uses, &candidates, self.options)?;
            plan.repack.retain(|one| one.rows.iter().all(|row| repository.knows_origin(row)));
            let keys: BTreeSet<DataKeyId> =
                plan.repack.iter().flat_map(|one| &one.rows).map(|row| row.key_id).collect();
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
            // Pins first, then the log: a reader pins, and then looks whether what it pinned is forgotten (I6, I12).
            let pinned = doubts::wishes(self.repository)?;
            self.read_again()?;
            let condemned = self.repository.condemned(self.listed);
            if condemned.is_empty() {
                return Ok(());
            }
            let reach = match Reach::walk(self.repository, self.host, pinned, self.events) {
                Err(error) if self.is_overtaken(&error) => continue,
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
            self.repository.settle_packs(&self.made)?;
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

    /// Deletes what is FINAL, whoever gave it up and whenever, also what came back since (I7).
    pub fn delete(&mut self) -> Result<(), Error> {
        let ledger = self.repository.log().state.ledger();
        let packs = self.repository.list_packs()?;
        let gone: Vec<(PackId, u64)> = packs.into_iter().filter(|(id, _)| ledger.ever_final(id)).collect();
        let bytes_total = gone.iter().map(|(_, length)| length).sum();
        for (id, length) in gone {
            if self.events.stopping() {
                return Err(repository::Error::from(chunks::Error::Stopped).into());
            }
            self.repository.delete_final(&id)?;
            self.summary.deleted.count(length);
            let bytes = self.summary.deleted.bytes;
            self.events.emit(Event::Progress(Stage::Prune, Progress { bytes, bytes_total, ..Progress::default() }));
        }
        let Packs { packs, .. } = self.summary.deleted;
        self.events.emit(Event::Message(Level::Debug, format!("{packs} packs deleted")));
        Ok(())
    }
}

/// What the steps after the looking ask the store for; `read` bytes have the packs that are made anew, and `indexes` name the new ones.
/// What they were made anew from goes as well, in this prune.
fn requests(summary: &Summary, read: u64, indexes: u64) -> Requests {
    let Summary { condemned, finished, deleted, repacked, .. } = summary;
    let mut requests = Requests { gets: repacked.packs, bytes_got: read, ..Requests::default() };
    let deletes = condemned.packs + finished.packs + deleted.packs + repacked.packs;
    requests.deletes = deletes;
    if repacked.packs > 0 {
        // The new packs, their indexes, and the session's two objects.
        requests.puts = repacked.bytes.div_ceil(PackSize::default().bytes() as u64) + indexes + 2;
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
