//! Keys and who holds them: bundles by role, the slots that keep them, the keys of epochs, installations and sessions.
//!
//! Invariant: what a bundle holds follows from its role alone, and nothing here is ever printed. This room does no I/O
//! and does not know where slots are stored; the bytes stand in `FORMAT.md`.

pub mod bundle;
mod bundle_format;
pub mod credential;
pub mod data_key;
pub mod epoch;
#[cfg(test)]
pub mod fixture;
pub mod installation;
pub mod principal;
pub mod recovery;
pub mod role;
pub mod slot;
pub mod unlock;
#[cfg(test)]
mod vectors;

use super::id::{DataKeyId, SlotId};
use super::wire;
use crate::crypto;
use role::Role;
use slot::SlotKind;

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes that do not decode.
    #[error("{what} {source}")]
    Format {
        /// What was being decoded, as the subject of the sentence.
        what: &'static str,
        /// Why it does not decode.
        source: wire::Error,
    },
    /// A format version that this boveda does not know.
    #[error("{what} has format version {version}, which needs a newer boveda")]
    Version {
        /// What was being decoded.
        what: &'static str,
        /// The version that it claims.
        version: u8,
    },
    /// A cryptographic step failed.
    #[error("{what}: {source}")]
    Crypto {
        /// What was being opened or sealed.
        what: &'static str,
        /// The failed step.
        source: crypto::Error,
    },
    /// The keys at hand do not allow this.
    #[error("{action} needs other keys than a {role}'s")]
    NotAllowed {
        /// Whose keys were used.
        role: Role,
        /// What was asked of them.
        action: &'static str,
    },
    /// A bundle that belongs to another repository, or was made for another `config`.
    #[error("these keys belong to another repository, or its config was exchanged")]
    ForeignConfig,
    /// No keys of this epoch.
    #[error("these keys know nothing of epoch {0}")]
    UnknownEpoch(u32),
    /// Two different sets of keys claim one epoch.
    #[error("epoch {0} has other keys already")]
    EpochConflict(u32),
    /// A data key wrap opened to something else than it promised.
    #[error("the wrap of data key {0} holds another key")]
    WrongDataKey(DataKeyId),
    /// An empty password protects nothing.
    #[error("the password is empty")]
    EmptyPassword,
    /// A key that is no raw key.
    #[error(
        "a raw key is 64 hexadecimal digits (or 32 bytes, also in base64), and a recovery key is 24 words; this is neither"
    )]
    RawKey,
    /// Too few or too many words.
    #[error("a recovery key has 24 words, not {0}")]
    RecoveryWordCount(usize),
    /// A word that no recovery key has.
    #[error("word {position} of the recovery key, \"{word}\", is not in the word list{}", hint(*.suggestion))]
    RecoveryWord {
        /// Its place, counted from 1.
        position: usize,
        /// The word as given.
        word: String,
        /// A word of the list that it may stand for.
        suggestion: Option<&'static str>,
    },
    /// All words are known, but together they do not fit.
    #[error("the recovery key's checksum is wrong: a word was exchanged for another, or the order changed")]
    RecoveryChecksum,
    /// No slot opens.
    #[error("no slot opens with this {}; {existing}", .tried.noun())]
    NotOpened {
        /// What was tried.
        tried: SlotKind,
        /// Which slots the repository has.
        existing: unlock::Inventory,
    },
    /// The key fits the slot, but what the slot holds was changed.
    #[error("slot {0} is damaged: the key fits, its content does not authenticate")]
    SlotDamaged(SlotId),
}

fn hint(suggestion: Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |word| format!(" (did you mean \"{word}\"?)"))
}

impl Error {
    /// For `map_err`: a wire error, and what did not decode.
    fn format(what: &'static str) -> impl Fn(wire::Error) -> Self {
        move |source| Self::Format { what, source }
    }

    /// For `map_err`: a cryptographic error, and what it was about.
    fn crypto(what: &'static str) -> impl Fn(crypto::Error) -> Self {
        move |source| Self::Crypto { what, source }
    }
}
