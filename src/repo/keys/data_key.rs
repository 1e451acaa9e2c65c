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

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, WRITER};
    use super::super::role::Role;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writers_and_admins_wrap_and_readers_and_admins_open() {
        let key = DataKey::generate();
        for (wrapper, kem) in [(Role::Writer, KEM_X25519), (Role::Admin, KEM_SYMMETRIC), (Role::Reader, KEM_SYMMETRIC)]
        {
            let wrap = key.wrap(&fixture::granted(wrapper), WRITER, 7).unwrap();
            assert_eq!((wrap.id, wrap.kem, wrap.epoch), (key.id(), kem, 2));
            for opener in [Role::Reader, Role::Admin] {
                assert_eq!(wrap.open(&fixture::granted(opener)).unwrap(), key);
            }
            for refused in [Role::Writer, Role::Maintainer] {
                assert!(matches!(wrap.open(&fixture::granted(refused)), Err(Error::NotAllowed { .. })));
            }
        }
        let maintainer = fixture::granted(Role::Maintainer);
        assert!(matches!(key.wrap(&maintainer, WRITER, 7), Err(Error::NotAllowed { .. })));
    }

    #[test]
    fn a_wrap_is_bound_to_its_session_epoch_and_key() {
        let (reader, key) = (fixture::granted(Role::Reader), DataKey::generate());
        let changes: [fn(&mut Wrap); 7] = [
            |wrap| wrap.writer = WriterId([9; 16]),
            |wrap| wrap.seq += 1,
            |wrap| wrap.epoch = 1,
            |wrap| wrap.id = DataKeyId([9; 32]),
            |wrap| wrap.kem = 0x647a,
            |wrap| *wrap.sealed.last_mut().unwrap() ^= 1,
            |wrap| wrap.sealed.clear(),
        ];
        for wrapper in [Role::Writer, Role::Admin] {
            let wrap = key.wrap(&fixture::granted(wrapper), WRITER, 7).unwrap();
            for change in changes {
                let mut changed = wrap.clone();
                change(&mut changed);
                assert!(changed.open(&reader).is_err());
            }
            let unknown = Wrap { epoch: 3, ..wrap };
            assert!(matches!(unknown.open(&reader), Err(Error::UnknownEpoch(3))));
        }
    }

    #[test]
    fn a_key_under_anothers_id_is_refused() {
        let (reader, named, inside) = (fixture::granted(Role::Reader), DataKey::generate(), DataKey::generate());
        let mut wrap = named.wrap(&reader, WRITER, 7).unwrap();
        let read = reader.current().read_secret().unwrap();
        let info = wrap.info(&reader.repository());
        wrap.sealed = aead::seal(Suite::XChaCha20Poly1305, &symmetric_key(read), &info, inside.secret().expose());
        assert!(matches!(wrap.open(&reader), Err(Error::WrongDataKey(id)) if id == named.id()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn wraps_survive_the_trip_and_any_bytes_do_no_harm(
            seq: u64, epoch: u32, kem: u16, sealed in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Decoder::whole(&sealed, Wrap::decode);
            let wrap = Wrap { id: DataKeyId([3; 32]), writer: WRITER, seq, epoch, kem, sealed };
            let mut encoder = Encoder::new();
            wrap.encode(&mut encoder);
            let bytes = encoder.into_bytes();
            prop_assert_eq!(Decoder::whole(&bytes, Wrap::decode), Ok(wrap));
        }
    }
}
