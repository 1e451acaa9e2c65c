//! The structure part: what retention and prune need to know of a snapshot. No names; those who may not read group by tokens.

use super::{decode_time, encode_time};
use crate::crypto::{context, hash, secret::Secret};
use crate::repo::entry::Timestamp;
use crate::repo::id::{ChunkId, SnapshotId, Token, WriterId};
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};
use std::collections::BTreeMap;

/// Whether every byte was read for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SnapshotKind {
    /// Every byte was read.
    Full = 1,
    /// What had not changed was taken from the parent.
    Incremental = 2,
}

/// Whether a snapshot shows all that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Completeness {
    /// All of it.
    Complete = 1,
    /// What a long session had read so far; never the latest.
    Partial = 2,
}

/// What a snapshot was taken of. Later versions add numbers; a snapshot of an unknown one is listed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceKind(pub u64);

impl SourceKind {
    /// Files and directories.
    pub const FILES: Self = Self(1);
}

/// Keyed stand-ins for a snapshot's host, paths and tags: equal ones have equal tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Of the host.
    pub host: Token,
    /// Of all paths together.
    pub paths: Token,
    /// Of each tag, ascending.
    pub tags: Vec<Token>,
}

impl Tokens {
    /// The tokens of these names; the order of paths and tags does not matter, nor do repetitions.
    pub fn of(structure_key: &Secret, host: &str, paths: &[Vec<u8>], tags: &[String]) -> Self {
        let mut tags: Vec<Token> = tags.iter().map(|tag| Self::tag(structure_key, tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        Self { host: Self::host(structure_key, host), paths: Self::paths(structure_key, paths), tags }
    }

    /// The token of a host.
    pub fn host(structure_key: &Secret, host: &str) -> Token {
        token(structure_key, 1, host.as_bytes())
    }

    /// The token of a set of paths.
    pub fn paths(structure_key: &Secret, paths: &[Vec<u8>]) -> Token {
        let mut sorted: Vec<&Vec<u8>> = paths.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut encoder = Encoder::new();
        encoder.list(&sorted, |encoder, path| {
            encoder.bytes(path);
        });
        token(structure_key, 2, &encoder.into_bytes())
    }

    /// The token of a tag.
    pub fn tag(structure_key: &Secret, tag: &str) -> Token {
        token(structure_key, 3, tag.as_bytes())
    }
}

fn token(structure_key: &Secret, of: u8, bytes: &[u8]) -> Token {
    let key = hash::derive_key(context::TOKEN, structure_key);
    let digest = hash::keyed(&key, &[&[of], bytes].concat());
    Token(*digest.first_chunk().expect("a digest has more than 16 bytes"))
}

/// One value for all heads that a writer saw: two that saw the same have the same.
pub fn heads_digest(heads: &BTreeMap<WriterId, SnapshotId>) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(heads.len() * 48);
    for (writer, head) in heads {
        bytes.extend_from_slice(&writer.0);
        bytes.extend_from_slice(&head.0);
    }
    hash::sha256(&bytes)
}

/// The structure part of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// The skeleton of the catalog's root page.
    pub root: ChunkId,
    /// Entries in the catalog.
    pub entries: u64,
    /// Bytes of its regular files.
    pub bytes: u64,
    /// What it was taken of.
    pub source: SourceKind,
    /// Whether every byte was read.
    pub kind: SnapshotKind,
    /// Whether it is all of it.
    pub completeness: Completeness,
    /// Host, paths and tags, as tokens.
    pub tokens: Tokens,
    /// When it was taken, by its writer's word.
    pub time: Timestamp,
    /// What its writer saw: [`heads_digest`].
    pub heads: [u8; 32],
    /// The snapshot that unchanged files were taken from.
    pub parent: Option<SnapshotId>,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Structure {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.raw(&self.root.0).uint(self.entries).uint(self.bytes).uint(self.source.0);
        encoder.u8(self.kind as u8).u8(self.completeness as u8);
        encoder.raw(&self.tokens.host.0).raw(&self.tokens.paths.0);
        encoder.list(&self.tokens.tags, |encoder, tag| {
            encoder.raw(&tag.0);
        });
        encode_time(&mut encoder, self.time);
        encoder.raw(&self.heads).option(self.parent.as_ref(), |encoder, id| {
            encoder.raw(&id.0);
        });
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            let (root, entries, bytes) = (ChunkId(decoder.array()?), decoder.uint()?, decoder.uint()?);
            let source = SourceKind(decoder.uint()?);
            let kind = match decoder.u8()? {
                1 => SnapshotKind::Full,
                2 => SnapshotKind::Incremental,
                _ => return Err(Error::Invalid("a snapshot that is neither full nor incremental")),
            };
            let completeness = match decoder.u8()? {
                1 => Completeness::Complete,
                2 => Completeness::Partial,
                _ => return Err(Error::Invalid("a snapshot that is neither complete nor partial")),
            };
            let (host, paths) = (Token(decoder.array()?), Token(decoder.array()?));
            let tags = decoder.list(|decoder| decoder.array().map(Token))?;
            if !tags.is_sorted_by(|a, b| a < b) {
                return Err(Error::Invalid("tokens out of order"));
            }
            let tokens = Tokens { host, paths, tags };
            let (time, heads) = (decode_time(decoder)?, decoder.array()?);
            let parent = decoder.option(|decoder| decoder.array().map(SnapshotId))?;
            let extensions = Extensions::decode(decoder, &[])?;
            Ok(Self { root, entries, bytes, source, kind, completeness, tokens, time, heads, parent, extensions })
        })
    }
}
