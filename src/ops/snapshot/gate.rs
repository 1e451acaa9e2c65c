//! A limit on how much is under way: whoever adds waits until there is room.

use std::sync::{Condvar, Mutex, PoisonError};

/// Counts units in flight and holds back those who would exceed the limit.
#[derive(Debug)]
pub struct Gate {
    limit: usize,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    in_flight: usize,
    closed: bool,
}

impl Gate {
    /// A gate that lets `limit` units through at a time.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), moved: Condvar::new() }
    }

    /// Waits for room, then takes it. A single request above the limit passes when nothing else is in flight.
    /// Returns false once the gate is closed.
    pub fn enter(&self, units: usize) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.closed && state.in_flight > 0 && state.in_flight + units > self.limit {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.in_flight += units;
        !state.closed
    }

    /// Gives room back.
    pub fn leave(&self, units: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).in_flight -= units;
        self.moved.notify_all();
    }

    /// Wakes everybody who waits: the work was given up.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_unit_passes_alone_and_a_closed_gate_holds_nobody() {
        let gate = Gate::new(10);
        assert!(gate.enter(100));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(1));
            gate.leave(100);
            assert!(waiting.join().unwrap());
            assert!(gate.enter(9));
            let waiting = scope.spawn(|| gate.enter(1));
            gate.close();
            assert!(!waiting.join().unwrap());
        });
    }
}
