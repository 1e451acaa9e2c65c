//! What happens between two calls of a session: another process of the same name, a put that arrives late, a revocation.

use super::site::{Act, Site};
use crate::world::hooked::{Call, Hooked, lost, puts_end};
use boveda::ops::snapshot;
use boveda::repo::repository::{Error, Repository};
use boveda::repo::session_view::Issue;
use boveda::store::memory::MemoryStore;
use boveda::store::{self, ObjectName, Put, Store};
use std::sync::{Arc, Mutex};

/// A store that does something else before it puts the first `end`. What that gives is the put's failure.
fn before_end(
    inner: &Arc<MemoryStore>,
    act: impl FnOnce(Call<'_>) -> Option<store::Error> + Send + 'static,
) -> Arc<dyn Store> {
    Hooked::once(inner.clone(), puts_end, act)
}

/// A repository with snapshots, and its source.
fn site() -> (Arc<MemoryStore>, Arc<dyn Store>, Arc<Site>) {
    let memory = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = memory.clone();
    let site = Arc::new(Site::new(Act::SecondSnapshot, &store));
    (memory, store, site)
}

fn forks(repository: &Repository) -> usize {
    repository.view().issues.iter().filter(|issue| matches!(issue, Issue::Fork { .. })).count()
}

#[test]
fn a_cloned_machine_is_told_and_becomes_a_writer_of_its_own() {
    let (memory, store, site) = site();
    let (mut ours, mut theirs) = (site.case(), site.case());
    let (beside, plain) = (site.clone(), store.clone());
    let racing = before_end(&memory, move |_| {
        beside.snapshot(&plain, &mut theirs, &beside.admin).unwrap();
        None
    });
    let error = site.snapshot(&racing, &mut ours, &site.admin).unwrap_err();
    let error = error.downcast_ref::<snapshot::Error>().expect("the snapshot failed");
    assert!(matches!(error, snapshot::Error::Repository(Error::Cloned { .. })), "{error}");

    let repository = ours.host.open(store.clone(), &site.admin).unwrap();
    let before = ours.host.writer(&repository).unwrap().writer;
    ours.host.renew(&repository);
    assert_ne!(ours.host.writer(&repository).unwrap().writer, before);
    site.snapshot(&store, &mut ours, &site.admin).unwrap();
    site.holds(&store, &ours, "after a clone");
}

#[test]
fn a_commit_that_arrives_late_is_followed_and_not_forked() {
    let (memory, store, site) = site();
    let late = Arc::new(Mutex::new(None));
    let keep = late.clone();
    let losing = before_end(&memory, move |call| {
        *keep.lock().unwrap() = Some((ObjectName::new(call.name).unwrap(), call.bytes.to_vec()));
        Some(lost(call.name))
    });
    let mut case = site.case();
    site.snapshot(&losing, &mut case, &site.admin).unwrap_err();
    // The next session finds the dead one without an end; its own abort comes second.
    let arriving = memory.clone();
    let racing = before_end(&memory, move |_| {
        let (name, bytes) = late.lock().unwrap().take().unwrap();
        assert_eq!(arriving.put(&name, &bytes).unwrap(), Put::Created);
        None
    });
    site.snapshot(&racing, &mut case, &site.admin).unwrap();
    let repository = case.host.open(store.clone(), &site.admin).unwrap();
    assert_eq!((forks(&repository), repository.snapshots().len()), (0, 4));
    site.holds(&store, &case, "after a late commit");
}

#[test]
fn whoever_is_revoked_on_the_way_is_not_told_that_it_committed() {
    let (memory, store, site) = site();
    let mut laptop = site.case();
    let admin = site.case().host.open(store.clone(), &site.admin).map(Mutex::new).unwrap();
    let revoking = before_end(&memory, move |_| {
        let mut admin = admin.lock().unwrap();
        let (id, _) = admin.member_named("laptop").unwrap();
        admin.revoke(id, "stolen").unwrap();
        None
    });
    site.snapshot(&revoking, &mut laptop, &site.laptop).unwrap_err();
    assert!(laptop.host.open(store.clone(), &site.laptop).is_err());
    let mut case = site.case();
    site.snapshot(&store, &mut case, &site.admin).unwrap();
    site.holds(&store, &case, "after a revocation");
}

#[test]
fn a_snapshot_whose_parent_is_forgotten_on_the_way_is_whole() {
    let (memory, store, site) = site();
    let mut case = site.case();
    let (beside, plain, other) = (site.clone(), store.clone(), site.case());
    let racing = before_end(&memory, move |_| {
        beside.forget(&plain, &other).unwrap();
        None
    });
    site.snapshot(&racing, &mut case, &site.admin).unwrap();
    let repository = case.host.open(store.clone(), &site.admin).unwrap();
    assert_eq!((repository.snapshots().len(), repository.forgotten().len()), (1, 2));
    // The next one goes on from it.
    site.snapshot(&store, &mut case, &site.admin).unwrap();
    site.unforget(&store, &case).unwrap();
    site.holds(&store, &case, "after its parent was forgotten");
}

/// An index is lost, so the packs' own tables are read; among them lies a pack that no session committed.
#[test]
fn a_pack_that_nobody_committed_is_not_built_on_when_tables_stand_in_for_an_index() {
    let (memory, store, site) = site();
    let dying = before_end(&memory, |call| Some(lost(call.name)));
    let mut dead = site.empty_case();
    site.snapshot(&dying, &mut dead, &site.admin).unwrap_err();

    let (name, bytes) = memory.objects().into_iter().find(|(name, _)| name.as_str().starts_with("idx/")).unwrap();
    memory.delete(&name).unwrap();
    let mut case = site.empty_case();
    site.snapshot(&store, &mut case, &site.admin).unwrap();
    memory.put(&name, &bytes).unwrap();
    site.holds(&store, &case, "after the index came back");
}
