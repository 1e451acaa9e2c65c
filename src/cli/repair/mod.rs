//! `boveda repair`: mending what `verify` names, a file per kind of damage. Nothing here deletes anything that is good.

mod index;
mod log;
mod objects;
mod rollback;
mod sessions;

use clap::Subcommand;

use super::context::Context;
use super::error::{Code, Failure};

/// Mend what `verify` names; never deletes good data
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Log(log::Arguments),
    Sessions(sessions::Arguments),
    Rollback(rollback::Arguments),
    Index(index::Arguments),
    Objects(objects::Arguments),
}

/// Does what was asked.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    match &arguments.verb {
        Verb::Log(arguments) => log::run(arguments, context),
        Verb::Sessions(arguments) => sessions::run(arguments, context),
        Verb::Rollback(arguments) => rollback::run(arguments, context),
        Verb::Index(arguments) => index::run(arguments, context),
        Verb::Objects(arguments) => objects::run(arguments, context),
    }
}
