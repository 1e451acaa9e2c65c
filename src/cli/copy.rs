//! `boveda copy`.

use std::ffi::OsString;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::global::Secret;
use super::open::{Opened, open, require};
use super::output::{Output, count, size};
use super::rewrite::not_committed;
use super::selector::Filter;
use super::several;
use super::snapshot_options::Compressing;
use crate::ops::copy::{self, Options, Outcome, Seen};
use crate::repo::id::SnapshotId;
use crate::repo::keys::role::Role;

/// Copy snapshots to another repository, sealed with its keys
///
/// What is copied is read, cut and sealed anew, as the other repository has it; time, host, user, paths and tags stay. A snapshot that was
/// copied before is left out. Needs keys that read the one and a writer's or an admin's of the other; with a writer's, what was copied
/// before cannot be told and is copied again. A second copy of the same repository is `boveda sync`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The repository that has the snapshots: a location, or @NAME of the configuration
    #[arg(value_name = "FROM")]
    from: OsString,
    /// The repository that gets them; it must be there
    #[arg(value_name = "TO")]
    to: OsString,
    /// Which (ID|latest|latest~N|@TIME); without any, all that pass the filters
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<OsString>,
    /// Write nothing; say what would be copied
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// A file that holds the password of TO, where it is another
    #[arg(
        long,
        value_name = "FILE",
        group = "to_secret",
        help_heading = "What opens TO (without any of these: as FROM)"
    )]
    to_password_file: Option<std::path::PathBuf>,
    /// A command that prints it
    #[arg(
        long,
        value_name = "COMMAND",
        group = "to_secret",
        help_heading = "What opens TO (without any of these: as FROM)"
    )]
    to_password_command: Option<String>,
    /// A raw key file, or a recovery file, of TO
    #[arg(
        long,
        value_name = "FILE",
        group = "to_secret",
        help_heading = "What opens TO (without any of these: as FROM)"
    )]
    to_key_file: Option<std::path::PathBuf>,
    /// A command that prints a raw key of TO
    #[arg(
        long,
        value_name = "COMMAND",
        group = "to_secret",
        help_heading = "What opens TO (without any of these: as FROM)"
    )]
    to_key_command: Option<String>,
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    filter: Filter,
}

/// Copies.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let from = context.at(arguments.from.clone());
    let to = other(arguments, context)?;
    if from.location()? == to.location()? {
        return Err(Failure::usage(format!("{} cannot be copied to itself", from.location()?)));
    }
    let selectors = match arguments.snapshots.is_empty() {
        true => Vec::new(),
        false => several::parse(&arguments.snapshots, &arguments.filter, context)?,
    };
    let source = open(&from, &output)?;
    require(&source.repository, copy::may_give, "copying from: they read nothing")?;
    let mut target = open(&to, &output)?;
    require(&target.repository, Role::writes, "adding snapshots")?;
    if source.repository.id() == target.repository.id() {
        return Err(Failure::usage("both are copies of the same repository")
            .hint("`boveda sync FROM TO` brings the one up to date by the other"));
    }
    let chosen = several::resolve(&source.repository, &selectors, &arguments.filter, context)?;
    let ids: Vec<SnapshotId> = chosen.iter().map(|snapshot| snapshot.id).collect();
    let options = Options { dry_run: arguments.dry_run, effort: arguments.compressing.effort(None, context)? };
    let lock = target.host.writer(&target.repository)?;
    let (mut seen, mut copied) = (Seen::default(), 0);
    for id in &ids {
        let Opened { repository, host } = &mut target;
        let done = copy::copy(host, &source.repository, id, (repository, lock.writer), &mut seen, &options, &*output);
        let outcome = done.map_err(|error| not_committed(error, &target, &output))?;
        if let Outcome::Copied { .. } = outcome {
            target.repository.refresh()?;
            target.host.remember(&target.repository);
        }
        copied += usize::from(!matches!(outcome, Outcome::Known { .. }));
        print(id, &outcome, &output)?;
    }
    output.clear();
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "dry_run": arguments.dry_run,
            "copied_snapshots": copied, "known_snapshots": ids.len() - copied,
        }))?;
    } else {
        let would = if arguments.dry_run { "would be copied" } else { "copied" };
        output.remark(&format!("{copied} of {} {would}", count(ids.len(), "snapshot")))?;
    }
    Ok(output.code())
}

/// The setting of the repository that gets the snapshots.
fn other(arguments: &Arguments, context: &Context) -> Result<Context, Failure> {
    let given = Secret {
        password_file: arguments.to_password_file.clone(),
        password_command: arguments.to_password_command.clone(),
        key_file: arguments.to_key_file.clone(),
        key_command: arguments.to_key_command.clone(),
    };
    let any = given.password_file.is_some()
        || given.password_command.is_some()
        || given.key_file.is_some()
        || given.key_command.is_some();
    let to = context.at(arguments.to.clone());
    if any {
        return Ok(to.with_secret(given));
    }
    // A section of the configuration knows what opens its own repository.
    let named = to.section()?.is_some();
    Ok(if named { to.with_secret(Secret::default()) } else { to })
}

fn print(original: &SnapshotId, outcome: &Outcome, output: &Output) -> Result<(), Failure> {
    if output.json() {
        let mut value = json!({ "message_type": "copied", "original": original.to_string() });
        match outcome {
            Outcome::Copied { snapshot, added, stored } => {
                value["snapshot_id"] = snapshot.to_string().into();
                value["data_added"] = (*added).into();
                value["data_added_packed"] = (*stored).into();
            }
            Outcome::Known { snapshot } => {
                value["snapshot_id"] = snapshot.to_string().into();
                value["known"] = true.into();
            }
            Outcome::WouldBe => {}
        }
        return Ok(output.json_line(&value)?);
    }
    let text = match outcome {
        Outcome::Copied { snapshot, added, stored } => {
            format!(
                "{} is {} there, {} added ({} stored)",
                original.short(),
                snapshot.short(),
                size(*added),
                size(*stored)
            )
        }
        Outcome::Known { snapshot } => format!("{} is there already, as {}", original.short(), snapshot.short()),
        Outcome::WouldBe => format!("{} would be copied", original.short()),
    };
    Ok(output.line(&text)?)
}
