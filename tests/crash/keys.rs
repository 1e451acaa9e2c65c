//! Key verbs cut short: the nth call of the store fails, once or for good, or the process dies after it; for every n.
//!
//! Then whatever opened before opens, or the verb's own end says why not; the same verb with the same passwords and keys runs to
//! completion; and verify finds nothing.

use super::stride;
use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::event::Silent;
use boveda::ops::host::Host;
use boveda::ops::verify::{Level, verify};
use boveda::repo::id::PrincipalId;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::repository::{Error, Repository, found};
use boveda::store::Store;
use boveda::store::faults::{Fault, FaultStore, Plan};
use boveda::store::memory::MemoryStore;
use std::sync::Arc;
use tempfile::TempDir;

/// Everybody's keys, and a repository of them.
struct People {
    store: Arc<MemoryStore>,
    admin: Credential,
    recovery: Credential,
    spare: Credential,
    writer: Credential,
    writer_id: PrincipalId,
    reader: Credential,
    reader_id: PrincipalId,
    /// What a verb brings in.
    new: Credential,
    new_recovery: Credential,
}

fn raw_key() -> Credential {
    Credential::RawKey(Secret::generate())
}

impl People {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let [admin, spare, writer, reader, new] = std::array::from_fn(|_| raw_key());
        let sheet = Secret::generate();
        found(&*store, Suite::Aes256Gcm, &admin, &sheet, "admin").unwrap();
        let mut repository = opened(&(store.clone() as Arc<dyn Store>), &admin).unwrap();
        let writer_id = repository.add_member(Role::Writer, "writer", &writer).unwrap().id;
        let reader_id = repository.add_member(Role::Reader, "reader", &reader).unwrap().id;
        repository.add_slot(&spare).unwrap();
        let [recovery, new_recovery] = [sheet, Secret::generate()].map(Credential::Recovery);
        Self { store, admin, recovery, spare, writer, writer_id, reader, reader_id, new, new_recovery }
    }
}

/// Opens as every run does, on a host that remembers nothing.
fn opened(store: &Arc<dyn Store>, key: &Credential) -> Result<Repository, Error> {
    Repository::open(store.clone(), key, |_| None, Arc::new(Silent))
}

/// One verb: how it runs, and which keys open when it is done and which not. Before that, all that opened before may.
struct Verb {
    run: fn(&People, &Arc<dyn Store>) -> Result<(), Error>,
    opens: fn(&People) -> Vec<&Credential>,
    shut: fn(&People) -> Vec<&Credential>,
    /// Whom it must never lock out, wherever it was cut short.
    always: fn(&People) -> Vec<Vec<&Credential>>,
}

fn proves(verb: &Verb) {
    let people = People::new();
    for fault in [Fault::Before, Fault::After] {
        for plan in [Plan::once as fn(u64, Fault) -> Plan, Plan::for_good] {
            for call in (1..).step_by(stride(2)) {
                let faulty = Arc::new(FaultStore::new(Arc::new(people.store.fork())));
                let store: Arc<dyn Store> = faulty.clone();
                faulty.plan(Some(plan(call, fault)));
                let told = (verb.run)(&people, &store);
                let Some(struck) = faulty.struck() else { break };
                faulty.plan(None);
                let what = format!("{struck} (call {call}) {fault:?}: {told:?}");
                for one_of in (verb.always)(&people) {
                    assert!(one_of.iter().any(|key| opened(&store, key).is_ok()), "{what}: somebody is locked out");
                }
                if told.is_err() {
                    (verb.run)(&people, &store).unwrap_or_else(|again| panic!("{what}: again: {again}"));
                }
                finished(verb, &people, &store, &what);
            }
        }
    }
}

fn finished(verb: &Verb, people: &People, store: &Arc<dyn Store>, what: &str) {
    let mut epochs = Vec::new();
    for key in (verb.opens)(people) {
        let repository = opened(store, key).unwrap_or_else(|error| panic!("{what}: {error}"));
        let keys = repository.bundle().current();
        epochs.push((keys.epoch, *keys.index.expose(), repository.log().state.next()));
    }
    assert!(epochs.windows(2).all(|two| two[0] == two[1]), "{what}: they do not hold the same keys");
    for key in (verb.shut)(people) {
        assert!(opened(store, key).is_err(), "{what}: what should not open does");
    }
    let folder = TempDir::new().unwrap();
    let host = Host::new(&folder.path().join("state"), &folder.path().join("cache"), None, Arc::new(Silent));
    let repository = host.open(store.clone(), &people.reader).or_else(|_| host.open(store.clone(), &people.recovery));
    let repository = repository.or_else(|_| host.open(store.clone(), &people.new_recovery)).unwrap();
    let labels = repository.log().state.trust().principals().values().filter(|known| known.revoked.is_none());
    let mut labels: Vec<String> = labels.map(|known| known.cert.label.clone()).collect();
    labels.sort();
    assert!(labels.windows(2).all(|two| two[0] != two[1]), "{what}: {labels:?}");
    // A second copy that is missing is put by the next snapshot of an admin, as after any other cut.
    let findings = verify(&repository, &host, Level::Full, &Silent).unwrap().findings;
    assert!(findings.iter().all(|finding| finding.healable && finding.object.ends_with(".2")), "{what}: {findings:?}");
    for (id, _) in repository.slot_headers().unwrap() {
        let both =
            store.list("slots").unwrap().iter().filter(|slot| slot.name.as_str().contains(&id.to_string())).count();
        assert_eq!(both, 2, "{what}: slot {id} has {both} copies");
    }
}

fn everybody(people: &People) -> Vec<&Credential> {
    vec![&people.admin, &people.recovery, &people.spare, &people.writer, &people.reader]
}

/// Each by themselves.
fn each(people: &People) -> Vec<Vec<&Credential>> {
    everybody(people).into_iter().map(|key| vec![key]).collect()
}

fn with<'a>(keys: Vec<&'a Credential>, more: &'a Credential) -> Vec<&'a Credential> {
    [keys, vec![more]].concat()
}

fn without<'a>(keys: Vec<&'a Credential>, gone: &Credential) -> Vec<&'a Credential> {
    keys.into_iter().filter(|key| !std::ptr::eq(*key, gone)).collect()
}

#[test]
fn key_add() {
    proves(&Verb {
        run: |people, store| opened(store, &people.admin)?.add_member(Role::Writer, "laptop", &people.new).map(drop),
        opens: |people| with(everybody(people), &people.new),
        shut: |_| vec![],
        always: each,
    });
}

#[test]
fn key_slot_add() {
    proves(&Verb {
        run: |people, store| opened(store, &people.writer)?.add_slot(&people.new).map(drop),
        opens: |people| with(everybody(people), &people.new),
        shut: |_| vec![],
        always: each,
    });
}

#[test]
fn key_remove() {
    proves(&Verb {
        run: |people, store| {
            // Found by its id, which the key that goes opens; when that opens nothing any more, it is done.
            match opened(store, &people.spare).map(|spare| spare.slot()) {
                Ok(slot) => opened(store, &people.admin)?.remove_slot(slot),
                Err(Error::Keys(_)) => Ok(()),
                Err(error) => Err(error),
            }
        },
        opens: |people| without(everybody(people), &people.spare),
        shut: |people| vec![&people.spare],
        always: |people| without(everybody(people), &people.spare).into_iter().map(|key| vec![key]).collect(),
    });
}

#[test]
fn key_passwd() {
    proves(&Verb {
        run: |people, store| {
            match opened(store, &people.spare) {
                Ok(repository) => repository.replace_slot(&people.new).map(drop),
                // Done: the old one opens nothing.
                Err(Error::Keys(_)) => opened(store, &people.new)?.replace_slot(&people.new).map(drop),
                Err(error) => Err(error),
            }
        },
        opens: |people| with(without(everybody(people), &people.spare), &people.new),
        shut: |people| vec![&people.spare],
        always: |people| vec![vec![&people.admin], vec![&people.spare, &people.new], vec![&people.writer]],
    });
}

#[test]
fn key_recovery() {
    proves(&Verb {
        run: |people, store| opened(store, &people.admin)?.replace_recovery(&people.new_recovery).map(drop),
        opens: |people| with(without(everybody(people), &people.recovery), &people.new_recovery),
        shut: |people| vec![&people.recovery],
        always: |people| vec![vec![&people.admin], vec![&people.recovery, &people.new_recovery]],
    });
}

#[test]
fn key_trust() {
    proves(&Verb {
        run: |people, store| opened(store, &people.admin)?.trust(people.writer_id, people.reader_id),
        opens: everybody,
        shut: |_| vec![],
        always: each,
    });
}

#[test]
fn key_revoke() {
    proves(&Verb {
        run: |people, store| opened(store, &people.admin)?.revoke(people.writer_id, "stolen"),
        opens: |people| without(everybody(people), &people.writer),
        shut: |people| vec![&people.writer],
        always: |people| without(everybody(people), &people.writer).into_iter().map(|key| vec![key]).collect(),
    });
}
