//! The rules of the fold: who may decide what, and what may follow what.

use crate::crypto::hpke::SealingKey;
use crate::repo::census::{AdminEntry, Census};
use crate::repo::frame::Frame;
use crate::repo::id::*;
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::role::Role;
use crate::repo::log::fixture::World;
use crate::repo::log::*;
use crate::repo::names::{Copy, Name, SessionName};
use crate::repo::wire::Extensions;
use crate::store::Store as _;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PACK: PackId = PackId([1; 32]);
const SNAPSHOT: SnapshotId = SnapshotId([0x55; 32]);
const SESSION: SessionName = SessionName { writer: WriterId([7; 16]), seq: 1 };

fn refusal(result: Result<State, Error>) -> Violation {
    match result.unwrap_err() {
        Error::Refused(violation) => violation,
        other => panic!("not refused: {other:?}"),
    }
}

fn condemn() -> Decision {
    Decision::Condemn { targets: vec![Target::pack(PACK)], marked: vec![SNAPSHOT] }
}

fn finish(listed: u64) -> Decision {
    Decision::Final { targets: vec![Target::pack(PACK)], listed }
}

fn attest() -> Decision {
    Decision::Attest { session: SESSION, end: [4; 32] }
}

fn epoch(epoch: u32) -> Decision {
    Decision::Epoch { epoch, read: SealingKey([4; 32]) }
}

#[test]
fn the_first_entry_certifies_the_admin_under_the_configs_key() {
    let world = World::unfounded();
    let own_key = world.admin.principal().signing_key();
    let admin_key = world.admin.admin_signing_key().unwrap();
    let cert = world.cert_of(&world.admin, &[], false);
    assert!(matches!(refusal(world.append_with(&world.admin, &own_key, &cert)), Violation::Frame(_)));
    assert_eq!(refusal(world.append_with(&world.admin, &admin_key, &epoch(2))), Violation::Founding);
    let writer = world.admin.grant(Role::Writer).unwrap();
    let other = world.cert_of(&writer, &[], false);
    assert_eq!(refusal(world.append_with(&world.admin, &admin_key, &other)), Violation::Founding);

    let state = world.append_with(&world.admin, &admin_key, &cert).unwrap();
    assert_eq!((state.next(), world.state()), (1, state));
    let twice = world.append_with(&world.admin, &admin_key, &cert);
    assert!(matches!(refusal(twice), Violation::Frame(_)), "from then on the admin signs as itself");
    world.append(&world.admin, &cert).unwrap();
}

#[test]
fn a_log_is_bound_to_its_config() {
    let world = World::found();
    let other = State::new(world.config.repository, world.config.admin, [0; 32]);
    let log = read(&world.store, other, &world.log_keys(), None).unwrap();
    assert!(log.state.head().is_none() && log.stopped().is_some());
}

#[test]
fn each_role_decides_what_is_its_own() {
    let world = World::found();
    let [writer, reader, maintainer] = [Role::Writer, Role::Reader, Role::Maintainer].map(|role| world.add(role));
    let quiet = world.admin.grant(Role::Reader).unwrap();
    world.append(&world.admin, &world.cert_of(&quiet, &[], false)).unwrap();
    let cert = world.cert_of(&writer, &[&reader], false);
    let may = |bundle: &Bundle, decision: &Decision| {
        let fork = world.fork();
        match fork.append(bundle, decision) {
            Ok(_) => true,
            Err(Error::Refused(Violation::NotAllowed { .. })) => false,
            Err(other) => panic!("{other:?}"),
        }
    };
    for (decision, allowed) in [
        (cert, [false, false, false, false, true]),
        (epoch(2), [false, false, false, false, true]),
        (condemn(), [false, false, false, true, true]),
        (Decision::Forget(vec![SNAPSHOT]), [false, false, false, true, true]),
        (Decision::Checkpoint { number: 1, census: CensusId([1; 32]) }, [false, false, false, true, true]),
        (attest(), [false, false, true, false, true]),
    ] {
        let bundles = [&writer, &quiet, &reader, &maintainer, &world.admin];
        assert_eq!(bundles.map(|bundle| may(bundle, &decision)), allowed, "{}", decision.word());
    }
    let stranger = world.admin.grant(Role::Admin).unwrap();
    assert_eq!(refusal(world.append(&stranger, &condemn())), Violation::Author(stranger.principal_id()));
}

#[test]
fn who_is_revoked_decides_nothing_more() {
    let world = World::found();
    let second = world.add(Role::Admin);
    let revoke = |id| Decision::Revoke { principal: id, accepted: vec![], reason: String::new() };
    assert_eq!(refusal(world.append(&second, &revoke(second.principal_id()))), Violation::SelfRevocation);
    world.append(&world.admin, &revoke(second.principal_id())).unwrap();
    // Not even with the admin key, which its bundle holds too.
    let key = second.admin_signing_key().unwrap();
    assert_eq!(refusal(world.append_with(&second, &key, &condemn())), Violation::Author(second.principal_id()));
    assert!(matches!(refusal(world.append_with(&world.admin, &key, &condemn())), Violation::Frame(_)));
    let back = world.cert_of(&second, &[], false);
    assert_eq!(refusal(world.append(&world.admin, &back)), Violation::NoPrincipal(second.principal_id()));
    let twice = refusal(world.append(&world.admin, &revoke(second.principal_id())));
    assert_eq!(twice, Violation::NoPrincipal(second.principal_id()));
}

#[test]
fn a_certificate_may_change_but_not_its_role() {
    let world = World::found();
    let (writer, other) = (world.add(Role::Writer), world.add(Role::Writer));
    let relies = |state: &State| state.trust().relies_on(&writer.principal_id(), &other.principal_id());
    assert!(!relies(&world.state()));
    let state = world.append(&world.admin, &world.cert_of(&writer, &[&other], false)).unwrap();
    assert!(relies(&state));
    assert!(!state.trust().relies_on(&other.principal_id(), &writer.principal_id()));
    assert!(state.trust().relies_on(&other.principal_id(), &world.admin.principal_id()));
    let Decision::Cert(mut cert) = world.cert_of(&writer, &[], false) else { unreachable!() };
    cert.role = Role::Maintainer;
    let changed = refusal(world.append(&world.admin, &Decision::Cert(cert)));
    assert_eq!(changed, Violation::RoleChange(writer.principal_id()));
    let revoke = Decision::Revoke { principal: other.principal_id(), accepted: vec![], reason: String::new() };
    assert!(!relies(&world.append(&world.admin, &revoke).unwrap()));
}

#[test]
fn packs_are_condemned_then_final_or_rescued() {
    let world = World::found();
    let admin = &world.admin;
    assert_eq!(refusal(world.append(admin, &finish(0))), Violation::NotCondemned(PACK));
    let state = world.append(admin, &condemn()).unwrap();
    let at = state.head().unwrap().position;
    assert!(state.ledger().pack_absent(&PACK) && !state.ledger().ever_final(&PACK));
    assert!(state.ledger().reusable_parent(&SNAPSHOT) && !state.ledger().reusable_parent(&SnapshotId([1; 32])));
    assert_eq!(refusal(world.append(admin, &finish(at - 1))), Violation::NotCondemned(PACK), "listed before");
    assert_eq!(refusal(world.append(admin, &finish(at + 1))), Violation::Listing);

    let state = world.append(admin, &Decision::Rescue { targets: vec![Target::pack(PACK)] }).unwrap();
    assert!(!state.ledger().pack_absent(&PACK) && state.ledger().reusable_parent(&SnapshotId([1; 32])));
    assert_eq!(state.ledger().final_since(&PACK), None);
    assert_eq!(refusal(world.append(admin, &finish(at))), Violation::NotCondemned(PACK));

    let at = world.append(admin, &condemn()).unwrap().head().unwrap().position;
    let state = world.append(admin, &finish(at)).unwrap();
    assert!(state.ledger().ever_final(&PACK) && state.ledger().marks.is_empty());
    assert_eq!(state.ledger().final_since(&PACK), Some(at + 1), "from then on it is counted when it may be deleted");
    assert_eq!(refusal(world.append(admin, &condemn())), Violation::AlreadyFinal(PACK));
    let segment = Decision::Condemn { targets: vec![Target { pack: PACK, segments: vec![1] }], marked: vec![] };
    assert_eq!(refusal(world.append(admin, &segment)), Violation::AlreadyFinal(PACK));
}

#[test]
fn who_was_forgotten_and_brought_back_is_marked_by_no_condemn_before() {
    let world = World::found();
    let admin = &world.admin;
    world.append(admin, &condemn()).unwrap();
    let forget = world.append(admin, &Decision::Forget(vec![SNAPSHOT])).unwrap();
    assert!(!forget.ledger().reusable_parent(&SNAPSHOT));
    let back = world.append(admin, &Decision::Unforget(vec![SNAPSHOT])).unwrap();
    assert!(!back.ledger().is_forgotten(&SNAPSHOT) && !back.ledger().reusable_parent(&SNAPSHOT));
    // A prune that marks it now, marks it.
    world.append(admin, &Decision::Rescue { targets: vec![Target::pack(PACK)] }).unwrap();
    assert!(world.append(admin, &condemn()).unwrap().ledger().reusable_parent(&SNAPSHOT));
}

#[test]
fn segments_go_alone() {
    let world = World::found();
    let targets = vec![Target { pack: PACK, segments: vec![1, 3] }];
    let state = world.append(&world.admin, &Decision::Condemn { targets, marked: vec![] }).unwrap();
    let absent = [0, 1, 2, 3].map(|segment| state.ledger().segment_absent(&PACK, segment));
    assert_eq!((absent, state.ledger().pack_absent(&PACK)), ([false, true, false, true], false));
}

#[test]
fn a_hold_stops_what_takes_away() {
    let world = World::found();
    let (id, admin) = (HoldId([9; 16]), &world.admin);
    let hold = Decision::Hold { id, asked_by: admin.principal_id(), reason: "odd".into() };
    let at = world.append(admin, &condemn()).unwrap().head().unwrap().position;
    world.append(admin, &hold).unwrap();
    for stopped in [condemn(), finish(at), Decision::Forget(vec![SNAPSHOT])] {
        assert_eq!(refusal(world.append(admin, &stopped)), Violation::OnHold(id));
    }
    assert_eq!(refusal(world.append(admin, &hold)), Violation::HoldName(id));
    world.append(admin, &Decision::Rescue { targets: vec![Target::pack(PACK)] }).unwrap();
    world.append(admin, &Decision::Release(id)).unwrap();
    assert_eq!(refusal(world.append(admin, &Decision::Release(id))), Violation::HoldName(id));
    let state = world.append(admin, &Decision::Forget(vec![SNAPSHOT])).unwrap();
    assert!(state.ledger().is_forgotten(&SNAPSHOT));
    let state = world.append(admin, &Decision::Unforget(vec![SNAPSHOT])).unwrap();
    assert!(!state.ledger().is_forgotten(&SNAPSHOT));
}

#[test]
fn an_epoch_is_sealed_under_the_one_before() {
    let mut world = World::found();
    let keys = world.admin.next_epoch().unwrap();
    assert_eq!(refusal(world.append(&world.admin, &epoch(3))), Violation::Number { found: 3, expected: 2 });
    let state = world.append(&world.admin, &epoch(2)).unwrap();
    assert_eq!((state.trust().epoch(), state.trust().epochs().len()), (2, 1));
    let old_keys = world.log_keys();
    world.admin.add_epoch(keys).unwrap();
    world.add(Role::Writer);
    assert_eq!(world.state().trust().principals().len(), 2);
    let without = read(&world.store, world.fresh(), &old_keys, None);
    assert!(matches!(without, Err(Error::NoKey { position: 2, epoch: 2, .. })));
}

#[test]
fn a_config_overrides_only_its_own() {
    let world = World::found();
    let mut config = world.config.clone();
    config.parity = 16;
    let state = world.append(&world.admin, &Decision::Config(config.encode())).unwrap();
    assert_eq!(state.trust().config(), Some(&config.encode()[..]));
    config.repository = RepositoryId([0; 32]);
    assert_eq!(refusal(world.append(&world.admin, &Decision::Config(config.encode()))), Violation::ForeignConfig);
}

#[test]
fn a_census_tells_the_same_state() {
    let mut world = World::found();
    let keys = world.admin.next_epoch().unwrap();
    let maintainer = world.add(Role::Maintainer);
    let checkpoint = |number| Decision::Checkpoint { number, census: CensusId([3; 32]) };
    assert!(matches!(refusal(world.append(&maintainer, &checkpoint(2))), Violation::Number { .. }));
    for decision in [condemn(), checkpoint(1), attest()] {
        world.append(&world.admin, &decision).unwrap();
    }
    world.append(&world.admin, &epoch(2)).unwrap();
    world.admin.add_epoch(keys).unwrap();
    let tag = Decision::Tag { snapshot: SNAPSHOT, add: vec!["a".into()], remove: vec!["b".into()] };
    world.append(&maintainer, &tag).unwrap();
    let writer = world.add(Role::Writer);
    let revoke = Decision::Revoke { principal: writer.principal_id(), accepted: vec![], reason: "lost".into() };
    world.append(&world.admin, &revoke).unwrap();
    let hold = Decision::Hold { id: HoldId([9; 16]), asked_by: writer.principal_id(), reason: "odd".into() };
    world.append(&maintainer, &hold).unwrap();

    let state = world.state();
    let told = census(&world, &state, &[0, 1, 5, 7, 8]);
    let decoded = Census::decode(&told.encode()).unwrap();
    assert_eq!(decoded, told);
    assert_eq!(world.fresh().from_census(&decoded, &world.log_keys()).unwrap(), state);

    let missing_admin = census(&world, &state, &[1, 5, 7, 8]);
    assert!(matches!(world.fresh().from_census(&missing_admin, &world.log_keys()), Err(Error::Census { .. })));
    let not_the_admins = census(&world, &state, &[0, 2]);
    assert!(matches!(world.fresh().from_census(&not_the_admins, &world.log_keys()), Err(Error::Census { .. })));
}

#[test]
fn a_census_may_follow_an_admins_entry_and_lists_none_that_comes_later() {
    let world = World::found();
    let before = world.append(&world.admin, &condemn()).unwrap().head().unwrap();
    world.add(Role::Writer);
    let state = world.state();
    let told = census(&world, &state, &[0, 2]);
    assert_eq!(world.fresh().from_census(&told, &world.log_keys()).unwrap(), state);
    let later = Census { head: before, ..told };
    assert!(matches!(world.fresh().from_census(&later, &world.log_keys()), Err(Error::Census { position: 1, .. })));
}

fn census(world: &World, state: &State, admin_entries: &[u64]) -> Census {
    let verbatim = |&position: &u64| {
        let name = Name::Log(position, Copy::First);
        let frame = Frame::read(&name, &world.store.get(&name.object()).unwrap()).unwrap().bytes().to_vec();
        AdminEntry { position, frame }
    };
    Census {
        number: 2,
        head: state.head().unwrap(),
        admin_entries: admin_entries.iter().map(verbatim).collect(),
        ledger: state.ledger().clone(),
        certificates: vec![],
        records: vec![],
        indexes: vec![],
        undeleted: vec![],
        heads: BTreeMap::new(),
        watermarks: BTreeMap::new(),
        extensions: Extensions::default(),
    }
}

/// Decisions about few things, so that they get into each other's way.
fn any_decision(targets: Vec<Target>) -> impl Strategy<Value = Decision> {
    let ids = prop::collection::vec((0..3u8).prop_map(|byte| SnapshotId([byte; 32])), 0..3);
    let packs = prop::sample::subsequence(targets, 0..3);
    let hold = (0..2u8).prop_map(|byte| HoldId([byte; 16]));
    let asked_by = PrincipalId([0; 16]);
    prop_oneof![
        (packs.clone(), ids.clone()).prop_map(|(targets, marked)| Decision::Condemn { targets, marked }),
        packs.clone().prop_map(|targets| Decision::Rescue { targets }),
        (packs, 0..30u64).prop_map(|(targets, listed)| Decision::Final { targets, listed }),
        ids.clone().prop_map(Decision::Forget),
        ids.prop_map(Decision::Unforget),
        hold.clone().prop_map(move |id| Decision::Hold { id, asked_by, reason: String::new() }),
        hold.prop_map(Decision::Release),
        (1..5u64).prop_map(|number| Decision::Checkpoint { number, census: CensusId([1; 32]) }),
        (2..4u32).prop_map(epoch),
    ]
}

fn few_targets() -> Vec<Target> {
    let segment = |pack| Target { pack, segments: vec![1] };
    vec![Target::pack(PackId([1; 32])), segment(PackId([2; 32])), Target::pack(PackId([3; 32]))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_refused_entry_changes_nothing(decisions in prop::collection::vec(any_decision(few_targets()), 1..30)) {
        let world = World::found();
        let mut state = world.state();
        for decision in decisions {
            let before = state.clone();
            let (kind, body) = decision.encode();
            let author = world.admin.principal_id();
            let (position, previous) = (state.next(), state.digest());
            let entry = Entry { position, previous, voids: vec![], author, time: 0, kind, body };
            let applied = state.apply(&entry, [position as u8; 32], &[]);
            prop_assert!(applied.is_ok() || state == before);
            let ledger = state.ledger();
            let both = ledger.condemned.keys().any(|part| ledger.finals.contains_key(part));
            prop_assert!(!both, "condemned and final");
            prop_assert!(before.ledger().finals.keys().all(|part| ledger.finals.contains_key(part)), "final is for ever");
            prop_assert!(ledger.marks.keys().eq(&ledger.condemned.values().copied().collect::<std::collections::BTreeSet<_>>()));
        }
    }
}
