//! `boveda version`.

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};

/// The newest format of repositories that this program writes; it reads all of them.
const FORMAT: u32 = 1;

/// Show the version of this program and of the repository format
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Prints the version.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    let version = env!("CARGO_PKG_VERSION");
    if output.json() {
        output.json_line(&json!({ "message_type": "version", "version": version, "repository_format": FORMAT }))?;
    } else {
        output.line(&format!("boveda {version} (repository format {FORMAT})"))?;
    }
    Ok(Code::Ok)
}
