//! Which chunks were marked lately, and for whom: from one snapshot to the next most of them are the same, and need not be looked up
//! again.
//!
//! Invariant: what it says was marked was marked. What it does not say may have been marked too: it has room for some, and a
//! newcomer takes the place of whichever of two came before the other.

use crate::repo::id::ChunkId;

/// Chunks that it has room for at most, of 36 bytes each.
const MOST: usize = 1 << 19;
/// Room for each chunk that there is: with less of it more of them get in each other's way.
const ROOM: usize = 4;

/// A chunk and one more than the number of whose it is; 0 is nobody.
type Slot = (ChunkId, u32);

/// The chunks.
pub(super) struct Seen {
    /// Two places for each number that the end of an id makes, the later one first.
    pairs: Box<[[Slot; 2]]>,
}

impl Seen {
    /// For a repository of so many chunks.
    pub fn among(chunks: usize) -> Self {
        let room = chunks.saturating_mul(ROOM).clamp(2, MOST).next_power_of_two();
        Self { pairs: vec![[(ChunkId([0; 32]), 0); 2]; room / 2].into() }
    }

    /// Whether a chunk was marked for `who` lately.
    pub fn has(&self, id: &ChunkId, who: u16) -> bool {
        let owner = u32::from(who) + 1;
        self.pairs[self.place(id)].iter().any(|(known, whose)| *whose == owner && known == id)
    }

    /// Notes that a chunk is marked for `who`.
    pub fn add(&mut self, id: ChunkId, who: u16) {
        let pair = &mut self.pairs[self.place(&id)];
        *pair = [(id, u32::from(who) + 1), pair[0]];
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pairs.fill([(ChunkId([0; 32]), 0); 2]);
    }

    /// Ids are keyed hashes: any part of them is as good as another.
    fn place(&self, id: &ChunkId) -> usize {
        let [.., a, b, c, d] = id.0;
        u32::from_le_bytes([a, b, c, d]) as usize & (self.pairs.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ChunkId {
        let mut id = [7; 32];
        id[28..].copy_from_slice(&number.to_le_bytes());
        ChunkId(id)
    }

    #[test]
    fn it_knows_for_whom_and_never_more_than_was_added() {
        let mut seen = Seen::among(100);
        assert!(!seen.has(&ChunkId([0; 32]), 0), "an empty place is no chunk");
        for number in 0..40_000 {
            let who = u16::try_from(number % 3).unwrap();
            assert!(!seen.has(&id(number), who));
            seen.add(id(number), who);
            assert!(seen.has(&id(number), who) && !seen.has(&id(number), who + 1));
        }
        let known = (0..40_000).filter(|number| seen.has(&id(*number), u16::try_from(number % 3).unwrap())).count();
        assert_eq!(known, 512, "the latest of each place, and those before them");
        seen.clear();
        assert!((0..40_000).all(|number| (0..3).all(|who| !seen.has(&id(number), who))));
    }

    #[test]
    fn what_is_marked_for_everybody_has_a_number_too() {
        let mut seen = Seen::among(0);
        seen.add(id(5), u16::MAX);
        assert!(seen.has(&id(5), u16::MAX) && !seen.has(&id(6), u16::MAX));
    }
}
