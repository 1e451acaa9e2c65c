//! Blocks of a pack on their way: whoever needs one waits for it, and each arrives as soon as its bytes have come.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes of a block: they begin at multiples of it.
pub const BLOCK: u64 = 2 << 20;

/// A block, or the wait for it.
#[derive(Default)]
pub struct Slot {
    state: Mutex<Arrival>,
    arrived: Condvar,
}

#[derive(Default)]
enum Arrival {
    #[default]
    Expected,
    Here(Vec<u8>),
    /// Whoever wanted it asks by itself.
    Failed,
}

impl Slot {
    /// A block that is here.
    pub fn here(bytes: Vec<u8>) -> Self {
        Self { state: Mutex::new(Arrival::Here(bytes)), arrived: Condvar::new() }
    }

    fn arrive(&self, bytes: Vec<u8>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Arrival::Here(bytes);
        self.arrived.notify_all();
    }

    /// It will not come, unless it is here.
    fn give_up(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, Arrival::Expected) {
            *state = Arrival::Failed;
            self.arrived.notify_all();
        }
    }

    /// Appends what the block has of these bytes, counted from its start, once they are here. `None` when it did not come.
    pub fn copy(&self, part: Range<u64>, to: &mut Vec<u8>) -> Option<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut Arrival| matches!(state, Arrival::Expected);
        let state = self.arrived.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        let Arrival::Here(bytes) = &*state else { return None };
        let within = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        to.extend_from_slice(&bytes[within(part.start)..within(part.end)]);
        Some(())
    }

    /// Does something with the block, if it is here.
    pub fn with<T>(&self, act: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            Arrival::Here(bytes) => Some(act(bytes)),
            _ => None,
        }
    }

    /// Whether it will not come.
    pub fn has_failed(&self) -> bool {
        matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), Arrival::Failed)
    }
}

/// Blocks that follow each other, and the slots that wait for them.
#[derive(Default)]
pub struct Fetch {
    /// The number of the first.
    pub first: u64,
    /// Theirs.
    pub slots: Vec<Arc<Slot>>,
}

impl Fetch {
    /// What is not here will not come. The last first: whoever waits for one and asks again finds that none behind it will.
    pub fn give_up(&self) {
        self.slots.iter().rev().for_each(|slot| slot.give_up());
    }
}

impl Drop for Fetch {
    /// Nobody waits for what will never come.
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Cuts what comes in order into blocks.
pub struct Filler {
    slots: Vec<Arc<Slot>>,
    /// Blocks that arrived.
    done: usize,
    block: Vec<u8>,
}

impl Filler {
    /// For these slots, in order.
    pub const fn new(slots: Vec<Arc<Slot>>) -> Self {
        Self { slots, done: 0, block: Vec::new() }
    }

    /// Takes a piece that lies at this place; what came before already, in an earlier try, is passed over.
    pub fn take(&mut self, at: u64, piece: &[u8]) {
        let have = self.done as u64 * BLOCK + self.block.len() as u64;
        let known = usize::try_from(have.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut piece = piece.get(known..).unwrap_or_default();
        while !piece.is_empty() && at <= have && self.done < self.slots.len() {
            let room = BLOCK as usize - self.block.len();
            let (now, later) = piece.split_at(room.min(piece.len()));
            if self.block.capacity() == 0 {
                self.block.reserve_exact(BLOCK as usize);
            }
            self.block.extend_from_slice(now);
            piece = later;
            if self.block.len() == BLOCK as usize {
                self.arrive();
            }
        }
    }

    /// All came that there is: blocks behind the end have nothing.
    pub fn finish(&mut self) {
        while self.done < self.slots.len() {
            self.arrive();
        }
    }

    fn arrive(&mut self) {
        let block = std::mem::take(&mut self.block);
        if let Some(slot) = self.slots.get(self.done) {
            slot.arrive(block);
        }
        self.done += 1;
    }
}
