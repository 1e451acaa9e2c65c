//! What a thread did with its time, as the kernel counts it.

use super::Spent;
use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Where the kernel tells how long the running thread ran, and how long it waited for a processor.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// A worker's watch, read once a segment. A worker is one thread, most of the time; when it is not, a reading says nothing
/// worse than something wrong about one segment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopwatch {
    last: Option<Reading>,
}

/// All clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    now: Instant,
    /// Time of this thread on a processor, or waiting for one.
    wanted: Duration,
    /// Time of all threads of this process on processors.
    process: Duration,
}

impl Stopwatch {
    /// How the time since the last lap was spent; `None` for the first.
    pub fn lap(&mut self) -> Option<Spent> {
        let reading = Reading::now();
        self.last.replace(reading).and_then(|last| spent(last, reading, processors()))
    }
}

impl Reading {
    fn now() -> Self {
        // Others who want the processor are no idleness of ours. A kernel that does not tell leaves them out.
        let wanted = schedstat().unwrap_or_else(|| clock(ClockId::ThreadCPUTime));
        Self { now: Instant::now(), wanted, process: clock(ClockId::ProcessCPUTime) }
    }
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Nanoseconds on a processor, then those waiting for one.
fn schedstat() -> Option<Duration> {
    let text = std::fs::read_to_string(SCHEDSTAT).ok()?;
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse::<u64>().ok());
    Some(Duration::from_nanos(numbers.next()?.checked_add(numbers.next()?)?))
}

fn processors() -> f64 {
    // Finding out reads half a dozen files.
    static COUNT: OnceLock<f64> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64))
}

/// `None` when no time passed.
fn spent(last: Reading, now: Reading, processors: f64) -> Option<Spent> {
    let wall = now.now.duration_since(last.now).as_secs_f64();
    let part = |of: Duration| of.as_secs_f64() / wall;
    (wall > 0.0).then(|| Spent {
        waited: (1.0 - part(now.wanted.saturating_sub(last.wanted))).clamp(0.0, 1.0),
        used: (part(now.process.saturating_sub(last.process)) / processors).clamp(0.0, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_time_that_passed() {
        let (now, ms) = (Instant::now(), Duration::from_millis);
        let reading = |wall, wanted, process| Reading { now: now + ms(wall), wanted: ms(wanted), process: ms(process) };
        let between = |from, to| spent(from, to, 4.0);
        assert_eq!(between(reading(0, 7, 9), reading(100, 32, 209)), Some(Spent { waited: 0.75, used: 0.5 }));
        assert_eq!(between(reading(0, 0, 0), reading(10, 50, 90)), Some(Spent { waited: 0.0, used: 1.0 }));
        assert_eq!(between(reading(5, 0, 0), reading(5, 0, 0)), None);
        // Another thread's clock.
        assert_eq!(between(reading(0, 500, 0), reading(10, 1, 0)), Some(Spent { waited: 1.0, used: 0.0 }));
    }

    #[test]
    fn sleep_is_waiting_and_work_is_not() {
        let mut watch = Stopwatch::default();
        assert_eq!(watch.lap(), None);
        std::thread::sleep(Duration::from_millis(60));
        let slept = watch.lap().unwrap();
        assert!(slept.waited > 0.5, "{slept:?}");
        let start = Instant::now();
        let mut sum = 0_u64;
        while start.elapsed() < Duration::from_millis(60) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let worked = watch.lap().unwrap();
        assert!(worked.waited < 0.5 && worked.used > 0.0, "{worked:?}");
    }
}
