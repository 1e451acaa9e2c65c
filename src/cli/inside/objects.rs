//! Objects as JSON, field by field. Names are those of `FORMAT.md`; keys, even wrapped ones, are never shown.

use serde_json::{Value, json};

use super::kinds::session_id;
use super::segments::{self, strings, suite};
use crate::cli::time::rfc3339;
use crate::crypto::hash::hex;
use crate::repo::census::Census;
use crate::repo::config::{ChunkerParameters, Config};
use crate::repo::entry::Timestamp;
use crate::repo::index_object::IndexBody;
use crate::repo::keys::slot::SlotHeader;
use crate::repo::log::{Cert, Decision, Entry, Target, Verdict as Resolved};
use crate::repo::names::IndexClass;
use crate::repo::pack::Table;
use crate::repo::repository::IndexSigner;
use crate::repo::session::{Certified, End, IndexRef, Open, Signer, Verdict};

/// The config.
pub fn config(config: &Config) -> Value {
    let chunker = |parameters: &ChunkerParameters| {
        json!({
            "minimum": parameters.minimum, "average": parameters.average, "maximum": parameters.maximum,
            "normalization": parameters.normalization,
        })
    };
    json!({
        "message_type": "repository_config",
        "id": config.repository.to_string(),
        "version": crate::repo::config::FORMAT_VERSION,
        "suite": suite(config.suite),
        "admin_key": hex(&config.admin.0),
        "created": seconds(config.created),
        "chunker": { "files": chunker(&config.files), "dumps": chunker(&config.dumps) },
        "data_per_parity": config.parity,
    })
}

/// The readable part of a slot.
pub fn slot(id: &str, header: &SlotHeader) -> Value {
    let mut value = json!({
        "message_type": "slot",
        "id": id,
        "kind": header.kind.noun(),
        "role": header.role.name(),
        "principal": header.principal.to_string(),
        "created": seconds(header.created),
        "suite": suite(header.suite),
    });
    if let Some(cost) = header.argon2 {
        value["argon2"] = json!({ "memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes });
    }
    value
}

/// An entry of the log.
pub fn entry(entry: &Entry, author: Option<&str>) -> Value {
    let mut value = json!({
        "message_type": "decision",
        "position": entry.position,
        "time": seconds(entry.time),
        "author": entry.author.to_string(),
        "previous": hex(&entry.previous),
        "voids": entry.voids.iter().map(|digest| hex(digest)).collect::<Vec<_>>(),
    });
    if let Some(author) = author {
        value["author_label"] = author.into();
    }
    match entry.decision() {
        Ok(decision) => {
            value["type"] = decision.word().into();
            value["decision"] = decided(&decision);
        }
        Err(error) => value["unreadable"] = error.to_string().into(),
    }
    value
}

fn decided(decision: &Decision) -> Value {
    match decision {
        Decision::Condemn { targets: packs, marked } => json!({ "packs": targets(packs), "marked": strings(marked) }),
        Decision::Rescue { targets: packs } => json!({ "packs": targets(packs) }),
        Decision::Final { targets: packs, listed } => json!({ "packs": targets(packs), "listed": listed }),
        Decision::Forget(ids) | Decision::Unforget(ids) => json!({ "snapshots": strings(ids) }),
        Decision::Hold { id, asked_by, reason } => {
            json!({ "id": id.to_string(), "asked_by": asked_by.to_string(), "reason": reason })
        }
        Decision::Release(id) => json!({ "id": id.to_string() }),
        Decision::Cert(cert) => certificate(cert),
        Decision::Revoke { principal, accepted, reason } => {
            let last = |(writer, id): &(_, _)| json!({ "writer": text(writer), "snapshot": text(id) });
            json!({
                "principal": principal.to_string(), "reason": reason,
                "accepted": accepted.iter().map(last).collect::<Vec<_>>(),
            })
        }
        Decision::Attest { session, end } => json!({ "session": session_id(session), "end": hex(end) }),
        Decision::Tag { snapshot, add, remove } => {
            json!({ "snapshot": snapshot.to_string(), "add": add, "remove": remove })
        }
        Decision::Epoch { epoch, read } => json!({ "epoch": epoch, "read_key": hex(&read.0) }),
        Decision::Config(body) => Config::decode(body).map_or(Value::Null, |body| config(&body)),
        Decision::Resolve(Resolved::Commit { session, end, indexes, .. }) => {
            json!({ "commit": session_id(session), "end": hex(end), "indexes": refs(indexes) })
        }
        Decision::Resolve(Resolved::Abort { session, end }) => json!({ "abort": session_id(session), "end": hex(end) }),
        Decision::Resolve(Resolved::Gap { writer, missing }) => {
            json!({ "writer": writer.to_string(), "missing": missing.to_string() })
        }
        Decision::Checkpoint { number, census } => json!({ "number": number, "census": census.to_string() }),
        Decision::Suspect { lost, whole } => json!({ "lost": strings(lost), "whole": strings(whole) }),
        Decision::Unknown => Value::Null,
    }
}

fn text(id: &impl ToString) -> String {
    id.to_string()
}

fn targets(targets: &[Target]) -> Vec<Value> {
    let one = |target: &Target| json!({ "pack": target.pack.to_string(), "segments": target.segments });
    targets.iter().map(one).collect()
}

fn certificate(cert: &Cert) -> Value {
    json!({
        "principal": cert.principal().to_string(),
        "label": cert.label,
        "role": cert.role.name(),
        "signing_key": hex(&cert.signing.0),
        "sealing_key": hex(&cert.sealing.0),
        "trusts": strings(&cert.trusts),
        "may_attest": cert.may_attest,
    })
}

/// A session's opening.
pub fn opening(open: &Open) -> Value {
    json!({
        "installation": installation(&open.installation),
        "log_position": open.log_position,
        "log_digest": hex(&open.log_digest),
        "checkpoint": open.checkpoint,
        "time": seconds(open.time),
        "program_version": open.program,
    })
}

/// A session's end.
pub fn end(end: &End) -> Value {
    let mut value = json!({ "time": seconds(end.time) });
    match &end.signer {
        Signer::Installation(certified) => value["installation"] = installation(certified),
        Signer::Principal(id) => value["principal"] = id.to_string().into(),
    }
    let id = |record: &Vec<u8>| hex(&crate::crypto::hash::sha256(record));
    match &end.verdict {
        Verdict::Commit { record, indexes } => {
            value["verdict"] = "commit".into();
            value["snapshots"] = vec![id(record)].into();
            value["indexes"] = refs(indexes).into();
        }
        Verdict::Abort { reason } => {
            value["verdict"] = "abort".into();
            value["reason"] = reason.as_str().into();
        }
        Verdict::Copies { records, indexes } => {
            value["verdict"] = "copies".into();
            value["snapshots"] = records.iter().map(|copied| id(&copied.record)).collect::<Vec<_>>().into();
            value["indexes"] = refs(indexes).into();
        }
    }
    value
}

fn installation(certified: &Certified) -> Value {
    json!({
        "principal": certified.principal.to_string(),
        "writer": certified.certificate.writer.to_string(),
        "signing_key": hex(&certified.certificate.public.0),
    })
}

fn refs(indexes: &[IndexRef]) -> Vec<String> {
    indexes.iter().map(|index| index.id.to_string()).collect()
}

/// An index.
pub fn index(reference: &IndexRef, signer: IndexSigner, body: &IndexBody, counts: bool) -> Value {
    let packs = body.packs.iter().map(|pack| {
        let mut value = json!({
            "id": pack.id.to_string(), "bytes": pack.length,
            "segments": pack.rows.iter().map(segments::segment).collect::<Vec<_>>(),
        });
        if let Some(md5) = &pack.md5 {
            value["md5"] = hex(md5).into();
        }
        value
    });
    json!({
        "message_type": "index",
        "id": reference.id.to_string(),
        "checkpoint": reference.checkpoint,
        "class": class(reference.class),
        "counts": counts,
        "signer": match signer {
            IndexSigner::Installation(writer) => writer.to_string(),
            IndexSigner::Principal(principal) => principal.to_string(),
        },
        "data_keys": segments::wrapped(&body.wraps),
        "packs": packs.collect::<Vec<_>>(),
    })
}

/// The word for a class of indexes.
pub const fn class(class: IndexClass) -> &'static str {
    match class {
        IndexClass::Catalog => "catalog",
        IndexClass::Data => "data",
    }
}

/// A pack's own table.
pub fn table(id: &str, bytes: u64, table: &Table) -> Value {
    json!({
        "message_type": "pack",
        "id": id,
        "bytes": bytes,
        "signer": table.signer.to_string(),
        "epoch": table.epoch,
        "data_keys": segments::wrapped(&table.wraps),
        "segments": table.rows.iter().map(segments::segment).collect::<Vec<_>>(),
    })
}

/// A census, without what it repeats word for word.
pub fn census(id: &str, census: &Census) -> Value {
    let record = |record: &Vec<u8>| hex(&crate::crypto::hash::sha256(record));
    json!({
        "message_type": "census",
        "id": id,
        "number": census.number,
        "log_position": census.head.position,
        "admin_entries": census.admin_entries.iter().map(|entry| entry.position).collect::<Vec<_>>(),
        "snapshots": census.records.iter().map(|listed| record(&listed.record)).collect::<Vec<_>>(),
        "indexes": refs(&census.indexes),
        "undeleted": strings(&census.undeleted),
        "watermarks": census.watermarks.iter().map(|(writer, seq)| format!("{writer}/{seq}")).collect::<Vec<_>>(),
    })
}

/// Whole seconds since 1970, as a moment.
pub fn seconds(seconds: i64) -> String {
    rfc3339(Timestamp { seconds, nanoseconds: 0 })
}
