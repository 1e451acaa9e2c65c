//! The private part: names, paths and numbers that only readers see.

use super::{decode_time, encode_time};
use crate::repo::entry::Timestamp;
use crate::repo::id::SnapshotId;
use crate::repo::wire::{Decoder, Encoder, Error, Extensions};

/// What a session did, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Entries other than directories that the parent did not have.
    pub files_new: u64,
    /// Those that differ from the parent's.
    pub files_changed: u64,
    /// Those that are as in the parent.
    pub files_unmodified: u64,
    /// Directories that the parent did not have.
    pub dirs_new: u64,
    /// Directories whose attributes differ from the parent's.
    pub dirs_changed: u64,
    /// Directories that are as in the parent.
    pub dirs_unmodified: u64,
    /// New chunks of file content.
    pub data_chunks: u64,
    /// New chunks of the catalog.
    pub catalog_chunks: u64,
    /// Bytes of regular files, read or taken from the parent.
    pub bytes_processed: u64,
    /// Bytes that were read from the source.
    pub bytes_read: u64,
    /// Bytes of all new chunks.
    pub bytes_added: u64,
    /// Bytes that these take in packs.
    pub bytes_stored: u64,
    /// Source entries that could not be read.
    pub errors: u64,
}

impl Statistics {
    const COUNT: usize = 13;

    const fn values(&self) -> [u64; Self::COUNT] {
        [
            self.files_new,
            self.files_changed,
            self.files_unmodified,
            self.dirs_new,
            self.dirs_changed,
            self.dirs_unmodified,
            self.data_chunks,
            self.catalog_chunks,
            self.bytes_processed,
            self.bytes_read,
            self.bytes_added,
            self.bytes_stored,
            self.errors,
        ]
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        Ok(Self {
            files_new: decoder.uint()?,
            files_changed: decoder.uint()?,
            files_unmodified: decoder.uint()?,
            dirs_new: decoder.uint()?,
            dirs_changed: decoder.uint()?,
            dirs_unmodified: decoder.uint()?,
            data_chunks: decoder.uint()?,
            catalog_chunks: decoder.uint()?,
            bytes_processed: decoder.uint()?,
            bytes_read: decoder.uint()?,
            bytes_added: decoder.uint()?,
            bytes_stored: decoder.uint()?,
            errors: decoder.uint()?,
        })
    }
}

/// The private part of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Private {
    /// The host that it shows.
    pub host: String,
    /// Who took it.
    pub user: String,
    /// Their numeric id.
    pub uid: u32,
    /// Their numeric group.
    pub gid: u32,
    /// Where in the source the catalog's root lies: `/` for files.
    pub root: Vec<u8>,
    /// The absolute paths that were asked for, in the order given.
    pub paths: Vec<Vec<u8>>,
    /// Its tags, in the order given.
    pub tags: Vec<String>,
    /// Patterns of what was left out.
    pub excludes: Vec<String>,
    /// Program and version.
    pub program: String,
    /// When the session began to read.
    pub started: Timestamp,
    /// When it had read everything.
    pub finished: Timestamp,
    /// What it did.
    pub statistics: Statistics,
    /// The snapshot that this one was rewritten from.
    pub original: Option<SnapshotId>,
    /// Fields of later versions.
    pub extensions: Extensions,
}

impl Private {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.text(&self.host).text(&self.user).uint(self.uid.into()).uint(self.gid.into()).bytes(&self.root);
        encoder.list(&self.paths, |encoder, path| {
            encoder.bytes(path);
        });
        for texts in [&self.tags, &self.excludes] {
            encoder.list(texts, |encoder, text| {
                encoder.text(text);
            });
        }
        encoder.text(&self.program);
        encode_time(&mut encoder, self.started);
        encode_time(&mut encoder, self.finished);
        for value in self.statistics.values() {
            encoder.uint(value);
        }
        encoder.option(self.original.as_ref(), |encoder, id| {
            encoder.raw(&id.0);
        });
        self.extensions.encode(&mut encoder);
        encoder.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Decoder::whole(bytes, |decoder| {
            Ok(Self {
                host: decoder.text()?,
                user: decoder.text()?,
                uid: decoder.uint_as()?,
                gid: decoder.uint_as()?,
                root: decoder.bytes()?.to_vec(),
                paths: decoder.list(|decoder| decoder.bytes().map(<[u8]>::to_vec))?,
                tags: decoder.list(Decoder::text)?,
                excludes: decoder.list(Decoder::text)?,
                program: decoder.text()?,
                started: decode_time(decoder)?,
                finished: decode_time(decoder)?,
                statistics: Statistics::decode(decoder)?,
                original: decoder.option(|decoder| decoder.array().map(SnapshotId))?,
                extensions: Extensions::decode(decoder, &[])?,
            })
        })
    }
}
