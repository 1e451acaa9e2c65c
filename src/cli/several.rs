//! Several snapshots at once: by selectors, or all that pass the filters.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::context::Context;
use super::error::Failure;
use super::open::{find, shown};
use super::selector::{Filter, Selector};
use crate::repo::repository::{Repository, Snapshot};

/// Parses selectors that take no path, before anything is opened.
///
/// # Errors
/// When one is malformed or has a path; when there is neither a selector nor a filter.
pub fn parse(selectors: &[OsString], filter: &Filter, context: &Context) -> Result<Vec<Selector>, Failure> {
    if selectors.is_empty() && filter.is_empty() {
        return Err(Failure::usage("no snapshot is named")
            .hint("name snapshots, such as `latest`, or choose them by --host, --path or --tag"));
    }
    let one = |text: &OsString| {
        let selector = Selector::parse(text.as_bytes(), &context.zone)?;
        if selector.path.is_some() {
            return Err(Failure::usage(format!(
                "whole snapshots are meant here: `{selector}` must stand without a path"
            )));
        }
        Ok(selector)
    };
    selectors.iter().map(one).collect()
}

/// Those that the selectors name, each once, in the order given; without selectors all that pass, oldest first.
///
/// # Errors
/// When a selector names none or several, or when nothing passes.
pub fn resolve<'a>(
    repository: &'a Repository,
    selectors: &[Selector],
    filter: &Filter,
    context: &Context,
) -> Result<Vec<&'a Snapshot>, Failure> {
    if selectors.is_empty() {
        let all = repository.snapshots().iter();
        let passing: Vec<_> = all.filter(|snapshot| filter.passes(&shown(snapshot).listed())).collect();
        if passing.is_empty() {
            return Err(Failure::new(super::error::Code::Failed, "no snapshot passes the filters"));
        }
        return Ok(passing);
    }
    let mut found: Vec<&Snapshot> = Vec::new();
    for selector in selectors {
        let snapshot = find(repository, selector, filter, context)?;
        if !found.iter().any(|known| known.id == snapshot.id) {
            found.push(snapshot);
        }
    }
    Ok(found)
}
