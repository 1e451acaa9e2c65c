//! Telling a part of a catalog that cannot be read, for verbs that go on without it.

use super::restore::is_damage;
use crate::event::{Event, Sink};
use crate::repo::catalog;

/// Reports `error` as damage of the catalog, or as a problem of `path` when the store or the keys are to blame.
pub fn report(sink: &dyn Sink, path: Vec<u8>, error: &catalog::Error) {
    let what = error.to_string();
    sink.emit(match is_damage(error) {
        true => Event::Damage { object: "catalog".to_owned(), what, healed: false },
        false => Event::Problem { path, during: "catalog", error: what },
    });
}
