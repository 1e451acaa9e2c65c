//! Reading single objects: present or not, and both copies of those that have two.

use super::Error;
use crate::event::{Event, Sink};
use crate::repo::frame::{self, Frame};
use crate::repo::names::{Copy, Name};
use crate::store::{self, ErrorKind, Store};

/// An object's bytes, `None` when there is no such object.
///
/// # Errors
/// When the store fails.
pub(super) fn get(store: &dyn Store, name: &Name) -> Result<Option<Vec<u8>>, store::Error> {
    match store.get(&name.object()) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first of an object's copies that gives a frame which passes `accept`; `None` when neither copy exists.
///
/// # Errors
/// Why the last copy was not acceptable, or the store's failure.
pub(super) fn either(
    store: &dyn Store,
    name: impl Fn(Copy) -> Name,
    accept: impl Fn(&Frame) -> Result<(), frame::Error>,
    events: &dyn Sink,
) -> Result<Option<Frame>, Error> {
    let mut failure = None;
    for copy in Copy::BOTH {
        let name = name(copy);
        let Some(stored) = get(store, &name)? else { continue };
        match Frame::read(&name, &stored).and_then(|frame| accept(&frame).map(|()| frame)) {
            Ok(frame) => {
                if frame.healed().is_some() {
                    report(&name, "some of its bytes are damaged", events);
                } else if let Some(error) = &failure {
                    report(&name, &format!("{error}; its other copy is good"), events);
                }
                return Ok(Some(frame));
            }
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(None), |error| Err(error.into()))
}

pub(super) fn report(name: &Name, what: &str, events: &dyn Sink) {
    events.emit(Event::Damage { object: name.to_string(), what: what.to_owned(), healed: true });
}
