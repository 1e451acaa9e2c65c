//! From a location to the store there: the one place that knows every backend.

use super::access::Access;
use super::ahead::{Ahead, Spool};
use super::kept::KeptStore;
use super::local::LocalStore;
use super::remote::RemoteStore;
use super::remote_url::{RemoteUrl, Scheme};
use super::retry::Retry;
use super::sftp;
use super::shelf::Shelf;
use super::url::StoreUrl;
use super::{Error, Store};
use std::sync::Arc;

/// The store at `url`, which must be there, with nothing said about how to reach it.
///
/// # Errors
/// As [`open_with`].
pub fn open(url: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    open_with(url, &Access::default())
}

/// The store at `url`, made if it is not there, with nothing said about how to reach it.
///
/// # Errors
/// As [`create_with`].
pub fn create(url: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    create_with(url, &Access::default())
}

/// The store at `url`, which must be there. A place behind HTTP is asked by the first call only: it costs a request.
///
/// # Errors
/// [`super::ErrorKind::NoStore`] when there is nothing at that place, or why it cannot be told.
pub fn open_with(url: &StoreUrl, access: &Access) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Local(path) => {
            let store = LocalStore::new(path);
            store.check()?;
            Ok(Arc::new(store))
        }
        StoreUrl::Remote(url) => remote(url, access, Found::Open),
    }
}

/// The store at `url`, made if it is not there; a bucket or container must be.
///
/// # Errors
/// When it cannot be made.
pub fn create_with(url: &StoreUrl, access: &Access) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Local(path) => Ok(Arc::new(LocalStore::create(path)?)),
        StoreUrl::Remote(url) => remote(url, access, Found::Create),
    }
}

/// The store at `url` without a second try of anything: what a place answers is seen as it is.
///
/// # Errors
/// As [`create_with`].
pub fn create_bare(url: &StoreUrl, access: &Access) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Local(_) => create_with(url, access),
        StoreUrl::Remote(url) => bare(url, access, Found::Create),
    }
}

/// Whether the place may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Open,
    Create,
}

fn remote(url: &RemoteUrl, access: &Access, found: Found) -> Result<Arc<dyn Store>, Error> {
    let retry = Arc::new(Retry::new(bare(url, access, found)?, access.patience, Arc::clone(&access.traffic)));
    let kept: Arc<dyn Store> = match &access.objects {
        Some((folder, most)) => Arc::new(KeptStore::new(retry, Shelf::new(folder.clone(), *most))),
        None => retry,
    };
    let spool = access.spool.as_ref().map(|(folder, most)| Spool::new(folder.clone(), *most));
    Ok(Arc::new(Ahead::new(kept, spool)))
}

fn bare(url: &RemoteUrl, access: &Access, found: Found) -> Result<Arc<dyn Store>, Error> {
    if url.scheme == Scheme::Sftp {
        return Ok(match found {
            Found::Create => Arc::new(sftp::create(url, access)?),
            Found::Open => {
                let store = sftp::store(url, access);
                store.check()?;
                Arc::new(store)
            }
        });
    }
    let store = RemoteStore::new(url, access)?;
    if found == Found::Create {
        store.create()?;
    }
    Ok(Arc::new(store))
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
