//! Everything that somebody with a writer's keys can do, against everything that others do next.
//!
//! Whatever was done: all honest snapshots read as their sources were, for readers, admins and mounts; the honest writer goes on;
//! `verify` ends, names whoever or whatever it was, and blames nothing honest; prune gives back what it should or says what keeps it,
//! and does so once that was seen to; a checkpoint and a revocation cost nothing.

use super::scene::{EVIL, Scene};
use super::{catalogs, claims, sessions, squatters};
use crate::world::Listener;
use boveda::event::Silent;
use boveda::mount::SnapshotList as _;
use boveda::ops::follow::Followed;
use boveda::ops::prune::{self, prune};
use boveda::ops::repair::{index, log, sessions as resolving};
use boveda::ops::retention::{Grouping, Rules};
use boveda::ops::verify::{Level, verify};
use boveda::ops::{forget, stats};
use boveda::repo::catalog::Tree;
use boveda::repo::entry::Timestamp;
use boveda::repo::id::SnapshotId;
use boveda::store::{ObjectName, Store as _};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Bytes of what honest snapshots hold, each.
const LENGTH: usize = 40_000;
/// The pruner's clock.
const NOW: i64 = 1_800_000_000;
/// When whoever is silent is taken for dead.
const LATER: i64 = NOW + 8 * 24 * 3600;

/// One hostile act, and what comes of it.
pub struct Act {
    pub what: &'static str,
    pub does: fn(&Scene),
    pub verify: Verify,
    pub prune: Prune,
}

/// What `verify` says.
pub enum Verify {
    /// Something that names this.
    Names(fn(&Scene) -> String),
    /// Something that names each of the snapshots.
    NamesEach,
    /// Nothing that is wrong, and why that is right.
    Silent(&'static str),
}

/// What prune does.
pub enum Prune {
    /// What is not needed goes.
    Goes,
    /// It is refused with words that have this in them, until somebody did what follows.
    Refuses(&'static str, &'static [Remedy]),
    /// It goes once a week has passed.
    Later,
}

/// What an operator does about it.
#[derive(Debug, Clone, Copy)]
pub enum Remedy {
    /// `repair sessions`.
    Sessions,
    /// `repair index`.
    Index,
    /// `repair log`.
    Log,
    /// `forget`, of what the hostile writer committed.
    Forget,
    /// What was put beside the honest objects is deleted in the store.
    Delete,
}

/// The snapshots that are not honest.
pub fn evil_snapshots(scene: &Scene) -> Vec<SnapshotId> {
    let honest: BTreeSet<_> = scene.taken.borrow().iter().map(|(id, _)| *id).collect();
    let repository = scene.world.as_admin();
    repository.snapshots().iter().map(|one| one.id).filter(|id| !honest.contains(id)).collect()
}

fn remedy(scene: &Scene, remedy: Remedy, put: &BTreeSet<ObjectName>) {
    let machine = scene.world.machine("operator");
    let mut repository = machine.open(&scene.world.store, &scene.world.admin).unwrap();
    match remedy {
        Remedy::Sessions => {
            let undecided = resolving::look(&repository, &machine.host, NOW, &Silent);
            assert!(!undecided.is_empty());
            resolving::decide(&mut repository, &undecided).unwrap();
        }
        Remedy::Index => {
            let writer = machine.host.writer(&repository).unwrap();
            assert!(!index::repair(&mut repository, writer.writer).unwrap().lost.is_empty());
        }
        Remedy::Log => assert!(!log::mend(&mut repository).unwrap().voided.is_empty()),
        Remedy::Forget => assert!(repository.forget(evil_snapshots(scene)).unwrap()),
        Remedy::Delete => put.iter().for_each(|name| scene.world.store.delete(name).unwrap()),
    }
}

/// What verify finds: everything that it says of one object, in one line.
fn findings(scene: &Scene) -> Vec<String> {
    let machine = scene.world.machine("verifier");
    let repository = machine.open(&scene.world.store, &scene.world.admin).unwrap();
    let found = verify(&repository, &machine.host, Level::Full, &Listener::default()).unwrap();
    found.findings.iter().map(|finding| format!("{}: {}", finding.object, finding.what)).collect()
}

/// As a mount shows it: every honest snapshot is there, and its catalog can be walked.
fn shows(scene: &Scene) {
    let looker = scene.world.machine("looker");
    let repository = looker.open(&scene.world.store, &scene.reader.key).unwrap();
    let shown = Followed::new(looker.host, repository, 4 << 20).unwrap();
    let listing = shown.list().unwrap();
    for (id, _) in &*scene.taken.borrow() {
        let root = listing.snapshots.iter().find(|one| one.id == *id).expect("it is shown").root;
        let tree = Tree::open(listing.source.clone(), root);
        assert!(tree.walk(&<_>::default()).all(|entry| entry.is_ok()));
    }
}

/// What only adds up or judges, over all snapshots: it ends, whatever numbers they claim.
fn counts(scene: &Scene) {
    let machine = scene.world.machine("counter");
    let repository = machine.open(&scene.world.store, &scene.world.admin).unwrap();
    stats::stats(&repository, &machine.host, &Silent).unwrap();
    let some = NonZeroU32::new(2);
    let rules = Rules { keep_daily: some, keep_yearly: some, keep_last: some, ..Rules::default() };
    let how = forget::Options {
        wish: forget::Wish::Rules { rules, grouping: Grouping { host: true, paths: true, tags: false } },
        among: &|_| true,
        meant: false,
        now: Timestamp { seconds: NOW, nanoseconds: 0 },
        zone: jiff::tz::TimeZone::UTC,
    };
    // A catalog that cannot be read is a refusal, and that is right.
    let _ = forget::plan(&repository, &machine.host, &how, true, &Silent);
}

/// One row of the matrix.
fn holds(act: &Act) {
    let scene = Scene::of_writer(2, LENGTH);
    let before: BTreeSet<ObjectName> = scene.world.store.objects().into_keys().collect();
    (act.does)(&scene);
    let put: BTreeSet<ObjectName> =
        scene.world.store.objects().into_keys().filter(|name| !before.contains(name)).collect();
    assert!(!put.is_empty(), "nothing was done");
    scene.reads();
    shows(&scene);
    counts(&scene);
    names(&scene, act, &put);

    let machine = scene.world.machine("storage");
    let clean = |now| {
        let mut repository = machine.open(&scene.world.store, &scene.world.admin).unwrap();
        let how = prune::Options { wait: Duration::ZERO, now, ..Default::default() };
        prune(&mut repository, &machine.host, &how, &Silent)
    };
    if let Prune::Refuses(why, remedies) = &act.prune {
        let packed = scene.world.store.list("packs").unwrap();
        let refused = clean(NOW).expect_err("it is refused").to_string();
        assert!(refused.contains(why), "prune says: {refused}");
        assert!(scene.world.store.list("packs").unwrap() == packed);
        remedies.iter().for_each(|done| remedy(&scene, *done, &put));
        scene.reads();
    }
    // The honest writer goes on, from what it stored itself.
    let stored = scene.world.packed();
    scene.take();
    assert!(scene.world.packed() - stored < 4 * LENGTH as u64 + 500_000);
    scene.reads();
    scene.forget_one();
    let mut summary = clean(NOW).unwrap();
    if matches!(act.prune, Prune::Later) {
        assert!(!summary.waiting.is_empty() || summary.deleted.packs == 0, "{summary:?}");
        summary = clean(LATER).unwrap();
    }
    assert!(summary.is_complete() && summary.deleted.packs > 0, "{summary:?}");
    scene.reads();
    scene.sum_up();
    // In the end the keys are taken away, and everybody else's are others.
    scene.world.as_admin().revoke(scene.evil.id, "stolen").unwrap();
    scene.take();
    scene.reads();
    shows(&scene);
}

/// Verify names it, and nothing honest.
fn names(scene: &Scene, act: &Act, put: &BTreeSet<ObjectName>) {
    let found = findings(scene);
    let snapshots: Vec<String> = evil_snapshots(scene).iter().map(ToString::to_string).collect();
    let expected = match &act.verify {
        Verify::Silent(why) => return assert!(found.is_empty(), "{why}, but: {found:?}"),
        Verify::Names(what) => vec![what(scene)],
        Verify::NamesEach => snapshots.clone(),
    };
    for text in &expected {
        assert!(found.iter().any(|line| line.contains(text)), "{text} is not named in {found:?}");
    }
    let mut theirs = [vec![EVIL.to_string()], expected, snapshots].concat();
    // What was put, its other copy, and what else belongs to the same session.
    theirs.extend(put.iter().map(|name| match name.as_str().rsplit_once('/') {
        Some((session, _)) if session.starts_with("sess/") => session.to_owned(),
        _ => name.as_str().trim_end_matches(".2").to_owned(),
    }));
    for line in found {
        assert!(theirs.iter().any(|text| line.contains(text)), "verify blames what is honest: {line}");
    }
}

/// All rows of one kind; every one that does not hold is told.
fn all(acts: &[Act]) {
    let failed: Vec<String> = acts
        .iter()
        .filter_map(|act| {
            let outcome = catch_unwind(AssertUnwindSafe(|| holds(act)));
            let why = outcome.err()?;
            let text = why.downcast_ref::<String>().cloned();
            let text = text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("{}: {}", act.what, text.unwrap_or_default()))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), acts.len(), failed.join("\n\n"));
}

#[test]
fn false_claims_cost_nobody_else_anything() {
    all(&claims::ACTS);
}

#[test]
fn false_sessions_cost_nobody_else_anything() {
    all(&sessions::ACTS);
}

#[test]
fn false_catalogs_cost_nobody_else_anything() {
    all(&catalogs::ACTS);
}

#[test]
fn squatted_names_cost_nobody_else_anything() {
    all(&squatters::ACTS);
}
