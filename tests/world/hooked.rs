//! A store over another in which something else happens, fails or is said on the way.

use boveda::store::{Error, ErrorKind, Listed, ObjectName, Put, Store};
use std::io;
use std::sync::{Arc, Mutex};

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Put,
    Settle,
    Heal,
    Get,
    GetRange,
    Length,
    List,
    Delete,
}

/// One call: what is asked, of which object (or prefix), and with which bytes, if it brings any.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub action: Action,
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Whether a call puts the end of a session.
pub fn puts_end(call: &Call<'_>) -> bool {
    call.action == Action::Put && call.name.ends_with("/end")
}

type Before = Box<dyn Fn(Call<'_>) -> Result<(), Error> + Send + Sync>;
type Listing = Box<dyn Fn(&str, Vec<Listed>) -> Vec<Listed> + Send + Sync>;

/// A store over another, with hooks.
pub struct Hooked {
    inner: Arc<dyn Store>,
    before: Before,
    listing: Listing,
}

impl Hooked {
    /// `hook` hears of every call before it is passed on; where it fails, the call does.
    pub fn before(
        inner: Arc<dyn Store>,
        hook: impl Fn(Call<'_>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Arc<dyn Store> {
        Arc::new(Self { inner, before: Box::new(hook), listing: Box::new(|_, all| all) })
    }

    /// `act` happens once, before the first call of which `when` is true, and that call fails as it says.
    pub fn once(
        inner: Arc<dyn Store>,
        when: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static,
        act: impl FnOnce(Call<'_>) -> Option<Error> + Send + 'static,
    ) -> Arc<dyn Store> {
        let act = Mutex::new(Some(act));
        Self::before(inner, move |call| {
            let act = when(&call).then(|| act.lock().unwrap().take()).flatten();
            act.and_then(|act| act(call)).map_or(Ok(()), Err)
        })
    }

    /// Listings are what `change` makes of a prefix and what there is below it.
    pub fn listing(
        inner: Arc<dyn Store>,
        change: impl Fn(&str, Vec<Listed>) -> Vec<Listed> + Send + Sync + 'static,
    ) -> Arc<dyn Store> {
        Arc::new(Self { inner, before: Box::new(|_| Ok(())), listing: Box::new(change) })
    }

    fn pass(&self, action: Action, name: &str, bytes: &[u8]) -> Result<&dyn Store, Error> {
        (self.before)(Call { action, name, bytes })?;
        Ok(&*self.inner)
    }
}

/// How a call fails whose answer never came.
pub fn lost(name: &str) -> Error {
    let source = Arc::new(io::Error::from(io::ErrorKind::TimedOut));
    let (object, place) = (name.to_owned(), "memory".to_owned());
    Error { kind: ErrorKind::Temporary, action: "write", object, place, source }
}

impl Store for Hooked {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.pass(Action::Put, name.as_str(), bytes)?.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.pass(Action::Settle, name.as_str(), &[])?.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.pass(Action::Heal, name.as_str(), bytes)?.heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.pass(Action::Get, name.as_str(), &[])?.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.pass(Action::GetRange, name.as_str(), &[])?.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.pass(Action::Length, name.as_str(), &[])?.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let all = self.pass(Action::List, prefix, &[])?.list(prefix)?;
        Ok((self.listing)(prefix, all))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.pass(Action::Delete, name.as_str(), &[])?.delete(name)
    }
}
