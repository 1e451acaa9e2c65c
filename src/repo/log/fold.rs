//! The fold: from the entries, one after another, to what holds now. Pure; knows neither store nor clock.
//!
//! Invariant: a state is changed by an entry as a whole or, when that breaks a rule, not at all.

use super::entry::{Decision, Entry, Part, Target, Verdict};
use super::ledger::{Checkpoint, Hold, Ledger};
use super::trust::{EpochStart, Principal, Revocation, Trust};
use super::{Cert, Head};
use crate::crypto::sign::PublicKey;
use crate::repo::config::Config;
use crate::repo::id::{HoldId, PackId, PrincipalId, RepositoryId, SnapshotId};
use crate::repo::keys::role::Role;
use crate::repo::{frame, wire};
use std::collections::BTreeSet;

/// Why an entry does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It cannot be opened, or its author did not sign it.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// It does not decode.
    #[error("the entry {0}")]
    Format(#[from] wire::Error),
    /// It is sealed for an epoch that is not in force.
    #[error("it is sealed for epoch {found}, not {expected}")]
    Epoch { found: u32, expected: u32 },
    /// It does not stand where it says.
    #[error("it was made for position {found}, not {expected}")]
    Position { found: u64, expected: u64 },
    /// It does not name the entry before.
    #[error("it does not follow the entry before it")]
    Chain,
    /// It voids other objects than those that do not verify.
    #[error("it does not void exactly what does not verify before it")]
    Voids,
    /// The log does not begin with the first admin.
    #[error("the log does not begin with the certificate of its first admin")]
    Founding,
    /// Its author is nobody, or was revoked.
    #[error("its author {0} is not a principal, or was revoked")]
    Author(PrincipalId),
    /// Its author may not decide this.
    #[error("{word} is not for a {role} to enter")]
    NotAllowed { word: &'static str, role: Role },
    /// A principal's role does not change.
    #[error("principal {0} has another role")]
    RoleChange(PrincipalId),
    /// No such principal, or one that was revoked already.
    #[error("principal {0} does not exist, or was revoked")]
    NoPrincipal(PrincipalId),
    /// An admin may not revoke itself.
    #[error("nobody revokes itself")]
    SelfRevocation,
    /// Epochs and checkpoints count up by one.
    #[error("it has number {found}, not {expected}")]
    Number { found: u64, expected: u64 },
    /// A config of something else.
    #[error("the config belongs to another repository or admin")]
    ForeignConfig,
    /// Forget and prune are on hold.
    #[error("hold {0} is in force")]
    OnHold(HoldId),
    /// No such hold.
    #[error("there is no hold {0}, or there is one of that name")]
    HoldName(HoldId),
    /// What was ever FINAL stays so.
    #[error("pack {0}, or a part of it, is final")]
    AlreadyFinal(PackId),
    /// Only what is condemned, and was before the sessions were listed, can be rescued or made final.
    #[error("pack {0}, or a part of it, was not condemned before")]
    NotCondemned(PackId),
    /// A listing from the future.
    #[error("it names a listing after itself")]
    Listing,
}

impl Violation {
    /// Whether a later version of boveda may understand what this one does not.
    pub const fn needs_newer(&self) -> bool {
        match self {
            Self::Frame(error) => error.needs_newer(),
            Self::Format(error) => matches!(error, wire::Error::Critical(_)),
            _ => false,
        }
    }
}

/// What the log comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(super) repository: RepositoryId,
    pub(super) admin: PublicKey,
    pub(super) next: u64,
    pub(super) digest: [u8; 32],
    pub(super) trust: Trust,
    pub(super) ledger: Ledger,
}

impl State {
    /// The state before the first entry, from what the bundle vouches for: repository, admin key, hash of the config.
    pub fn new(repository: RepositoryId, admin: PublicKey, config_hash: [u8; 32]) -> Self {
        Self { repository, admin, next: 0, digest: config_hash, trust: Trust::new(), ledger: Ledger::default() }
    }

    /// The repository.
    pub const fn repository(&self) -> &RepositoryId {
        &self.repository
    }

    /// The newest entry; none before the first.
    pub fn head(&self) -> Option<Head> {
        Some(Head { position: self.next.checked_sub(1)?, digest: self.digest })
    }

    /// The position of the next entry.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// What the next entry names as the one before: the newest entry's digest, or the hash of the config.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Who is who.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// What was decided about snapshots and packs.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The key that must have signed an entry by `author` that comes next: its own, but for the first entry the admin key
    /// of the config.
    pub fn signer(&self, author: &PrincipalId) -> Option<PublicKey> {
        if self.next == 0 {
            return Some(self.admin);
        }
        self.trust.active(author).map(|principal| principal.cert.signing)
    }

    /// Takes in the next entry, whose signature was checked. `digest` is its frame's, `doubtful` are the digests of the
    /// objects before it that do not verify.
    ///
    /// # Errors
    /// The rule that it breaks; then nothing has changed.
    pub fn apply(&mut self, entry: &Entry, digest: [u8; 32], doubtful: &[[u8; 32]]) -> Result<(), Violation> {
        let expected = self.next + doubtful.len() as u64;
        if entry.position != expected {
            return Err(Violation::Position { found: entry.position, expected });
        }
        if entry.previous != self.digest {
            return Err(Violation::Chain);
        }
        if entry.voids != doubtful {
            return Err(Violation::Voids);
        }
        let decision = self.permitted(entry)?;
        self.decide(entry, decision)?;
        (self.next, self.digest) = (entry.position + 1, digest);
        Ok(())
    }

    /// The entry's decision, if its author may take it.
    pub(super) fn permitted(&self, entry: &Entry) -> Result<Decision, Violation> {
        if self.next == 0 {
            let decision = entry.decision()?;
            let founds = matches!(&decision, Decision::Cert(cert)
                if cert.role == Role::Admin && cert.principal() == entry.author && entry.voids.is_empty());
            return if founds { Ok(decision) } else { Err(Violation::Founding) };
        }
        let author = self.trust.active(&entry.author).ok_or(Violation::Author(entry.author))?;
        let refused = |word| Violation::NotAllowed { word, role: author.cert.role };
        let may_maintain = author.cert.role.may_maintain();
        if !may_maintain && !entry.voids.is_empty() {
            return Err(refused("voiding entries"));
        }
        let decision = match entry.decision() {
            // Only those who may decide can make everybody wait for a newer version.
            Err(wire::Error::Critical(_)) if !may_maintain => return Err(refused("an entry of a later version")),
            decision => decision?,
        };
        if self.trust.has_right(&entry.author, decision.right()) { Ok(decision) } else { Err(refused(decision.word())) }
    }

    pub(super) fn decide(&mut self, entry: &Entry, decision: Decision) -> Result<(), Violation> {
        match decision {
            Decision::Condemn { targets, marked } => self.condemn(entry.position, &targets, marked),
            Decision::Rescue { targets } => self.rescue(&targets),
            Decision::Final { targets, listed } => self.finish(entry.position, &targets, listed),
            Decision::Forget(ids) => self.forget(entry.position, ids),
            Decision::Hold { id, asked_by, reason } => {
                let hold = Hold { asked_by, reason, position: entry.position, time: entry.time };
                self.hold(id, hold)
            }
            Decision::Release(id) => self.ledger.holds.remove(&id).map(drop).ok_or(Violation::HoldName(id)),
            Decision::Cert(cert) => self.certify(entry.position, cert),
            Decision::Revoke { principal, accepted, reason } => {
                let revocation = Revocation { position: entry.position, time: entry.time, accepted, reason };
                self.revoke(&entry.author, principal, revocation)
            }
            Decision::Epoch { epoch, read } => {
                self.begin_epoch(epoch, EpochStart { position: entry.position, time: entry.time, read })
            }
            Decision::Config(body) => self.configure(body),
            Decision::Checkpoint { number, census } => {
                let (position, time) = (entry.position, entry.time);
                self.checkpoint(Checkpoint { number, census, position, time })
            }
            other => {
                self.note(entry, other);
                Ok(())
            }
        }
    }

    /// Decisions that break no rule.
    fn note(&mut self, entry: &Entry, decision: Decision) {
        let ledger = &mut self.ledger;
        match decision {
            Decision::Unforget(ids) => {
                ledger.forgotten.retain(|id, _| !ids.contains(id));
                // What a CONDEMN marked before they were forgotten had another place then, and may have lost it since.
                ledger.marks.values_mut().for_each(|marked| marked.retain(|id| !ids.contains(id)));
            }
            Decision::Attest { session, end } => {
                ledger.attests.insert((session, end, entry.author));
            }
            Decision::Tag { snapshot, add, remove } => {
                let change = ledger.tags.entry(snapshot).or_default();
                for tag in add {
                    change.removed.remove(&tag);
                    change.added.insert(tag);
                }
                for tag in remove {
                    change.added.remove(&tag);
                    change.removed.insert(tag);
                }
            }
            Decision::Suspect { lost, whole } => {
                // What was ever FINAL is relied on by nobody anyway.
                let lost: Vec<PackId> = lost.into_iter().filter(|pack| !ledger.ever_final(pack)).collect();
                ledger.suspects.extend(lost);
                ledger.suspects.retain(|pack| !whole.contains(pack));
            }
            Decision::Resolve(Verdict::Gap { writer, missing }) => {
                ledger.gaps.insert((writer, missing));
            }
            Decision::Resolve(verdict @ (Verdict::Commit { session, .. } | Verdict::Abort { session, .. })) => {
                ledger.resolved.insert(session, verdict);
            }
            _ => {}
        }
    }

    fn not_on_hold(&self) -> Result<(), Violation> {
        self.ledger.holds.keys().next().map_or(Ok(()), |id| Err(Violation::OnHold(*id)))
    }

    /// The parts of `targets`, if none of them was ever FINAL, alone or with its pack.
    fn open_parts(&self, targets: &[Target]) -> Result<Vec<Part>, Violation> {
        let parts: Vec<Part> = targets.iter().flat_map(Target::parts).collect();
        let finished = |part: &&Part| self.ledger.ever_final(&part.pack) || self.ledger.finals.contains_key(part);
        parts.iter().find(finished).map_or(Ok(()), |part| Err(Violation::AlreadyFinal(part.pack)))?;
        Ok(parts)
    }

    /// As [`Self::open_parts`], if all of them are condemned by entries up to position `by`.
    fn condemned_parts(&self, targets: &[Target], by: u64) -> Result<Vec<Part>, Violation> {
        let parts = self.open_parts(targets)?;
        let pending = |part: &Part| self.ledger.condemned.get(part).is_some_and(|&position| position <= by);
        parts.iter().find(|part| !pending(part)).map_or(Ok(()), |part| Err(Violation::NotCondemned(part.pack)))?;
        Ok(parts)
    }

    fn condemn(&mut self, position: u64, targets: &[Target], marked: Vec<SnapshotId>) -> Result<(), Violation> {
        self.not_on_hold()?;
        let parts = self.open_parts(targets)?;
        self.ledger.condemned.extend(parts.into_iter().map(|part| (part, position)));
        self.ledger.marks.insert(position, marked.into_iter().collect::<BTreeSet<_>>());
        self.ledger.drop_spent_marks();
        Ok(())
    }

    fn rescue(&mut self, targets: &[Target]) -> Result<(), Violation> {
        for part in self.condemned_parts(targets, u64::MAX)? {
            self.ledger.condemned.remove(&part);
        }
        self.ledger.drop_spent_marks();
        Ok(())
    }

    fn finish(&mut self, position: u64, targets: &[Target], listed: u64) -> Result<(), Violation> {
        self.not_on_hold()?;
        if listed >= position {
            return Err(Violation::Listing);
        }
        for part in self.condemned_parts(targets, listed)? {
            self.ledger.condemned.remove(&part);
            if part.segment.is_none() {
                self.ledger.suspects.remove(&part.pack);
            }
            self.ledger.finals.insert(part, position);
        }
        self.ledger.drop_spent_marks();
        Ok(())
    }

    fn forget(&mut self, position: u64, ids: Vec<SnapshotId>) -> Result<(), Violation> {
        self.not_on_hold()?;
        for id in ids {
            self.ledger.forgotten.entry(id).or_insert(position);
        }
        Ok(())
    }

    fn hold(&mut self, id: HoldId, hold: Hold) -> Result<(), Violation> {
        if self.ledger.holds.contains_key(&id) {
            return Err(Violation::HoldName(id));
        }
        self.ledger.holds.insert(id, hold);
        Ok(())
    }

    fn certify(&mut self, position: u64, cert: Cert) -> Result<(), Violation> {
        let id = cert.principal();
        let Some(known) = self.trust.principals.get_mut(&id) else {
            self.trust.principals.insert(id, Principal { cert, since: position, revoked: None });
            return Ok(());
        };
        if known.revoked.is_some() {
            return Err(Violation::NoPrincipal(id));
        }
        if known.cert.role != cert.role {
            return Err(Violation::RoleChange(id));
        }
        known.cert = cert;
        Ok(())
    }

    fn revoke(&mut self, author: &PrincipalId, id: PrincipalId, revocation: Revocation) -> Result<(), Violation> {
        if *author == id {
            return Err(Violation::SelfRevocation);
        }
        let known = self.trust.principals.get_mut(&id).filter(|principal| principal.revoked.is_none());
        known.ok_or(Violation::NoPrincipal(id))?.revoked = Some(revocation);
        Ok(())
    }

    fn begin_epoch(&mut self, epoch: u32, start: EpochStart) -> Result<(), Violation> {
        next_number(self.trust.epoch.into(), epoch.into())?;
        self.trust.epoch = epoch;
        self.trust.epochs.insert(epoch, start);
        Ok(())
    }

    fn configure(&mut self, body: Vec<u8>) -> Result<(), Violation> {
        let config = Config::decode(&body)?;
        if config.repository != self.repository || config.admin != self.admin {
            return Err(Violation::ForeignConfig);
        }
        self.trust.config = Some(body);
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Violation> {
        next_number(self.ledger.checkpoint_number(), checkpoint.number)?;
        self.ledger.checkpoint = Some(checkpoint);
        Ok(())
    }
}

fn next_number(last: u64, found: u64) -> Result<(), Violation> {
    match last.checked_add(1) {
        Some(expected) if expected == found => Ok(()),
        expected => Err(Violation::Number { found, expected: expected.unwrap_or(last) }),
    }
}
