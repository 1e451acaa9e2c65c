//! How much memory a snapshot uses at most, as a formula of its options.
//!
//! The parts are those of the pipeline: what each worker holds, what waits between the stages, and the packs under way. Not in
//! it: the program itself and what the system keeps for it, and indexes (mapped files).

use super::former::CACHE;
use super::leg::IN_FLIGHT;
use super::slab::{AHEAD, SLAB};
use super::{Delta, Options};
use crate::repo::config::ChunkerParameters;
use crate::repo::effort::{Effort, Governor};
use crate::repo::pack::CATALOG as PAGES;
use crate::repo::segment::{Compression, TARGET, context_size, delta_context_size};
use crate::repo::writer::near::MOST;
use crate::repo::writer::packing::{QUEUE, packs};
use crate::store::disk::RealDisk;

/// A segment at its longest: what would lead further begins the next one.
const SEGMENT: u64 = (TARGET + TARGET / 4) as u64;
/// Buffers of a segment in the making: its chunks, compressed, as it is sealed, sealed, and opened again twice.
const BUFFERS: u64 = 6;
/// Bytes of an entry on its way, as far as names and lists of chunks are of usual length.
const ENTRY: u64 = 768;
/// Lanes of the catalog: skeletons and payload.
const CATALOG: u64 = 2;
/// Bytes to remember a new chunk by until its session is over.
const NEW_CHUNK: u64 = 80;

/// One part of the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is for.
    pub what: &'static str,
    /// How many …
    pub count: u64,
    /// … of so many bytes.
    pub bytes: u64,
}

/// What a run with these options uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The parts.
    pub parts: Vec<Part>,
}

impl Memory {
    /// Of a run with these options, into a repository on a disk that cuts files as new ones do.
    pub fn of(options: &Options) -> Self {
        let (threads, chunker) = (options.threads() as u64, ChunkerParameters::FILES);
        let part = |what, count, bytes| Part { what, count, bytes };
        let slab = SLAB as u64 + u64::from(chunker.maximum);
        let context = match (options.effort, Governor::new(options.effort).compression()) {
            (_, Compression::Off) => 0,
            // The governor begins with the most.
            (Effort::Auto | Effort::Fixed(_), Compression::Level(level)) => context_size(level) as u64,
        };
        let deltas = match (options.effort, options.delta, Governor::new(options.effort).compression()) {
            (_, Delta::Auto, Compression::Level(level)) => delta_context_size(level, MOST) as u64,
            _ => 0,
        };
        let delta_parts = [
            // The bases one after another, a segment of what is new, and the compressor.
            part("a delta in the making", threads, MOST as u64 + SEGMENT + deltas),
            part("earlier versions of large files", 1, CACHE as u64),
        ];
        let pack = options.pack_size.bytes() as u64;
        let mut parts = vec![
            part("a worker's small file", threads, SLAB as u64),
            part("slabs of a worker's large file", threads * (AHEAD + 1), slab),
            part("buffers of segments in the making", (threads + CATALOG) * BUFFERS, SEGMENT),
            part("compressors", threads + CATALOG, context),
            part("segments that wait for their pack", QUEUE as u64 + threads, SEGMENT),
            part("packs that fill, and that are finished and put", packs(RealDisk::IN_FLIGHT) as u64, pack + pack / 8),
            part("a pack of catalog pages that fills", 1, PAGES.bytes() as u64 * 9 / 8),
            part("entries between walk and catalog", IN_FLIGHT as u64, ENTRY),
            part("new chunks until a partial snapshot", options.partial.chunks, NEW_CHUNK),
        ];
        if deltas > 0 {
            parts.extend(delta_parts);
        }
        Self { parts }
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.parts.iter().map(|part| part.count * part.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::pack::PackSize;

    #[test]
    fn memory_follows_the_options() {
        let options = |threads, effort: &str, pack_size: usize| Options {
            threads,
            effort: effort.parse().unwrap(),
            pack_size: PackSize::new(pack_size as u64).unwrap(),
            ..Options::default()
        };
        let total = |threads, effort, pack_size| Memory::of(&options(threads, effort, pack_size)).total();
        let usual = total(2, "auto", 32 << 20);
        assert!((100 << 20..320 << 20).contains(&usual), "{usual}");
        let (four, six) = (total(4, "auto", 32 << 20), total(6, "auto", 32 << 20));
        assert!(usual < four && four - usual == six - four, "{usual} {four} {six}");
        assert_eq!(total(2, "auto", 128 << 20) - usual, 3 * 9 * (96 << 20) / 8);
        assert!(total(2, "off", 32 << 20) < usual && usual < total(2, "19", 32 << 20));
    }
}
