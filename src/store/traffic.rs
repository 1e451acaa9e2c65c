//! What went over the network: counted by whoever sends, read by whoever reports. Counting never waits.

use crate::event::{Event, Level, Sink};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Counters of one run, shared by all its stores.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    retries: AtomicU64,
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    listener: Listener,
}

/// Who hears of a place that does not answer, and says whether to go on.
#[derive(Default)]
struct Listener(OnceLock<Arc<dyn Sink>>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Listener(…)" } else { "Listener" })
    }
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Requests sent, those that failed and those sent again included.
    pub requests: u64,
    /// Calls that were tried again.
    pub retries: u64,
    /// Bytes of bodies sent.
    pub uploaded: u64,
    /// Bytes of bodies received.
    pub downloaded: u64,
}

impl Traffic {
    /// One more request.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// One more call that is tried again.
    pub fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more bytes sent.
    pub fn up(&self, bytes: u64) {
        self.uploaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many more bytes received.
    pub fn down(&self, bytes: u64) {
        self.downloaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// From now on `events` hears what is said here. The first who is named stays.
    pub fn listen(&self, events: Arc<dyn Sink>) {
        let _ = self.listener.0.set(events);
    }

    /// Says something to whoever listens.
    pub fn say(&self, level: Level, text: String) {
        if let Some(events) = self.listener.0.get() {
            events.emit(Event::Message(level, text));
        }
    }

    /// Whether whoever listens was asked to stop.
    pub fn stopping(&self) -> bool {
        self.listener.0.get().is_some_and(|events| events.stopping())
    }

    /// The counters now.
    pub fn counted(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            requests: read(&self.requests),
            retries: read(&self.retries),
            uploaded: read(&self.uploaded),
            downloaded: read(&self.downloaded),
        }
    }
}
