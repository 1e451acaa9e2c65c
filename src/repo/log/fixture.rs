//! A repository of nothing but keys and a log, for tests.

use super::*;
use crate::crypto::aead::Suite;
use crate::crypto::hpke::SealingKey;
use crate::crypto::sign::SigningKey;
use crate::repo::config::Config;
use crate::repo::frame::Sealing;
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::role::Role;
use crate::repo::names::{Copy, Name};
use crate::store::memory::MemoryStore;
use std::cell::Cell;

pub const SUITE: Suite = Suite::XChaCha20Poly1305;

pub struct World {
    pub store: MemoryStore,
    pub admin: Bundle,
    pub config: Config,
    clock: Cell<i64>,
}

impl World {
    /// A log with its first entry.
    pub fn found() -> Self {
        let world = Self::unfounded();
        let key = world.admin.admin_signing_key().unwrap();
        world.append_with(&world.admin, &key, &world.cert_of(&world.admin, &[], false)).unwrap();
        world
    }

    /// An empty log.
    pub fn unfounded() -> Self {
        let seed = Secret::generate();
        let config = Config::new(SUITE, SigningKey::from_seed(&seed).public(), 1_795_000_000);
        let admin = Bundle::found(&config, seed).unwrap();
        Self { store: MemoryStore::new(), admin, config, clock: Cell::new(1_795_000_000) }
    }

    /// The same repository as far as it is now, to go its own way.
    pub fn fork(&self) -> Self {
        self.with(self.store.fork())
    }

    /// The same keys over another store.
    pub fn with(&self, store: MemoryStore) -> Self {
        Self { store, admin: self.admin.clone(), config: self.config.clone(), clock: self.clock.clone() }
    }

    pub fn cert_of(&self, bundle: &Bundle, trusts: &[&Bundle], may_attest: bool) -> Decision {
        let mut trusts: Vec<_> = trusts.iter().map(|bundle| bundle.principal_id()).collect();
        trusts.sort_unstable();
        let principal = bundle.principal();
        Decision::Cert(Cert {
            signing: principal.signing_key().public(),
            sealing: principal.sealing_key(),
            role: bundle.role(),
            label: bundle.role().to_string(),
            trusts,
            may_attest,
        })
    }

    /// A new principal, certified.
    pub fn add(&self, role: Role) -> Bundle {
        self.add_trusting(role, &[])
    }

    pub fn add_trusting(&self, role: Role, trusts: &[&Bundle]) -> Bundle {
        let bundle = self.admin.grant(role).unwrap();
        self.append(&self.admin, &self.cert_of(&bundle, trusts, role == Role::Reader)).unwrap();
        bundle
    }

    pub fn fresh(&self) -> State {
        State::new(self.config.repository, self.config.admin, self.config.hash())
    }

    pub fn keys(&self) -> impl Fn(u32) -> Result<Secret, Cause> + use<> {
        let admin = self.admin.clone();
        move |epoch| match admin.epoch(epoch) {
            Ok(keys) => Ok(keys.index.clone()),
            Err(error) => Err(Arc::new(error) as Cause),
        }
    }

    /// As [`Self::keys`], for reading the log.
    pub fn log_keys(&self) -> impl Fn(u32, Option<SealingKey>) -> Result<Secret, Cause> + use<> {
        let keys = self.keys();
        move |epoch, _| keys(epoch)
    }

    pub fn try_read(&self) -> Result<Log, Error> {
        read(&self.store, self.fresh(), &self.log_keys(), None)
    }

    pub fn read(&self) -> Log {
        self.try_read().unwrap()
    }

    pub fn state(&self) -> State {
        let log = self.read();
        assert!(log.doubts.is_empty(), "{:?}", log.doubts);
        log.state
    }

    pub fn append(&self, author: &Bundle, decision: &Decision) -> Result<State, Error> {
        self.append_with(author, &author.principal().signing_key(), decision)
    }

    pub fn append_with(&self, author: &Bundle, key: &SigningKey, decision: &Decision) -> Result<State, Error> {
        let author = Author { principal: author.principal_id(), key };
        match self.attempt(&self.read(), author, decision)? {
            Appended::Done { state, second_copy: None } => Ok(*state),
            other => panic!("nobody else is here: {other:?}"),
        }
    }

    pub fn attempt(&self, log: &Log, author: Author<'_>, decision: &Decision) -> Result<Appended, Error> {
        let epoch = log.state.trust().epoch();
        let index_key = self.admin.epoch(epoch).unwrap().index.clone();
        let sealing = Sealing { epoch, suite: SUITE, index_key: &index_key };
        append(&self.store, log, (decision, self.now()), author, sealing)
    }

    pub fn now(&self) -> i64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    pub fn position(&self, position: u64, copy: Copy) -> crate::store::ObjectName {
        Name::Log(position, copy).object()
    }
}
