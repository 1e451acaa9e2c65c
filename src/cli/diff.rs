//! `boveda diff`.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::escape;
use super::open::{find, open_near, require};
use super::output::{Output, put_path, size};
use super::selector::{Filter, Selector};
use crate::event::{Event, Sink as _};
use crate::ops::diff::{Difference, Side, Statistics, Tally, compare};
use crate::ops::patch::{LARGEST, Patch, patch};
use crate::repo::catalog::Tree;
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;

/// Show what differs between two snapshots, or between two folders of them
///
/// A line for each path: `+` added, `-` removed, `M` other content, `T` another kind, `U` other attributes (with --metadata).
/// `M?` is a file whose content changed although its size and all its times did not: perhaps a failing disk.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The earlier one: (ID|latest|latest~N|@TIME)[:/abs/path]
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    before: OsString,
    /// The later one
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    after: OsString,
    /// Only sums
    #[arg(long, conflicts_with = "patch")]
    stat: bool,
    /// Also what differs in mode, owner, times and other attributes alone
    #[arg(long)]
    metadata: bool,
    /// Show the lines that differ in text files
    #[arg(short, long)]
    patch: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Compares.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let parse = |text: &OsString| Selector::parse(text.as_bytes(), &context.zone);
    let selectors = [parse(&arguments.before)?, parse(&arguments.after)?];
    let opened = open_near(context, &output)?;
    require(&opened.repository, Role::reads_content, "comparing snapshots")?;
    let snapshot = |selector| find(&opened.repository, selector, &arguments.filter, context);
    let snapshots = [snapshot(&selectors[0])?, snapshot(&selectors[1])?];
    let trees = opened.trees(if arguments.patch { &IndexClass::BOTH } else { &[IndexClass::Catalog] })?;
    let trees = snapshots.map(|snapshot| trees.of(snapshot));
    let paths = [folder(&selectors[0], &trees[0])?, folder(&selectors[1], &trees[1])?];
    let [before, after] = [0, 1].map(|at| Side { tree: &trees[at], path: &paths[at] });
    let teller = Teller { arguments, output: &output, trees: &trees, escaped: io::stdout().is_terminal() };
    let statistics = compare(before, after, arguments.metadata, &*output, |difference| teller.tell(difference))?;
    if let Some(code) = output.signal() {
        return Ok(code);
    }
    if output.json() {
        let mut line = json!({
            "message_type": "statistics",
            "changed_files": statistics.changed_files,
            "added": tally(&statistics.added),
            "removed": tally(&statistics.removed),
        });
        line["source_snapshot"] = snapshots[0].id.to_string().into();
        line["target_snapshot"] = snapshots[1].id.to_string().into();
        output.json_line(&line)?;
    } else {
        sums(&statistics, &output)?;
    }
    Ok(output.code())
}

/// The folder that a selector names.
fn folder(selector: &Selector, tree: &Tree) -> Result<EntryPath, Failure> {
    let path = selector.path.clone().unwrap_or_default();
    let shown = || escape::name(&path.to_bytes());
    match tree.get(&path)? {
        None if path.0.is_empty() => {}
        Some(found) if found.entry.kind == EntryKind::Directory => {}
        Some(_) => return Err(Failure::new(Code::Failed, format!("{} is no folder in snapshot {selector}", shown()))),
        None => return Err(Failure::new(Code::Failed, format!("there is no {} in snapshot {selector}", shown()))),
    }
    Ok(path)
}

struct Teller<'a> {
    arguments: &'a Arguments,
    output: &'a Output,
    trees: &'a [Tree; 2],
    /// Content goes to a terminal, which must not obey it.
    escaped: bool,
}

impl Teller<'_> {
    fn tell(&self, difference: &Difference) -> Result<(), Failure> {
        if self.arguments.stat {
            return Ok(());
        }
        let patched = if self.arguments.patch { self.patch(difference) } else { None };
        if self.output.json() {
            let mut line = json!({ "message_type": "change", "modifier": difference.marks });
            put_path(&mut line, "path", &shown(difference));
            match patched {
                Some(Patch::Text(text)) => line["patch"] = String::from_utf8_lossy(&text).into(),
                Some(Patch::Binary) => line["binary"] = true.into(),
                Some(Patch::Large) => line["too_large"] = true.into(),
                None => {}
            }
            self.output.json_line(&line)?;
            return Ok(());
        }
        self.output.line(&format!("{:<5}{}", difference.marks, escape::name(&shown(difference))))?;
        match patched {
            Some(Patch::Text(text)) => self.text(&text)?,
            Some(Patch::Binary) => self.output.line("binary files differ")?,
            Some(Patch::Large) => self.output.line(&format!("larger than {}: not compared by line", size(LARGEST)))?,
            None => {}
        }
        Ok(())
    }

    /// The lines that differ, of regular files.
    fn patch(&self, difference: &Difference) -> Option<Patch> {
        let file = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| matches!(entry.kind, EntryKind::File(_)));
        if difference.marks == "U" || !(file(&difference.before) || file(&difference.after)) {
            return None;
        }
        let name = |prefix: &str, entry: &Option<Entry>| match file(entry) {
            true => format!("{prefix}{}", escape::name(&difference.path.to_bytes())),
            false => "/dev/null".to_owned(),
        };
        let names = [name("a", &difference.before), name("b", &difference.after)];
        let before = (&self.trees[0], difference.before.as_ref(), names[0].as_str());
        let after = (&self.trees[1], difference.after.as_ref(), names[1].as_str());
        let patched = patch(before, after).map_err(|error| {
            let (path, error) = (difference.path.to_bytes(), super::error::chain(&error));
            self.output.emit(Event::Damage {
                object: String::from_utf8_lossy(&path).into_owned(),
                what: error,
                healed: false,
            });
        });
        patched.ok()
    }

    fn text(&self, text: &[u8]) -> Result<(), Failure> {
        if !self.escaped {
            io::stdout().lock().write_all(text)?;
            return Ok(());
        }
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line)).into_owned();
            let parts: Vec<_> = line.split('\t').map(escape::line).collect();
            self.output.line(&parts.join("\t"))?;
        }
        Ok(())
    }
}

/// The path, folders with a slash at their end.
fn shown(difference: &Difference) -> Vec<u8> {
    let mut path = difference.path.to_bytes();
    let entry = difference.after.as_ref().or(difference.before.as_ref());
    if entry.is_some_and(|entry| entry.kind == EntryKind::Directory) && !difference.path.0.is_empty() {
        path.push(b'/');
    }
    path
}

fn tally(tally: &Tally) -> Value {
    json!({
        "files": tally.files,
        "dirs": tally.dirs,
        "others": tally.others,
        "data_blobs": tally.chunks,
        "bytes": tally.bytes,
    })
}

fn sums(statistics: &Statistics, output: &Output) -> Result<(), Failure> {
    let Statistics { changed_files, added, removed } = statistics;
    output.remark(&format!("files:   {} new, {} removed, {changed_files} changed", added.files, removed.files))?;
    output.remark(&format!("folders: {} new, {} removed", added.dirs, removed.dirs))?;
    output.remark(&format!("others:  {} new, {} removed", added.others, removed.others))?;
    output.remark(&format!("data:    {} added, {} removed", size(added.bytes), size(removed.bytes)))?;
    Ok(())
}
