//! Which sessions count, and what they come to: the snapshots of the repository, its indexes, who signed what.
//!
//! Invariant: a pure judgement of what was read, by the log's state and the newest census alone; everybody who read the
//! same judges the same. What does not count is reported, never dropped in silence.

mod chains;
mod judge;
mod read;
#[cfg(test)]
mod tests;

pub use read::{All, Found, Object, read};

use super::census::{Census, Receipt};
use super::frame;
use super::id::{PackId, PrincipalId, SnapshotId, WriterId};
use super::log::{self, IndexKeys, State};
use super::names::{IndexClass, SessionName};
use super::record::{self, Record};
use super::session::{Certified, IndexRef};
use super::wire;
use crate::crypto::sign::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// Why sessions cannot be judged at all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No key for an epoch that is or was in force.
    #[error("{object} is sealed for epoch {epoch}: {source}")]
    NoKey {
        /// The object's name.
        object: String,
        /// Which epoch.
        epoch: u32,
        /// Why there is no key.
        source: log::Cause,
    },
}

/// Why an object of a session says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It cannot be read, opened, or does not verify.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// It is sealed for an epoch that never was.
    #[error("it is sealed for an unknown epoch")]
    Epoch,
    /// It does not decode.
    #[error("it {0}")]
    Format(#[from] wire::Error),
    /// Its record does not hold.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// Its installation's principal may not write.
    #[error("principal {0} is not certified to write")]
    NotAWriter(PrincipalId),
    /// Nobody whom the log knows vouches for its installation.
    #[error("principal {0} did not certify this installation")]
    Certificate(PrincipalId),
    /// It was signed by another installation than the one that opened the session.
    #[error("another installation opened the session")]
    OtherInstallation,
    /// It, or its record, belongs to another session.
    #[error("it belongs to another session")]
    OtherSession,
    /// Only a maintainer or an admin aborts other's sessions, and nobody commits them.
    #[error("principal {0} may not end this session")]
    NotAllowed(PrincipalId),
}

impl Flaw {
    /// Whether a later version of boveda may understand what this one does not.
    pub const fn needs_newer(&self) -> bool {
        match self {
            Self::Frame(error) => error.needs_newer(),
            Self::Format(wire::Error::Critical(_)) | Self::Record(record::Error::Version(_)) => true,
            Self::Record(record::Error::Format { source, .. }) => matches!(source, wire::Error::Critical(_)),
            _ => false,
        }
    }
}

/// Something that people, and prune, should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue {
    /// The session's opening is missing though it ended, or does not verify; what it committed counts.
    NoOpening(SessionName, Option<Flaw>),
    /// The session's end does not verify: neither commit nor abort. Prune stops until RESOLVE.
    BadEnd(SessionName, Flaw),
    /// A record in the census does not verify.
    BadRecord(SnapshotId, Flaw),
    /// A record names one before it that is nowhere, and neither FORGET nor RESOLVE says why.
    Gap { writer: WriterId, missing: SnapshotId, after: SnapshotId },
    /// Records with one predecessor: a machine was cloned.
    Fork { writer: WriterId, records: Vec<SnapshotId> },
    /// A record that miscounts its chain.
    Misnumbered(SnapshotId),
    /// A record that REVOKE does not accept; it is not a snapshot.
    Revoked(SnapshotId),
    /// Several principals claim one writer.
    Claimed { writer: WriterId, principals: BTreeSet<PrincipalId> },
    /// A session that the census has passed over: its objects say nothing.
    Void(SessionName),
}

/// Who signed a session's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The principal.
    pub principal: PrincipalId,
    /// Its installation's key.
    pub installation: PublicKey,
    /// Digest of the frame of its end, if that is valid.
    pub end: Option<[u8; 32]>,
}

/// A snapshot that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its record, verified.
    pub record: Record,
    /// Whose it is.
    pub principal: PrincipalId,
    /// The first checkpoint that listed it.
    pub receipt: Option<Receipt>,
    /// Whether it is forgotten: kept only until prune.
    pub forgotten: bool,
    /// Whether it was copied from another copy of the repository.
    pub copied: bool,
}

/// What became of a session above its watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has no valid end yet.
    Unresolved {
        /// Its newest heartbeat.
        beat: Option<u64>,
    },
    /// It committed these.
    Committed(Vec<SnapshotId>),
    /// It was given up.
    Aborted,
}

/// What the sessions come to.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Every snapshot that exists, the forgotten ones too.
    pub snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// The indexes that count.
    pub indexes: BTreeSet<IndexRef>,
    /// Every session above the watermarks.
    pub sessions: BTreeMap<SessionName, Outcome>,
    /// What should be known.
    pub issues: Vec<Issue>,
    signed: BTreeMap<SessionName, Signed>,
    /// The indexes of commits above the watermarks.
    committed: BTreeSet<(SessionName, IndexRef)>,
    /// Who signed for writers whose sessions the census covers.
    covered: BTreeMap<WriterId, BTreeMap<PrincipalId, PublicKey>>,
    watermarks: BTreeMap<WriterId, u64>,
    /// The certificates of all installations that signed anything that counts.
    certificates: BTreeMap<(WriterId, PrincipalId), Certified>,
    /// Who signed for writers whose sessions are at another copy of the repository, and whose work was brought here from there.
    elsewhere: BTreeMap<WriterId, BTreeMap<PrincipalId, PublicKey>>,
    /// Packs that an index names and that did not come along when it was brought here: only those that every session which brought it leaves out.
    left_out: BTreeMap<IndexRef, BTreeSet<PackId>>,
}

impl View {
    /// Judges what was read. `census` is the one that the newest CHECKPOINT of `state` names.
    ///
    /// # Errors
    /// When an index key is missing.
    pub fn judge(
        state: &State,
        census: Option<&Census>,
        found: &BTreeMap<SessionName, Found>,
        keys: &IndexKeys<'_>,
    ) -> Result<Self, Error> {
        let mut view = Self::default();
        if let Some(census) = census {
            judge::census(&mut view, state, census);
        }
        for (session, found) in found {
            if session.seq <= view.watermark(&session.writer) {
                view.issues.push(Issue::Void(*session));
            } else {
                judge::session(&mut view, state, session, found, keys)?;
            }
        }
        view.report_claims();
        chains::check(&mut view, state);
        Ok(view)
    }

    /// The last session of a writer that the census covers, 0 if none.
    pub fn watermark(&self, writer: &WriterId) -> u64 {
        self.watermarks.get(writer).copied().unwrap_or(0)
    }

    /// Every writer's last session that the census covers.
    pub const fn watermarks(&self) -> &BTreeMap<WriterId, u64> {
        &self.watermarks
    }

    /// The indexes of commits above the watermarks, with the session that names each.
    pub const fn committed_indexes(&self) -> &BTreeSet<(SessionName, IndexRef)> {
        &self.committed
    }

    /// Who signed the objects of a session.
    pub fn signed(&self, session: &SessionName) -> Option<Signed> {
        let here = match session.seq > self.watermark(&session.writer) {
            true => self.signed.get(session).copied(),
            false => self.covered.get(&session.writer).and_then(only),
        };
        here.or_else(|| self.elsewhere.get(&session.writer).and_then(only))
    }

    /// Who signed the objects of a session above its watermark.
    pub fn signed_here(&self, session: &SessionName) -> Option<Signed> {
        self.signed.get(session).copied()
    }

    /// Who signed for writers whose sessions the census covers.
    pub fn covered_signers(&self) -> impl Iterator<Item = (WriterId, PrincipalId)> {
        self.covered.iter().flat_map(|(writer, principals)| principals.keys().map(|principal| (*writer, *principal)))
    }

    /// Writers under whose name several principals had sessions here.
    pub fn claimed_here(&self) -> BTreeSet<WriterId> {
        let mut claims: BTreeMap<WriterId, BTreeSet<PrincipalId>> = BTreeMap::new();
        let fresh = self.signed.iter().map(|(session, signed)| (session.writer, signed.principal));
        for (writer, principal) in fresh.chain(self.covered_signers()) {
            claims.entry(writer).or_default().insert(principal);
        }
        claims.into_iter().filter(|(_, principals)| principals.len() > 1).map(|(writer, _)| writer).collect()
    }

    /// The keys under which a writer whose work was brought here signs, and whose they are.
    pub fn brought(&self, writer: &WriterId) -> impl Iterator<Item = (PrincipalId, PublicKey)> {
        self.elsewhere.get(writer).into_iter().flatten().map(|(principal, key)| (*principal, *key))
    }

    /// Whether a session is unknown here, of a writer whose work was brought here from another copy of the repository.
    pub fn is_elsewhere(&self, session: &SessionName) -> bool {
        !self.sessions.contains_key(session)
            && session.seq > self.watermark(&session.writer)
            && self.elsewhere.contains_key(&session.writer)
    }

    /// Whether anything was brought here from another copy of the repository.
    pub fn is_copy(&self) -> bool {
        !self.elsewhere.is_empty() || self.snapshots.values().any(|snapshot| snapshot.copied)
    }

    /// The certificates of all installations that are known here, by writer and principal.
    pub const fn certificates(&self) -> &BTreeMap<(WriterId, PrincipalId), Certified> {
        &self.certificates
    }

    /// The certificate of a principal's installation.
    pub fn certificate(&self, writer: &WriterId, principal: &PrincipalId) -> Option<&Certified> {
        self.certificates.get(&(*writer, *principal))
    }

    /// Whose work, by writer and principal, was brought here from another copy of the repository.
    pub fn is_brought(&self, writer: &WriterId, principal: &PrincipalId) -> bool {
        self.elsewhere.get(writer).is_some_and(|principals| principals.contains_key(principal))
    }

    /// The packs that indexes name and that never came here, by the index.
    pub const fn left_out(&self) -> &BTreeMap<IndexRef, BTreeSet<PackId>> {
        &self.left_out
    }

    /// Whether a pack that this index names never came here, since it was gone for good where the index came from.
    pub fn is_left_out(&self, index: &IndexRef, pack: &PackId) -> bool {
        self.left_out.get(index).is_some_and(|packs| packs.contains(pack))
    }

    /// Whether `me` may rely on what `origin` stored: its own, an admin's, that of somebody it trusts, or attested.
    pub fn good_for(&self, me: &PrincipalId, origin: &SessionName, state: &State) -> bool {
        let Some(signed) = self.signed(origin) else { return false };
        state.trust().relies_on(me, &signed.principal) || self.attested(origin, &signed, state)
    }

    fn attested(&self, origin: &SessionName, signed: &Signed, state: &State) -> bool {
        state.ledger().attests.iter().any(|(session, end, by)| {
            // The end of a covered session is gone, and with it any other that the attest could have meant.
            // What came from another copy may have another session of that number: an attest here says nothing of that one.
            let same = session == origin
                && !self.elsewhere.contains_key(&origin.writer)
                && (signed.end == Some(*end) || origin.seq <= self.watermark(&origin.writer));
            same && state.trust().has_right(by, log::entry::Right::Attest)
        })
    }

    /// The newest record of each writer, the forgotten ones too.
    pub fn heads(&self) -> BTreeMap<WriterId, SnapshotId> {
        let mut heads: BTreeMap<WriterId, (u64, SnapshotId)> = BTreeMap::new();
        for (id, snapshot) in self.snapshots.iter().filter(|(_, snapshot)| !snapshot.copied) {
            let link = snapshot.record.link();
            let head = heads.entry(link.session.writer).or_insert((link.number, *id));
            *head = (*head).max((link.number, *id));
        }
        heads.into_iter().map(|(writer, (_, id))| (writer, id)).collect()
    }

    /// The newest record of one principal's installation: what its next record follows.
    pub fn own_head(&self, me: &PrincipalId, writer: &WriterId) -> Option<&Snapshot> {
        let own = |snapshot: &&Snapshot| {
            snapshot.principal == *me && !snapshot.copied && snapshot.record.link().session.writer == *writer
        };
        self.snapshots.values().filter(own).max_by_key(|snapshot| (snapshot.record.link().number, snapshot.record.id()))
    }

    /// The snapshots that are not forgotten.
    pub fn live(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.values().filter(|snapshot| !snapshot.forgotten)
    }

    /// The indexes of one class.
    pub fn indexes_of(&self, class: IndexClass) -> impl Iterator<Item = &IndexRef> {
        self.indexes.iter().filter(move |index| index.class == class)
    }

    /// Sessions that have no valid end: prune waits for them, or aborts them.
    pub fn unresolved(&self) -> impl Iterator<Item = &SessionName> {
        let open = |(_, outcome): &(&SessionName, &Outcome)| matches!(outcome, Outcome::Unresolved { .. });
        self.sessions.iter().filter(open).map(|(session, _)| session)
    }

    fn report_claims(&mut self) {
        let mut claims: BTreeMap<WriterId, BTreeSet<PrincipalId>> = BTreeMap::new();
        for (session, signed) in &self.signed {
            claims.entry(session.writer).or_default().insert(signed.principal);
        }
        for (writer, covered) in self.covered.iter().chain(&self.elsewhere) {
            claims.entry(*writer).or_default().extend(covered.keys());
        }
        let several = claims.into_iter().filter(|(_, principals)| principals.len() > 1);
        self.issues.extend(several.map(|(writer, principals)| Issue::Claimed { writer, principals }));
    }
}

/// The only one who claims a writer: where several do, nobody can tell whose a session was.
fn only(claims: &BTreeMap<PrincipalId, PublicKey>) -> Option<Signed> {
    let mut claims = claims.iter();
    let (&principal, &installation) = claims.next()?;
    claims.next().is_none().then_some(Signed { principal, installation, end: None })
}
