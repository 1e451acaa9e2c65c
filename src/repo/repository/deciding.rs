//! Entering decisions in the log: each is made for the very state of the log that it is entered behind.
//!
//! Whoever loses a race for a position decides again by what stands there now, since that may have changed what is right:
//! two admins never undo each other's changes by accident.

use super::{Error, Repository};
use crate::event::{Event, Level};
use crate::repo::entry::Timestamp;
use crate::repo::log::{self, Appended, Author, Decision, Note};

impl Repository {
    /// Enters what `decide` gives, as long as it gives anything: it is asked again after every entry, one's own or another's,
    /// that was made meanwhile.
    ///
    /// # Errors
    /// What `decide` says; when the role does not allow the decision; when the store fails, and then it may stand.
    pub(super) fn enter_all(
        &mut self,
        mut decide: impl FnMut(&Self) -> Result<Option<Decision>, Error>,
    ) -> Result<(), Error> {
        while let Some(decision) = decide(self)? {
            self.enter(&decision)?;
        }
        Ok(())
    }

    /// Enters a decision right behind the log as it was read. If somebody was faster, nothing is entered, and the log is
    /// read again. Returns whether it stands.
    ///
    /// # Errors
    /// As [`Self::enter_all`].
    pub(super) fn enter(&mut self, decision: &Decision) -> Result<bool, Error> {
        self.enter_with(decision, log::append)
    }

    /// As [`Self::enter`], and voids what does not verify at the log's tail.
    pub(super) fn enter_voiding(&mut self, decision: &Decision) -> Result<bool, Error> {
        self.enter_with(decision, log::append::append_voiding)
    }

    fn enter_with(&mut self, decision: &Decision, append: Append) -> Result<bool, Error> {
        let author_key = self.bundle.principal().signing_key();
        let author = Author { principal: self.bundle.principal_id(), key: &author_key };
        let time = Timestamp::now().seconds;
        match append(&*self.store, &self.log, (decision, time), author, self.sealing())? {
            Appended::Done { state, second_copy } => {
                self.log.state = *state;
                self.log.doubts.clear();
                if let Some(error) = second_copy {
                    let position = self.log.end() - 1;
                    self.log.notes.push(Note::SecondCopyMissing(position));
                    let text = format!("the decision stands, but its second copy is missing so far: {error}");
                    self.events.emit(Event::Message(Level::Warning, text));
                }
                Ok(true)
            }
            Appended::Taken => {
                self.refresh()?;
                Ok(false)
            }
        }
    }
}

/// [`log::append`] or [`log::append::append_voiding`].
type Append = fn(
    &dyn crate::store::Store,
    &log::Log,
    (&Decision, i64),
    Author<'_>,
    crate::repo::frame::Sealing<'_>,
) -> Result<Appended, log::Error>;
