//! Positions in a skeleton: each id stands there once, in the order of first use.
//!
//! A reference is 0 for the next id that was not used yet, else 1 + the position of one that was. So a reference costs one byte
//! as a rule, and a position outside the skeleton or an id that nothing uses cannot go unnoticed.

use crate::repo::id::ChunkId;
use crate::repo::wire::Error;
use std::collections::HashMap;

/// The ids of one list of a skeleton being written.
#[derive(Debug, Default, Clone)]
pub struct RefWriter {
    ids: Vec<ChunkId>,
    positions: HashMap<ChunkId, u64>,
}

impl RefWriter {
    /// The reference to `id`, from this place.
    pub fn reference(&mut self, id: &ChunkId) -> u64 {
        let next = self.ids.len() as u64;
        let position = *self.positions.entry(*id).or_insert(next);
        if position == next {
            self.ids.push(*id);
            0
        } else {
            position + 1
        }
    }

    /// The list; what follows starts a new one.
    pub fn take(&mut self) -> Vec<ChunkId> {
        self.positions.clear();
        std::mem::take(&mut self.ids)
    }
}

/// The ids of one list of a skeleton being read.
#[derive(Debug)]
pub struct RefReader<'a> {
    ids: &'a [ChunkId],
    used: usize,
}

impl<'a> RefReader<'a> {
    /// References into `ids`.
    pub const fn new(ids: &'a [ChunkId]) -> Self {
        Self { ids, used: 0 }
    }

    /// The id that `reference` means at this place.
    ///
    /// # Errors
    /// When there is no such id, or it should have been the next one.
    pub fn resolve(&mut self, reference: u64) -> Result<ChunkId, Error> {
        let position = match reference.checked_sub(1) {
            None => {
                self.used += 1;
                self.used - 1
            }
            Some(position) => match usize::try_from(position) {
                Ok(position) if position < self.used => position,
                _ => return Err(Error::Invalid("a reference to an id not yet used")),
            },
        };
        self.ids.get(position).copied().ok_or(Error::Invalid("a reference outside the skeleton"))
    }

    /// Refuses ids that nothing referred to.
    ///
    /// # Errors
    /// When there is one.
    pub const fn finish(&self) -> Result<(), Error> {
        if self.used == self.ids.len() { Ok(()) } else { Err(Error::Invalid("an unused reference in the skeleton")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ChunkId {
        ChunkId([byte; 32])
    }

    #[test]
    fn references_find_their_ids_again() {
        let mut writer = RefWriter::default();
        let used = [5, 5, 6, 5, 7, 6].map(id);
        let references = used.map(|id| writer.reference(&id));
        assert_eq!(references, [0, 1, 0, 1, 0, 2]);
        let ids = writer.take();
        assert_eq!(ids, [5, 6, 7].map(id));
        let mut reader = RefReader::new(&ids);
        assert_eq!(references.map(|reference| reader.resolve(reference).unwrap()), used);
        assert!(reader.finish().is_ok());
        assert_eq!(writer.reference(&id(6)), 0, "the next list starts afresh");
    }

    #[test]
    fn stray_references_are_damage() {
        let ids = [id(1), id(2)];
        let mut reader = RefReader::new(&ids);
        assert!(reader.resolve(1).is_err(), "not yet used");
        assert_eq!(reader.resolve(0), Ok(id(1)));
        assert!(reader.resolve(2).is_err(), "not yet used");
        assert!(reader.resolve(u64::MAX).is_err());
        assert!(reader.finish().is_err(), "the second is unused");
        assert_eq!(reader.resolve(0), Ok(id(2)));
        assert!(reader.finish().is_ok());
        assert!(reader.resolve(0).is_err(), "outside");
    }
}
