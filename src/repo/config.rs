//! The config: what a repository is, decided once. Its body's bytes; the signed frame around them is not made here.
//!
//! Invariant: never believed on its own word. A bundle holds the hash of the body, see `Bundle::check_config`.

use super::id::RepositoryId;
use super::wire::{Decoder, Encoder, Error, Extensions};
use crate::crypto::aead::Suite;
use crate::crypto::hash;
use crate::crypto::sign::PublicKey;

/// The version of the repository format.
pub const FORMAT_VERSION: u8 = 1;

/// How one kind of source is cut into chunks. Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkerParameters {
    /// No chunk but a file's last is smaller.
    pub minimum: u32,
    /// What sizes gather around.
    pub average: u32,
    /// No chunk is larger.
    pub maximum: u32,
    /// FastCDC's normalization level, 0 to 3: how closely they gather.
    pub normalization: u8,
}

impl ChunkerParameters {
    /// What new repositories use for files.
    pub const FILES: Self = Self { minimum: 16 << 10, average: 64 << 10, maximum: 512 << 10, normalization: 1 };
    /// What new repositories use for dumps: rows change here and there, and small chunks keep what is stored again small.
    pub const DUMPS: Self = Self { minimum: 16 << 10, average: 32 << 10, maximum: 64 << 10, normalization: 1 };

    /// Bounds of the cutting algorithm, and a chunk always fits a segment.
    fn is_valid(&self) -> bool {
        64 <= self.minimum
            && self.minimum <= self.average
            && self.average <= self.maximum
            && (256..=4 << 20).contains(&self.average)
            && (1024..=16 << 20).contains(&self.maximum)
            && self.normalization <= 3
    }

    fn encode(&self, encoder: &mut Encoder) {
        encoder.uint(self.minimum.into()).uint(self.average.into()).uint(self.maximum.into()).u8(self.normalization);
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let (minimum, average, maximum) = (decoder.uint_as()?, decoder.uint_as()?, decoder.uint_as()?);
        let parameters = Self { minimum, average, maximum, normalization: decoder.u8()? };
        if parameters.is_valid() { Ok(parameters) } else { Err(Error::Invalid("chunk sizes out of range")) }
    }
}

/// What a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The repository's name for itself.
    pub repository: RepositoryId,
    /// What segments and small objects are sealed with.
    pub suite: Suite,
    /// The key that certifies principals.
    pub admin: PublicKey,
    /// When it was founded: seconds since 1970-01-01 UTC by the founder's clock.
    pub created: i64,
    /// How files are cut.
    pub files: ChunkerParameters,
    /// How dumps are cut.
    pub dumps: ChunkerParameters,
    /// One parity shard for so many data shards, 1 to 255 (never fewer than two in all).
    pub parity: u8,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Config {
    /// The parity of new repositories: one shard for 32.
    pub const DEFAULT_PARITY: u8 = 32;

    /// A new repository's config with the default parameters, and a fresh repository id.
    pub fn new(suite: Suite, admin: PublicKey, created: i64) -> Self {
        Self {
            repository: RepositoryId(crate::crypto::secret::random()),
            suite,
            admin,
            created,
            files: ChunkerParameters::FILES,
            dumps: ChunkerParameters::DUMPS,
            parity: Self::DEFAULT_PARITY,
            extensions: Extensions::default(),
        }
    }

    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u8(FORMAT_VERSION).raw(&self.repository.0).u8(self.suite as u8).raw(&self.admin.0).int(self.created);
        self.files.encode(&mut encoder);
        self.dumps.encode(&mut encoder);
        encoder.u8(self.parity);
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When the bytes are not a config of this format version, or a value is out of its range.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            if decoder.u8()? != FORMAT_VERSION {
                return Err(Error::Invalid("a format version that this boveda does not know"));
            }
            let repository = RepositoryId(decoder.array()?);
            let suite = Suite::try_from(decoder.u8()?).map_err(|_| Error::Invalid("an unknown cipher suite"))?;
            let (admin, created) = (PublicKey(decoder.array()?), decoder.int()?);
            let (files, dumps) = (ChunkerParameters::decode(decoder)?, ChunkerParameters::decode(decoder)?);
            let parity = decoder.u8()?;
            if parity == 0 {
                return Err(Error::Invalid("a parity of none"));
            }
            let extensions = Extensions::decode(decoder, &[])?;
            Ok(Self { repository, suite, admin, created, files, dumps, parity, extensions })
        })
    }

    /// SHA-256 of the body: what bundles and the first log entry hold.
    pub fn hash(&self) -> [u8; 32] {
        hash::sha256(&self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::fixture;
    use super::*;
    use crate::repo::golden;
    use proptest::prelude::*;

    #[test]
    fn golden_config() {
        let bytes = golden::bytes("config");
        assert_eq!(fixture::config().encode(), bytes);
        assert_eq!(Config::decode(&bytes), Ok(fixture::config()));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let refused = |change: fn(&mut Config)| {
            let mut config = fixture::config();
            change(&mut config);
            assert!(Config::decode(&config.encode()).is_err());
        };
        refused(|config| config.parity = 0);
        refused(|config| config.files.minimum = 63);
        refused(|config| config.files.minimum = config.files.average + 1);
        refused(|config| config.files.maximum = config.files.average - 1);
        refused(|config| config.files.maximum = u32::MAX);
        refused(|config| config.dumps.normalization = 4);
        let mut bytes = fixture::config().encode();
        bytes[0] = 2;
        assert!(Config::decode(&bytes).is_err());
    }

    #[test]
    fn defaults_are_valid() {
        let config = Config::new(Suite::fastest_here(), PublicKey([1; 32]), -1);
        assert_eq!(Config::decode(&config.encode()), Ok(config.clone()));
        assert_ne!(config.repository, Config::new(config.suite, config.admin, -1).repository);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_give_a_config_or_an_error(at in 0usize..95, byte: u8, cut in 0usize..95) {
            let mut bytes = fixture::config().encode();
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            prop_assert!(Config::decode(&bytes[..cut.min(last)]).is_err());
            if let Ok(config) = Config::decode(&bytes) {
                prop_assert_eq!(config.encode(), bytes);
            }
        }
    }
}
