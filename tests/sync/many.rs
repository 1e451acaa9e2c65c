//! Many packs, cut short again and again: a sync that is done as often as it takes ends with what the source has, and sends nothing twice.

use super::{Pair, shared};
use crate::world::hooked::{Action, Hooked};
use crate::world::{Listener, noise};
use boveda::ops::sync::{Check, Options, sync};
use boveda::ops::verify::{self, Level};
use boveda::repo::effort::Effort;
use boveda::repo::id::ChunkKind;
use boveda::repo::pack::PackSize;
use boveda::store::Store;
use boveda::store::faults::{Fault, FaultStore, Plan};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often it is cut short.
const CUTS: u64 = 20;

/// Ten thousand at full scale.
fn packs() -> u64 {
    if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 10_000 } else { 300 }
}

/// A file that is one chunk.
fn content(number: u64) -> Vec<u8> {
    noise(number, 4096)
}

/// A number that is the same in every run.
fn seeded(number: u64, below: u64) -> u64 {
    let hash = blake3::hash(&number.to_le_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()) % below
}

/// A source whose last snapshot needs so many packs, each of which holds one of its files.
fn source(packs: u64) -> Pair {
    let (pair, _) = Pair::with(&[1]);
    let mut repository = pair.machine.open(&pair.world.store, &pair.world.admin).unwrap();
    let lock = pair.machine.host.writer(&repository).unwrap();
    let first = repository.snapshots()[0].clone();
    let session = repository.begin(lock.writer, false).unwrap();
    let mut summaries = Vec::new();
    for number in 0..packs {
        let writer = session.pack_writer(Effort::default(), PackSize::default());
        let mut lane = writer.lane();
        lane.put(ChunkKind::Data, &content(number)).unwrap();
        lane.flush().unwrap();
        drop(lane);
        summaries.extend(writer.finish().unwrap().0);
    }
    session.commit(&summaries, &first.structure, &first.private.unwrap()).unwrap();
    drop(lock);
    for number in 0..packs {
        std::fs::write(pair.source.join(format!("file{number}")), content(number)).unwrap();
    }
    let taken = pair.machine.snapshot(&pair.world, &pair.world.admin, &pair.source);
    assert!(taken.bytes_added < packs * 4096 / 2, "its files are in packs already: {taken:?}");
    assert!(pair.world.store.list("packs").unwrap().len() as u64 >= packs);
    pair
}

/// One sync on a machine that goes on existing.
fn once(pair: &Pair, copy: &Arc<dyn Store>) -> Result<u64, String> {
    let mut source = pair.machine.open(&pair.world.store, &pair.world.admin).unwrap();
    let options = Options { check: Check::None, ..Options::default() };
    let summary = sync(&pair.machine.host, &mut source, copy, &options, &Listener::default());
    summary.map(|summary| summary.packs.packs).map_err(|error| error.to_string())
}

/// A place that is gone for good from the `at`th pack that is put, or from the `at`th call of any kind; the call that it fails with was
/// done or not.
fn cut(pair: &Pair, at: u64, in_packs: bool, fault: Fault, sent: &Arc<AtomicU64>) -> Arc<dyn Store> {
    let faulty = Arc::new(FaultStore::new(pair.copy.clone()));
    if !in_packs {
        faulty.plan(Some(Plan::for_good(at, fault)));
    }
    let (inner, sent, seen): (Arc<dyn Store>, _, _) = (faulty.clone(), sent.clone(), AtomicU64::new(0));
    Hooked::before(inner, move |call| {
        if call.action == Action::Put && call.name.starts_with("packs/") {
            sent.fetch_add(1, Ordering::SeqCst);
            if in_packs && seen.fetch_add(1, Ordering::SeqCst) + 1 == at {
                faulty.plan(Some(Plan::for_good(1, fault)));
            }
        }
        Ok(())
    })
}

#[track_caller]
fn restores(pair: &Pair, target: &Path, packs: u64) {
    let machine = pair.world.machine("fresh");
    let repository = machine.open(&pair.copy, &pair.world.admin).unwrap();
    let found = verify::verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap();
    assert_eq!(found.findings, []);
    assert_eq!(repository.snapshots().len(), 3);
    let newest = repository.snapshots().iter().max_by_key(|snapshot| snapshot.time()).unwrap().id;
    machine.restore(&repository, &newest, &pair.source, target);
    for number in 0..packs {
        assert!(std::fs::read(target.join(format!("file{number}"))).unwrap() == content(number), "file{number}");
    }
}

#[test]
fn cut_short_twenty_times_it_ends_identical() {
    let packs = packs();
    let pair = source(packs);
    let sent = Arc::new(AtomicU64::new(0));
    let count = || pair.copy.list("packs").unwrap().len() as u64;
    let (mut at_work, mut before) = (0, 0);
    for number in 0..CUTS {
        let fault = if number % 2 == 0 { Fault::After } else { Fault::Before };
        // Every fifth time anywhere: while it opens, founds or looks.
        let in_packs = number % 5 != 4;
        let at = 1 + seeded(number, if in_packs { packs / 10 } else { 25 });
        let outcome = once(&pair, &cut(&pair, at, in_packs, fault, &sent));
        assert!(outcome.is_err(), "cut {number} at {at}");
        at_work += u64::from(count() > before);
        before = count();
    }
    assert!(at_work > CUTS / 2 && before < packs, "{at_work} cuts among the packs, {before} of {packs} there");
    let copy: Arc<dyn Store> = pair.copy.clone();
    let last = once(&pair, &copy).unwrap();
    let all = pair.world.store.list("packs").unwrap().len() as u64;
    assert_eq!(last, all - before, "what is there is not sent again");
    // Of each cut, what was under way: four packs at most.
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent + last <= all + 4 * CUTS, "{sent} and {last} of {all}");
    assert_eq!(shared(&pair.copy), shared(&pair.world.store));
    restores(&pair, &pair.world.path("out"), packs);
    // And nothing is left to do.
    let objects = pair.copy.objects();
    assert_eq!(once(&pair, &copy).unwrap(), 0);
    assert!(pair.copy.objects() == objects);
}
