//! What an older system's environment variables say. Pure: variables are asked for through a function.
//!
//! Secrets are not kept here but for the key, which becomes a credential at once; of the others the names are.

use std::path::{Path, PathBuf};

use super::planning::absolute;
use crate::cli::context;
use crate::cli::error::Failure;
use crate::crypto::secret::SecretBytes;
use crate::repo::keys::credential::Credential;
use crate::secrets::Found;

/// The variable of the key, and the only form in which it counts: base64 of 32 bytes.
pub const KEY: &str = "BACKUP_ENCRYPTION_KEY";
/// The folder in `BACKUP_DIR` when other things lie there.
pub const BESIDE: &str = "boveda";

/// What the variables say.
#[derive(Debug)]
pub struct Inherited {
    /// `BACKUP_DIR`, absolute.
    pub folder: PathBuf,
    /// What opens the repository.
    pub key: Credential,
    /// What is to be kept, absolute.
    pub paths: Vec<String>,
    /// Where a copy is to go.
    pub copy: Option<Bucket>,
    /// Whom to write to.
    pub emails: Vec<String>,
    /// Variables that stay where they are, and what for.
    pub referred: Vec<(&'static str, &'static str)>,
    /// What cannot be taken over.
    pub remarks: Vec<String>,
}

/// A copy in a bucket.
#[derive(Debug)]
pub struct Bucket {
    /// Its URL.
    pub url: String,
    /// Its region.
    pub region: Option<String>,
}

impl Inherited {
    /// Reads the variables.
    ///
    /// # Errors
    /// When one is missing that is needed, or one is wrong. The key is never shown.
    pub fn read(variable: &dyn Fn(&str) -> Result<Option<String>, Failure>) -> Result<Self, Failure> {
        let missing = |name: &str| {
            Failure::usage(format!("--from-env needs the variable {name}, which is not set"))
                .hint("docs/from-env.md lists the variables")
        };
        let folder = variable("BACKUP_DIR")?.ok_or_else(|| missing("BACKUP_DIR"))?;
        let key = variable(KEY)?.ok_or_else(|| missing(KEY))?;
        let mut referred = vec![(KEY, "opens the repository")];
        let mut remarks = Vec::new();
        let copy = bucket(variable, &mut remarks)?;
        let mut refer = |name, what| -> Result<(), Failure> {
            if variable(name)?.is_some() {
                referred.push((name, what));
            }
            Ok(())
        };
        if copy.is_some() {
            refer("AWS_ACCESS_KEY_ID", "opens the bucket")?;
            refer("AWS_SECRET_ACCESS_KEY", "opens the bucket")?;
        }
        refer("BACKUP_DB_CONNECTIONS", "names the databases")?;
        refer("SLACK_WEBHOOK_URL", "gets alerts")?;
        let paths = list(variable("BACKUP_CRITICAL_PATHS")?);
        if paths.is_empty() {
            remarks
                .push("BACKUP_CRITICAL_PATHS names nothing: name what to keep with `boveda snapshot PATH`".to_owned());
        }
        Ok(Self {
            folder: absolute(Path::new(&folder))?.into(),
            key: read_key(key)?,
            paths: paths.iter().map(|path| absolute_only(path)).collect::<Result<_, _>>()?,
            copy,
            emails: list(variable("BACKUP_ALERT_EMAILS")?),
            referred,
            remarks,
        })
    }

    /// The variable, if it is set and stays where it is.
    pub fn refers(&self, name: &str) -> Option<&'static str> {
        self.referred.iter().map(|(known, _)| *known).find(|known| *known == name)
    }
}

fn list(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The key, and only as base64: 32 characters are a text that somebody thought of, no key.
fn read_key(text: String) -> Result<Credential, Failure> {
    let mut bytes = SecretBytes::new(text.into_bytes());
    bytes.trim_line_end();
    let wrong = || {
        Failure::usage(format!("{KEY} is not the base64 of 32 bytes"))
            .hint("it must be the key itself; a new one would be made by: openssl rand -base64 32")
    };
    if !matches!(bytes.expose().len(), 43 | 44) {
        return Err(wrong());
    }
    context::credential(Found::Key(bytes)).map_err(|_| wrong())
}

/// A path of the list, which has no folder that it could be relative to.
fn absolute_only(path: &str) -> Result<String, Failure> {
    match path.starts_with('/') {
        true => absolute(Path::new(path)),
        false => Err(Failure::usage(format!("BACKUP_CRITICAL_PATHS has {path}, which is no absolute path"))),
    }
}

fn bucket(
    variable: &dyn Fn(&str) -> Result<Option<String>, Failure>,
    remarks: &mut Vec<String>,
) -> Result<Option<Bucket>, Failure> {
    let provider = variable("CLOUD_PROVIDER")?.map(|provider| provider.trim().to_lowercase());
    let name = variable("AWS_BACKUP_BUCKET")?.map(|name| name.trim().to_owned());
    match (provider.as_deref(), name) {
        (None | Some("aws" | "s3"), Some(name)) => {
            let valid = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
            if !valid {
                return Err(Failure::usage(format!("AWS_BACKUP_BUCKET has {name}, which is no bucket's name")));
            }
            Ok(Some(Bucket { url: format!("s3://{name}/{BESIDE}"), region: variable("AWS_REGION")? }))
        }
        (Some("aws" | "s3"), None) => {
            remarks.push("CLOUD_PROVIDER is aws, and AWS_BACKUP_BUCKET names no bucket: there is no copy".to_owned());
            Ok(None)
        }
        (Some("azure" | "azblob"), _) => elsewhere(variable, &AZURE, remarks),
        (Some("gcp" | "gcs" | "google"), _) => elsewhere(variable, &GOOGLE, remarks),
        (None | Some("local" | "none"), _) => Ok(None),
        (Some(other), _) => {
            remarks.push(format!("CLOUD_PROVIDER is {other}: no variable says where, so write the copy yourself"));
            Ok(None)
        }
    }
}

/// Where another provider's variables say that a copy is to go.
struct Elsewhere {
    scheme: &'static str,
    /// Variables of which the first that is set names the bucket.
    buckets: [&'static str; 3],
    /// The variable that opens it, which boveda reads by itself.
    opener: &'static str,
}

const AZURE: Elsewhere = Elsewhere {
    scheme: "azblob",
    buckets: ["AZURE_BACKUP_CONTAINER", "AZURE_CONTAINER_NAME", "AZURE_STORAGE_CONTAINER"],
    opener: "AZURE_STORAGE_CONNECTION_STRING",
};
const GOOGLE: Elsewhere = Elsewhere {
    scheme: "gcs",
    buckets: ["GCS_BACKUP_BUCKET", "GCS_BUCKET_NAME", "GCS_BUCKET"],
    opener: "GOOGLE_APPLICATION_CREDENTIALS",
};

fn elsewhere(
    variable: &dyn Fn(&str) -> Result<Option<String>, Failure>,
    place: &Elsewhere,
    remarks: &mut Vec<String>,
) -> Result<Option<Bucket>, Failure> {
    for name in place.buckets {
        let Some(bucket) = variable(name)? else { continue };
        let url = format!("{}://{}/{BESIDE}", place.scheme, bucket.trim());
        if crate::store::url::StoreUrl::parse(url.as_ref()).is_err() {
            return Err(Failure::usage(format!("{name} has {bucket}, which is no bucket's or container's name")));
        }
        if variable(place.opener)?.is_none() {
            remarks.push(format!("{} is not set: what opens {url} must be found in another way", place.opener));
        }
        return Ok(Some(Bucket { url, region: None }));
    }
    remarks.push(format!(
        "CLOUD_PROVIDER names a cloud, and {} no bucket or container: there is no copy",
        place.buckets[0]
    ));
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::super::error::Code;
    use super::*;

    const BASE64: &str = "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=";

    fn read(variables: &[(&str, &str)]) -> Result<Inherited, Failure> {
        let find = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        Inherited::read(&|name| Ok(find(name)))
    }

    #[test]
    fn everything_is_taken_over() {
        let inherited = read(&[
            ("BACKUP_DIR", "/srv/old"),
            (KEY, BASE64),
            ("BACKUP_CRITICAL_PATHS", "/etc, /var/www,,"),
            ("CLOUD_PROVIDER", "AWS"),
            ("AWS_BACKUP_BUCKET", "our-backups"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_REGION", "eu-central-1"),
            ("BACKUP_DB_CONNECTIONS", "postgres://u:hunter2@h/d"),
            ("SLACK_WEBHOOK_URL", "https://hunter2"),
            ("BACKUP_ALERT_EMAILS", "a@b.example,c@d.example"),
        ])
        .unwrap();
        assert_eq!(inherited.paths, ["/etc", "/var/www"]);
        assert_eq!(inherited.copy.as_ref().unwrap().url, "s3://our-backups/boveda");
        assert_eq!(inherited.emails.len(), 2);
        assert_eq!(inherited.referred.len(), 5);
        assert!(inherited.remarks.is_empty() && matches!(inherited.key, Credential::RawKey(_)));
        assert!(!format!("{inherited:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_the_key_never_shown() {
        assert!(read(&[(KEY, BASE64)]).unwrap_err().message.contains("BACKUP_DIR"));
        assert!(read(&[("BACKUP_DIR", "/d")]).unwrap_err().message.contains(KEY));
        for key in ["hunter2", "hunter2hunter2hunter2hunter2hunt", &"ab".repeat(32), &BASE64[..43].replace('8', "!")] {
            let failure = read(&[("BACKUP_DIR", "/d"), (KEY, key)]).unwrap_err();
            assert!(failure.code == Code::Usage && failure.message.contains(KEY), "{failure}");
            assert!(!failure.to_string().contains("hunter2"));
        }
        let base = [("BACKUP_DIR", "/d"), (KEY, BASE64)];
        let with = |more: &[(&'static str, &'static str)]| read(&[&base[..], more].concat());
        assert!(with(&[("BACKUP_CRITICAL_PATHS", "etc")]).unwrap_err().message.contains("etc"));
        assert!(with(&[("AWS_BACKUP_BUCKET", "a/b")]).is_err());
        for (provider, remarks) in [("azure", 2), ("aws", 2), ("local", 1)] {
            let inherited = with(&[("CLOUD_PROVIDER", provider)]).unwrap();
            assert_eq!((inherited.remarks.len(), inherited.copy.is_none()), (remarks, true), "{provider}");
        }
    }
}
