//! What a call and the transport below opendal tell each other past it: the last status and the wait that was asked for on the
//! way up, and on the way down whether a move may replace what has the name.

use super::super::Arrived;
use super::super::archive::Archive;
use super::super::retention::{self, Lock};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use opendal::Buffer;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Whether the request is about several objects.
    several: AtomicBool,
    /// Whether an answer that was no error names one, as that to a request about several objects does.
    named_error: AtomicBool,
    said: Mutex<Said>,
    /// Who takes the bytes of a part as they come.
    arrived: Option<Arrivals>,
    streamed: AtomicU64,
}

struct Arrivals(Arrived);

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arrivals")
    }
}

/// What the last answer said of an object, and where it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// What keeps it from being removed.
    pub lock: Option<Lock>,
    /// The archive tier that it lies in.
    pub archive: Option<Archive>,
    /// Its address, without a query: that may hold a signature.
    pub address: String,
}

/// Headers by which services say that an object may not be removed yet, and until when.
const LOCKS: [(&str, &str); 2] = [
    ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"),
    ("x-ms-immutability-policy-mode", "x-ms-immutability-policy-until-date"),
];
/// … that somebody holds it until further notice, and how they say so.
const HOLDS: [(&str, &str); 2] = [("x-amz-object-lock-legal-hold", "ON"), ("x-ms-legal-hold", "true")];
/// Google's way to say it, in the object's description, and what it is for.
const IN_JSON: [(&str, &str); 3] = [
    ("retentionExpirationTime", "retention policy"),
    ("temporaryHold", "temporary hold"),
    ("eventBasedHold", "event-based hold"),
];
/// No description is longer.
const DESCRIPTION: usize = 64 * 1024;

impl Notes {
    /// Of a call whose moves and uploads never replace anything, or may.
    pub fn new(never_replace: bool) -> Arc<Self> {
        Arc::new(Self { never_replace: AtomicBool::new(never_replace), ..Self::default() })
    }

    /// Of a call about several objects at once.
    pub fn of_several() -> Arc<Self> {
        Arc::new(Self { several: AtomicBool::new(true), ..Self::default() })
    }

    /// Of a call whose bytes are handed on as they come.
    pub fn streaming(arrived: Arrived) -> Arc<Self> {
        Arc::new(Self { arrived: Some(Arrivals(arrived)), ..Self::default() })
    }

    /// How many bytes were handed on of the last answer.
    pub fn streamed(&self) -> u64 {
        self.streamed.load(Ordering::Relaxed)
    }

    /// The status of the last answer; 0 if there was none.
    pub fn status(&self) -> u16 {
        self.status.load(Ordering::Relaxed)
    }

    /// Whether a request went out that replaces nothing, as it was asked for.
    pub fn kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// Whether an answer that was no error names one.
    pub fn named_error(&self) -> bool {
        self.named_error.load(Ordering::Relaxed)
    }

    /// What the last answer said of its object.
    pub fn said(&self) -> Said {
        self.change().clone()
    }

    // Every change is one assignment.
    fn change(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut said = notes.change();
        (said.lock, said.archive) = (lock_of(headers), Archive::of(headers));
        let milliseconds = wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        notes.wait.store(milliseconds, Ordering::Relaxed);
    });
}

/// Hands on a piece of a part, if the call wants that: then it is not to be collected. `at` is its place in the part.
pub(super) fn piece(at: u64, piece: &[u8]) -> bool {
    let taken = NOTES.try_with(|notes| {
        let Some(Arrivals(arrived)) = notes.arrived.as_ref().filter(|_| notes.status() == 206) else { return false };
        arrived(at, piece);
        notes.streamed.store(at + piece.len() as u64, Ordering::Relaxed);
        true
    });
    taken.unwrap_or(false)
}

/// Notes what came with an answer: Google describes an object there, and S3 says which of several it did not remove.
pub(super) fn body(headers: &HeaderMap, body: &[Bytes]) {
    let _ = NOTES.try_with(|notes| {
        if notes.several.load(Ordering::Relaxed) && memchr::memmem::find(&body.concat(), b"<Error>").is_some() {
            notes.named_error.store(true, Ordering::Relaxed);
        }
    });
    let json = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if json.is_some_and(|kind| kind.starts_with("application/json"))
        && body.iter().map(Bytes::len).sum::<usize>() < DESCRIPTION
    {
        let _ = NOTES.try_with(|notes| {
            let lock = lock_in(&body.concat());
            let mut said = notes.change();
            said.lock = said.lock.take().or(lock);
        });
    }
}

/// A hold counts before a retention: it has no end.
fn lock_of(headers: &HeaderMap) -> Option<Lock> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let hold = HOLDS.iter().find(|(name, on)| text(name).is_some_and(|value| value.eq_ignore_ascii_case(on)));
    if hold.is_some() {
        return Some(Lock { mode: "legal hold".to_owned(), until: None });
    }
    let of = |(mode, until): &(&str, &str)| {
        Some(Lock { mode: text(mode)?.to_owned(), until: text(until).and_then(retention::seconds) })
    };
    LOCKS.iter().find_map(of)
}

/// The same of an object's description in JSON.
fn lock_in(description: &[u8]) -> Option<Lock> {
    let description: serde_json::Value = serde_json::from_slice(description).ok()?;
    let locks = IN_JSON.iter().filter_map(|(name, mode)| {
        let until = match &description[*name] {
            serde_json::Value::Bool(true) => None,
            serde_json::Value::String(time) => Some(retention::seconds(time)?),
            _ => return None,
        };
        Some(Lock { mode: (*mode).to_owned(), until })
    });
    locks.max_by_key(|lock| lock.until.unwrap_or(i64::MAX))
}

/// The request as it is to be sent.
pub(super) fn adjust(mut request: Request<Buffer>) -> Request<Buffer> {
    let _ = NOTES.try_with(|notes| {
        notes.status.store(0, Ordering::Relaxed);
        notes.wait.store(0, Ordering::Relaxed);
        notes.change().address = request.uri().to_string().split('?').next().unwrap_or_default().to_owned();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_read_from_headers() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let value = |(name, value): &(&'static str, &'static str)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            lock_of(&headers.iter().map(value).collect())
        };
        let lock = |mode: &str, until| Some(Lock { mode: mode.to_owned(), until });
        let s3 = ("x-amz-object-lock-mode", "COMPLIANCE");
        let until = ("x-amz-object-lock-retain-until-date", "2027-01-03T10:00:00Z");
        assert_eq!(of(&[s3, until]), lock("COMPLIANCE", Some(1_798_970_400)));
        assert_eq!(of(&[s3, until, ("x-amz-object-lock-legal-hold", "ON")]), lock("legal hold", None));
        assert_eq!(of(&[("x-amz-object-lock-legal-hold", "OFF")]), None);
        let azure = ("x-ms-immutability-policy-mode", "unlocked");
        let until = ("x-ms-immutability-policy-until-date", "Sun, 03 Jan 2027 10:00:00 GMT");
        assert_eq!(of(&[azure, until, ("x-ms-legal-hold", "false")]), lock("unlocked", Some(1_798_970_400)));
        assert_eq!(of(&[("x-ms-legal-hold", "true")]), lock("legal hold", None));
    }

    #[test]
    fn locks_are_read_from_googles_descriptions() {
        let of = |text: &str| lock_in(text.as_bytes()).map(|lock| (lock.mode, lock.until));
        let until = r#""retentionExpirationTime": "2027-01-03T10:00:00.000Z""#;
        assert_eq!(of(&format!("{{{until}}}")), Some(("retention policy".to_owned(), Some(1_798_970_400))));
        let held = format!(r#"{{{until}, "temporaryHold": true}}"#);
        assert_eq!(of(&held), Some(("temporary hold".to_owned(), None)));
        assert_eq!([of(r#"{"temporaryHold": false}"#), of("{}"), of("no JSON")], [None, None, None]);
    }
}
