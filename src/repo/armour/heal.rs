//! Healing: from damaged stored bytes to those that were written, without keys.
//!
//! Either end tells the layout; each shard is intact if it matches its hash at either end; what is missing comes from
//! the parity. The result is a proposal: the caller checks it against the object's name or signature.

use super::{Error, FIXED_LEN, Layout, SHARD_HASH_LEN, dress, parity, shard_hash};

/// The stored bytes as they were, from bytes that were flipped, zeroed, cut short at one end or followed by others.
///
/// # Errors
/// [`Error::BeyondRepair`] when more shards are damaged than there is parity; [`Error::NotArmoured`] when both ends are
/// destroyed; [`Error::Newer`].
pub fn heal(stored: &[u8]) -> Result<Vec<u8>, Error> {
    let ends = [(Layout::from_head(stored), End::Head), (Layout::from_tail(stored), End::Tail)];
    let mut failure = None;
    for (layout, end) in ends {
        match layout.and_then(|layout| Patient::new(stored, layout, end).heal()) {
            Ok(healed) => return Ok(healed),
            // What a readable end reports says more than that the other end is unreadable.
            Err(error) if failure.is_none() || failure == Some(Error::NotArmoured) => failure = Some(error),
            Err(_) => {}
        }
    }
    Err(failure.unwrap_or(Error::NotArmoured))
}

#[derive(Clone, Copy)]
enum End {
    Head,
    Tail,
}

/// Damaged bytes, and where among them the object's own first byte is, was or would be.
struct Patient<'a> {
    stored: &'a [u8],
    layout: Layout,
    /// Bytes that are missing in front.
    missing: usize,
    /// Bytes in front that are not the object's.
    surplus: usize,
}

impl<'a> Patient<'a> {
    const fn new(stored: &'a [u8], layout: Layout, end: End) -> Self {
        let (missing, surplus) = match end {
            End::Head => (0, 0),
            End::Tail => {
                (layout.stored_len().saturating_sub(stored.len()), stored.len().saturating_sub(layout.stored_len()))
            }
        };
        Self { stored, layout, missing, surplus }
    }

    /// The bytes that the object has at `at`, if all of them are there.
    fn piece(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        let from = at.checked_sub(self.missing)? + self.surplus;
        self.stored.get(from..from + length)
    }

    /// The shard with this index, if it matches its hash at either end.
    fn shard(&self, index: usize) -> Option<&'a [u8]> {
        let layout = &self.layout;
        let shard = self.piece(layout.head_len() + index * layout.shard_len(), layout.shard_len())?;
        let hash = shard_hash(shard);
        let in_list = |start: usize| self.piece(start + index * SHARD_HASH_LEN, SHARD_HASH_LEN) == Some(&hash);
        let tail = layout.stored_len() - layout.head_len();
        (in_list(FIXED_LEN) || in_list(tail)).then_some(shard)
    }

    fn heal(&self) -> Result<Vec<u8>, Error> {
        let layout = &self.layout;
        let needed = layout.data_shards();
        // Before anything is allocated: without the bytes of that many shards there is no healing anyway.
        if self.stored.len() < layout.data_len() {
            return Err(Error::BeyondRepair { intact: self.stored.len() / layout.shard_len(), needed });
        }
        let room = layout.head_len();
        let mut healed = Vec::with_capacity(layout.stored_len());
        healed.resize(room + layout.data_len() + layout.parity_len(), 0);
        let mut intact = vec![false; needed + layout.parity_shards()];
        for (index, space) in healed[room..].chunks_exact_mut(layout.shard_len()).enumerate() {
            if let Some(shard) = self.shard(index) {
                space.copy_from_slice(shard);
                intact[index] = true;
            }
        }
        let count = intact.iter().filter(|&&whole| whole).count();
        let (data, parity) = healed[room..].split_at_mut(layout.data_len());
        parity::restore(layout, &intact, data, parity).map_err(|_| Error::BeyondRepair { intact: count, needed })?;
        healed.truncate(room + layout.data_len());
        dress(layout, &mut healed, room);
        Ok(healed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ObjectKind, Scale, wrap};
    use super::*;
    use proptest::prelude::*;

    fn object(scale: Scale, length: usize) -> Vec<u8> {
        wrap(ObjectKind::Index, scale, (0..length).map(|i| ((i * 31) >> 3) as u8).collect())
    }

    #[test]
    fn a_lost_disk_block_anywhere_heals() {
        for (scale, length) in [(Scale::Pack, 1), (Scale::Pack, 3_000_000), (Scale::Small, 20_000)] {
            let stored = object(scale, length);
            for at in (0..stored.len()).step_by(if length < 100_000 { 512 } else { 65_024 }) {
                let mut damaged = stored.clone();
                let end = (at + 4096).min(damaged.len());
                damaged[at..end].fill(0);
                assert_eq!(heal(&damaged).as_ref(), Ok(&stored), "{scale:?} {length} {at}");
            }
        }
    }

    #[test]
    fn both_ends_hurt_heal_where_one_fixed_part_is_left() {
        let stored = object(Scale::Small, 5000);
        let mut damaged = stored.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        damaged[FIXED_LEN + 3] ^= 1;
        damaged[FIXED_LEN + 100] ^= 1;
        assert_eq!(heal(&damaged).as_ref(), Ok(&stored));
        damaged[0] ^= 1;
        assert_eq!(heal(&damaged), Err(Error::NotArmoured));
    }

    #[test]
    fn bytes_before_or_behind_do_not_matter() {
        let stored = object(Scale::Small, 5000);
        assert_eq!(heal(&[&stored[..], b"more"].concat()).as_ref(), Ok(&stored));
        assert_eq!(heal(&[b"more", &stored[..]].concat()).as_ref(), Ok(&stored));
    }

    #[test]
    fn too_much_damage_is_an_error_with_numbers() {
        let stored = object(Scale::Small, 5000);
        let layout = Layout::from_head(&stored).unwrap();
        let mut damaged = stored.clone();
        for index in 0..=layout.parity_shards() {
            damaged[layout.head_len() + index * layout.shard_len()] ^= 1;
        }
        let needed = layout.data_shards();
        assert_eq!(heal(&damaged), Err(Error::BeyondRepair { intact: needed - 1, needed }));
        damaged[layout.head_len()] ^= 1;
        assert_eq!(heal(&damaged).as_ref(), Ok(&stored));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn flips_in_as_many_places_as_there_is_parity_heal(
            length in 0usize..60_000,
            first: prop::sample::Index,
            second: prop::sample::Index,
            mask in 1u8..,
        ) {
            let stored = object(Scale::Small, length);
            let mut damaged = stored.clone();
            let (head, tail) = (0..FIXED_LEN, stored.len() - FIXED_LEN..stored.len());
            let (first, second) = (first.index(stored.len()), second.index(stored.len()));
            let both_fixed = |a, b| head.contains(a) && tail.contains(b);
            prop_assume!(!both_fixed(&first, &second) && !both_fixed(&second, &first));
            damaged[first] ^= mask;
            damaged[second] = damaged[second].wrapping_add(1);
            prop_assert_eq!(heal(&damaged), Ok(stored));
        }

        #[test]
        fn whatever_is_cut_off_within_the_parity_heals(length in 0usize..60_000, cut: prop::sample::Index, front: bool) {
            let stored = object(Scale::Small, length);
            let layout = Layout::from_head(&stored).unwrap();
            let cut = 1 + cut.index(layout.head_len() + layout.parity_len());
            let left = if front { &stored[cut..] } else { &stored[..stored.len() - cut] };
            prop_assert_eq!(heal(left), Ok(stored.clone()));
        }

        #[test]
        fn any_bytes_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..3000), length in 0usize..4000) {
            prop_assert!(heal(&bytes).is_err());
            let fixed = Layout::for_content(ObjectKind::Pack, Scale::Pack, Default::default(), length << 12).encode();
            let claimed = [&fixed[..], &bytes, &fixed].concat();
            prop_assert!(heal(&claimed).is_err());
        }
    }
}
