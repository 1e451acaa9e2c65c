//! From the options, the environment and the configuration to the store that is meant: how it is reached, and what that took.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Context;
use super::error::Failure;
use super::global::cache_size;
use super::output::{Output, size};
use crate::config::{Copy, LineRate, Name, Repository};
use crate::repo::reader::DEFAULT_KEPT;
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
        self.access_by(self.section()?)
    }

    /// How the repository at that location is reached, whichever one is meant.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub fn access_at(&self, url: &StoreUrl) -> Result<Access, Failure> {
        self.access_by(self.section_at(url)?)
    }

    fn access_by(&self, section: Option<(&Name, &Repository)>) -> Result<Access, Failure> {
        let home = self.home();
        let configured =
            section.map(|(_, section)| section.access.access(home.as_deref(), &|name| self.variable(name)));
        self.overruled(configured.transpose().map_err(Failure::usage)?.unwrap_or_default())
    }

    /// How a copy of the configuration is reached.
    ///
    /// # Errors
    /// When the configuration names a variable that is not set, or an option is wrong.
    pub fn access_to(&self, copy: &Copy) -> Result<Access, Failure> {
        let reached = copy.reach().access(self.home().as_deref(), &|name| self.variable(name));
        self.overruled(reached.map_err(Failure::usage)?)
    }

    /// What flags and variables change of what the configuration says.
    fn overruled(&self, mut access: Access) -> Result<Access, Failure> {
        let flags = &self.global.network;
        let rate = |flag: Option<LineRate>, name: &str| match (flag, self.variable(name)) {
            (Some(rate), _) => Ok(Some(rate.pace())),
            (None, Some(text)) => parsed(name, &text).map(|rate| Some(rate.pace())),
            (None, None) => Ok(None),
        };
        access.upload = rate(flags.limit_upload.clone(), "BOVEDA_LIMIT_UPLOAD")?.or(access.upload);
        access.download = rate(flags.limit_download.clone(), "BOVEDA_LIMIT_DOWNLOAD")?.or(access.download);
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
        access.stall = self.stall.unwrap_or(access.stall);
        access.traffic = Arc::clone(&flags.traffic);
        Ok(access)
    }

    /// How a place is reached that is the one that is meant; a folder needs nothing.
    fn reached(&self, url: &StoreUrl) -> Result<Access, Failure> {
        if url.local().is_some() { Ok(Access::default()) } else { self.access() }
    }

    /// The store of the repository that is meant, which must be there. `output` hears when a place does not answer.
    ///
    /// # Errors
    /// When no repository is meant, or its place cannot be reached.
    pub fn open_store(&self, output: &Arc<Output>) -> Result<Arc<dyn Store>, Failure> {
        self.tell(output);
        let url = self.location()?;
        Ok(open::open_with(&url, &self.reached(&url)?)?)
    }

    /// As [`Self::open_store`]; of small objects that this machine read or put before, a listing that shows the same bytes is enough.
    ///
    /// # Errors
    /// As [`Self::open_store`].
    pub fn open_store_near(&self, output: &Arc<Output>) -> Result<Arc<dyn Store>, Failure> {
        self.tell(output);
        let url = self.location()?;
        Ok(open::open_with(&url, &self.near(&url, self.reached(&url)?)?)?)
    }

    /// That access, with small objects kept on this machine, as far as anything is kept here.
    fn near(&self, url: &StoreUrl, access: Access) -> Result<Access, Failure> {
        if url.local().is_some() {
            return Ok(access);
        }
        let Some(most) = self.kept_most()?.filter(|most| *most > 0) else { return Ok(access) };
        let folder = self.cache_folder()?;
        let objects = Some((objects_folder(&folder), most / OBJECTS_SHARE));
        Ok(Access { objects, spool: Some((folder, most)), ..access })
    }

    /// The same, made if it is not there. Where several writers at once would not be seen, that is said.
    ///
    /// # Errors
    /// As [`Self::open_store`].
    pub fn create_store(&self, url: &StoreUrl, output: &Arc<Output>) -> Result<Arc<dyn Store>, Failure> {
        self.tell(output);
        let store = open::create_with(url, &self.near(url, self.reached(url)?)?)?;
        warn_of_racing(&*store, output);
        Ok(store)
    }

    /// How many bytes are kept on this machine of what is read from the repository that is meant; nothing of one in a folder.
    ///
    /// # Errors
    /// When no repository is meant, or the variable is no size.
    pub fn kept_of_network(&self) -> Result<Option<u64>, Failure> {
        if self.location()?.local().is_some() { Ok(None) } else { self.kept_most() }
    }

    /// How many bytes are kept of a repository that is not in a folder.
    fn kept_most(&self) -> Result<Option<u64>, Failure> {
        let flags = &self.global.network;
        if flags.no_cache {
            return Ok(None);
        }
        let variable = self.variable("BOVEDA_CACHE_SIZE").map(|text| {
            let wrong = |why| Failure::usage(format!("BOVEDA_CACHE_SIZE: {why}"));
            text.to_str().ok_or("it is not UTF-8").and_then(cache_size).map_err(wrong)
        });
        Ok(Some(flags.cache_size.or(variable.transpose()?).unwrap_or(DEFAULT_KEPT)))
    }

    /// From now on `output` hears when a place does not answer, and says whether to go on waiting.
    pub fn tell(&self, output: &Arc<Output>) {
        self.global.network.traffic.listen(Arc::clone(output) as _);
    }

    /// What went over the network, if anything did.
    pub fn traffic(&self) -> Option<Counted> {
        Some(self.global.network.traffic.counted()).filter(|counted| counted.requests > 0)
    }
}

/// Small objects have so much less room than what is kept of content.
const OBJECTS_SHARE: u64 = 8;

/// Where small objects are kept, beside what is cached of each repository.
pub fn objects_folder(caches: &Path) -> PathBuf {
    caches.join("objects")
}

/// Says that a place lets racing writers win both, where it does.
pub fn warn_of_racing(store: &dyn Store, output: &Output) {
    if !store.exclusive() {
        let place = store.place();
        output.warn(format!(
            "{place} does not keep two writers apart: let one machine at a time write to it, and prune with --exclusive"
        ));
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
