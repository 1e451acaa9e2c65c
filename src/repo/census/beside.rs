//! What a census says in fields that not every version knows: what came from another copy, and which indexes others stand for.

use super::Census;
use crate::repo::id::PackId;
use crate::repo::session::IndexRef;
use crate::repo::wire::{Decoder, Encoder, Error};
use std::collections::{BTreeMap, BTreeSet};

/// What a census says beside all that every version knows. Whoever does not know it reads on, and takes packs that never came for
/// missing ones, or leaves objects that nobody needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Packs that an index names and that did not come along when it was brought here, by the index.
    pub left_out: BTreeMap<IndexRef, BTreeSet<PackId>>,
    /// Of the installations those whose work was brought here from another copy, by their places in [`Census::certificates`]; and
    /// whether they had sessions here too that the census covers.
    pub elsewhere: BTreeMap<usize, bool>,
    /// Indexes that others of this census stand for: nobody who reads this census needs them.
    pub replaced: BTreeSet<IndexRef>,
}

impl Census {
    /// The extension that has the packs which never came.
    const LEFT_OUT: u64 = 2;
    /// The one that has whose work was brought here.
    const ELSEWHERE: u64 = 4;
    /// The one that has the indexes which others stand for.
    const REPLACED: u64 = 6;

    /// Adds what not every version knows.
    #[must_use]
    pub fn with(mut self, beside: &Beside) -> Self {
        let Beside { left_out, elsewhere, replaced } = beside;
        let mut set = |number, is_empty: bool, encode: &dyn Fn(&mut Encoder)| {
            if !is_empty {
                let mut encoder = Encoder::new();
                encode(&mut encoder);
                self.extensions.set(number, encoder.into_bytes());
            }
        };
        set(Self::LEFT_OUT, left_out.is_empty(), &|encoder| {
            let all: Vec<_> = left_out.iter().collect();
            encoder.list(&all, |encoder, (index, packs)| {
                index.encode(encoder);
                let packs: Vec<_> = packs.iter().collect();
                encoder.list(&packs, |encoder, pack| _ = encoder.raw(&pack.0));
            });
        });
        set(Self::ELSEWHERE, elsewhere.is_empty(), &|encoder| {
            let all: Vec<_> = elsewhere.iter().collect();
            encoder.list(&all, |encoder, (place, here)| _ = encoder.uint(**place as u64).bool(**here));
        });
        set(Self::REPLACED, replaced.is_empty(), &|encoder| {
            let all: Vec<_> = replaced.iter().collect();
            encoder.list(&all, |encoder, index| index.encode(encoder));
        });
        self
    }

    /// What not every version knows.
    ///
    /// # Errors
    /// When the fields' bytes are none.
    pub fn beside(&self) -> Result<Beside, Error> {
        let mut beside = Beside::default();
        if let Some(bytes) = self.extensions.get(Self::LEFT_OUT) {
            let entry = |decoder: &mut Decoder<'_>| -> Result<_, Error> {
                let index = IndexRef::decode(decoder)?;
                let packs = decoder.list(|decoder| decoder.array().map(PackId))?;
                Ok((index, packs.into_iter().collect()))
            };
            beside.left_out = Decoder::whole(bytes, |decoder| decoder.list(entry))?.into_iter().collect();
        }
        if let Some(bytes) = self.extensions.get(Self::ELSEWHERE) {
            let entry = |decoder: &mut Decoder<'_>| -> Result<_, Error> { Ok((decoder.uint_as()?, decoder.bool()?)) };
            beside.elsewhere = Decoder::whole(bytes, |decoder| decoder.list(entry))?.into_iter().collect();
        }
        if let Some(bytes) = self.extensions.get(Self::REPLACED) {
            beside.replaced = Decoder::whole(bytes, |decoder| decoder.list(IndexRef::decode))?.into_iter().collect();
        }
        if beside.elsewhere.keys().any(|place| *place >= self.certificates.len()) {
            return Err(Error::Invalid("somebody elsewhere without a certificate"));
        }
        Ok(beside)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::census;
    use super::*;
    use crate::repo::golden;

    fn beside() -> Beside {
        let index = census().indexes[0];
        let packs = [PackId([3; 32]), PackId([4; 32])];
        Beside { left_out: [(index, packs.into())].into(), elsewhere: [(0, true)].into(), replaced: [index].into() }
    }

    #[test]
    fn golden() {
        let census = census().with(&beside());
        assert_eq!(census.beside(), Ok(beside()));
        assert_eq!(Census::decode(&census.encode()), Ok(census.clone()));
        let mut encoder = Encoder::new();
        census.extensions.encode(&mut encoder);
        assert_eq!(encoder.into_bytes(), golden::bytes("census extensions"));
    }

    #[test]
    fn nothing_to_say_is_no_field() {
        assert_eq!(census().with(&Beside::default()), census());
        assert_eq!(census().beside(), Ok(Beside::default()));
    }

    #[test]
    fn fields_that_cannot_be_read_make_it_no_census() {
        let far = census().with(&Beside { elsewhere: [(1, false)].into(), ..Beside::default() });
        assert!(Census::decode(&far.encode()).is_err());
        for field in [2, 4, 6] {
            let mut census = census();
            census.extensions.set(field, b"\xff".to_vec());
            assert!(Census::decode(&census.encode()).is_err(), "{field}");
        }
    }
}
