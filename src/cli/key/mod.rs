//! `boveda key`: principals, their slots, and who relies on whom.

mod list;
mod slots;
mod standing;

use clap::Subcommand;

use super::context::Context;
use super::error::{Code, Failure};

/// Manage who may do what, and what opens the repository
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Arguments),
    Add(standing::Add),
    Trust(standing::Trust),
    Revoke(standing::Revoke),
    Passwd(slots::Passwd),
    Recovery(slots::Recovery),
    Slot(slots::Slot),
    Remove(slots::Remove),
}

/// Does what was asked.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    match &arguments.verb {
        Verb::List(arguments) => list::run(arguments, context),
        Verb::Add(arguments) => standing::add(arguments, context),
        Verb::Trust(arguments) => standing::trust(arguments, context),
        Verb::Revoke(arguments) => standing::revoke(arguments, context),
        Verb::Passwd(arguments) => slots::passwd(arguments, context),
        Verb::Recovery(arguments) => slots::recovery(arguments, context),
        Verb::Slot(arguments) => slots::slot(arguments, context),
        Verb::Remove(arguments) => slots::remove(arguments, context),
    }
}
