//! Slots in the store: both copies of each, the second one for when the first is lost.

use super::Error;
use crate::crypto::secret::random;
use crate::repo::armour::{self, ObjectKind, Scale};
use crate::repo::id::SlotId;
use crate::repo::keys::slot::Slot;
use crate::repo::names::{Copy, Name, SLOTS};
use crate::store::overview::Overview;
use crate::store::{self, ErrorKind, Listed, Put, Store};
use std::collections::{BTreeMap, BTreeSet};

/// Stores a sealed slot under a fresh id, both copies.
///
/// # Errors
/// When the store fails: then the slot may be there or not.
pub(super) fn put(store: &dyn Store, sealed: Vec<u8>) -> Result<SlotId, store::Error> {
    loop {
        let id = SlotId(random());
        let stored = armour::wrap(ObjectKind::Slot, Scale::Small, sealed.clone());
        if store.put(&Name::Slot(id, Copy::First).object(), &stored)? == Put::Created {
            store.put(&Name::Slot(id, Copy::Second).object(), &stored)?;
            return Ok(id);
        }
    }
}

/// All slots: the first copy that can be read of each. One that cannot be read at all is given as no bytes, so that
/// whoever counts them can say so.
///
/// # Errors
/// When the listing or a read fails.
pub(super) fn all(store: &dyn Store) -> Result<Vec<(SlotId, Vec<u8>)>, store::Error> {
    read(store, store.list(SLOTS)?)
}

/// As [`all`], of what `overview` shows.
///
/// # Errors
/// As [`all`].
pub(super) fn seen(store: &dyn Store, overview: &Overview) -> Result<Vec<(SlotId, Vec<u8>)>, store::Error> {
    read(store, overview.list(store, SLOTS)?)
}

fn read(store: &dyn Store, listed: Vec<Listed>) -> Result<Vec<(SlotId, Vec<u8>)>, store::Error> {
    let mut slots: BTreeMap<SlotId, Vec<u8>> = BTreeMap::new();
    for listed in listed {
        let Some(Name::Slot(id, _)) = Name::parse(&listed.name) else { continue };
        if slots.get(&id).is_none_or(Vec::is_empty) {
            match store.get(&listed.name) {
                Ok(stored) => drop(slots.insert(id, content(&stored).unwrap_or_default())),
                // Removed since it was listed.
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(slots.into_iter().collect())
}

/// Second copies that hold something else than their first: one of the two is not what was stored.
///
/// # Errors
/// When the listing or a read fails.
pub(super) fn differing(store: &dyn Store) -> Result<Vec<(SlotId, Vec<u8>)>, store::Error> {
    let mut slots: BTreeMap<SlotId, Vec<Vec<u8>>> = BTreeMap::new();
    for listed in store.list(SLOTS)? {
        let Some(Name::Slot(id, _)) = Name::parse(&listed.name) else { continue };
        slots.entry(id).or_default().extend(content(&store.get(&listed.name)?));
    }
    let second = |(id, copies): (SlotId, Vec<Vec<u8>>)| {
        let mut copies = copies.into_iter();
        let (first, second) = (copies.next()?, copies.next()?);
        // Padding may differ: each copy was armoured once, but what follows the slot is nobody's.
        (Slot::decode(&first).ok() != Slot::decode(&second).ok()).then_some((id, second))
    };
    Ok(slots.into_iter().filter_map(second).collect())
}

/// A slot's bytes out of its armour, healed if need be; `None` when no slot can be made of them.
fn content(stored: &[u8]) -> Option<Vec<u8>> {
    let intact = |bytes: &[u8]| armour::check(bytes).ok().filter(|layout| layout.kind() == ObjectKind::Slot);
    let bytes = match armour::unwrap(stored) {
        Ok(bytes) => bytes,
        Err(_) => armour::unwrap(&armour::heal(stored).ok().filter(|healed| intact(healed).is_some())?).ok()?,
    };
    Slot::decode(&bytes).is_ok().then_some(bytes)
}

/// Slots that have both copies.
///
/// # Errors
/// When the listing fails.
pub(super) fn whole(store: &dyn Store) -> Result<BTreeSet<SlotId>, store::Error> {
    let names: BTreeSet<Name> = store.list(SLOTS)?.iter().filter_map(|listed| Name::parse(&listed.name)).collect();
    let both = |name: &Name| match name {
        Name::Slot(id, Copy::First) => names.contains(&Name::Slot(*id, Copy::Second)).then_some(*id),
        _ => None,
    };
    Ok(names.iter().filter_map(both).collect())
}

/// Puts the copy of a slot that is missing; what is there stays, and is made durable: whoever put it may have died on the way.
///
/// # Errors
/// When the store fails, or neither copy is there.
pub(super) fn complete(store: &dyn Store, id: SlotId) -> Result<(), store::Error> {
    let [first, second] = Copy::BOTH.map(|copy| Name::Slot(id, copy).object());
    match store.length(&first) {
        Ok(_) => {
            match store.settle(&second) {
                Err(error) if error.kind == ErrorKind::NotFound => drop(store.put(&second, &store.get(&first)?)?),
                settled => settled?,
            }
            store.settle(&first)?;
        }
        Err(error) if error.kind == ErrorKind::NotFound => drop(store.put(&first, &store.get(&second)?)?),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The first half of removing a slot: only the copy that decides is left. It still opens.
///
/// # Errors
/// When the store fails.
pub(super) fn mark(store: &dyn Store, id: SlotId) -> Result<(), store::Error> {
    complete(store, id)?;
    store.delete(&Name::Slot(id, Copy::Second).object())
}

/// Removes a slot, both copies: the one that decides last, so that a slot half removed can still be seen.
///
/// # Errors
/// When it does not exist, or may still be there.
pub(super) fn remove(store: &dyn Store, id: SlotId) -> Result<(), Error> {
    let there = all(store)?.iter().any(|(found, _)| *found == id);
    // Also where it is not: whoever removed it may have died before that was durable.
    discard(store, id)?;
    if there { Ok(()) } else { Err(Error::Slot { id, why: "does not exist" }) }
}

/// As [`remove`]; that it does not exist is no error.
///
/// # Errors
/// When it may still be there.
pub(super) fn discard(store: &dyn Store, id: SlotId) -> Result<(), store::Error> {
    [Copy::Second, Copy::First].into_iter().try_for_each(|copy| store.delete(&Name::Slot(id, copy).object()))
}

/// Makes durable what was put and removed beside a slot that is there, by whomever.
///
/// # Errors
/// When it may not be, or the slot is not there.
pub(super) fn settle(store: &dyn Store, id: SlotId) -> Result<(), store::Error> {
    let [first, second] = Copy::BOTH.map(|copy| Name::Slot(id, copy).object());
    match store.settle(&first) {
        Err(error) if error.kind == ErrorKind::NotFound => store.settle(&second),
        settled => settled,
    }
}
