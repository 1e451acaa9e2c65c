//! `boveda sync`.

use std::ffi::OsString;
use std::sync::Arc;

use super::context::Context;
use super::copies::{self, Target};
use super::copy_age;
use super::error::{Code, Failure};
use super::open::open;
use crate::ops::sync::{Check, Options};

/// Bring another copy of a repository up to date, or begin one
///
/// The copy has the same keys and snapshots, and forgets and prunes by itself. What is there already is not sent again, also after an
/// interruption. Each run compares the hashes that the place gives, reads a thirtieth of the copy, and puts back what is damaged there. Needs
/// a writer's or an admin's keys; what an admin decided comes with an admin's.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// From where and to where: locations, or @NAME of the configuration; with one, to there; with none, to all copies of the configuration
    #[arg(value_name = "[FROM] TO", num_args = 0..=2)]
    places: Vec<OsString>,
    /// Write nothing; say what would be brought, in how many requests, and what S3 would charge for them
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Forget at the copy, too, what was forgotten at the source: not while the source is damaged, or a hold is in force
    #[arg(long)]
    forget: bool,
    /// What of the copy is read and held against its names
    #[arg(long, value_enum, default_value = "sample")]
    verify: Extent,
    /// How many packs are under way at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    connections: u8,
}

/// What is read.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Extent {
    /// Nothing: what is missing is seen all the same, and what the place has another hash for than before
    None,
    /// A thirtieth, another one each time, and what the place has another hash for than before
    Sample,
    /// Everything
    All,
}

/// Brings it up to date.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let options = Options {
        dry_run: arguments.dry_run,
        forget: arguments.forget,
        check: match arguments.verify {
            Extent::None => Check::None,
            Extent::Sample => Check::Sample,
            Extent::All => Check::All,
        },
        connections: arguments.connections.into(),
        learn: 0,
    };
    let from = match &arguments.places[..] {
        [from, _] => &context.at(from.clone()),
        _ => context,
    };
    let targets = match arguments.places.last() {
        Some(to) => vec![Target::named(to, from)?],
        None => {
            let all = copies::configured(from)?;
            if all.is_empty() {
                return Err(Failure::usage("no copy is named, and the configuration has none for this repository")
                    .hint("write `boveda sync FROM TO`, or a section [repository.NAME.copy.NAME] (docs/copies.md)"));
            }
            all
        }
    };
    let location = from.location()?;
    if targets.iter().any(|target| target.url.as_ref() == Ok(&location)) {
        return Err(Failure::usage(format!("{location} is not a copy of itself")));
    }
    let options = Options { learn: copies::to_learn(&location), ..options };
    let mut opened = match open(from, &output) {
        Ok(opened) => opened,
        Err(failure) => {
            if copy_age::may_help(&failure) {
                copy_age::tell(&targets, from, &output);
            }
            return Err(output.stopped(failure));
        }
    };
    let mut code = Code::Ok;
    for target in &targets {
        let synced = copies::bring(&opened.host, &mut opened.repository, target, &options, &output);
        match synced {
            Ok(ended) => code = code.max(ended),
            Err(failure) if targets.len() == 1 || output.signal().is_some() => return Err(failure),
            // The other copies are none the worse for it.
            Err(failure) => {
                code = code.max(failure.code);
                copies::complain(target, &failure, &output);
            }
        }
    }
    Ok(output.signal().unwrap_or_else(|| code.max(output.code())))
}
