//! One seed: who takes part, what each does, and what must hold afterwards.

use super::dice::Dice;
use super::player::{Act, Player, writers};
use super::promises::Promises;
use super::stage::{Stage, Weather};
use super::workshop::{BEGINNING, Bench, Who, Workshop};
use boveda::event::Silent;
use boveda::ops::forget::undo;
use boveda::ops::prune::{self, Limit, prune};
use boveda::ops::snapshot::snapshot;
use boveda::ops::verify::{Level, verify_with};
use boveda::repo::id::SnapshotId;
use boveda::store::Store;
use boveda::store::memory::MemoryStore;
use boveda::system::simulated;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came of a seed.
pub struct Played {
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// What should not have happened.
    pub faults: Vec<String>,
    /// All that happened, call by call.
    pub trace: Vec<String>,
}

/// After everything: by the pruner's clock all sessions are long silent.
const LATE: i64 = 1_900_000_000;

/// The randomness of one of a seed's threads.
fn stream(seed: u64, number: u64) -> simulated::Seed {
    let mut stream = simulated::Seed::default();
    stream[..8].copy_from_slice(&seed.to_le_bytes());
    stream[8..16].copy_from_slice(&(number + 1).to_le_bytes());
    stream
}

/// Plays a seed.
pub fn play(workshop: &Workshop, seed: u64) -> Played {
    let clock = Arc::new(AtomicI64::new(BEGINNING));
    let _here = simulated::enter(&stream(seed, 0), Arc::clone(&clock));
    let mut dice = Dice::new(seed, 0);
    let weather = Weather::of(&mut dice);
    let memory = workshop.store();
    let hosts = workshop.hosts();
    let promises = Promises::default();
    let benches: Vec<Bench> = Who::ALL.into_iter().map(|who| workshop.bench(who, hosts.path())).collect();
    for bench in benches.iter().filter(|bench| bench.who.writes()) {
        promises.begin(&bench.first_tag(), bench);
    }
    let plain: Arc<dyn Store> = memory.clone();
    let names = writers(&plain, &benches.iter().collect::<Vec<_>>());
    let mut cast: Vec<Bench> = Vec::new();
    let mut home: Vec<Bench> = Vec::new();
    for bench in benches {
        // Three or so of five take part.
        if dice.roll(5) < 3 { cast.push(bench) } else { home.push(bench) }
    }
    let stage = Arc::new(Stage::new(memory.clone(), seed, weather, cast.len()));
    let auditor = Mutex::new(workshop.auditor(hosts.path()));
    let back = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..)
            .zip(cast)
            .map(|(number, bench)| {
                let dice = Dice::new(seed, 10 + bench.who as u64);
                let player = Player {
                    number,
                    bench,
                    workshop,
                    stage: stage.clone(),
                    promises: &promises,
                    clock: &clock,
                    dice,
                    writers: &names,
                };
                let (memory, auditor) = (&memory, &auditor);
                let own = stream(seed, 1 + number as u64);
                scope.spawn(move || {
                    let _here = simulated::enter(&own, Arc::clone(player.clock));
                    live(player, memory, auditor)
                })
            })
            .collect();
        clients.into_iter().filter_map(|client| client.join().ok()).collect::<Vec<Bench>>()
    });
    home.extend(back);
    stage.clear_up();
    let auditor = auditor.into_inner().unwrap();
    promises.check(&memory, &auditor, "at the end");
    home.sort_by_key(|bench| bench.who);
    if let Err(error) = goes_on(&memory, &mut home, &promises, &auditor) {
        promises.fault(format!("afterwards: {error}"));
    }
    home.iter_mut().for_each(|bench| workshop.restore_source(bench));
    promises.count("steps", stage.steps());
    let trace = stage.trace();
    let told = |what: &str| trace.iter().filter(|line| line.contains(what)).count() as u64;
    promises.count("deaths", told("the client dies"));
    promises.count("lost answers", told("is not answered"));
    promises.count("late requests", told("something late arrives"));
    Played { counts: promises.counts(), faults: promises.faults(), trace }
}

/// A client's life: some acts, and a look at everything now and then.
fn live(mut player: Player<'_>, memory: &Arc<MemoryStore>, auditor: &Mutex<Bench>) -> Bench {
    // Whatever happens in here, the others must not wait for it.
    struct Leaving(Arc<Stage>, usize);
    impl Drop for Leaving {
        fn drop(&mut self) {
            self.0.leave(self.1);
        }
    }
    let leaving = Leaving(player.stage.clone(), player.number);
    let acts = 2 + player.dice.roll(4) as usize;
    for round in 0..acts {
        let act = player.choose();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| player.act(act, round)));
        if done.is_err() {
            player.promises.fault(format!("{:?}: {act:?} panics", player.bench.who));
        }
        // Between two acts nobody else is on turn.
        if act == Act::Prune && player.dice.once_in(3) {
            let now = Arc::new(memory.fork());
            player.promises.check(&now, &auditor.lock().unwrap(), &format!("after a prune of {:?}", player.bench.who));
        }
    }
    drop(leaving);
    player.bench
}

/// Nothing fails any more: everybody goes on, all that is not needed goes, and all else is whole.
fn goes_on(
    memory: &Arc<MemoryStore>,
    all: &mut [Bench],
    promises: &Promises,
    auditor: &Bench,
) -> Result<(), Box<dyn std::error::Error>> {
    let store: Arc<dyn Store> = memory.clone();
    for bench in all.iter().filter(|bench| bench.who.writes()) {
        let tag = format!("last of {:?}", bench.who).to_lowercase();
        promises.begin(&tag, bench);
        let mut repository = bench.host.open(store.clone(), &bench.key)?;
        let lock = bench.host.writer(&repository)?;
        let summary = snapshot(&mut repository, lock.writer, &bench.options(&tag, Dice::new(0, 0)), &Silent)?;
        promises.acknowledged(summary.snapshot.ok_or("no snapshot")?, &tag);
    }
    promises.check(memory, auditor, "after everybody's next snapshot");
    let options = prune::Options {
        exclusive: true,
        wait: Duration::ZERO,
        max_unused: Limit::Bytes(0),
        repack_small: true,
        checkpoint_at: Some(1),
        now: LATE,
        ..prune::Options::default()
    };
    let mut repository = auditor.host.open(store.clone(), &auditor.key)?;
    let summary = prune(&mut repository, &auditor.host, &options, &Silent)?;
    if !summary.is_complete() {
        promises.fault("an exclusive prune waits for somebody".to_owned());
    }
    promises.check(memory, auditor, "after the last prune");
    let mut repository = auditor.host.open(store, &auditor.key)?;
    let verified = verify_with(1, &repository, &auditor.host, Level::Full, &Silent)?;
    for finding in verified.findings {
        promises.fault(format!("at last, verify finds {}: {}", finding.object, finding.what));
    }
    let forgotten: BTreeSet<SnapshotId> = repository.forgotten().iter().map(|one| one.snapshot.id).collect();
    let ids: Vec<SnapshotId> = forgotten.iter().copied().collect();
    promises.may_be_back(&ids);
    let undone = undo(&mut repository, &auditor.host, &forgotten, &Silent)?;
    promises.back(&undone.back.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>());
    promises.check(memory, auditor, "after all forgets were undone");
    Ok(())
}
