//! The table of states that were met: a fingerprint of 64 bits each, and that of the state that it was reached from.
//!
//! Among a hundred million states, two share a fingerprint with a probability of one in four thousand; one of them would
//! then not be looked at. Equal numbers of states with another hash (the model that this one was checked against) say the same.

use std::hash::{Hash, Hasher};

/// The fingerprint of a value; never 0.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = Folded { sum: 0x9e37_79b9_7f4a_7c15, word: 0, bits: 0 };
    value.hash(&mut hasher);
    hasher.finish().max(1)
}

/// Takes bytes eight at a time and folds each word in by a multiplication to 128 bits, as foldhash does.
struct Folded {
    sum: u64,
    word: u64,
    bits: u32,
}

impl Folded {
    fn fold(&mut self) {
        let product = u128::from(self.sum ^ self.word) * u128::from(0xa076_1d64_78bd_642f_u64);
        self.sum = (product as u64 ^ (product >> 64) as u64).rotate_left(29) ^ self.word;
        (self.word, self.bits) = (0, 0);
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        let mut last = Self { ..*self };
        last.fold();
        last.fold();
        last.sum
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u8(byte));
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.word |= u64::from(byte) << self.bits;
        self.bits += 8;
        if self.bits == 64 {
            self.fold();
        }
    }

    #[inline]
    fn write_u16(&mut self, two: u16) {
        self.write_u8(two as u8);
        self.write_u8((two >> 8) as u8);
    }

    /// The number of an enum's variant.
    #[inline]
    fn write_isize(&mut self, variant: isize) {
        self.write_u8(variant as u8);
    }

    /// The length of an array, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}

/// Fingerprints of states, each with the one before it, in an open-addressed table.
pub struct Seen {
    slots: Vec<(u64, u64)>,
    filled: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self { slots: vec![(0, 0); 1 << 16], filled: 0 }
    }
}

impl Seen {
    /// Takes in a state that was reached from `before` (0: it is a beginning); whether it is new.
    pub fn insert(&mut self, state: u64, before: u64) -> bool {
        if self.filled * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let slot = self.slot(state);
        let new = self.slots[slot].0 == 0;
        if new {
            self.slots[slot] = (state, before);
            self.filled += 1;
        }
        new
    }

    /// The states on the way to one, from the beginning.
    pub fn way_to(&self, state: u64) -> Vec<u64> {
        let mut way: Vec<_> = std::iter::successors(Some(state), |&state| {
            Some(self.slots[self.slot(state)].1).filter(|&before| before != 0)
        })
        .collect();
        way.reverse();
        way
    }

    /// How many states were met.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether none was met.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn slot(&self, state: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = state as usize & mask;
        while self.slots[slot].0 != 0 && self.slots[slot].0 != state {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let twice = vec![(0, 0); self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, twice);
        for pair in old.into_iter().filter(|pair| pair.0 != 0) {
            let slot = self.slot(pair.0);
            self.slots[slot] = pair;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grew_still_knows_everything() {
        let mut seen = Seen::default();
        for state in 1..200_000_u64 {
            assert!(seen.insert(fingerprint(&state.to_le_bytes()), fingerprint(&(state - 1).to_le_bytes())));
        }
        assert!((1..200_000_u64).all(|state| !seen.insert(fingerprint(&state.to_le_bytes()), 7)));
        assert_eq!(seen.len(), 199_999);
    }

    #[test]
    fn ways_lead_from_the_beginning() {
        let mut seen = Seen::default();
        assert!(seen.insert(5, 0) && seen.insert(9, 5) && seen.insert(2, 9) && !seen.insert(2, 5));
        assert_eq!(seen.way_to(2), [5, 9, 2]);
    }
}
