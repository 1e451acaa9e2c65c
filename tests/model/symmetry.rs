//! States that differ only in who is called A and who B, or first and second maintainer, are one: each can do what the other can.

use crate::packed::{Packed, packed};
use crate::sets::{Places, Set};
use crate::setup::Setup;
use crate::state::{Draft, Maintainer, Reading, State, Writer};

/// The words of a state, the same for all that differ from it in such names only.
pub fn canonical(setup: &Setup, state: &State) -> Packed {
    let alike = setup.writers == 2 && !setup.revoke && !setup.a_trusts_stranger;
    let words = ordered(setup, packed(state));
    if alike { words.min(ordered(setup, packed(&with_writers_swapped(state)))) } else { words }
}

/// With two maintainers of one role in an order of their own; they are the last four words.
fn ordered(setup: &Setup, mut words: Packed) -> Packed {
    let alike = matches!(setup.maintainers, [first, second] if first == second);
    if alike && words[8..10] > words[10..12] {
        words.swap(8, 10);
        words.swap(9, 11);
    }
    words
}

/// A becomes B.
fn with_writers_swapped(state: &State) -> State {
    let mut next = *state;
    let [a, b, c, d] = state.end;
    next.end = [c, d, a, b];
    next.idx = by_session(state.idx.map(packs));
    let [p, q, a, b, c, d, copy, strange] = state.marked.map(sessions);
    next.marked = [p, q, c, d, a, b, copy, strange];
    next.writers = [swapped_writer(&state.writers[1]), swapped_writer(&state.writers[0])];
    next.maintainers = state.maintainers.map(|maintainer| swapped_maintainer(&maintainer));
    next.watermark = both(state.watermark);
    for set in [&mut next.present, &mut next.census_idx] {
        *set = packs(*set);
    }
    for set in [&mut next.holds, &mut next.condemned, &mut next.finals, &mut next.known_finals] {
        *set = places(*set);
    }
    for set in [&mut next.open, &mut next.forgotten, &mut next.census, &mut next.acknowledged] {
        *set = sessions(*set);
    }
    for set in [&mut next.late_open, &mut next.late_pack, &mut next.late_idx, &mut next.late_end] {
        *set = Set(set.0 >> 1 | (set.0 & 1) << 1);
    }
    next
}

fn swapped_writer(writer: &Writer) -> Writer {
    let Reading { absent, finals, watermark, census_idx, parent } = writer.reading;
    let reading = Reading {
        absent: places(absent),
        finals: places(finals),
        watermark: both(watermark),
        census_idx: packs(census_idx),
        parent,
    };
    Writer { listed: by_session(writer.listed.map(packs)), reading, ..*writer }
}

fn swapped_maintainer(maintainer: &Maintainer) -> Maintainer {
    let Draft { watermark, snapshots, idx, finals } = maintainer.draft;
    Maintainer {
        eligible: places(maintainer.eligible),
        planned: places(maintainer.planned),
        marks: sessions(maintainer.marks),
        awaited: sessions(maintainer.awaited),
        draft: Draft {
            watermark: both(watermark),
            snapshots: sessions(snapshots),
            idx: packs(idx),
            finals: places(finals),
        },
        ..*maintainer
    }
}

fn both<T>([a, b]: [T; 2]) -> [T; 2] {
    [b, a]
}

fn by_session<T>([a, b, c, d]: [T; 4]) -> [T; 4] {
    [c, d, a, b]
}

/// Sessions 0 and 1 become 2 and 3; the old snapshot stays.
fn sessions(Set(bits): Set) -> Set {
    Set(bits & 0b1_0000 | bits >> 2 & 0b11 | (bits & 0b11) << 2)
}

/// Their packs are two numbers up.
fn packs(Set(bits): Set) -> Set {
    Set(bits & 0b1100_0011 | bits >> 2 & 0b1100 | (bits & 0b1100) << 2)
}

fn places(Places(bits): Places) -> Places {
    Places(bits & 0xf00f | bits >> 4 & 0x00f0 | (bits & 0x00f0) << 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Steps, steps};
    use crate::setup::Role;
    use crate::view::View;
    use std::collections::HashSet;

    /// What a state can become, in the names that all alike have.
    fn outcomes(setup: &Setup, state: &State) -> HashSet<Packed> {
        let mut found = Steps::default();
        steps(&View { setup, state }, &mut found);
        found.0.iter().map(|(_, next)| canonical(setup, next)).collect()
    }

    #[test]
    fn who_is_called_what_changes_nothing_that_can_happen() {
        let setup = Setup {
            writers: 2,
            sessions: 2,
            maintainers: &[Role::Both, Role::Both],
            late: true,
            late_open: true,
            reuse: true,
            repack: true,
            stranger: true,
            ..Setup::SMALLEST
        };
        let mut edge = setup.beginnings();
        let mut seen = HashSet::new();
        while seen.len() < 30_000 {
            let mut found = Steps::default();
            edge.iter().for_each(|state| steps(&View { setup: &setup, state }, &mut found));
            edge = found.0.into_iter().map(|(_, next)| next).filter(|&next| seen.insert(next)).collect();
        }
        for state in &seen {
            let swapped = with_writers_swapped(state);
            assert_eq!(with_writers_swapped(&swapped), *state);
            let [first, second] = state.maintainers;
            for other in [swapped, State { maintainers: [second, first], ..*state }] {
                assert_eq!(canonical(&setup, &other), canonical(&setup, state));
                assert_eq!(outcomes(&setup, &other), outcomes(&setup, state));
            }
        }
    }
}
