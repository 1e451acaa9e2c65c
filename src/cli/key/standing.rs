//! `boveda key add`, `trust`, `revoke`: who there is, and what they count for. For admins.

use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::new_secret::NewSecret;
use crate::cli::open::{Opened, open, require};
use crate::cli::output::Output;
use crate::repo::keys::role::Role;

/// Add a principal with keys of its own, opened by a new password or key file
#[derive(Debug, clap::Args)]
pub struct Add {
    /// writer (adds snapshots, reads nothing), reader, maintainer (tidies up, sees no names) or admin
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    secret: NewSecret,
    /// What it is called in `key list` and `key trust` [default: the role and a number]
    #[arg(long)]
    label: Option<String>,
}

/// Let writers rely on what another writer stored
#[derive(Debug, clap::Args)]
pub struct Trust {
    /// The writer to rely on: its label, or the beginning of its id
    label: String,
    /// Who is to rely on it: a label, or the beginning of an id [default: every other writer]
    #[arg(long, value_name = "LABEL")]
    by: Option<String>,
}

/// End a principal: what it adds from now on does not count, and it gets no new keys
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// Its label, or the beginning of its id
    label: String,
    /// Why, for the record
    #[arg(long, default_value = "")]
    reason: String,
}

fn open_as_admin(context: &Context, action: &str) -> Result<(Opened, Arc<Output>), Failure> {
    let output = Arc::new(context.output());
    let opened = open(context, &output)?;
    require(&opened.repository, Role::may_certify, action)?;
    Ok((opened, output))
}

/// Adds a principal.
pub fn add(arguments: &Add, context: &Context) -> Result<Code, Failure> {
    let (mut opened, output) = open_as_admin(context, "adding principals")?;
    let label = match &arguments.label {
        Some(label) => label.clone(),
        None => free_label(&opened, arguments.role)?,
    };
    let credential = arguments.secret.get(&output)?;
    let made = opened.repository.add_member(arguments.role, &label, &credential)?;
    opened.host.remember(&opened.repository);
    if output.json() {
        output.json_line(&json!({
            "message_type": "principal_added", "id": made.id.to_string(), "slot": made.slot.to_string(),
            "label": label, "role": arguments.role.name(),
        }))?;
    } else {
        output.remark(&format!("added the {} {label:?}", arguments.role))?;
    }
    Ok(output.code())
}

fn free_label(opened: &Opened, role: Role) -> Result<String, Failure> {
    let members = opened.repository.members()?;
    let taken = |label: &String| members.iter().any(|member| member.cert.label == *label);
    let free = (1..).map(|number| format!("{role}-{number}")).find(|label| !taken(label));
    Ok(free.expect("numbers do not run out"))
}

/// Lets writers rely on one.
pub fn trust(arguments: &Trust, context: &Context) -> Result<Code, Failure> {
    let (mut opened, output) = open_as_admin(context, "deciding who is trusted")?;
    let (whom, _) = opened.repository.member_named(&arguments.label)?;
    let who = match &arguments.by {
        Some(label) => vec![opened.repository.member_named(label)?.0],
        None => {
            let members = opened.repository.members()?;
            let others = members.iter().filter(|member| member.revoked.is_none() && member.id != whom);
            others.filter(|member| member.cert.role.writes()).map(|member| member.id).collect()
        }
    };
    for principal in &who {
        opened.repository.trust(*principal, whom)?;
    }
    opened.host.remember(&opened.repository);
    if output.json() {
        let by: Vec<_> = who.iter().map(ToString::to_string).collect();
        output.json_line(&json!({ "message_type": "trusted", "id": whom.to_string(), "by": by }))?;
    } else {
        let who = if who.len() == 1 { "1 writer relies".to_owned() } else { format!("{} writers rely", who.len()) };
        output.remark(&format!("{who} on {:?} now", arguments.label))?;
    }
    Ok(output.code())
}

/// Ends a principal.
pub fn revoke(arguments: &Revoke, context: &Context) -> Result<Code, Failure> {
    let (mut opened, output) = open_as_admin(context, "revoking principals")?;
    let id = match opened.repository.half_revoked(&arguments.label)? {
        Some(id) => id,
        None => opened.repository.member_named(&arguments.label)?.0,
    };
    if id == opened.repository.bundle().principal_id() {
        return Err(Failure::new(Code::Refused, "these are the keys in use: nobody revokes their own")
            .hint("let another admin do it"));
    }
    opened.repository.revoke(id, &arguments.reason)?;
    opened.host.remember(&opened.repository);
    if output.json() {
        output.json_line(&json!({ "message_type": "revoked", "id": id.to_string() }))?;
    } else {
        output.remark(&format!("revoked {:?}; its snapshots so far stay", arguments.label))?;
        output
            .remark("What it could read until now it may have kept; what comes from now on is sealed with new keys.")?;
    }
    Ok(output.code())
}
