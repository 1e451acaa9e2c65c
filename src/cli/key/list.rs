//! `boveda key list`.

use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::open::open;
use crate::cli::output::Output;
use crate::cli::{escape, time};
use crate::repo::entry::Timestamp;
use crate::repo::id::{PrincipalId, SlotId};
use crate::repo::keys::slot::SlotHeader;
use crate::repo::repository::Member;

/// Show the principals, their roles and slots, and whom they trust
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Lists them.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let opened = open(context, &output)?;
    let members = opened.repository.members()?;
    let mine = (opened.repository.bundle().principal_id(), opened.repository.slot());
    for member in &members {
        if output.json() {
            print_json(member, mine, &output)?;
        } else {
            print(member, &members, mine, (context, &output))?;
        }
    }
    Ok(output.code())
}

fn print(
    member: &Member,
    all: &[Member],
    (me, slot): (PrincipalId, SlotId),
    (context, output): (&Context, &Output),
) -> Result<(), Failure> {
    let cert = &member.cert;
    let mut notes = String::new();
    if member.id == me {
        notes += "  (you)";
    }
    if let Some(reason) = &member.revoked {
        notes += &match reason.as_str() {
            "" => "  (revoked)".to_owned(),
            reason => format!("  (revoked: {})", escape::line(reason)),
        };
    }
    let id = &member.id.to_string()[..8];
    output.line(&format!("{:<10} {:<16} {id}{notes}", cert.role, escape::line(&cert.label)))?;
    if !cert.trusts.is_empty() {
        let label = |id: &PrincipalId| {
            let known = all.iter().find(|other| other.id == *id);
            known.map_or_else(|| id.to_string(), |other| escape::line(&other.cert.label))
        };
        output
            .line(&format!("           relies on {}", cert.trusts.iter().map(label).collect::<Vec<_>>().join(", ")))?;
    }
    for (id, header) in in_order(member, slot) {
        let created = time::local(Timestamp { seconds: header.created, nanoseconds: 0 }, &context.zone);
        let current = if *id == slot { "  (in use)" } else { "" };
        output.line(&format!(
            "           slot {}  {:<12} {created}{current}",
            &id.to_string()[..8],
            header.kind.noun()
        ))?;
    }
    Ok(())
}

/// Ids are chance, and several slots can be of one second: the slot in use comes first, then kind by kind, the older ones first.
fn in_order(member: &Member, current: SlotId) -> impl Iterator<Item = &(SlotId, SlotHeader)> {
    let mut slots: Vec<_> = member.slots.iter().collect();
    slots.sort_by_key(|(id, header)| (*id != current, header.kind.noun(), header.created));
    slots.into_iter()
}

fn print_json(member: &Member, (me, slot): (PrincipalId, SlotId), output: &Output) -> Result<(), Failure> {
    let slots = in_order(member, slot).map(|(id, header)| {
        json!({
            "id": id.to_string(),
            "kind": header.kind.noun(),
            "created": time::rfc3339(Timestamp { seconds: header.created, nanoseconds: 0 }),
            "current": *id == slot,
        })
    });
    output.json_line(&json!({
        "message_type": "principal",
        "id": member.id.to_string(),
        "label": member.cert.label,
        "role": member.cert.role.name(),
        "current": member.id == me,
        "trusts": member.cert.trusts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "revoked": member.revoked,
        "slots": slots.collect::<Vec<_>>(),
    }))?;
    Ok(())
}
