//! What a call and the transport below opendal tell each other past it: the last status and the wait that was asked for on the
//! way up, and on the way down whether a move may replace what has the name.

use http::{HeaderMap, HeaderValue, Request};
use opendal::Buffer;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

tokio::task_local! {
    static NOTES: Arc<Notes>;
}

/// The notes of one call.
#[derive(Debug, Default)]
pub struct Notes {
    status: AtomicU16,
    /// Milliseconds, 0 for none.
    wait: AtomicU64,
    /// Whether a range was asked for, and everything was sent.
    whole_for_range: AtomicBool,
    never_replace: AtomicBool,
    /// Whether the request that never replaces was sent as one.
    kept: AtomicBool,
    lock: Mutex<Option<String>>,
}

/// Headers by which services say that an object may not be removed yet.
const LOCKS: [&str; 3] = ["x-amz-object-lock-mode", "x-amz-object-lock-legal-hold", "x-ms-immutability-policy-mode"];

impl Notes {
    /// Of a call whose moves and uploads never replace anything, or may.
    pub fn new(never_replace: bool) -> Arc<Self> {
        Arc::new(Self { never_replace: AtomicBool::new(never_replace), ..Self::default() })
    }

    /// The status of the last answer; 0 if there was none.
    pub fn status(&self) -> u16 {
        self.status.load(Ordering::Relaxed)
    }

    /// Whether a request went out that replaces nothing, as it was asked for.
    pub fn kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// What keeps the object from being removed, as far as the last answer said.
    pub fn lock(&self) -> Option<String> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the place asks to be left alone.
    pub fn wait(&self) -> Option<Duration> {
        Some(self.wait.load(Ordering::Relaxed)).filter(|wait| *wait > 0).map(Duration::from_millis)
    }

    /// Whether a range was asked for and the answer was not a part.
    pub fn whole_for_range(&self) -> bool {
        self.whole_for_range.load(Ordering::Relaxed) && self.status() == 200
    }
}

/// Runs a call with its notes.
pub async fn with<T>(notes: &Arc<Notes>, call: impl Future<Output = T>) -> T {
    NOTES.scope(Arc::clone(notes), call).await
}

/// Notes an answer.
pub(super) fn answer(status: u16, wait: Option<Duration>, headers: &HeaderMap) {
    // Requests outside a call (a refresh of credentials in the background) have nobody to tell.
    let _ = NOTES.try_with(|notes| {
        notes.status.store(status, Ordering::Relaxed);
        let lock = LOCKS.iter().find_map(|name| headers.get(*name)?.to_str().ok()).map(str::to_owned);
        *notes.lock.lock().unwrap_or_else(PoisonError::into_inner) = lock;
        let milliseconds = wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        notes.wait.store(milliseconds, Ordering::Relaxed);
    });
}

/// The request as it is to be sent.
pub(super) fn adjust(mut request: Request<Buffer>) -> Request<Buffer> {
    let _ = NOTES.try_with(|notes| {
        notes.status.store(0, Ordering::Relaxed);
        notes.wait.store(0, Ordering::Relaxed);
        notes.whole_for_range.store(request.headers().contains_key(http::header::RANGE), Ordering::Relaxed);
        if !notes.never_replace.load(Ordering::Relaxed) {
            return;
        }
        if request.method().as_str() == "MOVE" {
            request.headers_mut().insert("overwrite", HeaderValue::from_static("F"));
            notes.kept.store(true, Ordering::Relaxed);
        }
        // Google's uploads; their query is no part of what is signed.
        let uri = request.uri();
        if request.method().as_str() == "POST"
            && uri.path().contains("/upload/storage/v1/")
            && let Ok(conditional) = format!("{uri}&ifGenerationMatch=0").parse()
        {
            *request.uri_mut() = conditional;
            notes.kept.store(true, Ordering::Relaxed);
        }
    });
    request
}
