//! What a prune came to, as a JSON line.

use serde_json::{Value, json};

use crate::cli::error::Failure;
use crate::cli::output::Output;
use crate::cli::time::rfc3339;
use crate::ops::prune::{Packs, Summary, Waiting};
use crate::repo::entry::Timestamp;

/// Prints it.
pub fn print(summary: &Summary, dry_run: bool, output: &Output) -> Result<(), Failure> {
    let mut line = json!({
        "message_type": "pruned",
        "dry_run": dry_run,
        "complete": summary.is_complete(),
        "stored": packs(summary.stored),
        "needed": packs(summary.needed),
        "unneeded_segment_bytes": summary.unneeded_segments,
        "unneeded_chunk_bytes": summary.unneeded_chunks,
        "repacked": packs(summary.repacked),
        "condemned": packs(summary.condemned),
        "rescued": packs(summary.rescued),
        "finished": packs(summary.finished),
        "deleted": packs(summary.deleted),
        "delayed": packs(summary.delayed),
        "locked": packs(summary.kept.locked),
        "locked_until": summary.kept.until.map(time),
        "keeps_versions": summary.kept.versions,
        "postponed": packs(summary.postponed),
        "open": packs(summary.open),
        "unknown": packs(summary.unknown),
        "waiting": summary.waiting.iter().map(waiting).collect::<Vec<_>>(),
    });
    if dry_run {
        let requests = &summary.requests;
        line["requests"] = json!({
            "gets": requests.gets, "puts": requests.puts, "deletes": requests.deletes,
            "bytes_got": requests.bytes_got, "bytes_put": requests.bytes_put, "price_usd": requests.dollars(),
        });
    }
    Ok(output.json_line(&line)?)
}

fn packs(packs: Packs) -> Value {
    json!({ "packs": packs.packs, "bytes": packs.bytes })
}

fn time(seconds: i64) -> String {
    rfc3339(Timestamp { seconds, nanoseconds: 0 })
}

fn waiting(one: &Waiting) -> Value {
    json!({
        "writer": one.session.writer.to_string(),
        "seq": one.session.seq,
        "open_since": time(one.open_since),
        "silent_since": time(one.silent_since),
        "ends": time(one.ends()),
    })
}
