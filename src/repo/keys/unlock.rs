//! From all slots of a repository and one credential to a bundle.

use super::Error;
use super::bundle::Bundle;
use super::credential::Credential;
use super::recovery;
use super::slot::{Slot, SlotHeader, SlotKind};
use crate::repo::id::{RepositoryId, SlotId};
use std::fmt;

/// Slots that a password is tried on at most: a store full of false ones cannot keep it hashing for ever. Keys need no hashing, and are
/// tried on all.
pub const MOST_TRIED: usize = 64;

/// A slot that opened.
#[derive(Debug, Clone)]
pub struct Unlocked {
    /// Which one.
    pub slot: SlotId,
    /// What anyone can read of it.
    pub header: SlotHeader,
    /// What it held.
    pub bundle: Bundle,
}

/// Opens the first of `slots` (id, stored content) that `credential` fits. Slots of other kinds are passed over, cheaper
/// ones are tried first. A password that reads as a recovery key is tried as one too.
///
/// # Errors
/// [`Error::NotOpened`] with what slots there are; [`Error::SlotDamaged`] when one would have opened.
pub fn unlock(
    repository: &RepositoryId,
    slots: &[(SlotId, Vec<u8>)],
    credential: &Credential,
) -> Result<Unlocked, Error> {
    let mut readable: Vec<(SlotId, Slot)> =
        slots.iter().filter_map(|(id, bytes)| Some((*id, Slot::decode(bytes).ok()?))).collect();
    readable.sort_by_key(|(id, slot)| (cost(&slot.header), *id));
    let mut damaged = None;
    for credential in typed_words(credential).iter().chain([credential]) {
        let matching = readable.iter().filter(|(_, slot)| slot.header.kind == credential.kind());
        for (id, slot) in matching.take(most_tried(credential.kind())) {
            match slot.open(id, repository, credential) {
                Ok(Some(bundle)) => return Ok(Unlocked { slot: *id, header: slot.header.clone(), bundle }),
                Ok(None) => {}
                // Another slot may still open; if none does, this is the better answer.
                Err(error) => damaged = Some(error),
            }
        }
    }
    let existing = Inventory::count(readable.iter().map(|(_, slot)| slot.header.kind), slots.len());
    Err(damaged.unwrap_or(Error::NotOpened { tried: credential.kind(), existing }))
}

fn most_tried(kind: SlotKind) -> usize {
    if kind == SlotKind::Password { MOST_TRIED } else { usize::MAX }
}

/// People paste a recovery key where a password is asked for.
fn typed_words(credential: &Credential) -> Option<Credential> {
    let Credential::Password(password) = credential else { return None };
    let text = std::str::from_utf8(password.expose()).ok()?;
    recovery::parse(text).ok().map(Credential::Recovery)
}

/// Time and memory that opening takes, in no particular unit.
fn cost(header: &SlotHeader) -> u64 {
    header.argon2.map_or(0, |argon2| u64::from(argon2.memory_kib) * u64::from(argon2.passes))
}

/// Which slots a repository has: the only hint that a failed unlocking gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Slots of each kind that occurs.
    pub kinds: Vec<(SlotKind, usize)>,
    /// Slots that cannot be read: damaged, or of a newer boveda.
    pub unreadable: usize,
}

impl Inventory {
    fn count(readable: impl Iterator<Item = SlotKind> + Clone, all: usize) -> Self {
        let number = |kind| readable.clone().filter(|&found| found == kind).count();
        let kinds = SlotKind::ALL.map(|kind| (kind, number(kind))).into_iter().filter(|(_, number)| *number > 0);
        Self { kinds: kinds.collect(), unreadable: all - readable.clone().count() }
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self
            .kinds
            .iter()
            .map(|(kind, number)| format!("{number} {} slot{}", kind.noun(), plural(*number)))
            .collect();
        if self.unreadable > 0 {
            parts.push(format!("{} that this boveda cannot read", self.unreadable));
        }
        match parts.is_empty() {
            true => f.write_str("the repository has no slots"),
            false => write!(f, "the repository has {}", parts.join(", ")),
        }
    }
}

const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, CHEAP};
    use super::super::role::Role;
    use super::super::slot::{seal, seal_with_cost};
    use super::*;
    use crate::crypto::secret::{Secret, SecretBytes};

    fn password(text: &str) -> Credential {
        Credential::Password(SecretBytes::new(text.as_bytes().to_vec()))
    }

    fn slots(sealed: impl IntoIterator<Item = Vec<u8>>) -> Vec<(SlotId, Vec<u8>)> {
        (1u8..).map(|number| SlotId([number; 16])).zip(sealed).collect()
    }

    #[test]
    fn each_credential_finds_its_slot_among_many() {
        let (admin, writer) = (fixture::admin(), fixture::granted(Role::Writer));
        let (raw, recovery) = (Credential::RawKey(Secret::generate()), Credential::Recovery(Secret::generate()));
        let slots = slots([
            b"not a slot".to_vec(),
            seal_with_cost(&admin, &password("one"), 0, CHEAP).unwrap(),
            seal(&admin, &recovery, 0).unwrap(),
            seal_with_cost(&writer, &password("two"), 0, CHEAP).unwrap(),
            seal(&writer, &raw, 0).unwrap(),
        ]);
        for (credential, number, role) in [
            (&password("one"), 2, Role::Admin),
            (&password("two"), 4, Role::Writer),
            (&recovery, 3, Role::Admin),
            (&raw, 5, Role::Writer),
        ] {
            let unlocked = unlock(&admin.repository(), &slots, credential).unwrap();
            assert_eq!((unlocked.slot, unlocked.bundle.role()), (SlotId([number; 16]), role));
        }
        let error = unlock(&admin.repository(), &slots, &password("three")).unwrap_err().to_string();
        assert_eq!(
            error,
            "no slot opens with this password; the repository has 2 password slots, 1 recovery key slot, \
             1 raw key slot, 1 that this boveda cannot read"
        );
    }

    #[test]
    fn words_typed_as_a_password_open_the_recovery_slot() {
        let (admin, key) = (fixture::admin(), Secret::generate());
        let slots = slots([seal(&admin, &Credential::Recovery(key.clone()), 0).unwrap()]);
        let typed = password(&recovery::words(&key).to_uppercase());
        assert_eq!(unlock(&admin.repository(), &slots, &typed).unwrap().bundle, admin);
        // And such words may still be somebody's password.
        let slots = super::tests::slots([seal_with_cost(&admin, &typed, 0, CHEAP).unwrap()]);
        assert_eq!(unlock(&admin.repository(), &slots, &typed).unwrap().bundle, admin);
    }

    #[test]
    fn damage_does_not_hide_another_slot_and_is_not_a_wrong_key() {
        let (admin, raw) = (fixture::admin(), Credential::RawKey(Secret::generate()));
        let good = seal(&admin, &raw, 0).unwrap();
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let both = slots([damaged.clone(), good]);
        assert_eq!(unlock(&admin.repository(), &both, &raw).unwrap().slot, SlotId([2; 16]));
        let error = unlock(&admin.repository(), &slots([damaged]), &raw).unwrap_err();
        assert!(matches!(error, Error::SlotDamaged(id) if id == SlotId([1; 16])));
        let error = unlock(&admin.repository(), &[], &raw).unwrap_err().to_string();
        assert_eq!(error, "no slot opens with this raw key; the repository has no slots");
    }

    #[test]
    fn a_flood_of_slots_keeps_no_key_from_opening_and_no_password_hashing_for_ever() {
        let (admin, key) = (fixture::admin(), Secret::generate());
        for credential in [Credential::RawKey(key.clone()), Credential::Recovery(key)] {
            let stranger = Secret::generate();
            let other = match credential {
                Credential::RawKey(_) => Credential::RawKey(stranger),
                _ => Credential::Recovery(stranger),
            };
            let mut sealed = vec![seal(&admin, &other, 0).unwrap(); 2 * MOST_TRIED];
            sealed.push(seal(&admin, &credential, 0).unwrap());
            assert_eq!(unlock(&admin.repository(), &slots(sealed), &credential).unwrap().bundle, admin);
        }
        assert_eq!(most_tried(SlotKind::Password), MOST_TRIED);
    }
}
