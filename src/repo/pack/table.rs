//! The table and the trailer of a pack: signed, sealed under the index key of an epoch, and their byte forms.
//!
//! Offsets in tables count from the start of the pack's data region, because the length of the head in front of it
//! depends on the length of the table. In memory they count from the start of the stored bytes, as everywhere else.

use super::Error;
use crate::crypto::aead::{self, Suite};
use crate::crypto::sign::{PublicKey, Purpose, SIGNATURE_LEN, SigningKey};
use crate::crypto::{self, context, hash, secret::Secret};
use crate::repo::id::{DataKeyId, RepositoryId, WriterId};
use crate::repo::segment::{RowDecoder, RowEncoder, SegmentDescriptor, WrappedKey};
use crate::repo::wire::{self, Decoder, Encoder, Extensions};
use std::collections::BTreeMap;
use std::ops::Range;

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose("boveda v1 table");
/// Bytes of the trailer, sealed.
pub const TRAILER_LEN: usize = TRAILER_PLAIN + aead::OVERHEAD;
const TRAILER_PLAIN: usize = 24;

/// What a pack says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Whose installation made and signed the pack.
    pub signer: WriterId,
    /// The epoch whose index key seals the table.
    pub epoch: u32,
    /// The segments, in order of their offsets.
    pub rows: Vec<SegmentDescriptor>,
    /// The data keys that seal them, wrapped for readers.
    pub wraps: Vec<WrappedKey>,
    /// Fields of later versions.
    pub extensions: Extensions,
}

/// What table and trailer of one pack are sealed with.
#[derive(Clone, Copy)]
pub struct Seal<'a> {
    pub suite: Suite,
    pub repository: &'a RepositoryId,
    pub epoch: u32,
    pub index_key: &'a Secret,
}

#[derive(Clone, Copy)]
enum Part {
    Table = 1,
    Trailer = 2,
}

impl Seal<'_> {
    fn aad(&self, part: Part) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u8(VERSION).u8(part as u8).u8(self.suite as u8).raw(&self.repository.0).raw(&self.epoch.to_le_bytes());
        encoder.into_bytes()
    }

    fn seal(&self, part: Part, plain: &[u8]) -> Vec<u8> {
        aead::seal(self.suite, &hash::derive_key(context::INDEX_SEAL, self.index_key), &self.aad(part), plain)
    }

    fn open(&self, part: Part, sealed: &[u8]) -> Result<Vec<u8>, crypto::Error> {
        aead::open(self.suite, &hash::derive_key(context::INDEX_SEAL, self.index_key), &self.aad(part), sealed)
    }

    /// What the signature covers: the repository, the epoch and the body of the table.
    fn signed(&self, body: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(body.len() + 37);
        encoder.u8(VERSION).raw(&self.repository.0).raw(&self.epoch.to_le_bytes()).raw(body);
        encoder.into_bytes()
    }

    /// The sealed table of `rows`, whose offsets count from the start of the data region.
    pub fn table(
        &self,
        signer: WriterId,
        key: &SigningKey,
        rows: &[SegmentDescriptor],
        wraps: &BTreeMap<DataKeyId, Vec<u8>>,
    ) -> Vec<u8> {
        let mut plain = encode_body(signer, rows, wraps);
        let signature = key.sign(PURPOSE, &self.signed(&plain));
        plain.extend_from_slice(&signature);
        self.seal(Part::Table, &plain)
    }

    /// The sealed trailer that leads to the table at this place of the data region.
    pub fn trailer(&self, table: &Range<usize>) -> Vec<u8> {
        self.seal(Part::Trailer, &encode_trailer(table))
    }

    /// Where in the data region of `data_len` bytes the table lies.
    ///
    /// # Errors
    /// [`Error::Trailer`] when it does not open with this seal; [`Error::Format`] when it leads outside.
    pub fn open_trailer(&self, sealed: &[u8], data_len: usize) -> Result<Range<u64>, Error> {
        let plain = self.open(Part::Trailer, sealed).map_err(|_| Error::Trailer)?;
        let (start, length) = Decoder::whole(&plain, |decoder| {
            let numbers = (u64::from_le_bytes(decoder.array()?), u64::from_le_bytes(decoder.array()?));
            if decoder.array()? == [0; 8] {
                Ok(numbers)
            } else {
                Err(wire::Error::Invalid("trailer's rest is not zero"))
            }
        })?;
        let limit = (data_len - TRAILER_LEN) as u64;
        let end = start.checked_add(length).filter(|&end| end <= limit);
        Ok(start..end.ok_or(wire::Error::Invalid("lies outside its pack"))?)
    }

    /// The table, its signature checked under the key that `signer_key` gives for its signer. `at` is where the data
    /// region starts in the stored bytes; segments must lie in its first `limit` bytes.
    ///
    /// # Errors
    /// When it does not open, is signed by somebody unknown or not at all, or does not decode.
    pub fn open_table(
        &self,
        sealed: &[u8],
        at: u64,
        limit: u64,
        signer_key: impl FnOnce(&WriterId) -> Option<PublicKey>,
    ) -> Result<Table, Error> {
        let plain = self.open(Part::Table, sealed)?;
        let (body, signature) = plain.split_last_chunk::<SIGNATURE_LEN>().ok_or(wire::Error::Truncated)?;
        let signer = WriterId(Decoder::new(body).array()?);
        let key = signer_key(&signer).ok_or(Error::UnknownSigner(signer))?;
        key.verify(PURPOSE, &self.signed(body), signature)?;
        Ok(Decoder::whole(body, |decoder| decode_body(decoder, self.epoch, at, limit))?)
    }
}

fn encode_trailer(table: &Range<usize>) -> Vec<u8> {
    let mut plain = Encoder::with_capacity(TRAILER_PLAIN);
    plain.raw(&(table.start as u64).to_le_bytes()).raw(&(table.len() as u64).to_le_bytes()).raw(&[0; 8]);
    plain.into_bytes()
}

fn encode_body(signer: WriterId, rows: &[SegmentDescriptor], wraps: &BTreeMap<DataKeyId, Vec<u8>>) -> Vec<u8> {
    let ids = rows.iter().map(|row| row.ids.len() + row.bases.len() + 4).sum::<usize>();
    let mut encoder = Encoder::with_capacity(ids * 32 + 1024);
    encoder.raw(&signer.0);
    RowEncoder::new(&mut encoder, rows.iter(), wraps).rows(&mut encoder, rows.iter());
    Extensions::default().encode(&mut encoder);
    encoder.into_bytes()
}

fn decode_body(decoder: &mut Decoder<'_>, epoch: u32, at: u64, limit: u64) -> Result<Table, wire::Error> {
    let signer = WriterId(decoder.array()?);
    let shared = RowDecoder::new(decoder)?;
    let mut rows = shared.rows(decoder, limit)?;
    rows.iter_mut().for_each(|row| row.offset += at);
    let extensions = Extensions::decode(decoder, &[])?;
    Ok(Table { signer, epoch, rows, wraps: shared.into_wraps(), extensions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::golden;
    use crate::repo::segment::rows_for_tests;
    use proptest::prelude::*;

    const REPOSITORY: RepositoryId = RepositoryId([1; 32]);
    const SIGNER: WriterId = WriterId([2; 16]);

    fn seal(key: &Secret) -> Seal<'_> {
        Seal { suite: Suite::XChaCha20Poly1305, repository: &REPOSITORY, epoch: 3, index_key: key }
    }

    #[test]
    fn golden() {
        let index_key = Secret::new([4; 32]);
        let seal = seal(&index_key);
        let signing = SigningKey::from_seed(&Secret::new([5; 32]));
        let mut plain = encode_body(SIGNER, &[], &BTreeMap::new());
        plain.extend_from_slice(&signing.sign(PURPOSE, &seal.signed(&plain)));
        let sealing_key = hash::derive_key(context::INDEX_SEAL, &index_key);
        let sealed = aead::seal_with_nonce(seal.suite, &sealing_key, &[6; 24], &seal.aad(Part::Table), &plain);
        assert_eq!(sealed, golden::bytes("table"));
        let table = seal.open_table(&sealed, 0, 0, |_| Some(signing.public())).unwrap();
        assert_eq!((table.signer, table.epoch, table.rows.len()), (SIGNER, 3, 0));

        let plain = encode_trailer(&(64..200));
        let sealed = aead::seal_with_nonce(seal.suite, &sealing_key, &[7; 24], &seal.aad(Part::Trailer), &plain);
        assert_eq!(sealed, golden::bytes("trailer"));
        assert_eq!(seal.open_trailer(&sealed, 65_536).unwrap(), 64..200);
    }

    #[test]
    fn trailers_lead_into_the_data_region_only() {
        let index_key = Secret::new([4; 32]);
        let seal = seal(&index_key);
        let sealed = seal.trailer(&(100..200));
        assert_eq!(sealed.len(), TRAILER_LEN);
        assert_eq!(seal.open_trailer(&sealed, 200 + TRAILER_LEN).unwrap(), 100..200);
        assert!(seal.open_trailer(&sealed, 199 + TRAILER_LEN).is_err());
        let other = Seal { epoch: 4, ..seal };
        assert!(matches!(other.open_trailer(&sealed, 1000), Err(Error::Trailer)));
        assert!(seal.open(Part::Table, &sealed).is_err(), "a trailer is no table");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn tables_come_back_for_the_right_signer(rows in rows_for_tests(0)) {
            let index_key = Secret::new([4; 32]);
            let seal = seal(&index_key);
            let signing = SigningKey::from_seed(&Secret::new([5; 32]));
            let sealed = seal.table(SIGNER, &signing, &rows, &BTreeMap::new());
            let open = |key: Option<PublicKey>| seal.open_table(&sealed, 1000, 1 << 40, |_| key);
            let table = open(Some(signing.public())).unwrap();
            prop_assert_eq!(table.signer, SIGNER);
            prop_assert!(table.rows.iter().zip(&rows).all(|(got, put)| got.offset == put.offset + 1000 && got.ids == put.ids));
            prop_assert!(matches!(open(None), Err(Error::UnknownSigner(SIGNER))));
            let stranger = SigningKey::from_seed(&Secret::new([6; 32])).public();
            prop_assert!(matches!(open(Some(stranger)), Err(Error::Crypto(crypto::Error::Signature))));
        }
    }
}
