//! `repair log`: lets a log go on that something at its tail has stopped.

use crate::repo::repository::{Doubtful, Error, Repository};

/// What a repair of the log did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Positions of entries whose first copy was put back, and that count again.
    pub restored: Vec<u64>,
    /// Positions of what does not verify and was voided. It stays where it is.
    pub voided: Vec<u64>,
}

/// What stops the log, oldest first; nothing, when it goes on.
///
/// # Errors
/// When the store fails.
pub fn look(repository: &Repository) -> Result<Vec<Doubtful>, Error> {
    repository.doubtful()
}

/// Puts back what can be, and voids the rest.
///
/// # Errors
/// When the keys are no admin's, something needs a newer boveda, or the store fails. Then it can be tried again.
pub fn mend(repository: &mut Repository) -> Result<Summary, Error> {
    let (restored, voided) = repository.mend_log()?;
    Ok(Summary { restored, voided })
}
