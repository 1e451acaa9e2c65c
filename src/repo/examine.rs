//! What can be told of a stored object without keys: whether its bytes are those that were written, and whether its parity still has
//! them.
//!
//! Nothing here proves whose an object is, unless its name is the hash of its bytes: somebody who knows the format can make armour
//! for anything. Who has keys checks the signature as well.

use super::armour::{self, ObjectKind};
use super::config::Config;
use super::frame::{self, Cause, Frame};
use super::keys::{self, slot::Slot};
use super::names::Name;
use crate::crypto::hash;

/// The state of an object's bytes.
#[derive(Debug)]
pub enum Health {
    /// All as they were written.
    Sound,
    /// Damaged, but parity gives back what was written.
    Healable {
        /// The bytes to put in their place.
        healed: Vec<u8>,
    },
    /// Not what the name promises, and parity does not help.
    Lost(Loss),
}

/// Why an object is no good.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// The armour is damaged beyond its parity, or of a later version.
    #[error("it {0}")]
    Armour(armour::Error),
    /// An object of another kind stands under the name.
    #[error("it is an object of another kind ({0:?})")]
    Kind(ObjectKind),
    /// Its name is a hash, and that of other bytes.
    #[error("its bytes are not what its name promises")]
    Name,
    /// What is inside the armour is no frame of this name, or a config that is not signed by its own key.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// What is inside the armour is no slot.
    #[error(transparent)]
    Slot(#[from] keys::Error),
}

/// Looks at every byte of the object `name`, as it is stored.
pub fn examine(name: &Name, stored: &[u8]) -> Health {
    // The hash says all that the armour could say.
    if named_hash(name).is_some_and(|promised| hash::sha256(stored) == promised) {
        return Health::Sound;
    }
    let health = match armour::check(stored) {
        Ok(_) => promised(name, stored).map(|()| Health::Sound),
        Err(newer @ armour::Error::Newer(..)) => Err(Loss::Armour(newer)),
        Err(_) => armour::heal(stored)
            .map_err(Loss::Armour)
            .and_then(|healed| promised(name, &healed).map(|()| Health::Healable { healed })),
    };
    health.unwrap_or_else(Health::Lost)
}

/// Whether bytes in sound armour are what the name promises.
fn promised(name: &Name, stored: &[u8]) -> Result<(), Loss> {
    let layout = armour::check(stored).map_err(Loss::Armour)?;
    if layout.kind() != name.kind() {
        return Err(Loss::Kind(layout.kind()));
    }
    if let Some(promised) = named_hash(name) {
        return if hash::sha256(stored) == promised { Ok(()) } else { Err(Loss::Name) };
    }
    match name {
        Name::Slot(..) => drop(Slot::decode(&stored[layout.data_range()])?),
        Name::Config(_) => {
            let frame = Frame::read(name, stored)?;
            let config = Config::decode(frame.clear()).map_err(|error| frame.fail(Cause::Format(error)))?;
            frame.verify(&config.repository, &config.admin)?;
        }
        _ => drop(Frame::read(name, stored)?),
    }
    Ok(())
}

/// The SHA-256 of the stored bytes, for objects that are named by it.
const fn named_hash(name: &Name) -> Option<[u8; 32]> {
    match name {
        Name::Pack(id) => Some(id.0),
        Name::Index { id, .. } => Some(id.0),
        Name::Census(id, _) => Some(id.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::armour::{Scale, wrap};
    use super::super::id::{CensusId, PinId, RepositoryId, SlotId};
    use super::super::names::Copy;
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::crypto::sign::SigningKey;

    fn pin() -> (Name, Vec<u8>) {
        let (name, key) = (Name::Pin(PinId([1; 16])), SigningKey::from_seed(&Secret::new([2; 32])));
        (name, frame::write(&RepositoryId([3; 32]), &name, b"", None, &key).stored)
    }

    #[test]
    fn a_frame_is_sound_healable_or_lost() {
        let (name, stored) = pin();
        assert!(matches!(examine(&name, &stored), Health::Sound));
        for at in [0, 40, stored.len() / 2, stored.len() - 1] {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            let Health::Healable { healed } = examine(&name, &damaged) else { panic!("byte {at}") };
            assert_eq!(healed, stored, "byte {at}");
        }
        assert!(matches!(examine(&name, b""), Health::Lost(Loss::Armour(_))));
        let other = Name::Config(Copy::First);
        assert!(matches!(examine(&other, &stored), Health::Lost(Loss::Kind(ObjectKind::Pin))));
    }

    #[test]
    fn a_hash_in_the_name_is_held_against_every_byte() {
        let stored = wrap(ObjectKind::Census, Scale::Small, vec![7; 100]);
        let name = Name::Census(CensusId(hash::sha256(&stored)), Copy::First);
        assert!(matches!(examine(&name, &stored), Health::Sound));
        let other = wrap(ObjectKind::Census, Scale::Small, vec![7; 100]);
        assert!(matches!(examine(&name, &other), Health::Lost(Loss::Name)), "the padding differs");
        let longer = [&stored[..], b"x"].concat();
        assert!(matches!(examine(&name, &longer), Health::Healable { healed } if healed == stored));
    }

    #[test]
    fn armour_around_nonsense_is_no_object() {
        let slot = Name::Slot(SlotId([1; 16]), Copy::First);
        let stored = wrap(ObjectKind::Slot, Scale::Small, vec![9; 100]);
        assert!(matches!(examine(&slot, &stored), Health::Lost(Loss::Slot(_))));
        let config = Name::Config(Copy::First);
        let stored = wrap(ObjectKind::Config, Scale::Small, vec![9; 100]);
        assert!(matches!(examine(&config, &stored), Health::Lost(Loss::Frame(_))));
    }
}
