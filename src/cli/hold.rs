//! `boveda hold`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{open_near, require};
use super::output::Output;
use super::{escape, time};
use crate::repo::entry::Timestamp;
use crate::repo::id::HoldId;
use crate::repo::keys::role::Role;
use crate::repo::log::ledger::Hold;
use crate::repo::repository::Repository;

/// Stop all forgetting and pruning until somebody has looked
///
/// Without --why it shows the holds in force. Nothing else is stopped: snapshots are taken and restored as ever. `boveda release` ends a hold. Placing one needs a
/// maintainer's or an admin's keys.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Place a hold, for this reason
    #[arg(long, value_name = "REASON")]
    why: Option<String>,
}

/// Places a hold, or shows those in force.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    if arguments.why.as_ref().is_some_and(|why| why.trim().is_empty()) {
        return Err(Failure::usage("a hold needs a reason: whoever meets it must know what to look at"));
    }
    let mut opened = open_near(context, &output)?;
    match &arguments.why {
        Some(why) => {
            require(&opened.repository, Role::may_maintain, "placing a hold")?;
            let id = opened.repository.hold(why)?;
            opened.host.remember(&opened.repository);
            let repository = &opened.repository;
            if let Some(hold) = repository.log().state.ledger().holds.get(&id) {
                print((&id, hold), repository, context, &output)?;
            }
        }
        None => {
            require(&opened.repository, Role::reads_structure, "showing holds")?;
            let repository = &opened.repository;
            let mut holds: Vec<_> = repository.log().state.ledger().holds.iter().collect();
            holds.sort_by_key(|(_, hold)| hold.position);
            for hold in &holds {
                print(*hold, repository, context, &output)?;
            }
            if holds.is_empty() {
                output.remark_for_people("no hold is in force")?;
            }
        }
    }
    Ok(output.code())
}

fn print(
    (id, hold): (&HoldId, &Hold),
    repository: &Repository,
    context: &Context,
    output: &Output,
) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.json_line(&json(id, hold, repository))?);
    }
    let (time, who) = (time::local(at(hold), &context.zone), who(hold, repository));
    let why = escape::line(&hold.reason);
    Ok(output.line(&format!("{}  {time}  {}: {why}", &id.to_string()[..8], escape::line(&who)))?)
}

fn json(id: &HoldId, hold: &Hold, repository: &Repository) -> Value {
    json!({
        "message_type": "hold",
        "id": id.to_string(),
        "why": hold.reason,
        "asked_by": hold.asked_by.to_string(),
        "label": who(hold, repository),
        "time": time::rfc3339(at(hold)),
    })
}

fn who(hold: &Hold, repository: &Repository) -> String {
    let principal = repository.log().state.trust().principal(&hold.asked_by);
    principal.map_or_else(|| hold.asked_by.to_string(), |principal| principal.cert.label.clone())
}

const fn at(hold: &Hold) -> Timestamp {
    Timestamp { seconds: hold.time, nanoseconds: 0 }
}
