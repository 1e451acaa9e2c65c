//! Requests that opendal has no call for, signed with the same credentials and sent the same way: archived objects are asked back.

use super::super::archive::{Archive, Speed, Thaw};
use http::{Method, Request, Response, StatusCode};
use opendal::{Buffer, Error, ErrorKind, HttpTransporter, Result};
use reqsign_core::{Context, OsEnv, Signer};
use reqsign_file_read_tokio::TokioFileRead;

/// The version of Azure's interface that opendal speaks too.
const AZURE_VERSION: &str = "2022-11-02";
/// By these words a place says that the object is on its way already.
const UNDER_WAY: [&str; 2] = ["RestoreAlreadyInProgress", "BlobBeingRehydrated"];

/// Whose requests are signed how.
pub enum Signing {
    /// S3; nothing where requests carry no signature.
    S3(Option<Signer<reqsign_aws_v4::Credential>>),
    /// Azure Blob.
    Azure(Option<Signer<reqsign_azure_storage::Credential>>),
    /// A service without archive tiers.
    Other,
}

/// What sends them.
pub struct Signed {
    transport: HttpTransporter,
    signing: Signing,
}

/// What signers read credentials with, and send their own requests.
pub fn context(transport: &HttpTransporter) -> Context {
    Context::new().with_file_read(TokioFileRead).with_http_send(transport.clone()).with_env(OsEnv)
}

impl Signed {
    /// Requests signed so, sent on this way.
    pub const fn new(transport: HttpTransporter, signing: Signing) -> Self {
        Self { transport, signing }
    }

    /// Asks for the archived object at this address, without a query. One that is on its way already is no error.
    ///
    /// # Errors
    /// When the service refuses, or the address is none.
    pub async fn thaw(&self, address: &str, archive: &Archive, how: &Thaw) -> Result<()> {
        let wrong = |_| Error::new(ErrorKind::Unexpected, "the object's address is none");
        let request = match &self.signing {
            Signing::S3(signer) => {
                let request = Request::post(format!("{address}?restore")).header("content-type", "application/xml");
                let request = request.body(Buffer::from(wish(archive, how))).map_err(wrong)?;
                sign(signer.as_ref(), request).await?
            }
            Signing::Azure(signer) => {
                let priority = if how.speed == Speed::Expedited { "High" } else { "Standard" };
                let request = Request::builder()
                    .method(Method::PUT)
                    .uri(format!("{address}?comp=tier"))
                    .header("x-ms-version", AZURE_VERSION)
                    .header("x-ms-access-tier", "Hot")
                    .header("x-ms-rehydrate-priority", priority)
                    .header("content-length", "0");
                sign(signer.as_ref(), request.body(Buffer::new()).map_err(wrong)?).await?
            }
            Signing::Other => return Err(Error::new(ErrorKind::Unsupported, "this place has no archive tiers")),
        };
        judge(self.transport.send(request).await?)
    }
}

async fn sign<C: reqsign_core::SigningCredential>(
    signer: Option<&Signer<C>>,
    request: Request<Buffer>,
) -> Result<Request<Buffer>> {
    let Some(signer) = signer else { return Ok(request) };
    let (mut parts, body) = request.into_parts();
    let failed = |error: reqsign_core::Error| {
        Error::new(ErrorKind::PermissionDenied, "no credential signs the request").set_source(error)
    };
    signer.sign(&mut parts, None).await.map_err(failed)?;
    // The client sets its own.
    parts.headers.remove(http::header::HOST);
    Ok(Request::from_parts(parts, body))
}

/// The body of S3's request.
fn wish(archive: &Archive, how: &Thaw) -> String {
    let days = if archive.is_intelligent() { String::new() } else { format!("<Days>{}</Days>", how.days) };
    let speed = how.speed;
    format!(
        "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{days}\
         <GlacierJobParameters><Tier>{speed}</Tier></GlacierJobParameters></RestoreRequest>"
    )
}

fn judge(response: Response<Buffer>) -> Result<()> {
    let (parts, body) = response.into_parts();
    if parts.status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let header = parts.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
    let code = within(&text, "Code").or(header).unwrap_or_default();
    if UNDER_WAY.contains(&code) {
        return Ok(());
    }
    let kind = match parts.status {
        StatusCode::FORBIDDEN => ErrorKind::PermissionDenied,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        _ => ErrorKind::Unexpected,
    };
    // As opendal writes it, so that it is read in one place.
    let message = within(&text, "Message").unwrap_or_default();
    Err(Error::new(kind, format!("code: \"{code}\", message: \"{message}\"")))
}

/// What stands in an element of an answer's XML.
fn within<'a>(text: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{element}>"))?;
    rest.split_once("</").map(|(value, _)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<()> {
        judge(Response::builder().status(status).body(Buffer::from(body)).unwrap())
    }

    #[test]
    fn what_is_asked_for_or_on_its_way_is_no_failure() {
        answer(202, "").unwrap();
        answer(200, "").unwrap();
        answer(409, "<Error><Code>RestoreAlreadyInProgress</Code><Message>Wait.</Message></Error>").unwrap();
        let refused = answer(403, "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>").unwrap_err();
        assert_eq!(
            (refused.kind(), refused.message()),
            (ErrorKind::PermissionDenied, "code: \"AccessDenied\", message: \"No.\"")
        );
        assert_eq!(answer(400, "").unwrap_err().kind(), ErrorKind::Unexpected);
    }

    #[test]
    fn a_wish_names_the_days_where_a_copy_is_made() {
        let how = Thaw { speed: Speed::Bulk, days: 3 };
        let of = |tier: &str| wish(&Archive { tier: tier.to_owned(), thawing: false }, &how);
        assert!(of("GLACIER").contains("<Days>3</Days>") && of("GLACIER").contains("<Tier>Bulk</Tier>"));
        assert!(!of("ARCHIVE_ACCESS").contains("Days"));
    }
}
