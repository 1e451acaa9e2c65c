//! Keys for tests: every one of them known, the same in each run. What the golden bytes of `FORMAT.md` are made of.

use super::bundle::Bundle;
use super::epoch::{EpochKeys, ReadAccess};
use super::principal::PrincipalKeys;
use super::role::Role;
use crate::crypto::aead::Suite;
use crate::crypto::hpke::OpeningKey;
use crate::crypto::kdf::Argon2Parameters;
use crate::crypto::secret::Secret;
use crate::crypto::sign::SigningKey;
use crate::repo::config::{ChunkerParameters, Config};
use crate::repo::id::{RepositoryId, WriterId};

/// The cheapest cost that is accepted: tests hash passwords often.
pub const CHEAP: Argon2Parameters = Argon2Parameters { memory_kib: 64 * 1024, passes: 1, lanes: 1 };

/// An installation's id.
pub const WRITER: WriterId = WriterId([0x77; 16]);

/// The config of the repository that these keys are for.
pub fn config() -> Config {
    let mut config = Config::new(Suite::Aes256Gcm, SigningKey::from_seed(&secret(2)).public(), 1_793_491_200);
    config.repository = RepositoryId([1; 32]);
    config.files = ChunkerParameters { minimum: 16_384, average: 65_536, maximum: 524_288, normalization: 1 };
    config.dumps = ChunkerParameters { minimum: 16_384, average: 32_768, maximum: 65_536, normalization: 1 };
    config.parity = 32;
    config
}

/// The first admin's bundle, with two epochs.
pub fn admin() -> Bundle {
    let mut bundle = Bundle::found(&config(), secret(2)).unwrap();
    bundle.principal = principal(3);
    bundle.structure_key = secret(6);
    bundle.id_key = Some(secret(7));
    bundle.chunker_key = Some(secret(8));
    bundle.epochs = [epoch(1), epoch(2)].into_iter().map(|keys| (keys.epoch, keys)).collect();
    bundle
}

/// A bundle of `role`, granted by [`admin`].
pub fn granted(role: Role) -> Bundle {
    let mut bundle = admin().grant(role).unwrap();
    bundle.principal = principal(0x30 + 0x10 * role as u8);
    bundle
}

/// The complete keys of an epoch.
pub fn epoch(epoch: u8) -> EpochKeys {
    let read = ReadAccess::Open(OpeningKey(secret(0x20 + epoch)));
    EpochKeys { epoch: epoch.into(), index: secret(0x10 + epoch), read }
}

/// Keys of an epoch of any number, all alike.
pub fn epoch_numbered(number: u32) -> EpochKeys {
    EpochKeys { epoch: number, ..epoch(1) }
}

fn principal(first: u8) -> PrincipalKeys {
    PrincipalKeys { seed: secret(first), opening: OpeningKey(secret(first + 1)), secret: secret(first + 2) }
}

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}
