//! What went over the network: counted by whoever sends, read by whoever reports. Counting never waits.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one run, shared by all its stores.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    retries: AtomicU64,
    uploaded: AtomicU64,
    downloaded: AtomicU64,
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
