//! What a prune enters in the log, and what it does to sessions and packs: the protocol's steps, each on its own.
//!
//! Nothing is decided here but whether a step is allowed: what is needed, and by whom, `ops::prune` finds out.

use super::{Error, Repository};
use crate::crypto::sign::SigningKey;
use crate::repo::entry::Timestamp;
use crate::repo::frame;
use crate::repo::id::{PackId, PrincipalId, SnapshotId};
use crate::repo::log::{Decision, Target};
use crate::repo::names::{Name, SessionName};
use crate::repo::segment::Origin;
use crate::repo::session::{End, Signer, Verdict};
use crate::repo::wire::Extensions;
use crate::store::{self, ErrorKind, Facts, Put};
use std::collections::BTreeSet;

impl Repository {
    /// Condemns these packs, of which whatever is needed lies elsewhere too: whoever reads the log from now on stores it anew. `marked`
    /// are the snapshots that a session may still take its parent from. Returns whether it stands, as [`Self::forget`] does.
    ///
    /// # Errors
    /// When the role does not maintain, a hold is in force, the log is in doubt, or the store fails: then it may stand.
    pub fn condemn(&mut self, packs: &BTreeSet<PackId>, mut marked: Vec<SnapshotId>) -> Result<bool, Error> {
        marked.sort_unstable();
        self.decide(&Decision::Condemn { targets: whole(packs), marked }, "pruning")
    }

    /// Takes back that these packs are condemned. Returns whether it stands.
    ///
    /// # Errors
    /// As [`Self::condemn`]; a hold does not matter.
    pub fn rescue(&mut self, packs: &BTreeSet<PackId>) -> Result<bool, Error> {
        self.decide(&Decision::Rescue { targets: whole(packs) }, "pruning")
    }

    /// Gives these packs up for good. `listed` is the newest position of the log that was read before the sessions were listed
    /// that have all ended since. Returns whether it stands.
    ///
    /// # Errors
    /// As [`Self::condemn`].
    pub fn finish(&mut self, packs: &BTreeSet<PackId>, listed: u64) -> Result<bool, Error> {
        self.decide(&Decision::Final { targets: whole(packs), listed }, "pruning")
    }

    /// Packs that are condemned as a whole by entries up to this position.
    pub fn condemned(&self, by: u64) -> BTreeSet<PackId> {
        let pending = self.log.state.ledger().condemned.iter();
        pending.filter(|(part, at)| part.segment.is_none() && **at <= by).map(|(part, _)| part.pack).collect()
    }

    /// Makes what this prune found as durable as what it enters itself: the log's newest entry, and every writer's newest commit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle_found(&self) -> Result<(), Error> {
        self.settle()
    }

    /// Makes these packs durable once more, before what they were copied from goes.
    ///
    /// # Errors
    /// When the store fails, or one of them is not there.
    pub fn settle_packs(&self, packs: &BTreeSet<PackId>) -> Result<(), Error> {
        Ok(packs.iter().try_for_each(|pack| self.store.settle(&Name::Pack(*pack).object()))?)
    }

    /// Ends a session that nobody will commit any more. If it has an end by now, that stands.
    ///
    /// # Errors
    /// When the role does not maintain, or the store fails.
    pub fn abort_silent(&self, session: SessionName, reason: &str) -> Result<Put, Error> {
        let role = self.bundle.role();
        if !role.may_maintain() {
            return Err(Error::Role { role, action: "ending other writers' sessions" });
        }
        let end = End {
            signer: Signer::Principal(self.bundle.principal_id()),
            time: Timestamp::now().seconds,
            verdict: Verdict::Abort { reason: reason.to_owned() },
            extensions: Extensions::default(),
        };
        let key: SigningKey = self.bundle.principal().signing_key();
        let name = Name::End(session);
        let written = frame::write(&self.id(), &name, b"", Some((self.sealing(), &end.encode()[..])), &key);
        Ok(self.store.put(&name.object(), &written.stored)?)
    }

    /// Whether a session has an end by now, whatever it says.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_ended(&self, session: SessionName) -> Result<bool, Error> {
        match self.store.length(&Name::End(session).object()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What the place keeps of a pack beside its bytes.
    ///
    /// # Errors
    /// When the store fails, or the pack is not there.
    pub fn pack_facts(&self, pack: &PackId) -> Result<Facts, Error> {
        Ok(self.store.facts(&Name::Pack(*pack).object())?)
    }

    /// Removes packs, all of which were given up for good: else nothing is done. What became of each: [`ErrorKind::Locked`] when the
    /// place does not let it go yet, and another prune asks again; else when the store fails.
    pub fn delete_final(&self, packs: &[PackId]) -> Vec<Result<(), store::Error>> {
        if !packs.iter().all(|pack| self.log.state.ledger().ever_final(pack)) {
            return Vec::new();
        }
        self.store.delete_all(&packs.iter().map(|pack| Name::Pack(*pack).object()).collect::<Vec<_>>())
    }

    /// Whether `principal` may rely on what a session stored.
    pub fn good_for(&self, principal: &PrincipalId, origin: &Origin) -> bool {
        let session = SessionName { writer: origin.writer, seq: origin.seq };
        self.view.good_for(principal, &session, &self.log.state)
    }
}

/// Whole packs as targets, in the order that an entry has them in.
fn whole(packs: &BTreeSet<PackId>) -> Vec<Target> {
    packs.iter().copied().map(Target::pack).collect()
}
