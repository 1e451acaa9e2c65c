//! `boveda setup`: from nothing to a first snapshot: key, repository, recovery sheet, configuration. Safe to run again.

mod ask;
mod configure;
pub mod from_env;
mod inherited;
mod make;
mod plan;
mod planning;
mod qr;
mod sheet;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::output::Output;
use super::{escape, prompt};
use configure::Configured;
use make::{Made, Sheet};
use plan::{Opener, Plan};

/// Set everything up: key, repository, recovery sheet, configuration, first snapshot
///
/// Asks where the repository is to be (or takes -r) and what to keep. What is there already is used as it is, so running it
/// again does no harm, and goes on where a run was cut short.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Ask nothing: take the defaults for what no option says
    #[arg(short, long)]
    yes: bool,
    /// What to take snapshots of; more than once for several [default: your home]
    #[arg(short, long, value_name = "PATH")]
    source: Vec<PathBuf>,
    /// Leave out what fits this pattern, as `snapshot --exclude` [default: caches in your home]
    #[arg(short, long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// What the configuration calls the repository
    #[arg(long, default_value = "main")]
    name: String,
    /// Where the words of the recovery key are written, and beside them a page to print [default: beside the configuration]
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// Print the words of the recovery key even where standard output is no terminal
    #[arg(long)]
    print_recovery: bool,
    /// Take no snapshot now
    #[arg(long)]
    no_snapshot: bool,
}

/// Sets up.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    if !arguments.yes && !prompt::possible() {
        return Err(Failure::usage("setup asks, and there is no terminal to ask on")
            .hint("--yes asks nothing: -r says where the repository is to be, --source what to keep"));
    }
    let plan = planning::plan(arguments, context, &output)?;
    if !arguments.yes && !agreed(&plan)? {
        return Err(Failure::new(Code::Failed, "stopped as asked: nothing was made"));
    }
    let made = make::make(&plan, context, &output)?;
    let more = [("snapshot", configure::snapshot_section(&plan)), ("retention", configure::retention_section())];
    let configured = configure::configure(&plan, &more)?;
    if configured.kept.iter().any(|section| section == "snapshot") && !arguments.source.is_empty() {
        output.warn(format!("[snapshot] of {} stays as it is: --source is not added", plan.config.display()));
    }
    tell(arguments, &plan, &made, &configured, &output)?;
    if arguments.no_snapshot || made.snapshots > 0 {
        output.remark_for_people("try: boveda snapshot, boveda snapshots, boveda doctor")?;
        return Ok(output.code());
    }
    drop(output);
    super::run_again(&snapshot_command(&plan, context))
}

fn agreed(plan: &Plan) -> Result<bool, Failure> {
    let line = |what: &str, text: &str| eprint_line(&format!("  {what:<14}{}", escape::line(text)));
    eprint_line("To be made, where it is not there yet:")?;
    line("repository", &plan.url.to_string())?;
    if let Opener::KeyFile(file) = &plan.opener {
        line("key", &file.to_string_lossy())?;
    }
    line("configuration", &plan.config.to_string_lossy())?;
    line("snapshots of", &plan.paths.join(", "))?;
    ask::yes("Go on?")
}

fn eprint_line(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stderr().lock(), "{text}")?)
}

fn tell(
    arguments: &Arguments,
    plan: &Plan,
    made: &Made,
    configured: &Configured,
    output: &Output,
) -> Result<(), Failure> {
    let id = made.id.to_string();
    if output.json() {
        let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
        output.json_line(&json!({
            "message_type": "setup",
            "id": id,
            "name": plan.name.as_str(),
            "repository": plan.url.to_string(),
            "repository_made": made.founded,
            "config": plan.config.to_string_lossy(),
            "config_changed": configured.changed,
            "key_file": made.key_file.as_ref().map(shown),
            "recovery_key_file": made.sheet.as_ref().map(|sheet| shown(&sheet.text)),
            "recovery_page": made.sheet.as_ref().map(|sheet| shown(&sheet.page)),
        }))?;
        return Ok(());
    }
    let what = if made.founded { "made" } else { "found" };
    output.remark(&format!("repository     {what} {} at {}", &id[..8], escape::line(&plan.url.to_string())))?;
    if let Some(file) = &made.key_file {
        output.remark(&format!("key            {}", escape::line(&file.to_string_lossy())))?;
    }
    output.remark(&format!("configuration  {}", escape::line(&plan.config.to_string_lossy())))?;
    if on_one_disk(plan) {
        output.warn("the repository is on the same disk as what it keeps: keep a copy of it on another one");
    }
    match &made.sheet {
        Some(sheet) => tell_sheet(sheet, arguments.print_recovery, output),
        None => Ok(()),
    }
}

/// The words only where nobody but the person at the terminal reads them, or where they are asked for.
fn tell_sheet(sheet: &Sheet, even_without_terminal: bool, output: &Output) -> Result<(), Failure> {
    output.remark(&format!("recovery key   24 words in {}", escape::line(&sheet.text.to_string_lossy())))?;
    output.remark(&format!("               to print: {}", escape::line(&sheet.page.to_string_lossy())))?;
    output.remark("Print it, keep it elsewhere, delete both files: without key and recovery key nobody can get in.")?;
    if even_without_terminal || std::io::stdout().is_terminal() {
        for line in String::from_utf8_lossy(sheet.contents.expose()).lines() {
            output.remark(&format!("    {}", escape::line(line)))?;
        }
    }
    Ok(())
}

fn on_one_disk(plan: &Plan) -> bool {
    let Some(folder) = plan.url.local() else { return false };
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let there = device(folder);
    there.is_some() && plan.paths.iter().any(|path| device(Path::new(path)) == there)
}

/// `boveda snapshot` as the configuration that was just written has it.
fn snapshot_command(plan: &Plan, context: &Context) -> Vec<OsString> {
    let talk = &context.global.talk;
    let mut command: Vec<OsString> = vec!["boveda".into(), "--config".into(), plan.config.clone().into()];
    command.extend(["-r".into(), format!("@{}", plan.name).into()]);
    command.extend(talk.json.then(|| "--json".into()));
    command.extend(talk.quiet.then(|| "--quiet".into()));
    command.extend((0..talk.verbose).map(|_| "-v".into()));
    if let Some(folder) = &context.global.repository.cache_dir {
        command.extend(["--cache-dir".into(), folder.clone().into()]);
    }
    command.push("snapshot".into());
    command
}
