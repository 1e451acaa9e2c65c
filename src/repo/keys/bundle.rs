//! Bundles: the keys that one principal holds, exactly those of its role.
//!
//! Invariant: whether a key is there follows from the role; every accessor that returns an `Option` says which roles hold
//! it. A bundle vouches for its repository's `config` by hash, never the other way round.

use super::Error;
use super::epoch::{EpochKeys, FIRST_EPOCH};
use super::principal::PrincipalKeys;
use super::role::Role;
use crate::crypto::secret::{Secret, SecretBytes};
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::repo::chunk_keys::ChunkKeys;
use crate::repo::config::Config;
use crate::repo::id::{PrincipalId, RepositoryId};
use crate::repo::wire::Extensions;
use std::collections::BTreeMap;
use zeroize::Zeroize as _;

/// The keys that one principal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub(super) repository: RepositoryId,
    pub(super) role: Role,
    pub(super) config_hash: [u8; 32],
    pub(super) admin: PublicKey,
    pub(super) principal: PrincipalKeys,
    pub(super) structure_key: Secret,
    /// All but a maintainer.
    pub(super) id_key: Option<Secret>,
    /// Writer and admin.
    pub(super) chunker_key: Option<Secret>,
    /// Admin only.
    pub(super) admin_seed: Option<Secret>,
    /// Never empty.
    pub(super) epochs: BTreeMap<u32, EpochKeys>,
    pub(super) extensions: Extensions,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // All other keys wipe themselves.
        self.extensions.zeroize();
    }
}

impl Bundle {
    /// The first admin's bundle of a new repository, all keys fresh. `admin_seed` is the secret half of the admin key that
    /// `config` names: draw it first, then make the config, then this.
    ///
    /// # Errors
    /// [`Error::ForeignConfig`] when `config` names another admin key.
    pub fn found(config: &Config, admin_seed: Secret) -> Result<Self, Error> {
        if SigningKey::from_seed(&admin_seed).public() != config.admin {
            return Err(Error::ForeignConfig);
        }
        Ok(Self {
            repository: config.repository,
            role: Role::Admin,
            config_hash: config.hash(),
            admin: config.admin,
            principal: PrincipalKeys::generate(),
            structure_key: Secret::generate(),
            id_key: Some(Secret::generate()),
            chunker_key: Some(Secret::generate()),
            admin_seed: Some(admin_seed),
            epochs: BTreeMap::from([(FIRST_EPOCH, EpochKeys::generate(FIRST_EPOCH))]),
            extensions: Extensions::default(),
        })
    }

    /// A new principal's bundle with exactly what `role` may hold. It is worth nothing until a CERT names the principal.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when this is not an admin's bundle.
    pub fn grant(&self, role: Role) -> Result<Self, Error> {
        let refused = || Error::NotAllowed { role: self.role, action: "granting a role" };
        if !self.role.may_certify() {
            return Err(refused());
        }
        let epochs = self.epochs.iter().map(|(&epoch, keys)| Some((epoch, keys.restricted_to(role)?)));
        Ok(Self {
            repository: self.repository,
            role,
            config_hash: self.config_hash,
            admin: self.admin,
            principal: PrincipalKeys::generate(),
            structure_key: self.structure_key.clone(),
            id_key: self.id_key.clone().filter(|_| role.names_chunks()),
            chunker_key: self.chunker_key.clone().filter(|_| role.writes()),
            admin_seed: self.admin_seed.clone().filter(|_| role.may_certify()),
            epochs: epochs.collect::<Option<_>>().ok_or_else(refused)?,
            extensions: Extensions::default(),
        })
    }

    /// Adds the keys of an epoch that [`super::epoch::unwrap_epoch`] opened or [`Self::next_epoch`] drew.
    ///
    /// # Errors
    /// [`Error::EpochConflict`] when the epoch is known with other keys; [`Error::NotAllowed`] when they are not of the
    /// kind that this role holds.
    pub fn add_epoch(&mut self, keys: EpochKeys) -> Result<(), Error> {
        let action = "keeping this epoch's keys";
        let keys = keys.restricted_to(self.role).ok_or(Error::NotAllowed { role: self.role, action })?;
        match self.epochs.get(&keys.epoch) {
            Some(known) if *known != keys => Err(Error::EpochConflict(keys.epoch)),
            _ => {
                self.epochs.insert(keys.epoch, keys);
                Ok(())
            }
        }
    }

    /// Fresh keys for the epoch after the current one. They count once the log says so.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when this is not an admin's bundle.
    pub fn next_epoch(&self) -> Result<EpochKeys, Error> {
        let refused = Error::NotAllowed { role: self.role, action: "starting an epoch" };
        if self.role.may_certify() { Ok(EpochKeys::generate(self.current_epoch() + 1)) } else { Err(refused) }
    }

    /// Whether this bundle was made for `config`: every use of a config must ask first.
    ///
    /// # Errors
    /// [`Error::ForeignConfig`].
    pub fn check_config(&self, config: &Config) -> Result<(), Error> {
        let same =
            config.hash() == self.config_hash && config.repository == self.repository && config.admin == self.admin;
        if same { Ok(()) } else { Err(Error::ForeignConfig) }
    }

    /// The repository that these keys are for.
    pub const fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// What these keys may do.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// SHA-256 of the config's body.
    pub const fn config_hash(&self) -> [u8; 32] {
        self.config_hash
    }

    /// The key that certifies principals.
    pub const fn admin_key(&self) -> PublicKey {
        self.admin
    }

    /// The secret half of [`Self::admin_key`]: admin only.
    pub fn admin_signing_key(&self) -> Option<SigningKey> {
        self.admin_seed.as_ref().map(SigningKey::from_seed)
    }

    /// This principal's own secrets.
    pub const fn principal(&self) -> &PrincipalKeys {
        &self.principal
    }

    /// This principal's name.
    pub fn principal_id(&self) -> PrincipalId {
        self.principal.id()
    }

    /// What ids of skeletons and group tokens come from: every role.
    pub const fn structure_key(&self) -> &Secret {
        &self.structure_key
    }

    /// What ids of data and payload chunks come from: all but a maintainer.
    pub const fn id_key(&self) -> Option<&Secret> {
        self.id_key.as_ref()
    }

    /// What decides where files are cut: writer and admin.
    pub const fn chunker_key(&self) -> Option<&Secret> {
        self.chunker_key.as_ref()
    }

    /// The keys that turn bytes into chunk ids: all but a maintainer.
    pub fn chunk_keys(&self) -> Option<ChunkKeys> {
        Some(ChunkKeys::derive(self.id_key.as_ref()?, &self.structure_key))
    }

    /// The newest epoch that this bundle knows.
    pub fn current_epoch(&self) -> u32 {
        *self.epochs.last_key_value().expect("a bundle always holds an epoch").0
    }

    /// The keys of the newest epoch.
    pub fn current(&self) -> &EpochKeys {
        self.epochs.last_key_value().expect("a bundle always holds an epoch").1
    }

    /// The keys of one epoch.
    ///
    /// # Errors
    /// [`Error::UnknownEpoch`].
    pub fn epoch(&self, epoch: u32) -> Result<&EpochKeys, Error> {
        self.epochs.get(&epoch).ok_or(Error::UnknownEpoch(epoch))
    }

    /// The keys of every epoch known, oldest first.
    pub fn epochs(&self) -> impl Iterator<Item = &EpochKeys> {
        self.epochs.values()
    }

    /// The bytes that a slot wraps.
    pub fn encode(&self) -> SecretBytes {
        super::bundle_format::encode(self)
    }

    /// Reads what [`Self::encode`] made.
    ///
    /// # Errors
    /// When the bytes are not those of a bundle of a known version, or hold keys that contradict one another.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        super::bundle_format::decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::crypto::aead::Suite;

    #[test]
    fn a_role_gets_its_keys_and_no_others() {
        let admin = fixture::admin();
        for role in Role::ALL {
            let bundle = admin.grant(role).unwrap();
            assert_eq!(bundle.role(), role);
            assert_eq!(bundle.structure_key(), admin.structure_key());
            assert_eq!(bundle.id_key().is_some(), role != Role::Maintainer, "{role}");
            assert_eq!(bundle.chunk_keys().is_some(), role != Role::Maintainer, "{role}");
            assert_eq!(bundle.chunker_key().is_some(), matches!(role, Role::Writer | Role::Admin), "{role}");
            assert_eq!(bundle.admin_signing_key().is_some(), role == Role::Admin, "{role}");
            assert_eq!(bundle.epochs().count(), 2);
            for (keys, whole) in bundle.epochs().zip(admin.epochs()) {
                assert_eq!(keys.index, whole.index);
                assert_eq!(keys.read_secret().is_some(), matches!(role, Role::Reader | Role::Admin), "{role}");
                assert_eq!(keys.read_public().is_some(), role != Role::Maintainer, "{role}");
            }
            assert_ne!(bundle.principal_id(), admin.principal_id());
            bundle.check_config(&fixture::config()).unwrap();
        }
    }

    #[test]
    fn only_an_admin_grants_and_starts_epochs() {
        for role in [Role::Writer, Role::Reader, Role::Maintainer] {
            let bundle = fixture::granted(role);
            assert!(matches!(bundle.grant(role), Err(Error::NotAllowed { .. })));
            assert!(matches!(bundle.next_epoch(), Err(Error::NotAllowed { .. })));
        }
        assert_eq!(fixture::granted(Role::Admin).next_epoch().unwrap().epoch, 3);
    }

    #[test]
    fn a_changed_config_is_refused() {
        let bundle = fixture::admin();
        let changes: [fn(&mut Config); 4] = [
            |config| config.suite = Suite::XChaCha20Poly1305,
            |config| config.parity = 255,
            |config| config.admin = crate::crypto::sign::PublicKey([9; 32]),
            |config| config.repository = RepositoryId([9; 32]),
        ];
        for change in changes {
            let mut config = fixture::config();
            change(&mut config);
            assert!(matches!(bundle.check_config(&config), Err(Error::ForeignConfig)));
        }
        assert!(matches!(Bundle::found(&fixture::config(), Secret::generate()), Err(Error::ForeignConfig)));
    }

    #[test]
    fn an_epoch_has_one_set_of_keys() {
        let mut bundle = fixture::granted(Role::Writer);
        bundle.add_epoch(fixture::epoch(2)).unwrap();
        bundle.add_epoch(fixture::epoch(3)).unwrap();
        assert_eq!(bundle.current_epoch(), 3);
        assert!(bundle.current().read_secret().is_none());
        assert!(matches!(bundle.add_epoch(EpochKeys::generate(1)), Err(Error::EpochConflict(1))));
        assert!(matches!(bundle.epoch(4), Err(Error::UnknownEpoch(4))));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", fixture::admin());
        for byte in [2, 3, 4, 5, 6, 7, 8, 0x11, 0x21] {
            assert!(!shown.contains(&format!("{byte}, {byte}, {byte}")), "{byte}");
        }
    }
}
