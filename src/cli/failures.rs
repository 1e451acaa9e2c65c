//! What the errors of the rooms below mean to whoever called the program: an exit code and a hint.

use super::error::{Code, Failure};
use super::time::rfc3339;
use crate::config;
use crate::mount;
use crate::ops::{archive, content, import, restore, snapshot};
use crate::repo::entry::Timestamp;
use crate::repo::{catalog, chunks, keys, log, repository};
use crate::store::{self, ErrorKind, retention};

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let failure = Self::because(of_store(&error), &error);
        match error.kind {
            ErrorKind::NoStore => {
                let message = format!("there is no repository at {}: {}", error.place, error.source);
                let hint = "check the location (-r), or make a repository there with `boveda init`";
                match error.place.contains("://") {
                    true => Self::new(failure.code, message)
                        .hint(format!("{hint}; a bucket or container must be made first")),
                    false => Self::new(failure.code, message).hint(hint),
                }
            }
            ErrorKind::Denied if error.place.contains("://") => failure.hint(refused(&error)),
            ErrorKind::Config => {
                Self { code: Code::Usage, ..failure }.hint("docs/stores.md has the options of each kind of place")
            }
            ErrorKind::Archived | ErrorKind::Locked => failure.hint(patience(&error)),
            ErrorKind::Temporary if error.place.contains("://") => failure.hint(
                "the place could not be reached for a while; run the command again later: what was stored is used then",
            ),
            ErrorKind::Denied => failure.hint("check who owns the repository's folder, and its mode"),
            ErrorKind::Full => {
                failure.hint("make room where the repository is, then run the command again: nothing is lost")
            }
            _ => failure,
        }
    }
}

/// What to do where a place does not take our word for who we are.
fn refused(error: &store::Error) -> &'static str {
    let said = error.source.to_string();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["RequestTimeTooSkewed", "Date header", "reasonable timeframe"]) {
        "set this machine's clock: the place refuses what is signed minutes away from its own time. Run the command again then: what was \
         stored is used"
    } else if says(&["ExpiredToken", "has expired"]) {
        "get new credentials, these have had their time, and run the command again: what was stored is used then"
    } else {
        "check the credentials and what they allow; docs/stores.md says where they come from, `boveda store probe` what is missing"
    }
}

/// What to do where a place keeps an object from being read, removed or replaced for a time.
fn patience(error: &store::Error) -> String {
    if error.kind == ErrorKind::Archived {
        return "the object lies in an archive tier: `boveda restore --thaw ask` asks for what a snapshot needs, \
                docs/stores.md says which objects must not be archived at all"
            .to_owned();
    }
    let until = retention::until(error).map(|seconds| rfc3339(Timestamp { seconds, nanoseconds: 0 }));
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!(
        "the place's retention (object lock, immutability policy or hold) keeps the object from being removed or replaced{until}; \
         docs/stores.md says more"
    )
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        use config::Error as E;
        let failure = Self::because(Code::Usage, &error);
        match &error {
            E::Readable { path, .. } => failure.hint(format!("run: chmod 600 {}", path.display())),
            E::Writable { path, .. } => failure.hint(format!("run: chmod o-w {}", path.display())),
            E::Io { .. } => failure,
            _ => failure.hint("docs/configuration.md has every key; `boveda config check` checks the file"),
        }
    }
}

impl From<keys::Error> for Failure {
    fn from(error: keys::Error) -> Self {
        let failure = Self::because(of_keys(&error), &error);
        match of_keys(&error) {
            Code::WrongKey => failure.hint("the recovery key opens the repository too, typed in or by --key-file"),
            Code::Refused => failure.hint(REFUSED),
            _ => failure,
        }
    }
}

impl From<repository::Error> for Failure {
    fn from(error: repository::Error) -> Self {
        use repository::Error as E;
        match error {
            E::Store(error) => error.into(),
            E::Keys(error) => error.into(),
            E::Chunk(error) => told(of_chunk(&error), &error),
            E::NotFound { .. } => Self::because(Code::NoRepository, &error)
                .hint("check the location (-r), or make a repository there with `boveda init`"),
            E::ConfigLost { .. } => Self::because(Code::Damage, &error)
                .hint("put the file `config` back from another copy of this repository: it is the same in all of them"),
            E::Exists { .. } => Self::because(Code::Failed, &error).hint("use it as it is, or choose another location"),
            E::Unfounded => Self::because(Code::Failed, &error)
                .hint("run `boveda init` again with the same password or key: it goes on where it was cut short"),
            E::OtherRepository { .. } | E::Diverged { .. } => Self::because(Code::Failed, &error),
            E::NotEmpty { .. } => Self::because(Code::Failed, &error).hint("choose an empty place"),
            E::Role { .. } | E::Principal { .. } => Self::because(Code::Refused, &error).hint(REFUSED),
            E::RolledBack { .. } | E::Log(log::Error::RolledBack(_)) => Self::because(Code::Damage, &error).hint(
                "someone put an older state back, or a copy is out of date; compare with another copy before you go on. \
                 `boveda repair rollback` shows what is gone",
            ),
            E::Log(log::Error::Stopped(_)) => Self::because(Code::Damage, &error)
                .hint("`boveda repair log`, by an admin, shows what is wrong and lets the log go on"),
            E::Shared { .. } => Self::because(Code::Failed, &error).hint("choose another: each principal has its own"),
            E::Label(_) | E::Slot { .. } => {
                Self::because(Code::Failed, &error).hint("`boveda key list` shows what there is")
            }
            E::Aborted { .. } => Self::because(Code::Failed, &error)
                .hint("run the command again: what was stored is used by the next session"),
            E::Unsteady { .. } => Self::because(Code::Damage, &error)
                .hint("the storage gives other bytes each time; nothing is decided by that: see to the storage first"),
            E::Newer { .. } => Self::because(Code::Damage, &error).hint("update boveda on this machine"),
            E::Cloned { .. } => Self::because(Code::Failed, &error)
                .hint("run the command again; do not copy boveda's state folder from one machine to another"),
            // An entry that is not there is damage; no room, or no leave to read or write, is not.
            E::Log(log::Error::Store(error))
                if matches!(
                    error.kind,
                    ErrorKind::Full | ErrorKind::Denied | ErrorKind::Archived | ErrorKind::Locked
                ) =>
            {
                error.into()
            }
            E::Log(ref log) => told(of_chain(log), &error),
            _ => told(of_chain(&error), &error),
        }
    }
}

impl From<catalog::Error> for Failure {
    fn from(error: catalog::Error) -> Self {
        by_chain(&error)
    }
}

impl From<snapshot::Error> for Failure {
    fn from(error: snapshot::Error) -> Self {
        use snapshot::Error as E;
        match error {
            E::Repository(error) => error.into(),
            E::Store(error) => error.into(),
            E::Pattern(_) => Self::because(Code::Usage, &error),
            E::Source(_) | E::Stream(_) | E::Stopped => Self::because(Code::Failed, &error),
            _ => told(of_chain(&error), &error),
        }
    }
}

impl From<restore::Error> for Failure {
    fn from(error: restore::Error) -> Self {
        match error {
            restore::Error::NotInSnapshot { .. } => {
                Self::because(Code::Failed, &error).hint("`boveda ls` shows what is in a snapshot")
            }
            restore::Error::DeleteRoot => Self::because(Code::Usage, &error)
                .hint("give --include or --exclude, or restore a folder of the snapshot"),
            _ => by_chain(&error),
        }
    }
}

impl From<archive::Error> for Failure {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::Write(error) => error.into(),
            archive::Error::NotInSnapshot { .. } | archive::Error::Stopped => Self::because(Code::Failed, &error),
            archive::Error::Catalog(_) => by_chain(&error),
        }
    }
}

impl From<import::Error> for Failure {
    fn from(error: import::Error) -> Self {
        use import::Error as E;
        match error {
            E::Repository(error) => error.into(),
            E::Store(error) => error.into(),
            E::Archive(_) => Self::because(Code::Failed, &error)
                .hint("no snapshot was made; what was stored is used by the next run"),
            E::Stopped => Self::because(Code::Failed, &error),
            E::Catalog(_) | E::Chunk(_) => told(of_chain(&error), &error),
        }
    }
}

impl From<content::Error> for Failure {
    fn from(error: content::Error) -> Self {
        match error {
            content::Error::Write(error) => error.into(),
            _ => by_chain(&error),
        }
    }
}

impl From<mount::Error> for Failure {
    fn from(error: mount::Error) -> Self {
        use mount::Error as E;
        let failure = |code| Self::because(code, &error);
        match &error {
            E::Folder { .. } => failure(Code::Usage),
            E::NotEmpty(_) | E::Overlap { .. } => failure(Code::Usage).hint("choose an empty folder somewhere else"),
            E::Mounted(_) => failure(Code::Failed).hint("`boveda umount` ends the one that is there"),
            E::Mount { .. } => failure(Code::Failed).hint(
                "an ordinary user needs the package fuse3 and /dev/fuse; --allow-other also user_allow_other in /etc/fuse.conf",
            ),
            E::Unmount { .. } => failure(Code::Failed).hint("`boveda umount --lazy` takes it away under its users' feet"),
            E::Overlay { .. } => failure(Code::Failed).hint(
                "an ordinary user needs the package fuse-overlayfs; the folder must be on a file system that takes extended attributes",
            ),
            E::Snapshots(source) => failure(of_chain(&**source)),
            E::NotMounted(_) | E::Ended { .. } | E::Background(_) => failure(Code::Failed),
        }
    }
}

/// A failure, with what to do where a cause of it is that a place keeps an object for a time.
fn told(code: Code, error: &(dyn std::error::Error + 'static)) -> Failure {
    let failure = Failure::because(code, error);
    match chunks::failure_of_store(error) {
        Some(cause @ store::Error { kind: ErrorKind::Archived | ErrorKind::Locked, .. }) => {
            failure.hint(patience(cause))
        }
        _ => failure,
    }
}

/// An error of something that reads, with what to do when the cause is damage.
fn by_chain(error: &(dyn std::error::Error + 'static)) -> Failure {
    let failure = told(of_chain(error), error);
    match failure.code {
        Code::Damage => failure.hint("`boveda verify` tells what else is damaged, and what can be mended"),
        _ => failure,
    }
}

const REFUSED: &str = "`boveda key list` (by an admin) shows who may what; docs/keys.md explains the roles";

const fn of_store(error: &store::Error) -> Code {
    match error.kind {
        ErrorKind::NoStore => Code::NoRepository,
        ErrorKind::Config => Code::Usage,
        _ => Code::Failed,
    }
}

const fn of_keys(error: &keys::Error) -> Code {
    use keys::Error as E;
    match error {
        E::NotOpened { .. } => Code::WrongKey,
        E::NotAllowed { .. } | E::UnknownEpoch(_) => Code::Refused,
        E::EmptyPassword | E::RawKey | E::RecoveryWordCount(_) | E::RecoveryWord { .. } | E::RecoveryChecksum => {
            Code::Usage
        }
        _ => Code::Damage,
    }
}

const fn of_chunk(error: &chunks::Error) -> Code {
    match error {
        chunks::Error::NoKey { .. } => Code::Refused,
        chunks::Error::Unknown { .. } | chunks::Error::Damaged { .. } => Code::Damage,
        chunks::Error::Store(_) | chunks::Error::Stopped => Code::Failed,
    }
}

/// By the first cause that is known to be no damage; what does not decode or authenticate, without one, is damage.
fn of_chain(error: &(dyn std::error::Error + 'static)) -> Code {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return of_store(error);
        }
        if let Some(error) = error.downcast_ref() {
            return of_keys(error);
        }
        if let Some(error) = error.downcast_ref() {
            return of_chunk(error);
        }
        if error.is::<std::io::Error>() {
            return Code::Failed;
        }
        next = error.source();
    }
    // Behind an error that is shared.
    chunks::failure_of_store(error).map_or(Code::Damage, of_store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::id::ChunkId;
    use std::sync::Arc;

    #[test]
    fn an_archived_object_is_no_damage_and_names_the_way_out_whoever_met_it() {
        let archived = || store::Error {
            kind: ErrorKind::Archived,
            action: "read",
            object: "packs/00/0".to_owned(),
            place: "s3://b".to_owned(),
            source: Arc::new(std::io::Error::other("InvalidObjectState")),
        };
        let chunk = || chunks::Error::Store(Arc::new(archived()));
        let page = || {
            let (page, hidden, cause) = (ChunkId([0; 32]), catalog::Hidden::Unknown, catalog::Fault::Chunk(chunk()));
            catalog::Error::Page(Box::new(catalog::Unreadable { page, hidden, cause }))
        };
        for failure in [
            Failure::from(archived()),
            Failure::from(repository::Error::Log(log::Error::Store(archived()))),
            Failure::from(repository::Error::Chunk(chunk())),
            Failure::from(content::Error::Chunk { offset: 0, source: chunk() }),
            Failure::from(catalog::Error::Value(chunk())),
            Failure::from(restore::Error::Catalog(page())),
        ] {
            assert_eq!(failure.code, Code::Failed, "{failure}");
            assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("--thaw")), "{failure}");
        }
    }

    #[test]
    fn a_full_disk_is_no_damage_whoever_met_it() {
        let full = || store::Error {
            kind: ErrorKind::Full,
            action: "write",
            object: "log/1".to_owned(),
            place: "/r".to_owned(),
            source: Arc::new(std::io::Error::from_raw_os_error(28)),
        };
        for error in [repository::Error::Store(full()), repository::Error::Log(log::Error::Store(full()))] {
            let failure = Failure::from(error);
            assert_eq!(failure.code, Code::Failed);
            assert!(failure.hint.unwrap().contains("make room"));
        }
    }
}
