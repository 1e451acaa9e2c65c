//! The face: a file per verb with its arguments, one call into `ops`, and what it prints; exit codes and hints.
//!
//! Invariant: nothing below this room prints, reads the environment, knows an exit code or asks a person.

mod apart;
mod audit;
mod cache;
mod completions;
mod config;
mod context;
mod copies;
mod copy;
mod copy_age;
mod debug_memory;
mod diff;
mod doctor;
mod dump;
mod error;
mod escape;
mod explain;
mod failures;
mod find;
mod forget;
mod global;
mod help;
mod hold;
mod import_tar;
mod init;
mod inside;
mod key;
mod listing;
mod lists;
mod ls;
mod man;
mod mount;
mod mount_helper;
mod mount_place;
mod mount_unit;
mod neighbour;
mod new_secret;
mod open;
mod output;
mod patterns;
mod piped;
mod prompt;
mod prune;
mod reach;
mod recover;
mod reference;
mod release;
mod repair;
mod restore;
mod rewrite;
mod selection;
mod selector;
mod settings;
mod setup;
mod several;
mod signals;
mod snapshot;
mod snapshot_defaults;
mod snapshot_groups;
mod snapshot_list;
mod snapshot_options;
mod snapshots;
mod stats;
mod store;
mod stream;
mod sync;
mod tag;
mod targets;
mod thaw;
mod time;
mod umount;
mod unlock;
mod verify;
mod version;
mod versions;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use context::Context;
use error::{Code, Failure};
use global::Global;

/// Keeps the history of a machine in an encrypted, deduplicated repository, and shows every snapshot as a folder.
#[derive(Debug, Parser)]
#[command(name = "boveda", version, disable_help_subcommand = false, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Setup(setup::Arguments),
    Init(init::Arguments),
    Config(config::Arguments),
    Doctor(doctor::Arguments),
    Key(key::Arguments),
    #[command(visible_alias = "backup")]
    Snapshot(snapshot::Arguments),
    Snapshots(snapshots::Arguments),
    Ls(ls::Arguments),
    Find(find::Arguments),
    Versions(versions::Arguments),
    Diff(diff::Arguments),
    Mount(mount::Arguments),
    Umount(umount::Arguments),
    Audit(audit::Arguments),
    Repair(repair::Arguments),
    Restore(restore::Arguments),
    Tag(tag::Arguments),
    Forget(forget::Arguments),
    Prune(prune::Arguments),
    Hold(hold::Arguments),
    Release(release::Arguments),
    Rewrite(rewrite::Arguments),
    Recover(recover::Arguments),
    Dump(dump::Arguments),
    ExportTar(dump::ExportArguments),
    ImportTar(import_tar::Arguments),
    #[command(visible_alias = "check")]
    Verify(verify::Arguments),
    Stats(stats::Arguments),
    Copy(copy::Arguments),
    Sync(sync::Arguments),
    List(inside::list::Arguments),
    Cat(inside::cat::Arguments),
    Store(store::Arguments),
    Cache(cache::Arguments),
    Unlock(unlock::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    Reference(reference::Arguments),
    Version(version::Arguments),
}

/// Runs this process's command line and returns its exit code.
pub fn main() -> ExitCode {
    crate::ops::neighbour::hand_memory_back();
    let json = std::env::args_os().any(|argument| argument == "--json");
    let ended = match crate::secrets::harden() {
        Ok(()) => parse().and_then(run),
        Err(error) => Err(Failure::new(Code::Failed, format!("cannot keep this process's memory private: {error}"))),
    };
    let code = ended.unwrap_or_else(|failure| {
        output::report(&failure, json);
        failure.code
    });
    ExitCode::from(code.number())
}

/// The whole command line, for what is made from it: help, completions, manual pages.
fn command() -> clap::Command {
    Cli::command()
}

/// The parsed command line; `None` when help or the version was asked for and printed.
fn parse() -> Result<Option<Cli>, Failure> {
    let command = help::grouped(Cli::command());
    let arguments = mount_helper::arguments(std::env::args_os().collect())?;
    let parsed = command.try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if error.use_stderr() => Err(help::explain(&error, &arguments)),
        Err(error) => {
            error.print()?;
            Ok(None)
        }
    }
}

/// Runs another command line as part of this one: what it does, says and ends with is just what a user would get.
///
/// # Errors
/// Those of the command.
fn run_again(arguments: &[std::ffi::OsString]) -> Result<Code, Failure> {
    let cli = Cli::try_parse_from(arguments).map_err(|error| help::explain(&error, arguments))?;
    run(Some(cli))
}

fn run(cli: Option<Cli>) -> Result<Code, Failure> {
    let Some(Cli { global, verb }) = cli else { return Ok(Code::Ok) };
    let context = Context::new(global);
    match verb {
        Verb::Setup(arguments) => setup::run(&arguments, &context),
        Verb::Init(arguments) => init::run(&arguments, &context),
        Verb::Config(arguments) => config::run(&arguments, &context),
        Verb::Doctor(arguments) => doctor::run(&arguments, &context),
        Verb::Key(arguments) => key::run(&arguments, &context),
        Verb::Snapshot(arguments) => snapshot::run(&arguments, &context),
        Verb::Snapshots(arguments) => snapshots::run(&arguments, &context),
        Verb::Ls(arguments) => ls::run(&arguments, &context),
        Verb::Find(arguments) => find::run(&arguments, &context),
        Verb::Versions(arguments) => versions::run(&arguments, &context),
        Verb::Diff(arguments) => diff::run(&arguments, &context),
        Verb::Mount(arguments) => mount::run(&arguments, &context),
        Verb::Umount(arguments) => umount::run(&arguments, &context),
        Verb::Audit(arguments) => audit::run(&arguments, &context),
        Verb::Repair(arguments) => repair::run(&arguments, &context),
        Verb::Restore(arguments) => restore::run(&arguments, &context),
        Verb::Tag(arguments) => tag::run(&arguments, &context),
        Verb::Forget(arguments) => forget::run(&arguments, &context),
        Verb::Prune(arguments) => prune::run(&arguments, &context),
        Verb::Hold(arguments) => hold::run(&arguments, &context),
        Verb::Release(arguments) => release::run(&arguments, &context),
        Verb::Rewrite(arguments) => rewrite::run(&arguments, &context),
        Verb::Recover(arguments) => recover::run(&arguments, &context),
        Verb::Dump(arguments) => dump::run(&arguments, &context),
        Verb::ExportTar(arguments) => dump::run_export(&arguments, &context),
        Verb::ImportTar(arguments) => import_tar::run(&arguments, &context),
        Verb::Verify(arguments) => verify::run(&arguments, &context),
        Verb::Stats(arguments) => stats::run(&arguments, &context),
        Verb::Copy(arguments) => copy::run(&arguments, &context),
        Verb::Sync(arguments) => sync::run(&arguments, &context),
        Verb::List(arguments) => inside::list::run(&arguments, &context),
        Verb::Cat(arguments) => inside::cat::run(&arguments, &context),
        Verb::Cache(arguments) => cache::run(&arguments, &context),
        Verb::Store(arguments) => store::run(&arguments, &context),
        Verb::Unlock(arguments) => unlock::run(&arguments, &context),
        Verb::Completions(arguments) => completions::run(&arguments, &context),
        Verb::Man(arguments) => man::run(&arguments, &context),
        Verb::Reference(arguments) => reference::run(&arguments, &context),
        Verb::Version(arguments) => version::run(&arguments, &context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        help::grouped(Cli::command()).debug_assert();
    }
}
