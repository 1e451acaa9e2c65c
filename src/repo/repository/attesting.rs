//! ATTEST: entering in the log that a session's chunks were opened and are what their ids say.

use super::{Error, Repository};
use crate::repo::log::Decision;
use crate::repo::log::entry::Right;
use crate::repo::names::SessionName;
use crate::repo::session_view::Outcome;

impl Repository {
    /// Whether these keys may attest.
    ///
    /// # Errors
    /// [`Error::Role`] when they may not.
    pub fn check_attests(&self) -> Result<(), Error> {
        let (me, role) = (self.bundle.principal_id(), self.bundle.role());
        let may = self.log.state.trust().has_right(&me, Right::Attest);
        if may { Ok(()) } else { Err(Error::Role { role, action: "attesting what others stored" }) }
    }

    /// Whether an ATTEST of this session would say something new: it committed, no checkpoint covers it, not everybody relies on it, and
    /// these keys have not attested it.
    pub fn is_worth_attesting(&self, session: &SessionName) -> bool {
        self.new_attest(session).is_some()
    }

    /// Attests a session, all of whose chunks the caller has opened. Returns whether it was done now.
    ///
    /// # Errors
    /// When these keys may not attest, the log is in doubt, or the store fails: then it may stand.
    pub fn attest(&mut self, session: &SessionName) -> Result<bool, Error> {
        self.check_attests()?;
        // What was opened is what the session had put before that very end.
        let Some(opened) = self.new_attest(session) else { return Ok(false) };
        let mut entered = false;
        self.enter_all(|repository| {
            let still = repository.new_attest(session).filter(|end| *end == opened);
            entered |= still.is_some();
            Ok(still.map(|end| Decision::Attest { session: *session, end }))
        })?;
        Ok(entered)
    }

    /// The end that is to be attested.
    fn new_attest(&self, session: &SessionName) -> Option<[u8; 32]> {
        let signed = self.view.signed(session)?;
        let (state, me) = (&self.log.state, self.bundle.principal_id());
        let end = signed.end?;
        let trusted = state.trust().active(&signed.principal).is_some_and(|one| one.cert.role.may_certify());
        let done = state.ledger().attests.contains(&(*session, end, me));
        (!trusted && !done && matches!(self.view.sessions.get(session), Some(Outcome::Committed(_)))).then_some(end)
    }
}
