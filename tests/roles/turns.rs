//! Two at once over one store: one goes so far, then the other goes so far, then the first to its end, then the other. For every
//! pair of places where they may change over, with `BOVEDA_TEST_FULL=1`; else for some.

use crate::world::hooked::Hooked;
use boveda::event::Silent;
use boveda::repo::keys::credential::Credential;
use boveda::repo::repository::Repository;
use boveda::store::Store;
use boveda::store::memory::MemoryStore;
use std::sync::{Arc, Condvar, Mutex};

type Action<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Holds back the calls of one store, or does something before one of them.
#[derive(Default)]
struct Turnstile {
    state: Mutex<Turns>,
    changed: Condvar,
}

#[derive(Default)]
struct Turns {
    /// How many more calls may pass; all, if there is no number.
    left: Option<u64>,
    waiting: bool,
    over: bool,
    calls: u64,
    /// The call that another's turn comes before.
    yields: Option<(u64, Arc<Turnstile>, u64)>,
}

impl Turnstile {
    fn pass(&self) {
        let mut turns = self.state.lock().unwrap();
        turns.calls += 1;
        if turns.yields.as_ref().is_some_and(|(at, ..)| *at == turns.calls) {
            let (_, other, calls) = turns.yields.take().unwrap();
            drop(turns);
            other.turn(calls);
            turns = self.state.lock().unwrap();
        }
        while turns.left == Some(0) {
            turns.waiting = true;
            self.changed.notify_all();
            turns = self.changed.wait(turns).unwrap();
        }
        turns.waiting = false;
        turns.left = turns.left.map(|left| left - 1);
    }

    /// Lets so many calls pass, and waits until they did or no more come.
    fn turn(&self, calls: u64) {
        let mut turns = self.state.lock().unwrap();
        (turns.left, turns.waiting) = (Some(calls), false);
        self.changed.notify_all();
        while !(turns.over || (turns.left == Some(0) && turns.waiting)) {
            turns = self.changed.wait(turns).unwrap();
        }
    }

    fn set(&self, change: impl FnOnce(&mut Turns)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

/// Two stores over one, and who may call when.
pub struct Race {
    turnstiles: [Arc<Turnstile>; 2],
    pub stores: [Arc<dyn Store>; 2],
}

impl Race {
    /// Both go to one store.
    pub fn over(memory: &Arc<MemoryStore>) -> Self {
        let turnstiles = [Arc::<Turnstile>::default(), Arc::default()];
        let stores = turnstiles.clone().map(|turnstile| {
            Hooked::before(memory.clone(), move |_| {
                turnstile.pass();
                Ok(())
            })
        });
        Self { turnstiles, stores }
    }

    /// Both repositories, opened before the race begins.
    pub fn opened(&self, keys: [&Credential; 2]) -> [Repository; 2] {
        let open = |at: usize| Repository::open(self.stores[at].clone(), keys[at], |_| None, Arc::new(Silent)).unwrap();
        [open(0), open(1)]
    }

    /// Lets the second make `second` calls before the `first` call of the first. Whether the first ever came so far.
    pub fn run(&self, (first, second): (u64, u64), ours: impl FnOnce(), theirs: impl FnOnce() + Send) -> bool {
        let [a, b] = &self.turnstiles;
        b.set(|turns| turns.left = Some(0));
        a.set(|turns| (turns.calls, turns.yields) = (0, Some((first, b.clone(), second))));
        std::thread::scope(|scope| {
            let theirs: Action<'_> = Box::new(theirs);
            let thread = scope.spawn(move || {
                theirs();
                b.set(|turns| turns.over = true);
            });
            ours();
            b.set(|turns| turns.left = None);
            thread.join().unwrap();
        });
        self.turnstiles[0].state.lock().unwrap().yields.is_none()
    }
}

/// Goes through pairs of places to change over. `race` says whether the first one was ever reached.
pub fn everywhere(stride: u64, mut race: impl FnMut((u64, u64)) -> bool) {
    let stride = if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 1 } else { stride };
    let mut tried = 0;
    for first in (1..).step_by(stride as usize) {
        for second in (1 + first % stride..60).step_by(stride as usize) {
            if !race((first, second)) {
                assert!(tried > 3, "the race is over before it began");
                return;
            }
            tried += 1;
        }
    }
}
