//! A mount that is read in any order for a long time takes no more memory than after the first minute.

use super::mount::{below, foreground, place, signal};
use super::write;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// More than a mount keeps decoded.
const LARGE: usize = 224 << 20;
const SMALL: usize = 3000;
const READERS: u64 = 3;
/// Growth that is none: what allocators keep varies by that much.
const NOISE: u64 = 24 << 20;

/// A sequence that nothing foretells.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// What byte `at` of the large file is: half of it compresses.
fn content() -> Vec<u8> {
    let mut bytes = vec![0; LARGE];
    let mut dice = Dice(7);
    for block in bytes.chunks_mut(512) {
        block[..256].fill_with(|| dice.roll(256) as u8);
    }
    bytes
}

/// Reads a file without leaving it in the kernel's memory, so that the mount is asked each time.
fn read(path: &Path, at: u64, length: usize) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    bytes
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
#[allow(clippy::print_stdout, reason = "figures are worth seeing")]
fn memory_stays_flat_however_long_it_is_read() {
    let Some(place) = place() else { return };
    let large = content();
    write(&place.path("files/large"), &large);
    let small = |at: usize| format!("small/{}/{at}", at % 40);
    for at in 0..SMALL {
        write(&place.path("files").join(small(at)), &large[at * 9000..][..at % 9000 + 1]);
    }
    place.snapshot(&["files"], &[]);
    let mut child = foreground(&place);
    let time = Duration::from_secs(if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 3600 } else { 80 });
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let folder: PathBuf = below(&place, "latest", "").canonicalize().unwrap();
    let reader = |seed| {
        let mut dice = Dice(seed);
        while !stop.load(Ordering::Relaxed) {
            reads.fetch_add(1, Ordering::Relaxed);
            match dice.roll(10) {
                0 => assert!(
                    fs::read_dir(folder.join(format!("small/{}", dice.roll(40)))).unwrap().count() >= SMALL / 40
                ),
                1..=4 => {
                    let at = dice.roll(SMALL);
                    let length = at % 9000 + 1;
                    assert!(read(&folder.join(small(at)), 0, length) == large[at * 9000..][..length]);
                }
                _ => {
                    let at = dice.roll(LARGE - 70_000);
                    assert!(read(&folder.join("large"), at as u64, 70_000) == large[at..][..70_000]);
                }
            }
        }
    };
    let seen = thread::scope(|scope| {
        (1..=READERS).for_each(|seed| drop(scope.spawn(move || reader(seed))));
        let (start, mut seen) = (Instant::now(), Vec::new());
        while start.elapsed() < time {
            thread::sleep(time / 400);
            seen.push(resident(child.id()));
        }
        stop.store(true, Ordering::Relaxed);
        seen
    });
    signal(&child, "TERM");
    child.wait().unwrap();
    // What is under way at a moment comes and goes.
    let median = |samples: &[u64]| {
        let mut samples = samples.to_vec();
        samples.sort_unstable();
        samples[samples.len() / 2]
    };
    let (early, late) = (median(&seen[seen.len() / 3..seen.len() * 2 / 3]), median(&seen[seen.len() * 3 / 4..]));
    let reads = reads.load(Ordering::Relaxed);
    println!("{reads} reads: {} MiB at first, {} MiB at last", early >> 20, late >> 20);
    assert!(reads > 1000, "{reads}");
    assert!(late <= early + NOISE, "{early} bytes grew to {late} in {reads} reads");
}
