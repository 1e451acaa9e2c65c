//! Who acts next: one client at a time, from one call of the store to the next, in an order that the seed gives.
//!
//! Clients are threads. Each call of the store waits for its turn; a turn is given only when every client that is still there waits for
//! one, so that what happens depends on the seed alone. What the store makes of a call is decided in the same place.

use super::dice::Dice;
use boveda::store::memory::MemoryStore;
use boveda::store::{Error, ErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a client may compute without calling the store: beyond that the simulation hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client's number.
pub type Client = usize;

/// A request that reaches the store whenever it likes.
pub type Request = Arc<dyn Fn(&MemoryStore) + Send + Sync>;

/// How bad things are.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// A client stays on turn for about so many calls.
    pub stays: u64,
    /// One call in so many fails; 0: none.
    pub fails: u64,
    /// One put or delete in so many is late, or comes twice; 0: none.
    pub strays: u64,
    /// One act in so many ends with the death of its client; 0: none.
    pub dies: u64,
}

impl Weather {
    /// Of a seed.
    pub fn of(dice: &mut Dice) -> Self {
        Self {
            stays: dice.pick(&[1, 3, 10, 40, 150]),
            fails: dice.pick(&[0, 0, 300, 60]),
            strays: dice.pick(&[0, 40, 8]),
            dies: dice.pick(&[0, 6, 2]),
        }
    }
}

/// What becomes of a call.
enum Fate {
    Fair,
    /// It is not done.
    Before(ErrorKind),
    /// It is done, and the answer is lost.
    After(ErrorKind),
    /// It is done after so many more steps, and the answer is lost.
    Late(ErrorKind, u64),
    /// It is done, and once more after so many more steps.
    Twice(u64),
}

/// The cause of failures that the weather brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the weather")]
pub struct TheWeather;

struct State {
    dice: Dice,
    weather: Weather,
    live: BTreeSet<Client>,
    waiting: BTreeMap<Client, u64>,
    running: Option<Client>,
    granted: Option<Client>,
    steps: u64,
    last: Client,
    /// Calls until a client dies.
    doomed: BTreeMap<Client, u64>,
    dead: BTreeSet<Client>,
    /// Clients whom the store failed since their act began.
    failed: BTreeSet<Client>,
    strays: Vec<(u64, Request)>,
    trace: Vec<String>,
}

/// The stage that clients share.
pub struct Stage {
    memory: Arc<MemoryStore>,
    state: Mutex<State>,
    turn: Condvar,
}

impl Stage {
    /// A stage for so many clients over one store.
    pub fn new(memory: Arc<MemoryStore>, seed: u64, weather: Weather, clients: usize) -> Self {
        let state = State {
            dice: Dice::new(seed, 1),
            weather,
            live: (0..clients).collect(),
            waiting: BTreeMap::new(),
            running: None,
            granted: None,
            steps: 0,
            last: 0,
            doomed: BTreeMap::new(),
            dead: BTreeSet::new(),
            failed: BTreeSet::new(),
            strays: Vec::new(),
            trace: Vec::new(),
        };
        Self { memory, state: Mutex::new(state), turn: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that were made so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// What happened, call by call.
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Adds a line to what happened.
    pub fn note(&self, client: Client, text: &str) {
        self.state().trace.push(format!("{client}: -- {text}"));
    }

    /// A client begins an act: it is alive, and may be going to die.
    pub fn begin(&self, client: Client) {
        let mut state = self.state();
        state.dead.remove(&client);
        state.doomed.remove(&client);
        state.failed.remove(&client);
        let times = state.weather.dies;
        if state.dice.once_in(times) {
            let most = state.dice.pick(&[10, 60, 200]);
            let calls = state.dice.roll(most);
            state.doomed.insert(client, calls);
        }
    }

    /// Whether the store failed this client, or it died, since its act began.
    pub fn was_hit(&self, client: Client) -> bool {
        self.state().failed.contains(&client)
    }

    /// A client goes home.
    pub fn leave(&self, client: Client) {
        let mut state = self.state();
        state.live.remove(&client);
        state.waiting.remove(&client);
        if state.running == Some(client) {
            state.running = None;
        }
        state.choose();
        self.turn.notify_all();
    }

    /// Whatever is still under way arrives.
    pub fn clear_up(&self) {
        let strays = std::mem::take(&mut self.state().strays);
        strays.iter().for_each(|(_, request)| request(&self.memory));
    }

    /// A client waits for its turn, without calling anything: what it does until its next call, nobody does at the same time.
    pub fn take_turn(&self, client: Client) {
        drop(self.wait(self.state(), client));
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>, client: Client) -> MutexGuard<'a, State> {
        *state.waiting.entry(client).or_default() += 1;
        if state.running == Some(client) {
            state.running = None;
        }
        state.choose();
        self.turn.notify_all();
        while state.granted != Some(client) {
            let (next, timeout) = self.turn.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            assert!(!timeout.timed_out(), "client {client} waits in vain for its turn");
        }
        state.granted = None;
        state.running = Some(client);
        if let Some(count) = state.waiting.get_mut(&client) {
            *count -= 1;
        }
        state
    }

    /// A client's call of the store, when its turn comes. `again` does the same to the store once more, where that can happen.
    pub fn call<T>(
        &self,
        client: Client,
        (action, object): (&'static str, &str),
        act: impl FnOnce(&MemoryStore) -> Result<T, Error>,
        again: Option<Request>,
    ) -> Result<T, Error> {
        let fail = |kind| {
            let (object, place) = (object.to_owned(), "simulation".to_owned());
            Error { kind, action, object, place, source: Arc::new(TheWeather) }
        };
        let state = self.state();
        if state.dead.contains(&client) {
            return Err(fail(ErrorKind::Other));
        }
        let mut state = self.wait(state, client);
        state.arrive(&self.memory);
        let fate = state.fate(client, again.is_some());
        let told = match &fate {
            Fate::Fair => "",
            Fate::Before(_) => " fails",
            Fate::After(_) => " is not answered",
            Fate::Late(..) => " is late",
            Fate::Twice(_) => " comes twice",
        };
        let died = if state.dead.contains(&client) { ", and the client dies" } else { "" };
        let line = format!("{client}: {action} {object}{told}{died}");
        state.trace.push(line);
        match fate {
            Fate::Fair => act(&self.memory),
            Fate::Before(kind) => Err(fail(kind)),
            Fate::After(kind) => {
                drop(act(&self.memory));
                Err(fail(kind))
            }
            Fate::Late(kind, after) => {
                let due = state.steps + after;
                state.strays.extend(again.map(|request| (due, request)));
                Err(fail(kind))
            }
            Fate::Twice(after) => {
                let due = state.steps + after;
                state.strays.extend(again.map(|request| (due, request)));
                act(&self.memory)
            }
        }
    }
}

impl State {
    /// Gives a turn, if nobody has it and all wait for one.
    fn choose(&mut self) {
        let Self { dice, live, waiting, last, .. } = self;
        let waits = |client: &Client| waiting.get(client).is_some_and(|count| *count > 0);
        if self.running.is_some() || self.granted.is_some() || live.is_empty() || !live.iter().all(waits) {
            return;
        }
        if !live.contains(last) || dice.once_in(self.weather.stays) {
            let all: Vec<Client> = live.iter().copied().collect();
            *last = dice.pick(&all);
        }
        self.steps += 1;
        self.granted = Some(*last);
    }

    fn arrive(&mut self, memory: &MemoryStore) {
        let steps = self.steps;
        let due = |(at, _): &mut (u64, Request)| *at <= steps;
        let arrived: Vec<_> = self.strays.extract_if(.., due).collect();
        for (_, request) in arrived {
            self.trace.push("*: something late arrives".to_owned());
            request(memory);
        }
    }

    fn fate(&mut self, client: Client, may_stray: bool) -> Fate {
        let dies = match self.doomed.get_mut(&client) {
            Some(0) => true,
            Some(calls) => {
                *calls -= 1;
                false
            }
            None => false,
        };
        let delay = self.dice.pick(&[5, 50, 500]);
        let delay = self.dice.roll(delay);
        if dies {
            self.dead.insert(client);
            self.failed.insert(client);
            return match self.dice.roll(3) {
                0 => Fate::Before(ErrorKind::Other),
                1 if may_stray => Fate::Late(ErrorKind::Other, delay),
                _ => Fate::After(ErrorKind::Other),
            };
        }
        let Weather { fails, strays, .. } = self.weather;
        if self.dice.once_in(fails) {
            self.failed.insert(client);
            let kind = self.dice.pick(&[ErrorKind::Temporary, ErrorKind::Full, ErrorKind::Other]);
            return if self.dice.once_in(2) { Fate::Before(kind) } else { Fate::After(kind) };
        }
        if may_stray && self.dice.once_in(strays) {
            return match self.dice.roll(3) {
                0 => {
                    self.failed.insert(client);
                    Fate::Late(ErrorKind::Temporary, delay)
                }
                _ => Fate::Twice(delay),
            };
        }
        Fate::Fair
    }
}
