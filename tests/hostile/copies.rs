//! Another copy of the repository, where somebody hostile may write too.

use super::forger::Forger;
use super::scene::EVIL;
use crate::sync::Pair;
use crate::world::{Listener, World, noise};
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::ops::prune;
use boveda::ops::verify::{Level, verify};
use boveda::repo::keys::role::Role;
use boveda::repo::names::Name;
use boveda::repo::session::{End, IndexRef, Signer, Verdict};
use boveda::repo::wire::Extensions;
use boveda::store::Store as _;

/// There the honest writer has no sessions: what it stored is known by what a sync brought. Somebody else brings the same name with a
/// certificate of their own, and says of all packs that they never came.
#[test]
fn who_claims_an_honest_name_at_a_copy_takes_nothing_from_it() {
    let (pair, ids) = Pair::with(&[1, 2]);
    let evil = pair.world.add(Role::Writer, "evil");
    pair.sync();
    let copy = World { store: pair.copy.clone(), admin: pair.world.admin.clone(), ..World::new() };
    let session = pair.world.as_admin().snapshots()[0].session;
    let forger = Forger::new(&copy, &evil.key, EVIL);
    let claimed = Forger::unopened(&copy, &evil.key, session).certified();
    let repository = copy.as_admin();
    let indexes: Vec<IndexRef> = repository.view().indexes.iter().copied().collect();
    let packs = repository.list_packs().unwrap().into_keys().collect();
    let signer = Signer::Installation(forger.certified());
    let verdict = Verdict::Copies { records: vec![], indexes };
    let end = End { signer, time: 0, verdict, extensions: Extensions::default() }.bringing(&[claimed], &packs);
    forger.put(&Name::End(forger.session), &end.encode());
    assert!(
        copy.as_admin().view().left_out().values().all(|packs| packs.is_empty()),
        "nobody declares others' packs gone"
    );

    let reads = |what: &str| {
        let machine = copy.machine(what);
        let repository = machine.open(&copy.store, &copy.admin).unwrap();
        for (id, seed) in ids.iter().zip([1, 2]) {
            let target = copy.path(&format!("{what}-{seed}"));
            machine.restore(&repository, id, &pair.source, &target);
            assert!(std::fs::read(target.join("file")).unwrap() == noise(seed, 300_000), "{what}");
        }
        let found = verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap().findings;
        found.iter().map(|finding| format!("{}: {}", finding.object, finding.what)).collect::<Vec<_>>()
    };
    let found = reads("claimed");
    assert!(found.iter().any(|line| line.contains(&format!("writer {}", session.writer))), "{found:?}");
    let machine = copy.machine("storage");
    let mut repository = machine.open(&copy.store, &copy.admin).unwrap();
    let how = prune::Options { exclusive: true, now: 1_800_000_000, ..Default::default() };
    prune::prune(&mut repository, &machine.host, &how, &Silent).unwrap();
    reads("pruned");
    checkpoint(&mut copy.as_admin(), 1, &Silent).unwrap();
    reads("summed up");
    let third = pair.snapshot(3);
    pair.sync();
    assert!(copy.as_admin().snapshots().iter().any(|snapshot| snapshot.id == third));
    reads("synced");
}

/// Names that a sync will want are known to whoever reads the source: what stands there then is none of it, and is put right.
#[test]
fn names_that_a_sync_will_want_are_no_use_to_squat() {
    let (pair, ids) = Pair::with(&[1]);
    pair.world.add(Role::Writer, "evil");
    pair.sync();
    let second = pair.snapshot(2);
    for (name, bytes) in pair.world.store.objects() {
        let wanted = matches!(Name::parse(&name), Some(Name::Pack(_) | Name::Index { .. }));
        if wanted && pair.copy.length(&name).is_err() {
            pair.copy.put(&name, &noise(9, bytes.len() / 2)).unwrap();
        }
    }
    pair.sync();
    pair.copy_holds(&[(ids[0], 1), (second, 2)]);
}
