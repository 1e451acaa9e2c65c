//! `boveda repair rollback`.

use std::sync::Arc;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::open::host;
use crate::cli::output::Output;
use crate::ops::repair::rollback::{self, Gone};
use crate::repo::repository::{self, Repository};

/// Go on with a repository that is older than what this host saw of it
///
/// This host remembers how far a repository had come, and refuses one that went back: whoever can write to the storage could
/// take away snapshots that way. If it was you who put an older copy back, this makes the host forget what it saw. Without
/// --yes it only shows what is gone, and ends with exit code 4.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Yes, what is gone may be gone: take the repository as it is now
    #[arg(long)]
    yes: bool,
}

/// Shows what is gone, and accepts it if told to.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let store = context.open_store(&output)?;
    repository::look(&store, &*output)?;
    let host = host(context, &output)?;
    let (repository, gone) = rollback::look(&host, &store, &context.credential(&output)?)?;
    let accepted = arguments.yes && !gone.is_nothing();
    if accepted {
        rollback::accept(&host, &repository);
    }
    show(&gone, &repository, accepted, &output)?;
    Ok(if accepted || gone.is_nothing() { output.code() } else { Code::Damage })
}

fn show(gone: &Gone, repository: &Repository, accepted: bool, output: &Output) -> Result<(), Failure> {
    let found = repository.log().state.head().map_or(0, |head| head.position);
    if output.json() {
        let one = |(writer, id): &(_, _)| json!({ "writer": format!("{writer}"), "id": format!("{id}") });
        output.json_line(&json!({
            "message_type": "rollback",
            "rolled_back": !gone.is_nothing(),
            "log_entry_gone": gone.log,
            "log_entry_found": found,
            "snapshots_gone": gone.snapshots.iter().map(|(writer, id)| one(&(writer, id))).collect::<Vec<_>>(),
            "accepted": accepted,
        }))?;
        return Ok(());
    }
    if gone.is_nothing() {
        output.remark("nothing is gone: the repository is not older than what this host saw of it")?;
        return Ok(());
    }
    if let Some(position) = gone.log {
        let what = format!("log entry {position} was there and is gone, or is another one; the newest is {found}");
        output.line(&what)?;
    }
    for (writer, id) in &gone.snapshots {
        output.line(&format!("snapshot {id} of writer {writer} was there and is gone"))?;
    }
    if accepted {
        output.remark("this host goes on from the repository as it is; others that saw more have to be told too")?;
    } else {
        output.remark(
            "If you put an older copy back, go on with `boveda repair rollback --yes`. If you did not, somebody who can \
             write to the storage did: keep it as it is, and compare with another copy.",
        )?;
    }
    Ok(())
}
