//! How opendal's requests travel: counted, paced, watched for headway, with a deadline that grows with what is carried.
//!
//! What the error of a service does not tell (the status, the wait that a busy place asks for) is noted for the call that sent
//! the request. A body is received whole before it is handed on, unless the call takes the pieces as they come: no object is larger than a pack.

use super::super::access::Access;
use super::super::pace::Pace;
use super::super::traffic::Traffic;
use super::notes;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(30);
/// How long sent bytes may stay unacknowledged by the other machine.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);
/// How long a machine may take that answers at once where there is one: the providers' metadata services.
const METADATA: Duration = Duration::from_secs(3);
/// The deadline of a request without a body.
const DEADLINE: Duration = Duration::from_secs(5 * 60);
/// Bytes per second that a body is expected to travel with at least.
const SLOWEST: u64 = 16 * 1024;
/// Bytes that are sent at a time without a limit.
const PIECE: usize = 256 * 1024;
/// How often headway is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The way that requests of one store go.
pub struct Transport {
    client: reqwest::Client,
    upload: Option<Arc<Pace>>,
    download: Option<Arc<Pace>>,
    stall: Duration,
    traffic: Arc<Traffic>,
}

impl Transport {
    /// As `access` says.
    ///
    /// # Errors
    /// When a certificate cannot be read or used, in words.
    pub fn new(access: &Access) -> std::result::Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("boveda/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(50));
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|error| format!("cannot read the certificate {}: {error}", path.display()))
        };
        if let Some(path) = &access.ca_cert {
            let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| format!("{} holds no certificate in PEM form", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(path) = &access.client_cert {
            let pem = zeroize::Zeroizing::new(read(path)?);
            let identity = reqwest::Identity::from_pem(&pem)
                .map_err(|_| format!("{} holds no certificate with its key in PEM form", path.display()))?;
            builder = builder.identity(identity);
        }
        Ok(Self {
            client: builder.build().map_err(|error| super::errors::causes(&error))?,
            upload: access.upload.clone(),
            download: access.download.clone(),
            stall: access.stall,
            traffic: Arc::clone(&access.traffic),
        })
    }

    async fn exchange(&self, request: Request<Buffer>, headway: &Arc<AtomicU64>) -> Result<Response<HttpBody>> {
        let (parts, body) = request.into_parts();
        let uri = parts.uri.clone();
        let url = reqwest::Url::parse(&uri.to_string())
            .map_err(|_| Error::new(ErrorKind::ConfigInvalid, "the place's address is no URL"))?;
        let mut builder = self.client.request(parts.method, url).headers(parts.headers);
        if !body.is_empty() {
            builder = builder.body(reqwest::Body::wrap(self.outgoing(body, headway)));
        }
        let mut response = builder.send().await.map_err(|error| failed(&error))?;
        headway.fetch_add(1, Ordering::Relaxed);
        notes::answer(response.status().as_u16(), retry_after(response.headers()), response.headers());
        let (mut pieces, mut at): (Vec<Bytes>, u64) = (Vec::new(), 0);
        while let Some(piece) = response.chunk().await.map_err(|error| failed(&error))? {
            headway.fetch_add(1, Ordering::Relaxed);
            self.traffic.down(piece.len() as u64);
            if let Some(pace) = &self.download {
                // No headway is missed meanwhile: the wait is our own.
                self.nap(pace.take(piece.len() as u64), headway).await;
            }
            if !notes::piece(at, &piece) {
                pieces.push(piece.clone());
            }
            at += piece.len() as u64;
        }
        notes::body(response.headers(), &pieces);
        let mut answer = Response::builder().status(response.status()).extension(uri);
        if let Some(headers) = answer.headers_mut() {
            std::mem::swap(headers, response.headers_mut());
        }
        let body = HttpBody::new(Whole(Some(Buffer::from(pieces))), None);
        answer.body(body).map_err(|_| Error::new(ErrorKind::Unexpected, "an answer that cannot be put together"))
    }

    /// Sleeps while headway counts.
    async fn nap(&self, length: Duration, headway: &AtomicU64) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            tokio::time::sleep_until(end.min(Instant::now() + LOOK_EVERY)).await;
            headway.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn outgoing(&self, body: Buffer, headway: &Arc<AtomicU64>) -> Outgoing {
        let piece = self.upload.as_ref().map_or(PIECE, |pace| pace.piece());
        let (headway, traffic) = (Arc::clone(headway), Arc::clone(&self.traffic));
        Outgoing { body: body.to_bytes(), piece, pace: self.upload.clone(), wait: None, headway, traffic }
    }

    /// How long a request with `bytes` to carry may take altogether.
    fn deadline(&self, host: Option<&str>, bytes: u64) -> Duration {
        if matches!(host, Some("169.254.169.254" | "metadata.google.internal")) {
            return METADATA;
        }
        let slowest = self.upload.as_ref().map_or(SLOWEST, |pace| pace.slowest().min(SLOWEST)).max(1);
        // Several requests share one limited line.
        DEADLINE + Duration::from_secs(bytes / slowest * 4)
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        self.traffic.request();
        let request = notes::adjust(request);
        let deadline = self.deadline(request.uri().host(), (request.body().len() as u64).max(32 << 20));
        let headway = Arc::new(AtomicU64::new(0));
        let exchange = tokio::time::timeout(deadline, self.exchange(request, &headway));
        tokio::select! {
            outcome = exchange => outcome.unwrap_or_else(|_| Err(late(deadline, "in all"))),
            () = stalled(&headway, self.stall) => Err(late(self.stall, "without headway")),
        }
    }
}

/// Returns when nothing moved for so long.
async fn stalled(headway: &AtomicU64, longest: Duration) {
    let (mut seen, mut since) = (0, Instant::now());
    while since.elapsed() < longest {
        tokio::time::sleep(LOOK_EVERY.min(longest)).await;
        let now = headway.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
}

fn late(after: Duration, how: &str) -> Error {
    Error::new(ErrorKind::Unexpected, format!("given up after {} s {how}", after.as_secs())).set_temporary()
}

/// An exchange that was cut may go better the next time; one that the certificate forbids does not.
fn failed(error: &reqwest::Error) -> Error {
    let text = super::errors::causes(error);
    if error.is_builder() || text.contains("certificate") {
        return Error::new(ErrorKind::ConfigInvalid, text);
    }
    Error::new(ErrorKind::Unexpected, text).set_temporary()
}

/// What `Retry-After` asks for, in seconds; a date is not understood, and then our own waits count.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A body on its way out, piece by piece.
struct Outgoing {
    body: Bytes,
    piece: usize,
    pace: Option<Arc<Pace>>,
    wait: Option<Pin<Box<Sleep>>>,
    headway: Arc<AtomicU64>,
    traffic: Arc<Traffic>,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<http_body::Frame<Bytes>, Self::Error>>> {
        if self.body.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.piece.min(self.body.len());
        if let Some(pace) = self.pace.clone() {
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(pace.take(length as u64))));
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        self.headway.fetch_add(1, Ordering::Relaxed);
        self.traffic.up(length as u64);
        Poll::Ready(Some(Ok(http_body::Frame::data(self.body.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.body.len() as u64)
    }
}

/// A body that is there already.
struct Whole(Option<Buffer>);

impl futures_core::Stream for Whole {
    type Item = Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Buffer>>> {
        Poll::Ready(self.0.take().filter(|buffer| !buffer.is_empty()).map(Ok))
    }
}
