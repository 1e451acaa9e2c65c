//! `boveda repair sessions`.

use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::inside::session_id;
use crate::cli::open::{open, require};
use crate::cli::output::{Output, count};
use crate::cli::{escape, time};
use crate::ops::repair::sessions::{self as op, Summary, Undecided};
use crate::repo::entry::Timestamp;
use crate::repo::keys::role::Role;
use crate::repo::names::Name;

/// Decide about snapshots that are gone, and about sessions whose end nobody can understand
///
/// Either stops every prune, since what was stored for them may still be needed. With --yes such a session counts as never committed, and
/// a snapshot that is gone from its writer's chain as gone for good; nothing is removed, and what was stored goes with a later prune. Until then
/// `boveda recover` finds the files; `boveda sync` brings a snapshot back that another copy of the repository still has. For
/// maintainers, who have to wait until the session's writer has been silent for a week, and for admins. Without --yes it ends
/// with exit code 4 when there is anything to decide.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Yes, give them up
    #[arg(long)]
    yes: bool,
}

/// Shows what is to be decided, and decides it if told to.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let mut opened = open(context, &output)?;
    require(&opened.repository, Role::may_maintain, "deciding what became of sessions")?;
    let undecided = op::look(&opened.repository, &opened.host, Timestamp::now().seconds, &*output);
    show(&undecided, (context, &output))?;
    let summary = if arguments.yes {
        let summary = op::decide(&mut opened.repository, &undecided)?;
        opened.host.remember(&opened.repository);
        summary
    } else {
        Summary::default()
    };
    sum_up(&undecided, &summary, arguments.yes, &output)?;
    // What was told as damage on opening is what was decided, if it is no more than that.
    Ok(match undecided.is_empty() {
        true => output.code(),
        false if !arguments.yes || summary.waiting > 0 => Code::Damage,
        false if output.damage() <= undecided.len() => Code::Ok,
        false => output.code(),
    })
}

fn show(undecided: &Undecided, (context, output): (&Context, &Output)) -> Result<(), Failure> {
    let at = |seconds| Timestamp { seconds, nanoseconds: 0 };
    for end in &undecided.ends {
        let (name, reason) = (Name::End(end.session).to_string(), end.flaw.to_string());
        if output.json() {
            output.json_line(&json!({
                "message_type": "bad_end",
                "session": session_id(&end.session),
                "object": name,
                "reason": reason,
                "waits_until": end.waits.map(|until| time::rfc3339(at(until))),
            }))?;
            continue;
        }
        output.line(&format!("{name}: {}", escape::line(&reason)))?;
        output.line(&match end.waits {
            None => "    nobody can tell whether this session committed a snapshot".to_owned(),
            Some(until) => format!(
                "    an admin may give it up now, a maintainer from {}, if its writer stays silent",
                time::local(at(until), &context.zone)
            ),
        })?;
    }
    for gone in &undecided.missing {
        if output.json() {
            output.json_line(&json!({
                "message_type": "gap",
                "snapshot": gone.snapshot.to_string(),
                "writer": gone.writer.to_string(),
                "after": gone.after.to_string(),
            }))?;
            continue;
        }
        output.line(&format!("snapshot {} of writer {} is gone", gone.snapshot, gone.writer))?;
        output.line(&format!("    snapshot {} came after it", gone.after))?;
    }
    Ok(())
}

fn sum_up(undecided: &Undecided, summary: &Summary, yes: bool, output: &Output) -> Result<(), Failure> {
    if output.json() {
        let given_up: Vec<String> = summary.given_up.iter().map(session_id).collect();
        let accepted: Vec<String> = summary.accepted.iter().map(ToString::to_string).collect();
        output.json_line(&json!({
            "message_type": "summary", "found": undecided.len(), "given_up": given_up, "accepted": accepted,
            "waiting": summary.waiting,
        }))?;
    } else if undecided.is_empty() {
        output.remark("all is well: every session's end is understood, and no snapshot is gone from its chain")?;
    } else if yes {
        let (ends, gone) = (summary.given_up.len(), summary.accepted.len());
        output.remark(&format!(
            "{} given up, {} accepted as gone, {} left until later",
            count(ends, "session"),
            count(gone, "snapshot"),
            count(summary.waiting, "session")
        ))?;
    } else {
        output.remark(
            "`boveda repair sessions --yes` gives them up; it removes nothing. `boveda sync` from another copy of the repository brings back what \
             is still there, and `boveda recover` finds the files of a snapshot until a prune",
        )?;
    }
    Ok(())
}
