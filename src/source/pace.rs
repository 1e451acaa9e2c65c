//! How fast a source is read: so many bytes per second for all workers together, and not at all while a laptop runs on its
//! battery, if that is wanted.
//!
//! Whoever waits does so in naps, so that a request to stop is heard.

use super::amount;
use super::battery::Supplies;
use crate::event::{Event, Level, Sink};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a nap is at most.
const NAP: Duration = Duration::from_millis(100);
/// How long the answer counts whether the machine runs on its battery.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// With a limit, no more is read at a time than it allows in a second divided by this, so that reading is even.
const GULPS: u64 = 8;
/// … nor less than this: system calls cost something too.
const LEAST_GULP: u64 = 64 * 1024;

/// Bytes per second, at least one. Written as `50M`, in binary units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(NonZeroU64);

impl Rate {
    /// So many bytes per second; `None` for none.
    pub fn new(bytes: u64) -> Option<Self> {
        NonZeroU64::new(bytes).map(Self)
    }

    /// The time that so many bytes take.
    fn time(self, bytes: u64) -> Duration {
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.0.get());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = "it is a number of bytes per second above zero, such as 50M";
        amount::parse(text.strip_suffix("/s").unwrap_or(text)).and_then(Self::new).ok_or(known)
    }
}

impl TryFrom<String> for Rate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.0.to_string()
    }
}

/// How a source is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pacing {
    /// At most so fast.
    pub limit: Option<Rate>,
    /// Not while these say that the machine runs on its battery.
    pub pause_on_battery: Option<Supplies>,
}

/// Keeps all who read one source to its pace.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    limit: Option<(Rate, Mutex<Bucket>)>,
    battery: Option<Battery>,
}

impl Pace {
    /// A pace that begins now.
    pub fn new(pacing: &Pacing) -> Self {
        let limit = pacing.limit.map(|rate| (rate, Mutex::new(Bucket { rate, paid: Duration::ZERO })));
        let battery = pacing.pause_on_battery.clone().map(|supplies| Battery::new(supplies, LOOK_EVERY));
        Self { start: Instant::now(), limit, battery }
    }

    /// How much of `room` may be read at a time.
    pub fn gulp(&self, room: usize) -> usize {
        let most = |rate: Rate| usize::try_from((rate.0.get() / GULPS).max(LEAST_GULP)).unwrap_or(usize::MAX);
        self.limit.as_ref().map_or(room, |(rate, _)| room.min(most(*rate)))
    }

    /// Waits until so many bytes, which were read just now, are within the limit. `false` when `events` says to stop.
    pub fn spend(&self, bytes: usize, events: &dyn Sink) -> bool {
        let Some((_, bucket)) = &self.limit else { return true };
        let due = bucket.lock().unwrap_or_else(PoisonError::into_inner).spend(self.start.elapsed(), bytes as u64);
        loop {
            let Some(left) = due.checked_sub(self.start.elapsed()).filter(|left| !left.is_zero()) else { return true };
            if events.stopping() {
                return false;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    /// Waits while the machine runs on its battery, if that is wanted. `false` when `events` says to stop.
    pub fn go_on(&self, events: &dyn Sink) -> bool {
        self.battery.as_ref().map_or_else(|| !events.stopping(), |battery| battery.wait(events))
    }
}

/// The limit as arithmetic. Times count from its beginning.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// Up to when all that was read so far is paid.
    paid: Duration,
}

impl Bucket {
    /// Takes note that so many bytes were read `now`; returns when reading may go on. What was not used does not add up.
    fn spend(&mut self, now: Duration, bytes: u64) -> Duration {
        self.paid = self.paid.max(now).saturating_add(self.rate.time(bytes));
        self.paid
    }
}

/// Waits for mains power.
#[derive(Debug)]
struct Battery {
    supplies: Supplies,
    every: Duration,
    last: Mutex<Last>,
}

/// The last look at the power supplies.
#[derive(Debug, Default)]
struct Last {
    when: Option<Instant>,
    on_battery: bool,
}

impl Battery {
    fn new(supplies: Supplies, every: Duration) -> Self {
        Self { supplies, every, last: Mutex::default() }
    }

    fn wait(&self, events: &dyn Sink) -> bool {
        loop {
            if events.stopping() {
                return false;
            }
            if !self.on_battery(events) {
                return true;
            }
            std::thread::sleep(NAP.min(self.every));
        }
    }

    /// Whether the machine runs on its battery, as of the last look. Changes are told, once by whoever sees them.
    fn on_battery(&self, events: &dyn Sink) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.when.is_none_or(|when| when.elapsed() >= self.every) {
            let before = std::mem::replace(&mut last.on_battery, self.supplies.on_battery());
            last.when = Some(Instant::now());
            let text = match (before, last.on_battery) {
                (false, true) => "this machine runs on its battery: reading pauses until there is mains power",
                (true, false) => "there is mains power again: reading goes on",
                _ => return last.on_battery,
            };
            events.emit(Event::Message(Level::Info, text.to_owned()));
        }
        last.on_battery
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use std::sync::atomic::{AtomicBool, Ordering};

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (text, bytes) in [("1", 1), ("50M", 50 << 20), ("2KiB", 2048), ("10m/s", 10 << 20)] {
            assert_eq!(text.parse::<Rate>().unwrap(), Rate::new(bytes).unwrap(), "{text}");
        }
        for bad in ["0", "", "fast", "-1", "1.5M", "0M"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_limit_holds_over_any_time_and_saves_nothing_up() {
        let mut bucket = Bucket { rate: Rate::new(1000).unwrap(), paid: Duration::ZERO };
        assert_eq!(bucket.spend(ms(0), 500), ms(500));
        // Two at the same moment wait one after the other.
        assert_eq!(bucket.spend(ms(0), 250), ms(750));
        assert_eq!(bucket.spend(ms(10), 250), ms(1000));
        // An hour in which nothing was read is no reason to read as much at once.
        assert_eq!(bucket.spend(ms(3_600_000), 100), ms(3_600_100));
        assert_eq!(bucket.spend(ms(3_600_100), 1), ms(3_600_101));
        // Nothing overflows.
        assert_eq!(bucket.spend(ms(0), u64::MAX).as_secs(), 18_446_744_073 + 3600);
    }

    #[test]
    fn gulps_fit_the_rate() {
        let pace = |limit| Pace::new(&Pacing { limit, ..Pacing::default() });
        assert_eq!(pace(None).gulp(4 << 20), 4 << 20);
        assert_eq!(pace(Rate::new(8 << 20)).gulp(4 << 20), 1 << 20);
        assert_eq!(pace(Rate::new(8 << 20)).gulp(1000), 1000);
        assert_eq!(pace(Rate::new(1)).gulp(4 << 20), 64 * 1024);
    }

    #[derive(Default)]
    struct Ears {
        stop: AtomicBool,
        said: Mutex<Vec<String>>,
    }

    impl Sink for Ears {
        fn emit(&self, event: Event) {
            if let Event::Message(_, text) = event {
                self.said.lock().unwrap().push(text);
            }
        }

        fn stopping(&self) -> bool {
            self.stop.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn whoever_waits_hears_that_it_is_to_stop() {
        let pace = Pace::new(&Pacing { limit: Rate::new(1), ..Pacing::default() });
        let ears = Ears::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pace.spend(1 << 30, &ears));
            ears.stop.store(true, Ordering::Relaxed);
            assert!(!waiting.join().unwrap());
        });
        assert!(Pace::new(&Pacing::default()).spend(1 << 30, &Silent));
    }

    #[test]
    fn work_pauses_on_battery_says_so_once_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let battery = folder.path().join("BAT0");
        std::fs::create_dir(&battery).unwrap();
        std::fs::write(battery.join("type"), "Battery\n").unwrap();
        let now = |status: &str| std::fs::write(battery.join("status"), status).unwrap();
        now("Discharging\n");
        let (waits, ears) = (Battery::new(Supplies::of(folder.path()), ms(1)), Ears::default());
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| waits.wait(&ears))).collect();
            std::thread::sleep(ms(50));
            assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
            now("Charging\n");
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap()));
        });
        assert_eq!(ears.said.lock().unwrap().len(), 2, "{ears:?}", ears = ears.said);
        now("Discharging\n");
        std::thread::sleep(ms(5));
        ears.stop.store(true, Ordering::Relaxed);
        assert!(!waits.wait(&ears));
    }
}
