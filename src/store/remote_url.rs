//! Locations that need a network: `s3://bucket/prefix`, `sftp://user@host/folder` … with options in the query.
//!
//! A location is shown without a password. Secrets are no options: they come from the environment, the configuration or the
//! providers' own files ([`super::access`]).

use super::url::UrlError;
use std::collections::BTreeMap;
use std::fmt;

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Backblaze B2, through its S3 interface.
    B2,
    /// Azure Blob Storage.
    Azblob,
    /// Google Cloud Storage.
    Gcs,
    /// A folder behind ssh.
    Sftp,
    /// WebDAV over HTTP.
    Webdav,
    /// WebDAV over HTTPS.
    Webdavs,
}

/// Options of S3 and its kin.
const S3_OPTIONS: [&str; 9] = [
    "endpoint",
    "region",
    "profile",
    "storage_class",
    "sse",
    "sse_kms_key_id",
    "virtual_host",
    "anonymous",
    "conditional_put",
];

impl Scheme {
    /// The kind that a URL's scheme names.
    pub fn named(text: &str) -> Option<Self> {
        Some(match text {
            "s3" => Self::S3,
            "b2" => Self::B2,
            "azblob" | "az" => Self::Azblob,
            "gcs" | "gs" => Self::Gcs,
            "sftp" => Self::Sftp,
            "webdav" => Self::Webdav,
            "webdavs" => Self::Webdavs,
            _ => return None,
        })
    }

    /// As it stands before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::B2 => "b2",
            Self::Azblob => "azblob",
            Self::Gcs => "gcs",
            Self::Sftp => "sftp",
            Self::Webdav => "webdav",
            Self::Webdavs => "webdavs",
        }
    }

    /// How a location of this kind is written.
    pub const fn form(self) -> &'static str {
        match self {
            Self::S3 => "s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME]",
            Self::B2 => "b2://BUCKET[/PREFIX]?region=NAME",
            Self::Azblob => "azblob://CONTAINER[/PREFIX][?account=NAME]",
            Self::Gcs => "gcs://BUCKET[/PREFIX]",
            Self::Sftp => "sftp://[USER@]HOST[:PORT]/FOLDER, with /~/ for the home folder",
            Self::Webdav => "webdav://[USER@]HOST[:PORT][/FOLDER]",
            Self::Webdavs => "webdavs://[USER@]HOST[:PORT][/FOLDER]",
        }
    }

    /// The options that a location of this kind may have.
    pub const fn options(self) -> &'static [&'static str] {
        match self {
            Self::S3 | Self::B2 => &S3_OPTIONS,
            Self::Azblob => &["endpoint", "account", "anonymous"],
            Self::Gcs => &["endpoint", "storage_class", "anonymous"],
            Self::Sftp | Self::Webdav | Self::Webdavs => &[],
        }
    }

    /// Whether the authority is a host, and not the name of a bucket.
    const fn has_host(self) -> bool {
        matches!(self, Self::Sftp | Self::Webdav | Self::Webdavs)
    }
}

/// A password in a URL: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(zeroize::Zeroizing<String>);

impl Password {
    /// The password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::hash::Hash for Password {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The location of a place that needs a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    /// Its kind.
    pub scheme: Scheme,
    /// Who logs in, if the location says.
    pub user: Option<String>,
    /// Their password, if the location says (WebDAV only).
    pub password: Option<Password>,
    /// The host, or the bucket or container.
    pub host: String,
    /// The host's port, if the location says.
    pub port: Option<u16>,
    /// Where in it, without slashes at the ends; for SFTP as the server is to understand it: `/srv/x`, or `x` below the home.
    pub path: String,
    /// What the query says, `-` in names written as `_`.
    pub options: BTreeMap<String, String>,
}

impl RemoteUrl {
    /// Parses what follows `scheme:`.
    ///
    /// # Errors
    /// [`UrlError::Remote`], without the text, which may hold a password.
    pub fn parse(scheme: &str, rest: &str) -> Result<Self, UrlError> {
        let Some(scheme) = Scheme::named(scheme) else {
            return Err(UrlError::NotYet { url: format!("{scheme}:…") });
        };
        let parsed = match rest.strip_prefix("//") {
            Some(rest) => Self::parts(scheme, rest),
            None if scheme == Scheme::Sftp => Self::short_sftp(rest),
            None => Err("there is no // behind the colon".to_owned()),
        };
        parsed.map_err(|reason| UrlError::Remote { scheme: scheme.as_str(), reason, form: scheme.form() })
    }

    fn parts(scheme: Scheme, rest: &str) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (Some(decoded(user)?), Some(password).filter(|password| !password.is_empty())),
            None => (None, None),
        };
        if user.is_some() && !scheme.has_host() {
            return Err("a bucket has no user; keys come from the environment or the configuration".to_owned());
        }
        if password.is_some() && scheme == Scheme::Sftp {
            return Err("ssh takes no password from a location: use a key or an agent".to_owned());
        }
        let (host, port) = if scheme.has_host() { host_and_port(host)? } else { (host.to_owned(), None) };
        name_is_sane(scheme, &host, user.as_deref())?;
        let path = decoded(path)?;
        let path = match scheme {
            Scheme::Sftp => sftp_path(&path)?,
            _ => tidy_path(&path)?,
        };
        Ok(Self {
            scheme,
            user,
            password: password.map(decoded).transpose()?.map(|password| Password(password.into())),
            host,
            port,
            path,
            options: options(scheme, query)?,
        })
    }

    /// `user@host:/folder`, as `sftp:` is followed by in other tools.
    fn short_sftp(rest: &str) -> Result<Self, String> {
        let (authority, path) = rest.split_once(':').ok_or("there is no : behind the host")?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/~/{path}") };
        Self::parts(Scheme::Sftp, &format!("{authority}{path}"))
    }

    /// An option's value.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.scheme {
            Scheme::Sftp if !self.path.starts_with('/') => write!(f, "/~/{}", self.path)?,
            Scheme::Sftp => f.write_str(&self.path)?,
            _ if self.path.is_empty() => {}
            _ => write!(f, "/{}", self.path)?,
        }
        for (number, (name, value)) in self.options.iter().enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// Percent signs decoded; control characters are refused.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let value = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
                value.ok_or("a % is not followed by two hexadecimal digits")?
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    Ok(text)
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map(|port| port.parse().map_err(|_| format!("{port} is no port"))).transpose()?;
    Ok((host.to_owned(), port))
}

/// No name that a program could take for an option, none that would be another place.
fn name_is_sane(scheme: Scheme, host: &str, user: Option<&str>) -> Result<(), String> {
    let what = if scheme.has_host() { "host" } else { "bucket or container" };
    if host.is_empty() {
        return Err(format!("it names no {what}"));
    }
    let known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$') || (c == ':' && scheme.has_host());
    if host.starts_with('-') || host.starts_with('.') || !host.chars().all(known) {
        return Err(format!("it names no {what} that could exist"));
    }
    if user.is_some_and(|user| user.is_empty() || user.starts_with('-')) {
        return Err("it names no user that could exist".to_owned());
    }
    Ok(())
}

fn tidy_path(path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err("its path holds . or ..".to_owned());
    }
    Ok(parts.join("/"))
}

fn sftp_path(path: &str) -> Result<String, String> {
    let tidy = tidy_path(path)?;
    match tidy.strip_prefix('~') {
        Some("") => Err("it names the home folder itself".to_owned()),
        Some(below) if below.starts_with('/') => Ok(below[1..].to_owned()),
        _ if tidy.is_empty() => Err("it names no folder".to_owned()),
        _ => Ok(format!("/{tidy}")),
    }
}

fn options(scheme: Scheme, query: &str) -> Result<BTreeMap<String, String>, String> {
    let mut options = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("an option has no value")?;
        let name = name.replace('-', "_");
        if !scheme.options().contains(&name.as_str()) {
            // The value may be a secret that does not belong here.
            let known = scheme.options().join(", ");
            return Err(format!("there is no option {name}; known are: {known}"));
        }
        let value = decoded(value)?;
        if name == "endpoint" && value.contains('@') {
            return Err("an endpoint holds no user or password".to_owned());
        }
        if options.insert(name.clone(), value).is_some() {
            return Err(format!("the option {name} is given twice"));
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::super::url::StoreUrl;
    use super::*;
    use std::ffi::OsStr;

    fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
        match StoreUrl::parse(OsStr::new(text))? {
            StoreUrl::Remote(url) => Ok(*url),
            StoreUrl::Local(path) => panic!("{text} became the folder {}", path.display()),
        }
    }

    #[test]
    fn locations_are_understood_and_shown_as_they_were_written() {
        for text in [
            "s3://bucket",
            "s3://bucket/a/b",
            "s3://bucket/p?endpoint=http://127.0.0.1:9000&region=us-east-1",
            "azblob://container/x?account=acme",
            "gcs://bucket/x",
            "b2://bucket/x?region=us-west-004",
            "sftp://user@host:2222/srv/x",
            "sftp://host/~/x/y",
            "webdav://127.0.0.1:8080/dav",
            "webdavs://[::1]:8443/dav",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn forms_of_other_tools_are_taken() {
        assert_eq!(parse("gs://b/x").unwrap().to_string(), "gcs://b/x");
        assert_eq!(parse("sftp:u@h:/srv/x").unwrap().to_string(), "sftp://u@h/srv/x");
        assert_eq!(parse("sftp:u@h:x").unwrap().path, "x");
        assert_eq!(parse("sftp://h//srv//x/").unwrap().path, "/srv/x");
        assert_eq!(parse("s3://b/x/?storage-class=STANDARD_IA").unwrap().option("storage_class"), Some("STANDARD_IA"));
        assert_eq!(parse("s3://b/a%20b").unwrap().path, "a b");
    }

    #[test]
    fn passwords_are_never_shown() {
        let url = parse("webdavs://me:s%2Fecret@host/x").unwrap();
        assert_eq!(url.password.as_ref().unwrap().expose(), "s/ecret");
        assert_eq!(url.to_string(), "webdavs://me@host/x");
        assert!(!format!("{url:?}").contains("ecret"));
        for text in ["s3://key:secret@bucket/x", "sftp://me:secret@host/x", "s3://b?secret=secret"] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().replace("option secret", "").contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "s3:bucket",
            "s3://",
            "s3:///x",
            "s3://b/../x",
            "s3://b?nothing=1",
            "s3://b?region=a&region=b",
            "s3://b?endpoint=http://u:p@h",
            "s3://-b/x",
            "s3://b/%0a",
            "s3://b/%zz",
            "sftp://host",
            "sftp://host/~",
            "sftp://-oProxyCommand=x/srv",
            "sftp://-lx@host/srv",
            "sftp://host:99999/srv",
            "sftp:host",
            "webdav://h?x=1",
        ] {
            assert!(matches!(parse(text), Err(UrlError::Remote { .. })), "{text}");
        }
    }
}
