//! Listing what a place behind HTTP holds, and whether the place itself is there: whole, or as much as one request brings.

use super::notes::Notes;
use super::operator::Exclusion;
use super::{RemoteStore, TEMPORARY};
use crate::store::{Error, ErrorKind, Listed, ObjectName, Page};
use futures_core::Stream as _;
use opendal::options::ListOptions;
use opendal::{Entry, Lister};
use std::future::poll_fn;
use std::pin::Pin;

/// Names that one request brings: as many as S3 gives.
const PAGE: usize = 1000;

impl RemoteStore {
    /// Whether the bucket or folder itself is there.
    ///
    /// # Errors
    /// [`ErrorKind::NoStore`] when it is not, or why it cannot be told.
    pub fn check(&self) -> Result<(), Error> {
        let recursive = self.operators.exclusion != Exclusion::Move;
        let options = ListOptions { limit: Some(1), recursive, ..ListOptions::default() };
        // The first request is answer enough.
        let call = async {
            let mut lister = self.operators.plain.lister_options("/", options).await?;
            next(&mut lister).await.transpose()
        };
        let notes = Notes::new(false);
        let outcome = self.run(&notes, call);
        match outcome {
            // opendal reads an absent folder as an empty one.
            Ok(_) if notes.status() == 404 => Err(self.absent()),
            Ok(_) => {
                self.saw_it();
                Ok(())
            }
            Err(error) => match self.failed(&error, &notes, "open", "the store") {
                error if error.kind == ErrorKind::NotFound => Err(Error { kind: ErrorKind::NoStore, ..error }),
                error => Err(error),
            },
        }
    }

    /// Makes the folder, where there are folders; a bucket must be there.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn create(&self) -> Result<(), Error> {
        if self.operators.exclusion == Exclusion::Move {
            self.call("create", "the folder", self.operators.checked.create_dir("/"))?;
        }
        self.check()
    }

    /// As [`crate::store::Store::list`].
    pub(super) fn list_below(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let folder = match ObjectName::new(prefix) {
            _ if prefix.is_empty() => "/".to_owned(),
            Some(name) => format!("{name}/"),
            None => return self.check().map(|()| Vec::new()),
        };
        let what = if prefix.is_empty() { "all objects" } else { prefix };
        let options = ListOptions { recursive: true, ..ListOptions::default() };
        let notes = Notes::new(false);
        let found = self.run(&notes, self.operators.checked.list_options(&folder, options));
        self.listed(self.honest(found, &notes, what)?, prefix)
    }

    /// As [`crate::store::Store::page`]. Folders are listed one by one, and come in an order of their own.
    pub(super) fn first_page(&self) -> Result<Option<Page>, Error> {
        if self.operators.exclusion == Exclusion::Move {
            return Ok(None);
        }
        let options = ListOptions { limit: Some(PAGE), recursive: true, ..ListOptions::default() };
        let notes = Notes::new(false);
        let call = async {
            let mut lister = self.operators.checked.lister_options("/", options).await?;
            let mut found = Vec::new();
            while found.len() < PAGE
                && let Some(entry) = next(&mut lister).await
            {
                found.push(entry?);
            }
            Ok(found)
        };
        let found = self.run(&notes, call);
        let found = self.honest(found, &notes, "all objects")?;
        let complete = found.len() < PAGE;
        Ok(Some(Page { listed: self.listed(found, "")?, complete }))
    }

    /// An absent folder holds nothing; an absent bucket must not look like one.
    fn honest(&self, found: opendal::Result<Vec<Entry>>, notes: &Notes, what: &str) -> Result<Vec<Entry>, Error> {
        match found {
            Ok(found) if found.is_empty() => self.sure_of_nothing().map(|()| found),
            Ok(found) => {
                self.saw_it();
                Ok(found)
            }
            Err(error) => {
                let error = self.failed(&error, notes, "list", what);
                match error.kind {
                    // Something was not found in the middle: that must never read as "there is nothing".
                    ErrorKind::NotFound => Err(self.check().err().unwrap_or(Error { kind: ErrorKind::Other, ..error })),
                    _ => Err(error),
                }
            }
        }
    }

    fn listed(&self, found: Vec<Entry>, prefix: &str) -> Result<Vec<Listed>, Error> {
        let files = found.iter().filter(|entry| entry.metadata().is_file());
        let mut listed: Vec<Listed> = files
            .filter_map(|entry| {
                let name = ObjectName::new(entry.path())?;
                // WebDAV lists a file that is asked for as a folder.
                let below = prefix.is_empty() || name.as_str().strip_prefix(prefix)?.starts_with('/');
                below.then_some(())?;
                Some(Listed { name, length: entry.metadata().content_length(), mark: self.mark(entry.metadata()) })
            })
            .collect();
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Removes what crashes left behind. Failures are passed over, as a left-over object harms nothing.
    pub(super) fn tidy(&self) {
        let operator = &self.operators.checked;
        let found = self.call("list", TEMPORARY, operator.list_options(TEMPORARY, ListOptions::default()));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs());
        for entry in found.unwrap_or_default() {
            let modified = entry.metadata().last_modified().map(|time| time.into_inner().as_second());
            let age = modified.map(|modified| i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(modified));
            if entry.metadata().is_file() && age.is_some_and(|age| age > super::LEFT_OVER_AFTER) {
                let _ = self.call("delete", entry.path(), operator.delete(entry.path()));
            }
        }
    }
}

async fn next(lister: &mut Lister) -> Option<opendal::Result<Entry>> {
    poll_fn(|context| Pin::new(&mut *lister).poll_next(context)).await
}
