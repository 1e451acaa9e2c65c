//! The fold from a census instead of the whole log: the admin's entries are opened and checked again, the rest is taken over.
//!
//! Invariant: who is who rests on the admins' signatures alone; a maintainer who makes a census vouches only for what
//! maintainers decide. That the entries are all there, their chain would say: a client that has the log checks it.

use super::entry::{Entry, Right};
use super::fold::{State, Violation};
use super::{EpochKeys, Error};
use crate::repo::census::{AdminEntry, Census};
use crate::repo::frame::Frame;
use crate::repo::names::{Copy, Name};

impl State {
    /// The state after the entries that `census` covers, from a fresh one.
    ///
    /// # Errors
    /// [`Error::Census`] when an entry does not hold, [`Error::NoKey`].
    pub fn from_census(mut self, census: &Census, keys: &EpochKeys<'_>) -> Result<Self, Error> {
        for admin_entry in &census.admin_entries {
            let epoch = self.trust.epoch;
            let position = admin_entry.position;
            let key =
                keys(epoch, self.trust.read_key(epoch)).map_err(|source| Error::NoKey { position, epoch, source })?;
            self.readmit(admin_entry, &key).map_err(|source| Error::Census { position, source })?;
        }
        if census.admin_entries.is_empty() || self.next > census.head.position + 1 {
            return Err(Error::Census { position: census.head.position, source: Violation::Founding });
        }
        (self.next, self.digest) = (census.head.position + 1, census.head.digest);
        self.ledger.clone_from(&census.ledger);
        Ok(self)
    }

    fn readmit(&mut self, admin_entry: &AdminEntry, key: &crate::crypto::secret::Secret) -> Result<(), Violation> {
        let frame = Frame::decode(&Name::Log(admin_entry.position, Copy::First), &admin_entry.frame)?;
        let (found, expected) = (frame.epoch().unwrap_or(0), self.trust.epoch);
        if found != expected {
            return Err(Violation::Epoch { found, expected });
        }
        let entry = Entry::decode(&frame.unseal(&self.repository, key)?)?;
        let signer = self.signer(&entry.author).ok_or(Violation::Author(entry.author))?;
        frame.verify(&self.repository, &signer)?;
        if self.next == 0 && (entry.position != 0 || entry.previous != self.digest) {
            return Err(Violation::Founding);
        }
        let decision = self.permitted(&entry)?;
        if decision.right() != Right::Certify || entry.position != admin_entry.position {
            return Err(Violation::Position { found: entry.position, expected: admin_entry.position });
        }
        self.decide(&entry, decision)?;
        (self.next, self.digest) = (entry.position + 1, frame.digest());
        Ok(())
    }
}
