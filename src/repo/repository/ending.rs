//! The end of a session, signed and put: whatever was put first is its verdict.

use super::{Error, Repository};
use crate::repo::entry::Timestamp;
use crate::repo::frame;
use crate::repo::keys::installation::Installation;
use crate::repo::names::{Name, SessionName};
use crate::repo::session::{End, Signer, Verdict};
use crate::repo::wire::Extensions;
use crate::store::Put;

impl Repository {
    pub(super) fn put_abort(
        &self,
        installation: &Installation,
        session: SessionName,
        reason: &str,
    ) -> Result<Put, Error> {
        let verdict = Verdict::Abort { reason: reason.to_owned() };
        let written = self.end(installation, session, verdict);
        Ok(self.store.put(&Name::End(session).object(), &written.stored)?)
    }

    pub(super) fn end(&self, installation: &Installation, session: SessionName, verdict: Verdict) -> frame::Written {
        self.end_with(installation, session, verdict, |end| end)
    }

    /// As [`Self::end`], with what `more` adds.
    pub(super) fn end_with(
        &self,
        installation: &Installation,
        session: SessionName,
        verdict: Verdict,
        more: impl FnOnce(End) -> End,
    ) -> frame::Written {
        let end = more(End {
            signer: Signer::Installation(self.certified(installation)),
            time: Timestamp::now().seconds,
            verdict,
            extensions: Extensions::default(),
        });
        let sealed = Some((self.sealing(), &end.encode()[..]));
        frame::write(&self.id(), &Name::End(session), b"", sealed, &installation.key)
    }
}
