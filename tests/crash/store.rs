//! The nth call of the store fails: for once or for good, before it acts or with its answer lost.

use super::site::{Act, Site};
use super::stride;
use boveda::store::Store;
use boveda::store::faults::{Fault, FaultStore, Plan};
use boveda::store::memory::MemoryStore;
use std::sync::Arc;

const PLANS: [fn(u64, Fault) -> Plan; 2] = [Plan::once, Plan::for_good];

fn every_call(act: Act) {
    let base = Arc::new(MemoryStore::new());
    let site = Site::new(act, &(base.clone() as Arc<dyn Store>));
    // A run of several sessions has several times the calls, and those of each are much the same.
    let long = matches!(act, Act::LongSnapshot | Act::Prune | Act::ForgetAndPrune);
    let step = stride(if long { 9 } else { 2 });
    let mut first = 1;
    for fault in [Fault::Before, Fault::After] {
        for (plan, name) in PLANS.into_iter().zip(["once", "for good"]) {
            first = first % step as u64 + 1;
            for call in (first..).step_by(step) {
                let faulty = Arc::new(FaultStore::new(Arc::new(base.fork())));
                let store: Arc<dyn Store> = faulty.clone();
                let mut case = site.case();
                faulty.plan(Some(plan(call, fault)));
                // Whether it failed or got around the fault: what it acknowledged must hold.
                let outcome = site.act(&store, &mut case);
                let Some(struck) = faulty.struck() else { break };
                faulty.plan(None);
                let told = outcome.map_or_else(|error| error.to_string(), |()| "succeeded".to_owned());
                site.recovers(&store, &mut case, &format!("{act:?}, {struck} (call {call}) {fault:?} {name}: {told}"));
            }
        }
    }
}

acts!(every_call);
