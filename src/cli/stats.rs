//! `boveda stats`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, find, open_near, require, shown};
use super::output::{Output, count, put_path, size};
use super::selector::{Filter, Selector};
use super::{escape, time};
use crate::ops::stats::{self, Alone, Held, Summary};
use crate::repo::catalog::Sums;
use crate::repo::id::ChunkKind;
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;

/// Show how large things are: the repository, or folders of a snapshot
///
/// Without a snapshot: what all snapshots hold together, what each alone holds, and what the repository takes in its store.
/// With one: the size of its folders.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME)[:/abs/path]: sizes of the folders in it
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    selector: Option<OsString>,
    /// So many levels of folders below the given one
    #[arg(short, long, value_name = "N", requires = "selector", default_value_t = 0, hide_default_value = true)]
    depth: usize,
    #[command(flatten)]
    filter: Filter,
}

/// Shows them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let selector =
        arguments.selector.as_ref().map(|text| Selector::parse(text.as_bytes(), &context.zone)).transpose()?;
    if selector.is_none() && !arguments.filter.is_empty() {
        return Err(Failure::usage("filters choose a snapshot here: name one too, such as `latest`"));
    }
    let opened = open_near(context, &output)?;
    require(&opened.repository, Role::reads_structure, "counting what there is")?;
    match selector {
        Some(selector) => folders(arguments, &selector, &opened, context, &output)?,
        None => {
            let counted = stats::stats(&opened.repository, &opened.host, &*output);
            let summary = counted.map_err(|error| output.stopped(error.into()))?;
            if output.json() {
                print_json(&summary, &opened, &output)?
            } else {
                print(&summary, &opened, context, &output)?
            }
        }
    }
    Ok(output.code())
}

fn folders(
    arguments: &Arguments,
    selector: &Selector,
    opened: &Opened,
    context: &Context,
    output: &Output,
) -> Result<(), Failure> {
    require(&opened.repository, Role::reads_content, "counting a snapshot's files")?;
    let snapshot = find(&opened.repository, selector, &arguments.filter, context)?;
    let tree = opened.tree(snapshot, &[IndexClass::Catalog])?;
    let path = selector.path.clone().unwrap_or_default();
    let there = stats::folders(&tree, &path, arguments.depth, |folder, Sums { entries, bytes }| {
        let folder = folder.to_bytes();
        if output.json() {
            let mut value = json!({ "message_type": "folder", "total_entries": entries, "total_size": bytes });
            put_path(&mut value, "path", &folder);
            return Ok::<_, Failure>(output.json_line(&value)?);
        }
        Ok(output.line(&format!("{:>9}  {entries:>9}  {}", size(bytes), escape::name(&folder)))?)
    })?;
    if there {
        return Ok(());
    }
    let path = escape::name(&path.to_bytes());
    Err(Failure::new(Code::Failed, format!("there is no {path} in snapshot {selector}"))
        .hint("`boveda ls` and `boveda find` show what is in a snapshot"))
}

fn print(summary: &Summary, opened: &Opened, context: &Context, output: &Output) -> Result<(), Failure> {
    let snapshots = opened.repository.snapshots();
    let Sums { entries, bytes } = summary.logical;
    output.line(&format!("snapshots  {}, with {entries} entries and {} in all", snapshots.len(), size(bytes)))?;
    if let Some(unique) = summary.unique {
        let (held, stored) = (size(unique.bytes), size(unique.stored));
        output.line(&format!("unique     {held} in {}, {stored} compressed", count(unique.chunks, "chunk")))?;
    }
    let stored: u64 = summary.rooms.values().map(|room| room.bytes).sum();
    output.line(&format!("stored     {}{}", size(stored), ratio(bytes, stored)))?;
    for (room, objects) in &summary.rooms {
        output.line(&format!(
            "  {:<8} {:>9} in {}",
            escape::line(room),
            size(objects.bytes),
            count(objects.objects, "object")
        ))?;
    }
    output.line("segments")?;
    for (kind, segments) in &summary.kinds {
        output.line(&format!(
            "  {:<8} {:>9} with {}",
            word(*kind),
            size(segments.stored),
            count(segments.chunks, "chunk")
        ))?;
    }
    if !summary.each.is_empty() {
        output.line(&format!("{:<8}  {:<19}  {:>9}  {:>9}  {:>9}", "ID", "Time", "Size", "Alone", "Compressed"))?;
    }
    for (alone, snapshot) in summary.each.iter().zip(snapshots) {
        let (id, time) = (snapshot.id.short(), time::local(snapshot.time(), &context.zone));
        let [whole, own, stored] = [snapshot.structure.bytes, alone.data.bytes, alone.data.stored].map(size);
        output.line(&format!("{id:<8}  {time:<19}  {whole:>9}  {own:>9}  {stored:>9}"))?;
    }
    Ok(())
}

/// How often what is stored holds what it stands for.
fn ratio(logical: u64, stored: u64) -> String {
    if stored == 0 || logical <= stored {
        return String::new();
    }
    // A ratio is shown with one digit; the precision lost above 2^53 is far below that.
    #[allow(clippy::cast_precision_loss)]
    let ratio = logical as f64 / stored as f64;
    format!(", {ratio:.1} times less than the snapshots hold")
}

fn print_json(summary: &Summary, opened: &Opened, output: &Output) -> Result<(), Failure> {
    for (alone, snapshot) in summary.each.iter().zip(opened.repository.snapshots()) {
        let Alone { data, pages, .. } = alone;
        let whole = shown(snapshot).json();
        output.json_line(&json!({
            "message_type": "snapshot_stats", "id": whole["id"], "short_id": whole["short_id"], "time": whole["time"],
            "total_entries": whole["total_entries"], "total_size": whole["total_bytes"],
            "alone": held(data), "alone_pages": pages,
        }))?;
    }
    let rooms: serde_json::Map<String, Value> = summary
        .rooms
        .iter()
        .map(|(room, objects)| (room.clone(), json!({ "objects": objects.objects, "bytes": objects.bytes })))
        .collect();
    let kinds: serde_json::Map<String, Value> = summary
        .kinds
        .iter()
        .map(|(kind, found)| {
            let value = json!({ "segments": found.segments, "chunks": found.chunks, "stored": found.stored });
            (word(*kind).to_owned(), value)
        })
        .collect();
    let mut value = json!({
        "message_type": "stats",
        "snapshots_count": opened.repository.snapshots().len(),
        "total_entries": summary.logical.entries,
        "total_size": summary.logical.bytes,
        "stored": summary.rooms.values().map(|room| room.bytes).sum::<u64>(),
        "objects": rooms,
        "segments": kinds,
    });
    if let Some(unique) = &summary.unique {
        value["unique"] = held(unique);
    }
    Ok(output.json_line(&value)?)
}

fn held(held: &Held) -> Value {
    json!({ "chunks": held.chunks, "bytes": held.bytes, "stored": held.stored })
}

const fn word(kind: ChunkKind) -> &'static str {
    match kind {
        ChunkKind::Data => "data",
        ChunkKind::Payload => "payload",
        ChunkKind::Skeleton => "skeleton",
    }
}
