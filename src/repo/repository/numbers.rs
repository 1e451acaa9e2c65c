//! The numbers of a writer's sessions: which one is next, and which of the earlier ones are dead.
//!
//! Anybody may open sessions in anybody's name. What counts for a writer is what it signed itself; what somebody else opened in its
//! name takes no numbers away, and is not ended for them.

use super::session::PROGRAM;
use super::{Error, Repository};
use crate::repo::entry::Timestamp;
use crate::repo::frame;
use crate::repo::id::WriterId;
use crate::repo::keys::installation::Installation;
use crate::repo::names::{Name, SessionName};
use crate::repo::session::Open;
use crate::repo::session_view::Outcome;
use crate::repo::wire::Extensions;
use crate::store::Put;

impl Repository {
    /// Puts `open`, then reads what there is to judge by. A checkpoint that covers the new number before it could see the
    /// session makes the put void (I10): then the next number is taken.
    pub(super) fn open_session(&mut self, installation: &Installation, dry_run: bool) -> Result<SessionName, Error> {
        let writer = installation.writer;
        loop {
            let name = if dry_run { SessionName { writer, seq: u64::MAX } } else { self.put_open(installation)? };
            self.refresh()?;
            if name.seq > self.view.watermark(&writer) {
                return Ok(name);
            }
        }
    }

    /// Puts `open` under the first number that this writer never used, and nobody else in its name. Sessions that somebody else opened
    /// in its name, however far ahead, take no others away.
    fn put_open(&self, installation: &Installation) -> Result<SessionName, Error> {
        let writer = installation.writer;
        let head = self.log.state.head().expect("a log that was read holds the founder's certificate");
        let open = Open {
            installation: self.certified(installation),
            log_position: head.position,
            log_digest: head.digest,
            checkpoint: self.log.state.ledger().checkpoint_number(),
            time: Timestamp::now().seconds,
            program: PROGRAM.to_owned(),
            extensions: Extensions::default(),
        };
        let own = |session: &SessionName| {
            self.view.signed_here(session).is_some_and(|signed| signed.installation == installation.certificate.public)
        };
        let taken = self.sessions_of(&writer).map(|(seq, _)| SessionName { writer, seq });
        let last = taken.filter(own).map(|session| session.seq).max().unwrap_or(self.view.watermark(&writer));
        // The very last number is a dry run's; only who holds these very keys can have come so far.
        for seq in last.saturating_add(1)..u64::MAX {
            if self.view.sessions.contains_key(&SessionName { writer, seq }) {
                continue;
            }
            let name = Name::open(writer, seq);
            let sealed = Some((self.sealing(), &open.encode()[..]));
            let written = frame::write(&self.id(), &name, b"", sealed, &installation.key);
            // "Exists" can be our own put, repeated: then this number is used up, and the next one is as good.
            if self.store.put(&name.object(), &written.stored)? == Put::Created {
                return Ok(SessionName { writer, seq });
            }
        }
        Err(Error::NoNumber { writer })
    }

    /// Ends this writer's earlier sessions that have no end: whoever holds the writer's lock knows that they are dead.
    /// Returns whether one had got an end since it was listed, a put that arrived late: then it may have committed.
    pub(super) fn abort_dead_sessions(&self, installation: &Installation, current: SessionName) -> Result<bool, Error> {
        let unresolved = |(seq, outcome): (u64, &Outcome)| matches!(outcome, Outcome::Unresolved { .. }).then_some(seq);
        let writer = installation.writer;
        // An end of a session that somebody else opened in this name would be nobody's: neither commit nor abort.
        let foreign = |session: &SessionName| {
            self.view.signed_here(session).is_some_and(|signed| signed.installation != installation.certificate.public)
        };
        let mut ended_late = false;
        for seq in self.sessions_of(&writer).filter_map(unresolved).filter(|seq| *seq < current.seq) {
            let dead = SessionName { writer, seq };
            if foreign(&dead) {
                continue;
            }
            let put = self.put_abort(installation, dead, "it died; a later session of the same writer ended it")?;
            ended_late |= put == Put::Exists;
        }
        Ok(ended_late)
    }

    /// A writer's sessions above its watermark, in order.
    fn sessions_of(&self, writer: &WriterId) -> impl Iterator<Item = (u64, &Outcome)> {
        let all = SessionName { writer: *writer, seq: 0 }..=SessionName { writer: *writer, seq: u64::MAX };
        self.view.sessions.range(all).map(|(session, outcome)| (session.seq, outcome))
    }

    /// Whether a session of this writer ended without a commit after its last one, so that its packs may lie about.
    pub(super) fn left_unfinished(&self, writer: &WriterId, current: SessionName) -> bool {
        let earlier = self.sessions_of(writer).filter(|(seq, _)| *seq < current.seq);
        earlier.last().is_some_and(|(_, outcome)| !matches!(outcome, Outcome::Committed(_)))
    }
}
