//! Which packs are made anew, up to which limit, and what is done in a go.

use super::*;
use crate::crypto::aead::Suite;
use crate::ops::prune::Limit;
use crate::repo::id::{DataKeyId, WriterId};
use crate::repo::segment::{Codec, Origin};

const MIB: u64 = 1 << 20;

fn pack(number: u8) -> PackId {
    PackId([number; 32])
}

/// A pack of which something is needed: its bytes, those of segments that are not, and those that whoever reads can give back besides.
fn used(length: u64, dead: u64, rewritable: u64) -> Use {
    let mut one = Use::default();
    (one.length, one.live, one.dead, one.rewritable) = (length, 1, dead, rewritable);
    one
}

/// A pack of which nothing is needed: it goes as a whole.
fn whole(length: u64) -> Use {
    let mut one = used(length, length, 0);
    one.live = 0;
    one
}

fn numbered(uses: &[Use]) -> BTreeMap<PackId, Use> {
    (1..).map(pack).zip(uses.iter().copied()).collect()
}

/// The numbers of what is picked among all of these.
fn picked(uses: &[Use], options: &Options, reads: bool) -> Vec<u8> {
    let uses = numbered(uses);
    let all = uses.keys().copied().collect();
    pick(&uses, &all, options, reads).into_iter().map(|id| id.0[0]).collect()
}

fn at_most(bytes: u64) -> Options {
    Options { max_unused: Limit::Bytes(bytes), ..Options::default() }
}

#[test]
fn what_gives_back_the_most_goes_first_until_little_enough_stays() {
    // The last says nothing about what may stay.
    let whole = whole(1000 * MIB);
    let uses = [used(100 * MIB, 10 * MIB, 0), used(100 * MIB, 90 * MIB, 0), used(100 * MIB, 50 * MIB, 0), whole];
    for (most, expected) in
        [(150 * MIB, &[][..]), (150 * MIB - 1, &[2]), (60 * MIB, &[2]), (60 * MIB - 1, &[2, 3]), (0, &[1, 2, 3])]
    {
        assert_eq!(picked(&uses, &at_most(most), false), expected, "{most}");
    }
    // A share is one of the 150 MiB that are needed.
    for (thousandths, expected) in [(50, &[1, 2, 3][..]), (66, &[1, 2, 3]), (67, &[2, 3])] {
        let options = Options { max_unused: Limit::Thousandths(thousandths), ..Options::default() };
        assert_eq!(picked(&uses, &options, false), expected, "{thousandths}");
    }
    // It is the share that counts, not the size; of the same share, the first.
    let uses = [used(100 * MIB, 50 * MIB, 0), used(10 * MIB, 9 * MIB, 0)];
    assert_eq!(picked(&uses, &at_most(50 * MIB), false), [2]);
    assert_eq!(picked(&[used(100, 50, 0), used(100, 50, 0)], &at_most(50), false), [1]);
}

#[test]
fn who_reads_gives_back_more() {
    let uses = [used(100, 0, 30), used(100, 10, 30), used(100, 0, 0)];
    assert_eq!(picked(&uses, &at_most(0), false), [2]);
    assert_eq!(picked(&uses, &at_most(0), true), [1, 2]);
    assert_eq!(picked(&uses, &at_most(30), true), [2]);
    assert_eq!(picked(&uses, &at_most(29), true), [1, 2]);
}

#[test]
fn what_is_no_candidate_stays_and_counts_as_waste() {
    let uses = numbered(&[used(100, 40, 0), used(100, 20, 0), used(100, 0, 0), used(10, 0, 0)]);
    let among = |numbers: &[u8], options| pick(&uses, &numbers.iter().copied().map(pack).collect(), &options, false);
    assert_eq!(among(&[2, 3], at_most(40)), [pack(2)].into());
    // Nothing more can be given back, and what gives nothing back is not copied for it.
    assert_eq!(among(&[2, 3], at_most(0)), [pack(2)].into());
    assert_eq!(among(&[2, 3, 4], Options { repack_small: true, ..at_most(1000) }), [2, 3, 4].map(pack).into());
    assert_eq!(among(&[3], Options { repack_small: true, ..at_most(1000) }), [].into());
}

#[test]
fn what_would_copy_too_much_is_passed_over() {
    let uses = [used(100, 60, 0), used(100, 50, 0), used(10, 4, 0)];
    for (most, expected) in [(39, &[3][..]), (40, &[1]), (45, &[1]), (46, &[1, 3]), (95, &[1, 2]), (96, &[1, 2, 3])] {
        let options = Options { max_repack: Some(most), ..at_most(0) };
        assert_eq!(picked(&uses, &options, false), expected, "{most}");
    }
}

#[test]
fn several_small_packs_are_put_together_and_one_alone_is_not() {
    let (small, large) = (used(SMALL - 1, 0, 0), used(SMALL, 0, 0));
    assert_eq!(SMALL, 8 * MIB);
    let options = Options { repack_small: true, ..at_most(u64::MAX) };
    assert_eq!(picked(&[small, large], &options, false), [0; 0]);
    assert_eq!(picked(&[small, large, small], &options, false), [1, 3]);
    assert_eq!(picked(&[small, large, small], &at_most(u64::MAX), false), [0; 0], "unless it is wished");
    assert_eq!(picked(&[small, whole(SMALL - 1)], &options, false), [0; 0]);
    // One that is made anew for another reason has room for it.
    let wasted = used(100 * MIB, 90 * MIB, 0);
    assert_eq!(picked(&[small, wasted], &Options { max_unused: Limit::Bytes(0), ..options.clone() }, false), [1, 2]);
    // What is copied counts, for both reasons: 10 MiB of the one, and of a small one what is needed.
    let half = used(4 * MIB, MIB, 0);
    for (most, expected) in [(12, &[2][..]), (13, &[1, 2]), (15, &[1, 2]), (16, &[1, 2, 3])] {
        let options = Options { max_repack: Some(most * MIB), max_unused: Limit::Bytes(10 * MIB), ..options.clone() };
        assert_eq!(picked(&[half, wasted, half], &options, false), expected, "{most}");
    }
}

fn part(number: u8, rows: &[(ChunkKind, u32)], chunks: &[ChunkKind], rewritten: u64) -> Part {
    let row = |(kind, length): &(ChunkKind, u32)| {
        Arc::new(SegmentDescriptor {
            kind: *kind,
            suite: Suite::Aes256Gcm,
            codec: Codec::Zstd,
            epoch: 0,
            offset: 0,
            length: *length,
            hash: [0; 32],
            key_id: DataKeyId([0; 32]),
            origin: Origin { writer: WriterId([0; 16]), seq: 0 },
            ids: Vec::new(),
            bases: Vec::new(),
        })
    };
    let chunks = chunks.iter().map(|kind| (*kind, ChunkId([number; 32]))).collect();
    Part { pack: pack(number), rows: rows.iter().map(row).collect(), chunks, rewritten }
}

#[test]
fn a_go_is_over_when_it_copied_half_a_gibibyte() {
    let sizes = [512 * MIB, 511 * MIB, MIB, 600 * MIB, 256 * MIB, 256 * MIB, MIB, MIB];
    let parts = (0..).zip(sizes).map(|(number, bytes)| part(number, &[], &[], bytes)).collect();
    let repack = Repack { parts };
    assert_eq!(repack.batches().map(<[Part]>::len).collect::<Vec<_>>(), [1, 2, 1, 2, 2]);
    assert_eq!(repack.bytes(), sizes.iter().sum::<u64>());
    assert_eq!(Repack::default().batches().count(), 0);
}

#[test]
fn what_is_copied_whole_and_what_in_parts_takes_a_session_each() {
    let (data, payload, skeleton) = (ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton);
    let both = part(1, &[(data, 10), (payload, 7), (skeleton, 5)], &[data], 3);
    assert_eq!(both.bytes(), 25);
    let (rows, chunks) = (part(2, &[(skeleton, 4)], &[], 0), part(3, &[], &[payload, data], 600 << 20));
    let sessions = |parts| Repack { parts }.sessions();
    assert_eq!(sessions(vec![both, rows]), [(2, 26), (1, 3)]);
    assert_eq!(sessions(vec![chunks, part(4, &[(data, 9)], &[], 0)]), [(2, 600 << 20), (1, 9)]);
}
