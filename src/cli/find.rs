//! `boveda find`.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{find, open_near, require, shown};
use super::selector::{Filter, Selector};
use super::{escape, listing, time};
use crate::ops::find::{Finder, Query};
use crate::repo::entry::{Entry, EntryPath, Timestamp};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::repository::Snapshot;

/// Find files and folders by name in all snapshots, or in some
///
/// A pattern is as in `snapshot --exclude`: `*.odt` fits names anywhere, `/home/*/notes` a path from the root.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to look for; several: any of them
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<OsString>,
    /// Capitals and small letters alike
    #[arg(short, long)]
    ignore_case: bool,
    /// Show mode, owner, group, size, time and link target
    #[arg(short, long)]
    long: bool,
    /// Only what was last changed at that time or before, such as `2026-11-23`
    #[arg(short = 'N', long, value_name = "TIME")]
    newest: Option<String>,
    /// Only what was last changed at that time or later
    #[arg(short = 'O', long, value_name = "TIME")]
    oldest: Option<String>,
    /// Only in this snapshot, or below a path of it: (ID|latest|latest~N|@TIME)[:/abs/path] (more than once: in each)
    #[arg(short, long, value_name = "SNAPSHOT[:/PATH]")]
    snapshot: Vec<OsString>,
    #[command(flatten)]
    filter: Filter,
}

/// Finds, snapshot by snapshot, oldest first.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let query = query(arguments, context)?;
    let selectors = arguments.snapshot.iter().map(|text| Selector::parse(text.as_bytes(), &context.zone));
    let selectors = selectors.collect::<Result<Vec<_>, _>>()?;
    let opened = open_near(context, &output)?;
    require(&opened.repository, Role::reads_content, "looking for files in snapshots")?;
    let mut snapshots: Vec<(&Snapshot, EntryPath)> = Vec::new();
    for selector in &selectors {
        let found = find(&opened.repository, selector, &arguments.filter, context)?;
        snapshots.push((found, selector.path.clone().unwrap_or_default()));
    }
    if selectors.is_empty() {
        let all = opened.repository.snapshots().iter().filter(|snapshot| snapshot.is_complete());
        let passing = all.filter(|snapshot| arguments.filter.passes(&shown(snapshot).listed()));
        snapshots = passing.map(|snapshot| (snapshot, EntryPath::default())).collect();
    }
    snapshots.sort_by_key(|(snapshot, _)| snapshot.structure.time);
    let trees = opened.trees(&[IndexClass::Catalog])?;
    let mut finder = Finder::new(&query);
    // Listings are long: one buffer for all lines, written out at the end or when it is full.
    let mut out = BufWriter::new(io::stdout().lock());
    for (snapshot, below) in snapshots {
        if let Some(code) = output.signal() {
            return Ok(code);
        }
        let tree = trees.of(snapshot);
        let found = finder.look(&tree, &*output).filter(|(path, _)| below.contains(path));
        if output.json() {
            json_lines(snapshot, found, &mut out)?;
        } else {
            lines(snapshot, found, arguments, context, &mut out)?;
        }
    }
    out.flush()?;
    Ok(output.code())
}

fn query(arguments: &Arguments, context: &Context) -> Result<Query, Failure> {
    let patterns: Vec<_> = arguments.patterns.iter().map(|pattern| pattern.as_bytes().to_vec()).collect();
    let mut query = Query::new(&patterns, arguments.ignore_case).map_err(|error| {
        Failure::usage(format!("the pattern \"{}\" means nothing: {}", escape::name(&error.pattern), error.reason))
    })?;
    let moment = |option: &str, text: &String, parsed: Option<Timestamp>| {
        parsed.ok_or_else(|| Failure::usage(format!("{option} {text:?} is no time; write it like 2026-11-23 02:00")))
    };
    let (newest, oldest) = (arguments.newest.as_ref(), arguments.oldest.as_ref());
    query.newest = newest.map(|text| moment("--newest", text, time::parse_until(text, &context.zone))).transpose()?;
    query.oldest = oldest.map(|text| moment("--oldest", text, time::parse(text, &context.zone))).transpose()?;
    Ok(query)
}

fn lines<'f>(
    snapshot: &Snapshot,
    found: impl Iterator<Item = (&'f EntryPath, &'f Entry)>,
    arguments: &Arguments,
    context: &Context,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Ok(());
    }
    let when = time::local(snapshot.structure.time, &context.zone);
    let host = shown(snapshot).listed().host;
    writeln!(out, "in snapshot {} of {when} on {}:", snapshot.id.short(), escape::line(&host))?;
    for (path, entry) in found {
        writeln!(out, "{}", listing::line(path, entry, arguments.long, &context.zone))?;
    }
    writeln!(out)
}

fn json_lines<'f>(
    snapshot: &Snapshot,
    found: impl Iterator<Item = (&'f EntryPath, &'f Entry)>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let node = |(path, entry): (&EntryPath, &Entry)| {
        let mut node = listing::node(path, entry);
        if let Value::Object(fields) = &mut node {
            fields.remove("message_type");
        }
        node
    };
    let matches: Vec<_> = found.map(node).collect();
    if matches.is_empty() {
        return Ok(());
    }
    let line = json!({
        "message_type": "matches",
        "snapshot": snapshot.id.to_string(),
        "time": time::rfc3339(snapshot.structure.time),
        "hits": matches.len(),
        "matches": matches,
    });
    writeln!(out, "{line}")
}
