//! The context strings of every derived key and every signature, one per purpose, all in one place so that none is used twice.
//!
//! BLAKE3's derivation mode asks for strings that are hard-coded, unique and application specific.

/// Ids of file content chunks, from the id key.
pub const ID_DATA: &str = "boveda v1 2026-11 id key: data chunks";
/// Ids of catalog payload chunks, from the id key.
pub const ID_PAYLOAD: &str = "boveda v1 2026-11 id key: catalog payloads";
/// Ids of catalog skeleton chunks, from the structure key.
pub const ID_SKELETON: &str = "boveda v1 2026-11 structure key: catalog skeletons";
/// The chunker's gear table, from the chunker key.
pub const GEAR: &str = "boveda v1 2026-11 chunker key: gear table";
/// Where catalog pages are cut, from the id key.
pub const PAGE_CUT: &str = "boveda v1 2026-11 id key: catalog page cuts";
/// Where pages of long extent lists are cut, from the id key.
pub const EXTENT_CUT: &str = "boveda v1 2026-11 id key: extent page cuts";
/// Tokens that let a maintainer group snapshots without reading names, from the structure key.
pub const TOKEN: &str = "boveda v1 2026-11 structure key: group tokens";
/// Sealing of small objects, tables and skeletons, from the index key.
pub const INDEX_SEAL: &str = "boveda v1 2026-11 index key: sealed bodies";
/// What proves the runs of the chunk index in a machine's cache, from the structure key.
pub const CHUNK_RUN: &str = "boveda v1 2026-11 structure key: chunk index runs";
/// The id (and commitment) of a data key.
pub const DATA_KEY_ID: &str = "boveda v1 2026-11 data key: id";
/// Per-message key of suite 1, from a sealing key.
pub const SUITE_1: &str = "boveda v1 2026-11 suite 1 XChaCha20-Poly1305";
/// Per-message key of suite 2, from a sealing key.
pub const SUITE_2: &str = "boveda v1 2026-11 suite 2 AES-256-GCM";
/// Hedged nonces.
pub const NONCE: &str = "boveda v1 2026-11 hedged nonce";
/// Symmetric wraps of data keys, from the read secret key.
pub const READ_WRAP: &str = "boveda v1 2026-11 read key: data key wraps";
/// Slot sealing key, from what opens the slot.
pub const SLOT: &str = "boveda v1 2026-11 slot: bundle";
/// Slot commitment, from what opens the slot.
pub const SLOT_COMMITMENT: &str = "boveda v1 2026-11 slot: commitment";
/// An installation's signing key, from the principal's secret and the installation's id.
pub const INSTALLATION: &str = "boveda v1 2026-11 principal: installation signing key";
/// Sealing of the change-detection cache, from the principal's secret.
pub const CHANGE_CACHE: &str = "boveda v1 2026-11 principal: change cache";
