//! Large files of which little changed, everywhere: what is new of them is stored as deltas.

use super::*;
use crate::repo::id::ChunkKind;
use crate::repo::repository::Indexes;
use crate::repo::segment::Codec;

/// Rows as a dump of a table has them, `changed` of a hundred of which are others than in generation 0.
pub(super) fn dump(rows: u64, generation: u64, inserted: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for row in 0..rows {
        let mark = if row % 100 == 7 { generation } else { 0 };
        let digest = blake3::hash(&[row.to_le_bytes(), mark.to_le_bytes()].concat()).to_hex();
        out.extend_from_slice(format!("{row}\t{}\n", &digest[..60]).as_bytes());
        // What is put in moves all that follows.
        if inserted > 0 && row % 5000 == 4999 {
            let more = blake3::hash(&[row.to_le_bytes(), (inserted + 1000).to_le_bytes()].concat()).to_hex();
            out.extend_from_slice(format!("new\t{more}\n").as_bytes());
        }
    }
    out
}

const ROWS: u64 = 160_000;

impl World {
    pub(super) fn put(&self, bytes: &[u8]) {
        std::fs::write(self.source().join("dump"), bytes).unwrap();
        settle();
    }

    pub(super) fn newest(&self) -> Vec<u8> {
        self.files().into_values().next().unwrap()
    }

    /// How many segments of data are plain and how many deltas; whatever deltas build on is plain.
    pub(super) fn segments(&self) -> (usize, usize) {
        let index = Indexes::load(&self.open(), &IndexClass::BOTH).unwrap().chunks;
        let data = index.segments().map(|segment| segment.unwrap().1).filter(|row| row.kind == ChunkKind::Data);
        let (deltas, plain): (Vec<_>, Vec<_>) = data.partition(|row| row.codec == Codec::Delta);
        for base in deltas.iter().flat_map(|row| &row.bases) {
            assert!(plain.iter().any(|row| row.ids.contains(base)), "{base} is in no plain segment");
        }
        (plain.len(), deltas.len())
    }
}

#[test]
fn scattered_changes_are_stored_as_such() {
    let world = World::new();
    world.put(&dump(ROWS, 0, 0));
    let first = world.snapshot(&world.options());
    let off = Options { delta: Delta::Off, ..world.options() };
    for (generation, inserted) in [(1, 0), (2, 1), (3, 2)] {
        let now = dump(ROWS, generation, inserted);
        world.put(&now);
        let plain = world.snapshot(&Options { dry_run: true, ..off.clone() });
        assert!(plain.bytes_added > now.len() as u64 / 2, "no chunk of it stays as it was");
        let changed = world.snapshot(&world.options());
        assert!(changed.bytes_stored * 5 < first.bytes_stored, "{} of {}", changed.bytes_stored, first.bytes_stored);
        assert!(world.newest() == now, "generation {generation} comes back as it was");
    }
    let (plain, deltas) = world.segments();
    assert!(deltas >= 3 * 8 && plain < deltas, "{plain} plain, {deltas} deltas");
    // Not only the newest: each is as it was.
    let repository = world.open();
    let oldest = world.files_of(&repository, &repository.snapshots()[0]);
    assert!(oldest.into_values().next().unwrap() == dump(ROWS, 0, 0));
}

#[test]
fn what_has_nothing_in_common_is_no_delta() {
    let world = World::new();
    world.put(&dump(ROWS / 4, 0, 0));
    world.snapshot(&world.options());
    let other: Vec<u8> = noise(1_500_000, 9).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    world.put(&other);
    world.snapshot(&world.options());
    assert_eq!(world.segments().1, 0);
    assert!(world.newest() == other);
}

#[test]
fn no_deltas_where_none_are_wanted() {
    let world = World::new();
    let off = Options { delta: Delta::Off, ..world.options() };
    for generation in 0..2 {
        world.put(&dump(ROWS / 4, generation, 0));
        world.snapshot(&off);
    }
    assert_eq!(world.segments().1, 0);
}

#[test]
fn a_delta_whose_base_is_condemned_is_not_relied_upon() {
    let world = World::new();
    world.put(&dump(ROWS / 4, 0, 0));
    world.snapshot(&world.options());
    let bases = world.packs();
    let changed = dump(ROWS / 4, 1, 0);
    world.put(&changed);
    world.snapshot(&world.options());
    assert!(world.segments().1 > 0);
    super::condemned::condemn(&world.open_elsewhere(), &bases);
    let again = world.snapshot(&Options { full: true, ..world.options() });
    assert!(again.bytes_added >= changed.len() as u64, "{} bytes", again.bytes_added);
    for pack in bases {
        world.store.delete(&crate::repo::names::Name::Pack(pack).object()).unwrap();
    }
    assert!(world.newest() == changed);
}
