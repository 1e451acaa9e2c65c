//! Packs on their way: read at the source, held against their names, put at the copy; several at once.

use super::pack_name;
use super::plan::PackToPut;
use crate::event::{Event, Progress, Sink, Stage};
use crate::repo::chunks;
use crate::repo::id::PackId;
use crate::repo::pack;
use crate::repo::repository::Error;
use crate::store::{ErrorKind, Put, Store};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What became of them.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those that were put.
    pub put: Vec<PackToPut>,
    /// Those that are gone at the source.
    pub vanished: Vec<PackId>,
    /// Those that are damaged there beyond their parity, and why.
    pub lost: Vec<(PackId, String)>,
}

/// Copies packs, so many at once; `put` hears of each one that was put, with its bytes. Those that are done stay done, whatever
/// becomes of the others.
///
/// # Errors
/// When a store fails, or somebody asked to stop: the first failure.
pub fn packs(
    source: &dyn Store,
    copy: &dyn Store,
    packs: &[PackToPut],
    connections: usize,
    put: &(dyn Fn(&PackId, &[u8]) + Sync),
    events: &dyn Sink,
) -> Result<Outcome, Error> {
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((Outcome::default(), None::<Error>, Progress::default()));
    let bytes_total = packs.iter().map(|pack| pack.length).sum();
    let work = || {
        loop {
            if lock(&shared).1.is_some() {
                return;
            }
            let Some(pack) = packs.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let moved =
                if events.stopping() { Err(chunks::Error::Stopped.into()) } else { one(source, copy, pack, put) };
            let (outcome, failure, progress) = &mut *lock(&shared);
            match moved {
                Ok(Moved::Put) => outcome.put.push(*pack),
                Ok(Moved::Vanished) => outcome.vanished.push(pack.id),
                Ok(Moved::Lost(why)) => outcome.lost.push((pack.id, why)),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
            progress.files += 1;
            progress.bytes += pack.length;
            let totals = Progress { files_total: packs.len() as u64, bytes_total, ..*progress };
            events.emit(Event::Progress(Stage::Sync, totals));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..connections.clamp(1, packs.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let (outcome, failure, _) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(outcome), Err)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Moved {
    Put,
    Vanished,
    Lost(String),
}

fn one(
    source: &dyn Store,
    copy: &dyn Store,
    to_put: &PackToPut,
    put: &(dyn Fn(&PackId, &[u8]) + Sync),
) -> Result<Moved, Error> {
    let name = pack_name(to_put.id).object();
    let stored = match source.get(&name) {
        Ok(stored) => stored,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Moved::Vanished),
        Err(error) => return Err(error.into()),
    };
    let stored = match proven(&to_put.id, stored) {
        Ok(stored) => stored,
        Err(why) => return Ok(Moved::Lost(why)),
    };
    let created = !to_put.damaged && copy.put(&name, &stored)? == Put::Created;
    // What has the name already may be what a put left that was cut short, or nothing but damage.
    let healed = !created && (to_put.damaged || copy.length(&name)? != stored.len() as u64);
    if healed {
        copy.heal(&name, &stored)?;
    }
    // What others put meanwhile nobody has looked into.
    if created || healed {
        put(&to_put.id, &stored);
    }
    Ok(Moved::Put)
}

/// A pack's bytes, healed if need be, if they are what its name promises.
pub fn proven(id: &PackId, stored: Vec<u8>) -> Result<Vec<u8>, String> {
    if pack::is_intact(id, &stored) { Ok(stored) } else { pack::heal(id, &stored).map_err(|error| error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash;
    use crate::event::Silent;
    use crate::store::faults::{Fault, FaultStore, Plan};
    use crate::store::memory::MemoryStore;
    use std::sync::Arc;

    /// Ten thousand packs, interrupted twenty times in both ways: what is sent again is what is not there, and all ends as it is at the
    /// source.
    #[test]
    fn ten_thousand_packs_interrupted_twenty_times_end_identical() {
        let (source, copy) = (MemoryStore::new(), Arc::new(MemoryStore::new()));
        let mut all = Vec::new();
        for number in 0..10_000_u64 {
            let bytes = number.to_le_bytes().repeat(8);
            let id = PackId(hash::sha256(&bytes));
            source.put(&pack_name(id).object(), &bytes).unwrap();
            all.push(PackToPut { id, length: bytes.len() as u64, damaged: false, expected: false });
        }
        let faulty = FaultStore::new(copy.clone());
        let mut sent = 0;
        for turn in 0..21 {
            let missing: Vec<_> =
                all.iter().filter(|pack| copy.length(&pack_name(pack.id).object()).is_err()).copied().collect();
            let before = missing.len();
            let fault = if turn % 2 == 0 { Fault::Before } else { Fault::After };
            faulty.plan((turn < 20).then(|| Plan::for_good(300 + 13 * turn, fault)));
            let outcome = packs(&source, &faulty, &missing, 4, &|_, _| (), &Silent);
            assert_eq!(outcome.is_err(), turn < 20, "{turn}");
            let left = all.iter().filter(|pack| copy.length(&pack_name(pack.id).object()).is_err()).count();
            assert!(left < before, "{turn}");
            sent += before - left;
        }
        assert_eq!((sent, source.objects() == copy.objects()), (10_000, true));
    }

    #[test]
    fn a_pack_that_is_damaged_beyond_its_parity_never_goes_out() {
        let (source, copy) = (MemoryStore::new(), MemoryStore::new());
        let id = PackId(hash::sha256(b"pack"));
        source.put(&pack_name(id).object(), b"p4ck").unwrap();
        let pack = PackToPut { id, length: 4, damaged: false, expected: true };
        let gone = PackToPut { id: PackId([7; 32]), ..pack };
        let outcome = packs(&source, &copy, &[pack, gone], 2, &|_, _| (), &Silent).unwrap();
        assert_eq!((outcome.lost.len(), outcome.vanished, outcome.put), (1, vec![gone.id], vec![]));
        assert!(copy.objects().is_empty());
    }

    /// Keeps the last numbers.
    #[derive(Default)]
    struct Last(Mutex<Progress>);

    impl Sink for Last {
        fn emit(&self, event: Event) {
            if let Event::Progress(Stage::Sync, numbers) = event {
                *lock(&self.0) = numbers;
            }
        }
    }

    #[test]
    fn the_last_numbers_are_those_of_all_packs() {
        let (source, copy, last) = (MemoryStore::new(), MemoryStore::new(), Last::default());
        let all: Vec<PackToPut> = (1..=9_u8)
            .map(|number| {
                let bytes = vec![number; number.into()];
                let id = PackId(hash::sha256(&bytes));
                source.put(&pack_name(id).object(), &bytes).unwrap();
                PackToPut { id, length: number.into(), damaged: false, expected: false }
            })
            .collect();
        packs(&source, &copy, &all, 4, &|_, _| (), &last).unwrap();
        let Progress { files, files_total, bytes, bytes_total, .. } = *lock(&last.0);
        assert_eq!([files, files_total, bytes, bytes_total], [9, 9, 45, 45]);
    }
}
