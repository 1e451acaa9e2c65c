//! `boveda verify`.

use std::str::FromStr;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::neighbour::{Priority, Threads};
use super::open::{Opened, open};
use super::output::{Output, count, size};
use crate::ops::verify::{self, Affected, Attested, Finding, Level, Marked, ROUNDS, Scrubbed, Share, Summary};
use crate::repo::id::SnapshotId;
use crate::repo::repository;

/// Prove that the repository holds what it promises (also: check)
///
/// Damage is named with the files that it costs, and ends with exit code 4, also where parity can still heal it: then
/// `boveda repair objects` does.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// quick: listings, lengths and chains; scrub: every stored byte, without opening anything; structure: every object
    /// but the packs, and every catalog; sample=N%: also so much of the packs, chunk by chunk; full: everything. Without
    /// this: structure, and a thirtieth of scrub, the next one at each run
    #[arg(long, value_name = "LEVEL")]
    level: Option<Depth>,
    /// Without password or key, as on the machine that stores the repository: --level scrub. Finds what rots, not what
    /// somebody removed or exchanged
    #[arg(long)]
    keyless: bool,
    /// Another word for --level full
    #[arg(long, conflicts_with_all = ["level", "keyless"])]
    read_data: bool,
    /// Another word for --level sample=N%
    #[arg(long, value_name = "N%", value_parser = sample, conflicts_with_all = ["level", "keyless", "read_data"])]
    read_data_subset: Option<Depth>,
    /// Enter in the log which writers' sessions were found good, chunk by chunk, so that all others may rely on what they stored: with
    /// --level full, and a reader's or an admin's keys that may attest
    #[arg(long, conflicts_with = "keyless")]
    attest: bool,
    /// Give the tag `damaged` to snapshots that lose something, and take it from those that --level full finds whole: `forget` then takes none
    /// of them for the last good one. Needs an admin's keys
    #[arg(long, conflicts_with = "keyless")]
    mark: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    priority: Priority,
}

/// [`Level`], as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Depth(Level);

impl FromStr for Depth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KNOWN: &str = "it is quick, scrub, structure, sample=N% or full";
        Ok(Self(match text {
            "quick" => Level::Quick,
            "scrub" => Level::Scrub,
            "structure" => Level::Structure,
            "full" => Level::Full,
            other => {
                let percent = other.strip_prefix("sample=").and_then(|share| share.strip_suffix('%')).ok_or(KNOWN)?;
                let share = percent.parse().ok().and_then(Share::percent);
                Level::Sample(share.ok_or("a sample is more than 0% and 100% at most")?)
            }
        }))
    }
}

fn sample(share: &str) -> Result<Depth, &'static str> {
    let known = "it is a share of the packs, such as 5%";
    if share.ends_with('%') { format!("sample={share}").parse() } else { Err(known) }
}

/// Verifies.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let told = arguments.level.or(arguments.read_data_subset).map(|depth| depth.0);
    let level = told.or_else(|| arguments.read_data.then_some(Level::Full));
    let output = Arc::new(context.stoppable_output()?);
    if arguments.keyless {
        return match level {
            None | Some(Level::Scrub) => keyless(arguments, context, &output),
            Some(_) => {
                Err(Failure::usage("--keyless reads stored bytes and opens nothing: it goes with --level scrub"))
            }
        };
    }
    let level = level.unwrap_or(Level::Usual);
    if arguments.attest && level != Level::Full {
        return Err(Failure::usage("--attest says that every chunk was opened: it goes with --level full"));
    }
    if arguments.mark && matches!(level, Level::Quick | Level::Scrub) {
        return Err(Failure::usage("--mark says what damage costs: it goes with the levels that read catalogs"));
    }
    let mut opened = open(context, &output)?;
    if arguments.attest {
        opened.repository.check_attests()?;
    }
    if arguments.mark {
        verify::may_mark(&opened.repository)?;
    }
    arguments.priority.apply(context, &output)?;
    let threads = arguments.threads.count(context)?;
    let verified = verify::verify_with(threads, &opened.repository, &opened.host, level, &*output);
    let summary = verified.map_err(|error| output.stopped(error.into()))?;
    let attested = if arguments.attest { Some(attest(&mut opened, &output)?) } else { None };
    let marked = if arguments.mark { Some(mark(&mut opened, &summary, level)?) } else { None };
    output.clear();
    print(&summary, level, &Decided { attested, marked }, &output)?;
    if summary.packs_archived > 0 {
        output.warn(format!(
            "{} in an archive tier, so that what is in them was not looked at; `boveda restore --thaw ask` asks for what a snapshot needs",
            if summary.packs_archived == 1 { "1 pack lies".to_owned() } else { format!("{} packs lie", summary.packs_archived) }
        ));
    }
    Ok(match () {
        () if !summary.findings.is_empty() => Code::Damage,
        () if summary.packs_archived > 0 => Code::Incomplete,
        () => output.code(),
    })
}

/// Attests what is good. What is not, verify has named too, unless it lies elsewhere as well.
fn attest(opened: &mut Opened, output: &Output) -> Result<usize, Failure> {
    let attested = verify::attest(&mut opened.repository, &opened.host, output);
    let Attested { sessions, refused } = attested.map_err(|error| output.stopped(error.into()))?;
    opened.host.remember(&opened.repository);
    for (session, why) in refused {
        output.warn(format!("{session} is not attested: {why}"));
    }
    Ok(sessions.len())
}

/// Marks what is damaged, and what no longer is.
fn mark(opened: &mut Opened, summary: &Summary, level: Level) -> Result<Marked, Failure> {
    let marked = verify::mark(&mut opened.repository, summary, level)?;
    opened.host.remember(&opened.repository);
    Ok(marked)
}

/// What was entered in the log, if that was asked for.
struct Decided {
    attested: Option<usize>,
    marked: Option<Marked>,
}

fn print(summary: &Summary, level: Level, decided: &Decided, output: &Output) -> Result<(), Failure> {
    let name = match level {
        Level::Quick => "quick",
        Level::Scrub => "scrub",
        Level::Structure => "structure",
        Level::Usual => "usual",
        Level::Sample(_) => "sample",
        Level::Full => "full",
    };
    if output.json() {
        let mut line = json!({
            "message_type": "summary",
            "level": name,
            "keyless": false,
            "num_errors": summary.findings.len(),
            "healable": healable(&summary.findings),
            "snapshots": summary.snapshots,
            "packs": summary.packs,
            "packs_read": summary.packs_read,
            "packs_archived": summary.packs_archived,
            "chunks": summary.chunks,
            "bytes_read": summary.bytes,
            "files_affected": summary.affected.files.len(),
            "catalogs_affected": summary.affected.catalogs.len(),
            "total_duration": summary.seconds,
        });
        if let Some(sessions) = decided.attested {
            line["attested"] = sessions.into();
        }
        if let Some(Marked { marked, unmarked }) = &decided.marked {
            let ids = |ids: &[SnapshotId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
            (line["marked"], line["unmarked"]) = (ids(marked).into(), ids(unmarked).into());
        }
        output.json_line(&line)?;
        return Ok(());
    }
    let what = match level {
        Level::Usual => {
            format!("structure, and {} whole: all of them in {ROUNDS} runs", count(summary.packs_read, "pack"))
        }
        Level::Sample(_) => format!("sample of {}", count(summary.packs_read, "pack")),
        _ => name.to_owned(),
    };
    output.remark(&format!(
        "{}: {}, {}, {} and {} read in {:.1} s ({what})",
        verdict(&summary.findings, Some(&summary.affected)),
        count(summary.snapshots, "snapshot"),
        count(summary.packs, "pack"),
        count(summary.chunks, "chunk"),
        size(summary.bytes),
        summary.seconds
    ))?;
    if let Some(sessions) = decided.attested {
        output.remark(&format!("{} attested", count(sessions, "session")))?;
    }
    if let Some(Marked { marked, unmarked }) = &decided.marked {
        output.remark(&format!(
            "{} marked as damaged, {} marked no more",
            count(marked.len(), "snapshot"),
            count(unmarked.len(), "snapshot")
        ))?;
    }
    hint(&summary.findings, output)
}

/// The scrub of the machine that stores the repository.
fn keyless(arguments: &Arguments, context: &Context, output: &Arc<Output>) -> Result<Code, Failure> {
    let store = context.open_store(output)?;
    // That there is none is worth saying; that its config is damaged, the scrub finds.
    if let Err(error @ repository::Error::NotFound { .. }) = repository::look(&store, &crate::event::Silent) {
        return Err(error.into());
    }
    arguments.priority.apply(context, output)?;
    let threads = arguments.threads.count(context)?;
    let scrubbed = verify::scrub(threads, &*store, &**output).map_err(|error| output.stopped(error.into()))?;
    output.clear();
    let Scrubbed { objects, packs, bytes, foreign, ref findings, seconds } = scrubbed;
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary",
            "level": "scrub",
            "keyless": true,
            "num_errors": findings.len(),
            "healable": healable(findings),
            "objects": objects,
            "foreign_objects": foreign,
            "packs": packs,
            "bytes_read": bytes,
            "total_duration": seconds,
        }))?;
    } else {
        output.remark(&format!(
            "{}: {} ({}) and {} read in {seconds:.1} s (scrub, without keys)",
            verdict(findings, None),
            count(objects, "object"),
            count(packs, "pack"),
            size(bytes)
        ))?;
        hint(findings, output)?;
    }
    Ok(if findings.is_empty() { output.code() } else { Code::Damage })
}

fn healable(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.healable).count()
}

fn verdict(findings: &[Finding], affected: Option<&Affected>) -> String {
    let found = count(findings.len(), "finding");
    match affected {
        _ if findings.is_empty() => "all is well".to_owned(),
        None => found,
        Some(Affected { files, catalogs }) if catalogs.is_empty() => {
            format!("{found}, {} affected", count(files.len(), "file"))
        }
        Some(Affected { files, catalogs }) => {
            let (files, catalogs) = (count(files.len(), "file"), count(catalogs.len(), "snapshot"));
            format!("{found}, {files} and parts of the catalog of {catalogs} affected")
        }
    }
}

fn hint(findings: &[Finding], output: &Output) -> Result<(), Failure> {
    if healable(findings) > 0 {
        output.remark("`boveda repair objects` mends what parity or a second copy still has")?;
    }
    if healable(findings) < findings.len() {
        output.remark(
            "what is lost: keep the repository as it is, and take a new snapshot of what the source still has",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_documented() {
        assert_eq!("scrub".parse(), Ok(Depth(Level::Scrub)));
        let share = Share::percent(2.5).unwrap();
        assert_eq!("sample=2.5%".parse(), Ok(Depth(Level::Sample(share))));
        for wrong in ["", "deep", "sample", "sample=5", "sample=%", "sample=0%", "sample=101%", "sample=-1%", "usual"] {
            assert!(wrong.parse::<Depth>().is_err(), "{wrong}");
        }
    }
}
