//! A decorator whose calls fail as planned: before they reach the store, or after it has acted (a lost acknowledgement).
//!
//! For tests of everything above the store. Calls are numbered from 1 in the order in which they arrive.

use super::{Arrived, Error, ErrorKind, Listed, ObjectName, Page, Put, Store};
use std::sync::{Arc, Mutex, PoisonError};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store is not asked.
    Before,
    /// The store acts, and its answer is lost.
    After,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The number of the call, from 1.
    pub call: u64,
    /// How it fails.
    pub fault: Fault,
    /// Whether all later calls fail too, without acting: the place is gone.
    pub for_good: bool,
    /// What the failures are reported as.
    pub kind: ErrorKind,
}

impl Plan {
    /// Only this call fails, as something that trying again may help with.
    pub const fn once(call: u64, fault: Fault) -> Self {
        Self { call, fault, for_good: false, kind: ErrorKind::Temporary }
    }

    /// This call fails and no later one succeeds.
    pub const fn for_good(call: u64, fault: Fault) -> Self {
        Self { call, fault, for_good: true, kind: ErrorKind::Other }
    }
}

/// The cause that planned failures name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("planned failure of call {0}")]
pub struct Planned(pub u64);

#[derive(Debug, Default)]
struct State {
    calls: u64,
    plan: Option<Plan>,
    struck: Option<String>,
}

/// A store whose calls are counted, and fail as planned.
pub struct FaultStore {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

impl FaultStore {
    /// Passes every call on to `inner` until a plan is set.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Starts counting anew, with this plan.
    pub fn plan(&self, plan: Option<Plan>) {
        *self.state() = State { plan, ..State::default() };
    }

    /// Calls since the last plan was set.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The call that the plan struck, as "action object"; `None` if it never came to that.
    pub fn struck(&self) -> Option<String> {
        self.state().struck.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(&self, action: &'static str, object: &str, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let (number, failing) = {
            let mut state = self.state();
            state.calls += 1;
            let number = state.calls;
            let failing = state.plan.filter(|plan| number == plan.call || (plan.for_good && number > plan.call));
            if failing.is_some_and(|plan| number == plan.call) {
                state.struck = Some(format!("{action} {object}"));
            }
            (number, failing)
        };
        let Some(plan) = failing else { return act() };
        if plan.fault == Fault::After && number == plan.call {
            // Whether it worked is what the caller never learns.
            drop(act());
        }
        let (object, place) = (object.to_owned(), self.place());
        Err(Error { kind: plan.kind, action, object, place, source: Arc::new(Planned(number)) })
    }
}

impl Store for FaultStore {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn seen_is_durable(&self) -> bool {
        self.inner.seen_is_durable()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.call("write", name.as_str(), || self.inner.put(name, bytes))
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.call("settle", name.as_str(), || self.inner.settle(name))
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.call("heal", name.as_str(), || self.inner.heal(name, bytes))
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.call("read", name.as_str(), || self.inner.get(name))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.call("read", name.as_str(), || self.inner.get_range(name, offset, length))
    }

    fn stream(&self, name: &ObjectName, offset: u64, length: u64, arrived: &Arrived) -> Result<u64, Error> {
        self.call("read", name.as_str(), || self.inner.stream(name, offset, length, arrived))
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.call("read", name.as_str(), || self.inner.length(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.call("list", prefix, || self.inner.list(prefix))
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        self.call("list", "", || self.inner.page())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.call("delete", name.as_str(), || self.inner.delete(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;

    #[test]
    fn the_planned_call_fails_before_or_after_acting() {
        let (a, b) = (ObjectName::new("a").unwrap(), ObjectName::new("b").unwrap());
        let store = FaultStore::new(Arc::new(MemoryStore::new()));
        store.plan(Some(Plan::once(2, Fault::Before)));
        assert_eq!(store.put(&a, b"x").unwrap(), Put::Created);
        assert_eq!(store.put(&b, b"x").unwrap_err().kind, ErrorKind::Temporary);
        assert_eq!(store.struck().as_deref(), Some("write b"));
        assert_eq!(store.get(&b).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(store.calls(), 3);
        store.plan(Some(Plan::once(1, Fault::After)));
        store.put(&b, b"x").unwrap_err();
        assert_eq!(store.get(&b).unwrap(), b"x");
    }

    #[test]
    fn a_place_that_is_gone_stays_gone() {
        let a = ObjectName::new("a").unwrap();
        let store = FaultStore::new(Arc::new(MemoryStore::new()));
        store.plan(Some(Plan::for_good(1, Fault::After)));
        for _ in 0..3 {
            store.put(&a, b"x").unwrap_err();
        }
        store.plan(None);
        assert_eq!(store.get(&a).unwrap(), b"x");
    }
}
