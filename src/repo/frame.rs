//! Frames: what every small object is inside its armour. A clear part, a part sealed under the index key, a signature.
//!
//! Invariant: seal and signature bind kind, repository and name, so that no object can stand in for another. A frame that
//! was read proves nothing until [`Frame::verify`]; which key must have signed is the caller's knowledge.

use super::armour::{self, ObjectKind, Scale};
use super::id::RepositoryId;
use super::names::Name;
use super::wire::{self, Decoder, Encoder};
use crate::crypto::aead::{self, Suite};
use crate::crypto::secret::Secret;
use crate::crypto::sign::{PublicKey, Purpose, SIGNATURE_LEN, SigningKey};
use crate::crypto::{self, context, hash};

const VERSION: u8 = 1;

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object} {source}")]
pub struct Error {
    /// The object's name.
    pub object: String,
    /// What is wrong with it.
    pub source: Cause,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Its armour cannot be opened, even with its parity.
    #[error(transparent)]
    Armour(armour::Error),
    /// It is an object of another kind.
    #[error("is an object of another kind ({0:?})")]
    Kind(ObjectKind),
    /// Its bytes do not decode.
    #[error(transparent)]
    Format(wire::Error),
    /// It was written by a later version.
    #[error("needs a newer boveda (frame version {0})")]
    Version(u8),
    /// It is sealed by something that this version does not know, or was sealed or signed otherwise.
    #[error("does not verify: {0}")]
    Crypto(#[source] crypto::Error),
    /// Its sealed part is missing.
    #[error("has no sealed part")]
    NotSealed,
}

impl Error {
    /// Whether a later version of boveda may be able to read the object.
    pub const fn needs_newer(&self) -> bool {
        matches!(
            self.source,
            Cause::Version(_)
                | Cause::Armour(armour::Error::Newer(..))
                | Cause::Format(wire::Error::Critical(_))
                | Cause::Crypto(crypto::Error::UnknownSuite(_))
        )
    }
}

/// What a part is sealed with.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// The epoch of the key.
    pub epoch: u32,
    /// The cipher suite.
    pub suite: Suite,
    /// The epoch's index key.
    pub index_key: &'a Secret,
}

/// A frame that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What to put into the store. No two calls give the same.
    pub stored: Vec<u8>,
    /// SHA-256 of the frame alone, without armour.
    pub digest: [u8; 32],
}

/// Makes an object: `clear` as it is, `sealed` under its sealing, both signed by `signer`, in armour.
///
/// Of `name` only [`Name::bound`] is used: for objects named by their own hash any hash will do.
pub fn write(
    repository: &RepositoryId,
    name: &Name,
    clear: &[u8],
    sealed: Option<(Sealing<'_>, &[u8])>,
    signer: &SigningKey,
) -> Written {
    let part = sealed.map(|(sealing, body)| {
        let aad = aad(repository, name, sealing.epoch, sealing.suite as u8, clear);
        let key = hash::derive_key(context::INDEX_SEAL, sealing.index_key);
        let plain = padded(body, sealing.epoch, clear.len());
        SealedPart { epoch: sealing.epoch, suite: sealing.suite, bytes: aead::seal(sealing.suite, &key, &aad, &plain) }
    });
    dress(name, assemble(repository, name, clear, part, signer))
}

/// A body with its length before it and zeros behind it, so many that the frame just fills its armour: the length of the
/// sealed part stands in clear, and so may tell no more than the armour does.
fn padded(body: &[u8], epoch: u32, clear: usize) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(body.len() + 16);
    encoder.bytes(body);
    let mut plain = encoder.into_bytes();
    let bytes_len = |length: usize| uint_len(length as u64) + length;
    let frame_len = |plain: usize| {
        2 + uint_len(epoch.into()) + 1 + bytes_len(clear) + bytes_len(plain + aead::OVERHEAD) + SIGNATURE_LEN
    };
    let full = Scale::Small.padded(frame_len(plain.len()));
    let mut length = plain.len() + full - frame_len(plain.len());
    while frame_len(length) > full {
        length -= 1;
    }
    plain.resize(length, 0);
    plain
}

/// Bytes of a uint.
const fn uint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn dress(name: &Name, frame: Vec<u8>) -> Written {
    let digest = hash::sha256(&frame);
    Written { stored: armour::wrap(name.kind(), Scale::Small, frame), digest }
}

/// A sealed part and what the frame says about it in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SealedPart {
    epoch: u32,
    suite: Suite,
    bytes: Vec<u8>,
}

/// The frame's bytes, signature included.
fn assemble(
    repository: &RepositoryId,
    name: &Name,
    clear: &[u8],
    sealed: Option<SealedPart>,
    signer: &SigningKey,
) -> Vec<u8> {
    let (epoch, suite, bytes) = sealed.map_or((0, 0, Vec::new()), |part| (part.epoch, part.suite as u8, part.bytes));
    let signature = signer.sign(purpose(name.kind()), &signed_message(repository, name, epoch, suite, clear, &bytes));
    let mut encoder = Encoder::new();
    encoder.u8(VERSION).u8(name.kind() as u8).uint(epoch.into()).u8(suite).bytes(clear).bytes(&bytes).raw(&signature);
    encoder.into_bytes()
}

/// What the seal binds beside its own bytes.
fn aad(repository: &RepositoryId, name: &Name, epoch: u32, suite: u8, clear: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.text("boveda v1 frame").u8(VERSION).u8(name.kind() as u8).raw(&repository.0).uint(epoch.into()).u8(suite);
    encoder.text(&name.bound()).bytes(clear);
    encoder.into_bytes()
}

fn signed_message(
    repository: &RepositoryId,
    name: &Name,
    epoch: u32,
    suite: u8,
    clear: &[u8],
    sealed: &[u8],
) -> Vec<u8> {
    let mut message = Encoder::new();
    message.raw(&aad(repository, name, epoch, suite, clear)).bytes(sealed);
    message.into_bytes()
}

/// The purpose of the signature on each kind of object.
const fn purpose(kind: ObjectKind) -> Purpose {
    Purpose(match kind {
        ObjectKind::Config => "boveda v1 config",
        ObjectKind::Slot => "boveda v1 slot",
        ObjectKind::EpochKeys => "boveda v1 epoch keys",
        ObjectKind::Open => "boveda v1 open",
        ObjectKind::Beat => "boveda v1 beat",
        ObjectKind::End => "boveda v1 end",
        ObjectKind::Index => "boveda v1 index",
        ObjectKind::Census => "boveda v1 census",
        ObjectKind::Pin => "boveda v1 pin",
        ObjectKind::Hold => "boveda v1 hold",
        ObjectKind::LogEntry => "boveda v1 log entry",
        ObjectKind::Pack => "boveda v1 pack",
    })
}

/// A frame as read, not yet proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    name: Name,
    clear: Vec<u8>,
    sealed: Option<SealedPart>,
    signature: [u8; SIGNATURE_LEN],
    bytes: Vec<u8>,
    healed: Option<Vec<u8>>,
}

impl Frame {
    /// Reads the object `name` from its stored bytes, through its parity if they are damaged.
    ///
    /// # Errors
    /// When the armour cannot be opened, it is of another kind, or what is inside does not decode.
    pub fn read(name: &Name, stored: &[u8]) -> Result<Self, Error> {
        let fail = |source| Error { object: name.to_string(), source };
        let healed = match armour::check(stored) {
            Ok(_) => None,
            Err(armour::Error::Newer(version, kind)) => {
                return Err(fail(Cause::Armour(armour::Error::Newer(version, kind))));
            }
            Err(_) => Some(armour::heal(stored).map_err(|e| fail(Cause::Armour(e)))?),
        };
        let sound = healed.as_deref().unwrap_or(stored);
        let layout = armour::check(sound).map_err(|e| fail(Cause::Armour(e)))?;
        if layout.kind() != name.kind() {
            return Err(fail(Cause::Kind(layout.kind())));
        }
        let (mut frame, _) = Self::parse(name, &sound[layout.data_range()]).map_err(fail)?;
        frame.healed = healed;
        Ok(frame)
    }

    /// Reads a frame without armour, as a census carries it.
    ///
    /// # Errors
    /// When the bytes do not decode, or others follow.
    pub fn decode(name: &Name, bytes: &[u8]) -> Result<Self, Error> {
        let fail = |source| Error { object: name.to_string(), source };
        let (frame, rest) = Self::parse(name, bytes).map_err(fail)?;
        if rest.is_empty() { Ok(frame) } else { Err(fail(Cause::Format(wire::Error::Trailing))) }
    }

    /// A frame at the start of `bytes`, and what follows it.
    fn parse<'a>(name: &Name, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Cause> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u8().map_err(Cause::Format)?;
        if version != VERSION {
            return Err(Cause::Version(version));
        }
        let kind = decoder.u8().map_err(Cause::Format)?;
        if kind != name.kind() as u8 {
            let kind = ObjectKind::from_number(kind);
            return Err(kind.map_or(Cause::Format(wire::Error::Invalid("an unknown kind of object")), Cause::Kind));
        }
        let mut frame = Self::fields(name, &mut decoder)?;
        let rest = decoder.rest();
        frame.bytes = bytes[..bytes.len() - rest.len()].to_vec();
        Ok((frame, rest))
    }

    fn fields(name: &Name, decoder: &mut Decoder<'_>) -> Result<Self, Cause> {
        let epoch = decoder.uint_as().map_err(Cause::Format)?;
        let suite = decoder.u8().map_err(Cause::Format)?;
        let clear = decoder.bytes().map_err(Cause::Format)?.to_vec();
        let bytes = decoder.bytes().map_err(Cause::Format)?.to_vec();
        let sealed = match suite {
            0 if epoch == 0 && bytes.is_empty() => None,
            0 => return Err(Cause::Format(wire::Error::Invalid("a sealed part without a suite"))),
            suite => Some(SealedPart { epoch, suite: Suite::try_from(suite).map_err(Cause::Crypto)?, bytes }),
        };
        let signature = decoder.array().map_err(Cause::Format)?;
        Ok(Self { name: *name, clear, sealed, signature, bytes: Vec::new(), healed: None })
    }

    /// The clear part; believe it only after [`Self::verify`].
    pub fn clear(&self) -> &[u8] {
        &self.clear
    }

    /// The epoch whose index key opens the sealed part; `None` when there is no such part.
    pub fn epoch(&self) -> Option<u32> {
        self.sealed.as_ref().map(|part| part.epoch)
    }

    /// The frame's bytes without armour.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of [`Self::bytes`].
    pub fn digest(&self) -> [u8; 32] {
        hash::sha256(&self.bytes)
    }

    /// The whole object as it was stored, when it was read through its parity. Put it back only after [`Self::verify`].
    pub fn healed(&self) -> Option<&[u8]> {
        self.healed.as_deref()
    }

    /// Checks that `signer` made this frame for this repository and name.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self, repository: &RepositoryId, signer: &PublicKey) -> Result<(), Error> {
        let (epoch, suite, sealed) =
            self.sealed.as_ref().map_or((0, 0, &[][..]), |part| (part.epoch, part.suite as u8, &part.bytes[..]));
        let message = signed_message(repository, &self.name, epoch, suite, &self.clear, sealed);
        signer.verify(purpose(self.name.kind()), &message, &self.signature).map_err(|e| self.fail(Cause::Crypto(e)))
    }

    /// Opens the sealed part with the index key of [`Self::epoch`]. Whoever holds that key can have made it: see
    /// [`Self::verify`].
    ///
    /// # Errors
    /// When there is none, or the key, repository or name is another.
    pub fn unseal(&self, repository: &RepositoryId, index_key: &Secret) -> Result<Vec<u8>, Error> {
        let part = self.sealed.as_ref().ok_or_else(|| self.fail(Cause::NotSealed))?;
        let aad = aad(repository, &self.name, part.epoch, part.suite as u8, &self.clear);
        let key = hash::derive_key(context::INDEX_SEAL, index_key);
        let plain = aead::open(part.suite, &key, &aad, &part.bytes).map_err(|e| self.fail(Cause::Crypto(e)))?;
        let mut decoder = Decoder::new(&plain);
        let body = decoder.bytes().map_err(|e| self.fail(Cause::Format(e)))?.to_vec();
        // One encoding per value: padding that says something would be a place to hide things in.
        match decoder.rest().iter().all(|&byte| byte == 0) {
            true => Ok(body),
            false => Err(self.fail(Cause::Format(wire::Error::Invalid("padding that is not zero")))),
        }
    }

    /// For callers that decode a part: an error about this object.
    pub fn fail(&self, source: Cause) -> Error {
        Error { object: self.name.to_string(), source }
    }
}

#[cfg(test)]
mod tests;
