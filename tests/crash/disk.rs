//! The nth changing call of the disk fails, is forgotten, or is the last before the power goes; and the disk gets full.

use super::site::{Act, Case, Site};
use super::stride;
use boveda::store::Store;
use boveda::store::forgetful::{DiskFault, ForgetfulDisk};
use boveda::store::local::LocalStore;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "/srv/repository";
/// Crashes tried where what was not synced should not matter.
const CRASHES: u64 = 3;

fn on(disk: &ForgetfulDisk) -> Arc<dyn Store> {
    Arc::new(LocalStore::on(disk.clone(), Path::new(ROOT)))
}

/// Goes through every call of the act with a fault. `after` sees the disk, the host, and what happened.
fn every_call(act: Act, fault: DiskFault, step: usize, after: impl Fn(&Site, &ForgetfulDisk, Case, &str)) {
    let base = ForgetfulDisk::new();
    LocalStore::create_on(base.clone(), Path::new(ROOT)).unwrap();
    let site = Site::new(act, &on(&base));
    for call in (1..).step_by(stride(step)) {
        let disk = base.fork();
        let mut case = site.case();
        disk.plan(Some((call, fault)));
        let outcome = site.act(&on(&disk), &mut case);
        let Some(struck) = disk.struck() else { break };
        let told = outcome.map_or_else(|error| error.to_string(), |()| "succeeded".to_owned());
        after(&site, &disk, case, &format!("{act:?}, {struck} (call {call}) {fault:?}: {told}"));
    }
}

/// A call fails and the power goes at once.
fn cut_off(act: Act) {
    for fault in [DiskFault::Halt, DiskFault::FailAfter(ErrorKind::TimedOut)] {
        every_call(act, fault, 5, |site, disk, mut case, what| {
            disk.crash(what.len() as u64);
            site.recovers(&on(disk), &mut case, what);
        });
    }
}

/// A call fails, the process dies, the next run goes on as if nothing was; and only then the power goes. What it built on
/// must be as durable as what it wrote.
fn built_upon(act: Act) {
    for fault in [DiskFault::Fail(ErrorKind::TimedOut), DiskFault::FailAfter(ErrorKind::TimedOut)] {
        every_call(act, fault, 7, |site, disk, mut case, what| {
            disk.plan(None);
            site.goes_on(&on(disk), &mut case).unwrap_or_else(|error| panic!("{what}: {error}"));
            for seed in 0..CRASHES {
                let disk = disk.fork();
                disk.crash(seed);
                site.holds(&on(&disk), &case, &format!("{what}; then a crash ({seed})"));
            }
        });
    }
}

/// A sync does nothing, and the power goes: what is missing is missed.
fn forgotten(act: Act) {
    every_call(act, DiskFault::Forget, 3, |site, disk, mut case, what| {
        disk.crash(what.len() as u64);
        site.nothing_silent(&on(disk), &mut case, what);
    });
}

/// The disk gets full somewhere on the way; then somebody makes room.
fn full(act: Act) {
    let base = ForgetfulDisk::new();
    LocalStore::create_on(base.clone(), Path::new(ROOT)).unwrap();
    let site = Site::new(act, &on(&base));
    let used: u64 = on(&base).list("").unwrap().iter().map(|object| object.length).sum();
    for more in (0..).map(|step| step * step * 700) {
        let disk = base.fork();
        let mut case = site.case();
        disk.set_room(Some(used + more));
        let outcome = site.act(&on(&disk), &mut case);
        let done = outcome.is_ok();
        let told = outcome.map_or_else(|error| error.to_string(), |()| "succeeded".to_owned());
        disk.set_room(None);
        site.recovers(&on(&disk), &mut case, &format!("{act:?} with room for {more} bytes: {told}"));
        if done {
            break;
        }
    }
}

/// A call fails and the process dies; somebody looks; and only then the power goes. What was seen and is gone was never
/// promised to anybody, so that nobody speaks of a rollback.
#[test]
fn what_was_only_seen_and_is_gone_is_no_rollback() {
    for act in [Act::AddMember, Act::SecondSnapshot] {
        every_call(act, DiskFault::Halt, 1, |site, disk, case, what| {
            disk.plan(None);
            case.host.open(on(disk), &site.admin).unwrap_or_else(|error| panic!("{what}: {error}"));
            for seed in 0..CRASHES {
                let disk = disk.fork();
                disk.crash(seed);
                case.host.open(on(&disk), &site.admin).unwrap_or_else(|error| panic!("{what}, {seed}: {error}"));
            }
        });
    }
}

mod power {
    acts!(super::cut_off);
}

mod process {
    acts!(super::built_upon);
}

mod syncs {
    acts!(super::forgotten);
}

mod room {
    acts!(super::full);
}
