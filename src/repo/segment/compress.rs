//! Compression: zstd through contexts that are kept, a probe that skips what will not get smaller.

use super::TARGET;
use std::cell::RefCell;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, ResetDirective};

/// Whether and how hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Off,
    /// zstd at this level, 1 to 19 (negative ones are faster still), unless the probe says that it will not pay.
    Level(i32),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Level(3)
    }
}

/// Compresses `body` into `out`, which is cleared first. `false`, with `out` in any state, when it does not pay.
pub fn compress(context: &mut CCtx<'static>, level: i32, body: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    // What gains less than a thirty-second is not worth decompressing.
    let worthwhile = body.len() - body.len() / 32;
    out.reserve(worthwhile);
    let done = context.set_parameter(CParameter::CompressionLevel(level)).is_ok()
        && context.compress2(out, body).is_ok()
        && out.len() <= worthwhile;
    if !done {
        // A frame that did not fit is left open, and would be in the way of the next. This reset cannot fail.
        let _ = context.reset(ResetDirective::SessionOnly);
    }
    done
}

/// Compresses `body` into `out`, which is cleared first, as what `prefix` needs to become it. `false`, with `out` in any state,
/// when that takes more than `most` bytes.
///
/// Each gets a context of its own: one that has referred to a prefix would borrow it for as long as it lives.
pub fn compress_delta(level: i32, prefix: &[u8], body: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    out.reserve(most);
    let mut context = CCtx::create();
    delta_into(&mut context, level, prefix, body, out) && out.len() <= most
}

fn delta_into<'a>(context: &mut CCtx<'a>, level: i32, prefix: &'a [u8], body: &[u8], out: &mut Vec<u8>) -> bool {
    // The whole prefix must stay in reach, and a table of the usual size would forget all but its end: matches over long
    // distances have a table of their own.
    let window = (prefix.len() + body.len()).max(1 << 10).next_power_of_two().ilog2().min(27);
    let parameters = [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(window),
        CParameter::EnableLongDistanceMatching(true),
        CParameter::LdmMinMatch(DELTA_MATCH),
        CParameter::LdmHashRateLog(DELTA_RATE),
    ];
    parameters.into_iter().all(|parameter| context.set_parameter(parameter).is_ok())
        && context.ref_prefix(prefix).is_ok()
        && context.compress2(out, body).is_ok()
}

/// Bytes that a compressor of this level takes for a delta of a whole segment to so many bytes of bases.
pub fn delta_context_size(level: i32, bases: usize) -> usize {
    let (prefix, body) = (vec![0; bases], vec![0; TARGET + TARGET / 4]);
    let mut context = CCtx::create();
    delta_into(&mut context, level, &prefix, &body, &mut Vec::with_capacity(TARGET));
    context.sizeof()
}

/// The shortest match that is looked for in a delta's bases, in bytes …
const DELTA_MATCH: u32 = 32;
/// … and how seldom a position of theirs is remembered: every 2^this.
const DELTA_RATE: u32 = 3;

/// Bytes that a compressor of this level keeps for itself once it has compressed segments.
pub fn context_size(level: i32) -> usize {
    let mut context = CCtx::create();
    compress(&mut context, level, &vec![0; TARGET + TARGET / 4], &mut Vec::new());
    context.sizeof()
}

/// What `compressed` decompresses to; `prefix` is empty unless the codec is delta. `None` when that is not exactly
/// `length` bytes.
pub fn decompress(compressed: &[u8], prefix: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    let written = if prefix.is_empty() {
        PLAIN.with_borrow_mut(|context| context.decompress(&mut out, compressed)).ok()?
    } else {
        // One that has referred to a prefix would borrow it for as long as it lives.
        let mut context = DCtx::create();
        context.ref_prefix(prefix).ok()?;
        context.decompress(&mut out, compressed).ok()?
    };
    (written == length).then_some(out)
}

thread_local! {
    /// Making one takes a tenth of the time of decompressing a segment. A frame that failed leaves no trace in it: each is decoded in
    /// one call, which starts anew.
    static PLAIN: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

const SAMPLE: usize = 4096;
/// Bits per byte of a 4 KiB sample above which it counts as random: true randomness gives 7.955 ± 0.005 (the finite
/// sample hides the rest), encrypted and well compressed files at least 7.93, program text and machine code below 7.
const RANDOM: f64 = 7.92;

/// Whether three samples of `body` (start, middle, end) all look random: then compressing is wasted time.
pub fn looks_random(body: &[u8]) -> bool {
    let Some(last) = body.len().checked_sub(SAMPLE).filter(|&last| last >= 2 * SAMPLE) else { return false };
    [0, last / 2, last].into_iter().all(|at| entropy(&body[at..at + SAMPLE]) > RANDOM)
}

/// Order-0 entropy in bits per byte.
fn entropy(sample: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    let total = sample.len() as f64;
    let share = |&count: &u32| f64::from(count) / total;
    counts.iter().filter(|&&count| count > 0).map(share).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_probe_knows_noise_from_text() {
        assert!((0..50).all(|seed| looks_random(&noise(100_000, seed))));
        assert!(!looks_random(&noise(8000, 0)), "too short to tell");
        let text: Vec<u8> = b"fn main() { println!(\"hello\"); }\n".iter().copied().cycle().take(100_000).collect();
        assert!(!looks_random(&text));
        assert!(!looks_random(&[noise(60_000, 0), text].concat()));
        let hexadecimal: Vec<u8> = noise(50_000, 1).iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect();
        assert!(!looks_random(&hexadecimal));
    }

    #[test]
    fn compresses_only_what_pays() {
        let mut context = CCtx::create();
        let mut out = Vec::new();
        for level in [3, 1, 19, -5] {
            assert!(!compress(&mut context, level, &noise(50_000, 0), &mut out));
            assert!(compress(&mut context, level + 1, &[7; 50_000], &mut out), "the failure before is forgotten");
        }
        assert_eq!(decompress(&out, &[], 50_000).unwrap(), [7; 50_000]);
        for wrong in [0, 49_999, 50_001] {
            assert!(decompress(&out, &[], wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_delta_is_what_changed() {
        // Hexadecimal digits, of which every ten thousandth byte is another.
        let base: Vec<u8> = noise(600_000, 5).iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect();
        let mut body = base[50_000..1_100_000].to_vec();
        body.iter_mut().step_by(10_000).for_each(|byte| *byte = b'x');
        let mut out = Vec::new();
        for level in [1, 3, 9] {
            assert!(compress_delta(level, &base, &body, 10_000, &mut out), "level {level}: {}", out.len());
            assert_eq!(decompress(&out, &base, body.len()).unwrap(), body);
            assert!(!compress_delta(level, &noise(1_000_000, 6), &body, body.len() / 4, &mut out), "another file");
        }
    }

    #[test]
    fn a_prefix_that_looks_like_a_dictionary_is_still_a_prefix() {
        let mut base = noise(20_000, 3);
        base[..4].copy_from_slice(&0xec30_a437_u32.to_le_bytes());
        let body = [b"changed", &base[..], b"more"].concat();
        let mut compressed = Vec::new();
        assert!(compress_delta(3, &base, &body, 200, &mut compressed));
        assert_eq!(decompress(&compressed, &base, body.len()).unwrap(), body);
    }
}
