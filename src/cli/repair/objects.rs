//! `boveda repair objects`.

use std::ffi::OsString;
use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::copies::Target;
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::open::{open, require};
use crate::cli::output::{count, size};
use crate::ops::repair::objects::{self, Means};
use crate::repo::keys::role::Role;

/// Put back what parity or a second copy still has
///
/// Every object is read. What is damaged and can be healed is written anew, checked, and only then put in its place; what cannot
/// be healed is named and left as it is, and the exit code is 4; packs among it are marked, so that the next snapshot of each source stores
/// again what that still has of them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; show what would be put back
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Another copy of the repository, where what is beyond repair here may still be: a location, or @NAME of the configuration
    #[arg(long, value_name = "LOCATION")]
    from: Option<OsString>,
}

/// Repairs.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let mut opened = open(context, &output)?;
    require(&opened.repository, Role::may_maintain, "repairing")?;
    let other = arguments.from.as_ref().map(|from| Target::named(from, context)).transpose()?;
    let other = other.map(|other| other.open()).transpose()?;
    let repaired = objects::repair_from(&mut opened.repository, other.as_deref(), arguments.dry_run, &*output);
    let summary = repaired.map_err(|error| output.stopped(error.into()))?;
    opened.host.remember(&opened.repository);
    output.clear();
    for mended in &summary.mended {
        let means = match mended.means {
            Means::Parity => "parity",
            Means::OtherCopy => "other copy",
            Means::Keys => "keys at hand",
            Means::OtherPlace => "other place",
        };
        if output.json() {
            output.json_line(&json!({
                "message_type": "repaired", "object": mended.name.to_string(), "by": means, "dry_run": arguments.dry_run,
            }))?;
        } else {
            let verb = if arguments.dry_run { "would mend" } else { "mended" };
            output.line(&escape::line(&format!("{verb} {}: {means}", mended.name)))?;
        }
    }
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "dry_run": arguments.dry_run, "objects": summary.objects,
            "bytes_read": summary.bytes, "repaired": summary.mended.len(), "num_errors": summary.left.len(),
            "packs_marked": summary.suspects.marked.len(), "packs_cleared": summary.suspects.cleared.len(),
            "total_duration": summary.seconds,
        }))?;
    } else {
        output.remark(&format!(
            "{} of {} objects {}, {} beyond repair; {} read in {:.1} s",
            summary.mended.len(),
            summary.objects,
            if arguments.dry_run { "to mend" } else { "mended" },
            summary.left.len(),
            size(summary.bytes),
            summary.seconds
        ))?;
        if !summary.suspects.marked.is_empty() {
            output.remark(&format!(
                "{} marked: the next snapshot stores again what the source still has of what they held",
                count(summary.suspects.marked.len(), "pack")
            ))?;
        }
    }
    Ok(if summary.left.is_empty() { output.code() } else { Code::Damage })
}
