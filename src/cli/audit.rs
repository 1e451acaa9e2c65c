//! `boveda audit`.

use super::context::Context;
use super::error::{Code, Failure};
use super::output::{access_json, count};
use super::{escape, time};
use crate::event::Access;
use crate::repo::entry::Timestamp;
use crate::state::audit::{self, Wanted};

/// Digits of a snapshot's id that are shown.
const SHORT: usize = 4;

/// Show who looked into mounted snapshots
///
/// Every file that was opened and every folder that was listed below a mount on this machine: by whom, with which program, in which
/// snapshot; by the minute, with the first sixteen paths. What a mount's `--allow-uid` or `--allow-exe` refused stands singly. Needs no
/// repository.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only from then on: a date, or a time as in `2026-11-23 02:00`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what was refused
    #[arg(long)]
    denied: bool,
    /// Only of this user
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
    /// Only the newest N lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
}

/// Prints the log.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    let moment = |text: &Option<String>, parse: fn(&str, &jiff::tz::TimeZone) -> Option<Timestamp>| match text {
        None => Ok(None),
        Some(text) => match parse(text, &context.zone) {
            Some(time) => Ok(Some(time.seconds)),
            None => {
                Err(Failure::usage(format!("{text:?} is no time")).hint("write it as 2026-11-23 or 2026-11-23 02:00"))
            }
        },
    };
    let wanted = Wanted {
        since: moment(&arguments.since, time::parse)?,
        until: moment(&arguments.until, time::parse_until)?,
        denied: arguments.denied,
        uid: arguments.uid,
        last: arguments.last,
    };
    let accesses =
        audit::read(&context.state_folder()?, &wanted).map_err(|error| Failure::because(Code::Failed, &error))?;
    if accesses.is_empty() && !output.json() {
        output.remark("nobody, as far as is written down")?;
    }
    for access in &accesses {
        match output.json() {
            true => output.json_line(&access_json(access))?,
            false => output.line(&line(access, context))?,
        }
    }
    Ok(output.code())
}

/// When, who, with what, what, where: `2026-11-23 02:00:00  user 1000  /usr/bin/cat  read 3 times  1a2b3c4d  /a and 2 more`.
fn line(access: &Access, context: &Context) -> String {
    let when = time::local(Timestamp { seconds: access.time, nanoseconds: 0 }, &context.zone);
    let program = match access.program.as_slice() {
        [] => "(unknown)".to_owned(),
        known => escape::name(known),
    };
    let times = match access.count {
        1 => String::new(),
        many => format!(" {}", count(many, "time")),
    };
    let refused = if access.allowed { "" } else { "REFUSED: " };
    let mount = escape::name(&access.mountpoint);
    let mut places: Vec<_> = access.paths.iter().map(|path| escape::name(path)).collect();
    if places.len() >= audit::PATHS && access.count > audit::PATHS as u64 {
        places.push("…".to_owned());
    }
    let id = access.snapshot.map(|id| id[..SHORT].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let id = id.unwrap_or_else(|| "-".repeat(2 * SHORT));
    let (uid, word) = (access.uid, access.operation.word());
    format!("{when}  user {uid}  {program}  {refused}{word}{times}  {id}  {mount}: {}", places.join(", "))
}
