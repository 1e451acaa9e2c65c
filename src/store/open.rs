//! From a location to the store there: the one place that knows every backend.

use super::local::LocalStore;
use super::url::StoreUrl;
use super::{Error, Store};
use std::sync::Arc;

/// The store at `url`, which must be there.
///
/// # Errors
/// [`super::ErrorKind::NoStore`] when there is nothing at that place, or why it cannot be told.
pub fn open(url: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Local(path) => {
            let store = LocalStore::new(path);
            store.check()?;
            Ok(Arc::new(store))
        }
    }
}

/// The store at `url`, made if it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn create(url: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Local(path) => Ok(Arc::new(LocalStore::create(path)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ErrorKind, ObjectName};
    use super::*;

    #[test]
    fn only_create_makes_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/below");
        let url = StoreUrl::Local(path.clone());
        assert_eq!(open(&url).err().unwrap().kind, ErrorKind::NoStore);
        assert!(!path.exists());
        create(&url).unwrap().put(&ObjectName::new("config").unwrap(), b"x").unwrap();
        assert_eq!(open(&url).unwrap().list("").unwrap().len(), 1);
    }
}
