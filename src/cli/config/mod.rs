//! `boveda config`: whether the configuration is right, and what holds in the end.

mod check;
mod show;

use clap::Subcommand;

use super::context::Context;
use super::error::{Code, Failure};

/// Check the configuration, or show what holds and who says so
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Arguments),
    Show(show::Arguments),
}

/// Does what was asked.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    match &arguments.verb {
        Verb::Check(arguments) => check::run(arguments, context),
        Verb::Show(arguments) => show::run(arguments, context),
    }
}
