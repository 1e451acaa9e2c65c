//! Damage as a matrix: every object × every damage × what is done next.
//!
//! Afterwards everything is right, or what is wrong is named with an exit code other than 0: no wrong data in silence, no panic. What
//! a restore reports good is exactly what it was. Full verification names every damaged byte of every object. What needs neither
//! is in [`is_harmless`], with its reason.
//! `BOVEDA_TEST_FULL=1` takes every object of each kind, more places in each part of it, and every act after each damage. Else it is
//! one object of each kind and a few acts, which take turns; `BOVEDA_TEST_TURN=N` begins with others.

mod mend;
mod next;
mod parts;
mod site;
mod wounds;

use boveda::ops::verify::Level;
use boveda::repo::armour::ObjectKind;
use boveda::repo::names::{Copy, IndexClass, Name, SessionName};
use boveda::store::Store as _;
use next::Outcome;
use site::{Site, pruned, site};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use wounds::Wound;

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    List,
    ListAs(&'static str),
    Read,
    Restore,
    Structure,
    Full,
    Snapshot,
    SnapshotAsWriter,
    Prune,
}

const ACTS: [Act; 11] = [
    Act::List,
    Act::ListAs("writer"),
    Act::ListAs("reader"),
    Act::ListAs("maintainer"),
    Act::Read,
    Act::Restore,
    Act::Structure,
    Act::Full,
    Act::Snapshot,
    Act::SnapshotAsWriter,
    Act::Prune,
];

/// Damage that an act may pass over in silence: the kinds of objects, how what was done to them begins, which acts, and why.
type Excuse = (&'static [ObjectKind], &'static [&'static str], fn(Act) -> bool, &'static str);

const HARMLESS: [Excuse; 4] = [
    (
        &[ObjectKind::Beat],
        &["removed"],
        |_| true,
        "beats are signs of life of a session under way, and this one has ended; no content depends on them",
    ),
    (
        &[ObjectKind::Pin],
        &["removed"],
        |_| true,
        "whoever shows something takes the pin away in the end; that it is not there is what a prune sees of that",
    ),
    (
        &[ObjectKind::EpochKeys],
        &["forged padding"],
        |_| true,
        "padding is random and means nothing; rot in it is found, only whoever makes new armour for it is not",
    ),
    (
        &[ObjectKind::Pack],
        &["deep damage", "forged", "a block of zeros", "all garbage", "packs/", "exchanged", "another repository's"],
        |act| matches!(act, Act::Snapshot | Act::SnapshotAsWriter),
        "a snapshot looks for the packs that it builds on and at their lengths; it does not read them again, verification does",
    ),
];

fn is_harmless(site: &Site, name: &Name, wound: &Wound, act: Act) -> bool {
    // Where an offer of keys is missing, nobody can tell that there ever was one: they were handed out under the other name too.
    let lost_offer = matches!(name, Name::EpochOffer { .. }) && wound.what.starts_with("removed");
    // Nor that a session was begun of which nothing else tells: one that died, whose end never came.
    let ended = |session: &SessionName| site.world.store.length(&Name::End(*session).object()).is_ok();
    let lost_opening = matches!(name, Name::Open(session) if !ended(session)) && wound.what.starts_with("removed");
    // The census before is for who read it a moment ago; a prune that is cut short leaves one without it.
    let newest = site.intact.log().state.ledger().checkpoint.map(|checkpoint| checkpoint.census);
    let older_census = matches!(name, Name::Census(id, _) if Some(*id) != newest) && wound.what.starts_with("removed");
    lost_offer
        || lost_opening
        || older_census
        || HARMLESS.iter().any(|(kinds, done, acts, _)| {
            kinds.contains(&name.kind()) && done.iter().any(|what| wound.what.starts_with(what)) && acts(act)
        })
}

fn perform(act: Act, site: &Site, wound: &Wound) -> Outcome {
    let store = Arc::new(wound.inflict(site));
    match act {
        Act::List => next::listing(site, &store, &site.world.admin),
        Act::ListAs("writer") => next::listing(site, &store, &site.writer.key),
        Act::ListAs("reader") => next::listing(site, &store, &site.reader.key),
        Act::ListAs(_) => next::listing(site, &store, &site.maintainer.key),
        Act::Read => next::reading(site, &store, &site.world.admin),
        Act::Restore => next::restoring(site, &store),
        Act::Structure => next::verifying(site, &store, Level::Structure),
        Act::Full => next::verifying(site, &store, Level::Full),
        Act::Snapshot => next::snapshotting(site, &store, true),
        Act::SnapshotAsWriter => next::snapshotting(site, &store, false),
        Act::Prune => next::pruning(site, &store),
    }
}

/// Why the outcome is not what it must be.
fn objection(site: &Site, act: Act, wound: &Wound, outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Wrong(why) => Some(format!("in silence: {why}")),
        Outcome::Right(_) if act == Act::Full => Some("full verification does not mention it".to_owned()),
        Outcome::Right(_) => None,
        // It stops at whatever is not as it should be, and says what that costs.
        Outcome::Named(_) if act == Act::Prune => None,
        Outcome::Named(text) => {
            let mentioned = wound.stored.iter().any(|(name, _)| mentions(site, text, name));
            (!mentioned).then(|| format!("what is named is not the object: {text}"))
        }
    }
}

/// Whether a text names an object, by what people call it.
fn mentions(site: &Site, text: &str, name: &Name) -> bool {
    let full = name.to_string();
    let stem = full.strip_suffix(".2").unwrap_or(&full);
    let called = match name {
        Name::Log(position, _) => vec![format!("log entry {position} ")],
        Name::Pack(id) => vec![id.to_string()],
        // Where it is gone, its writer and its snapshot are what can be named.
        Name::End(session) => {
            let snapshot = site.intact.snapshots().iter().find(|snapshot| snapshot.session == *session);
            let snapshot = snapshot.map(|snapshot| format!("snapshot {}", snapshot.id));
            snapshot.into_iter().chain([format!("writer {}", session.writer)]).collect()
        }
        _ => Vec::new(),
    };
    text.contains(stem) || called.iter().any(|called| text.contains(called))
}

/// Runs the matrix for the objects that `chosen` picks.
fn matrix(site: &Site, chosen: impl Fn(&Name) -> bool) {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let mut objects: Vec<_> = site.objects().into_iter().filter(|(name, _)| chosen(name)).collect();
    assert!(!objects.is_empty(), "the site has no such object");
    if !full {
        // Of the newest, most depends.
        let newest = site.intact.log().state.ledger().checkpoint.map(|checkpoint| checkpoint.census);
        objects.sort_by_key(|(name, _)| matches!(name, Name::Census(id, _) if Some(*id) == newest));
        objects.drain(..objects.len() - 1);
    }
    let wounds: Vec<(Name, Wound)> = objects
        .iter()
        .flat_map(|(name, bytes)| wounds::all(site, *name, bytes).into_iter().map(|wound| (*name, wound)))
        .collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((name, wound)) = wounds.get(number) else { break };
            for act in acts(site, wound, number, full).filter(|act| !is_harmless(site, name, wound, *act)) {
                let outcome = catch_unwind(AssertUnwindSafe(|| perform(act, site, wound)));
                let why = match &outcome {
                    Ok(outcome) => objection(site, act, wound, outcome),
                    Err(panic) => Some(format!("a panic: {:?}", panic.downcast_ref::<String>())),
                };
                if let Some(why) = why {
                    failures.lock().unwrap().push(format!("{name}: {}; {act:?}: {why}", wound.what));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), wounds.len(), failures.join("\n\n"));
}

/// Every act; or at small scale full verification and a few others in turn: none where parity heals the armour, one where it heals
/// the content, three where it does not.
fn acts(site: &Site, wound: &Wound, number: usize, full: bool) -> impl Iterator<Item = Act> {
    let further = match (full, wound.healed_armour, wound.what.starts_with("a bit of")) {
        (true, ..) => ACTS.len(),
        (_, true, _) => 0,
        (.., true) => 1,
        // What a prune leaves behind is looked at with fewer acts: most of it is as it was before.
        _ if !site.is_first() => 1,
        _ => 3,
    };
    let first: usize = std::env::var("BOVEDA_TEST_TURN").ok().and_then(|turn| turn.parse().ok()).unwrap_or(0);
    // Three is no divisor of eleven: all acts get their turn.
    let turn = move |act: &Act| {
        let at = ACTS.iter().position(|known| known == act).unwrap_or(0);
        (at + ACTS.len() - (first + number * 3) % ACTS.len()) % ACTS.len() < further
    };
    ACTS.into_iter().filter(move |act| *act == Act::Full || turn(act))
}

/// A test for each kind of object of a site, and each copy of those that have two.
macro_rules! kinds {
    ($site:ident; $($name:ident: $pattern:pat),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                matrix($site(), |name| matches!(name, $pattern));
            }
        )*

        /// Every object that the program stores is in the matrix.
        #[test]
        fn the_matrix_covers_every_object() {
            let covered = |name: &Name| matches!(name, $($pattern)|*);
            let missed: Vec<_> = $site().objects().into_iter().filter(|(name, _)| !covered(name)).collect();
            assert!(missed.is_empty(), "{missed:?}");
        }

        /// Without damage nothing is said.
        #[test]
        fn an_intact_repository_is_right_in_every_way() {
            let nothing = Wound { what: "nothing".to_owned(), stored: vec![], healed_armour: false };
            for act in ACTS {
                assert_eq!(perform(act, $site(), &nothing), Outcome::Right(String::new()), "{act:?}");
            }
        }
    };
}

kinds! {
    site;
    config: Name::Config(Copy::First),
    second_config: Name::Config(Copy::Second),
    slots: Name::Slot(_, Copy::First),
    second_slots: Name::Slot(_, Copy::Second),
    epoch_keys: Name::EpochKeys { .. },
    epoch_offers: Name::EpochOffer { .. },
    openings: Name::Open(_),
    beats: Name::Beat(..),
    ends: Name::End(_),
    indexes: Name::Index { .. },
    log_entries: Name::Log(_, Copy::First),
    second_log_entries: Name::Log(_, Copy::Second),
    packs: Name::Pack(_),
}

/// After prunes.
mod later {
    use super::*;

    kinds! {
        pruned;
        config: Name::Config(Copy::First),
        second_config: Name::Config(Copy::Second),
        slots: Name::Slot(_, Copy::First),
        second_slots: Name::Slot(_, Copy::Second),
        epoch_keys: Name::EpochKeys { .. },
        epoch_offers: Name::EpochOffer { .. },
        openings: Name::Open(_),
        beats: Name::Beat(..),
        ends: Name::End(_),
        catalog_indexes: Name::Index { class: IndexClass::Catalog, .. },
        data_indexes: Name::Index { class: IndexClass::Data, .. },
        censuses: Name::Census(_, Copy::First),
        second_censuses: Name::Census(_, Copy::Second),
        log_entries: Name::Log(_, Copy::First),
        second_log_entries: Name::Log(_, Copy::Second),
        packs: Name::Pack(_),
        pins: Name::Pin(_),
    }
}

/// The sites have an object of every kind that this version writes. It puts no wishes for holds: those count by their names alone.
#[test]
fn the_sites_have_every_kind() {
    let kinds = |site: &Site| site.objects().iter().map(|(name, _)| name.kind()).collect::<BTreeSet<_>>();
    let all = (0..=u8::MAX).filter_map(ObjectKind::from_number);
    let (before, after) = (kinds(site()), kinds(pruned()));
    let missing = all.filter(|kind| !before.contains(kind)).collect::<Vec<_>>();
    assert_eq!(missing, [ObjectKind::Census, ObjectKind::Pin, ObjectKind::Hold]);
    assert_eq!(missing.into_iter().filter(|kind| !after.contains(kind)).collect::<Vec<_>>(), [ObjectKind::Hold]);
}
