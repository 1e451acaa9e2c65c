//! Checkpoints where they are worth it: after a prune or a forget, once enough sessions have piled up that everybody has to read.

use crate::event::{Event, Level, Sink};
use crate::repo::repository::{Checkpointed, Error, Repository};
use crate::repo::session_view::Issue;

/// So many sessions are worth a checkpoint: whoever opens the repository reads two objects for each.
pub const WORTH: u64 = 32;
/// How often somebody else may be faster: whoever that was makes checkpoints too.
const ATTEMPTS: u32 = 3;

/// Makes a checkpoint if it covers at least `worth` sessions, and removes what the newest one makes superfluous.
///
/// # Errors
/// When the role does not maintain, or the store fails. Nothing is lost then, and the next one goes on.
pub fn checkpoint(repository: &mut Repository, worth: u64, events: &dyn Sink) -> Result<(), Error> {
    if repository.log().stopped().is_some() {
        return Ok(());
    }
    // One before was cut short after it stood.
    if repository.view().issues.iter().any(|issue| matches!(issue, Issue::Void(_))) {
        repository.collect()?;
        repository.refresh()?;
    }
    for _ in 0..ATTEMPTS {
        if repository.backlog().sessions < worth.max(1) {
            return Ok(());
        }
        match repository.checkpoint()? {
            Checkpointed::Stands(number) => {
                let collected = repository.collect()?;
                let text = format!("checkpoint {number}: {collected}");
                events.emit(Event::Message(Level::Debug, text));
                return Ok(());
            }
            Checkpointed::Overtaken => {}
            Checkpointed::InDoubt => return Ok(()),
        }
    }
    Ok(())
}
