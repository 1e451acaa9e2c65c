//! Tests of frames.

use super::*;
use crate::repo::golden;
use crate::repo::names::Copy;
use proptest::prelude::*;

const REPOSITORY: RepositoryId = RepositoryId([9; 32]);
const NAME: Name = Name::Log(3, Copy::First);

fn signer() -> SigningKey {
    SigningKey::from_seed(&Secret::new([1; 32]))
}

fn index_key() -> Secret {
    Secret::new([2; 32])
}

fn sealing(key: &Secret) -> Sealing<'_> {
    Sealing { epoch: 1, suite: Suite::XChaCha20Poly1305, index_key: key }
}

fn written() -> Written {
    write(&REPOSITORY, &NAME, b"clear", Some((sealing(&index_key()), b"sealed")), &signer())
}

fn opens(frame: &Frame, repository: &RepositoryId) -> bool {
    frame.unseal(repository, &index_key()).is_ok_and(|plain| plain == b"sealed")
        && frame.verify(repository, &signer().public()).is_ok()
}

#[test]
fn golden() {
    let aad = aad(&REPOSITORY, &NAME, 1, 1, b"clear");
    let key = hash::derive_key(context::INDEX_SEAL, &index_key());
    let plain = padded(b"sealed", 1, 5);
    let bytes = aead::seal_with_nonce(Suite::XChaCha20Poly1305, &key, &[3; 24], &aad, &plain);
    let part = SealedPart { epoch: 1, suite: Suite::XChaCha20Poly1305, bytes };
    let frame = assemble(&REPOSITORY, &NAME, b"clear", Some(part), &signer());
    assert_eq!(aad, golden::bytes("frame associated data"));
    assert_eq!(frame.len(), 1024);
    assert_eq!(hash::sha256(&frame).to_vec(), golden::bytes("frame digest"));
    assert!(opens(&Frame::decode(&NAME, &frame).unwrap(), &REPOSITORY));
    let plain = assemble(&REPOSITORY, &Name::Config(Copy::First), b"config", None, &signer());
    assert_eq!(plain, golden::bytes("frame without a sealed part"));
}

#[test]
fn the_sealed_length_tells_what_the_armour_tells() {
    for (clear, sizes) in [(0, 0..5_000_usize), (33, 16_000..17_000)] {
        let mut seen = std::collections::BTreeMap::new();
        for size in sizes.step_by(7) {
            let plain = padded(&vec![1; size], 1, clear);
            let sealed = vec![0; plain.len() + aead::OVERHEAD];
            let part = SealedPart { epoch: 1, suite: Suite::Aes256Gcm, bytes: sealed };
            let frame = assemble(&REPOSITORY, &NAME, &vec![0; clear], Some(part), &signer());
            let stored = Scale::Small.padded(frame.len());
            assert!(stored - frame.len() <= 2, "{size}: {} in {stored}", frame.len());
            assert_eq!(*seen.entry(stored).or_insert(plain.len()), plain.len(), "one length for each padded one");
        }
        assert!(seen.len() > 1);
    }
}

#[test]
fn opens_where_it_belongs_and_nowhere_else() {
    let written = written();
    let frame = Frame::read(&NAME, &written.stored).unwrap();
    assert_eq!((frame.clear(), frame.epoch(), frame.digest()), (&b"clear"[..], Some(1), written.digest));
    assert!(opens(&frame, &REPOSITORY) && frame.healed().is_none());
    assert!(opens(&Frame::read(&Name::Log(3, Copy::Second), &written.stored).unwrap(), &REPOSITORY));

    let other = RepositoryId([8; 32]);
    assert!(frame.unseal(&other, &index_key()).is_err() && frame.verify(&other, &signer().public()).is_err());
    let moved = Frame::read(&Name::Log(4, Copy::First), &written.stored).unwrap();
    assert!(moved.unseal(&REPOSITORY, &index_key()).is_err());
    assert!(moved.verify(&REPOSITORY, &signer().public()).is_err());
    assert!(frame.unseal(&REPOSITORY, &Secret::new([4; 32])).is_err());
    let stranger = SigningKey::from_seed(&Secret::new([5; 32])).public();
    assert!(frame.verify(&REPOSITORY, &stranger).is_err());
    let kind = Frame::read(&Name::Config(Copy::First), &written.stored).unwrap_err();
    assert_eq!(kind.source, Cause::Kind(ObjectKind::LogEntry));
}

#[test]
fn a_frame_without_a_sealed_part() {
    let name = Name::Config(Copy::First);
    let frame = Frame::read(&name, &write(&REPOSITORY, &name, b"body", None, &signer()).stored).unwrap();
    frame.verify(&REPOSITORY, &signer().public()).unwrap();
    assert_eq!((frame.clear(), frame.epoch()), (&b"body"[..], None));
    assert_eq!(frame.unseal(&REPOSITORY, &index_key()).unwrap_err().source, Cause::NotSealed);
}

#[test]
fn what_later_versions_write_is_told_from_damage() {
    let mut later = assemble(&REPOSITORY, &NAME, b"", None, &signer());
    later[0] = 2;
    assert!(Frame::decode(&NAME, &later).unwrap_err().needs_newer());
    let mut damaged = written().stored;
    damaged.truncate(40);
    assert!(!Frame::read(&NAME, &damaged).unwrap_err().needs_newer());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_is_healed_to_the_stored_bytes(at: prop::sample::Index, bit in 0..8u8) {
        let written = written();
        let mut damaged = written.stored.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let frame = Frame::read(&NAME, &damaged).unwrap();
        prop_assert!(opens(&frame, &REPOSITORY));
        prop_assert_eq!(frame.healed(), Some(&written.stored[..]));
    }

    #[test]
    fn every_bit_of_a_frame_counts(at: prop::sample::Index, bit in 0..8u8) {
        let frame = Frame::read(&NAME, &written().stored).unwrap();
        let mut bytes = frame.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Frame::decode(&NAME, &bytes).map_or(true, |frame| !opens(&frame, &REPOSITORY)));
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Frame::read(&NAME, &bytes).is_err());
        let parsed = Frame::decode(&NAME, &bytes);
        prop_assert!(parsed.map_or(true, |frame| !opens(&frame, &REPOSITORY)));
    }
}
