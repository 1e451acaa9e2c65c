//! A store that tries again what failed for the moment: with growing, random waits, as long as its patience lasts.
//!
//! A put whose answer was lost may have been done. When a later try finds the name taken, the bytes there tell whose they
//! are: equal ones are this put's.

use super::archive::{Archive, Thaw};
use super::traffic::Traffic;
use super::{Arrived, Error, ErrorKind, Facts, Listed, ObjectName, Page, Put, Store};
use crate::crypto::secret::random;
use crate::event::Level;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The first wait is at most so long; each following one at most twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// No wait of our own is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A place that is asked for too much may name a longer wait, but not one that ends the run.
const LONGEST_ASKED: Duration = Duration::from_secs(5 * 60);

/// A place that has not answered for so long is told of: nobody should sit before a silent program.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// How often a long wait looks whether to go on.
const LOOK: Duration = Duration::from_millis(200);

/// What a place asks for when it is asked for too much: to be left alone so long. A cause of [`Error`]s may be one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Busy {
    /// What it said.
    pub text: String,
    /// How long it is to be left alone, if it said so.
    pub wait: Option<Duration>,
}

/// A store over another that may fail for the moment.
pub struct Retry {
    inner: Arc<dyn Store>,
    patience: Duration,
    first_wait: Duration,
    told_after: Duration,
    told: AtomicBool,
    traffic: Arc<Traffic>,
}

impl Retry {
    /// Over `inner`; every call is tried again for `patience`. Each new try is counted.
    pub fn new(inner: Arc<dyn Store>, patience: Duration, traffic: Arc<Traffic>) -> Self {
        let told = AtomicBool::new(false);
        Self { inner, patience, first_wait: FIRST_WAIT, told_after: TOLD_AFTER, told, traffic }
    }

    /// The same with another first wait, and told of at once: tests need that.
    #[must_use]
    pub fn waiting(mut self, first_wait: Duration) -> Self {
        (self.first_wait, self.told_after) = (first_wait, Duration::ZERO);
        self
    }

    /// Calls until it succeeds, fails for good, patience is at its end, or somebody asks to stop; the call is told how often it
    /// was tried before.
    fn attempt<T>(&self, mut call: impl FnMut(u32) -> Result<T, Error>) -> Result<T, Error> {
        let start = Instant::now();
        let mut longest = self.first_wait;
        for tried in 0.. {
            let error = match call(tried) {
                Err(error) if error.kind == ErrorKind::Temporary => error,
                outcome => {
                    self.answered();
                    return outcome;
                }
            };
            let wait = jitter(longest).max(asked(&error));
            let waited = start.elapsed() + wait;
            if waited > self.patience {
                return Err(error);
            }
            if waited > self.told_after {
                self.tell(&error);
            }
            self.traffic.retry();
            if !self.sleep(wait) {
                return Err(error);
            }
            longest = (longest * 2).min(LONGEST_WAIT);
        }
        unreachable!("there are more numbers than tries")
    }

    /// Says that the place does not answer, once until it does.
    fn tell(&self, error: &Error) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let minutes = self.patience.as_secs() / 60;
            let long =
                if minutes > 1 { format!("{minutes} minutes") } else { format!("{} s", self.patience.as_secs()) };
            self.traffic.say(Level::Warning, format!("cannot {error}; trying again for up to {long}"));
        }
    }

    fn answered(&self) {
        if self.told.swap(false, Ordering::Relaxed) {
            self.traffic.say(Level::Info, format!("{} answers again", self.inner.place()));
        }
    }

    /// Waits, unless somebody asks to stop meanwhile.
    fn sleep(&self, wait: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.traffic.stopping() {
                return false;
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Whether an object is the one that an earlier, uncertain try put.
    fn is_ours(&self, name: &ObjectName, bytes: &[u8]) -> Result<bool, Error> {
        Ok(self.inner.length(name)? == bytes.len() as u64 && self.inner.get(name)? == bytes)
    }
}

/// Somewhere between nothing and `longest`: so clients that failed together do not come back together.
fn jitter(longest: Duration) -> Duration {
    let fraction = u32::from_le_bytes(random::<4>());
    longest.mul_f64(f64::from(fraction) / f64::from(u32::MAX))
}

fn asked(error: &Error) -> Duration {
    let busy = error.source.downcast_ref::<Busy>();
    busy.and_then(|busy| busy.wait).unwrap_or_default().min(LONGEST_ASKED)
}

impl Store for Retry {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }

    fn seen_is_durable(&self) -> bool {
        self.inner.seen_is_durable()
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.attempt(|_| self.inner.facts(name))
    }

    fn thaw(&self, name: &ObjectName, how: &Thaw) -> Result<Option<Archive>, Error> {
        self.attempt(|_| self.inner.thaw(name, how))
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.attempt(|tried| match self.inner.put(name, bytes)? {
            Put::Exists if tried > 0 && self.is_ours(name, bytes)? => Ok(Put::Created),
            put => Ok(put),
        })
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.attempt(|_| self.inner.settle(name))
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.attempt(|_| self.inner.heal(name, bytes))
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.attempt(|_| self.inner.get(name))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.attempt(|_| self.inner.get_range(name, offset, length))
    }

    fn stream(&self, name: &ObjectName, offset: u64, length: u64, arrived: &Arrived) -> Result<u64, Error> {
        self.attempt(|_| self.inner.stream(name, offset, length, arrived))
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.attempt(|_| self.inner.length(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.attempt(|_| self.inner.list(prefix))
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        self.attempt(|_| self.inner.page())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.attempt(|_| self.inner.delete(name))
    }

    fn delete_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        let outcomes = names.iter().zip(self.inner.delete_all(names));
        // Those that failed for the moment, one by one: what was done already is no error.
        let again = |(name, outcome): (&ObjectName, Result<(), Error>)| match outcome {
            Err(error) if error.kind == ErrorKind::Temporary => self.delete(name),
            outcome => outcome,
        };
        outcomes.map(again).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Fault, FaultStore, Plan};
    use super::super::memory::MemoryStore;
    use super::*;
    use crate::event::{Event, Sink};
    use std::sync::Mutex;

    fn over(inner: Arc<dyn Store>) -> Retry {
        Retry::new(inner, Duration::from_secs(20), Arc::default()).waiting(Duration::from_millis(1))
    }

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    /// Every call of a put fails in turn, before or after it was done: the put has always created it.
    #[test]
    fn an_uncertain_put_is_looked_into() {
        for fault in [Fault::Before, Fault::After] {
            let inner = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
            let retry = over(Arc::clone(&inner) as _);
            inner.plan(Some(Plan::once(1, fault)));
            assert_eq!(retry.put(&name("log/1"), b"mine").unwrap(), Put::Created, "{fault:?}");
            assert_eq!(retry.traffic.counted().retries, 1);
            assert_eq!(
                retry.put(&name("log/1"), b"mine").unwrap(),
                Put::Exists,
                "a put that is certain is not looked into"
            );
        }
    }

    /// Somebody else's object of the same length stands where the answer was lost: then it is theirs.
    #[test]
    fn anothers_object_is_not_taken_for_ours() {
        let memory = Arc::new(MemoryStore::new());
        let inner = Arc::new(FaultStore::new(Arc::clone(&memory) as _));
        inner.plan(Some(Plan::once(1, Fault::Before)));
        memory.put(&name("log/1"), b"them").unwrap();
        assert_eq!(over(inner).put(&name("log/1"), b"mine").unwrap(), Put::Exists);
    }

    #[test]
    fn patience_ends_and_what_is_final_is_final() {
        let inner = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        let retry = Retry::new(Arc::clone(&inner) as _, Duration::from_millis(30), Arc::default());
        let retry = retry.waiting(Duration::from_millis(5));
        inner.plan(Some(Plan { kind: ErrorKind::Temporary, ..Plan::for_good(1, Fault::Before) }));
        let start = Instant::now();
        assert_eq!(retry.get(&name("config")).unwrap_err().kind, ErrorKind::Temporary);
        assert!(start.elapsed() < Duration::from_secs(5) && inner.calls() > 1);
        for kind in [ErrorKind::Denied, ErrorKind::Full, ErrorKind::NotFound, ErrorKind::Config, ErrorKind::Locked] {
            inner.plan(Some(Plan { kind, ..Plan::for_good(1, Fault::Before) }));
            assert_eq!(retry.delete(&name("config")).unwrap_err().kind, kind);
            assert_eq!(inner.calls(), 1, "{kind:?}");
        }
    }

    /// Hears everything, and asks to stop once it has heard `limit` things.
    struct Ear {
        heard: Mutex<Vec<String>>,
        limit: usize,
    }

    impl Sink for Ear {
        fn emit(&self, event: Event) {
            let Event::Message(level, text) = event else { panic!("{event:?}") };
            self.heard.lock().unwrap().push(format!("{level}: {text}"));
        }

        fn stopping(&self) -> bool {
            self.heard.lock().unwrap().len() >= self.limit
        }
    }

    #[test]
    fn a_place_that_does_not_answer_is_told_of_once_until_it_does() {
        let ear = Arc::new(Ear { heard: Mutex::default(), limit: 3 });
        let inner = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        let retry = over(Arc::clone(&inner) as _);
        retry.traffic.listen(Arc::clone(&ear) as _);
        inner.plan(Some(Plan::once(1, Fault::Before)));
        assert_eq!(retry.get(&name("config")).unwrap_err().kind, ErrorKind::NotFound);
        let heard = ear.heard.lock().unwrap().clone();
        assert!(heard[0].starts_with("warning: cannot read config in memory: "), "{heard:?}");
        assert!(heard[0].ends_with("; trying again for up to 20 s"), "{heard:?}");
        assert_eq!(heard[1..], ["info: memory answers again"]);
        // The third thing that is heard asks to stop: patience is not waited for.
        inner.plan(Some(Plan { kind: ErrorKind::Temporary, ..Plan::for_good(1, Fault::Before) }));
        let start = Instant::now();
        assert_eq!(retry.get(&name("config")).unwrap_err().kind, ErrorKind::Temporary);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept() {
        let source = Arc::new(Busy { text: "slow down".to_owned(), wait: Some(Duration::from_secs(7)) });
        let place = String::new();
        let error = Error { kind: ErrorKind::Temporary, action: "read", object: place.clone(), place, source };
        assert_eq!(asked(&error), Duration::from_secs(7));
        assert!(jitter(Duration::from_secs(1)) <= Duration::from_secs(1));
    }
}
