//! Heartbeats: a sign of life every now and then for as long as a session is open, so that nobody takes it for dead (I5).
//!
//! Each beat is an object of its own, numbered from 1. That one cannot be put is worth a warning, not the session: whoever
//! waits for beats waits for days.

use crate::event::{Event, Level, Sink};
use crate::store::{ObjectName, Store};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two beats: far more of them fit into the days after which a silent session is aborted than can get lost.
pub(super) const EVERY: Duration = Duration::from_secs(15 * 60);

/// Beats until it is dropped.
#[derive(Debug)]
pub(super) struct Heart {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    /// Begins to beat, for the first time after `every`. `beat` gives the object of each number.
    ///
    /// # Panics
    /// When the system refuses a thread.
    pub fn start(
        store: Arc<dyn Store>,
        events: Arc<dyn Sink>,
        every: Duration,
        beat: impl Fn(u64) -> (ObjectName, Vec<u8>) + Send + 'static,
    ) -> Self {
        let (stop, stopped) = bounded(0);
        let beating = move || {
            for number in 1.. {
                if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let (name, stored) = beat(number);
                if let Err(error) = store.put(&name, &stored) {
                    let text = format!("a sign of life could not be stored, the next one may be: {error}");
                    events.emit(Event::Message(Level::Warning, text));
                }
            }
        };
        let thread = std::thread::Builder::new().name("heart".to_owned()).spawn(beating);
        Self { stop: Some(stop), thread: Some(thread.expect("the system lets us start a thread")) }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed; a session that is over does not need its heart.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;
    use crate::store::faults::{Fault, FaultStore, Plan};
    use crate::store::memory::MemoryStore;

    #[test]
    fn beats_are_numbered_survive_failures_and_end_with_the_session() {
        let memory = Arc::new(MemoryStore::new());
        let store = Arc::new(FaultStore::new(memory.clone()));
        store.plan(Some(Plan::once(1, Fault::Before)));
        let name = |number| ObjectName::new(&format!("beat/{number}")).unwrap();
        let beat = move |number| (name(number), b"alive".to_vec());
        let heart = Heart::start(store, Arc::new(Silent), Duration::from_millis(1), beat);
        while memory.list("beat").unwrap().len() < 3 {
            std::thread::yield_now();
        }
        drop(heart);
        let beats = memory.list("beat").unwrap();
        assert!(beats.iter().all(|beat| beat.name != name(1)));
        assert!(beats.iter().any(|beat| beat.name == name(2)));
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(memory.list("beat").unwrap(), beats);
    }
}
