//! `boveda repair`: mends what `verify` names. A file per kind of damage.

mod log;
mod rollback;

use clap::Subcommand;

use super::context::Context;
use super::error::{Code, Failure};

/// Mend what verify names; never removes what is good
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Log(log::Arguments),
    Rollback(rollback::Arguments),
}

/// Does what was asked.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    match &arguments.verb {
        Verb::Log(arguments) => log::run(arguments, context),
        Verb::Rollback(arguments) => rollback::run(arguments, context),
    }
}
