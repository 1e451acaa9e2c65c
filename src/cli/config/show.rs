//! `boveda config show`: every setting that holds, and what says so. Secrets are never shown, only what names them.

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::output::Output;
use crate::secrets;

/// Show every setting that holds, and what says so; secrets are hidden
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// A setting, and who says so.
struct Setting {
    key: String,
    value: Value,
    rank: &'static str,
    origin: String,
}

/// Shows them.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    let config = context.config()?;
    let path = config.map(|config| config.path.display().to_string());
    print(&setting("config", path.clone().into(), file_rank(path.as_deref()), chosen_by(context)), &output)?;
    for setting in effective(context)? {
        print(&setting, &output)?;
    }
    let (Some(config), Some(path)) = (config, path) else { return Ok(Code::Ok) };
    let settings = serde_json::to_value(&config.settings).unwrap_or_default();
    let mut flat = Vec::new();
    flatten("", &settings, &mut flat);
    for (key, value) in flat {
        print(&setting(&key, value, "file", path.clone()), &output)?;
    }
    Ok(Code::Ok)
}

fn setting(key: &str, value: Value, rank: &'static str, origin: impl Into<String>) -> Setting {
    Setting { key: key.to_owned(), value, rank, origin: origin.into() }
}

fn file_rank(path: Option<&str>) -> &'static str {
    if path.is_some() { "file" } else { "default" }
}

fn chosen_by(context: &Context) -> String {
    match (&context.global.repository.config, context.variable("BOVEDA_CONFIG")) {
        (Some(_), _) => "--config".to_owned(),
        (None, Some(_)) => "BOVEDA_CONFIG".to_owned(),
        (None, None) => "the first that is there".to_owned(),
    }
}

/// What a command would use now, whoever says so.
fn effective(context: &Context) -> Result<Vec<Setting>, Failure> {
    let mut all = Vec::new();
    match context.repository() {
        Ok(meant) => {
            all.push(setting("in use: repository", meant.url.to_string().into(), rank(&meant.origin), meant.origin));
            all.push(secret(context)?);
        }
        // That there is none is no failure of showing so.
        Err(_) => all.push(setting("in use: repository", Value::Null, "default", "nothing names one")),
    }
    let given = (&context.global.repository.cache_dir, context.variable("BOVEDA_CACHE_DIR"));
    let configured = context.config()?.filter(|config| config.settings.cache_dir.is_some());
    let (rank, origin) = match (given, configured) {
        ((Some(_), _), _) => ("flag", "--cache-dir".to_owned()),
        ((None, Some(_)), _) => ("environment", "BOVEDA_CACHE_DIR".to_owned()),
        (_, Some(config)) => ("file", config.path.display().to_string()),
        _ => ("default", "default".to_owned()),
    };
    all.push(setting("in use: cache folder", context.cache_folder()?.to_string_lossy().into(), rank, origin));
    all.push(setting("in use: state folder", context.state_folder()?.to_string_lossy().into(), "default", "default"));
    Ok(all)
}

/// What names the secret, never the secret.
fn secret(context: &Context) -> Result<Setting, Failure> {
    let usage = |error: secrets::Error| Failure::because(Code::Usage, &error);
    let key = "in use: opened by";
    let given = secrets::origin(&context.global.secret.sources(), &context.environment).map_err(usage)?;
    if let Some(origin) = given {
        return Ok(setting(key, origin.0.into(), rank(origin.0), origin.0));
    }
    if let Some((name, section)) = context.section()? {
        let stored = section.secret(context.home().as_deref()).map_err(Failure::usage)?;
        if let Some(origin) = stored.origin().map_err(usage)? {
            let key_name = format!("repository.{name}.{origin}");
            let path = context.config()?.map(|config| config.path.display().to_string()).unwrap_or_default();
            return Ok(setting(key, key_name.into(), "file", path));
        }
    }
    Ok(setting(key, "what is typed on the terminal".into(), "default", "default"))
}

fn rank(origin: &str) -> &'static str {
    match origin {
        _ if origin.starts_with("--") => "flag",
        _ if origin.starts_with("BOVEDA_") => "environment",
        _ => "file",
    }
}

/// Every value that says something, under its dotted key.
fn flatten(key: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&below, value, into);
            }
        }
        Value::Null | Value::Bool(false) => {}
        Value::Array(values) if values.is_empty() => {}
        _ => into.push((key.to_owned(), value.clone())),
    }
}

fn print(setting: &Setting, output: &Output) -> Result<(), Failure> {
    let Setting { key, value, rank, origin } = setting;
    if output.json() {
        let key = key.strip_prefix("in use: ").map_or_else(|| key.clone(), |key| key.replace(' ', "_"));
        let line = json!({ "message_type": "setting", "key": key, "value": value, "rank": rank, "origin": origin });
        return Ok(output.json_line(&line)?);
    }
    let text = match value {
        Value::String(text) => escape::line(text),
        Value::Array(values) => values.iter().map(|value| escape::line(&plain(value))).collect::<Vec<_>>().join(", "),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    Ok(output.line(&format!("{key:<28} {text}  ({})", escape::line(origin)))?)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
