//! `boveda repair log`.

use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::open::{open, require};
use crate::cli::output::Output;
use crate::cli::{escape, time};
use crate::ops::repair::log as op;
use crate::repo::entry::Timestamp;
use crate::repo::id::PrincipalId;
use crate::repo::keys::role::Role;
use crate::repo::repository::{Doubtful, Repository};

/// Let the log of decisions go on that something damaged or forged has stopped
///
/// Shows what stands at the log's end without verifying, and what it claims to be. With --yes an entry whose first copy is lost
/// gets it back from the second; what does not verify even so is voided: it stays where it is, and counts for nobody. If
/// it was a decision, take it again. What lies beyond the log's end has no place there: delete it in the store. For admins. Without --yes it ends with exit code 4 when there is anything to mend.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Yes, mend the log
    #[arg(long)]
    yes: bool,
}

/// Shows what stops the log, and mends it if told to.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let mut opened = open(context, &output)?;
    require(&opened.repository, Role::may_certify, "repairing the log")?;
    let found = op::look(&opened.repository)?;
    for doubtful in &found {
        show(doubtful, &opened.repository, (context, &output))?;
    }
    let done = arguments.yes && !found.is_empty();
    let summary = if done {
        let summary = op::mend(&mut opened.repository)?;
        opened.host.remember(&opened.repository);
        summary
    } else {
        op::Summary { restored: Vec::new(), voided: Vec::new() }
    };
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "found": found.len(), "restored": summary.restored, "voided": summary.voided,
        }))?;
    } else if found.is_empty() {
        output.remark("all is well: everything in the log verifies")?;
    } else if done {
        let (restored, voided) = (summary.restored.len(), summary.voided.len());
        output.remark(&format!("the log goes on: {restored} entries count again, {voided} objects were voided"))?;
    } else {
        output.remark("`boveda repair log --yes` mends this; it removes nothing")?;
    }
    // What was told as damage on opening is what was mended, if it is no more than that.
    let mended = done && output.damage() <= found.len();
    Ok(match (mended, done || found.is_empty()) {
        (true, _) => Code::Ok,
        (false, true) => output.code(),
        (false, false) => Code::Damage,
    })
}

fn show(found: &Doubtful, repository: &Repository, (context, output): (&Context, &Output)) -> Result<(), Failure> {
    let (position, reason) = (found.doubt.position, found.doubt.reason.to_string());
    let action = match (found.unproven(), found.beyond()) {
        (true, _) => "restore",
        (_, true) => "delete",
        _ => "void",
    };
    let at = |seconds| Timestamp { seconds, nanoseconds: 0 };
    if output.json() {
        output.json_line(&json!({
            "message_type": "log_entry",
            "position": position,
            "reason": reason,
            "action": action,
            "decision": found.claim.map(|claim| claim.word),
            "author": found.claim.map(|claim| claim.author.to_string()),
            "label": found.claim.and_then(|claim| label(repository, &claim.author)),
            "time": found.claim.map(|claim| time::rfc3339(at(claim.time))),
            "signed": found.claim.map(|claim| claim.signed),
        }))?;
        return Ok(());
    }
    output.line(&format!("log entry {position}: {}", escape::line(&reason)))?;
    output.line(&match &found.claim {
        None => "    it cannot be opened, so nobody knows what it was".to_owned(),
        Some(claim) => {
            let who = label(repository, &claim.author).map_or_else(|| "nobody known".to_owned(), |l| escape::line(&l));
            let signed = if claim.signed { "who signed it" } else { "who did not sign it" };
            let time = time::local(at(claim.time), &context.zone);
            format!("    it claims to be {} of {time} by {who} ({}), {signed}", claim.word, claim.author)
        }
    })?;
    Ok(())
}

fn label(repository: &Repository, id: &PrincipalId) -> Option<String> {
    Some(repository.log().state.trust().principal(id)?.cert.label.clone())
}
