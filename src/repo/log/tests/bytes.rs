//! The bytes of entries, and that nothing else is taken for them.

use crate::crypto::hpke::SealingKey;
use crate::crypto::sign::PublicKey;
use crate::repo::golden;
use crate::repo::id::*;
use crate::repo::keys::role::Role;
use crate::repo::log::*;
use crate::repo::names::{IndexClass, SessionName};
use crate::repo::session::IndexRef;
use crate::repo::wire;
use proptest::prelude::*;

fn session() -> SessionName {
    SessionName { writer: WriterId([7; 16]), seq: 300 }
}

fn targets() -> Vec<Target> {
    vec![Target::pack(PackId([1; 32])), Target { pack: PackId([2; 32]), segments: vec![0, 5] }]
}

fn cert() -> Cert {
    Cert {
        signing: PublicKey([3; 32]),
        sealing: SealingKey([4; 32]),
        role: Role::Writer,
        label: "laptop".into(),
        trusts: vec![PrincipalId([5; 16]), PrincipalId([6; 16])],
        may_attest: false,
    }
}

fn decisions() -> Vec<(&'static str, Decision)> {
    let (principal, snapshot) = (PrincipalId([6; 16]), SnapshotId([0x55; 32]));
    let (end, writer) = ([0x44; 32], WriterId([7; 16]));
    let index = IndexRef { checkpoint: 9, class: IndexClass::Data, id: IndexId([8; 32]) };
    let commit = Verdict::Commit { session: session(), end, record: b"record".to_vec(), indexes: vec![index] };
    vec![
        ("log CONDEMN", Decision::Condemn { targets: targets(), marked: vec![snapshot] }),
        ("log RESCUE", Decision::Rescue { targets: targets() }),
        ("log FINAL", Decision::Final { targets: targets(), listed: 300 }),
        ("log FORGET", Decision::Forget(vec![snapshot])),
        ("log UNFORGET", Decision::Unforget(vec![snapshot])),
        ("log HOLD", Decision::Hold { id: HoldId([9; 16]), asked_by: principal, reason: "odd".into() }),
        ("log RELEASE", Decision::Release(HoldId([9; 16]))),
        ("log CERT", Decision::Cert(cert())),
        ("log REVOKE", Decision::Revoke { principal, accepted: vec![(writer, snapshot)], reason: "lost".into() }),
        ("log ATTEST", Decision::Attest { session: session(), end }),
        ("log TAG", Decision::Tag { snapshot, add: vec!["keep".into()], remove: vec!["daily".into()] }),
        ("log EPOCH", Decision::Epoch { epoch: 2, read: SealingKey([4; 32]) }),
        ("log CONFIG", Decision::Config(b"config".to_vec())),
        ("log RESOLVE commit", Decision::Resolve(commit)),
        ("log RESOLVE abort", Decision::Resolve(Verdict::Abort { session: session(), end })),
        ("log RESOLVE gap", Decision::Resolve(Verdict::Gap { writer, missing: snapshot })),
        ("log CHECKPOINT", Decision::Checkpoint { number: 300, census: CensusId([0x77; 32]) }),
        (
            "log SUSPECT",
            Decision::Suspect { lost: vec![PackId([1; 32])], whole: vec![PackId([2; 32]), PackId([3; 32])] },
        ),
    ]
}

fn entry(decision: &Decision) -> Entry {
    let (kind, body) = decision.encode();
    let author = PrincipalId([6; 16]);
    Entry { position: 3, previous: [1; 32], voids: vec![[2; 32]], author, time: 1_795_000_000, kind, body }
}

#[test]
fn golden() {
    let entry = entry(&Decision::Release(HoldId([9; 16])));
    assert_eq!(entry.encode(), golden::bytes("log entry"));
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    for (name, decision) in decisions() {
        assert_eq!(decision.encode().1, golden::bytes(name));
    }
}

#[test]
fn every_type_goes_both_ways_and_has_its_number() {
    let mut kinds = Vec::new();
    for (name, decision) in decisions() {
        let entry = entry(&decision);
        assert_eq!(entry.decision(), Ok(decision.clone()), "{name}");
        assert!(name.contains(decision.word()));
        kinds.push(entry.kind);
    }
    kinds.dedup();
    assert_eq!(kinds, (1..=16).collect::<Vec<_>>());
}

#[test]
fn later_types_are_skipped_or_stop() {
    let of = |kind| Entry { kind, ..entry(&Decision::Forget(vec![])) }.decision();
    assert_eq!(of(18), Ok(Decision::Unknown));
    assert_eq!(of(0), Ok(Decision::Unknown));
    assert_eq!(of(17), Err(wire::Error::Critical(17)));
    let mut longer = entry(&Decision::Release(HoldId([9; 16])));
    let at = longer.body.len() - 1;
    longer.body.splice(at.., [1, 2, 0]);
    assert!(longer.decision().is_ok(), "an even field of a later version is skipped");
    longer.body[at + 1] = 3;
    assert_eq!(longer.decision(), Err(wire::Error::Critical(3)));
}

#[test]
fn sets_have_one_order() {
    let mut swapped = targets();
    swapped.reverse();
    assert!(entry(&Decision::Rescue { targets: swapped }).decision().is_err());
    let twice = vec![Target { pack: PackId([2; 32]), segments: vec![5, 5] }];
    assert!(entry(&Decision::Rescue { targets: twice }).decision().is_err());
    let trusts = vec![PrincipalId([6; 16]), PrincipalId([5; 16])];
    assert!(entry(&Decision::Cert(Cert { trusts, ..cert() })).decision().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_an_error_or_themselves(kind in 0..18u64, body in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut entry = entry(&Decision::Forget(vec![]));
        (entry.kind, entry.body) = (kind, body);
        match entry.decision() {
            Ok(Decision::Unknown) | Err(_) => {}
            // Fields of later versions are not kept: nobody rewrites entries.
            Ok(decision) => prop_assert!(entry.body.starts_with(&decision.encode().1[..decision.encode().1.len() - 1])),
        }
        prop_assert!(Entry::decode(&entry.body).map_or(true, |entry| !entry.encode().is_empty()));
    }

    #[test]
    fn a_cut_body_is_an_error(which in 0..17usize, cut: prop::sample::Index) {
        let mut entry = entry(&decisions()[which].1);
        let length = cut.index(entry.body.len());
        entry.body.truncate(length);
        prop_assert!(entry.decision().is_err());
    }
}
