//! Removing objects of a place behind HTTP: one by one, or many with one request where the service says of each what became of it.

use super::super::remote_url::Scheme;
use super::RemoteStore;
use super::notes::Notes;
use crate::store::{Error, ErrorKind, ObjectName};

/// Objects that S3 removes with one request.
const AT_ONCE: usize = 1000;

impl RemoteStore {
    /// As [`crate::store::Store::delete`].
    pub(super) fn remove(&self, name: &ObjectName) -> Result<(), Error> {
        match self.call("delete", name, self.operators.checked.delete(name.as_str())) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            deleted => deleted,
        }
    }

    /// As [`crate::store::Store::delete_all`].
    pub(super) fn remove_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        let several = self.scheme == Scheme::S3 && names.len() > 1;
        let parts = names.chunks(if several { AT_ONCE } else { 1 });
        parts.flat_map(|part| if several { self.remove_part(part) } else { vec![self.remove(&part[0])] }).collect()
    }

    /// With one request. Where anything about the answer is not as it should be, or names an error, each is removed by itself: that one is
    /// gone already is no error, and each says for itself what keeps it.
    fn remove_part(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        let notes = Notes::of_several();
        let names_of = names.iter().map(ObjectName::as_str);
        let removed = self.run(&notes, self.operators.checked.delete_iter(names_of));
        match removed {
            Ok(()) if !notes.named_error() => names.iter().map(|_| Ok(())).collect(),
            _ => names.iter().map(|name| self.remove(name)).collect(),
        }
    }
}
