//! What an error of a service means: the kinds that callers decide by, and a text without addresses and signatures.

use super::super::retention::Retained;
use super::super::retry::Busy;
use super::super::{Error, ErrorKind};
use super::notes::Notes;
use std::sync::Arc;

/// Words by which services say that there is no room, whatever the status.
const FULL: [&str; 7] = [
    "QuotaExceeded",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "InsufficientStorage",
    "storageQuotaExceeded",
    "AccountLimitExceeded",
    "No space left",
];
/// … that an object lies in a tier from which it must be asked back.
const ARCHIVED: [&str; 3] = ["InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"];
/// … that an object may not be removed or replaced yet.
const LOCKED: [&str; 6] =
    ["ObjectLocked", "BlobImmutableDueToPolicy", "retentionPolicyNotMet", "object protected", "WORM", "LeaseIdMissing"];
/// … that the bucket itself is not there.
const NO_STORE: [&str; 6] = [
    "NoSuchBucket",
    "ContainerNotFound",
    "ContainerBeingDeleted",
    "specified bucket does not exist",
    "InvalidBucketName",
    "ResourceNotFound",
];
/// … that the credentials have had their time.
const EXPIRED: [&str; 3] = ["ExpiredToken", "token has expired", "RequestTimeTooSkewed"];

/// The kind of an error of opendal, by its own kind, the status and the service's words.
pub fn kind_of(error: &opendal::Error, status: u16) -> ErrorKind {
    use opendal::ErrorKind as Theirs;
    let text = full_text(error);
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&ARCHIVED) {
        return ErrorKind::Archived;
    }
    if status == 507 || says(&FULL) {
        return ErrorKind::Full;
    }
    if says(&LOCKED) {
        return ErrorKind::Locked;
    }
    if says(&NO_STORE) {
        return ErrorKind::NoStore;
    }
    if status == 401 || says(&EXPIRED) {
        return ErrorKind::Denied;
    }
    if matches!(status, 408 | 423 | 425 | 429 | 499 | 500 | 502..=504) {
        return ErrorKind::Temporary;
    }
    match error.kind() {
        Theirs::NotFound | Theirs::IsADirectory | Theirs::NotADirectory => ErrorKind::NotFound,
        Theirs::PermissionDenied => ErrorKind::Denied,
        Theirs::ConfigInvalid | Theirs::Unsupported => ErrorKind::Config,
        Theirs::RateLimited => ErrorKind::Temporary,
        // S3: another conditional write of this name was under way.
        Theirs::Conflict => ErrorKind::Temporary,
        _ if error.is_temporary() => ErrorKind::Temporary,
        // No credentials could be had: the signer's own error.
        // Its status, if any, is that of a metadata service.
        _ if text.to_lowercase().contains("credential") => ErrorKind::Denied,
        _ => ErrorKind::Other,
    }
}

/// The failure of a call.
pub fn failed(error: &opendal::Error, notes: &Notes, action: &'static str, object: String, place: String) -> Error {
    let status = notes.status();
    let kind = kind_of(error, status);
    let mut text = shown(error, status);
    if kind == ErrorKind::Archived {
        text = format!("it lies in an archive tier, from which it must be asked back before it can be read: {text}");
    }
    let source: Arc<dyn std::error::Error + Send + Sync> = match kind {
        ErrorKind::Temporary => Arc::new(Busy { text, wait: notes.wait() }),
        ErrorKind::Locked => Arc::new(Retained::said(text)),
        _ => Arc::new(Said(text)),
    };
    Error { kind, action, object, place, source }
}

/// What a service said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Said(pub String);

/// An error's causes in a line, the outermost first, each once.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = without_query(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = without_query(&error.to_string());
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// An address may hold a signature in its query; so what follows a `?` in a URL is left out.
fn without_query(text: &str) -> String {
    let shortened = text.split(' ').map(|word| match word.split_once('?') {
        Some((address, rest)) if address.contains("://") => {
            let end = rest.find([')', '"', ',']).map_or("", |end| &rest[end..]);
            format!("{address}{end}")
        }
        _ => word.to_owned(),
    });
    shortened.collect::<Vec<_>>().join(" ")
}

fn full_text(error: &opendal::Error) -> String {
    let mut text = error.message().to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The message for a person: the service's code and words, and the status.
fn shown(error: &opendal::Error, status: u16) -> String {
    let full = without_query(&full_text(error));
    let said = match (field(&full, "code"), field(&full, "message")) {
        (Some(code), Some("")) => code.to_owned(),
        (Some(code), Some(message)) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
        _ => full.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let said: String = said.chars().take(400).collect();
    match (status, said.is_empty()) {
        (0, true) => error.kind().to_string(),
        (0, false) => said,
        (status, true) => format!("HTTP status {status}"),
        (status, false) => format!("{said} (HTTP status {status})"),
    }
}

/// The value of `name: "…"` in a debug text of opendal's, or of `"name": "…"` in JSON.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.find(&format!("{name}: \"")).map(|at| at + name.len() + 3);
    let start = start.or_else(|| text.find(&format!("{name}\": \"")).map(|at| at + name.len() + 4))?;
    let rest = &text[start..];
    Some(&rest[..rest.find('"')?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use opendal::ErrorKind as Theirs;

    fn kind(theirs: Theirs, text: &str, status: u16) -> ErrorKind {
        kind_of(&opendal::Error::new(theirs, text), status)
    }

    #[test]
    fn services_words_decide_before_their_status() {
        assert_eq!(
            kind(Theirs::PermissionDenied, "S3Error { code: \"InvalidObjectState\" }", 403),
            ErrorKind::Archived
        );
        assert_eq!(kind(Theirs::Unexpected, "AzblobError { code: \"BlobArchived\" }", 409), ErrorKind::Archived);
        assert_eq!(kind(Theirs::ConfigInvalid, "S3Error { code: \"NoSuchBucket\" }", 404), ErrorKind::NoStore);
        assert_eq!(kind(Theirs::NotFound, "AzblobError { code: \"ContainerNotFound\" }", 404), ErrorKind::NoStore);
        assert_eq!(kind(Theirs::NotFound, "", 404), ErrorKind::NotFound);
        assert_eq!(kind(Theirs::Unexpected, "", 401), ErrorKind::Denied);
        assert_eq!(kind(Theirs::PermissionDenied, "", 403), ErrorKind::Denied);
        assert_eq!(kind(Theirs::Unexpected, "failed to load signing credential", 403), ErrorKind::Denied);
        assert_eq!(kind(Theirs::Unexpected, "", 507), ErrorKind::Full);
        assert_eq!(kind(Theirs::Unexpected, "code: \"XMinioStorageFull\"", 507), ErrorKind::Full);
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(kind(Theirs::Unexpected, "", status), ErrorKind::Temporary, "{status}");
        }
        assert_eq!(kind(Theirs::Unexpected, "", 400), ErrorKind::Other);
    }

    #[test]
    fn what_a_person_reads_has_no_signature_in_it() {
        let error = opendal::Error::new(
            Theirs::Unexpected,
            "error sending request for url (https://a.blob.core.windows.net/c/x?sv=1&sig=SECRET): refused",
        );
        assert_eq!(shown(&error, 0), "error sending request for url (https://a.blob.core.windows.net/c/x): refused");
        let error =
            opendal::Error::new(Theirs::Unexpected, "S3Error { code: \"SlowDown\", message: \"Slow.\", x: \"\" }");
        assert_eq!(shown(&error, 503), "SlowDown: Slow. (HTTP status 503)");
    }
}
