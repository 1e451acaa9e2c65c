//! Data keys: drawn for one session, sealing its data and payload segments; and their wraps for readers.
//!
//! A data key's id commits to the key, so that no wrap and no segment can be opened under two keys.

use super::Error;
use super::bundle::Bundle;
use super::epoch::ReadAccess;
use crate::crypto::aead::{self, Suite};
use crate::crypto::hpke::{self, KEM_X25519, OpeningKey};
use crate::crypto::secret::{Secret, SecretBytes};
use crate::crypto::{self, context, hash};
use crate::repo::id::{DataKeyId, RepositoryId, WriterId};
use crate::repo::wire::{self, Decoder, Encoder};

/// The number that marks a symmetric wrap, where wraps name their key encapsulation mechanism.
pub const KEM_SYMMETRIC: u16 = 0;

const WHAT: &str = "the wrap of a data key";

/// A session's data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKey {
    secret: Secret,
    id: DataKeyId,
}

impl DataKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self::from_secret(Secret::generate())
    }

    /// The key with these secret bytes.
    pub fn from_secret(secret: Secret) -> Self {
        let id = DataKeyId(hash::keyed(&hash::derive_key(context::DATA_KEY_ID, &secret), b""));
        Self { secret, id }
    }

    /// Its name and commitment.
    pub const fn id(&self) -> DataKeyId {
        self.id
    }

    /// The sealing key.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Wraps this key for readers of the bundle's newest epoch: symmetrically when the bundle holds the secret read key,
    /// else to the public one.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for a maintainer; [`Error::Crypto`] when the read key is no valid one.
    pub fn wrap(&self, bundle: &Bundle, writer: WriterId, seq: u64) -> Result<Wrap, Error> {
        let keys = bundle.current();
        let mut wrap = Wrap { id: self.id, writer, seq, epoch: keys.epoch, kem: KEM_SYMMETRIC, sealed: Vec::new() };
        let info = wrap.info(&bundle.repository());
        match &keys.read {
            ReadAccess::None => return Err(Error::NotAllowed { role: bundle.role(), action: "wrapping a data key" }),
            ReadAccess::Open(read) => {
                wrap.sealed = aead::seal(Suite::XChaCha20Poly1305, &symmetric_key(read), &info, self.secret.expose());
            }
            ReadAccess::Seal(public) => {
                wrap.kem = KEM_X25519;
                wrap.sealed = hpke::seal(public, &info, self.secret.expose()).map_err(Error::crypto(WHAT))?;
            }
        }
        Ok(wrap)
    }
}

/// A data key, sealed for whoever holds the secret read key of its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The key inside.
    pub id: DataKeyId,
    /// The writer whose session drew it.
    pub writer: WriterId,
    /// That session.
    pub seq: u64,
    /// The epoch whose read key opens it.
    pub epoch: u32,
    /// How it is sealed: [`KEM_SYMMETRIC`], [`KEM_X25519`], or one that a later version adds.
    pub kem: u16,
    /// The sealed key.
    pub sealed: Vec<u8>,
}

impl Wrap {
    /// The key inside.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when the bundle cannot read; [`Error::UnknownEpoch`]; [`Error::Crypto`] when it does not
    /// authenticate; [`Error::WrongDataKey`] when it holds another key than it names.
    pub fn open(&self, bundle: &Bundle) -> Result<DataKey, Error> {
        let refused = Error::NotAllowed { role: bundle.role(), action: "opening a data key" };
        if !bundle.role().reads_content() {
            return Err(refused);
        }
        let read = bundle.epoch(self.epoch)?.read_secret().ok_or(refused)?;
        let info = self.info(&bundle.repository());
        let plain = match self.kem {
            KEM_SYMMETRIC => {
                aead::open(Suite::XChaCha20Poly1305, &symmetric_key(read), &info, &self.sealed).map(SecretBytes::new)
            }
            KEM_X25519 => hpke::open(read, &info, &self.sealed),
            other => Err(crypto::Error::UnknownKem(other)),
        }
        .map_err(Error::crypto(WHAT))?;
        let secret = plain.expose().try_into().map_err(|_| Error::WrongDataKey(self.id))?;
        let key = DataKey::from_secret(Secret::new(secret));
        if key.id == self.id { Ok(key) } else { Err(Error::WrongDataKey(self.id)) }
    }

    /// Appends the wrap.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.raw(&self.id.0).raw(&self.writer.0).uint(self.seq).uint(u64::from(self.epoch));
        encoder.raw(&self.kem.to_le_bytes()).bytes(&self.sealed);
    }

    /// Reads a wrap. One of an unknown mechanism is read too: it only cannot be opened.
    ///
    /// # Errors
    /// When the bytes end early or hold malformed numbers.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, wire::Error> {
        Ok(Self {
            id: DataKeyId(decoder.array()?),
            writer: WriterId(decoder.array()?),
            seq: decoder.uint()?,
            epoch: decoder.uint_as()?,
            kem: u16::from_le_bytes(decoder.array()?),
            sealed: decoder.bytes()?.to_vec(),
        })
    }

    fn info(&self, repository: &RepositoryId) -> Vec<u8> {
        let mut info = Encoder::new();
        info.bytes(b"boveda v1 data key").raw(&repository.0).raw(&self.writer.0);
        info.raw(&self.seq.to_le_bytes()).raw(&self.epoch.to_le_bytes()).raw(&self.id.0);
        info.into_bytes()
    }
}

fn symmetric_key(read: &OpeningKey) -> Secret {
    hash::derive_key(context::READ_WRAP, &read.0)
}
