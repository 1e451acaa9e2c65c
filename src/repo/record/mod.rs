//! The snapshot record: three parts under one signature. Clear: its place in its writer's chain. Structure, under the
//! index key: the tree and what retention needs, no names. Private, under the session's data key: the names.
//!
//! Invariant: a record is its bytes; its id is their SHA-256, wherever they are kept. Whether it counts as a snapshot is
//! not decided here but by the sessions, the census and the log.

mod private;
mod structure;
#[cfg(test)]
mod tests;

pub use private::{Private, Statistics};
pub use structure::{Completeness, SnapshotKind, SourceKind, Structure, Tokens, heads_digest};

use super::frame::Sealing;
use super::id::{DataKeyId, RepositoryId, SnapshotId, WriterId};
use super::keys::data_key::{DataKey, Wrap};
use super::names::SessionName;
use super::wire::{self, Decoder, Encoder, Extensions};
use crate::crypto::aead::{self, NONCE_LEN, Suite};
use crate::crypto::secret::Secret;
use crate::crypto::sign::{PublicKey, Purpose, SIGNATURE_LEN, SigningKey};
use crate::crypto::{self, context, hash};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose("boveda v1 record");
/// The previous record of a chain's first.
const NONE: SnapshotId = SnapshotId([0; 32]);

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes that do not decode.
    #[error("{what} {source}")]
    Format {
        /// The record or one of its parts.
        what: &'static str,
        /// Why it does not decode.
        source: wire::Error,
    },
    /// A later version.
    #[error("the snapshot record needs a newer boveda (version {0})")]
    Version(u8),
    /// A seal or the signature does not hold.
    #[error("{what}: {source}")]
    Crypto {
        /// The record or one of its parts.
        what: &'static str,
        /// The failed step.
        source: crypto::Error,
    },
    /// A record of another repository.
    #[error("the snapshot record belongs to another repository")]
    Foreign,
    /// Opened with a data key that is not the record's.
    #[error("the snapshot record is sealed with data key {0}, not with this one")]
    OtherDataKey(DataKeyId),
}

impl Error {
    fn format(what: &'static str) -> impl Fn(wire::Error) -> Self {
        move |source| Self::Format { what, source }
    }

    fn crypto(what: &'static str) -> impl Fn(crypto::Error) -> Self {
        move |source| Self::Crypto { what, source }
    }
}

const RECORD: &str = "the snapshot record";
const STRUCTURE: &str = "the snapshot record's structure part";
const PRIVATE: &str = "the snapshot record's private part";

/// Where a record stands: what it says in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The repository.
    pub repository: RepositoryId,
    /// The session that committed it.
    pub session: SessionName,
    /// How many records its writer committed before it.
    pub number: u64,
    /// The writer's record before; none for its first.
    pub previous: Option<SnapshotId>,
}

/// A record, decoded and not yet proven: see [`Self::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    link: Link,
    epoch: u32,
    suite: Suite,
    data_key: DataKeyId,
    structure: Vec<u8>,
    private: Vec<u8>,
    wraps: Vec<Wrap>,
    extensions: Extensions,
    signature: [u8; SIGNATURE_LEN],
    bytes: Vec<u8>,
    id: SnapshotId,
}

impl Record {
    /// Makes and signs a record; `wraps` hold `data_key` for readers, `signer` is the installation's key.
    pub fn write(
        link: &Link,
        (structure, private): (&Structure, &Private),
        sealing: Sealing<'_>,
        (data_key, wraps): (&DataKey, Vec<Wrap>),
        signer: &SigningKey,
    ) -> Self {
        let index_key = hash::derive_key(context::INDEX_SEAL, sealing.index_key);
        let (structure, private) = (structure.encode(), private.encode());
        let nonces = [aead::hedged_nonce(&index_key, &structure), aead::hedged_nonce(data_key.secret(), &private)];
        Self::write_with_nonces(link, (&structure, &private), sealing, (data_key, wraps), signer, &nonces)
    }

    fn write_with_nonces(
        link: &Link,
        (structure, private): (&[u8], &[u8]),
        sealing: Sealing<'_>,
        (data_key, wraps): (&DataKey, Vec<Wrap>),
        signer: &SigningKey,
        nonces: &[[u8; NONCE_LEN]; 2],
    ) -> Self {
        let index_key = hash::derive_key(context::INDEX_SEAL, sealing.index_key);
        let mut record = Self {
            link: *link,
            epoch: sealing.epoch,
            suite: sealing.suite,
            data_key: data_key.id(),
            structure: Vec::new(),
            private: Vec::new(),
            wraps,
            extensions: Extensions::default(),
            signature: [0; SIGNATURE_LEN],
            bytes: Vec::new(),
            id: NONE,
        };
        let seal = |key, nonce, part, plain| aead::seal_with_nonce(sealing.suite, key, nonce, &record.aad(part), plain);
        let (structure, private) = (
            seal(&index_key, &nonces[0], "structure", structure),
            seal(data_key.secret(), &nonces[1], "private", private),
        );
        (record.structure, record.private) = (structure, private);
        let message = record.signed_message();
        record.signature = signer.sign(PURPOSE, &message);
        record.bytes = [&message[..], &record.signature].concat();
        record.id = SnapshotId(hash::sha256(&record.bytes));
        record
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Format`] or [`Error::Version`] when the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if let Some(&version) = bytes.first().filter(|&&version| version != VERSION) {
            return Err(Error::Version(version));
        }
        let mut record = Decoder::whole(bytes, Self::fields).map_err(Error::format(RECORD))?;
        record.bytes = bytes.to_vec();
        record.id = SnapshotId(hash::sha256(bytes));
        Ok(record)
    }

    fn fields(decoder: &mut Decoder<'_>) -> Result<Self, wire::Error> {
        decoder.u8()?;
        let repository = RepositoryId(decoder.array()?);
        let session = SessionName { writer: WriterId(decoder.array()?), seq: decoder.uint()? };
        let (number, previous) = (decoder.uint()?, SnapshotId(decoder.array()?));
        if (number == 0) != (previous == NONE) {
            return Err(wire::Error::Invalid("a chain that does not start with its first record"));
        }
        let link = Link { repository, session, number, previous: Some(previous).filter(|id| *id != NONE) };
        Ok(Self {
            link,
            epoch: decoder.uint_as()?,
            suite: Suite::try_from(decoder.u8()?).map_err(|_| wire::Error::Invalid("an unknown cipher suite"))?,
            data_key: DataKeyId(decoder.array()?),
            structure: decoder.bytes()?.to_vec(),
            private: decoder.bytes()?.to_vec(),
            wraps: decoder.list(Wrap::decode)?,
            extensions: Extensions::decode(decoder, &[])?,
            signature: decoder.array()?,
            bytes: Vec::new(),
            id: NONE,
        })
    }

    /// The clear part.
    fn clear(&self) -> Encoder {
        let mut encoder = Encoder::new();
        encoder.u8(VERSION).raw(&self.link.repository.0).raw(&self.link.session.writer.0).uint(self.link.session.seq);
        encoder.uint(self.link.number).raw(&self.link.previous.unwrap_or(NONE).0);
        encoder.uint(self.epoch.into()).u8(self.suite as u8).raw(&self.data_key.0);
        encoder
    }

    /// What the seal of one part binds.
    fn aad(&self, part: &str) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.text("boveda v1 record").text(part).raw(&self.clear().into_bytes());
        encoder.into_bytes()
    }

    fn signed_message(&self) -> Vec<u8> {
        let mut encoder = self.clear();
        encoder.bytes(&self.structure).bytes(&self.private).list(&self.wraps, |encoder, wrap| wrap.encode(encoder));
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// The snapshot's id: SHA-256 of [`Self::bytes`].
    pub const fn id(&self) -> SnapshotId {
        self.id
    }

    /// The record's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says in clear.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The epoch whose index key opens the structure part.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The data key that opens the private part, and this session's data and payload segments.
    pub const fn data_key(&self) -> DataKeyId {
        self.data_key
    }

    /// That data key, wrapped for readers.
    pub fn wraps(&self) -> &[Wrap] {
        &self.wraps
    }

    /// Checks that `installation` signed this record for `repository`.
    ///
    /// # Errors
    /// [`Error::Foreign`] or [`Error::Crypto`].
    pub fn verify(&self, repository: &RepositoryId, installation: &PublicKey) -> Result<(), Error> {
        if self.link.repository != *repository {
            return Err(Error::Foreign);
        }
        let message = &self.bytes[..self.bytes.len() - SIGNATURE_LEN];
        installation.verify(PURPOSE, message, &self.signature).map_err(Error::crypto(RECORD))
    }

    /// Opens the structure part with the index key of [`Self::epoch`].
    ///
    /// # Errors
    /// When it is another key, or the part does not decode.
    pub fn structure(&self, index_key: &Secret) -> Result<Structure, Error> {
        let key = hash::derive_key(context::INDEX_SEAL, index_key);
        let plain = aead::open(self.suite, &key, &self.aad("structure"), &self.structure);
        Structure::decode(&plain.map_err(Error::crypto(STRUCTURE))?).map_err(Error::format(STRUCTURE))
    }

    /// Opens the private part.
    ///
    /// # Errors
    /// When it is another key, or the part does not decode.
    pub fn private(&self, data_key: &DataKey) -> Result<Private, Error> {
        if data_key.id() != self.data_key {
            return Err(Error::OtherDataKey(self.data_key));
        }
        let plain = aead::open(self.suite, data_key.secret(), &self.aad("private"), &self.private);
        Private::decode(&plain.map_err(Error::crypto(PRIVATE))?).map_err(Error::format(PRIVATE))
    }
}

/// Appends a moment: seconds, then nanoseconds.
fn encode_time(encoder: &mut Encoder, time: super::entry::Timestamp) {
    encoder.int(time.seconds).uint(time.nanoseconds.into());
}

fn decode_time(decoder: &mut Decoder<'_>) -> Result<super::entry::Timestamp, wire::Error> {
    let time = super::entry::Timestamp { seconds: decoder.int()?, nanoseconds: decoder.uint_as()? };
    if time.nanoseconds < 1_000_000_000 { Ok(time) } else { Err(wire::Error::Invalid("a second of nanoseconds")) }
}
