//! Two admins at once: whatever order their calls of the store come in, nobody is locked out who stays, nobody who goes takes keys
//! along, and nothing that one of them did is undone by the other.

use super::turns::{Race, everywhere};
use crate::world::{Someone, World, open, raw_key};
use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::repo::id::PrincipalId;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::epoch::key_set;
use boveda::repo::keys::role::Role;
use boveda::repo::names::Name;
use boveda::repo::repository::{Error, Repository, found};
use boveda::store::Store;
use boveda::store::memory::MemoryStore;
use std::sync::Arc;

/// Everybody named here opens, and holds the keys of the epoch in force, the same as the others.
fn all_agree(store: &Arc<MemoryStore>, keys: &[&Credential], what: &str) {
    let opened = keys.iter().map(|key| open(store.clone(), key).unwrap_or_else(|error| panic!("{what}: {error}")));
    let opened: Vec<Repository> = opened.collect();
    let epoch = opened[0].log().state.trust().epoch();
    let [read, index] = [opened[0].log().state.trust().read_key(epoch).map(|key| key.0), None];
    let mut index: Option<[u8; 32]> = index;
    for repository in &opened {
        let keys = repository.bundle().current();
        assert_eq!((keys.epoch, repository.log().doubts.len()), (epoch, 0), "{what}");
        let mine = *keys.index.expose();
        assert!(*index.get_or_insert(mine) == mine, "{what}: two index keys for one epoch");
        if let (Some(public), Some(read)) = (keys.read_public(), read) {
            assert_eq!(public.0, read, "{what}: not the read key of the log");
        }
    }
}

/// Nobody who was revoked was given the keys of an epoch that began after that.
fn nobody_revoked_has_keys(repository: &Repository, store: &MemoryStore, what: &str) {
    let trust = repository.log().state.trust();
    for (id, principal) in trust.principals() {
        let Some(end) = &principal.revoked else { continue };
        for (&epoch, start) in trust.epochs().iter().filter(|(_, start)| start.position > end.position) {
            let offered = Name::EpochOffer { epoch, set: key_set(&start.read), principal: *id };
            for name in [offered, Name::EpochKeys { epoch, principal: *id }] {
                assert!(store.length(&name.object()).is_err(), "{what}: {id} was given epoch {epoch}");
            }
        }
        assert!(trust.epochs().values().any(|start| start.position > end.position), "{what}: no epoch after {id}");
    }
}

struct Cast {
    world: World,
    other: Someone,
    staying: Vec<Someone>,
    leaving: [Someone; 2],
}

/// Two admins, one of each other role, and two who are to go.
fn cast() -> Cast {
    let world = World::new();
    let other = world.add(Role::Admin, "other");
    let staying = [Role::Writer, Role::Reader, Role::Maintainer].map(|role| world.add(role, role.name())).into();
    let leaving = [world.add(Role::Writer, "first"), world.add(Role::Reader, "second")];
    Cast { world, other, staying, leaving }
}

impl Cast {
    /// The same people over a store of their own.
    fn again(&self) -> Arc<MemoryStore> {
        Arc::new(self.world.store.fork())
    }

    fn keys(&self) -> Vec<&Credential> {
        [&self.world.admin, &self.other.key].into_iter().chain(self.staying.iter().map(|one| &one.key)).collect()
    }
}

/// Tries again as whoever was told that it failed would.
fn revoked(result: Result<(), Error>, store: &Arc<MemoryStore>, admin: &Credential, id: PrincipalId, what: &str) {
    if let Err(error) = result {
        let again = open(store.clone(), admin).unwrap().revoke(id, "again");
        again.unwrap_or_else(|again| panic!("{what}: {error}; again: {again}"));
    }
}

#[test]
fn two_admins_who_revoke_at_once_lose_no_keys() {
    let cast = cast();
    everywhere(7, |turn| {
        let (store, what) = (cast.again(), format!("{turn:?}"));
        let race = Race::over(&store);
        let [mut ours, mut theirs] = race.opened([&cast.world.admin, &cast.other.key]);
        let [first, second] = [cast.leaving[0].id, cast.leaving[1].id];
        let (mut told, mut told_other) = (Ok(()), Ok(()));
        let reached =
            race.run(turn, || told = ours.revoke(first, "gone"), || told_other = theirs.revoke(second, "gone too"));
        revoked(told, &store, &cast.world.admin, first, &what);
        revoked(told_other, &store, &cast.other.key, second, &what);
        all_agree(&store, &cast.keys(), &what);
        nobody_revoked_has_keys(&open(store.clone(), &cast.world.admin).unwrap(), &store, &what);
        assert!(cast.leaving.iter().all(|gone| open(store.clone(), &gone.key).is_err()), "{what}");
        reached
    });
}

#[test]
fn an_admin_who_is_revoked_while_revoking_takes_no_keys_along() {
    let cast = cast();
    everywhere(9, |turn| {
        let (store, what) = (cast.again(), format!("{turn:?}"));
        let race = Race::over(&store);
        let [mut ours, mut theirs] = race.opened([&cast.world.admin, &cast.other.key]);
        let (mut told, gone) = (Ok(()), cast.leaving[0].id);
        let reached = race.run(
            turn,
            || told = ours.revoke(cast.other.id, "gone"),
            // It may come first, or find itself revoked.
            || drop(theirs.revoke(gone, "gone too")),
        );
        revoked(told, &store, &cast.world.admin, cast.other.id, &what);
        let mut keys = cast.keys();
        keys.remove(1);
        all_agree(&store, &keys, &what);
        assert!(open(store.clone(), &cast.other.key).is_err(), "{what}");
        // What the other began and could not end is ended by whoever stays.
        let mut admin = open(store.clone(), &cast.world.admin).unwrap();
        admin.revoke(gone, "gone too").unwrap();
        all_agree(&store, &keys, &what);
        nobody_revoked_has_keys(&admin, &store, &what);
        reached
    });
}

#[test]
fn whoever_is_added_during_a_revocation_holds_the_keys() {
    let cast = cast();
    everywhere(7, |turn| {
        let (store, what) = (cast.again(), format!("{turn:?}"));
        let race = Race::over(&store);
        let [mut ours, mut theirs] = race.opened([&cast.world.admin, &cast.other.key]);
        let (gone, young) = (cast.leaving[0].id, raw_key());
        let (mut told, mut made) = (Ok(()), None);
        let reached = race.run(
            turn,
            || told = ours.revoke(gone, "gone"),
            || made = Some(theirs.add_member(Role::Reader, "young", &young)),
        );
        revoked(told, &store, &cast.world.admin, gone, &what);
        made.unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
        all_agree(&store, &[cast.keys(), vec![&young]].concat(), &what);
        nobody_revoked_has_keys(&open(store.clone(), &cast.world.admin).unwrap(), &store, &what);
        reached
    });
}

#[test]
fn changes_of_trust_and_labels_do_not_undo_each_other() {
    let cast = cast();
    let who = cast.staying[0].id;
    everywhere(3, |turn| {
        let (store, what) = (cast.again(), format!("{turn:?}"));
        let race = Race::over(&store);
        let [mut ours, mut theirs] = race.opened([&cast.world.admin, &cast.other.key]);
        let [first, second] = [cast.leaving[0].id, cast.other.id];
        let reached = race.run(turn, || ours.trust(who, first).unwrap(), || theirs.trust(who, second).unwrap());
        let repository = open(store, &cast.world.admin).unwrap();
        let trusts = &repository.log().state.trust().active(&who).unwrap().cert.trusts;
        assert!(trusts.contains(&first) && trusts.contains(&second), "{what}");
        reached
    });
    everywhere(3, |turn| {
        let (store, what) = (cast.again(), format!("{turn:?}"));
        let race = Race::over(&store);
        let [mut ours, mut theirs] = race.opened([&cast.world.admin, &cast.other.key]);
        let keys = [raw_key(), raw_key()];
        let (mut told, mut told_other) = (None, None);
        let reached = race.run(
            turn,
            || told = Some(ours.add_member(Role::Reader, "twin", &keys[0])),
            || told_other = Some(theirs.add_member(Role::Reader, "twin", &keys[1])),
        );
        let repository = open(store.clone(), &cast.world.admin).unwrap();
        let twins = repository.log().state.trust().principals().values().filter(|known| known.cert.label == "twin");
        assert_eq!(twins.count(), 1, "{what}");
        for (result, key) in [told.unwrap(), told_other.unwrap()].into_iter().zip(&keys) {
            match result {
                Ok(_) => drop(open(store.clone(), key).unwrap()),
                Err(error) => assert!(matches!(error, Error::Label(_)), "{what}: {error}"),
            }
        }
        reached
    });
}

#[test]
fn two_who_remove_each_others_last_slot_leave_one() {
    let world = World::new();
    let recovery = Credential::Recovery(world.recovery.clone());
    everywhere(1, |turn| {
        let store = Arc::new(world.store.fork());
        let race = Race::over(&store);
        let [ours, theirs] = race.opened([&world.admin, &recovery]);
        let (mine, yours) = (world.founded.slot, world.founded.recovery_slot);
        let (mut told, mut told_other) = (Ok(()), Ok(()));
        let reached = race.run(turn, || told = ours.remove_slot(yours), || told_other = theirs.remove_slot(mine));
        let left = [&world.admin, &recovery].into_iter().filter(|key| open(store.clone(), key).is_ok());
        let removed = [&told, &told_other].into_iter().filter(|told| told.is_ok()).count();
        assert_eq!((left.count(), removed <= 1), (2 - removed, true), "{turn:?}: {told:?}, {told_other:?}");
        reached
    });
}

#[test]
fn of_two_who_found_at_once_one_does() {
    let [first, second] = [raw_key(), raw_key()];
    let sheets = [Secret::generate(), Secret::generate()];
    for same in [false, true] {
        everywhere(1, |turn| {
            let (store, what) = (Arc::new(MemoryStore::new()), format!("{turn:?}, one key: {same}"));
            let race = Race::over(&store);
            let keys = [&first, if same { &first } else { &second }];
            let go = |at: usize| found(&*race.stores[at], Suite::Aes256Gcm, keys[at], &sheets[at], "admin");
            let (mut told, mut told_other) = (None, None);
            let reached = race.run(turn, || told = Some(go(0)), || told_other = Some(go(1)));
            let results = [told.unwrap(), told_other.unwrap()];
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{what}: {results:?}");
            for (at, result) in results.into_iter().enumerate() {
                match result {
                    Ok(founded) => {
                        let repository = open(store.clone(), keys[at]).unwrap_or_else(|e| panic!("{what}: {e}"));
                        assert_eq!(repository.id(), founded.repository);
                        open(store.clone(), &Credential::Recovery(sheets[at].clone())).unwrap();
                        assert_eq!(repository.slot_headers().unwrap().len(), 2, "{what}");
                    }
                    Err(error) => assert!(matches!(error, Error::Exists { .. }), "{what}: {error}"),
                }
            }
            reached
        });
    }
}
