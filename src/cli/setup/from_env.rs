//! `boveda init --from-env`: takes over what an older system was told by its environment variables.
//!
//! Values that are no secrets go into the configuration; of secrets it holds the variables' names, never what they hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::configure::{self, Configured};
use super::inherited::{BESIDE, Bucket, Inherited, KEY};
use super::make::{self, Made};
use super::plan::{Opener, Plan};
use super::planning::config_file;
use super::tell_sheet;
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::output::Output;
use crate::config::{Addition, Name};
use crate::store::url::StoreUrl;

/// What the configuration calls the repository.
const NAME: &str = "main";
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
    let configured = configure::configure(&plan, &sections(&plan, &inherited))?;
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
        all.push((configure::WITH_REPOSITORY, section));
    }
    if !inherited.paths.is_empty() {
        all.push(("snapshot", configure::snapshot_section(plan)));
    }
    all.push(("retention", configure::retention_section()));
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
        output.remark(&format!("copy           {}, brought up to date by each snapshot", shown(&copy.url)))?;
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
