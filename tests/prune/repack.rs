//! Packs that are made anew without what nobody needs of them: segment by segment, as these are sealed, and chunk by chunk where much of a
//! segment is not needed.

use super::{LARGE, NOW, fill, forget, holds, options, try_prune};
use crate::roles::turns::{Race, everywhere};
use crate::world::hooked::{Action, Call, Hooked, lost, puts_end};
use crate::world::{Listener, Machine, World, noise};
use boveda::event::Silent;
use boveda::ops::cost::Requests;
use boveda::ops::prune::{Limit, Options, Summary, prune};
use boveda::ops::snapshot::snapshot;
use boveda::repo::id::{SnapshotId, WriterId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::repository::Error;
use boveda::store::Store;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Bytes of a file that comes and goes.
const GONE: usize = 3_000_000;

/// A snapshot of two files and one of the first alone, taken with `key`; the one of both is forgotten.
fn half_needed(world: &World, machine: &Machine, key: &Credential, source: &Path) -> SnapshotId {
    fill(source, 2);
    std::fs::write(source.join("gone"), noise(7, GONE)).unwrap();
    let first = machine.snapshot(world, key, source).snapshot.unwrap();
    std::fs::remove_file(source.join("gone")).unwrap();
    let second = machine.snapshot(world, key, source).snapshot.unwrap();
    forget(world, &[first]);
    second
}

fn world() -> (World, Machine, PathBuf, SnapshotId) {
    let world = World::new();
    let (machine, source) = (world.machine("host"), world.path("source"));
    let second = half_needed(&world, &machine, &world.admin, &source);
    (world, machine, source, second)
}

fn run(world: &World, machine: &Machine, key: &Credential, options: &Options) -> Summary {
    let summary = try_prune(world, machine, key, options).unwrap();
    assert!(summary.is_complete(), "{summary:?}");
    summary
}

#[test]
fn a_pack_of_which_a_part_is_needed_is_made_anew_without_the_rest() {
    let (world, machine, source, second) = world();
    let before = world.packed();
    let preview = run(&world, &machine, &world.admin, &Options { dry_run: true, ..options() });
    assert_eq!((preview.repacked.packs, preview.condemned.packs), (1, 0), "{preview:?}");
    assert!(preview.unneeded_segments > 1_900_000, "{preview:?}");
    let summary = run(&world, &machine, &world.admin, &options());
    assert_eq!((summary.repacked.packs, summary.deleted.packs), (preview.repacked.packs, 1), "{summary:?}");
    // Of a segment that is taken apart, the chunks count as if all were of one length: how files share segments, threads decide.
    assert!(summary.repacked.bytes.abs_diff(preview.repacked.bytes) < 400_000, "{summary:?} {preview:?}");
    assert!(world.packed() < before - 1_900_000, "{} of {before}", world.packed());
    holds(&world, &source, &[(second, 2)]);
    // Once is enough.
    let head = world.as_admin().log().state.head();
    assert_eq!(run(&world, &machine, &world.admin, &options()).repacked.packs, 0);
    assert_eq!(world.as_admin().log().state.head(), head);
    // The next snapshot builds on the copy.
    let before = world.packed();
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    assert!(world.packed() - before < LARGE as u64 / 2);
    holds(&world, &source, &[(second, 2), (third, 2)]);
}

/// What a dry run says that the store will be asked for is what it is asked for.
#[test]
fn the_requests_of_a_dry_run_are_those_of_the_prune() {
    let (world, machine, ..) = world();
    let packs = world.packed();
    let expected = run(&world, &machine, &world.admin, &Options { dry_run: true, ..options() }).requests;
    let asked = Arc::new(Mutex::new(Requests::default()));
    let counting = Arc::clone(&asked);
    // Of a segment that is taken apart, parts of the pack are asked for: one request or several, as it was packed.
    let copied = Mutex::new(None::<BTreeSet<String>>);
    let store = Hooked::before(world.store.clone(), move |call| {
        let (mut asked, mut copied) = (counting.lock().unwrap(), copied.lock().unwrap());
        match call.action {
            Action::Put => {
                asked.puts += 1;
                if call.name.ends_with("/open") {
                    *copied = Some(BTreeSet::new());
                } else if call.name.ends_with("/end") {
                    asked.gets += copied.take().map_or(0, |packs| packs.len() as u64);
                }
            }
            Action::Delete => asked.deletes += 1,
            Action::Get | Action::GetRange if call.name.starts_with("packs/") => {
                copied.iter_mut().for_each(|packs| packs.extend([call.name.to_owned()]));
            }
            _ => {}
        }
        Ok(())
    });
    let mut repository = machine.host.open(store, &world.admin).unwrap();
    prune(&mut repository, &machine.host, &options(), &Silent).unwrap();
    let asked = *asked.lock().unwrap();
    assert_eq!((expected.puts, expected.gets, expected.deletes), (asked.puts, asked.gets, asked.deletes));
    assert!(expected.bytes_got > GONE as u64 && expected.bytes_got < packs, "{expected:?}");
    assert!(expected.bytes_put > LARGE as u64 / 2 && expected.bytes_put < LARGE as u64 * 3, "{expected:?}");
}

#[test]
fn only_admins_make_segments_anew() {
    let world = World::new();
    for role in [Role::Writer, Role::Reader, Role::Maintainer] {
        let someone = world.add(role, role.name());
        let mut repository = world.open(&someone.key).unwrap();
        let refused = repository.rewrite_chunks(WriterId([7; 16]), &[], &Silent).err().unwrap();
        assert!(matches!(refused, Error::Role { .. }), "{role}: {refused}");
    }
    assert!(world.store.list("sess").unwrap().is_empty());
}

/// The place may have what it shows in memory only: what decides over packs is made durable before they go, whoever entered it, and
/// whether it was there when the repository was opened or came since.
#[test]
fn what_a_dead_prune_decided_is_durable_before_another_acts_on_it() {
    for came_since in [false, true] {
        let (world, machine, ..) = world();
        let whole = || Options { max_unused: Limit::Unlimited, ..options() };
        forget(&world, &world.as_admin().snapshots().iter().map(|one| one.id).collect::<Vec<_>>());
        // It dies when it is about to remove the first pack.
        let die = || {
            let dying = Hooked::before(world.store.clone(), |call| match call.action {
                Action::Delete if call.name.starts_with("packs/") => Err(lost(call.name)),
                _ => Ok(()),
            });
            let mut repository = machine.host.open(dying, &world.admin).unwrap();
            assert!(prune(&mut repository, &machine.host, &whole(), &Silent).is_err());
        };
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        let store = Hooked::before(world.store.clone(), move |call| {
            if matches!(call.action, Action::Settle | Action::Delete) {
                seen.lock().unwrap().push((call.action, call.name.to_owned()));
            }
            Ok(())
        });
        let other = world.machine("other");
        let open = || other.host.open(store, &world.admin).unwrap();
        let mut repository = if came_since {
            let opened = open();
            die();
            opened
        } else {
            die();
            open()
        };
        let newest = format!("log/{:020}", world.as_admin().log().end() - 1);
        prune(&mut repository, &other.host, &whole(), &Silent).unwrap();
        let order = order.lock().unwrap();
        let deletes = order.iter().position(|(action, name)| *action == Action::Delete && name.starts_with("packs/"));
        let settles = order.iter().position(|(action, name)| *action == Action::Settle && *name == newest);
        assert!(deletes.is_some() && settles.is_some_and(|settles| Some(settles) < deletes), "{came_since}: {order:?}");
    }
}

#[test]
fn limits_hold_and_a_maintainer_leaves_it() {
    let (world, machine, source, second) = world();
    let maintainer = world.add(Role::Maintainer, "storage");
    let before = world.packed();
    let limited = [
        (&world.admin, Options { max_unused: Limit::Unlimited, ..options() }),
        (&world.admin, Options { max_unused: Limit::Bytes(10_000_000), ..options() }),
        (&world.admin, Options { max_repack: Some(1000), ..options() }),
        (&world.admin, Options { max_time: Some(std::time::Duration::ZERO), ..options() }),
        (&maintainer.key, options()),
    ];
    for (key, options) in limited {
        let summary = run(&world, &machine, key, &options);
        assert_eq!((summary.repacked.packs, summary.deleted.packs), (0, 0), "{summary:?}");
        assert_eq!(world.packed(), before);
    }
    // What the admin copied, a maintainer can condemn.
    run(&world, &machine, &world.admin, &options());
    assert!(world.packed() < before);
    holds(&world, &source, &[(second, 2)]);
}

/// What is copied as it is sealed. What an admin opened, and whose ids were checked on the way, everybody may rely on.
#[test]
fn what_a_writer_stored_stays_the_writers_own() {
    for _ in 0..20 {
        let world = World::new();
        let (laptop, storage, other) = (world.machine("laptop"), world.machine("storage"), world.machine("other"));
        let source = world.path("source");
        let [one, two] = ["one", "two"].map(|label| world.add(Role::Writer, label));
        let second = half_needed(&world, &laptop, &one.key, &source);
        let summary = run(&world, &storage, &world.admin, &options());
        assert_eq!(summary.repacked.packs, 1, "{summary:?}");
        holds(&world, &source, &[(second, 2)]);
        // Where the chunks' borders lie is drawn anew for every repository, and with it whether a segment is worth opening.
        let admin = world.as_admin();
        let me = admin.bundle().principal_id();
        let sessions = admin.view().sessions.keys().filter_map(|session| admin.view().signed(session));
        let opened = sessions.filter(|signed| signed.principal == me).count() > 1;
        // Its writer relies on the copy, and nobody else does.
        let before = world.packed();
        let third = laptop.snapshot(&world, &one.key, &source).snapshot.unwrap();
        assert!(world.packed() - before < LARGE as u64 / 2);
        let before = world.packed();
        let theirs = other.snapshot(&world, &two.key, &source).snapshot.unwrap();
        assert!(opened || world.packed() - before > LARGE as u64 * 9 / 10);
        holds(&world, &source, &[(second, 2), (third, 2), (theirs, 2)]);
        if !opened {
            return;
        }
    }
    panic!("every time a segment was worth opening");
}

#[test]
fn small_packs_are_put_together() {
    let (world, machine, source, _) = world();
    let mut taken = Vec::new();
    for seed in 3..9 {
        fill(&source, seed);
        taken.push((machine.snapshot(&world, &world.admin, &source).snapshot.unwrap(), seed));
    }
    let before = world.store.list("packs").unwrap().len();
    let small = Options { repack_small: true, ..options() };
    let limited = run(&world, &machine, &world.admin, &Options { max_repack: Some(2_500_000), ..small.clone() });
    assert!(limited.repacked.packs > 0 && limited.repacked.bytes <= 2_500_000, "{limited:?}");
    let summary = run(&world, &machine, &world.admin, &small);
    let left = world.store.list("packs").unwrap().len();
    assert!(left < 3 && before > 6, "{left} of {before} packs: {summary:?}");
    assert_eq!(run(&world, &machine, &world.admin, &small).repacked.packs, 0);
    let snapshots = world.as_admin().snapshots().iter().map(|snapshot| snapshot.id).collect::<Vec<_>>();
    let second = *snapshots.iter().find(|id| taken.iter().all(|(one, _)| one != *id)).unwrap();
    holds(&world, &source, &[taken, vec![(second, 2)]].concat());
}

#[test]
fn a_damaged_pack_is_healed_on_the_way_or_left() {
    let (world, machine, source, second) = world();
    let packs = world.store.objects().into_iter().filter(|(name, _)| name.as_str().starts_with("packs/"));
    let (name, bytes) = packs.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut hurt = bytes.to_vec();
    hurt[300_000] ^= 1;
    world.store.overwrite(&name, hurt);
    let fork = world.fork();
    assert_eq!(run(&world, &machine, &world.admin, &options()).repacked.packs, 1);
    holds(&world, &source, &[(second, 2)]);
    // Beyond its parity: it stays as it is.
    let mut lost = bytes.to_vec();
    lost[100_000..2_900_000].fill(0);
    fork.store.overwrite(&name, lost);
    let summary = run(&fork, &fork.machine("storage"), &fork.admin, &options());
    assert_eq!((summary.repacked.packs, summary.deleted.packs), (0, 0), "{summary:?}");
}

#[test]
fn a_snapshot_beside_a_repack_is_whole() {
    let (base, _, source, second) = world();
    std::fs::write(source.join("gone"), noise(7, GONE)).unwrap();
    for first_is_prune in [true, false] {
        everywhere(13, |turn| {
            let world = base.fork();
            let race = Race::over(&world.store);
            let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
            let (storage, laptop) = (world.machine("storage"), world.machine("laptop"));
            let how = Options { now: NOW, ..options() };
            let (mut told, mut taken) = (None, None);
            let writer = laptop.host.writer(&theirs).unwrap().writer;
            let mut pruning = |repository: &mut _| told = Some(prune(repository, &storage.host, &how, &Silent));
            let mut taking = |repository: &mut _| {
                taken = Some(snapshot(repository, writer, &laptop.options(&source), &Listener::default()));
            };
            let reached = match first_is_prune {
                true => race.run(turn, || pruning(&mut ours), || taking(&mut theirs)),
                false => race.run(turn, || taking(&mut ours), || pruning(&mut theirs)),
            };
            let what = format!("{turn:?}, prune first: {first_is_prune}");
            told.unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
            let taken = taken.unwrap().unwrap_or_else(|error| panic!("{what}: {error}")).snapshot.unwrap();
            holds(&world, &source, &[(second, 2), (taken, 2)]);
            run(&world, &world.machine("storage again"), &world.admin, &how);
            holds(&world, &source, &[(second, 2), (taken, 2)]);
            reached
        });
    }
}

/// All of a prune, which moves what a snapshot needs into a new pack and deletes the old one, comes between one call and the next of
/// somebody who looks.
fn beside_a_repack(stride: usize, look: impl Fn(&World, &mut boveda::repo::repository::Repository, &Path, &str)) {
    let (base, _, source, _) = world();
    for call in (1..).step_by(stride) {
        let world = base.fork();
        let race = Race::over(&world.store);
        let [mut ours, mut theirs] = race.opened([&world.admin, &world.admin]);
        let (storage, how) = (world.machine("storage"), Options { now: NOW, checkpoint_at: Some(1), ..options() });
        let mut told = None;
        let reached = race.run(
            (call, u64::MAX),
            || look(&world, &mut ours, &source, &format!("before call {call}")),
            || told = Some(prune(&mut theirs, &storage.host, &how, &Silent)),
        );
        let summary = told.unwrap().unwrap();
        assert_eq!((summary.repacked.packs, summary.deleted.packs), (1, 1), "{summary:?}");
        if !reached {
            assert!(call > 1, "it is over before it began");
            break;
        }
    }
}

#[test]
fn a_verify_beside_a_repack_finds_nothing() {
    use boveda::ops::verify::{Level, verify_with};
    beside_a_repack(6, |world, repository, _, what| {
        let machine = world.machine("auditor");
        let found = verify_with(1, repository, &machine.host, Level::Full, &Silent);
        assert_eq!(found.unwrap_or_else(|error| panic!("{what}: {error}")).findings, [], "{what}");
    });
}

#[test]
fn a_restore_beside_a_repack_finds_what_was_moved() {
    beside_a_repack(6, |world, repository, source, what| {
        let (machine, target) = (world.machine("reader"), world.path(&what.replace(' ', "-")));
        let id = repository.snapshots()[0].id;
        machine.restore(repository, &id, source, &target);
        assert!(std::fs::read(target.join("file")).unwrap() == noise(2, LARGE), "{what}");
        std::fs::remove_dir_all(target).unwrap();
    });
}

#[test]
fn a_dry_run_beside_a_repack_finds_nothing_missing() {
    beside_a_repack(1, |world, repository, _, what| {
        let (machine, how) = (world.machine("auditor"), Options { dry_run: true, ..options() });
        let seen = prune(repository, &machine.host, &how, &Silent);
        seen.unwrap_or_else(|error| panic!("{what}: {error}"));
    });
}

/// Small files, of which a few stay: all of them in a segment or two.
#[test]
fn of_a_segment_of_which_little_is_needed_the_rest_goes() {
    let world = World::new();
    let (machine, source) = (world.machine("host"), world.path("source"));
    std::fs::create_dir_all(&source).unwrap();
    let name = |number: u64| source.join(format!("{number:03}"));
    for number in 0..200 {
        std::fs::write(name(number), noise(number, 5_000)).unwrap();
    }
    let first = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    for number in (0..200).filter(|number| number % 10 != 0) {
        std::fs::remove_file(name(number)).unwrap();
    }
    let second = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    forget(&world, &[first]);
    let before = world.packed();
    // Nobody who reads nothing can take a segment apart.
    let maintainer = world.add(Role::Maintainer, "storage");
    assert_eq!(run(&world, &machine, &maintainer.key, &options()).repacked.packs, 0);
    let preview = run(&world, &machine, &world.admin, &Options { dry_run: true, ..options() });
    let summary = run(&world, &machine, &world.admin, &options());
    assert_eq!((summary.repacked.packs, preview.repacked.packs), (1, 1), "{summary:?} {preview:?}");
    assert!(world.packed() < before / 4, "{} of {before}", world.packed());
    let repository = world.as_admin();
    let target = world.path("out");
    machine.restore(&repository, &second, &source, &target);
    for number in (0..200).step_by(10) {
        assert!(std::fs::read(target.join(format!("{number:03}"))).unwrap() == noise(number, 5_000), "{number}");
    }
    // Once is enough.
    let head = world.as_admin().log().state.head();
    assert_eq!(run(&world, &machine, &world.admin, &options()).repacked.packs, 0);
    assert_eq!(world.as_admin().log().state.head(), head);
}

/// Without room for copies, what nothing needs goes all the same.
#[test]
fn a_full_disk_keeps_nothing_from_going() {
    let (world, machine, source, second) = world();
    // A pack that nothing needs, beside the one of which a part is needed.
    fill(&source, 2);
    std::fs::write(source.join("more"), noise(8, GONE)).unwrap();
    let third = machine.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    forget(&world, &[third]);
    let before = world.packed();
    let store = Hooked::before(world.store.clone(), |call| {
        let pack = call.action == Action::Put && call.name.starts_with("packs/");
        let full =
            |name| boveda::store::Error { kind: boveda::store::ErrorKind::Full, ..crate::world::hooked::lost(name) };
        if pack { Err(full(call.name)) } else { Ok(()) }
    });
    let mut repository = machine.host.open(store, &world.admin).unwrap();
    let summary = prune(&mut repository, &machine.host, &options(), &Silent).unwrap();
    assert_eq!(summary.repacked.packs, 0);
    assert!(summary.deleted.packs > 0 && world.packed() < before - GONE as u64 * 9 / 10, "{summary:?}");
    holds(&world, &source, &[(second, 2)]);
}

/// What a prune had copied of others when it died, its host's next snapshot does not name: an index speaks for its own writer only, and would count for
/// nothing with that in it.
#[test]
fn what_a_dead_prune_copied_of_others_makes_no_later_index_void() {
    let (world, machine, source, second) = world();
    let other = world.machine("other");
    let cut = |call: Call<'_>| if puts_end(&call) { Err(lost(call.name)) } else { Ok(()) };
    let mut repository = other.host.open(Hooked::before(world.store.clone(), cut), &world.admin).unwrap();
    let before = world.packed();
    prune(&mut repository, &other.host, &options(), &Silent).unwrap_err();
    drop(repository);
    assert!(world.packed() > before + LARGE as u64, "it copied something");
    // It is the copying session's as long as that is open, whoever stored it first.
    let summary = try_prune(&world, &machine, &world.admin, &Options { max_unused: Limit::Unlimited, ..options() });
    let summary = summary.unwrap();
    assert!(summary.open.bytes > LARGE as u64 && summary.condemned.packs == 0, "{summary:?}");
    let third = other.snapshot(&world, &world.admin, &source).snapshot.unwrap();
    run(&world, &machine, &world.admin, &options());
    holds(&world, &source, &[(second, 2), (third, 2)]);
}

/// Another prune comes to its end before this one has made its new pack durable: that was given up meanwhile, and is not missed.
#[test]
fn what_a_prune_made_and_another_took_meanwhile_is_not_missed() {
    let (world, machine, _, second) = world();
    let known: BTreeSet<String> = world.store.objects().into_keys().map(|name| name.to_string()).collect();
    let (world, met) = (Arc::new(world), Arc::new(Mutex::new(false)));
    let settles = move |call: &Call<'_>| {
        call.action == Action::Settle && call.name.starts_with("packs/") && !known.contains(call.name)
    };
    let (theirs, seen) = (Arc::clone(&world), Arc::clone(&met));
    let store = Hooked::once(world.store.clone(), settles, move |_| {
        forget(&theirs, &[second]);
        run(&theirs, &theirs.machine("other"), &theirs.admin, &options());
        *seen.lock().unwrap() = true;
        None
    });
    let mut repository = machine.host.open(store, &world.admin).unwrap();
    let summary = prune(&mut repository, &machine.host, &options(), &Silent).unwrap();
    assert!(*met.lock().unwrap(), "what was made anew is made durable");
    assert!(summary.is_complete() && summary.repacked.packs > 0, "{summary:?}");
    assert_eq!(world.packed(), 0);
}

#[test]
fn what_may_be_damaged_is_not_made_anew() {
    let (world, machine, source, second) = world();
    let packs: BTreeSet<_> = world.as_admin().list_packs().unwrap().into_keys().collect();
    world.as_admin().suspect(&packs, &BTreeSet::new()).unwrap();
    for dry_run in [true, false] {
        let summary = run(&world, &machine, &world.admin, &Options { dry_run, ..options() });
        assert_eq!((summary.repacked.packs, summary.deleted.packs), (0, 0), "{summary:?}");
    }
    // Somebody read them, and they are whole.
    world.as_admin().suspect(&BTreeSet::new(), &packs).unwrap();
    let summary = run(&world, &machine, &world.admin, &options());
    assert_eq!((summary.repacked.packs, summary.deleted.packs), (1, 1), "{summary:?}");
    holds(&world, &source, &[(second, 2)]);
}
