//! What a client does: one act after another, each as one run of the program.

use super::dice::Dice;
use super::promises::Promises;
use super::stage::{Client, Stage};
use super::wire::Wire;
use super::workshop::{Bench, Who, Workshop};
use boveda::event::Silent;
use boveda::ops::forget::{self, Wish, forget, undo};
use boveda::ops::prune::{self, Limit, prune};
use boveda::ops::snapshot::{self, snapshot};
use boveda::ops::verify::{Level, verify_with};
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::Timestamp;
use boveda::repo::id::{SnapshotId, WriterId};
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{self, Repository, Snapshot};
use boveda::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const DAY: u64 = 24 * 3600;
const CACHE: usize = 4 << 20;

/// What one run of the program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Snapshot,
    Forget,
    Undo,
    Prune,
    Verify,
    Read,
}

/// Any failure of an act.
type Failure = Box<dyn std::error::Error>;

/// One client.
pub struct Player<'a> {
    pub number: Client,
    pub bench: Bench,
    pub workshop: &'a Workshop,
    pub stage: Arc<Stage>,
    pub promises: &'a Promises,
    /// Everybody's clock.
    pub clock: &'a Arc<AtomicI64>,
    pub dice: Dice,
    /// Who writes under which name: sessions are told apart by that, and not by names that chance gave.
    pub writers: &'a BTreeMap<WriterId, Who>,
}

impl Player<'_> {
    /// What somebody of this kind does next.
    pub fn choose(&mut self) -> Act {
        let all: &[Act] = match self.bench.who {
            Who::Admin => &[Act::Snapshot, Act::Snapshot, Act::Prune, Act::Prune, Act::Forget, Act::Undo],
            Who::SecondAdmin => &[Act::Snapshot, Act::Snapshot, Act::Snapshot, Act::Prune, Act::Forget],
            Who::Laptop => &[Act::Snapshot],
            Who::Maintainer => &[Act::Forget, Act::Forget, Act::Prune, Act::Prune, Act::Prune, Act::Undo],
            Who::Reader => &[Act::Read, Act::Read, Act::Verify],
        };
        self.dice.pick(all)
    }

    /// Does it. What fails although nothing was in its way is a fault.
    pub fn act(&mut self, act: Act, round: usize) {
        self.stage.take_turn(self.number);
        self.stage.begin(self.number);
        self.stage.note(self.number, &format!("{:?}: {act:?}", self.bench.who));
        let store: Arc<dyn Store> = Arc::new(Wire { stage: self.stage.clone(), client: self.number });
        let outcome = match act {
            Act::Snapshot => self.snapshot(&store, round),
            Act::Forget => self.forget(&store),
            Act::Undo => self.undo(&store),
            Act::Prune => self.prune(&store),
            Act::Verify => self.verify(&store),
            Act::Read => self.read(&store),
        };
        let told = outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        self.stage.note(self.number, &format!("{:?}: {act:?} ends: {told}", self.bench.who));
        if let Err(error) = outcome
            && !self.stage.was_hit(self.number)
            && !is_expected(&*error)
        {
            self.promises.fault(format!("{:?}: {act:?} fails for no reason: {error}", self.bench.who));
        }
    }

    fn snapshot(&mut self, store: &Arc<dyn Store>, round: usize) -> Result<String, Failure> {
        self.workshop.change_some(&mut self.bench, &mut self.dice);
        let tag = format!("{:?}{round}", self.bench.who).to_lowercase();
        self.promises.begin(&tag, &self.bench);
        let options = self.bench.options(&tag, self.dice.clone());
        self.dice.roll(2);
        let mut repository = self.bench.host.open(store.clone(), &self.bench.key)?;
        let lock = self.bench.host.writer(&repository)?;
        let summary = snapshot(&mut repository, lock.writer, &options, &Silent)?;
        let id = summary.snapshot.ok_or("no snapshot, and no error")?;
        self.promises.acknowledged(id, &tag);
        self.promises.count("snapshots", 1);
        self.promises.count("snapshots with a parent", u64::from(summary.counts.files_unmodified > 0));
        if repository.refresh().is_ok() {
            self.bench.host.remember(&repository);
        }
        Ok(format!("{} [{tag}]", id.short()))
    }

    fn forget(&mut self, store: &Arc<dyn Store>) -> Result<String, Failure> {
        let mut repository = self.bench.host.open(store.clone(), &self.bench.key)?;
        let mut ids = Vec::new();
        for snapshot in self.in_order(repository.snapshots()) {
            if self.dice.once_in(2) {
                ids.push(snapshot.id);
            }
        }
        self.promises.may_go(&ids);
        let options = forget::Options {
            wish: Wish::Named(ids),
            among: &|_| true,
            meant: true,
            now: Timestamp::now(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let plan = forget(&mut repository, &self.bench.host, &options, &Silent)?;
        self.promises.gone(&plan.goes());
        self.promises.count("forgotten", plan.goes().len() as u64);
        Ok(format!("{} forgotten", plan.goes().len()))
    }

    fn undo(&mut self, store: &Arc<dyn Store>) -> Result<String, Failure> {
        let mut repository = self.bench.host.open(store.clone(), &self.bench.key)?;
        let ids: BTreeSet<SnapshotId> = repository.forgotten().iter().map(|one| one.snapshot.id).collect();
        let all: Vec<SnapshotId> = ids.iter().copied().collect();
        self.promises.may_be_back(&all);
        let undone = undo(&mut repository, &self.bench.host, &ids, &Silent)?;
        let back: Vec<SnapshotId> = undone.back.iter().map(|snapshot| snapshot.id).collect();
        self.promises.back(&back);
        self.promises.count("brought back", back.len() as u64);
        Ok(format!("{} back, {} lost", back.len(), undone.lost.len()))
    }

    fn prune(&mut self, store: &Arc<dyn Store>) -> Result<String, Failure> {
        let passed = self.dice.pick(&[0, 1, 4 * DAY, 8 * DAY]);
        let now = self.clock.fetch_add(passed as i64, Ordering::Relaxed) + passed as i64;
        let options = prune::Options {
            dry_run: self.dice.once_in(12),
            // Said by somebody who errs: others may write.
            exclusive: self.dice.once_in(8),
            wait: Duration::ZERO,
            max_unused: self.dice.pick(&[Limit::Bytes(0), Limit::Thousandths(50), Limit::Unlimited]),
            repack_small: self.dice.once_in(2),
            max_repack: None,
            max_time: None,
            delete_after: Duration::ZERO,
            checkpoint_at: Some(self.dice.pick(&[1, 3, 100])),
            now,
        };
        let mut repository = self.bench.host.open(store.clone(), &self.bench.key)?;
        let summary = prune(&mut repository, &self.bench.host, &options, &Silent)?;
        if !options.dry_run {
            for (what, packs) in [
                ("packs condemned", summary.condemned),
                ("packs rescued", summary.rescued),
                ("packs final", summary.finished),
                ("packs deleted", summary.deleted),
                ("packs repacked", summary.repacked),
            ] {
                self.promises.count(what, packs.packs);
            }
            self.promises.count("prunes that waited", u64::from(!summary.is_complete()));
            let checkpoint = repository.log().state.ledger().checkpoint_number();
            self.promises.count("prunes after a checkpoint", u64::from(checkpoint > 0));
        }
        Ok(format!(
            "{} condemned, {} rescued, {} final, {} deleted, {} repacked, {} waiting",
            summary.condemned.packs,
            summary.rescued.packs,
            summary.finished.packs,
            summary.deleted.packs,
            summary.repacked.packs,
            summary.waiting.len()
        ))
    }

    fn verify(&mut self, store: &Arc<dyn Store>) -> Result<String, Failure> {
        let level = self.dice.pick(&[Level::Quick, Level::Structure, Level::Full]);
        let repository = self.bench.host.open(store.clone(), &self.bench.key)?;
        let summary = verify_with(1, &repository, &self.bench.host, level, &Silent)?;
        // The second copy of an entry may be late: what the first one still has is no loss.
        for finding in summary.findings.iter().filter(|finding| !finding.healable) {
            self.promises.fault(format!("beside others, verify finds {}: {}", finding.object, finding.what));
        }
        Ok(format!("{} findings", summary.findings.len()))
    }

    fn read(&mut self, store: &Arc<dyn Store>) -> Result<String, Failure> {
        let mut repository = self.bench.host.open(store.clone(), &self.bench.key)?;
        let (pinned, began) = (self.dice.once_in(2), self.clock.load(Ordering::Relaxed));
        let pin = if pinned { Some(repository.pin()?) } else { None };
        if pinned {
            repository.refresh()?;
        }
        let read = self.read_one(&repository, pin.is_some().then_some(began));
        if let Some(pin) = pin {
            repository.unpin(&pin)?;
        }
        read
    }

    /// Reads a snapshot as it was shown; `pinned` is the pruners' clock at the time of the pin.
    fn read_one(&mut self, repository: &Repository, pinned: Option<i64>) -> Result<String, Failure> {
        let snapshots = self.in_order(repository.snapshots());
        if snapshots.is_empty() {
            return Ok("nothing to read".to_owned());
        }
        let chosen = snapshots[self.dice.roll(snapshots.len() as u64) as usize];
        let reader = self.bench.host.reader(repository, &IndexClass::BOTH, CACHE)?;
        let reader: Arc<dyn ChunkSource> = Arc::new(reader);
        // A pin that is a week old by a pruner's clock counts no more.
        let week = 7 * DAY as i64;
        let holds = |began: i64| self.clock.load(Ordering::Relaxed) - began < week;
        match self.promises.read(&reader, chosen) {
            Ok(files) if self.promises.is_right(chosen, &files) => {
                self.promises.count("snapshots read", 1);
                let gone = pinned.is_some() && self.promises.was_wished_away(&chosen.id);
                self.promises.count("pinned snapshots read that were to go", u64::from(gone));
                Ok(format!("{} is right", chosen.id.short()))
            }
            Ok(_) => {
                self.promises.fault(format!(
                    "reader: snapshot {} {:?} holds something else",
                    chosen.id.short(),
                    chosen.tags
                ));
                Ok("wrong".to_owned())
            }
            Err(error) if self.stage.was_hit(self.number) => Err(error),
            Err(error) if pinned.is_some_and(holds) => Err(error),
            Err(error) if self.promises.was_wished_away(&chosen.id) => Ok(format!("it went meanwhile: {error}")),
            Err(error) => Err(error),
        }
    }

    /// Snapshots in an order that does not depend on anything random.
    fn in_order<'s>(&self, snapshots: &'s [Snapshot]) -> Vec<&'s Snapshot> {
        let mut all: Vec<&Snapshot> = snapshots.iter().collect();
        all.sort_by_key(|snapshot| (self.writers.get(&snapshot.session.writer), snapshot.session.seq));
        all
    }
}

/// Somebody else may end a session, or decide something first; that is what these say.
fn is_expected(error: &(dyn std::error::Error + 'static)) -> bool {
    let repository = match error.downcast_ref::<snapshot::Error>() {
        Some(snapshot::Error::Repository(error)) => Some(error),
        Some(_) => None,
        None => match error.downcast_ref::<prune::Error>() {
            Some(prune::Error::Repository(error)) => Some(error),
            Some(_) => None,
            None => error.downcast_ref::<repository::Error>(),
        },
    };
    matches!(repository, Some(repository::Error::Aborted { .. }))
}

/// The names under which these hosts write.
pub fn writers(store: &Arc<dyn Store>, benches: &[&Bench]) -> BTreeMap<WriterId, Who> {
    let mut writers = BTreeMap::new();
    for bench in benches.iter().filter(|bench| bench.who.writes()) {
        let repository: Repository = bench.host.open(store.clone(), &bench.key).unwrap();
        writers.insert(bench.host.writer(&repository).unwrap().writer, bench.who);
    }
    writers
}
