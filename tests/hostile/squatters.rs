//! Names that others will want, and objects that hinder: rows of the matrix.

use super::forger::Forger;
use super::matrix::{Act, Prune, Remedy, Verify};
use super::scene::{EVIL, Scene};
use crate::world::noise;
use boveda::repo::armour::{self, ObjectKind, Scale};
use boveda::repo::frame;
use boveda::repo::id::{CensusId, HoldId, IndexId, PackId, PinId, SlotId};
use boveda::repo::log::{Decision, Entry};
use boveda::repo::names::{Copy, IndexClass, Name};
use boveda::repo::pin::Pin;
use boveda::repo::wire::Extensions;
use boveda::store::{Put, Store as _};

const DOUBT: Prune = Prune::Refuses("does not verify", &[Remedy::Log]);
const BEYOND: Prune = Prune::Refuses("log entry", &[Remedy::Delete]);

pub const ACTS: [Act; 13] = [
    Act { what: "the log's next entry", does: next_entry, verify: entry(), prune: DOUBT },
    Act { what: "the log's next entry, in a writer's words", does: forged_entry, verify: entry(), prune: DOUBT },
    Act { what: "an entry far behind the log's end", does: far_entry, verify: far(), prune: BEYOND },
    Act { what: "one there, in a writer's words", does: far_forged, verify: far(), prune: BEYOND },
    Act { what: "the next entry's second copy", does: second_copy, verify: unread(), prune: Prune::Goes },
    Act { what: "a census", does: census, verify: named("census/"), prune: Prune::Goes },
    Act { what: "slots without number", does: slots, verify: named("slots/"), prune: Prune::Goes },
    Act { what: "everybody's keys of the next epoch", does: keys, verify: named("keys/"), prune: Prune::Goes },
    Act { what: "a pack", does: pack, verify: named("packs/"), prune: Prune::Goes },
    Act { what: "an index", does: index, verify: named("idx/"), prune: Prune::Goes },
    Act { what: "a wish for a hold", does: hold, verify: wish(), prune: asks() },
    Act { what: "a pin that pins everything", does: pin, verify: named("pins/"), prune: Prune::Later },
    Act { what: "a pin of the writer's own", does: own_pin, verify: pinned(), prune: Prune::Later },
];

const fn entry() -> Verify {
    Verify::Names(|scene| Name::Log(next(scene), Copy::First).to_string())
}

const fn far() -> Verify {
    Verify::Names(|scene| Name::Log(next(scene) + 1000, Copy::First).to_string())
}

const fn asks() -> Prune {
    Prune::Refuses("asks for a hold", &[Remedy::Delete])
}

const fn wish() -> Verify {
    Verify::Names(|scene| scene.evil.id.to_string())
}

const fn pinned() -> Verify {
    Verify::Silent("anybody may pin; it counts for a week")
}

const fn unread() -> Verify {
    Verify::Names(|scene| Name::Log(next(scene), Copy::Second).to_string())
}

const fn named(_: &'static str) -> Verify {
    Verify::Names(|scene| {
        let objects = scene.world.store.objects();
        let garbage = objects.into_iter().find(|(_, bytes)| **bytes == GARBAGE[..]);
        garbage.unwrap().0.to_string()
    })
}

const GARBAGE: &[u8] = b"nothing of the kind";

/// The position of the log's next entry.
fn next(scene: &Scene) -> u64 {
    scene.world.as_admin().log().state.next()
}

fn put(scene: &Scene, name: &Name, bytes: &[u8]) {
    assert_eq!(scene.world.store.put(&name.object(), bytes).unwrap(), Put::Created, "{name}");
}

fn next_entry(scene: &Scene) {
    put(scene, &Name::Log(next(scene), Copy::First), GARBAGE);
}

/// An entry that is well made, but for who signs it.
fn words(scene: &Scene, position: u64, previous: [u8; 32]) -> Vec<u8> {
    let repository = scene.world.open(&scene.evil.key).unwrap();
    let (kind, body) = Decision::Forget(vec![scene.taken.borrow()[0].0]).encode();
    let entry = Entry { position, previous, voids: vec![], author: scene.evil.id, time: 0, kind, body };
    let keys = repository.bundle().current();
    let sealing = frame::Sealing { epoch: keys.epoch, suite: repository.config().suite, index_key: &keys.index };
    let name = Name::Log(position, Copy::First);
    let key = repository.bundle().principal().signing_key();
    frame::write(&repository.id(), &name, b"", Some((sealing, &entry.encode())), &key).stored
}

fn forged_entry(scene: &Scene) {
    let (at, previous) = (next(scene), scene.world.as_admin().log().state.digest());
    put(scene, &Name::Log(at, Copy::First), &words(scene, at, previous));
}

fn far_entry(scene: &Scene) {
    let at = next(scene) + 1000;
    put(scene, &Name::Log(at, Copy::First), GARBAGE);
}

fn far_forged(scene: &Scene) {
    let at = next(scene) + 1000;
    let words = words(scene, at, [7; 32]);
    Copy::BOTH.iter().for_each(|copy| put(scene, &Name::Log(at, *copy), &words));
}

fn second_copy(scene: &Scene) {
    put(scene, &Name::Log(next(scene), Copy::Second), GARBAGE);
}

fn census(scene: &Scene) {
    put(scene, &Name::Census(CensusId([9; 32]), Copy::First), GARBAGE);
    let forged = armour::wrap(ObjectKind::Census, Scale::Small, noise(1, 300));
    put(scene, &Name::Census(CensusId([8; 32]), Copy::First), &forged);
}

/// Far more than are tried with a password, and true ones of somebody else's among them.
fn slots(scene: &Scene) {
    let theirs = scene.world.store.objects().into_iter().filter(|(name, _)| name.as_str().starts_with("slots/"));
    let theirs = theirs.map(|(_, bytes)| bytes).next().unwrap();
    for number in 0..200 {
        let bytes = if number % 2 == 0 { GARBAGE } else { &theirs[..] };
        Copy::BOTH.iter().for_each(|copy| put(scene, &Name::Slot(SlotId([number; 16]), *copy), bytes));
    }
}

fn keys(scene: &Scene) {
    let repository = scene.world.as_admin();
    for principal in repository.log().state.trust().principals().keys() {
        put(scene, &Name::EpochKeys { epoch: 2, principal: *principal }, GARBAGE);
    }
}

fn pack(scene: &Scene) {
    put(scene, &Name::Pack(PackId([9; 32])), GARBAGE);
    put(scene, &Name::Pack(PackId([8; 32])), &armour::wrap(ObjectKind::Pack, Scale::Pack, noise(1, 300)));
}

fn index(scene: &Scene) {
    for (class, checkpoint) in IndexClass::BOTH.into_iter().zip([0, u64::MAX]) {
        put(scene, &Name::Index { checkpoint, class, id: IndexId([9; 32]) }, GARBAGE);
    }
}

fn hold(scene: &Scene) {
    put(scene, &Name::Hold { who: scene.evil.id, id: HoldId([9; 16]) }, GARBAGE);
}

fn pin(scene: &Scene) {
    put(scene, &Name::Pin(PinId([9; 16])), GARBAGE);
}

fn own_pin(scene: &Scene) {
    let forger =
        Forger::unopened(&scene.world, &scene.evil.key, boveda::repo::names::SessionName { writer: EVIL, seq: 1 });
    let repository = forger.repository();
    let pin = Pin { principal: scene.evil.id, position: 0, time: i64::MAX, extensions: Extensions::default() };
    let name = Name::Pin(PinId([9; 16]));
    let key = repository.bundle().principal().signing_key();
    let stored = frame::write(&repository.id(), &name, b"", Some((forger.sealing(), &pin.encode())), &key).stored;
    put(scene, &name, &stored);
}
