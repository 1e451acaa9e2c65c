//! A log that is stopped: what stands at its tail without verifying, what that claims to be, and how an admin goes on.
//!
//! Nothing is removed: an object is voided by the next entry naming it, and stays where it is. A second copy that no later entry
//! proves may be a good entry: it is put in the place of the first, where everybody judges it, never voided unread.

use super::{Error, Repository, objects};
use crate::repo::frame::Frame;
use crate::repo::id::PrincipalId;
use crate::repo::log::read::Reason;
use crate::repo::log::{self, Decision, Doubt, Entry, Violation};
use crate::repo::names::{Copy, Name};

/// Something in the log that does not verify.
#[derive(Debug, Clone)]
pub struct Doubtful {
    /// Where it is, and why it does not count.
    pub doubt: Doubt,
    /// What it says of itself; `None` when it cannot be opened.
    pub claim: Option<Claim>,
}

/// What an entry says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Who decided.
    pub author: PrincipalId,
    /// When, in seconds since 1970 by the author's clock.
    pub time: i64,
    /// What kind of decision it is.
    pub word: &'static str,
    /// Whether that author signed it.
    pub signed: bool,
}

impl Doubtful {
    /// Whether only its second copy is left, which may be good.
    pub fn unproven(&self) -> bool {
        self.doubt.reason == Reason::Unproven
    }

    /// Whether it lies beyond the log's end, where no entry can void it.
    pub const fn beyond(&self) -> bool {
        matches!(self.doubt.reason, Reason::Beyond(_))
    }
}

impl Repository {
    /// What stops the log, oldest first; nothing, when it goes on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn doubtful(&self) -> Result<Vec<Doubtful>, Error> {
        let look = |doubt: &Doubt| Ok(Doubtful { claim: self.claim_of(doubt)?, doubt: doubt.clone() });
        self.log.doubts.iter().chain(&self.log.beyond).map(look).collect()
    }

    fn claim_of(&self, doubt: &Doubt) -> Result<Option<Claim>, Error> {
        for copy in Copy::BOTH {
            let name = Name::Log(doubt.position, copy);
            let frame = objects::get(&*self.store, &name)?.and_then(|stored| Frame::read(&name, &stored).ok());
            if let Some(frame) = frame {
                return Ok(self.claim_in(&frame));
            }
        }
        Ok(None)
    }

    fn claim_in(&self, frame: &Frame) -> Option<Claim> {
        let key = &self.bundle.epoch(frame.epoch()?).ok()?.index;
        let entry = Entry::decode(&frame.unseal(&self.id(), key).ok()?).ok()?;
        let author = self.log.state.trust().principal(&entry.author);
        let signed = author.is_some_and(|author| frame.verify(&self.id(), &author.cert.signing).is_ok());
        let word = entry.decision().map_or("an entry that does not decode", |decision| decision.word());
        Some(Claim { author: entry.author, time: entry.time, word, signed })
    }

    /// Makes the log go on: second copies take the place of first ones that are lost, and what does not verify even so is
    /// voided. Returns the positions that count again, and those that were voided.
    ///
    /// # Errors
    /// When this is not an admin's bundle, something there needs a newer boveda, something lies beyond the log's end, or the store fails.
    /// Then it can be tried again.
    pub fn mend_log(&mut self) -> Result<(Vec<u64>, Vec<u64>), Error> {
        if !self.bundle.role().may_certify() {
            return Err(Error::Role { role: self.bundle.role(), action: "voiding log entries" });
        }
        for doubt in &self.log.doubts {
            if let Reason::Unreadable(error) = &doubt.reason
                && error.needs_newer()
            {
                let (position, source) = (doubt.position, Violation::Frame(error.clone()));
                return Err(log::Error::Newer { position, source }.into());
            }
        }
        let before: Vec<u64> = self.log.doubts.iter().map(|doubt| doubt.position).collect();
        for doubt in self.log.doubts.iter().filter(|doubt| doubt.reason == Reason::Unproven) {
            self.put_first(doubt.position)?;
        }
        self.refresh()?;
        let mut voided = Vec::new();
        while !self.log.doubts.is_empty() {
            let doubts: Vec<u64> = self.log.doubts.iter().map(|doubt| doubt.position).collect();
            // Something must be said to void by; that one is who one is changes nothing.
            let me = self.log.state.trust().active(&self.bundle.principal_id());
            let cert = me.map(|me| me.cert.clone());
            let principal = self.bundle.principal_id();
            let cert = cert.ok_or(Error::Principal { principal, why: "unknown, or was revoked" })?;
            if self.enter_voiding(&Decision::Cert(cert))? {
                voided = doubts;
            }
        }
        if let Some(beyond) = self.log.beyond.first() {
            return Err(log::Error::Stopped(beyond.clone()).into());
        }
        let counting = before.into_iter().filter(|position| !voided.contains(position)).collect();
        Ok((counting, voided))
    }

    /// Puts the bytes of an entry's second copy where its first one is missing or cannot be read.
    fn put_first(&self, position: u64) -> Result<(), Error> {
        let [first, second] = Copy::BOTH.map(|copy| Name::Log(position, copy));
        let Some(stored) = objects::get(&*self.store, &second)? else { return Ok(()) };
        match objects::get(&*self.store, &first)? {
            None => drop(self.store.put(&first.object(), &stored)?),
            Some(lost) if Frame::read(&first, &lost).is_err() => self.store.heal(&first.object(), &stored)?,
            Some(_) => {}
        }
        Ok(())
    }
}
