//! What verify finds without any rot, and what repair gives back to principals.

use super::site::site;
use super::wounds::Wound;
use crate::hostile::forger::Forger;
use crate::world::{Listener, World, open};
use boveda::event::Silent;
use boveda::ops::repair::objects::{self, Means};
use boveda::ops::verify::{Level, verify};
use boveda::repo::id::WriterId;
use boveda::repo::names::Name;
use std::sync::Arc;

/// Chunks and signatures are good; only the numbers are not those of the catalog.
#[test]
fn a_record_that_miscounts_its_catalog_is_found() {
    let world = World::new();
    let source = world.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("a"), "content").unwrap();
    let machine = world.machine("host");
    machine.snapshot(&world, &world.admin, &source);
    let root = world.as_admin().snapshots()[0].structure.root;
    let forger = Forger::new(&world, &world.admin, WriterId([9; 16]));
    forger.end(forger.record(root, forger.session), vec![]);
    let repository = world.as_admin();
    let liar = repository.snapshots().iter().find(|snapshot| snapshot.session == forger.session).unwrap().id;
    let found = verify(&repository, &machine.host, Level::Structure, &Silent).unwrap().findings;
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.object.ends_with(&format!("of snapshot {liar}")) && finding.what.contains("totals"), "{finding:?}");
}

/// Somebody whose keys of an epoch are lost is locked out, until an admin hands them out again.
#[test]
fn lost_keys_are_handed_out_again() {
    let site = site();
    let name = Name::EpochKeys { epoch: 2, principal: site.writer.id };
    let mut objects = site.objects().into_iter().map(|(name, _)| name);
    let theirs =
        |name: &Name| matches!(name, Name::EpochOffer { epoch: 2, principal, .. } if *principal == site.writer.id);
    let offer = objects.find(theirs).expect("they were offered before they were handed out");
    for stored in [None, Some(b"nothing".to_vec())] {
        let stored = vec![(name, stored), (offer, None)];
        let wound = Wound { what: "lost keys".to_owned(), stored, healed_armour: false };
        let store = Arc::new(wound.inflict(site));
        assert!(open(store.clone(), &site.writer.key).is_err());
        // A maintainer has no keys to give.
        let mut maintainer = open(store.clone(), &site.maintainer.key).unwrap();
        let summary = objects::repair(&mut maintainer, false, &Listener::default()).unwrap();
        assert_eq!(summary.mended, []);
        let mut admin = open(store.clone(), &site.world.admin).unwrap();
        let dry = objects::repair(&mut admin, true, &Listener::default()).unwrap();
        assert!(open(store.clone(), &site.writer.key).is_err());
        let summary = objects::repair(&mut admin, false, &Listener::default()).unwrap();
        assert_eq!((&summary.mended, summary.left), (&dry.mended, vec![]));
        let mended: Vec<_> = summary.mended.iter().map(|mended| (mended.name, mended.means)).collect();
        assert_eq!(mended, [(name, Means::Keys)]);
        assert_eq!(open(store, &site.writer.key).unwrap().snapshots().len(), 4);
    }
}
