//! From a location and what reaches it to opendal's operators: one file that knows every service's builder.

use super::super::access::{Access, Hidden};
use super::super::remote_url::{RemoteUrl, Scheme};
use super::azure::{self, Account};
use super::signed::Signed;
use super::transport::Transport;
use opendal::raw::Servicer;
use opendal::services::{Azblob, Gcs, S3, Webdav};
use opendal::{HttpTransporter, OperationContext, Operator};
use std::fmt::Display;
use std::sync::Arc;

/// How objects are put so that the first one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// The service puts only if there is none: one request, and a race has one winner.
    Conditional,
    /// The same, with the condition set below opendal, which would send it with a request of its own and the bytes in parts.
    Generation,
    /// Put under another name and moved, which servers may or may not do exclusively.
    Move,
    /// Looked first: a race may have two winners.
    Look,
}

/// What requests are made with.
pub struct Operators {
    /// With opendal's own checks and simulations.
    pub checked: Operator,
    /// Without them: reads are cut where the object ends.
    pub plain: Operator,
    /// For what opendal has no call for.
    pub signed: Signed,
    /// How puts exclude each other.
    pub exclusion: Exclusion,
}

/// Makes the operators. Nothing is sent yet.
///
/// # Errors
/// When something is missing or wrong, in words.
pub fn build(url: &RemoteUrl, access: &Access) -> Result<Operators, String> {
    let settings = Settings { url, access };
    let operator = match url.scheme {
        Scheme::S3 | Scheme::B2 => Operator::new(settings.s3()?),
        Scheme::Azblob => Operator::new(settings.azblob()?),
        Scheme::Gcs => Operator::new(settings.gcs()),
        Scheme::Webdav | Scheme::Webdavs => Operator::new(settings.webdav()),
        Scheme::Sftp => return Err("SFTP does not go through HTTP".to_owned()),
    };
    let operator = operator.map_err(|error| settings.explained(&error))?;
    let transport = HttpTransporter::new(Transport::new(access)?);
    let signed = Signed::new(transport.clone(), settings.signing(&transport)?);
    let context = OperationContext::new().with_http_transport(transport);
    let service: Servicer = Arc::clone(operator.base_service());
    Ok(Operators {
        checked: operator.with_context(context.clone()),
        plain: Operator::from_parts(context, service),
        signed,
        exclusion: settings.exclusion()?,
    })
}

/// What is said about a place.
pub(super) struct Settings<'a> {
    pub url: &'a RemoteUrl,
    pub access: &'a Access,
}

/// What opens an account of Azure.
pub(super) struct Azure {
    pub account: Option<String>,
    pub endpoint: String,
    pub key: Option<Hidden>,
    pub token: Option<Hidden>,
}

/// A server of one's own has no regions, but a signature names one.
pub(super) const ANY_REGION: &str = "us-east-1";

/// How an option is passed on.
type Setter = fn(S3, &str) -> S3;

impl Settings<'_> {
    /// An option of the location, else of the configuration.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.url.option(name).or_else(|| self.access.options.get(name).map(String::as_str))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.option(name) {
            None => Ok(None),
            Some("true" | "on" | "yes" | "1") => Ok(Some(true)),
            Some("false" | "off" | "no" | "0") => Ok(Some(false)),
            Some(_) => Err(format!("{name} is neither on nor off")),
        }
    }

    fn exclusion(&self) -> Result<Exclusion, String> {
        let conditional = self.flag("conditional_put")?;
        Ok(match self.url.scheme {
            Scheme::Webdav | Scheme::Webdavs => Exclusion::Move,
            Scheme::Gcs if conditional != Some(false) => Exclusion::Generation,
            Scheme::B2 if conditional != Some(true) => Exclusion::Look,
            _ if conditional == Some(false) => Exclusion::Look,
            _ => Exclusion::Conditional,
        })
    }

    pub fn region(&self) -> Option<String> {
        let said = self.option("region").map(str::to_owned).or_else(|| environment("AWS_REGION"));
        said.or_else(|| environment("AWS_DEFAULT_REGION"))
    }

    /// The key that was named, and its secret.
    pub fn s3_key(&self) -> Option<(Hidden, Hidden)> {
        let b2 = self.url.scheme == Scheme::B2;
        let of_b2 = |name: &str| if b2 { environment(name).map(Hidden::new) } else { None };
        let id = self.access.access_key_id.clone();
        let id = id.or_else(|| of_b2("B2_APPLICATION_KEY_ID")).or_else(|| of_b2("B2_ACCOUNT_ID"));
        let key = self.access.secret_access_key.clone();
        let key = key.or_else(|| of_b2("B2_APPLICATION_KEY")).or_else(|| of_b2("B2_ACCOUNT_KEY"));
        id.zip(key)
    }

    fn s3(&self) -> Result<S3, String> {
        let b2 = self.url.scheme == Scheme::B2;
        // Whole bodies are checked by the server: S3 with object lock demands it, and the others take it.
        let mut builder = S3::default().bucket(&self.url.host).root(&self.url.path).checksum_algorithm("md5");
        let region = self.region();
        let endpoint = match (self.option("endpoint"), &region) {
            (Some(endpoint), _) => Some(endpoint.to_owned()),
            (None, Some(region)) if b2 => Some(format!("https://s3.{region}.backblazeb2.com")),
            (None, None) if b2 => return Err("B2 needs the region of its S3 endpoint: ?region=us-west-004".to_owned()),
            (None, _) => None,
        };
        builder = builder.region(region.as_deref().unwrap_or(ANY_REGION));
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint(&endpoint);
        }
        let setters: [(&str, Setter); 4] = [
            ("profile", S3::profile),
            ("storage_class", S3::default_storage_class),
            ("sse", S3::server_side_encryption),
            ("sse_kms_key_id", S3::server_side_encryption_aws_kms_key_id),
        ];
        for (option, set) in setters {
            if let Some(value) = self.option(option) {
                builder = set(builder, value);
            }
        }
        if self.flag("virtual_host")? == Some(true) {
            builder = builder.enable_virtual_host_style();
        }
        if self.flag("anonymous")? == Some(true) {
            builder = builder.skip_signature();
        }
        if let Some((id, key)) = self.s3_key() {
            builder = builder.access_key_id(id.expose()).secret_access_key(key.expose());
        }
        if let Some(token) = &self.access.session_token {
            builder = builder.session_token(token.expose());
        }
        Ok(builder)
    }

    fn azblob(&self) -> Result<Azblob, String> {
        let Azure { account, endpoint, key, token } = self.azure()?;
        let mut builder = Azblob::default().container(&self.url.host).root(&self.url.path).endpoint(&endpoint);
        if let Some(account) = &account {
            builder = builder.account_name(account);
        }
        if let Some(key) = key {
            builder = builder.account_key(key.expose());
        }
        if let Some(token) = token {
            builder = builder.sas_token(token.expose());
        }
        if self.flag("anonymous")? == Some(true) {
            builder = builder.skip_signature();
        }
        Ok(builder)
    }

    /// The account, where it is, and what opens it.
    pub fn azure(&self) -> Result<Azure, String> {
        let string = self.access.connection_string.clone();
        let string = string.or_else(|| environment("AZURE_STORAGE_CONNECTION_STRING").map(Hidden::new));
        let said = string.map(|string| azure::connection_string(string.expose())).transpose()?.unwrap_or_default();
        let account = self.option("account").map(str::to_owned).or(said.name);
        let account = account
            .or_else(|| environment("AZURE_STORAGE_ACCOUNT_NAME"))
            .or_else(|| environment("AZURE_STORAGE_ACCOUNT"));
        let endpoint = match (self.option("endpoint").map(str::to_owned).or(said.endpoint), &account) {
            (Some(endpoint), _) => endpoint,
            (None, Some(account)) => Account::endpoint_of(account),
            (None, None) => {
                let reason = "the storage account is not known: ?account=NAME, AZURE_STORAGE_ACCOUNT_NAME or a connection string";
                return Err(reason.to_owned());
            }
        };
        let (mut key, mut token) = (self.access.account_key.clone().or(said.key), said.signature);
        token = self.access.sas_token.clone().or(token);
        if key.is_none() && token.is_none() {
            // The signer finds these only beside a variable for the account's name.
            key = environment("AZURE_STORAGE_ACCOUNT_KEY").map(Hidden::new);
            token = environment("AZURE_STORAGE_SAS_TOKEN").map(Hidden::new).filter(|_| key.is_none());
        }
        let token = token.map(|token| Hidden::new(token.expose().trim_start_matches('?').to_owned()));
        Ok(Azure { account, endpoint, key, token })
    }

    fn gcs(&self) -> Gcs {
        let mut builder = Gcs::default().bucket(&self.url.host).root(&self.url.path);
        if let Some(endpoint) = self.option("endpoint") {
            builder = builder.endpoint(endpoint);
        }
        if let Some(class) = self.option("storage_class") {
            builder = builder.default_storage_class(class);
        }
        if let Some(file) = self.access.credential_file.as_ref().and_then(|file| file.to_str()) {
            builder = builder.credential_path(file);
        }
        if matches!(self.flag("anonymous"), Ok(Some(true))) {
            builder = builder.skip_signature().disable_vm_metadata().disable_config_load();
        }
        builder
    }

    fn webdav(&self) -> Webdav {
        let scheme = if self.url.scheme == Scheme::Webdavs { "https" } else { "http" };
        let host = if self.url.host.contains(':') { format!("[{}]", self.url.host) } else { self.url.host.clone() };
        let port = self.url.port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut builder = Webdav::default().endpoint(&format!("{scheme}://{host}{port}")).root(&self.url.path);
        let user = self.url.user.clone().or_else(|| self.access.user.clone());
        if let Some(user) = user.or_else(|| environment("BOVEDA_WEBDAV_USER")) {
            builder = builder.username(&user);
        }
        let password = self.url.password.as_ref().map(|password| Hidden::new(password.expose().to_owned()));
        let password = password.or_else(|| self.access.password.clone());
        if let Some(password) = password.or_else(|| environment("BOVEDA_WEBDAV_PASSWORD").map(Hidden::new)) {
            builder = builder.password(password.expose());
        }
        builder
    }

    fn explained(&self, error: &opendal::Error) -> String {
        let text: &dyn Display = &error.message();
        format!("{}: {text}", self.url.scheme.as_str())
    }
}

/// A variable that is set and not empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
