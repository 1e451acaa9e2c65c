//! What can be listed and shown, and how its pieces are called: whole ids, or as much of one as is unique.

use std::collections::BTreeMap;

use crate::cli::error::{Code, Failure};
use crate::repo::names::{self, Copy, Name, SessionName};
use crate::repo::repository::{self, Repository};

/// Objects of a repository's layout, each once, with the bytes that they take, second copies included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Packs.
    Packs,
    /// Indexes.
    Indexes,
    /// Slots.
    Slots,
    /// Entries of the log.
    Log,
    /// Epoch keys.
    Keys,
    /// Censuses.
    Census,
}

impl Room {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Packs => names::PACKS,
            Self::Indexes => names::INDEXES,
            Self::Slots => names::SLOTS,
            Self::Log => names::LOG,
            Self::Keys => names::KEYS,
            Self::Census => names::CENSUS,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Packs => "pack",
            Self::Indexes => "index",
            Self::Slots => "slot",
            Self::Log => "log entry",
            Self::Keys => "epoch keys",
            Self::Census => "census",
        }
    }

    /// Everything in it, by id.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn list(self, repository: &Repository) -> Result<BTreeMap<Name, u64>, repository::Error> {
        let mut found: BTreeMap<Name, u64> = BTreeMap::new();
        for listed in repository.store().list(self.prefix())? {
            if let Some(name) = Name::parse(&listed.name) {
                *found.entry(first(name)).or_default() += listed.length;
            }
        }
        Ok(found)
    }

    /// The one that `text` names.
    ///
    /// # Errors
    /// When it is none or several.
    pub fn find(self, repository: &Repository, text: &str) -> Result<Name, Failure> {
        let all = self.list(repository)?;
        let fits = |name: &&Name| match name {
            Name::Log(position, _) => text.parse() == Ok(*position),
            _ => id(name).starts_with(text),
        };
        one(self.noun(), text, all.keys().filter(fits).map(|name| (*name, id(name))).collect())
    }
}

/// The name of an object's first copy.
const fn first(name: Name) -> Name {
    match name {
        Name::Config(_) => Name::Config(Copy::First),
        Name::Slot(id, _) => Name::Slot(id, Copy::First),
        Name::Census(id, _) => Name::Census(id, Copy::First),
        Name::Log(position, _) => Name::Log(position, Copy::First),
        other => other,
    }
}

/// What people call an object by.
pub fn id(name: &Name) -> String {
    match name {
        Name::Pack(id) => id.to_string(),
        Name::Index { id, .. } => id.to_string(),
        Name::Slot(id, _) => id.to_string(),
        Name::Census(id, _) => id.to_string(),
        Name::Log(position, _) => position.to_string(),
        Name::EpochKeys { epoch, principal } => format!("{epoch}/{principal}"),
        Name::Open(session) | Name::Beat(session, _) | Name::End(session) => session_id(session),
        other => other.to_string(),
    }
}

/// What people call a session by.
pub fn session_id(session: &SessionName) -> String {
    format!("{}/{}", session.writer, session.seq)
}

/// The only one of `found`.
///
/// # Errors
/// When it is none or several: candidates are listed.
pub fn one<T>(noun: &str, text: &str, mut found: Vec<(T, String)>) -> Result<T, Failure> {
    if found.len() == 1 {
        return Ok(found.remove(0).0);
    }
    let failure = |message| Failure::new(Code::Failed, message);
    if found.is_empty() {
        return Err(failure(format!("there is no {noun} `{text}`")).hint("`boveda list` shows what there is"));
    }
    let candidates: Vec<_> = found.iter().take(12).map(|(_, id)| format!("\n  {id}")).collect();
    Err(failure(format!("`{text}` fits {} of kind {noun}:{}", found.len(), candidates.concat())))
}

/// Every session that the store or the sessions' view knows, in order.
///
/// # Errors
/// When the listing fails.
pub fn sessions(repository: &Repository) -> Result<BTreeMap<SessionName, Vec<Name>>, repository::Error> {
    let mut found: BTreeMap<SessionName, Vec<Name>> = BTreeMap::new();
    for listed in repository.store().list(names::SESSIONS)? {
        if let Some(name @ (Name::Open(session) | Name::Beat(session, _) | Name::End(session))) =
            Name::parse(&listed.name)
        {
            found.entry(session).or_default().push(name);
        }
    }
    Ok(found)
}

/// The session that `WRITER/SEQ` names; of the writer its first digits will do.
///
/// # Errors
/// When it is none or several.
pub fn session(repository: &Repository, text: &str) -> Result<SessionName, Failure> {
    let usage =
        || Failure::usage(format!("`{text}` is no session: write it like `boveda list sessions` does, WRITER/NUMBER"));
    let (writer, seq) = text.rsplit_once('/').ok_or_else(usage)?;
    let seq: u64 = seq.parse().map_err(|_| usage())?;
    let all = sessions(repository)?;
    let fits = |session: &&SessionName| session.seq == seq && session.writer.to_string().starts_with(writer);
    one("session", text, all.keys().filter(fits).map(|session| (*session, session_id(session))).collect())
}
