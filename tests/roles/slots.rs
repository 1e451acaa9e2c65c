//! What opens a bundle: slots added, exchanged and removed, the recovery key, and the one that must stay.

use super::world;
use crate::world::raw_key;
use boveda::crypto::secret::SecretBytes;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::keys::slot::SlotKind;
use boveda::repo::keys::{self, recovery};
use boveda::repo::names::{Copy, Name};
use boveda::repo::repository::{Content, Error};
use std::time::Instant;

fn not_opened(result: Result<boveda::repo::repository::Repository, Error>) -> String {
    match result {
        Err(Error::Keys(error @ keys::Error::NotOpened { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn slots_are_added_exchanged_and_removed() {
    let (world, _) = world();
    let writer = world.add(Role::Writer, "laptop");
    let (second, third) = (raw_key(), raw_key());
    let repository = world.open(&writer.key).unwrap();
    let slot = repository.add_slot(&second).unwrap();
    assert_eq!(world.open(&second).unwrap().bundle().principal_id(), writer.id);
    // Exchanging is adding one and removing the other.
    let repository = world.open(&second).unwrap();
    repository.add_slot(&third).unwrap();
    repository.remove_slot(slot).unwrap();
    not_opened(world.open(&second));
    assert_eq!(world.open(&third).unwrap().bundle().principal_id(), writer.id);
    assert!(matches!(repository.remove_slot(slot), Err(Error::Slot { .. })));
}

#[test]
fn the_recovery_key_opens_as_the_admin() {
    let (world, _) = world();
    let words = recovery::words(&world.recovery);
    let typed = Credential::key(&SecretBytes::new(words.as_bytes().to_vec())).unwrap();
    let mut repository = world.open(&typed).unwrap();
    assert_eq!(repository.bundle().role(), Role::Admin);
    assert_eq!(repository.slot(), world.founded.recovery_slot);
    repository.add_member(Role::Writer, "made by recovery", &raw_key()).unwrap();
}

#[test]
fn the_last_slot_of_an_admin_stays() {
    let (world, _) = world();
    let repository = world.as_admin();
    repository.remove_slot(world.founded.recovery_slot).unwrap();
    let refused = repository.remove_slot(world.founded.slot).unwrap_err();
    assert!(matches!(refused, Error::Slot { .. }), "{refused}");
    world.as_admin();
}

#[test]
fn a_failed_opening_says_which_slots_exist_and_not_which_failed() {
    let (world, _) = world();
    let said = not_opened(world.open(&raw_key()));
    assert!(said.contains("recovery") && said.contains("key"), "{said}");
    for slot in [world.founded.slot, world.founded.recovery_slot] {
        assert!(!said.contains(&slot.to_string()), "{said}");
    }
    let password = Credential::password(SecretBytes::new(b"guess".to_vec())).unwrap();
    let said = not_opened(world.open(&password));
    assert!(said.contains("password") && said.contains("recovery"), "{said}");
}

/// Time tells nothing either. In full runs the bound is the promise; else it is loose, for machines that do other work.
#[test]
fn a_wrong_password_takes_as_long_as_the_right_one() {
    let (world, _) = world();
    let password = |text: &str| Credential::password(SecretBytes::new(text.into())).unwrap();
    let (right, wrong) = (password("right"), password("wrong"));
    world.as_admin().add_slot(&right).unwrap();
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let (rounds, bound) = if full { (9, 1.1) } else { (2, 2.0) };
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..rounds {
        for (key, fastest) in [&right, &wrong].into_iter().zip(&mut fastest) {
            let start = Instant::now();
            let opened = world.open(key).is_ok();
            *fastest = start.elapsed().as_secs_f64().min(*fastest);
            assert_eq!(opened, std::ptr::eq(key, &raw const right));
        }
    }
    let [right, wrong] = fastest;
    assert!(right / wrong < bound && wrong / right < bound, "{right} s when right, {wrong} s when wrong");
}

#[test]
fn what_opens_one_principals_keys_is_not_taken_for_anothers() {
    let (world, _) = world();
    let writer = world.add(Role::Writer, "laptop");
    let before = world.store.objects();
    let refused = [
        world.as_admin().add_member(Role::Reader, "auditor", &writer.key).map(drop),
        world.as_admin().add_slot(&writer.key).map(drop),
        world.open(&writer.key).unwrap().add_slot(&world.admin).map(drop),
    ];
    for (refused, owner) in refused.into_iter().zip(["laptop", "laptop", "admin"]) {
        let Err(Error::Shared { label, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(label, owner);
    }
    assert!(world.store.objects() == before, "what is refused leaves nothing");
}

#[test]
fn each_slot_says_by_itself_what_opens_it_and_whose_it_is() {
    let (world, _) = world();
    let writer = world.add(Role::Writer, "laptop");
    let repository = world.as_admin();
    let mine = world.open(&writer.key).unwrap().slot();
    let expected = [
        (world.founded.slot, SlotKind::RawKey, repository.bundle().principal_id()),
        (world.founded.recovery_slot, SlotKind::Recovery, repository.bundle().principal_id()),
        (mine, SlotKind::RawKey, writer.id),
    ];
    for (id, kind, principal) in expected {
        let content = repository.content(&Name::Slot(id, Copy::First)).unwrap();
        let Content::Slot(header) = content else { panic!("{id} is a slot") };
        assert_eq!((header.kind, header.principal), (kind, principal));
    }
}
