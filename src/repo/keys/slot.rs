//! A slot: one bundle, sealed under what a credential gives.
//!
//! The commitment is compared before anything is opened, so a slot opens under one key only; the whole header and the
//! repository's id are authenticated with the bundle. The header is readable by anyone who sees the store, and so tells
//! no names. Where slots are stored, and the armour around these bytes, is not this file's business.

use super::Error;
use super::bundle::Bundle;
use super::credential::Credential;
use super::role::Role;
use crate::crypto::aead::{self, NONCE_LEN, Suite};
use crate::crypto::kdf::{Argon2Parameters, argon2id};
use crate::crypto::secret::{Secret, SecretBytes, random};
use crate::crypto::{context, hash};
use crate::repo::id::{PrincipalId, RepositoryId, SlotId};
use crate::repo::wire::{self, Decoder, Encoder, Extensions};

const VERSION: u8 = 1;
const WHAT: &str = "the slot";

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SlotKind {
    /// A password, through Argon2id.
    Password = 1,
    /// A recovery key.
    Recovery = 2,
    /// A raw key.
    RawKey = 3,
}

impl SlotKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Password, Self::Recovery, Self::RawKey];

    /// The kind with this number in the format.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// What opens it, in words.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Recovery => "recovery key",
            Self::RawKey => "raw key",
        }
    }
}

/// What anyone can read of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotHeader {
    /// What opens it.
    pub kind: SlotKind,
    /// What its bundle may do.
    pub role: Role,
    /// Whose bundle it is.
    pub principal: PrincipalId,
    /// When it was made: seconds since 1970-01-01 UTC by its maker's clock.
    pub created: i64,
    /// What seals the bundle.
    pub suite: Suite,
    /// Cost of the password hash; present for passwords only.
    pub argon2: Option<Argon2Parameters>,
    /// Makes equal passwords differ.
    pub salt: [u8; 32],
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl SlotHeader {
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u8(VERSION).u8(self.kind as u8).u8(self.role as u8).raw(&self.principal.0).int(self.created);
        encoder.u8(self.suite as u8);
        if let Some(argon2) = self.argon2 {
            encoder.uint(argon2.memory_kib.into()).uint(argon2.passes.into()).uint(argon2.lanes.into());
        }
        encoder.raw(&self.salt);
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, wire::Error> {
        let _version = decoder.u8()?;
        let kind = SlotKind::from_number(decoder.u8()?).ok_or(wire::Error::Invalid("an unknown kind of slot"))?;
        let role = Role::from_number(decoder.u8()?).ok_or(wire::Error::Invalid("an unknown role"))?;
        let (principal, created) = (PrincipalId(decoder.array()?), decoder.int()?);
        let suite = Suite::try_from(decoder.u8()?).map_err(|_| wire::Error::Invalid("an unknown cipher suite"))?;
        let argon2 = (kind == SlotKind::Password).then(|| read_cost(decoder)).transpose()?;
        let salt = decoder.array()?;
        let extensions = Extensions::decode(decoder, &[])?;
        Ok(Self { kind, role, principal, created, suite, argon2, salt, extensions })
    }
}

fn read_cost(decoder: &mut Decoder<'_>) -> Result<Argon2Parameters, wire::Error> {
    let (memory_kib, passes, lanes) = (decoder.uint_as()?, decoder.uint_as()?, decoder.uint_as()?);
    let cost = Argon2Parameters { memory_kib, passes, lanes };
    cost.check().map_err(|_| wire::Error::Invalid("a cost of hashing passwords out of range"))
}

/// A slot as stored, decoded and not yet opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What anyone can read.
    pub header: SlotHeader,
    commitment: [u8; 32],
    sealed: Vec<u8>,
}

/// What a new slot draws or chooses; apart, so that tests can fix it.
#[derive(Debug, Clone, Copy)]
struct Choices {
    created: i64,
    argon2: Argon2Parameters,
    salt: [u8; 32],
    /// `None`: drawn.
    nonce: Option<[u8; NONCE_LEN]>,
}

/// Seals `bundle` into a new slot that `credential` opens. `created` is the time now, in seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`Error::EmptyPassword`].
pub fn seal(bundle: &Bundle, credential: &Credential, created: i64) -> Result<Vec<u8>, Error> {
    seal_with_cost(bundle, credential, created, Argon2Parameters::DEFAULT)
}

/// As [`seal`] with another cost for hashing a password.
///
/// # Errors
/// [`Error::EmptyPassword`]; [`Error::Crypto`] when the cost is out of range.
pub fn seal_with_cost(
    bundle: &Bundle,
    credential: &Credential,
    created: i64,
    argon2: Argon2Parameters,
) -> Result<Vec<u8>, Error> {
    seal_with(bundle, credential, &Choices { created, argon2, salt: random(), nonce: None })
}

fn seal_with(bundle: &Bundle, credential: &Credential, choices: &Choices) -> Result<Vec<u8>, Error> {
    let header = SlotHeader {
        kind: credential.kind(),
        role: bundle.role(),
        principal: bundle.principal_id(),
        created: choices.created,
        suite: Suite::XChaCha20Poly1305,
        argon2: matches!(credential, Credential::Password(_)).then_some(choices.argon2),
        salt: choices.salt,
        extensions: Extensions::default(),
    };
    let keys = SlotKeys::derive(&header, credential)?;
    let (aad, plain) = (aad(&header, &bundle.repository()), bundle.encode());
    let nonce = choices.nonce.unwrap_or_else(|| aead::hedged_nonce(&keys.sealing, plain.expose()));
    let sealed = aead::seal_with_nonce(header.suite, &keys.sealing, &nonce, &aad, plain.expose());
    let mut encoder = Encoder::new();
    encoder.raw(&header.encode()).raw(keys.commitment.expose()).bytes(&sealed);
    Ok(encoder.into_bytes())
}

impl Slot {
    /// Reads a slot. What follows it is padding and ignored.
    ///
    /// # Errors
    /// When the bytes are not those of a slot of a known version, kind, role and suite.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first() {
            Some(&version) if version != VERSION => return Err(Error::Version { what: WHAT, version }),
            _ => {}
        }
        let mut decoder = Decoder::new(bytes);
        let mut read = || {
            let header = SlotHeader::decode(&mut decoder)?;
            Ok(Self { header, commitment: decoder.array()?, sealed: decoder.bytes()?.to_vec() })
        };
        read().map_err(Error::format(WHAT))
    }

    /// Opens the slot; `None` when the credential is of another kind or simply not the one. `id` only names the slot in
    /// errors.
    ///
    /// # Errors
    /// [`Error::SlotDamaged`] when the credential is right and the content is not; [`Error::ForeignConfig`] when the bundle
    /// is another repository's.
    pub fn open(
        &self,
        id: &SlotId,
        repository: &RepositoryId,
        credential: &Credential,
    ) -> Result<Option<Bundle>, Error> {
        if credential.kind() != self.header.kind {
            return Ok(None);
        }
        let keys = SlotKeys::derive(&self.header, credential)?;
        if keys.commitment != Secret::new(self.commitment) {
            return Ok(None);
        }
        let aad = aad(&self.header, repository);
        let plain = aead::open(self.header.suite, &keys.sealing, &aad, &self.sealed)
            .map(SecretBytes::new)
            .map_err(|_| Error::SlotDamaged(*id))?;
        let bundle = Bundle::decode(plain.expose())?;
        if bundle.repository() == *repository { Ok(Some(bundle)) } else { Err(Error::ForeignConfig) }
    }
}

/// What a credential becomes under a slot's header.
struct SlotKeys {
    sealing: Secret,
    commitment: Secret,
}

impl SlotKeys {
    fn derive(header: &SlotHeader, credential: &Credential) -> Result<Self, Error> {
        let root = match credential {
            Credential::Password(password) if password.expose().is_empty() => return Err(Error::EmptyPassword),
            Credential::Password(password) => {
                let cost = header.argon2.expect("the header of a password slot states a cost");
                argon2id(cost, &header.salt, password.expose()).map_err(Error::crypto("a slot's password"))?
            }
            Credential::Recovery(key) | Credential::RawKey(key) => Secret::new(hash::keyed(key, &header.salt)),
        };
        Ok(Self {
            sealing: hash::derive_key(context::SLOT, &root),
            commitment: hash::derive_key(context::SLOT_COMMITMENT, &root),
        })
    }
}

fn aad(header: &SlotHeader, repository: &RepositoryId) -> Vec<u8> {
    [&header.encode()[..], &repository.0].concat()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, CHEAP};
    use super::*;
    use crate::repo::golden;
    use proptest::prelude::*;

    const ID: SlotId = SlotId([8; 16]);

    fn credentials() -> [Credential; 3] {
        let key = || Secret::new([0x42; 32]);
        let password = SecretBytes::new(b"correct horse battery staple".to_vec());
        [Credential::Password(password), Credential::Recovery(key()), Credential::RawKey(key())]
    }

    fn golden_choices() -> Choices {
        Choices { created: 1_793_491_200, argon2: CHEAP, salt: [0x51; 32], nonce: Some([0x4e; NONCE_LEN]) }
    }

    #[test]
    fn golden_slots() {
        for (credential, name) in credentials().iter().zip(["slot-password", "slot-recovery", "slot-raw-key"]) {
            let bundle = fixture::granted(Role::Writer);
            let bytes = golden::bytes(name);
            assert_eq!(seal_with(&bundle, credential, &golden_choices()).unwrap(), bytes, "{name}");
            let slot = Slot::decode(&bytes).unwrap();
            assert_eq!(slot.open(&ID, &bundle.repository(), credential).unwrap(), Some(bundle), "{name}");
        }
    }

    #[test]
    fn a_slot_opens_for_its_own_credential_only() {
        let bundle = fixture::admin();
        for credential in credentials() {
            let bytes = seal_with_cost(&bundle, &credential, 0, CHEAP).unwrap();
            let slot = Slot::decode(&bytes).unwrap();
            assert_eq!(slot.header.kind, credential.kind());
            assert_eq!((slot.header.role, slot.header.principal), (Role::Admin, bundle.principal_id()));
            let open = |with: &Credential| slot.open(&ID, &bundle.repository(), with).unwrap();
            assert_eq!(open(&credential).as_ref(), Some(&bundle));
            // The same 256 bits as a key of another kind are no key to this slot.
            assert!(credentials().iter().filter(|other| other.kind() != credential.kind()).all(|o| open(o).is_none()));
            assert!(open(&Credential::Password(SecretBytes::new(b"correct horse battery".to_vec()))).is_none());
            assert!(open(&Credential::RawKey(Secret::generate())).is_none());
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (bundle, [_, credential, _]) = (fixture::granted(Role::Writer), credentials());
        let bytes = seal(&bundle, &credential, 1_700_000_000).unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            let opened = Slot::decode(&changed).and_then(|slot| slot.open(&ID, &bundle.repository(), &credential));
            assert!(!matches!(opened, Ok(Some(_))), "byte {position}");
        }
        let slot = Slot::decode(&bytes).unwrap();
        assert!(matches!(slot.open(&ID, &RepositoryId([9; 32]), &credential), Err(Error::SlotDamaged(ID))));
    }

    #[test]
    fn padding_after_a_slot_is_ignored() {
        let (bundle, [_, credential, _]) = (fixture::granted(Role::Reader), credentials());
        let mut bytes = seal(&bundle, &credential, 0).unwrap();
        let slot = Slot::decode(&bytes).unwrap();
        bytes.extend([0xee; 300]);
        assert_eq!(Slot::decode(&bytes).unwrap(), slot);
    }

    #[test]
    fn a_hostile_cost_is_refused_before_it_is_paid() {
        let (bundle, [password, ..]) = (fixture::granted(Role::Reader), credentials());
        let mut slot = Slot::decode(&seal_with_cost(&bundle, &password, 0, CHEAP).unwrap()).unwrap();
        slot.header.argon2 = Some(Argon2Parameters { memory_kib: u32::MAX, ..CHEAP });
        let bytes = [slot.header.encode(), vec![0; 33]].concat();
        assert!(matches!(Slot::decode(&bytes), Err(Error::Format { .. })));
        let cheap = Argon2Parameters { memory_kib: 8, passes: 1, lanes: 1 };
        assert!(matches!(seal_with_cost(&bundle, &password, 0, cheap), Err(Error::Crypto { .. })));
        let empty = Credential::Password(SecretBytes::new(vec![]));
        assert!(matches!(seal(&bundle, &empty, 0), Err(Error::EmptyPassword)));
    }

    #[test]
    fn a_slot_shows_nothing_of_its_bundle() {
        let (bundle, [_, credential, _]) = (fixture::admin(), credentials());
        let bytes = seal(&bundle, &credential, 0).unwrap();
        let plain = bundle.encode();
        for secret in plain.expose()[2..].chunks_exact(16) {
            assert!(!bytes.windows(16).any(|window| window == secret));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_give_a_slot_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 1u8..4) {
            let _ = Slot::decode(&bytes);
            if let [version, second, role, ..] = &mut bytes[..] {
                (*version, *second, *role) = (VERSION, kind, 1);
            }
            if let Ok(slot) = Slot::decode(&bytes) {
                let header = slot.header.encode();
                prop_assert_eq!(&header[..], &bytes[..header.len()]);
            }
        }
    }
}
