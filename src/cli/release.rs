//! `boveda release`.

use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{open_near, require};
use super::{escape, output};
use crate::repo::id::HoldId;
use crate::repo::keys::role::Role;
use crate::repo::repository::Repository;

/// End a hold: forgetting and pruning go on
///
/// Needs a maintainer's or an admin's keys. `boveda hold` shows the holds in force.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The holds, by their ids or how these begin
    #[arg(value_name = "HOLD", required_unless_present = "all")]
    holds: Vec<String>,
    /// All that are in force
    #[arg(long, conflicts_with = "holds")]
    all: bool,
}

/// Ends them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let mut opened = open_near(context, &output)?;
    require(&opened.repository, Role::may_maintain, "releasing a hold")?;
    let chosen = chosen(arguments, &opened.repository)?;
    let mut released = 0;
    for (id, why) in chosen {
        if !opened.repository.release(id)? {
            output.warn(format!("hold {id} was released by somebody else meanwhile"));
            continue;
        }
        released += 1;
        if output.json() {
            output.json_line(&json!({ "message_type": "released", "id": id.to_string(), "why": why }))?;
        } else {
            output.line(&format!("{}  released: {}", &id.to_string()[..8], escape::line(&why)))?;
        }
    }
    opened.host.remember(&opened.repository);
    let left = opened.repository.log().state.ledger().holds.len();
    if left > 0 {
        output.remark_for_people(&format!("{} in force still", output::count(left, "hold")))?;
    } else if released == 0 {
        output.remark_for_people("no hold is in force")?;
    }
    Ok(output.code())
}

/// The holds that are meant, each with its reason, the oldest first.
fn chosen(arguments: &Arguments, repository: &Repository) -> Result<Vec<(HoldId, String)>, Failure> {
    let holds = &repository.log().state.ledger().holds;
    let mut chosen: Vec<_> = if arguments.all {
        holds.iter().collect()
    } else {
        let mut chosen = Vec::new();
        for text in &arguments.holds {
            let fits = |(id, _): &(&HoldId, _)| !text.is_empty() && id.to_string().starts_with(&text.to_lowercase());
            let found: Vec<_> = holds.iter().filter(fits).collect();
            match found[..] {
                [one] => chosen.push(one),
                [] => return Err(unknown(format!("no hold {text:?} is in force"))),
                _ => return Err(unknown(format!("{text:?} fits {} holds", found.len()))),
            }
        }
        chosen
    };
    chosen.sort_by_key(|(_, hold)| hold.position);
    chosen.dedup_by_key(|(id, _)| **id);
    Ok(chosen.into_iter().map(|(id, hold)| (*id, hold.reason.clone())).collect())
}

fn unknown(message: String) -> Failure {
    Failure::new(Code::Failed, message).hint("`boveda hold` shows the holds in force")
}
