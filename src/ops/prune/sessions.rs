//! Sessions that were open when packs were condemned: they may not know of it, and so all of them come to an end first (I5).

use super::{Error, Options};
use crate::event::{Event, Level, Sink};
use crate::ops::host::Host;
use crate::repo::names::SessionName;
use crate::repo::repository::Repository;
use crate::repo::session_view::Outcome;
use crate::state::db::Silence;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A session that gives no sign of life for so long, in seconds by this host's clock, is dead.
pub(super) const SILENT: i64 = 7 * 24 * 3600;
/// A session that has been open for so long is ended, whatever signs of life it gives.
pub(super) const ENDLESS: i64 = 30 * 24 * 3600;
/// How often it is looked whether sessions have ended.
const LOOK: Duration = Duration::from_millis(500);

/// A session that has to end before what is condemned can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub session: SessionName,
    /// When this host saw it first, in seconds since 1970.
    pub open_since: i64,
    /// When this host first saw its newest sign of life.
    pub silent_since: i64,
}

impl Waiting {
    /// When it is ended if nothing is heard of it.
    pub fn ends(&self) -> i64 {
        self.silent_since.saturating_add(SILENT).min(self.open_since.saturating_add(ENDLESS))
    }
}

/// The sessions of the repository, as it was read, that have no end, with their newest heartbeats.
fn open(repository: &Repository) -> BTreeMap<SessionName, Option<u64>> {
    let sessions = repository.view().sessions.iter();
    let open = sessions.filter_map(|(session, outcome)| match outcome {
        Outcome::Unresolved { beat } => Some((*session, *beat)),
        _ => None,
    });
    open.collect()
}

/// The sessions that are open by what was read, as this host knows them; it remembers those.
pub fn known(repository: &Repository, host: &Host, now: i64, events: &dyn Sink) -> Vec<Waiting> {
    let open = open(repository);
    let seen = host.state().open_sessions(&repository.id(), &open, now, events);
    let waiting = |(session, Silence { open_since, silent_since }): (SessionName, Silence)| Waiting {
        session,
        open_since,
        silent_since,
    };
    seen.into_iter().map(waiting).collect()
}

/// Ends sessions that are dead by the pruner's clock, or all of them, and waits for the others. Returns those that are still open.
///
/// # Errors
/// When the store fails, or somebody asked to stop.
pub(super) fn settle(
    repository: &Repository,
    open: Vec<Waiting>,
    options: &Options,
    events: &dyn Sink,
) -> Result<Vec<Waiting>, Error> {
    let mut waiting = Vec::new();
    for one in open {
        if options.exclusive || one.ends() <= options.now {
            let reason =
                if options.exclusive { "a prune that has the repository to itself" } else { "a prune: it fell silent" };
            repository.abort_silent(one.session, reason)?;
            events.emit(Event::Message(Level::Info, format!("{} is ended: nobody goes on with it", one.session)));
        } else {
            waiting.push(one);
        }
    }
    let until = Instant::now() + options.wait;
    let mut told = false;
    loop {
        let mut left = Vec::new();
        for one in waiting {
            if !repository.has_ended(one.session)? {
                left.push(one);
            }
        }
        waiting = left;
        let now = Instant::now();
        if waiting.is_empty() || now >= until || events.stopping() {
            return Ok(waiting);
        }
        if !std::mem::replace(&mut told, true) {
            let text = format!("waiting for {} that began before: snapshots go on meanwhile", sessions(waiting.len()));
            events.emit(Event::Message(Level::Info, text));
        }
        std::thread::sleep(LOOK.min(until - now));
    }
}

fn sessions(count: usize) -> String {
    if count == 1 { "1 session".to_owned() } else { format!("{count} sessions") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::id::WriterId;

    #[test]
    fn a_session_ends_after_a_week_of_silence_or_a_month_of_anything() {
        const DAY: i64 = 86_400;
        let session = SessionName { writer: WriterId([1; 16]), seq: 1 };
        let ends = |open_since, silent_since| Waiting { session, open_since, silent_since }.ends();
        assert_eq!(ends(1000, 1000), 1000 + 7 * DAY);
        assert_eq!(ends(1000, 1000 + 20 * DAY), 1000 + 27 * DAY);
        assert_eq!(ends(1000, 1000 + 29 * DAY), 1000 + 30 * DAY);
        assert_eq!((sessions(1), sessions(2)), ("1 session".to_owned(), "2 sessions".to_owned()));
    }
}
