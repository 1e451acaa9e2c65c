//! `boveda store probe`.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::super::context::Context;
use super::super::error::{Code, Failure};
use super::super::escape;
use super::super::output::{Output, parse_size, size};
use super::super::reach::{traffic_json, traffic_words};
use super::policies::{self, Part};
use crate::store::open;
use crate::store::probe::{Answer, Report, probe};

/// Find out what a place can do: whether several machines may write at once, and how fast it is
///
/// Puts a few small objects and one of --size under a name of its own and removes them. Needs no repository and no key; a
/// folder is made if it is not there, a bucket is not. Ends with 0 when the place can hold a repository.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The place [default: that of -r]
    #[arg(value_name = "LOCATION")]
    location: Option<OsString>,
    /// Bytes that are sent and received to measure the line
    #[arg(long, value_name = "SIZE", default_value = "4M")]
    size: String,
    /// Print also what the provider must allow a writer, a reader and a maintainer, so that no writer can delete or overwrite
    #[arg(long)]
    policies: bool,
}

/// Probes.
///
/// # Errors
/// When the place cannot be reached, or nothing can be put there.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    let length = parse_size(&arguments.size).filter(|length| (1..=128 << 20).contains(length));
    let length = length.ok_or_else(|| Failure::usage("--size is a size from 1 to 128M"))?;
    let other = arguments.location.as_ref().map(|location| context.at(location.clone()));
    let context = other.as_ref().unwrap_or(context);
    let (url, access) = (context.location()?, context.access()?);
    let store = open::create_bare(&url, &access)?;
    let report = probe(&*store, usize::try_from(length).unwrap_or(1))?;
    let parts = if arguments.policies { policies::of(&url) } else { Vec::new() };
    let usable = report.writes == Answer::Yes && report.ranges == Answer::Yes && report.if_absent == Answer::Yes;
    if output.json() {
        output.json_line(&as_json(&url.to_string(), &report, &parts, context))?;
    } else {
        tell(&url.to_string(), &report, &parts, context, &output)?;
    }
    Ok(if usable { Code::Ok } else { Code::Failed })
}

fn tell(url: &str, report: &Report, parts: &[Part], context: &Context, output: &Output) -> Result<(), Failure> {
    output.line(&escape::line(url))?;
    for (what, answer) in questions(report) {
        let answer = match answer {
            Answer::Yes => "yes".to_owned(),
            Answer::No(why) => format!("no: {}", escape::line(why)),
            Answer::Unknown(why) => format!("not known: {}", escape::line(why)),
        };
        output.line(&format!("  {what:<42}{answer}"))?;
    }
    for (what, word) in facts(report) {
        output.line(&format!("  {what:<42}{}", escape::line(&word)))?;
    }
    if let Some(latency) = report.latency {
        output.line(&format!("  {:<42}{:.1} ms", "a small request takes", latency.as_secs_f64() * 1000.0))?;
    }
    for (what, rate) in [("sending", report.upload), ("receiving", report.download)] {
        if let Some(rate) = rate {
            output.line(&format!("  {what:<42}{}/s", size(rate as u64)))?;
        }
    }
    let verdict = match report.several_writers() {
        true => "several machines may write to a repository here at once",
        false => "one machine at a time may write to a repository here, and prune needs --exclusive",
    };
    output.line(&format!("  {verdict}"))?;
    for part in parts {
        output.line(&format!("\n{}: {}\n{}", part.role, part.how, part.text))?;
    }
    if let Some(counted) = context.traffic() {
        output.remark(&traffic_words(counted))?;
    }
    Ok(())
}

fn questions(report: &Report) -> [(&'static str, &Answer); 7] {
    [
        ("what was put comes back", &report.writes),
        ("a second put leaves the first alone", &report.if_absent),
        ("of racing puts exactly one wins", &report.race),
        ("parts of objects can be read", &report.ranges),
        ("listings show what was put before", &report.listing),
        ("these credentials may remove", &report.deletes),
        ("these credentials may replace", &report.replaces),
    ]
}

fn facts(report: &Report) -> [(&'static str, String); 3] {
    let word = |known: bool| if known { "yes" } else { "no" }.to_owned();
    let lock = report.facts.lock.as_ref().map_or_else(|| "not seen".to_owned(), |lock| format!("yes: {}", lock.mode));
    [
        ("a hash of every object can be asked for", word(report.facts.mark.is_some())),
        ("replaced and removed versions are kept", word(report.facts.version.is_some())),
        ("new objects are locked for a time", lock),
    ]
}

fn as_json(url: &str, report: &Report, parts: &[Part], context: &Context) -> Value {
    let answer = |answer: &Answer| match answer {
        Answer::Yes => Value::Bool(true),
        Answer::No(_) => Value::Bool(false),
        Answer::Unknown(_) => Value::Null,
    };
    let policies: Vec<Value> =
        parts.iter().map(|part| json!({"role": part.role, "how": part.how, "policy": part.text})).collect();
    let mut value = json!({
        "message_type": "probe",
        "location": url,
        "writes": answer(&report.writes),
        "put_if_absent": answer(&report.if_absent),
        "put_if_absent_in_a_race": answer(&report.race),
        "ranges": answer(&report.ranges),
        "listing_after_write": answer(&report.listing),
        "deletes": answer(&report.deletes),
        "replaces": answer(&report.replaces),
        "hashes": report.facts.mark.is_some(),
        "versioning": report.facts.version.is_some(),
        "object_lock": report.facts.lock.as_ref().map(|lock| &lock.mode),
        "several_writers": report.several_writers(),
        "latency_seconds": report.latency.map(|latency| latency.as_secs_f64()),
        "upload_bytes_per_second": report.upload,
        "download_bytes_per_second": report.download,
    });
    if !parts.is_empty() {
        value["policies"] = policies.into();
    }
    if let Some(counted) = context.traffic() {
        value["traffic"] = traffic_json(counted);
    }
    value
}
