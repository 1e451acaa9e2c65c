//! Segments, as pack tables and indexes describe them, as JSON.

use serde_json::{Value, json};

use super::kinds::session_id;
use crate::crypto::aead::Suite;
use crate::crypto::hash::hex;
use crate::repo::id::ChunkKind;
use crate::repo::keys::data_key::Wrap;
use crate::repo::names::SessionName;
use crate::repo::segment::{Codec, Origin, SegmentDescriptor, WrappedKey};
use crate::repo::wire::Decoder;

/// One segment.
pub fn segment(row: &SegmentDescriptor) -> Value {
    let mut value = json!({
        "kind": kind(row.kind),
        "suite": suite(row.suite),
        "codec": codec(row.codec),
        "epoch": row.epoch,
        "offset": row.offset,
        "length": row.length,
        "blake3": hex(&row.hash),
        "origin": origin(&row.origin),
        "chunks": strings(&row.ids),
    });
    if row.kind != ChunkKind::Skeleton {
        value["data_key"] = row.key_id.to_string().into();
    }
    if !row.bases.is_empty() {
        value["bases"] = strings(&row.bases).into();
    }
    value
}

/// Data keys as lists carry them: the wraps' outsides only.
pub fn wrapped(keys: &[WrappedKey]) -> Vec<Value> {
    let one = |key: &WrappedKey| match Decoder::whole(&key.wrap, Wrap::decode) {
        Ok(known) => wrap(&known),
        // Empty, or of a later version.
        Err(_) => json!({ "id": key.id.to_string(), "bytes": key.wrap.len() }),
    };
    keys.iter().map(one).collect()
}

/// A wrapped data key: whose, and what opens it; never what is wrapped.
pub fn wrap(wrap: &Wrap) -> Value {
    let session = SessionName { writer: wrap.writer, seq: wrap.seq };
    json!({
        "id": wrap.id.to_string(), "session": session_id(&session), "epoch": wrap.epoch, "mechanism": wrap.kem,
    })
}

/// The session that first wrote a segment.
pub fn origin(origin: &Origin) -> String {
    session_id(&SessionName { writer: origin.writer, seq: origin.seq })
}

/// The word for a kind of chunks.
pub const fn kind(kind: ChunkKind) -> &'static str {
    match kind {
        ChunkKind::Data => "data",
        ChunkKind::Payload => "payload",
        ChunkKind::Skeleton => "skeleton",
    }
}

/// The word for a codec.
pub const fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::Stored => "stored",
        Codec::Zstd => "zstd",
        Codec::Delta => "delta",
    }
}

/// The name of a cipher suite.
pub const fn suite(suite: Suite) -> &'static str {
    match suite {
        Suite::XChaCha20Poly1305 => "xchacha20-poly1305",
        Suite::Aes256Gcm => "aes-256-gcm",
    }
}

/// Ids as text.
pub fn strings<T: ToString>(ids: impl IntoIterator<Item = T>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}
