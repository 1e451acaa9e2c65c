//! The table of states that were met: a fingerprint of 64 bits each, and that of the state that it was reached from.
//!
//! Among a hundred million states, two share a fingerprint with a probability of one in four thousand; one of them would
//! then not be looked at. Equal numbers of states with another hash (the model that this one was checked against) say the same.

/// Slots of an empty table.
const FIRST: usize = 1 << 16;

/// The fingerprint of some words; never 0. Each word is folded in by a multiplication to 128 bits, as foldhash does it.
pub fn fingerprint(words: &[u64]) -> u64 {
    let fold = |sum: u64, word: u64| {
        let product = u128::from(sum ^ word) * u128::from(0xa076_1d64_78bd_642f_u64);
        (product as u64 ^ (product >> 64) as u64).rotate_left(29) ^ word
    };
    let sum = words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, &word| fold(sum, word));
    fold(fold(sum, 0), 0).max(1)
}

/// Fingerprints in an open-addressed table; each with the one before it, if ways are kept.
pub struct Seen {
    states: Vec<u64>,
    before: Option<Vec<u64>>,
    filled: usize,
}

impl Seen {
    /// An empty table. It needs 8 bytes a slot, and 16 if it keeps the ways to each state.
    pub fn new(keeps_ways: bool) -> Self {
        Self { states: vec![0; FIRST], before: keeps_ways.then(|| vec![0; FIRST]), filled: 0 }
    }

    /// Takes in a state that was reached from `before` (0: it is a beginning); whether it is new.
    pub fn insert(&mut self, state: u64, before: u64) -> bool {
        if self.filled * 4 >= self.states.len() * 3 {
            self.grow();
        }
        let new = self.put(state, before);
        self.filled += usize::from(new);
        new
    }

    /// The states on the way to one, from the beginning; only the state itself if ways are not kept.
    pub fn way_to(&self, state: u64) -> Vec<u64> {
        let before =
            |&state: &u64| self.before.as_ref().map(|before| before[self.slot(state)]).filter(|&before| before != 0);
        let mut way: Vec<_> = std::iter::successors(Some(state), before).collect();
        way.reverse();
        way
    }

    fn put(&mut self, state: u64, before: u64) -> bool {
        let slot = self.slot(state);
        let new = self.states[slot] == 0;
        if new {
            self.states[slot] = state;
            if let Some(ways) = &mut self.before {
                ways[slot] = before;
            }
        }
        new
    }

    /// Where a state is, or would be.
    fn slot(&self, state: u64) -> usize {
        let mask = self.states.len() - 1;
        let mut slot = state as usize & mask;
        while self.states[slot] != 0 && self.states[slot] != state {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let size = self.states.len() * 2;
        let states = std::mem::replace(&mut self.states, vec![0; size]);
        let before = self.before.as_mut().map(|before| std::mem::replace(before, vec![0; size]));
        for (slot, state) in states.into_iter().enumerate().filter(|&(_, state)| state != 0) {
            self.put(state, before.as_ref().map_or(0, |before| before[slot]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grew_still_knows_everything() {
        let mut seen = Seen::new(true);
        for state in 1..200_000_u64 {
            assert!(seen.insert(fingerprint(&[state]), fingerprint(&[state - 1])));
        }
        assert!((1..200_000_u64).all(|state| !seen.insert(fingerprint(&[state]), 7)));
        assert_eq!(seen.filled, 199_999);
    }

    #[test]
    fn ways_lead_from_the_beginning() {
        let mut seen = Seen::new(true);
        assert!(seen.insert(5, 0) && seen.insert(9, 5) && seen.insert(2, 9) && !seen.insert(2, 5));
        assert_eq!(seen.way_to(2), [5, 9, 2]);
    }
}
