//! A state in twelve words: what its fingerprint is taken of. Every field is in them, with all its bits.

use crate::sets::Set;
use crate::state::{Draft, Maintainer, Reading, State, Writer};

/// A state, packed.
pub type Packed = [u64; 12];

/// Packs a state; equal words mean equal states.
pub fn packed(state: &State) -> Packed {
    let [[a, a_read], [b, b_read]] = state.writers.map(|writer| packed_writer(&writer));
    let [[m, m_draft], [n, n_draft]] = state.maintainers.map(|maintainer| packed_maintainer(&maintainer));
    let marked = word(state.marked.map(|snapshots| snapshots.0));
    let [store, index, log] = [packed_store(state), packed_index(state), packed_log(state)];
    [store, index, log, marked, a, a_read, b, b_read, m, m_draft, n, n_draft]
}

fn word(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Flags, or small numbers of some bits each, in one byte.
fn bits<const N: usize>(parts: [u8; N]) -> u8 {
    parts.into_iter().rev().fold(0, |all, part| all << (8 / N) | part)
}

fn packed_store(state: &State) -> u64 {
    let [low, high] = state.holds.0.to_le_bytes();
    let flags = [state.pin, state.strange_is_true, state.revoked, state.attested].map(u8::from);
    let late = [state.late_open, state.late_pack, state.late_idx, state.late_end].map(|Set(writers)| writers);
    let end = bits(state.end.map(|end| end as u8));
    word([state.present.0, low, high, state.open.0, end, bits(flags), bits(late), state.acknowledged.0])
}

fn packed_index(state: &State) -> u64 {
    let ([a, b, c, d], [x, y]) = (state.idx.map(|packs| packs.0), state.watermark);
    word([a, b, c, d, x, y, state.census.0, state.census_idx.0])
}

fn packed_log(state: &State) -> u64 {
    let [a, b] = state.condemned.0.to_le_bytes();
    let [c, d] = state.finals.0.to_le_bytes();
    let [e, f] = state.known_finals.0.to_le_bytes();
    let operator = state.operator;
    let checked = u8::from(operator.checked) << 2 | u8::from(operator.fresh) << 3 | operator.snapshot << 4;
    word([a, b, c, d, e, f, state.forgotten.0, state.reader as u8 | checked])
}

fn packed_writer(writer: &Writer) -> [u64; 2] {
    let Writer { phase, session, listed, reading, missing, resumes, keeps_name } = *writer;
    let Reading { absent, finals, watermark: [x, y], census_idx, parent } = reading;
    let [a, b, c, d] = listed.map(|packs| packs.0);
    let flags = u8::from(resumes) | u8::from(keeps_name) << 1;
    let ([e, f], [g, h]) = (absent.0.to_le_bytes(), finals.0.to_le_bytes());
    [
        word([phase as u8, session, a, b, c, d, missing.0, flags]),
        word([e, f, g, h, x, y, census_idx.0, u8::from(parent)]),
    ]
}

fn packed_maintainer(maintainer: &Maintainer) -> [u64; 2] {
    let Maintainer { phase, fresh, eligible, planned, rescues, marks, awaited, draft } = *maintainer;
    let Draft { watermark: [x, y], snapshots, idx, finals } = draft;
    let flags = u8::from(fresh) | u8::from(rescues) << 1;
    let ([a, b], [c, d], [e, f]) = (eligible.0.to_le_bytes(), planned.0.to_le_bytes(), finals.0.to_le_bytes());
    [word([phase as u8, flags, a, b, c, d, marks.0, awaited.0]), word([x, y, snapshots.0, idx.0, e, f, 0, 0])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Steps, steps};
    use crate::setup::{Role, Setup};
    use crate::view::View;
    use std::collections::HashSet;

    /// The first states of a configuration in which everything may happen.
    fn states(most: usize) -> HashSet<State> {
        let setup = Setup {
            writers: 2,
            sessions: 2,
            maintainers: &[Role::Both, Role::Both],
            unforgets: true,
            reader: true,
            late: true,
            late_open: true,
            partial: true,
            reuse: true,
            repack: true,
            segments: true,
            stranger: true,
            attest: true,
            revoke: true,
            sync: true,
            seal: true,
            ..Setup::SMALLEST
        };
        let mut edge = setup.beginnings();
        let mut seen: HashSet<State> = edge.iter().copied().collect();
        while seen.len() < most {
            let mut found = Steps::default();
            edge.iter().for_each(|state| steps(&View { setup: &setup, state }, &mut found));
            edge = found.0.into_iter().map(|(_, state)| state).filter(|&state| seen.insert(state)).collect();
        }
        seen
    }

    #[test]
    fn different_states_are_packed_into_different_words() {
        let states = states(100_000);
        let words: HashSet<Packed> = states.iter().map(packed).collect();
        assert_eq!(words.len(), states.len());
    }

    #[test]
    fn bits_do_not_overlap() {
        assert_eq!(bits([1, 2, 0, 3]), 0b1100_1001);
    }
}
