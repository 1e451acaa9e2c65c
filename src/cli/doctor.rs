//! `boveda doctor`: is everything there that snapshots, restores and mounts need?

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, open};
use super::output::Output;
use super::{escape, time};
use crate::ops::doctor::{self, Finding, Status};
use crate::repo::entry::Timestamp;
use crate::secrets::Stored;
use crate::store::url::StoreUrl;

/// See whether everything is there that boveda needs, and what to do where it is not
///
/// Looks at configuration, repository, keys, folders, room, clock and FUSE, and changes nothing. Exit code 1 when snapshots or
/// restores would fail; warnings alone end with 0.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Looks.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let mut findings = vec![configuration(context)];
    // A configuration that is wrong has been named; nothing that depends on it can be looked at.
    if findings[0].status != Status::Broken {
        findings.extend(secret(context));
        findings.extend(sources(context));
        let (reached, newest) = repository(context, &output);
        findings.extend(reached);
        findings.push(doctor::clock(time::now(), newest));
        findings.extend(folders(context));
    }
    let root = rustix::process::geteuid().is_root();
    findings.push(doctor::fuse("/dev/fuse".as_ref(), &search(context), root));
    findings.extend(doctor::limits());
    findings.iter().try_for_each(|finding| print(finding, &output))?;
    finish(&findings, &output)
}

fn configuration(context: &Context) -> Finding {
    match context.config() {
        Ok(Some(config)) => Finding::ok("configuration", format!("{} is right", config.path.display())),
        Ok(None) => Finding::ok("configuration", "there is none, and none is needed (`boveda setup` makes one)"),
        Err(failure) => Finding::broken(
            "configuration",
            failure.message,
            failure.hint.unwrap_or_else(|| "docs/configuration.md has every key".to_owned()),
        ),
    }
}

/// Folders that programs are found in.
fn search(context: &Context) -> Vec<PathBuf> {
    context.variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// What the configuration says about the secret of the repository in use, if it says something.
fn stored(context: &Context) -> Option<Stored> {
    let (_, section) = context.section().ok()??;
    section.secret(context.home().as_deref()).ok()
}

/// Who else may read what opens the repository; and whether the command that gives it is there.
fn secret(context: &Context) -> Vec<Finding> {
    let flags = context.global.secret.sources();
    let stored = stored(context).unwrap_or_default();
    let variable = |name: &str| context.variable(name).map(PathBuf::from);
    let files = [
        ("password file", flags.password_file.or_else(|| variable("BOVEDA_PASSWORD_FILE")).or(stored.password_file)),
        ("key file", flags.key_file.or_else(|| variable("BOVEDA_KEY_FILE")).or(stored.key_file)),
    ];
    let mut findings: Vec<Finding> =
        files.into_iter().filter_map(|(name, file)| doctor::closed(name, &file?)).collect();
    let line = |name: &str| context.variable(name).and_then(|line| line.into_string().ok());
    let commands = [
        flags.password_command.or_else(|| line("BOVEDA_PASSWORD_COMMAND")).or(stored.password_command),
        flags.key_command.or_else(|| line("BOVEDA_KEY_COMMAND")).or(stored.key_command),
    ];
    for line in commands.into_iter().flatten() {
        let Some(name) = shlex::split(&line).and_then(|words| words.into_iter().next()) else { continue };
        findings.push(match doctor::program(&name, &search(context)) {
            Some(path) => Finding::ok("tools", format!("{} gives the secret", path.display())),
            None => Finding::broken(
                "tools",
                format!("there is no program {name}, which is to give the secret"),
                "install it, or name it by its whole path",
            ),
        });
    }
    findings
}

/// Whether what is to be kept can be read.
fn sources(context: &Context) -> Vec<Finding> {
    let home = context.home();
    let settings = context.snapshot_settings().unwrap_or_default();
    let paths = settings.paths.iter().filter_map(|path| path.resolve(home.as_deref()).ok());
    paths.map(|path| doctor::readable(&path)).collect()
}

/// Whether the repository can be reached and opened; and when its newest snapshot was taken.
fn repository(context: &Context, output: &Arc<Output>) -> (Vec<Finding>, Option<Timestamp>) {
    const CHECK: &str = "repository";
    let broken = |failure: Failure| {
        let cure = failure.hint.unwrap_or_else(|| "docs/exit-codes.md says more".to_owned());
        Finding::broken(CHECK, failure.message, cure)
    };
    let url = match context.repository() {
        Ok(meant) => meant.url,
        Err(failure) if nothing_names_one(context) => {
            let cure = failure.hint.unwrap_or_default();
            return (vec![Finding::warning(CHECK, "no repository is named: nothing is kept", cure)], None);
        }
        Err(failure) => return (vec![broken(failure)], None),
    };
    let mut findings: Vec<Finding> = url.local().map(|folder| doctor::free("repository", folder)).into_iter().collect();
    if !secret_is_named(context) {
        findings.push(reached(&url, context, output));
        return (findings, None);
    }
    match open(context, output) {
        Ok(Opened { repository, .. }) => {
            let role = repository.bundle().role();
            let count = repository.snapshots().len();
            findings.push(Finding::ok(CHECK, format!("{url} opens with {role}'s keys and has {count} snapshots")));
            if role.writes()
                && let Some(folder) = url.local()
            {
                findings.push(doctor::writable(CHECK, "repository", folder));
            }
            let newest = repository.snapshots().iter().map(|snapshot| snapshot.time()).max_by_key(|time| time.seconds);
            (findings, newest)
        }
        Err(failure) => {
            findings.push(broken(failure));
            (findings, None)
        }
    }
}

fn nothing_names_one(context: &Context) -> bool {
    let flags = &context.global.repository;
    let flag = flags.repo.is_some() || flags.repository_file.is_some();
    let variable = ["BOVEDA_REPOSITORY", "BOVEDA_REPOSITORY_FILE"].iter().any(|name| context.variable(name).is_some());
    !flag && !variable
}

/// Whether the secret can be had without asking somebody.
fn secret_is_named(context: &Context) -> bool {
    let given = crate::secrets::origin(&context.global.secret.sources(), &context.environment);
    // Two that contradict each other are named by opening.
    !matches!(given, Ok(None)) || stored(context).is_some_and(|stored| !matches!(stored.origin(), Ok(None)))
}

/// The repository without what opens it.
fn reached(url: &StoreUrl, context: &Context, output: &Arc<Output>) -> Finding {
    let looked = context.open_store(output).and_then(|store| Ok(crate::repo::repository::look(&store, &**output)?));
    match looked {
        Ok(_) => Finding::warning(
            "repository",
            format!("{url} is there; whether it opens was not tried, since nothing names what opens it"),
            "name it with --key-file, --password-file, a variable, or in the configuration",
        ),
        Err(failure) => Finding::broken("repository", failure.message, failure.hint.unwrap_or_default()),
    }
}

/// The folders of state and caches.
fn folders(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (check, name, folder) in
        [("state", "state folder", context.state_folder()), ("cache", "cache folder", context.cache_folder())]
    {
        match folder {
            Ok(folder) => {
                findings.push(doctor::writable(check, name, &folder));
                findings.push(doctor::free(name, &folder));
                findings.extend(doctor::closed(name, &folder));
            }
            Err(failure) => findings.push(Finding::broken(check, failure.message, "set HOME")),
        }
    }
    findings
}

fn print(finding: &Finding, output: &Output) -> Result<(), Failure> {
    let Finding { check, status, message, cure } = finding;
    if output.json() {
        return Ok(output.json_line(&json!({
            "message_type": "finding", "check": check, "status": status.word(), "message": message, "cure": cure,
        }))?);
    }
    let text = format!("{:<8} {check:<14} {}", status.word(), escape::line(message));
    match status {
        Status::Ok => output.remark(&text)?,
        _ => output.line(&text)?,
    }
    if let Some(cure) = cure {
        output.line(&format!("{:<24}{}", "", escape::line(cure)))?;
    }
    Ok(())
}

fn finish(findings: &[Finding], output: &Output) -> Result<Code, Failure> {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (warnings, broken) = (count(Status::Warning), count(Status::Broken));
    if output.json() {
        output.json_line(&json!({ "message_type": "summary", "warnings": warnings, "broken": broken }))?;
    } else {
        output.remark(&match (warnings, broken) {
            (0, 0) => "all is well".to_owned(),
            (warnings, broken) => format!("{broken} broken, {warnings} to look at"),
        })?;
    }
    Ok(if broken > 0 { Code::Failed } else { Code::Ok })
}
