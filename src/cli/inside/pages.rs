//! Catalog pages, entries with all that they refer to, and snapshot records, as JSON.

use serde_json::{Value, json};

use super::kinds::session_id;
use super::segments::{self, strings};
use crate::cli::listing;
use crate::cli::open::shown;
use crate::cli::output::put_path;
use crate::crypto::hash::hex;
use crate::repo::catalog::{OpenPage, PageItems};
use crate::repo::entry::{Content, Entry, EntryKind, EntryPath, Extent, XattrValue};
use crate::repo::id::ChunkId;
use crate::repo::repository::Snapshot;
use crate::repo::session_view;

/// One page.
pub fn page(id: &ChunkId, page: &OpenPage) -> Value {
    let (family, items): (_, Vec<Value>) = match &page.items {
        PageItems::Entries(entries) => ("catalog", entries.iter().map(|(path, entry)| node(path, entry)).collect()),
        PageItems::Pages(pages) => {
            let below = |(path, id, sums): &(EntryPath, ChunkId, crate::repo::catalog::Sums)| {
                let mut value = json!({ "page": id.to_string(), "entries": sums.entries, "bytes": sums.bytes });
                put_path(&mut value, "first_path", &path.to_bytes());
                value
            };
            ("catalog", pages.iter().map(below).collect())
        }
        PageItems::Extents(list) => ("extents", extents(list)),
        PageItems::ExtentPages(pages) => {
            let below = |(id, bytes): &(ChunkId, u64)| json!({ "page": id.to_string(), "bytes": bytes });
            ("extents", pages.iter().map(below).collect())
        }
    };
    json!({
        "message_type": "page",
        "id": id.to_string(),
        "family": family,
        "level": page.level,
        "payload": page.references.payload.to_string(),
        "children": strings(&page.references.children),
        "data": strings(&page.references.data),
        "items": items,
    })
}

/// An entry with its content's chunks, its attributes and flags.
pub fn node(path: &EntryPath, entry: &Entry) -> Value {
    let mut value = listing::node(path, entry);
    match &entry.kind {
        EntryKind::File(Content::Extents(list)) => value["content"] = extents(list).into(),
        EntryKind::File(Content::Tree { root, chunks }) => {
            value["extent_tree"] = json!({ "page": root.to_string(), "chunks": chunks });
        }
        _ => {}
    }
    if entry.flags != 0 {
        value["flags"] = entry.flags.into();
    }
    if !entry.xattrs.is_empty() {
        value["extended_attributes"] = entry.xattrs.iter().map(|(name, held)| attribute(name, held)).collect();
    }
    value
}

fn attribute(name: &[u8], held: &XattrValue) -> Value {
    let mut value = json!({});
    put_path(&mut value, "name", name);
    match held {
        XattrValue::Inline(bytes) => put_path(&mut value, "value", bytes),
        XattrValue::Chunks(chunks) => {
            let chunk = |(id, length): &(ChunkId, u32)| json!({ "chunk": id.to_string(), "length": length });
            value["content"] = chunks.iter().map(chunk).collect();
        }
    }
    value
}

fn extents(extents: &[Extent]) -> Vec<Value> {
    let one = |extent: &Extent| match extent {
        Extent::Chunk { id, length } => json!({ "chunk": id.to_string(), "length": length }),
        Extent::Hole { length } => json!({ "hole": length }),
    };
    extents.iter().map(one).collect()
}

/// A snapshot's record: what `snapshots` shows of it, and what stands in the record besides.
pub fn record(snapshot: &Snapshot, found: &session_view::Snapshot) -> Value {
    let mut value = shown(snapshot).json();
    let (record, structure) = (&found.record, &snapshot.structure);
    let link = record.link();
    value["message_type"] = "snapshot_record".into();
    value["session"] = session_id(&link.session).into();
    value["number"] = link.number.into();
    value["previous"] = link.previous.map(|id| id.to_string()).into();
    value["principal"] = found.principal.to_string().into();
    value["copied"] = found.copied.into();
    value["receipt"] = found.receipt.map(|receipt| receipt.checkpoint).into();
    value["epoch"] = record.epoch().into();
    value["data_key"] = record.data_key().to_string().into();
    value["data_keys"] = record.wraps().iter().map(segments::wrap).collect();
    value["source"] = structure.source.0.into();
    value["heads_seen"] = hex(&structure.heads).into();
    value["tokens"] = json!({
        "host": structure.tokens.host.to_string(),
        "paths": structure.tokens.paths.to_string(),
        "tags": strings(&structure.tokens.tags),
    });
    if let Some(private) = &snapshot.private {
        put_path(&mut value, "root", &private.root);
        value["tags_at_first"] = private.tags.clone().into();
    }
    value
}
