//! From the options, the environment and the configuration to the store that is meant: how it is reached, and what that took.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, OnceLock};

use super::context::Context;
use super::error::Failure;
use super::output::{Output, size};
use crate::config::LineRate;
use crate::store::access::Access;
use crate::store::traffic::Counted;
use crate::store::url::StoreUrl;
use crate::store::{Store, open};

impl Context {
    /// How the repository that is meant is reached.
    ///
    /// # Errors
    /// When the configuration is wrong, names a variable that is not set, or no repository is meant.
    pub fn access(&self) -> Result<Access, Failure> {
        let section = self.section()?;
        let home = self.home();
        let configured =
            section.map(|(_, section)| section.access.access(home.as_deref(), &|name| self.variable(name)));
        let mut access = configured.transpose().map_err(Failure::usage)?.unwrap_or_default();
        let flags = &self.global.network;
        let rate = |flag: Option<LineRate>, name: &str| match (flag, self.variable(name)) {
            (Some(rate), _) => Ok(Some(rate.pace())),
            (None, Some(text)) => parsed(name, &text).map(|rate| Some(rate.pace())),
            (None, None) => Ok(None),
        };
        access.upload = rate(flags.limit_upload, "BOVEDA_LIMIT_UPLOAD")?.or(access.upload);
        access.download = rate(flags.limit_download, "BOVEDA_LIMIT_DOWNLOAD")?.or(access.download);
        let path = |name: &str| self.variable(name).map(Into::into);
        access.ca_cert = flags.cacert.clone().or_else(|| path("BOVEDA_CACERT")).or(access.ca_cert);
        access.client_cert =
            flags.tls_client_cert.clone().or_else(|| path("BOVEDA_TLS_CLIENT_CERT")).or(access.client_cert);
        if let Some(line) = self.variable("BOVEDA_SSH") {
            let words = shlex::split(&line.to_string_lossy()).filter(|words| !words.is_empty());
            access.ssh =
                words.ok_or_else(|| Failure::usage("BOVEDA_SSH cannot be split into words: check its quotes"))?;
        }
        if let Some(seconds) = self.variable("BOVEDA_RETRY_FOR") {
            let wrong = || Failure::usage("BOVEDA_RETRY_FOR is no number of seconds");
            access.patience = seconds
                .to_str()
                .and_then(|text| text.parse().ok())
                .map(std::time::Duration::from_secs)
                .ok_or_else(wrong)?;
        }
        access.traffic = Arc::clone(&flags.traffic);
        Ok(access)
    }

    /// The store of the repository that is meant, which must be there.
    ///
    /// # Errors
    /// When no repository is meant, or its place cannot be reached.
    pub fn open_store(&self) -> Result<Arc<dyn Store>, Failure> {
        Ok(open::open_with(&self.location()?, &self.access()?)?)
    }

    /// The same, made if it is not there. Where several writers at once would not be seen, that is said.
    ///
    /// # Errors
    /// As [`Self::open_store`].
    pub fn create_store(&self, url: &StoreUrl, output: &Output) -> Result<Arc<dyn Store>, Failure> {
        let store = open::create_with(url, &self.access()?)?;
        if !store.exclusive() {
            output.warn(&format!("{url} does not keep two writers apart: let one machine at a time write to it, and prune with --exclusive"));
        }
        Ok(store)
    }

    /// The same run with the repository at another location.
    pub fn with_location(&self, location: OsString) -> Self {
        let mut global = self.global.clone();
        (global.repository.repo, global.repository.repository_file) = (Some(location), None);
        Self { global, environment: self.environment, config: OnceLock::new(), zone: self.zone.clone() }
    }

    /// What went over the network, if anything did.
    pub fn traffic(&self) -> Option<Counted> {
        Some(self.global.network.traffic.counted()).filter(|counted| counted.requests > 0)
    }
}

/// What went over the network, in words.
pub fn traffic_words(counted: Counted) -> String {
    let again = if counted.retries > 0 { format!(", {} tried again", counted.retries) } else { String::new() };
    format!(
        "{} requests{again}, {} sent, {} received",
        counted.requests,
        size(counted.uploaded),
        size(counted.downloaded)
    )
}

/// What went over the network, as a member of a JSON object.
pub fn traffic_json(counted: Counted) -> serde_json::Value {
    serde_json::json!({
        "requests": counted.requests, "retries": counted.retries,
        "bytes_sent": counted.uploaded, "bytes_received": counted.downloaded,
    })
}

fn parsed(name: &str, text: &OsStr) -> Result<LineRate, Failure> {
    let wrong = |why: &str| Failure::usage(format!("{name}: {why}"));
    text.to_str().ok_or_else(|| wrong("it is not UTF-8"))?.parse().map_err(wrong)
}
