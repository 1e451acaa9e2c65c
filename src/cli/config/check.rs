//! `boveda config check`.

use std::path::Path;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::output::{Output, count};
use crate::config::{Config, Settings};

/// Check the configuration: exit code 2 and the line of whatever is wrong
///
/// Only the file is checked; `boveda doctor` looks at what it names.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Checks it.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    match context.config()? {
        Some(config) => {
            warn(config, context, &output);
            report(config, &output)?;
        }
        None => nothing(context, &output)?,
    }
    Ok(output.code())
}

/// What is right in itself and probably not meant.
fn warn(config: &Config, context: &Context, output: &Output) {
    let settings = &config.settings;
    if settings.repository.len() > 1 && settings.default_repository.is_none() {
        output.warn("there are several repositories and no default_repository: each command needs -r @NAME");
    }
    let home = context.home();
    for (name, repository) in &settings.repository {
        if let Err(reason) = repository.url.resolve(home.as_deref()) {
            output.warn(format!("repository.{name}.url: {reason}"));
        }
        let Ok(secret) = repository.secret(home.as_deref()) else { continue };
        for (key, file) in [("password_file", &secret.password_file), ("key_file", &secret.key_file)] {
            if let Some(file) = file.as_deref().filter(|file| missing(file)) {
                output.warn(format!("repository.{name}.{key}: there is no {}", file.display()));
            }
        }
    }
    let paths = settings.snapshot.paths.iter().filter_map(|path| path.resolve(home.as_deref()).ok());
    for path in paths.filter(|path| missing(path)) {
        output.warn(format!("snapshot.paths: there is no {}", path.display()));
    }
}

fn missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn report(config: &Config, output: &Output) -> Result<(), Failure> {
    let Settings { repository, snapshot, .. } = &config.settings;
    let path = config.path.to_string_lossy();
    if output.json() {
        let names: Vec<_> = repository.keys().map(ToString::to_string).collect();
        let line = json!({ "message_type": "config", "path": path, "repositories": names, "paths": snapshot.paths });
        return Ok(output.json_line(&line)?);
    }
    let (repositories, paths) = (repository.len(), snapshot.paths.len());
    output.remark(&format!(
        "{} is right: {}, {} to take snapshots of",
        escape::line(&path),
        count(repositories, "repository"),
        count(paths, "path")
    ))?;
    Ok(())
}

fn nothing(context: &Context, output: &Output) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.json_line(&json!({ "message_type": "config", "path": null }))?);
    }
    output.remark("there is no configuration, and none is needed; `boveda setup` makes one. Looked for:")?;
    for place in context.config_places()? {
        output.remark(&format!("  {}", escape::line(&place.path.to_string_lossy())))?;
    }
    Ok(())
}
