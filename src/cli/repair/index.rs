//! `boveda repair index`.

use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::open::{open, require};
use crate::cli::output::count;
use crate::ops::repair::index;
use crate::repo::keys::role::Role;

/// Make lost indexes anew from the packs
///
/// Commands go on without a lost index, but read all packs' tables at every run instead. New indexes stand in for the lost ones from
/// now on; what is left of a lost one beyond repair is removed once they do. Needs an admin's keys.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Repairs.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let mut opened = open(context, &output)?;
    require(&opened.repository, Role::may_certify, "repairing indexes")?;
    let writer = opened.host.writer(&opened.repository)?;
    let summary = index::repair(&mut opened.repository, writer.writer)?;
    output.clear();
    if output.json() {
        let names = |names: &[crate::repo::names::Name]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        output.json_line(&json!({
            "message_type": "summary", "lost": names(&summary.lost), "made": names(&summary.made),
            "packs": summary.packs, "packs_unreadable": summary.unreadable.len(),
        }))?;
    } else if summary.lost.is_empty() {
        output.remark("every index can be read")?;
    } else {
        output.remark(&format!(
            "{}: {} made anew from the tables of {}",
            count(summary.lost.len(), "lost index"),
            summary.made.len(),
            count(summary.packs, "pack")
        ))?;
    }
    for (pack, why) in &summary.unreadable {
        output.warn(format!("{pack} is not in them: {why}"));
    }
    Ok(if summary.unreadable.is_empty() { output.code() } else { Code::Damage })
}
