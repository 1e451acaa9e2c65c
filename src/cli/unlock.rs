//! `boveda unlock`: there is nothing to unlock, and this says why.

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};

/// Say why there is nothing to unlock
///
/// Repositories have no locks. Any number of machines take snapshots, read and prune at the same time; what a run leaves that was
/// killed is used or ended by the next one. For scripts that call it after a crash: it does nothing, and ends with 0.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Taken from scripts made for other tools; changes nothing
    #[arg(long, hide = true)]
    remove_all: bool,
}

/// Says it.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    if output.json() {
        output.json_line(&json!({ "message_type": "unlocked", "locks": 0 }))?;
    }
    output.remark_for_people(
        "nothing to do: a repository has no locks, and whatever a killed run left is used by the next one",
    )?;
    Ok(Code::Ok)
}
