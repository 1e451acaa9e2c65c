//! Tags of snapshots that exist: a decision of the log, since a record never changes.

use super::{Error, Repository};
use crate::repo::id::SnapshotId;
use crate::repo::log::Decision;

impl Repository {
    /// Gives a snapshot these tags and takes those from it. What [`Self::snapshots`] shows follows with [`Self::refresh`].
    ///
    /// # Errors
    /// When the role does not maintain, the log is in doubt, or the store fails.
    pub fn tag(&mut self, snapshot: SnapshotId, add: Vec<String>, remove: Vec<String>) -> Result<(), Error> {
        let role = self.bundle.role();
        if !role.may_maintain() {
            return Err(Error::Role { role, action: "changing tags" });
        }
        let decision = Decision::Tag { snapshot, add, remove };
        // It is right wherever it stands, so losing a race for a position changes nothing.
        while !self.enter(&decision)? {}
        Ok(())
    }
}
