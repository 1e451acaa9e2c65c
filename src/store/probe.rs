//! What a place can do, found out by trying it: whether racing puts have one winner, ranges, listings after writes, and how
//! fast it is. Works under a prefix of its own that no object of a repository has, and removes what it put.

use super::{Error, ErrorKind, Facts, ObjectName, Put, Store};
use crate::crypto::hash::hex;
use crate::crypto::secret::random;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clients that put one name at once.
const RACERS: usize = 8;
/// Names that they race for.
const ROUNDS: usize = 12;
/// Small requests that latency is measured with.
const SMALL: usize = 10;

/// What came of one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It can.
    Yes,
    /// It cannot, and why that is known.
    No(String),
    /// It could not be found out, and why.
    Unknown(String),
}

/// What was found out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Putting what is not there, reading it back.
    pub writes: Answer,
    /// A second put leaves the first alone.
    pub if_absent: Answer,
    /// Of many that put one name at once, one wins.
    pub race: Answer,
    /// Parts of objects.
    pub ranges: Answer,
    /// A listing shows what was put before it.
    pub listing: Answer,
    /// What was put can be removed.
    pub deletes: Answer,
    /// What was put can be replaced.
    pub replaces: Answer,
    /// What the place keeps of an object beside its bytes.
    pub facts: Facts,
    /// The median time of a small read.
    pub latency: Option<Duration>,
    /// Bytes per second of one large put.
    pub upload: Option<f64>,
    /// Bytes per second of one large read.
    pub download: Option<f64>,
}

impl Report {
    /// Whether several clients may write at once.
    pub fn several_writers(&self) -> bool {
        self.if_absent == Answer::Yes && self.race == Answer::Yes && self.listing == Answer::Yes
    }
}

/// Tries a place; `store` should try nothing again by itself. `size` bytes are sent once to measure the line.
///
/// # Errors
/// When nothing at all can be put: why.
pub fn probe(store: &dyn Store, size: usize) -> Result<Report, Error> {
    let tried = Probe { store, prefix: format!("probe-{}", hex(&random::<8>())), put: Mutex::default() };
    let report = tried.all(size);
    // Whoever may not delete leaves it lying: the report says so.
    for name in tried.put.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = store.delete(name);
    }
    report
}

struct Probe<'a> {
    store: &'a dyn Store,
    prefix: String,
    put: Mutex<Vec<ObjectName>>,
}

impl Probe<'_> {
    fn all(&self, size: usize) -> Result<Report, Error> {
        let name = self.name("first");
        self.put(&name, b"0123456789")?;
        let writes = match self.store.get(&name) {
            Ok(bytes) if bytes == b"0123456789" => Answer::Yes,
            Ok(_) => Answer::No("other bytes came back than were put".to_owned()),
            Err(error) => unknown(&error),
        };
        let if_absent = match (self.put(&name, b"another"), self.store.get(&name)) {
            (Ok(Put::Exists), Ok(bytes)) if bytes == b"0123456789" => Answer::Yes,
            (Ok(Put::Exists), Err(error)) if error.kind == ErrorKind::Denied => Answer::Yes,
            (Err(error), _) | (_, Err(error)) => unknown(&error),
            _ => Answer::No("a second put replaced the first".to_owned()),
        };
        let ranges = match self.store.get_range(&name, 3, 4) {
            Ok(bytes) if bytes == b"3456" => Answer::Yes,
            Ok(bytes) => Answer::No(format!("{} bytes came back in place of 4", bytes.len())),
            Err(error) => unknown(&error),
        };
        let (race, listing) = (self.race(), self.listing());
        let latency = self.latency(&name);
        let facts = self.store.facts(&name).unwrap_or_default();
        let (upload, download) = self.throughput(size);
        let replaces = match self.store.heal(&name, b"replaced") {
            Ok(()) => Answer::Yes,
            Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Locked) => {
                Answer::No(error.source.to_string())
            }
            Err(error) => unknown(&error),
        };
        let deletes = match self.store.delete(&name) {
            Ok(()) => match self.store.length(&name) {
                Err(error) if error.kind == ErrorKind::NotFound => Answer::Yes,
                _ => Answer::No("what was removed is still there".to_owned()),
            },
            Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Locked) => {
                Answer::No(error.source.to_string())
            }
            Err(error) => unknown(&error),
        };
        Ok(Report { writes, if_absent, race, ranges, listing, deletes, replaces, facts, latency, upload, download })
    }

    fn name(&self, last: &str) -> ObjectName {
        ObjectName::new(&format!("{}/{last}", self.prefix)).expect("letters and digits are a name")
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        self.store.put(name, bytes)
    }

    /// Several put one name at the same moment, again and again.
    fn race(&self) -> Answer {
        for round in 0..ROUNDS {
            let name = self.name(&format!("race-{round}"));
            let start = Barrier::new(RACERS);
            let outcomes: Vec<Result<Put, Error>> = std::thread::scope(|scope| {
                let racer = |number: usize| {
                    let (name, start) = (&name, &start);
                    scope.spawn(move || {
                        start.wait();
                        self.put(name, format!("racer {number}").as_bytes())
                    })
                };
                let racers: Vec<_> = (0..RACERS).map(racer).collect();
                racers.into_iter().filter_map(|racer| racer.join().ok()).collect()
            });
            let won: Vec<usize> =
                (0..outcomes.len()).filter(|number| matches!(outcomes[*number], Ok(Put::Created))).collect();
            let stands = self.store.get(&name).unwrap_or_default();
            match won[..] {
                [winner] if stands == format!("racer {winner}").as_bytes() => {}
                // The winner's answer was lost, or it was told to come again: nobody else thinks to have won.
                [] if outcomes.iter().any(Result::is_err) => {}
                [_] if stands.is_empty() => {}
                [_] => return Answer::No("another's bytes stand than those of the one that won".to_owned()),
                [] => return Answer::No("nobody won".to_owned()),
                _ => return Answer::No(format!("{} of {RACERS} won at once", won.len())),
            }
        }
        match self.store.exclusive() {
            true => Answer::Yes,
            false => Answer::No("no two won, but nothing in the protocol keeps them from it".to_owned()),
        }
    }

    fn listing(&self) -> Answer {
        for number in 0..5 {
            let name = self.name(&format!("listed-{number}"));
            if let Err(error) = self.put(&name, b"x") {
                return unknown(&error);
            }
            match self.store.list(&self.prefix) {
                Ok(listed) if listed.iter().any(|found| found.name == name) => {}
                Ok(_) => return Answer::No("an object was not listed right after it was put".to_owned()),
                Err(error) => return unknown(&error),
            }
        }
        Answer::Yes
    }

    fn latency(&self, name: &ObjectName) -> Option<Duration> {
        let time = |_| {
            let start = Instant::now();
            self.store.length(name).ok().map(|_| start.elapsed())
        };
        let mut times = (0..SMALL).map(time).collect::<Option<Vec<_>>>()?;
        times.sort_unstable();
        times.get(SMALL / 2).copied()
    }

    fn throughput(&self, size: usize) -> (Option<f64>, Option<f64>) {
        let name = self.name("large");
        let bytes: Vec<u8> = random::<4096>().into_iter().cycle().take(size).collect();
        let rate = |start: Instant| size as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        if self.put(&name, &bytes).is_err() {
            return (None, None);
        }
        let upload = Some(rate(start));
        let start = Instant::now();
        let whole = self.store.get(&name).is_ok_and(|read| read == bytes);
        (upload, whole.then(|| rate(start)))
    }
}

fn unknown(error: &Error) -> Answer {
    Answer::Unknown(error.source.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::super::{Listed, Store};
    use super::*;

    #[test]
    fn a_good_place_can_everything_and_is_left_empty() {
        let store = MemoryStore::new();
        let report = probe(&store, 100_000).unwrap();
        for answer in
            [&report.writes, &report.if_absent, &report.race, &report.ranges, &report.listing, &report.deletes]
        {
            assert_eq!(*answer, Answer::Yes, "{report:?}");
        }
        assert!(report.several_writers() && report.latency.is_some() && report.upload.is_some());
        assert!(store.list("").unwrap().is_empty());
    }

    /// Looks, waits, puts: as places do that have no put-if-absent.
    struct Racy(MemoryStore);

    impl Store for Racy {
        fn place(&self) -> String {
            "racy".to_owned()
        }
        fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
            if self.0.length(name).is_ok() {
                return Ok(Put::Exists);
            }
            std::thread::sleep(Duration::from_millis(2));
            self.0.overwrite(name, bytes.to_vec());
            Ok(Put::Created)
        }
        fn settle(&self, name: &ObjectName) -> Result<(), Error> {
            self.0.settle(name)
        }
        fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
            self.0.heal(name, bytes)
        }
        fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
            self.0.get(name)
        }
        fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
            self.0.get_range(name, offset, length)
        }
        fn length(&self, name: &ObjectName) -> Result<u64, Error> {
            self.0.length(name)
        }
        fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
            self.0.list(prefix)
        }
        fn delete(&self, name: &ObjectName) -> Result<(), Error> {
            self.0.delete(name)
        }
    }

    #[test]
    fn a_place_where_two_win_is_found_out() {
        let report = probe(&Racy(MemoryStore::new()), 1000).unwrap();
        assert!(matches!(&report.race, Answer::No(why) if why.contains("won at once")), "{report:?}");
        assert!(!report.several_writers());
        assert_eq!(report.if_absent, Answer::Yes);
    }
}
