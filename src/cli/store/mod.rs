//! `boveda store`.

mod policies;
mod probe;

use clap::Subcommand;

use super::context::Context;
use super::error::{Code, Failure};

/// Look at the place that holds a repository, or is to hold one
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Probe(probe::Arguments),
}

/// Runs one of them.
///
/// # Errors
/// Theirs.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    match &arguments.verb {
        Verb::Probe(arguments) => probe::run(arguments, context),
    }
}
