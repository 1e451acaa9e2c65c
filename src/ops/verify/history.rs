//! What opening the repository came upon: the log, the sessions, their chains, and records that do not open.

use super::Run;
use crate::repo::log::Note;
use crate::repo::names::{Copy, Name};
use crate::repo::repository;
use crate::repo::session_view::Issue;

impl Run<'_> {
    /// Reports all of it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn history(&self) -> Result<(), repository::Error> {
        // Opening begins with the newest checkpoint, and takes its word for what came before.
        let (opened, log) = (self.repository.log(), self.repository.whole_log()?);
        if log.end() == opened.end() && log.state != opened.state {
            self.find("the newest census", "it does not say what the log before it comes to", false);
        }
        let doubts = log.doubts.iter().chain(&log.beyond);
        doubts.for_each(|doubt| self.find(Name::Log(doubt.position, Copy::First), doubt, false));
        for note in &log.notes {
            match note {
                Note::Healed { name, .. } => self.find(name, "some of its bytes are damaged", true),
                Note::FirstCopyLost(at) => self.find(Name::Log(*at, Copy::First), "this copy is lost", true),
                Note::SecondCopyMissing(at) => self.find(Name::Log(*at, Copy::Second), "this copy is missing", true),
                Note::Voided(_) => {}
            }
        }
        for issue in &self.repository.view().issues {
            self.issue(issue);
        }
        self.records();
        Ok(())
    }

    /// The newest census lists what the one before did, but for what somebody decided.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn census(&self) -> Result<(), repository::Error> {
        for id in self.repository.hidden()? {
            let what = "the newest census does not list it, the one before does, and nobody forgot it";
            self.find(format!("snapshot {id}"), what, false);
        }
        Ok(())
    }

    /// Every record opens as far as the role's keys go: one that does not is missing from all lists.
    fn records(&self) {
        let reads = self.repository.bundle().role().reads_content();
        for live in self.repository.view().live() {
            let id = live.record.id();
            match self.repository.snapshots().iter().find(|snapshot| snapshot.id == id) {
                None => self.find(format!("record of snapshot {id}"), "what it describes cannot be opened", false),
                Some(snapshot) if reads && snapshot.private.is_none() => {
                    self.find(format!("record of snapshot {id}"), "its private part cannot be opened", false);
                }
                Some(_) => {}
            }
        }
    }

    fn issue(&self, issue: &Issue) {
        match issue {
            Issue::NoOpening(session, None) => {
                self.find(Name::Open(*session), "it is missing; what the session committed counts", true);
            }
            Issue::NoOpening(session, Some(flaw)) => {
                self.find(Name::Open(*session), format!("{flaw}; what the session committed counts"), true);
            }
            Issue::BadEnd(session, flaw) => self.find(Name::End(*session), flaw, false),
            Issue::BadRecord(id, flaw) => self.find(format!("record of snapshot {id}"), flaw, false),
            Issue::Gap { writer, missing, after } => {
                self.find(
                    format!("snapshot {missing}"),
                    format!("it is gone from the chain of writer {writer}, before {after}"),
                    false,
                );
            }
            Issue::Fork { writer, records } => {
                let what = format!("{} snapshots follow the same one: was this machine cloned?", records.len());
                self.find(format!("writer {writer}"), what, false);
            }
            Issue::Misnumbered(id) => self.find(format!("snapshot {id}"), "it miscounts its chain", false),
            Issue::Claimed { writer, .. } => {
                self.find(format!("writer {writer}"), "several principals claim it", false);
            }
            // Decided, and so no damage.
            Issue::Revoked(_) | Issue::Void(_) => {}
        }
    }
}
