//! Tests of snapshot records.

use super::*;
use crate::repo::entry::Timestamp;
use crate::repo::golden;
use crate::repo::id::ChunkId;
use proptest::prelude::*;
use std::collections::BTreeMap;

const REPOSITORY: RepositoryId = RepositoryId([9; 32]);
const WRITER: WriterId = WriterId([7; 16]);

fn signer() -> SigningKey {
    SigningKey::from_seed(&Secret::new([1; 32]))
}

fn index_key() -> Secret {
    Secret::new([2; 32])
}

fn link() -> Link {
    let session = SessionName { writer: WRITER, seq: 4 };
    Link { repository: REPOSITORY, session, number: 2, previous: Some(SnapshotId([0x55; 32])) }
}

fn private() -> Private {
    Private {
        host: "host".into(),
        user: "user".into(),
        uid: 1000,
        gid: 100,
        root: b"/".to_vec(),
        paths: vec![b"/etc".to_vec(), b"/home/\xff".to_vec()],
        tags: vec!["daily".into()],
        excludes: vec!["*.tmp".into()],
        program: "boveda 0.1.0".into(),
        started: Timestamp { seconds: 1_795_000_000, nanoseconds: 5 },
        finished: Timestamp { seconds: 1_795_000_060, nanoseconds: 0 },
        statistics: Statistics { files_new: 1, bytes_stored: 300, errors: 2, ..Statistics::default() },
        original: Some(SnapshotId([0x66; 32])),
        extensions: Extensions::default(),
    }
}

fn structure() -> Structure {
    let private = private();
    Structure {
        root: ChunkId([0x11; 32]),
        entries: 12,
        bytes: 3456,
        source: SourceKind::FILES,
        kind: SnapshotKind::Incremental,
        completeness: Completeness::Complete,
        tokens: Tokens::of(&Secret::new([4; 32]), &private.host, &private.paths, &private.tags),
        time: private.started,
        heads: heads_digest(&BTreeMap::from([(WRITER, SnapshotId([0x55; 32]))])),
        parent: Some(SnapshotId([0x55; 32])),
        extensions: Extensions::default(),
    }
}

fn data_key() -> DataKey {
    DataKey::from_secret(Secret::new([3; 32]))
}

fn record() -> Record {
    let wrap = Wrap { id: data_key().id(), writer: WRITER, seq: 4, epoch: 1, kem: 0x20, sealed: b"a wrap".to_vec() };
    let (structure, private) = (structure().encode(), private().encode());
    let key = index_key();
    let sealing = Sealing { epoch: 1, suite: Suite::XChaCha20Poly1305, index_key: &key };
    let nonces = [[5; NONCE_LEN], [6; NONCE_LEN]];
    Record::write_with_nonces(&link(), (&structure, &private), sealing, (&data_key(), vec![wrap]), &signer(), &nonces)
}

#[test]
fn golden() {
    let record = record();
    assert_eq!(structure().encode(), golden::bytes("record structure part"));
    assert_eq!(private().encode(), golden::bytes("record private part"));
    assert_eq!(record.bytes(), golden::bytes("record"));
    assert_eq!(record.id().0.as_slice(), golden::bytes("record id"));
}

#[test]
fn each_key_opens_its_part() {
    let record = Record::decode(record().bytes()).unwrap();
    assert_eq!(record, super::tests::record());
    record.verify(&REPOSITORY, &signer().public()).unwrap();
    assert_eq!(*record.link(), link());
    assert_eq!(record.structure(&index_key()).unwrap(), structure());
    assert_eq!(record.private(&data_key()).unwrap(), private());

    assert!(record.structure(&Secret::new([8; 32])).is_err());
    let other = DataKey::generate();
    assert_eq!(record.private(&other).unwrap_err(), Error::OtherDataKey(data_key().id()));
    assert_eq!(record.verify(&RepositoryId([0; 32]), &signer().public()).unwrap_err(), Error::Foreign);
}

#[test]
fn parts_of_other_records_do_not_fit() {
    let (ours, mut theirs) = (record(), record());
    theirs.link.number += 1;
    assert!(theirs.structure(&index_key()).is_err());
    assert!(theirs.private(&data_key()).is_err());
    let mut swapped = ours;
    std::mem::swap(&mut swapped.structure, &mut swapped.private);
    assert!(swapped.structure(&index_key()).is_err());
}

#[test]
fn tokens_group_what_is_equal() {
    let key = Secret::new([4; 32]);
    let paths = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(Tokens::paths(&key, &paths(&["/a", "/b"])), Tokens::paths(&key, &paths(&["/b", "/a", "/a"])));
    assert_ne!(Tokens::paths(&key, &paths(&["/a", "/b"])), Tokens::paths(&key, &paths(&["/a/b"])));
    assert_ne!(Tokens::host(&key, "a"), Tokens::tag(&key, "a"));
    assert_ne!(Tokens::host(&key, "a"), Tokens::host(&Secret::new([5; 32]), "a"));
}

#[test]
fn a_first_record_has_no_previous_one() {
    let mut first = record();
    first.link = Link { number: 0, previous: None, ..link() };
    let bytes = [first.signed_message(), vec![0; SIGNATURE_LEN]].concat();
    assert_eq!(Record::decode(&bytes).unwrap().link, first.link);
    first.link.number = 1;
    let bytes = [first.signed_message(), vec![0; SIGNATURE_LEN]].concat();
    assert!(Record::decode(&bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_bit_counts(at: prop::sample::Index, bit in 0..8u8) {
        let mut bytes = record().bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let holds = Record::decode(&bytes).is_ok_and(|record| record.verify(&REPOSITORY, &signer().public()).is_ok());
        prop_assert!(!holds);
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), cut: prop::sample::Index) {
        prop_assert!(Record::decode(&bytes).is_err());
        let _ = (Structure::decode(&bytes), Private::decode(&bytes));
        let (structure, private) = (structure().encode(), private().encode());
        prop_assert!(Structure::decode(&structure[..cut.index(structure.len())]).is_err());
        prop_assert!(Private::decode(&private[..cut.index(private.len())]).is_err());
    }
}
