//! Two admins at once: one goes so far, then the other goes so far, then the first to its end, then the other. For every
//! pair of places where they may change over, with `BOVEDA_TEST_FULL=1`; else for some.

use crate::world::{Someone, World, open, raw_key};
use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::event::Silent;
use boveda::repo::id::PrincipalId;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::epoch::key_set;
use boveda::repo::keys::role::Role;
use boveda::repo::names::Name;
use boveda::repo::repository::{Error, Repository, found};
use boveda::store::memory::MemoryStore;
use boveda::store::{self, Listed, ObjectName, Put, Store};
use std::sync::{Arc, Condvar, Mutex};

type Action<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Holds back the calls of one store, or does something before one of them.
#[derive(Default)]
struct Turnstile {
    state: Mutex<Turns>,
    changed: Condvar,
}

#[derive(Default)]
struct Turns {
    /// How many more calls may pass; all, if there is no number.
    left: Option<u64>,
    waiting: bool,
    over: bool,
    calls: u64,
    /// The call that another's turn comes before.
    yields: Option<(u64, Arc<Turnstile>, u64)>,
}

impl Turnstile {
    fn pass(&self) {
        let mut turns = self.state.lock().unwrap();
        turns.calls += 1;
        if turns.yields.as_ref().is_some_and(|(at, ..)| *at == turns.calls) {
            let (_, other, calls) = turns.yields.take().unwrap();
            drop(turns);
            other.turn(calls);
            turns = self.state.lock().unwrap();
        }
        while turns.left == Some(0) {
            turns.waiting = true;
            self.changed.notify_all();
            turns = self.changed.wait(turns).unwrap();
        }
        turns.waiting = false;
        turns.left = turns.left.map(|left| left - 1);
    }

    /// Lets so many calls pass, and waits until they did or no more come.
    fn turn(&self, calls: u64) {
        let mut turns = self.state.lock().unwrap();
        (turns.left, turns.waiting) = (Some(calls), false);
        self.changed.notify_all();
        while !(turns.over || (turns.left == Some(0) && turns.waiting)) {
            turns = self.changed.wait(turns).unwrap();
        }
    }

    fn set(&self, change: impl FnOnce(&mut Turns)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

/// A store behind a turnstile.
struct Behind(Arc<MemoryStore>, Arc<Turnstile>);

impl Store for Behind {
    fn place(&self) -> String {
        self.0.place()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, store::Error> {
        self.1.pass();
        self.0.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), store::Error> {
        self.1.pass();
        self.0.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), store::Error> {
        self.1.pass();
        self.0.heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, store::Error> {
        self.1.pass();
        self.0.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, store::Error> {
        self.1.pass();
        self.0.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, store::Error> {
        self.1.pass();
        self.0.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, store::Error> {
        self.1.pass();
        self.0.list(prefix)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), store::Error> {
        self.1.pass();
        self.0.delete(name)
    }
}

/// Two stores over one, and who may call when.
struct Race {
    turnstiles: [Arc<Turnstile>; 2],
    stores: [Arc<dyn Store>; 2],
}

impl Race {
    fn over(memory: &Arc<MemoryStore>) -> Self {
        let turnstiles = [Arc::<Turnstile>::default(), Arc::default()];
        let stores = turnstiles.clone().map(|turnstile| Arc::new(Behind(memory.clone(), turnstile)) as Arc<dyn Store>);
        Self { turnstiles, stores }
    }

    /// Both repositories, opened before the race begins.
    fn opened(&self, keys: [&Credential; 2]) -> [Repository; 2] {
        let open = |at: usize| Repository::open(self.stores[at].clone(), keys[at], |_| None, Arc::new(Silent)).unwrap();
        [open(0), open(1)]
    }

    /// Lets the second make `second` calls before the `first` call of the first. Whether the first ever came so far.
    fn run(&self, (first, second): (u64, u64), ours: impl FnOnce(), theirs: impl FnOnce() + Send) -> bool {
        let [a, b] = &self.turnstiles;
        b.set(|turns| turns.left = Some(0));
        a.set(|turns| (turns.calls, turns.yields) = (0, Some((first, b.clone(), second))));
        std::thread::scope(|scope| {
            let theirs: Action<'_> = Box::new(theirs);
            let thread = scope.spawn(move || {
                theirs();
                b.set(|turns| turns.over = true);
            });
            ours();
            b.set(|turns| turns.left = None);
            thread.join().unwrap();
        });
        self.turnstiles[0].state.lock().unwrap().yields.is_none()
    }
}

/// Goes through pairs of places to change over. `race` says whether the first one was ever reached.
fn everywhere(stride: u64, mut race: impl FnMut((u64, u64)) -> bool) {
    let stride = if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 1 } else { stride };
    let mut tried = 0;
    for first in (1..).step_by(stride as usize) {
        for second in (1 + first % stride..60).step_by(stride as usize) {
            if !race((first, second)) {
                assert!(tried > 3, "the race is over before it began");
                return;
            }
            tried += 1;
        }
    }
}

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
