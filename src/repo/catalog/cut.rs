//! Where pages end: after an item whose keyed hash falls below a bound that rises with the size of the page.
//!
//! The chance follows a Weibull distribution with shape 4, as Dolt's prolly trees have it: pages gather around the target
//! instead of spreading geometrically. Only items since the last cut matter, so two trees that differ in one place cut alike again
//! soon after it. Integers only: every machine cuts alike. Readers never rely on where pages end.

use super::CatalogKeys;
use crate::crypto::{hash, secret::Secret};

/// What a page weighs on average.
#[cfg(test)]
pub const TARGET: u64 = 48 * 1024;
/// No page but the last of its level weighs less.
const MIN: u64 = 12 * 1024;
/// A page that weighs this much ends.
const MAX: u64 = 192 * 1024;
/// The distribution's scale: 53 KiB times Γ(1 + 1/4) makes the mean 48 KiB.
const SCALE: u64 = 53 * 1024;

/// Weight of a reference, beside what surrounds it.
pub const REFERENCE_WEIGHT: u64 = 40;
/// Weight of a hole.
pub const HOLE_WEIGHT: u64 = 8;
/// Weight of an inner page's item, beside its key.
pub const CHILD_WEIGHT: u64 = 56;

/// What decides about the end of a page after one item.
pub enum Hashed<'a> {
    /// A key of a catalog.
    Key(&'a [u8]),
    /// An id in an extent tree.
    Id(&'a [u8; 32]),
    /// Nothing: only the greatest weight ends a page here.
    Never,
}

impl Hashed<'_> {
    /// 32 bits that differ from level to level.
    fn draw(&self, keys: &CatalogKeys, level: u8) -> u32 {
        let hashed = |key: &Secret, bytes: &[u8]| {
            let hash = hash::keyed(key, bytes);
            let at = usize::from(level % 8) * 4;
            u32::from_le_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]])
        };
        match self {
            Self::Key(key) => hashed(&keys.page, key),
            Self::Id(id) => hashed(&keys.extent, *id),
            Self::Never => u32::MAX,
        }
    }
}

/// The page being filled, as far as its end is concerned.
#[derive(Debug, Default, Clone)]
pub struct Cutter {
    weight: u64,
    items: u64,
}

impl Cutter {
    /// Counts an item of `weight` at `level`; returns whether the page ends after it, and then starts the next.
    pub fn ends_after(&mut self, keys: &CatalogKeys, level: u8, weight: u64, hashed: &Hashed<'_>) -> bool {
        let before = self.weight;
        self.weight = before.saturating_add(weight);
        self.items += 1;
        // An inner page of one child would make a tree that never ends when keys are longer than pages.
        let too_few = level > 0 && self.items < 2;
        let cut = !too_few
            && self.weight >= MIN
            && (self.weight >= MAX || u128::from(hashed.draw(keys, level)) * fourth(SCALE) < rise(before, self.weight));
        if cut {
            *self = Self::default();
        }
        cut
    }
}

/// The hazard between two weights, in units of 2^-32 * SCALE^-4.
const fn rise(before: u64, after: u64) -> u128 {
    (fourth(after) - fourth(before)) << 32
}

/// Called with weights below [`MAX`] only, so nothing overflows.
const fn fourth(weight: u64) -> u128 {
    (weight as u128).pow(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(items: impl Iterator<Item = (u64, u64)>) -> Vec<u64> {
        let keys = CatalogKeys::derive(&Secret::new([7; 32]));
        let mut cutter = Cutter::default();
        let (mut pages, mut weight) = (Vec::new(), 0);
        for (key, item) in items {
            weight = u64::saturating_add(weight, item);
            if cutter.ends_after(&keys, 0, item, &Hashed::Key(&key.to_le_bytes())) {
                pages.push(std::mem::take(&mut weight));
            }
        }
        pages
    }

    #[test]
    fn pages_gather_around_the_target() {
        let pages = pages((0..300_000).map(|key| (key, 60 + key % 181)));
        let mean = pages.iter().sum::<u64>() / pages.len() as u64;
        assert!(mean.abs_diff(TARGET) < TARGET / 10, "mean {mean}");
        assert!(pages.iter().all(|&page| (MIN..2 * TARGET + 4096).contains(&page)), "{:?}", pages.iter().max());
        let near = pages.iter().filter(|&&page| (TARGET / 2..TARGET * 3 / 2).contains(&page)).count();
        assert!(near * 10 > pages.len() * 9, "{near} of {}", pages.len());
    }

    #[test]
    fn nothing_outgrows_the_maximum() {
        let same = pages((0..10_000).map(|_| (0, 40)));
        assert!(same.iter().all(|&page| page < MAX + 40), "{same:?}");
        assert_eq!(pages([(1, u64::MAX), (2, 1), (3, u64::MAX)].into_iter()), [u64::MAX; 2]);
    }

    #[test]
    fn an_inner_page_has_two_children_at_least() {
        let keys = CatalogKeys::derive(&Secret::new([7; 32]));
        let mut cutter = Cutter::default();
        assert!(!cutter.ends_after(&keys, 1, MAX, &Hashed::Never));
        assert!(cutter.ends_after(&keys, 1, MAX, &Hashed::Never));
    }

    #[test]
    fn cuts_are_the_golden_ones() {
        let golden = crate::repo::golden::bytes("catalog cuts");
        let keys = CatalogKeys::derive(&Secret::new([7; 32]));
        let mut cutter = Cutter::default();
        let cuts: Vec<u8> = (0..4096u32)
            .filter(|key| cutter.ends_after(&keys, 0, 200, &Hashed::Key(&key.to_le_bytes())))
            .flat_map(u32::to_le_bytes)
            .collect();
        assert_eq!(cuts, golden);
    }
}
