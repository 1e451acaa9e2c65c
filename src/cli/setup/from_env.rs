//! `boveda init --from-env`: takes over what an older system was told by its environment variables.
//!
//! Values that are no secrets go into the configuration; of secrets it holds the variables' names, never what they hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::make::{self, Configured, Made};
use super::plan::{Opener, Plan};
use super::planning::{absolute, config_file};
use super::tell_sheet;
use crate::cli::context::{self, Context};
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::output::Output;
use crate::config::{Addition, Name};
use crate::crypto::secret::SecretBytes;
use crate::repo::keys::credential::Credential;
use crate::secrets::Found;
use crate::store::url::StoreUrl;

/// The variable of the key, and the only form in which it counts: base64 of 32 bytes.
const KEY: &str = "BACKUP_ENCRYPTION_KEY";
/// What the configuration calls the repository.
const NAME: &str = "main";
/// The folder in `BACKUP_DIR` when other things lie there.
const BESIDE: &str = "boveda";

/// What the variables say.
#[derive(Debug)]
struct Inherited {
    folder: PathBuf,
    key: Credential,
    paths: Vec<String>,
    copy: Option<Bucket>,
    emails: Vec<String>,
    /// Variables that stay where they are, and what for.
    referred: Vec<(&'static str, &'static str)>,
    /// What cannot be taken over.
    remarks: Vec<String>,
}

#[derive(Debug)]
struct Bucket {
    url: String,
    region: Option<String>,
}

/// Makes the repository and the configuration.
///
/// # Errors
/// When a variable is missing or wrong ([`Code::Usage`]), and as `init`.
pub fn run(recovery: Option<&Path>, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let inherited = Inherited::read(&|name| text(context, name))?;
    let folder = repository_folder(&inherited.folder)?;
    let recovery = recovery.map(std::path::absolute).transpose();
    let plan = Plan {
        name: Name::try_from(NAME.to_owned()).map_err(Failure::usage)?,
        url: StoreUrl::parse(folder.as_os_str()).map_err(|error| Failure::because(Code::Usage, &error))?,
        opener: Opener::Given(inherited.key.clone(), Some(("key_env", KEY.to_owned()))),
        config: config_file(context)?,
        recovery: recovery.map_err(|error| Failure::usage(format!("--recovery-key-file: {error}")))?,
        paths: inherited.paths.clone(),
        exclude: Vec::new(),
    };
    let made = make::make(&plan, context, &output)?;
    let configured = make::configure(&plan, &sections(&plan, &inherited))?;
    for remark in &inherited.remarks {
        output.warn(remark);
    }
    tell(&plan, &inherited, &made, &configured, &output)?;
    Ok(output.code())
}

/// A variable as text.
fn text(context: &Context, name: &str) -> Result<Option<String>, Failure> {
    let text = context.variable(name).map(|value| value.into_string()).transpose();
    text.map_err(|_| Failure::usage(format!("{name} is not UTF-8, as everything in a configuration must be")))
}

impl Inherited {
    fn read(variable: &dyn Fn(&str) -> Result<Option<String>, Failure>) -> Result<Self, Failure> {
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

    fn refers(&self, name: &str) -> Option<&'static str> {
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
        (None | Some("local" | "none"), _) => Ok(None),
        (Some(other), _) => {
            remarks.push(format!("CLOUD_PROVIDER is {other}: no variable says where, so write the copy yourself"));
            Ok(None)
        }
    }
}

/// `BACKUP_DIR` itself when nothing else is in it, else a folder of our own there: the old system's backups stay apart.
fn repository_folder(folder: &Path) -> Result<PathBuf, Failure> {
    if folder.join("config").is_file() && folder.join("slots").is_dir() {
        return Ok(folder.to_owned());
    }
    match folder.read_dir().map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(folder.to_owned()),
        Ok(false) => Ok(folder.join(BESIDE)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(folder.to_owned()),
        Err(error) => Err(Failure::usage(format!("BACKUP_DIR: cannot look into {}: {error}", folder.display()))),
    }
}

/// What is added to the configuration, by the sections that it goes to.
fn sections(plan: &Plan, inherited: &Inherited) -> Vec<(&'static str, Addition)> {
    let mut all = Vec::new();
    if let Some(Bucket { url, region }) = &inherited.copy {
        let mut section = Addition::default();
        section.section(&format!("repository.{}.copy.cloud", plan.name)).string("url", url);
        if let Some(region) = region {
            section.string("region", region);
        }
        for (key, name) in
            [("access_key_id_env", "AWS_ACCESS_KEY_ID"), ("secret_access_key_env", "AWS_SECRET_ACCESS_KEY")]
        {
            inherited.refers(name).map(|name| section.string(key, name));
        }
        // Belongs to the repository, and comes and stays with it.
        all.push((make::WITH_REPOSITORY, section));
    }
    if !inherited.paths.is_empty() {
        all.push(("snapshot", make::snapshot_section(plan)));
    }
    let webhook = inherited.refers("SLACK_WEBHOOK_URL");
    if webhook.is_some() || !inherited.emails.is_empty() {
        let mut section = Addition::default();
        section.section("alert");
        if !inherited.emails.is_empty() {
            section.strings("email", inherited.emails.iter().map(String::as_str));
        }
        webhook.map(|name| section.string("slack_webhook_env", name));
        all.push(("alert", section));
    }
    if let Some(name) = inherited.refers("BACKUP_DB_CONNECTIONS") {
        let mut section = Addition::default();
        section.section("database").string("connections_env", name);
        all.push(("database", section));
    }
    all
}

fn tell(
    plan: &Plan,
    inherited: &Inherited,
    made: &Made,
    configured: &Configured,
    output: &Output,
) -> Result<(), Failure> {
    let id = made.id.to_string();
    let sheet = made.sheet.as_ref().map(|sheet| sheet.text.to_string_lossy());
    if output.json() {
        output.json_line(&json!({
            "message_type": "initialized",
            "id": id,
            "repository": plan.url.to_string(),
            "repository_made": made.founded,
            "recovery_key_file": sheet,
            "config": plan.config.to_string_lossy(),
            "config_changed": configured.changed,
            "paths": inherited.paths,
            "copy": inherited.copy.as_ref().map(|bucket| &bucket.url),
            "variables": inherited.referred.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }))?;
        return Ok(());
    }
    let shown = |text: &str| escape::line(text);
    let what = if made.founded { "made" } else { "found" };
    output.remark(&format!("repository     {what} {} at {}", &id[..8], shown(&plan.url.to_string())))?;
    output.remark(&format!("configuration  {}", shown(&plan.config.to_string_lossy())))?;
    for section in &configured.kept {
        output.remark(&format!("               [{}] was there already and stays as it is", shown(section)))?;
    }
    if let Some(copy) = &inherited.copy {
        output.remark(&format!("kept for later: the copy {}", shown(&copy.url)))?;
    }
    if !inherited.emails.is_empty() {
        output.remark("kept for later: the addresses of BACKUP_ALERT_EMAILS")?;
    }
    output.remark("These variables must stay set; the configuration holds their names, not what they hold:")?;
    for (name, what) in &inherited.referred {
        output.remark(&format!("  {name:<24}{what}"))?;
    }
    if let Some(sheet) = &made.sheet {
        tell_sheet(sheet, false, output)?;
    }
    Ok(output.remark("next: boveda snapshot")?)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_old_systems_files_stay_apart() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in ["empty", "old", "ours/slots"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("old/full.tar.gz"), "").unwrap();
        std::fs::write(at("ours/config"), "").unwrap();
        for (folder, expected) in [("empty", "empty"), ("missing", "missing"), ("old", "old/boveda"), ("ours", "ours")]
        {
            assert_eq!(repository_folder(&at(folder)).unwrap(), at(expected));
        }
    }
}
