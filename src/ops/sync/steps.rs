//! The steps of a sync, in the order that the protocol asks for.

use super::decisions;
use super::needed::{self, Needed};
use super::plan::{PackToPut, Plan, lag};
use super::sample::{self, Found};
use super::{Error, Options, Summary, marks, pack_name, transfer, warn};
use crate::event::{Event, Sink};
use crate::ops::host::Host;
use crate::repo::id::PackId;
use crate::repo::names::Name;
use crate::repo::repository::{Copies, Mirroring, Repository, StoredPack};
use crate::repo::session::IndexRef;
use crate::store::Put;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// A sync under way.
pub struct Sync<'a> {
    pub host: &'a Host,
    pub source: &'a mut Repository,
    pub options: &'a Options,
    pub events: &'a dyn Sink,
    pub summary: Summary,
    /// What is at the copy, by listings and by what was put.
    pub found: Found,
}

/// Whether what was read of the source still holds.
enum Step<T> {
    Done(T),
    /// Something was given up there meanwhile: look again.
    Again,
}

impl Sync<'_> {
    /// Says what would be brought.
    pub fn preview(&mut self, copy: Option<&Repository>) -> Result<(), Error> {
        if self.options.forget {
            decisions::check(self.source)?;
        }
        let plan = Plan::new(self.source, copy)?;
        self.count_listings(&plan);
        let summary = &mut self.summary;
        (summary.before, summary.after) = (plan.lag, plan.lag);
        for pack in &plan.packs {
            summary.packs.count(pack.length);
            summary.requests.put(pack.length);
            // What the place says of it then.
            summary.requests.get(0);
        }
        summary.snapshots = plan.records.len() as u64;
        summary.indexes = (plan.indexes.len() + plan.lost_indexes.len()) as u64;
        for index in plan.indexes.iter().chain(&plan.lost_indexes) {
            summary.requests.put(self.source.store().length(&index.name().object()).unwrap_or_default());
        }
        if !plan.is_empty() {
            // The session's opening and end, some KiB each, and a record of about one.
            summary.requests.put(2048);
            summary.requests.put(2048 + 1024 * summary.snapshots);
        }
        if let Some(copy) = copy.filter(|_| self.options.forget) {
            summary.forgotten = decisions::forgotten(self.source, copy).len() as u64;
        }
        (summary.left, summary.lost) = (plan.left, plan.unreadable);
        Ok(())
    }

    /// Brings all there is to bring, and looks at what is there.
    pub fn carry_out(&mut self, copy: &mut Repository) -> Result<(), Error> {
        if self.options.forget {
            decisions::check(self.source)?;
        }
        for (_, id) in self.host.gone_from_copy(copy) {
            warn(self.events, format!("snapshot {id} was at the copy and is gone there: it went back in time"));
        }
        self.follow(copy)?;
        self.summary.before = lag(self.source, Some(copy));
        let first = Plan::new(self.source, Some(copy))?;
        if first.is_empty() {
            self.count_listings(&first);
            (self.summary.left, self.summary.lost) = (first.left, first.unreadable);
            self.found.there = first.there;
        } else {
            self.mirror(copy)?;
        }
        copy.refresh()?;
        self.summary.after = lag(self.source, Some(copy));
        self.summary.tagged = decisions::tags(self.source, copy)?;
        if self.options.forget {
            self.summary.forgotten = decisions::forget(self.source, copy, &self.summary)?;
        }
        sample::check(self.host, self.source, copy, self.options, &mut self.found, &mut self.summary, self.events)?;
        self.host.remember_copy(copy);
        Ok(())
    }

    /// An admin's sync enters what the admins decided; any other says that something is lacking.
    fn follow(&mut self, copy: &mut Repository) -> Result<(), Error> {
        if copy.bundle().role().may_certify() {
            self.summary.entered = copy.follow_standing(self.source)?;
        } else if let Some(decision) = copy.behind(self.source)? {
            let word = decision.word();
            warn(
                self.events,
                format!("the copy lacks an admin's decision ({word}); a sync with an admin's keys enters it"),
            );
        }
        Ok(())
    }

    /// One session at the copy.
    fn mirror(&mut self, copy: &mut Repository) -> Result<(), Error> {
        let lock = self.host.sync_writer(copy)?;
        let mirroring = copy.begin_mirroring(lock.writer)?;
        self.summary.requests.put(0);
        match self.bring(copy, &mirroring) {
            Ok(()) => Ok(()),
            Err(error) => {
                copy.abort_mirroring(mirroring, "the copy could not be brought up to date");
                Err(error)
            }
        }
    }

    fn bring(&mut self, copy: &Repository, mirroring: &Mirroring) -> Result<(), Error> {
        let mut put = BTreeMap::new();
        loop {
            let plan = Plan::new(self.source, Some(copy))?;
            self.count_listings(&plan);
            self.summary.lost.extend(plan.unreadable.clone());
            let Step::Done(()) = self.put_packs(copy, &plan.packs, &mut put)? else { continue };
            let mut copies = Copies { installations: plan.installations.clone(), ..Copies::default() };
            let Step::Done(()) = self.put_indexes(copy, &plan, &mut copies)? else { continue };
            self.summary.left.clone_from(&plan.left);
            let mut records = plan.records.clone();
            self.renew(copy, mirroring, &plan, &mut copies, &mut |id| drop(records.remove(id)))?;
            copies.records = records.into_values().collect();
            copy.commit_copies(mirroring, &copies)?;
            self.summary.requests.put(1024 * copies.records.len() as u64);
            self.summary.snapshots = copies.records.len() as u64;
            self.found.there = plan.there;
            self.found.there.extend(put);
            return Ok(());
        }
    }

    fn put_packs(
        &mut self,
        copy: &Repository,
        packs: &[PackToPut],
        put: &mut BTreeMap<PackId, StoredPack>,
    ) -> Result<Step<()>, Error> {
        let known_lost = |pack: &&PackToPut| !self.summary.lost.contains_key(&pack_name(pack.id));
        let packs: Vec<PackToPut> = packs.iter().filter(known_lost).copied().collect();
        for pack in packs.iter().filter(|pack| pack.expected) {
            let what = if pack.damaged { "it has another length at the copy" } else { "it is missing at the copy" };
            let (object, what) = (pack_name(pack.id).to_string(), format!("{what}; it comes from the source again"));
            self.events.emit(Event::Damage { object, what, healed: true });
        }
        let outcome = self.transfer(copy, &packs, put)?;
        for pack in outcome.put {
            self.summary.packs.count(pack.length);
            self.summary.requests.put(pack.length);
            self.summary.requests.get(0);
            if pack.expected {
                self.summary.healed.push(pack_name(pack.id));
            }
        }
        for (id, why) in outcome.lost {
            self.lose(pack_name(id), why);
        }
        if outcome.vanished.is_empty() {
            return Ok(Step::Done(()));
        }
        self.source.refresh_settled()?;
        let ledger = self.source.log().state.ledger();
        let (gone, missing): (Vec<PackId>, Vec<PackId>) =
            outcome.vanished.into_iter().partition(|id| ledger.ever_final(id));
        for id in missing {
            self.lose(pack_name(id), "it is missing at the source".to_owned());
        }
        Ok(if gone.is_empty() { Step::Done(()) } else { Step::Again })
    }

    /// Sends packs, and notes what the place says of each that it has got.
    fn transfer(
        &mut self,
        copy: &Repository,
        packs: &[PackToPut],
        put: &mut BTreeMap<PackId, StoredPack>,
    ) -> Result<transfer::Outcome, Error> {
        let (source, connections) = (&**self.source.store(), self.options.connections);
        let key = self.host.copy_key(copy);
        let noted: Mutex<(&mut BTreeMap<_, _>, &mut BTreeSet<_>)> = Mutex::new((put, &mut self.found.suspects));
        let note = |id: &PackId, stored: &[u8]| {
            let (mark, wrong) = marks::note_put(self.host, &key, &**copy.store(), id, stored, self.events);
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.0.insert(*id, StoredPack { length: stored.len() as u64, mark });
            if wrong {
                noted.1.insert(*id);
            }
        };
        Ok(transfer::packs(source, &**copy.store(), packs, connections, &note, self.events)?)
    }

    fn lose(&mut self, name: Name, why: String) {
        self.events.emit(Event::Damage { object: name.to_string(), what: why.clone(), healed: false });
        self.summary.lost.insert(name, why);
    }

    fn put_indexes(&mut self, copy: &Repository, plan: &Plan, copies: &mut Copies) -> Result<Step<()>, Error> {
        let new: BTreeSet<IndexRef> = plan.indexes.iter().copied().collect();
        for index in plan.indexes.iter().chain(&plan.lost_indexes) {
            if self.summary.lost.contains_key(&index.name()) {
                continue;
            }
            let taken = match self.source.take_index(index) {
                Ok(taken) => taken,
                Err(crate::repo::repository::Error::Store(error)) => return Err(error.into()),
                Err(error) => {
                    self.source.refresh_settled()?;
                    if self.source.view().indexes.contains(index) {
                        self.lose(index.name(), error.to_string());
                        continue;
                    }
                    return Ok(Step::Again);
                }
            };
            if new.contains(index) {
                self.settle(copy, plan, index, &taken.body.packs, copies)?;
                copies.indexes.push(*index);
            } else {
                let (object, what) = (index.name().to_string(), "it is missing at the copy".to_owned());
                self.events.emit(Event::Damage { object, what, healed: true });
                self.summary.healed.push(index.name());
            }
            self.put_index(copy, index, &taken.stored)?;
        }
        Ok(Step::Done(()))
    }

    /// What an index names and what was found at the copy, put there by somebody who may have died, is to be as durable as what this
    /// sync puts. What is gone for good at the source never comes.
    fn settle(
        &self,
        copy: &Repository,
        plan: &Plan,
        index: &IndexRef,
        packs: &[crate::repo::pack::PackSummary],
        copies: &mut Copies,
    ) -> Result<(), Error> {
        let (ledger, view) = (self.source.log().state.ledger(), self.source.view());
        for pack in packs {
            if ledger.ever_final(&pack.id) || view.is_left_out(index, &pack.id) {
                copies.left_out.insert(pack.id);
            } else if plan.there.get(&pack.id).is_some_and(|stored| stored.length == pack.length) {
                copy.store().settle(&pack_name(pack.id).object())?;
            }
        }
        Ok(())
    }

    fn put_index(&mut self, copy: &Repository, index: &IndexRef, stored: &[u8]) -> Result<(), Error> {
        let name = index.name().object();
        if copy.store().put(&name, stored)? == Put::Exists {
            // Put by a sync that died, or damaged since.
            if copy.store().get(&name)? != stored {
                copy.store().heal(&name, stored)?;
            }
            copy.store().settle(&name)?;
        }
        self.summary.indexes += 1;
        self.summary.requests.put(stored.len() as u64);
        Ok(())
    }

    /// Where packs were given up at the copy, the new snapshots may need chunks of them: these come in new packs, or the snapshots do not.
    fn renew(
        &mut self,
        copy: &Repository,
        mirroring: &Mirroring,
        plan: &Plan,
        copies: &mut Copies,
        drop_record: &mut dyn FnMut(&crate::repo::id::SnapshotId),
    ) -> Result<(), Error> {
        let ledger = copy.log().state.ledger();
        if ledger.finals.is_empty() && ledger.condemned.is_empty() {
            return Ok(());
        }
        let can_renew = copy.bundle().role().may_maintain();
        let roots = plan.records.keys().copied().collect();
        let Needed { wanted, wraps, short } =
            needed::find(self.host, self.source, copy, &roots, !can_renew, &self.summary, self.events)?;
        if can_renew && !wanted.is_empty() {
            let wrap = |id: &crate::repo::id::DataKeyId| wraps.get(id).cloned().unwrap_or_default();
            let packs = wanted.len() as u64;
            let (renewed, indexes) = copy.bring_segments(mirroring, self.source, &wanted, &wrap, self.events)?;
            self.summary.renewed.packs = packs.saturating_sub(renewed.passed_over.len() as u64);
            self.summary.renewed.bytes = renewed.bytes;
            copies.indexes.extend(indexes);
        }
        for (id, why) in short {
            drop_record(&id);
            self.summary.left.insert(id, why);
        }
        Ok(())
    }

    fn count_listings(&mut self, plan: &Plan) {
        self.summary.requests.list(plan.there.len());
        // Sessions, indexes, log, slots, keys.
        for _ in 0..5 {
            self.summary.requests.list(0);
        }
    }
}
