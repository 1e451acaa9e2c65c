//! `boveda versions`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{open_near, require, shown};
use super::output::{Output, put_path};
use super::selector::Filter;
use super::{escape, listing, time};
use crate::ops::versions::{Version, Versions, versions};
use crate::repo::entry::EntryPath;
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::repository::Snapshot;

/// List every content that a file had, oldest first
///
/// A content that was there again later is listed once. `boveda restore ID:/PATH` and `boveda dump ID /PATH` bring one back; in a
/// mounted folder they stand side by side below `versions`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The file; a relative path as from the current folder
    #[arg(value_name = "PATH")]
    path: OsString,
    #[command(flatten)]
    filter: Filter,
}

/// Lists them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let path = absolute(&arguments.path)?;
    let opened = open_near(context, &output)?;
    require(&opened.repository, Role::reads_content, "looking into snapshots")?;
    let passes = |snapshot: &&Snapshot| {
        (arguments.filter.partial || snapshot.is_complete())
            && (arguments.filter.is_empty() || arguments.filter.passes(&shown(snapshot).listed()))
    };
    let mut snapshots: Vec<_> = opened.repository.snapshots().iter().filter(passes).collect();
    snapshots.sort_by_key(|snapshot| snapshot.structure.time);
    let trees = opened.trees(&[IndexClass::Catalog])?;
    let trees: Vec<_> = snapshots.iter().map(|snapshot| trees.of(snapshot)).collect();
    let found = versions(&trees, &path, &*output);
    if found.versions.is_empty() && output.code() == Code::Ok {
        return Err(nothing(&found, &path));
    }
    for version in &found.versions {
        if output.json() {
            output.json_line(&line(version, &path, &snapshots))?;
        }
    }
    if !output.json() {
        table(&found.versions, &snapshots, context, &output)?;
    }
    Ok(output.code())
}

fn absolute(path: &OsString) -> Result<EntryPath, Failure> {
    let wrong = |why: &str| Failure::usage(format!("{}: {why}", escape::name(path.as_bytes())));
    let absolute = std::path::absolute(Path::new(path)).map_err(|error| wrong(&error.to_string()))?;
    EntryPath::parse(absolute.as_os_str().as_bytes()).ok_or_else(|| wrong("this is a name that no file can have"))
}

fn nothing(found: &Versions, path: &EntryPath) -> Failure {
    let path = escape::name(&path.to_bytes());
    if found.folders > 0 {
        return Failure::new(Code::Failed, format!("{path} is a folder in the snapshots")).hint(
            "name a file; `boveda diff` compares folders, and `versions` in a mounted folder shows all that they had",
        );
    }
    Failure::new(Code::Failed, format!("no snapshot has {path}"))
        .hint("`boveda find` looks for a name in all snapshots")
}

fn table(versions: &[Version], snapshots: &[&Snapshot], context: &Context, output: &Output) -> Result<(), Failure> {
    if versions.is_empty() {
        return Ok(());
    }
    let heads = ["ID", "First there", "Last there", "Snapshots", "Size", "Modified"].map(str::to_owned);
    let when = |at: usize| time::local(snapshots[at].structure.time, &context.zone);
    let rows = versions.iter().map(|version| {
        [
            snapshots[version.first].id.short().to_string(),
            when(version.first),
            when(version.last),
            version.count.to_string(),
            version.entry.size.to_string(),
            time::local(version.entry.modified, &context.zone),
        ]
    });
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
            // Numbers end below each other.
            if matches!(column, 3 | 4) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        output.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn line(version: &Version, path: &EntryPath, snapshots: &[&Snapshot]) -> Value {
    let at = |at: usize| {
        let snapshot = snapshots[at];
        json!({ "snapshot": snapshot.id.to_string(), "time": time::rfc3339(snapshot.structure.time) })
    };
    let mut node = listing::node(path, &version.entry);
    if let Value::Object(fields) = &mut node {
        fields.remove("message_type");
    }
    let mut line = json!({
        "message_type": "file_version",
        "first": at(version.first),
        "last": at(version.last),
        "snapshots": version.count,
        "node": node,
    });
    put_path(&mut line, "path", &path.to_bytes());
    line
}
