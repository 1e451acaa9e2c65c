//! Where files are cut into chunks: FastCDC with a gear table of the repository's own.
//!
//! Invariant: cuts depend on the chunker key, the parameters and the bytes since the last cut, on nothing else; how the
//! bytes arrive does not matter. Nobody without the key can compute where a known file would be cut.

use super::config::ChunkerParameters;
use crate::crypto::{context, hash, secret::Secret};
use fastcdc::v2020::{Normalization, cut_gear, select_masks};

/// Cuts bytes into chunks. Cheap to share between threads: it keeps no state.
#[derive(Clone)]
pub struct Chunker {
    minimum: usize,
    average: usize,
    maximum: usize,
    /// The strict mask, used below the average, and the relaxed one, used above.
    masks: (u64, u64),
    gear: Box<[u64; 256]>,
    gear_shifted: Box<[u64; 256]>,
}

impl Chunker {
    /// A chunker for these parameters; odd sizes are rounded down to even ones, as the algorithm asks.
    pub fn new(chunker_key: &Secret, parameters: ChunkerParameters) -> Self {
        let even = |size: u32| (size & !1) as usize;
        let average = even(parameters.average);
        let level = match parameters.normalization {
            0 => Normalization::Level0,
            1 => Normalization::Level1,
            2 => Normalization::Level2,
            _ => Normalization::Level3,
        };
        let gear = gear_table(chunker_key);
        let gear_shifted = Box::new(gear.map(|word| word << 1));
        Self {
            minimum: even(parameters.minimum),
            average,
            maximum: even(parameters.maximum),
            masks: select_masks(average, level),
            gear,
            gear_shifted,
        }
    }

    /// Bytes of the longest chunk: with as many at hand, [`Self::next_cut`] always finds a cut.
    pub const fn maximum(&self) -> usize {
        self.maximum
    }

    /// The length of the first chunk of `data`, which starts at a cut. `at_end` says that nothing follows `data`.
    /// `None` when more bytes are needed to decide, or there are none at all.
    pub fn next_cut(&self, data: &[u8], at_end: bool) -> Option<usize> {
        let (strict, relaxed) = self.masks;
        let (_, length) = cut_gear(
            data,
            self.minimum,
            self.average,
            self.maximum,
            strict,
            relaxed,
            strict << 1,
            relaxed << 1,
            &self.gear[..],
            &self.gear_shifted[..],
        );
        // A cut at the very end of the data may be nothing but the end of the data.
        let decided = length < data.len() || at_end || length == self.maximum;
        (decided && length > 0).then_some(length)
    }
}

impl std::fmt::Debug for Chunker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunker({}..{}..{})", self.minimum, self.average, self.maximum)
    }
}

/// 256 words of the keyed output stream, little-endian.
fn gear_table(chunker_key: &Secret) -> Box<[u64; 256]> {
    let key = hash::derive_key(context::GEAR, chunker_key);
    let mut stream = [0; 256 * 8];
    blake3::Hasher::new_keyed(key.expose()).finalize_xof().fill(&mut stream);
    let mut gear = Box::new([0; 256]);
    for (word, bytes) in gear.iter_mut().zip(stream.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes at a time"));
    }
    gear
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;
    use proptest::prelude::*;

    const SMALL: ChunkerParameters = ChunkerParameters { minimum: 64, average: 256, maximum: 1024, normalization: 1 };

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(b"chunker test").finalize_xof().fill(&mut bytes);
        bytes
    }

    fn cuts(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(length) = chunker.next_cut(data, true) {
            lengths.push(length);
            data = &data[length..];
        }
        lengths
    }

    #[test]
    fn golden() {
        let key = Secret::new([9; 32]);
        let start: Vec<u8> = gear_table(&key)[..4].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(start, golden::bytes("gear table"));
        let parameters =
            ChunkerParameters { minimum: 16 << 10, average: 64 << 10, maximum: 512 << 10, normalization: 1 };
        let lengths = cuts(&Chunker::new(&key, parameters), &noise(1 << 20));
        let encoded: Vec<u8> = lengths.iter().flat_map(|&length| (length as u32).to_be_bytes()).collect();
        assert_eq!(encoded, golden::bytes("cuts"));
    }

    #[test]
    fn other_keys_cut_elsewhere() {
        let data = noise(20_000);
        let lengths = |key| cuts(&Chunker::new(&Secret::new([key; 32]), SMALL), &data);
        assert_ne!(lengths(1), lengths(2));
    }

    #[test]
    fn an_inserted_byte_moves_few_cuts() {
        let chunker = Chunker::new(&Secret::new([1; 32]), SMALL);
        let data = noise(60_000);
        let mut edited = data.clone();
        edited.insert(30_000, 0);
        let (before, after) = (cuts(&chunker, &data), cuts(&chunker, &edited));
        let same_tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let same_head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        assert!(same_head + same_tail + 8 > before.len(), "{same_head} {same_tail} {}", before.len());
    }

    #[test]
    fn odd_sizes_are_rounded() {
        let odd = ChunkerParameters { minimum: 65, average: 257, maximum: 1025, normalization: 1 };
        let key = Secret::new([1; 32]);
        assert_eq!(cuts(&Chunker::new(&key, odd), &noise(9999)), cuts(&Chunker::new(&key, SMALL), &noise(9999)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn pieces_cut_like_the_whole(length in 0usize..20_000, steps in proptest::collection::vec(1usize..3000, 1..8)) {
            let chunker = Chunker::new(&Secret::new([1; 32]), SMALL);
            let data = noise(length);
            let (mut lengths, mut start, mut have) = (Vec::new(), 0, 0);
            for step in steps.iter().cycle() {
                have = (have + step).min(length);
                while let Some(cut) = chunker.next_cut(&data[start..have], have == length) {
                    lengths.push(cut);
                    start += cut;
                }
                if start == length {
                    break;
                }
            }
            prop_assert_eq!(lengths.iter().sum::<usize>(), length);
            prop_assert!(lengths.iter().all(|&cut| cut <= 1024));
            prop_assert!(lengths.iter().rev().skip(1).all(|&cut| cut >= 64));
            prop_assert_eq!(lengths, cuts(&chunker, &data));
        }
    }
}
